// Whole runs on fake GPUs, against the same steps on CPUs.
#include "CudaArtifact.h"

#include <numeric>

using namespace tpcrt;
using namespace tpcrt::test;
using Values = std::vector<float>;
using Order = fake::Settings::Order;

namespace {

HostTensor iota(uint64_t size, float first) {
  Values values(size);
  std::iota(values.begin(), values.end(), first);
  return tensorF32({size}, values);
}

std::vector<Values> valuesOf(Executable &executable,
                             const std::vector<HostTensor> &inputs) {
  auto outputs = executable.run("main", inputs);
  std::vector<Values> values;
  if (!outputs)
    ADD_FAILURE() << outputs.error().message;
  else
    for (const HostTensor &output : *outputs)
      values.push_back(valuesF32(output));
  return values;
}

class Backend : public CudaTest {
protected:
  std::vector<HostTensor> inputs{iota(10, 0), iota(10, 100)};
};

/// The first run is enqueued step by step, the second captured, the third
/// replayed; in whatever order the streams make progress.
TEST_F(Backend, RunsAsOnCpus) {
  std::vector<fake::Settings> machines;
  for (unsigned seed = 0; seed < 8; ++seed)
    machines.push_back({.order = Order::Random, .seed = seed});
  machines.push_back({.order = Order::OldestStream});
  machines.push_back({.order = Order::NewestStream});
  for (const fake::Settings &settings : machines) {
    start(settings);
    auto cpu = load(smallArtifact());
    auto gpu = load(onGpus(smallArtifact()));
    ASSERT_TRUE(cpu && gpu);
    for (int run = 0; run < 4; ++run)
      EXPECT_EQ(valuesOf(*gpu, inputs), valuesOf(*cpu, inputs));
    gpu.reset();
    expectClean();
  }
}

TEST_F(Backend, StatesPersistUntilReset) {
  auto gpu = load(onGpus(smallArtifact()));
  ASSERT_TRUE(gpu);
  for (int run = 1; run <= 3; ++run)
    EXPECT_EQ(valuesOf(*gpu, inputs)[2][9], 118.0f * run);
  EXPECT_EQ(valuesF32(*gpu->readState("total"))[9], 354.0f);
  ASSERT_TRUE(gpu->writeState("total", iota(10, 1000)));
  EXPECT_EQ(valuesOf(*gpu, inputs)[2][9], 1009.0f + 118.0f);
  ASSERT_TRUE(gpu->resetStates());
  EXPECT_EQ(valuesF32(*gpu->readState("total")), Values(10, 0));
}

/// Whatever call fails, loading or running ends with an error that names the
/// call or what needed it, and nothing is left behind.
TEST_F(Backend, EveryCallMayFail) {
  for (uint64_t number = 1;; ++number) {
    fake::Machine &machine = start();
    machine.failAt(number, CUDA_ERROR_OUT_OF_MEMORY);
    std::string error;
    auto gpu = Executable::load(onGpus(smallArtifact()).bytes(), {}, {});
    if (!gpu)
      error = gpu.error().message;
    for (int run = 0; gpu && run < 3 && error.empty(); ++run)
      if (auto outputs = (*gpu)->run("main", inputs); !outputs)
        error = outputs.error().message;
    bool failed = machine.hasFailed();
    machine.failAt(0, CUDA_SUCCESS);
    if (gpu)
      gpu->reset();
    expectClean();
    if (!failed) {
      EXPECT_GT(number, 50u);
      break;
    }
    EXPECT_NE(error.find("out of memory"), std::string::npos)
        << "call " << number << ": " << error;
  }
}

} // namespace
