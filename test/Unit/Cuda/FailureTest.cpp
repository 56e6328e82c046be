// What ends a run on fake GPUs: hangs, errors of kernels, and what is left.
#include "CudaArtifact.h"

using namespace tpcrt;
using namespace tpcrt::test;
using namespace std::chrono_literals;
using Values = std::vector<float>;

namespace {

class Failure : public CudaTest {
protected:
  std::unique_ptr<Executable> loadSmall(std::chrono::milliseconds deadline) {
    LoadOptions options;
    options.deadline = deadline;
    return load(onGpus(smallArtifact()), {}, options);
  }
  std::string errorOf(Executable &executable) {
    auto outputs = executable.run("main", inputs);
    return outputs ? "" : outputs.error().message;
  }
  static void expectParts(const std::string &error,
                          std::initializer_list<std::string_view> parts) {
    for (std::string_view part : parts)
      EXPECT_NE(error.find(part), std::string::npos)
          << "expected '" << part << "' in '" << error << "'";
  }

  std::vector<HostTensor> inputs{tensorF32({10}, Values(10, 1)),
                                 tensorF32({10}, Values(10, 2))};
};

/// Nothing moves: the run ends at the deadline, and what runs on a GPU that
/// does not answer is not waited for.
TEST_F(Failure, AHangEndsAtTheDeadline) {
  auto gpu = loadSmall(50ms);
  ASSERT_TRUE(gpu);
  fake::Machine &machine = fake::machine();
  machine.hangs = true;
  auto begin = std::chrono::steady_clock::now();
  expectParts(errorOf(*gpu), {"program 'main'", "nothing moving for 0.05 s",
                              "device 0 before its first collective"});
  expectParts(errorOf(*gpu), {"cannot be used after an error"});
  auto freed = [&] {
    return std::ranges::count(machine.calls, "cuMemFree") +
           std::ranges::count(machine.calls, "cuStreamDestroy");
  };
  auto before = freed();
  gpu.reset();
  EXPECT_EQ(freed(), before); // either would wait for the GPU
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 30s);
  start(); // the machine is switched off
}

/// The reduction never ends: all devices are in their collective.
TEST_F(Failure, AHangNamesWhereDevicesAre) {
  auto gpu = loadSmall(50ms);
  ASSERT_TRUE(gpu);
  fake::machine().hangAt = "kernel reduce_sum_f32";
  expectParts(errorOf(*gpu),
              {"device 0 in or after collective 'collective' (test.mlir:3)",
               "device 1 in or after collective 'collective' (test.mlir:3)"});
  gpu.reset();
  start();
}

TEST_F(Failure, AKernelsErrorEndsTheRun) {
  auto gpu = loadSmall(60s);
  ASSERT_TRUE(gpu);
  fake::Machine &machine = fake::machine();
  machine.kernels["scale"] = [&](const fake::Launch &) {
    machine.stickyError = CUDA_ERROR_ILLEGAL_ADDRESS;
  };
  expectParts(errorOf(*gpu),
              {"program 'main'", "GPU 0 (Fake)", "an illegal memory access",
               "in or after collective 'collective' (test.mlir:3)"});
  expectParts(errorOf(*gpu),
              {"cannot be used after an error", "an illegal memory access"});
  EXPECT_FALSE(gpu->readState("total"));
  gpu.reset();
  EXPECT_EQ(machine.misuse, "");
}

} // namespace
