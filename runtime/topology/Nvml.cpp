#include "topology/Nvml.h"

using namespace tpcrt;

Result<Nvml> Nvml::load() {
  TPCRT_ASSIGN(SharedLibrary library,
               SharedLibrary::open({"libnvidia-ml.so.1"},
                                   "install the driver of an NVIDIA GPU; in a "
                                   "container, start it with its GPUs"));
  Nvml table;
  TPCRT_NVML_FUNCTIONS(TPCRT_FIND_FUNCTION)
  return table;
}
