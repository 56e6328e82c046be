#include "device/cuda/Driver.h"

using namespace tpcrt;

Result<Driver> Driver::load() {
  TPCRT_ASSIGN(SharedLibrary library,
               SharedLibrary::open({"libcuda.so.1"},
                                   "install the driver of an NVIDIA GPU, or "
                                   "compile for the device 'cpu'"));
  Driver table;
  TPCRT_DRIVER_FUNCTIONS(TPCRT_FIND_FUNCTION)
  TPCRT_TRY(table.initialize());
  return table;
}

Result<void> Driver::initialize() const {
  CUresult result = cuInit(0);
  if (result == CUDA_ERROR_STUB_LIBRARY)
    return fail("found the CUDA toolkit's stub of libcuda.so.1 instead of a "
                "driver: install the driver of an NVIDIA GPU, and take the "
                "toolkit's folder 'stubs' out of LD_LIBRARY_PATH");
  if (result == CUDA_ERROR_NO_DEVICE)
    return fail("the driver finds no NVIDIA GPU: run it where there is one "
                "that CUDA_VISIBLE_DEVICES does not hide, or compile for the "
                "device 'cpu'");
  return check(result, "cuInit");
}

Result<void> Driver::check(CUresult result, const char *function) const {
  if (result == CUDA_SUCCESS)
    return {};
  const char *name = nullptr, *text = nullptr;
  cuGetErrorName(result, &name);
  cuGetErrorString(result, &text);
  return fail("{}: {} ({})", function, text ? text : "unknown error",
              name ? name : std::to_string(result));
}
