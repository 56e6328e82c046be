// Symmetric memory of the fake NCCL: what was allocated, and the windows on it.
// A window is there once all ranks of a communicator have registered as many;
// whoever frees memory or a communicator under a window misuses it.
#ifndef TPC_TEST_UNIT_CUDA_FAKENCCLWINDOWS_H
#define TPC_TEST_UNIT_CUDA_FAKENCCLWINDOWS_H

#include "FakeNccl.h"

#include <optional>

namespace tpcrt::fake {

/// Whether all that `comm` has registered is there; `ranks` are all of its
/// group. The error, if one was wanted for it.
ncclResult_t settleWindows(ncclComm_t comm,
                           const std::vector<ncclComm_t> &ranks);
/// The number of the window of `comm` that holds the range, and the offset in
/// it; nothing if there is none.
std::optional<std::pair<size_t, uint64_t>>
findWindow(ncclComm_t comm, uint64_t address, uint64_t bytes);
/// The communicator ends; in good order it has no windows any more.
void dropWindows(ncclComm_t comm, bool inOrder);
void resetWindows();

} // namespace tpcrt::fake

#endif // TPC_TEST_UNIT_CUDA_FAKENCCLWINDOWS_H
