// Stands in for cuDNN in a build without its frontend.
#include "device/cuda/AttentionLibrary.h"

using namespace tpcrt;

Result<std::shared_ptr<AttentionLibrary>>
tpcrt::openCudnn(const std::shared_ptr<Gpu> &) {
  return fail("this build has no cuDNN: build with -DTPC_ENABLE_CUDNN=ON");
}
