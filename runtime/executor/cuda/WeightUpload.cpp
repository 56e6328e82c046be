#include "executor/cuda/WeightUpload.h"

#include <thread>

using namespace tpcrt;

namespace {
constexpr uint64_t kStageBytes = 16 << 20;
} // namespace

Result<std::unique_ptr<WeightUpload>>
WeightUpload::create(const std::shared_ptr<Gpu> &gpu, GpuStream stream,
                     std::chrono::milliseconds deadline) {
  std::unique_ptr<WeightUpload> upload(
      new WeightUpload(gpu, std::move(stream), deadline));
  for (Stage &stage : upload->stages) {
    TPCRT_ASSIGN(stage.memory,
                 gpu->allocatePinned(kStageBytes, "loading weights"));
    TPCRT_ASSIGN(stage.copied, gpu->createEvent());
  }
  return upload;
}

WeightUpload::~WeightUpload() { finish(); }

Result<void> WeightUpload::wait(Stage &stage) {
  if (!stage.busy)
    return {};
  TPCRT_ASSIGN(GpuScope scope, GpuScope::enter(*gpu));
  auto end = std::chrono::steady_clock::now() + deadline;
  while (true) {
    CUresult result = gpu->driver().cuEventQuery(stage.copied.get());
    if (result == CUDA_SUCCESS)
      break;
    if (result != CUDA_ERROR_NOT_READY)
      return gpu->driver().check(result, "loading weights");
    if (std::chrono::steady_clock::now() > end) {
      gpu->setStuck(); // it may still read the pinned memory
      return fail("{}: weights are not copied after {} s", gpu->name(),
                  double(deadline.count()) / 1000);
    }
    std::this_thread::yield();
  }
  stage.busy = false;
  return {};
}

Result<void> WeightUpload::finish() {
  for (Stage &stage : stages)
    TPCRT_TRY(wait(stage));
  return {};
}

Result<void> WeightUpload::upload(const Module &module,
                                  const Parameter &parameter,
                                  const WeightSource &weights, uint64_t device,
                                  const Buffer &target, LoadCounts &counts) {
  uint64_t size = byteSize(parameter.type), offset = 0;
  for (const BlockWindow &window :
       cutBlock(parameter.blockShape(), kStageBytes / size)) {
    Stage &stage = stages[next];
    next = (next + 1) % stages.size();
    TPCRT_TRY(wait(stage));
    readWindow(module, parameter, weights, device, window, stage.memory.data(),
               counts);
    uint64_t bytes = window.elements() * size;
    TPCRT_ASSIGN(GpuScope scope, GpuScope::enter(*gpu));
    TPCRT_TRY(TPCRT_CU(gpu->driver(), cuMemcpyHtoDAsync,
                       deviceAddress(target) + offset, stage.memory.data(),
                       bytes, stream.get()));
    stage.busy = true;
    TPCRT_TRY(TPCRT_CU(gpu->driver(), cuEventRecord, stage.copied.get(),
                       stream.get()));
    offset += bytes;
  }
  releaseSources(parameter, weights);
  return {};
}
