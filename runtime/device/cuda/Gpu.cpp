#include "device/cuda/Gpu.h"

using namespace tpcrt;

Result<std::shared_ptr<Gpu>> Gpu::open(const Driver &driver, int ordinal) {
  std::shared_ptr<Gpu> gpu(new Gpu(driver, ordinal));
  TPCRT_TRY(TPCRT_CU(driver, cuDeviceGet, &gpu->device, ordinal));
  char name[256] = {};
  TPCRT_TRY(TPCRT_CU(driver, cuDeviceGetName, name, sizeof(name), gpu->device));
  gpu->text = fmt::format("GPU {} ({})", ordinal, name);
  int major = 0, minor = 0;
  TPCRT_TRY(TPCRT_CU(driver, cuDeviceGetAttribute, &major,
                     CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR,
                     gpu->device));
  TPCRT_TRY(TPCRT_CU(driver, cuDeviceGetAttribute, &minor,
                     CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR,
                     gpu->device));
  gpu->computeCapability = major * 10 + minor;
  TPCRT_TRY(
      TPCRT_CU(driver, cuDevicePrimaryCtxRetain, &gpu->context, gpu->device));
  return gpu;
}

Gpu::~Gpu() {
  if (context && !stuck)
    functions.cuDevicePrimaryCtxRelease(device);
}

Result<GpuScope> GpuScope::enter(const Gpu &gpu) {
  TPCRT_TRY(TPCRT_CU(gpu.driver(), cuCtxPushCurrent, gpu.context));
  return GpuScope(gpu);
}

GpuScope::~GpuScope() {
  CUcontext context;
  if (gpu)
    gpu->driver().cuCtxPopCurrent(&context);
}

void Gpu::release(const std::function<void()> &work) const {
  if (isStuck())
    return;
  if (auto scope = GpuScope::enter(*this))
    work();
}

Result<Gpu::Memory> Gpu::memory() const {
  TPCRT_ASSIGN(GpuScope scope, GpuScope::enter(*this));
  size_t free = 0, total = 0;
  TPCRT_TRY(TPCRT_CU(functions, cuMemGetInfo, &free, &total));
  return Memory{free, total};
}

Result<bool> Gpu::canReach(const Gpu &peer) const {
  int can = 0;
  TPCRT_TRY(
      TPCRT_CU(functions, cuDeviceCanAccessPeer, &can, device, peer.device));
  return can != 0;
}

Result<void> Gpu::reach(const Gpu &peer) {
  TPCRT_ASSIGN(GpuScope scope, GpuScope::enter(*this));
  CUresult result = functions.cuCtxEnablePeerAccess(peer.context, 0);
  if (result == CUDA_ERROR_PEER_ACCESS_ALREADY_ENABLED)
    return {};
  return functions.check(result, "cuCtxEnablePeerAccess");
}

Result<Buffer> Gpu::allocate(uint64_t bytes, std::string_view what) {
  if (bytes == 0)
    return Buffer();
  TPCRT_ASSIGN(GpuScope scope, GpuScope::enter(*this));
  CUdeviceptr address = 0;
  if (auto result = TPCRT_CU(functions, cuMemAlloc, &address, bytes); !result)
    return fail("{}: {} needs {} bytes: {}", text, what, bytes,
                result.error().message);
  return adopt(reinterpret_cast<void *>(address), bytes, [this](void *address) {
    functions.cuMemFree(reinterpret_cast<CUdeviceptr>(address));
  });
}

Buffer Gpu::adopt(void *address, uint64_t bytes,
                  std::function<void(void *)> free) {
  return Buffer::adopt(address, bytes,
                       [gpu = shared_from_this(), address, free] {
                         gpu->release([&] { free(address); });
                       });
}

Result<Buffer> Gpu::allocatePinned(uint64_t bytes, std::string_view what) {
  if (bytes == 0)
    return Buffer();
  TPCRT_ASSIGN(GpuScope scope, GpuScope::enter(*this));
  void *address = nullptr;
  if (auto result = TPCRT_CU(functions, cuMemHostAlloc, &address, bytes,
                             CU_MEMHOSTALLOC_PORTABLE);
      !result)
    return fail("{}: {} needs {} bytes of pinned host memory: {}", text, what,
                bytes, result.error().message);
  return adopt(address, bytes,
               [this](void *address) { functions.cuMemFreeHost(address); });
}

Result<GpuStream> Gpu::createStream() {
  TPCRT_ASSIGN(GpuScope scope, GpuScope::enter(*this));
  CUstream stream = nullptr;
  TPCRT_TRY(
      TPCRT_CU(functions, cuStreamCreate, &stream, CU_STREAM_NON_BLOCKING));
  return own(stream, &Driver::cuStreamDestroy);
}

Result<GpuEvent> Gpu::createEvent(Timing timing) {
  TPCRT_ASSIGN(GpuScope scope, GpuScope::enter(*this));
  CUevent event = nullptr;
  TPCRT_TRY(TPCRT_CU(functions, cuEventCreate, &event,
                     timing == Timing::On ? CU_EVENT_DEFAULT
                                          : CU_EVENT_DISABLE_TIMING));
  return own(event, &Driver::cuEventDestroy);
}
