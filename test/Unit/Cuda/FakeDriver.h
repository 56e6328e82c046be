// The functions of the CUDA driver on the fake machine, as a table.
#ifndef TPC_TEST_UNIT_CUDA_FAKEDRIVER_H
#define TPC_TEST_UNIT_CUDA_FAKEDRIVER_H

#include "FakeMachine.h"
#include "device/cuda/Libraries.h"

namespace tpcrt::fake {

Driver driver();

/// The runtime's own kernels (comm/cuda/ReduceKernels.h) as host functions.
void addReduceKernels(Machine &machine);

} // namespace tpcrt::fake

#endif // TPC_TEST_UNIT_CUDA_FAKEDRIVER_H
