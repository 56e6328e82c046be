// All fakes at once, where the runtime looks for the vendor's libraries.
#ifndef TPC_TEST_UNIT_CUDA_FAKELIBRARIES_H
#define TPC_TEST_UNIT_CUDA_FAKELIBRARIES_H

#include "FakeMachine.h"

namespace tpcrt::fake {

/// A new machine, whose libraries the runtime takes until removeLibraries.
Machine &installLibraries(Settings settings = {});
void removeLibraries();

} // namespace tpcrt::fake

#endif // TPC_TEST_UNIT_CUDA_FAKELIBRARIES_H
