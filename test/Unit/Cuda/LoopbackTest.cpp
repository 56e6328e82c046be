// The communicator of devices on one GPU against the conformance suite, and its
// kernels against NVIDIA's assembler where that is installed.
#include "../Runtime/TestFiles.h"
#include "CudaArtifact.h"
#include "StreamAdapter.h"

#include "comm/cuda/PeerKernels.h"
#include "comm/cuda/ReduceKernels.h"
#include "comm/cuda/ReduceLines.h"
#include "conformance/CommunicatorConformance.h"
#include "device/cuda/AttentionLibrary.h"

using namespace tpcrt;
using namespace tpcrt::test;

namespace tpcrt {
static void PrintTo(const ConformanceCase &test, std::ostream *stream) {
  *stream << test.name;
}
} // namespace tpcrt

namespace {

Result<Communicators> makeLoopback(const Mesh &mesh) {
  TPCRT_ASSIGN(std::shared_ptr<Gpu> gpu, Gpu::open(fake::driver(), 0));
  std::vector<StreamDevice> devices;
  for (uint64_t i = 0; i < mesh.numDevices(); ++i)
    devices.push_back({i, gpu, *gpu->createStream()});
  TPCRT_ASSIGN(auto streams, createLoopbackCommunicator(mesh, devices));
  Communicators result;
  result.push_back(adaptStreams(devices, std::move(streams)));
  return result;
}

class LoopbackConformance
    : public CudaTest,
      public testing::WithParamInterface<ConformanceCase> {};

TEST_P(LoopbackConformance, MatchesPlainComputation) {
  using Order = fake::Settings::Order;
  for (auto order : {Order::OldestStream, Order::NewestStream, Order::Random}) {
    start({.order = order});
    auto result = runCase(makeLoopback, GetParam());
    EXPECT_TRUE(result) << result.error().message;
    expectClean();
  }
}

INSTANTIATE_TEST_SUITE_P(, LoopbackConformance,
                         testing::ValuesIn(conformanceCases()),
                         [](const auto &info) { return info.param.name; });

class Loopback : public CudaTest {};

TEST_F(Loopback, RefusesSeveralGpus) {
  start({.gpus = 2});
  std::vector<StreamDevice> devices;
  for (int i = 0; i < 2; ++i) {
    auto gpu = Gpu::open(fake::driver(), i);
    devices.push_back({uint64_t(i), *gpu, *(*gpu)->createStream()});
  }
  auto streams = createLoopbackCommunicator({"mesh", {{"x", 2}}}, devices);
  ASSERT_FALSE(streams);
  EXPECT_NE(streams.error().message.find("one GPU"), std::string::npos);
}

/// What ptxas says of the text; it must accept it.
std::string assemble(const std::string &text, const std::string &gpu) {
  TemporaryFolder folder;
  writeBytes(folder.file("ptx"), text);
  std::string command = PTXAS " -arch " + gpu + " -v -o " + folder.file("out") +
                        " " + folder.file("ptx") + " > " + folder.file("log") +
                        " 2>&1";
  int status = std::system(command.c_str());
  auto bytes = readBytes(folder.file("log"));
  std::string log(bytes.begin(), bytes.end());
  EXPECT_EQ(status, 0) << log;
  return log;
}

TEST(RuntimeKernels, AreAssembled) {
  if (std::string(PTXAS).empty())
    GTEST_SKIP() << "ptxas is not installed";
  for (const char *gpu : {"sm_80", "sm_90", "sm_100"}) {
    std::string log = assemble(reduceKernels(), gpu);
    for (const std::string &name : reduceKernelNames(reduceFamily))
      EXPECT_NE(log.find("'" + name + "'"), std::string::npos) << name;
    log = assemble(peerKernels(), gpu);
    for (const std::string &name : reduceKernelNames(peerFamily))
      EXPECT_NE(log.find("'" + name + "'"), std::string::npos) << name;
    EXPECT_NE(assemble(lengthKernels, gpu).find("'attention_lengths'"),
              std::string::npos);
  }
}

} // namespace
