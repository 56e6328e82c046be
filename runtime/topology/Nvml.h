// NVML, the library by which NVIDIA's driver tells of its GPUs, found at run
// time in libnvidia-ml.so.1. Its header is not needed: what is used of it is
// declared here, as in its documentation.
#ifndef TPCRT_TOPOLOGY_NVML_H
#define TPCRT_TOPOLOGY_NVML_H

#include "device/cuda/SharedLibrary.h"

extern "C" {
struct nvmlDevice_st;
using nvmlDevice_t = nvmlDevice_st *;

struct nvmlMemory_t {
  unsigned long long total, free, used;
};
struct nvmlPciInfo_t {
  char busIdLegacy[16];
  unsigned domain, bus, device, pciDeviceId, pciSubSystemId;
  char busId[32]; ///< "00000000:3B:00.0"
};

// Enumerations of the library are int or unsigned; 0 is success.
int nvmlInit_v2();
int nvmlShutdown();
const char *nvmlErrorString(int result);
int nvmlSystemGetDriverVersion(char *text, unsigned size);
int nvmlSystemGetCudaDriverVersion_v2(int *version);
int nvmlDeviceGetCount_v2(unsigned *count);
int nvmlDeviceGetHandleByIndex_v2(unsigned index, nvmlDevice_t *device);
int nvmlDeviceGetName(nvmlDevice_t device, char *text, unsigned size);
int nvmlDeviceGetPciInfo_v3(nvmlDevice_t device, nvmlPciInfo_t *info);
int nvmlDeviceGetMemoryInfo(nvmlDevice_t device, nvmlMemory_t *memory);
int nvmlDeviceGetCudaComputeCapability(nvmlDevice_t device, int *major,
                                       int *minor);
int nvmlDeviceGetNumGpuCores(nvmlDevice_t device, unsigned *cores);
int nvmlDeviceGetMaxClockInfo(nvmlDevice_t device, int clock, unsigned *mhz);
int nvmlDeviceGetMemoryBusWidth(nvmlDevice_t device, unsigned *bits);
int nvmlDeviceGetCurrPcieLinkGeneration(nvmlDevice_t device, unsigned *number);
int nvmlDeviceGetMaxPcieLinkGeneration(nvmlDevice_t device, unsigned *number);
int nvmlDeviceGetCurrPcieLinkWidth(nvmlDevice_t device, unsigned *lanes);
int nvmlDeviceGetMaxPcieLinkWidth(nvmlDevice_t device, unsigned *lanes);
int nvmlDeviceGetNvLinkState(nvmlDevice_t device, unsigned link,
                             unsigned *isActive);
int nvmlDeviceGetNvLinkRemoteDeviceType(nvmlDevice_t device, unsigned link,
                                        unsigned *type);
int nvmlDeviceGetNvLinkRemotePciInfo_v2(nvmlDevice_t device, unsigned link,
                                        nvmlPciInfo_t *info);
int nvmlDeviceGetP2PStatus(nvmlDevice_t first, nvmlDevice_t second,
                           int capability, unsigned *status);
int nvmlDeviceGetTopologyCommonAncestor(nvmlDevice_t first, nvmlDevice_t second,
                                        unsigned *level);
int nvmlDeviceGetMigMode(nvmlDevice_t device, unsigned *now, unsigned *pending);
int nvmlDeviceGetEccMode(nvmlDevice_t device, unsigned *now, unsigned *pending);
int nvmlDeviceGetPersistenceMode(nvmlDevice_t device, unsigned *mode);
int nvmlDeviceGetPerformanceState(nvmlDevice_t device, unsigned *state);
int nvmlDeviceGetCurrentClocksThrottleReasons(nvmlDevice_t device,
                                              unsigned long long *reasons);
}

#define TPCRT_NVML_FUNCTIONS(FUNCTION)                                         \
  FUNCTION(nvmlInit_v2)                                                        \
  FUNCTION(nvmlShutdown)                                                       \
  FUNCTION(nvmlErrorString)                                                    \
  FUNCTION(nvmlSystemGetDriverVersion)                                         \
  FUNCTION(nvmlSystemGetCudaDriverVersion_v2)                                  \
  FUNCTION(nvmlDeviceGetCount_v2)                                              \
  FUNCTION(nvmlDeviceGetHandleByIndex_v2)                                      \
  FUNCTION(nvmlDeviceGetName)                                                  \
  FUNCTION(nvmlDeviceGetPciInfo_v3)                                            \
  FUNCTION(nvmlDeviceGetMemoryInfo)                                            \
  FUNCTION(nvmlDeviceGetCudaComputeCapability)                                 \
  FUNCTION(nvmlDeviceGetNumGpuCores)                                           \
  FUNCTION(nvmlDeviceGetMaxClockInfo)                                          \
  FUNCTION(nvmlDeviceGetMemoryBusWidth)                                        \
  FUNCTION(nvmlDeviceGetCurrPcieLinkGeneration)                                \
  FUNCTION(nvmlDeviceGetMaxPcieLinkGeneration)                                 \
  FUNCTION(nvmlDeviceGetCurrPcieLinkWidth)                                     \
  FUNCTION(nvmlDeviceGetMaxPcieLinkWidth)                                      \
  FUNCTION(nvmlDeviceGetNvLinkState)                                           \
  FUNCTION(nvmlDeviceGetNvLinkRemoteDeviceType)                                \
  FUNCTION(nvmlDeviceGetNvLinkRemotePciInfo_v2)                                \
  FUNCTION(nvmlDeviceGetP2PStatus)                                             \
  FUNCTION(nvmlDeviceGetTopologyCommonAncestor)                                \
  FUNCTION(nvmlDeviceGetMigMode)                                               \
  FUNCTION(nvmlDeviceGetEccMode)                                               \
  FUNCTION(nvmlDeviceGetPersistenceMode)                                       \
  FUNCTION(nvmlDeviceGetPerformanceState)                                      \
  FUNCTION(nvmlDeviceGetCurrentClocksThrottleReasons)

namespace tpcrt {

struct Nvml {
  TPCRT_NVML_FUNCTIONS(TPCRT_DECLARE_FUNCTION)

  static Result<Nvml> load();
};

} // namespace tpcrt

#endif // TPCRT_TOPOLOGY_NVML_H
