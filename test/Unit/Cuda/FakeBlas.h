// cuBLASLt on the fake machine: products computed in the streams, by plain
// loops. It takes what the library takes: 16-byte aligned or not, but never
// less aligned than the algorithm was chosen for.
#ifndef TPC_TEST_UNIT_CUDA_FAKEBLAS_H
#define TPC_TEST_UNIT_CUDA_FAKEBLAS_H

#include "FakeMachine.h"
#include "device/cuda/Blas.h"

namespace tpcrt::fake {

BlasLibrary blas();
/// How often the library was asked for an algorithm.
uint64_t heuristicCalls();

} // namespace tpcrt::fake

#endif // TPC_TEST_UNIT_CUDA_FAKEBLAS_H
