// The communicator over NCCL (a fake one) against the conformance suite, in one
// process and in several, and whole runs over it.
#include "../Runtime/GroupHarness.h"
#include "CudaArtifact.h"
#include "FakeNccl.h"
#include "StreamAdapter.h"

#include "comm/DeviceDivision.h"
#include "conformance/CommunicatorConformance.h"

#include <numeric>

using namespace tpcrt;
using namespace tpcrt::test;
using Values = std::vector<float>;
using Order = fake::Settings::Order;

namespace tpcrt {
static void PrintTo(const ConformanceCase &test, std::ostream *stream) {
  *stream << test.name;
}
} // namespace tpcrt

namespace {

/// This process's part of the communicator.
Result<std::unique_ptr<Communicator>>
makePart(const Mesh &mesh, std::shared_ptr<ProcessGroup> processes) {
  TPCRT_ASSIGN(DeviceDivision division,
               DeviceDivision::of(mesh, processes.get()));
  std::vector<StreamDevice> devices;
  for (uint64_t i = 0; i < division.perProcess; ++i) {
    uint64_t number = division.first() + i;
    TPCRT_ASSIGN(auto gpu, Gpu::open(fake::driver(), int(number)));
    TPCRT_ASSIGN(GpuStream stream, gpu->createStream());
    devices.push_back({number, gpu, stream});
  }
  TPCRT_ASSIGN(auto streams,
               createNcclCommunicator(fake::nccl(), mesh, devices, processes,
                                      {std::chrono::seconds(30)}));
  return adaptStreams(devices, std::move(streams));
}

Result<Communicators> inOneProcess(const Mesh &mesh) {
  Communicators result(1);
  TPCRT_ASSIGN(result[0], makePart(mesh, nullptr));
  return result;
}

Result<Communicators> inTwoProcesses(const Mesh &mesh) {
  if (mesh.numDevices() % 2 != 0)
    return inOneProcess(mesh);
  Communicators result(2);
  Result<void> failure;
  inProcesses(2, [&](const std::shared_ptr<ProcessGroup> &group) {
    auto part = makePart(mesh, group);
    if (part)
      result[group->rank()] = std::move(*part);
    else
      failure = tl::unexpected(part.error());
  });
  if (!failure)
    return tl::unexpected(failure.error());
  return result;
}

class NcclConformance : public CudaTest,
                        public testing::WithParamInterface<ConformanceCase> {};

TEST_P(NcclConformance, MatchesPlainComputation) {
  int gpus = GetParam().mesh.numDevices();
  for (auto order : {Order::OldestStream, Order::NewestStream}) {
    bool peers = order == Order::OldestStream;
    start({.gpus = gpus, .peers = peers, .order = order});
    auto result = runCase(inOneProcess, GetParam());
    EXPECT_TRUE(result) << result.error().message;
    expectClean();
  }
  start({.gpus = gpus, .order = Order::Random});
  auto result = runCase(inTwoProcesses, GetParam());
  EXPECT_TRUE(result) << result.error().message;
}

/// The largest only once: the fake is slow.
std::vector<ConformanceCase> cases() {
  std::vector<ConformanceCase> result;
  for (ConformanceCase &test : conformanceCases())
    if (test.name != "largest" && test.name != "large")
      result.push_back(std::move(test));
  return result;
}

INSTANTIATE_TEST_SUITE_P(, NcclConformance, testing::ValuesIn(cases()),
                         [](const auto &info) { return info.param.name; });

class Nccl : public CudaTest {
protected:
  static HostTensor iota(uint64_t size, float first) {
    Values values(size);
    std::iota(values.begin(), values.end(), first);
    return tensorF32({size}, values);
  }
  std::vector<HostTensor> inputs{iota(10, 0), iota(10, 100)};

