#include "device/cpu/KernelLibrary.h"

#include "device/cpu/CpuInfo.h"
#include "support/Fail.h"

#include <cstring>
#include <dlfcn.h>
#include <elf.h>
#include <sys/mman.h>
#include <unistd.h>

using namespace tpcrt;

namespace {

Result<const KernelImage *> chooseImage(const Module &module) {
  std::vector<std::string> found;
  for (const std::string &isa : supportedIsas())
    for (const KernelImage &image : module.images)
      if (image.isa == isa)
        return &image;
  for (const KernelImage &image : module.images)
    found.push_back(image.isa);
  return fail("no kernel image for this CPU: expected one of [{}], found [{}]",
              fmt::join(supportedIsas(), ", "), fmt::join(found, ", "));
}

Result<void> checkElf(const KernelImage &image) {
  Elf64_Ehdr header;
  if (image.bytes.size() < sizeof(header))
    return fail("kernel image '{}': {} bytes are not an ELF file", image.isa,
                image.bytes.size());
  std::memcpy(&header, image.bytes.data(), sizeof(header));
  if (std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 ||
      header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_type != ET_DYN ||
      header.e_machine != EM_X86_64)
    return fail("kernel image '{}': expected an x86-64 ELF shared object",
                image.isa);
  return {};
}

/// Loads a shared object that exists in memory only. The descriptor stays open
/// as long as the object is loaded: dlopen takes a path that it has loaded
/// before for the same object, and a number that is in use is not given again.
Result<std::shared_ptr<void>> openImage(const KernelImage &image) {
  int descriptor = ::memfd_create("tpc-kernels", MFD_CLOEXEC);
  if (descriptor < 0)
    return fail("cannot create memory for the kernel image: {}",
                std::strerror(errno));
  auto bytes = image.bytes;
  while (!bytes.empty()) {
    ssize_t written = ::write(descriptor, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR)
      continue;
    if (written <= 0) {
      ::close(descriptor);
      return fail("cannot write the kernel image to memory: {}",
                  std::strerror(errno));
    }
    bytes = bytes.subspan(written);
  }
  std::string path = fmt::format("/proc/self/fd/{}", descriptor);
  void *handle = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!handle) {
    std::string error = ::dlerror();
    ::close(descriptor);
    return fail("cannot load the kernel image '{}': {}", image.isa, error);
  }
  return std::shared_ptr<void>(handle, [descriptor](void *h) {
    ::dlclose(h);
    ::close(descriptor);
  });
}

} // namespace

Result<KernelLibrary> KernelLibrary::load(const Module &module) {
  KernelLibrary library;
  if (module.kernels.empty())
    return library;
  TPCRT_ASSIGN(const KernelImage *image, chooseImage(module));
  TPCRT_TRY(checkElf(*image));
  TPCRT_ASSIGN(library.handle, openImage(*image));
  library.imageIsa = image->isa;
  for (const std::string &name : module.kernels) {
    void *symbol = ::dlsym(library.handle.get(), name.c_str());
    if (!symbol)
      return fail("kernel image '{}' has no kernel '{}'", image->isa, name);
    library.functions.push_back(reinterpret_cast<KernelFunction>(symbol));
  }
  return library;
}
