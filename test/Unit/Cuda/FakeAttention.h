// cuDNN's attention on the fake machine: computed in the streams, by plain
// loops.
#ifndef TPC_TEST_UNIT_CUDA_FAKEATTENTION_H
#define TPC_TEST_UNIT_CUDA_FAKEATTENTION_H

#include "device/cuda/AttentionLibrary.h"

namespace tpcrt::fake {

Result<std::shared_ptr<AttentionLibrary>>
attention(const std::shared_ptr<Gpu> &gpu);

} // namespace tpcrt::fake

#endif // TPC_TEST_UNIT_CUDA_FAKEATTENTION_H