  std::vector<Values> runAll(Executable &executable) {
    std::vector<Values> all;
    for (int run = 0; run < 4; ++run) { // the third replays a graph
      auto outputs = executable.run("main", inputs);
      if (!outputs)
        ADD_FAILURE() << outputs.error().message;
      else
        for (const HostTensor &output : *outputs)
          all.push_back(valuesF32(output));
    }
    return all;
  }
};

TEST_F(Nccl, OneProcessWithAGpuForEachDevice) {
  for (auto order : {Order::OldestStream, Order::NewestStream, Order::Random}) {
    fake::Machine &machine = start({.gpus = 2, .peers = false, .order = order});
    auto cpu = load(smallArtifact());
    auto gpu = load(onGpus(smallArtifact()));
    ASSERT_TRUE(cpu && gpu);
    EXPECT_EQ(runAll(*gpu), runAll(*cpu));
    EXPECT_GT(std::ranges::count(machine.calls, "ncclAllReduce"), 0);
    gpu.reset();
    expectClean();
  }
}

/// Each process has whole outputs; the blocks of others come by NCCL.
TEST_F(Nccl, TwoProcesses) {
  start({.gpus = 2, .order = Order::Random});
  auto cpu = load(smallArtifact());
  ASSERT_TRUE(cpu);
  std::vector<Values> expected = runAll(*cpu);
  inProcesses(2, [&](const std::shared_ptr<ProcessGroup> &group) {
    LoadOptions options;
    options.processes = group;
    auto gpu = load(onGpus(smallArtifact()), {}, options);
    ASSERT_TRUE(gpu);
    EXPECT_EQ(runAll(*gpu), expected);
    for (int read = 0; read < 2; ++read) {
      auto state = gpu->readState("total");
      ASSERT_TRUE(state) << state.error().message;
      EXPECT_EQ(valuesF32(*state), valuesF32(*cpu->readState("total")));
    }
    gpu.reset();
    EXPECT_TRUE(group->close());
  });
}

/// A process that ends while the others connect ends them at once.
TEST_F(Nccl, APeerIsMissingWhileConnecting) {
  start({.gpus = 2});
  inProcesses(2, [&](const std::shared_ptr<ProcessGroup> &group) {
    if (group->rank() == 1)
      return (void)group->exchange("NCCL id", "");
    auto part = makePart({"mesh", {{"x", 2}}}, group);
    ASSERT_FALSE(part);
    EXPECT_NE(part.error().message.find("rank 1"), std::string::npos)
        << part.error().message;
  });
}

/// A lost peer ends the run at once, and the communicators are aborted.
TEST_F(Nccl, ALostPeerEndsTheRun) {
  fake::Machine &machine = start({.gpus = 2});
  auto gpu = load(onGpus(smallArtifact()));
  ASSERT_TRUE(gpu);
  machine.kernels["accumulate"] = [](const fake::Launch &) {
    fake::setNcclError(ncclRemoteError);
  };
  auto outputs = gpu->run("main", inputs);
  ASSERT_FALSE(outputs);
  for (std::string_view part : {"program 'main'", "remote process exited"})
    EXPECT_NE(outputs.error().message.find(part), std::string::npos)
        << outputs.error().message;
  EXPECT_GT(std::ranges::count(machine.calls, "ncclCommAbort"), 0);
  EXPECT_EQ(std::ranges::count(machine.calls, "ncclCommDestroy"), 0);
}

TEST_F(Nccl, EveryCallMayFail) {
  for (uint64_t number = 1;; ++number) {
    fake::Machine &machine = start({.gpus = 2});
    machine.failAt(number, CUDA_ERROR_OUT_OF_MEMORY);
    std::string error, memory;
    LoadOptions options;
    options.deadline = std::chrono::milliseconds(200);
    auto gpu = Executable::load(onGpus(smallArtifact()).bytes(), {}, options);
    if (!gpu)
      error = gpu.error().message;
    for (int run = 0; gpu && run < 3 && error.empty(); ++run)
      if (auto outputs = (*gpu)->run("main", inputs); !outputs)
        error = outputs.error().message;
    if (gpu)
      memory = (*gpu)->statistics().collectiveMemory;
    bool failed = machine.hasFailed();
    machine.failAt(0, CUDA_SUCCESS);
    if (gpu)
      gpu->reset();
    EXPECT_EQ(machine.alive(), "") << "call " << number << ": " << error;
    if (!failed) {
      EXPECT_GT(number, 50u);
      break;
    }
    // What goes on without symmetric memory says so.
    EXPECT_SAYS(error.empty() ? memory : error, "out of memory")
        << "call " << number;
  }
}

} // namespace
