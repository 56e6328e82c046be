#include "FakeNvml.h"

#include "topology/Nvml.h"

#include <cstdio>

using namespace tpcrt;
using namespace tpcrt::test;

FakeNvml &tpcrt::test::fakeNvml() {
  static FakeNvml nvml;
  return nvml;
}

namespace {

constexpr int invalidArgument = 2, notSupported = 3;

/// Handles are numbers from 1 on.
unsigned numberOf(nvmlDevice_t device) {
  return static_cast<unsigned>(reinterpret_cast<uintptr_t>(device)) - 1;
}
FakeGpu &gpuOf(nvmlDevice_t device) {
  return fakeNvml().gpus[numberOf(device)];
}

int give(unsigned *place, unsigned value) {
  *place = value;
  return 0;
}

void putPci(nvmlPciInfo_t *info, unsigned bus) {
  *info = {};
  info->bus = bus;
  std::snprintf(info->busId, sizeof(info->busId), "00000000:%02X:00.0", bus);
}

int mode(nvmlDevice_t device, unsigned value, unsigned *now) {
  return gpuOf(device).tellsModes ? give(now, value) : notSupported;
}

} // namespace

Nvml tpcrt::test::fakeNvmlTable() {
  Nvml table;
  table.nvmlInit_v2 = [] {
    fakeNvml().open += fakeNvml().initResult == 0;
    return fakeNvml().initResult;
  };
  table.nvmlShutdown = [] { return --fakeNvml().open, 0; };
  table.nvmlErrorString = [](int result) {
    return result == 18 ? "Driver/library version mismatch" : "Unknown Error";
  };
  table.nvmlSystemGetDriverVersion = [](char *text, unsigned size) {
    std::snprintf(text, size, "%s", fakeNvml().driver.c_str());
    return 0;
  };
  table.nvmlSystemGetCudaDriverVersion_v2 = [](int *version) {
    *version = fakeNvml().cuda;
    return 0;
  };
  table.nvmlDeviceGetCount_v2 = [](unsigned *count) {
    return give(count, fakeNvml().gpus.size());
  };
  table.nvmlDeviceGetHandleByIndex_v2 = [](unsigned index,
                                           nvmlDevice_t *device) {
    *device = reinterpret_cast<nvmlDevice_t>(uintptr_t(index) + 1);
    return index < fakeNvml().gpus.size() ? 0 : invalidArgument;
  };
  table.nvmlDeviceGetName = [](nvmlDevice_t device, char *text, unsigned size) {
    std::snprintf(text, size, "%s", gpuOf(device).name.c_str());
    return 0;
  };
  table.nvmlDeviceGetPciInfo_v3 = [](nvmlDevice_t device, nvmlPciInfo_t *info) {
    putPci(info, gpuOf(device).bus);
    return 0;
  };
  table.nvmlDeviceGetMemoryInfo = [](nvmlDevice_t device,
                                     nvmlMemory_t *memory) {
    *memory = {gpuOf(device).memoryMiB << 20, 0, 0};
    return 0;
  };
  table.nvmlDeviceGetCudaComputeCapability = [](nvmlDevice_t device, int *major,
                                                int *minor) {
    *major = gpuOf(device).major;
    *minor = gpuOf(device).minor;
    return 0;
  };
  table.nvmlDeviceGetNumGpuCores = [](nvmlDevice_t device, unsigned *cores) {
    return give(cores, gpuOf(device).cores);
  };
  table.nvmlDeviceGetMaxClockInfo = [](nvmlDevice_t device, int clock,
                                       unsigned *mhz) {
    if (clock != 1 && clock != 2)
      return invalidArgument;
    return give(mhz, clock == 1 ? gpuOf(device).clockMhz
                                : gpuOf(device).memoryClockMhz);
  };
  table.nvmlDeviceGetMemoryBusWidth = [](nvmlDevice_t device, unsigned *bits) {
    return give(bits, gpuOf(device).memoryBusBits);
  };
  table.nvmlDeviceGetCurrPcieLinkGeneration = [](nvmlDevice_t device,
                                                 unsigned *number) {
    return give(number, gpuOf(device).generation);
  };
  table.nvmlDeviceGetMaxPcieLinkGeneration = [](nvmlDevice_t device,
                                                unsigned *number) {
    return give(number, gpuOf(device).maxGeneration);
  };
  table.nvmlDeviceGetCurrPcieLinkWidth = [](nvmlDevice_t device,
                                            unsigned *lanes) {
    return give(lanes, gpuOf(device).width);
  };
  table.nvmlDeviceGetMaxPcieLinkWidth = [](nvmlDevice_t device,
                                           unsigned *lanes) {
    return give(lanes, gpuOf(device).maxWidth);
  };
  table.nvmlDeviceGetNvLinkState = [](nvmlDevice_t device, unsigned link,
                                      unsigned *isActive) {
    const auto &links = gpuOf(device).links;
    if (links.empty())
      return notSupported;
    if (link >= links.size())
      return invalidArgument;
    return give(isActive, links[link] != FakeGpu::down);
  };
  table.nvmlDeviceGetNvLinkRemoteDeviceType = [](nvmlDevice_t device,
                                                 unsigned link,
                                                 unsigned *type) {
    return give(type, gpuOf(device).links[link] == FakeGpu::toSwitch ? 2 : 0);
  };
  table.nvmlDeviceGetNvLinkRemotePciInfo_v2 =
      [](nvmlDevice_t device, unsigned link, nvmlPciInfo_t *info) {
        putPci(info, gpuOf(device).links[link]);
        return 0;
      };
  table.nvmlDeviceGetP2PStatus = [](nvmlDevice_t first, nvmlDevice_t second,
                                    int, unsigned *status) {
    return give(status, fakeNvml().isolated.count(numberOf(first)) ||
                                fakeNvml().isolated.count(numberOf(second))
                            ? 1
                            : 0);
  };
  table.nvmlDeviceGetTopologyCommonAncestor =
      [](nvmlDevice_t first, nvmlDevice_t second, unsigned *level) {
        return give(level, fakeNvml().onOneSwitch.count(
                               {numberOf(first), numberOf(second)})
                               ? 10
                               : 50);
      };
  table.nvmlDeviceGetMigMode = [](nvmlDevice_t device, unsigned *now,
                                  unsigned *) {
    return mode(device, gpuOf(device).mig, now);
  };
  table.nvmlDeviceGetEccMode = [](nvmlDevice_t device, unsigned *now,
                                  unsigned *) {
    return mode(device, gpuOf(device).ecc, now);
  };
  table.nvmlDeviceGetPersistenceMode = [](nvmlDevice_t device, unsigned *now) {
    return mode(device, gpuOf(device).persistence, now);
  };
  table.nvmlDeviceGetPerformanceState = [](nvmlDevice_t device, unsigned *now) {
    return mode(device, gpuOf(device).performanceState, now);
  };
  table.nvmlDeviceGetCurrentClocksThrottleReasons =
      [](nvmlDevice_t device, unsigned long long *reasons) {
        *reasons = gpuOf(device).slowdowns;
        return 0;
      };
  return table;
}
