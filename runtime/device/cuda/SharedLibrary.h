// A vendor's library that is opened at run time: the program starts where it is
// not installed, and says so where it is needed.
#ifndef TPCRT_DEVICE_CUDA_SHAREDLIBRARY_H
#define TPCRT_DEVICE_CUDA_SHAREDLIBRARY_H

#include "support/Fail.h"

#include <initializer_list>

namespace tpcrt {

class SharedLibrary {
public:
  /// The first of `names` that can be opened, where the system looks and in the
  /// CUDA toolkit's usual place. `install` says what to do where there is none.
  /// It stays open: none of these libraries can be unloaded safely.
  static Result<SharedLibrary> open(std::initializer_list<const char *> names,
                                    const char *install);

  template <class Function>
  Result<void> find(const char *name, Function *&function) const {
    TPCRT_ASSIGN(void *address, symbol(name));
    function = reinterpret_cast<Function *>(address);
    return {};
  }

  /// The same, null where the library has no such function.
  template <class Function>
  void findOptional(const char *name, Function *&function) const {
    function = reinterpret_cast<Function *>(symbolOrNull(name));
  }

private:
  void *symbolOrNull(const char *name) const;
  Result<void *> symbol(const char *name) const;

  void *handle = nullptr;
  std::string name, install;
};

} // namespace tpcrt

/// The name of a function behind the renames of a header (cuMemAlloc is
/// cuMemAlloc_v2).
#define TPCRT_SYMBOL2(function) #function
#define TPCRT_SYMBOL(function) TPCRT_SYMBOL2(function)

/// A member of a table of functions, and what fills it in.
#define TPCRT_DECLARE_FUNCTION(function) decltype(&::function) function = {};
#define TPCRT_FIND_FUNCTION(function)                                          \
  TPCRT_TRY(library.find(TPCRT_SYMBOL(function), table.function));
#define TPCRT_FIND_OPTIONAL_FUNCTION(function)                                 \
  library.findOptional(TPCRT_SYMBOL(function), table.function);

#endif // TPCRT_DEVICE_CUDA_SHAREDLIBRARY_H
