#include "device/cuda/KernelModule.h"

#include <charconv>

using namespace tpcrt;

namespace {

/// 80 of "sm_80"; nothing for anything else, and for images of one kind of GPU
/// alone ("sm_90a").
std::optional<int> capabilityOf(std::string_view isa) {
  constexpr std::string_view prefix = "sm_";
  if (!isa.starts_with(prefix))
    return std::nullopt;
  isa.remove_prefix(prefix.size());
  int value = 0;
  auto [end, error] =
      std::from_chars(isa.data(), isa.data() + isa.size(), value);
  if (error != std::errc() || end != isa.data() + isa.size())
    return std::nullopt;
  return value;
}

} // namespace

const KernelImage *tpcrt::chooseImage(const std::vector<KernelImage> &images,
                                      int capability) {
  const KernelImage *best = nullptr;
  int bestCapability = 0;
  for (const KernelImage &image : images)
    if (auto found = capabilityOf(image.isa);
        found && *found <= capability && *found > bestCapability) {
      best = &image;
      bestCapability = *found;
    }
  return best;
}

Result<KernelModule> KernelModule::load(const std::shared_ptr<Gpu> &gpu,
                                        const Module &module) {
  if (module.kernels.empty())
    return KernelModule();
  const KernelImage *image = chooseImage(module.images, gpu->capability());
  if (!image) {
    std::vector<std::string_view> isas;
    for (const KernelImage &other : module.images)
      isas.push_back(other.isa);
    return fail("expected kernels for {} of compute capability sm_{} or less, "
                "found [{}]; compile it for this GPU",
                gpu->name(), gpu->capability(), fmt::join(isas, ", "));
  }
  if (image->bytes.empty() || image->bytes.back() != std::byte(0))
    return fail("the kernel image for {} does not end with a zero: the "
                "artifact is damaged",
                image->isa);
  TPCRT_ASSIGN(KernelModule kernels,
               load(gpu, reinterpret_cast<const char *>(image->bytes.data()),
                    module.kernels));
  kernels.imageIsa = image->isa;
  return kernels;
}

Result<KernelModule> KernelModule::load(const std::shared_ptr<Gpu> &gpu,
                                        const char *ptx,
                                        const std::vector<std::string> &names) {
  const Driver &driver = gpu->driver();
  TPCRT_ASSIGN(GpuScope scope, GpuScope::enter(*gpu));
  char log[4096] = {};
  CUjit_option options[] = {CU_JIT_ERROR_LOG_BUFFER,
                            CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES};
  void *values[] = {log, reinterpret_cast<void *>(sizeof(log))};
  CUmodule module = nullptr;
  if (auto result = TPCRT_CU(driver, cuModuleLoadDataEx, &module, ptx, 2,
                             options, values);
      !result)
    return fail("{} cannot load the kernels: {}\n{}", gpu->name(),
                result.error().message, log);
  KernelModule kernels;
  kernels.handle = gpu->own(module, &Driver::cuModuleUnload);
  for (const std::string &name : names) {
    CUfunction function = nullptr;
    if (auto result = TPCRT_CU(driver, cuModuleGetFunction, &function, module,
                               name.c_str());
        !result)
      return fail("kernel '{}': {}", name, result.error().message);
    kernels.functions.push_back(function);
  }
  return kernels;
}

Result<void> tpcrt::launch(const Gpu &gpu, CUfunction function, uint64_t blocks,
                           uint32_t threads, CUstream stream,
                           void **parameters) {
  if (blocks == 0)
    return {};
  return TPCRT_CU(gpu.driver(), cuLaunchKernel, function, blocks, 1, 1, threads,
                  1, 1, 0, stream, parameters, nullptr);
}
