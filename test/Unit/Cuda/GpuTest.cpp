// On real GPUs, with NVIDIA's driver and libraries: the conformance suite on
// loopback and on NCCL, with as many GPUs as there are. Says "no GPU" and
// passes where there is none. What models compute is in test/Device.
#include "StreamAdapter.h"

#include "comm/cuda/Nccl.h"
#include "conformance/CommunicatorConformance.h"
#include "support/Fail.h"

#include <cstdio>
#include <gtest/gtest.h>

using namespace tpcrt;
using namespace tpcrt::test;

namespace {

const Driver *driver = nullptr;
int gpuCount = 0;

Result<std::vector<StreamDevice>> openDevices(uint64_t count, bool oneGpu) {
  std::vector<StreamDevice> devices;
  std::shared_ptr<Gpu> gpu;
  for (uint64_t i = 0; i < count; ++i) {
    if (!gpu || !oneGpu) {
      TPCRT_ASSIGN(gpu, Gpu::open(*driver, int(i)));
    }
    TPCRT_ASSIGN(GpuStream stream, gpu->createStream());
    devices.push_back({i, gpu, stream});
  }
  return devices;
}

Result<Communicators> makeLoopback(const Mesh &mesh) {
  TPCRT_ASSIGN(auto devices, openDevices(mesh.numDevices(), true));
  TPCRT_ASSIGN(auto streams, createLoopbackCommunicator(mesh, devices));
  Communicators result;
  result.push_back(adaptStreams(devices, std::move(streams)));
  return result;
}

Result<Communicators> makeNccl(const Mesh &mesh, bool peerMemory) {
  TPCRT_ASSIGN(NcclLibrary library, NcclLibrary::load());
  TPCRT_ASSIGN(auto devices, openDevices(mesh.numDevices(), false));
  TPCRT_ASSIGN(auto streams,
               createNcclCommunicator(library, mesh, devices, nullptr,
                                      {std::chrono::seconds(60), peerMemory}));
  Communicators result;
  result.push_back(adaptStreams(devices, std::move(streams)));
  return result;
}

TEST(Gpu, LoopbackConforms) {
  for (const ConformanceCase &test : conformanceCases()) {
    auto result = runCase(makeLoopback, test);
    EXPECT_TRUE(result) << test.name << ": " << result.error().message;
  }
}

TEST(Gpu, NcclConforms) {
  for (const ConformanceCase &test : conformanceCases()) {
    if (test.mesh.numDevices() > uint64_t(gpuCount)) {
      std::printf("%s needs %d GPUs, left out\n", test.name.c_str(),
                  int(test.mesh.numDevices()));
      continue;
    }
    for (bool peerMemory : {false, true}) {
      auto result = runCase(
          [=](const Mesh &mesh) { return makeNccl(mesh, peerMemory); }, test);
      EXPECT_TRUE(result) << test.name << (peerMemory ? " over peers" : "")
                          << ": " << result.error().message;
    }
  }
}

} // namespace

int main(int argc, char **argv) {
  testing::InitGoogleTest(&argc, argv);
  auto loaded = Driver::load();
  if (!loaded) {
    std::printf("no GPU: left out (%s)\n", loaded.error().message.c_str());
    return 0;
  }
  driver = &*loaded;
  driver->cuDeviceGetCount(&gpuCount);
  return RUN_ALL_TESTS();
}
