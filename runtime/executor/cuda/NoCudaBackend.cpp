// Stands in for the CUDA device in a build without it.
#include "executor/Backend.h"
#include "support/Fail.h"

using namespace tpcrt;

bool tpcrt::hasCuda() { return false; }

Result<std::unique_ptr<Backend>> tpcrt::createCudaBackend(const Module &,
                                                          const LoadOptions &) {
  return fail("it was compiled for GPUs, which this build does not run; build "
              "with -DTPC_ENABLE_CUDA=ON, or compile it for the device 'cpu'");
}
