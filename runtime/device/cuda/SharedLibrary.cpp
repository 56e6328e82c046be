#include "device/cuda/SharedLibrary.h"

#include <dlfcn.h>

using namespace tpcrt;

Result<SharedLibrary>
SharedLibrary::open(std::initializer_list<const char *> names,
                    const char *install) {
  SharedLibrary library;
  library.install = install;
  std::string reasons;
  for (const char *name : names)
    for (const char *folder : {"", "/usr/local/cuda/lib64/"}) {
      std::string path = std::string(folder) + name;
      library.handle = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
      if (library.handle) {
        library.name = path;
        return library;
      }
      reasons += fmt::format("{}{}", reasons.empty() ? "" : "; ", ::dlerror());
    }
  return fail("cannot open {} ({}): {}", *names.begin(), reasons, install);
}

void *SharedLibrary::symbolOrNull(const char *symbolName) const {
  return ::dlsym(handle, symbolName);
}

Result<void *> SharedLibrary::symbol(const char *symbolName) const {
  if (void *address = symbolOrNull(symbolName))
    return address;
  return fail("{} has no function '{}', it is too old: {}", name, symbolName,
              install);
}
