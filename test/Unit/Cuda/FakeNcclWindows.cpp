#include "FakeNcclWindows.h"

#include "FakeMachine.h"

#include <algorithm>

using namespace tpcrt;
using namespace tpcrt::fake;

namespace {

struct Window {
  uint64_t address, bytes;
  ncclWindow_t *result; // null once it is there
  ncclWindow_t handle;  // null: it stays away
};

std::set<uint64_t> memory;
std::map<ncclComm_t, std::vector<Window>> windows; // in order of registration
std::map<ncclComm_t, ncclResult_t> errors;
std::optional<WindowFault> fault;
uint64_t registrations = 0, allocations = 0;

} // namespace

void tpcrt::fake::resetWindows() {
  memory.clear();
  windows.clear();
  errors.clear();
  fault.reset();
  registrations = allocations = 0;
}

void tpcrt::fake::setWindowFault(WindowFault wanted) { fault = wanted; }

ncclResult_t tpcrt::fake::settleWindows(ncclComm_t comm,
                                        const std::vector<ncclComm_t> &ranks) {
  if (errors.count(comm))
    return errors[comm];
  std::vector<Window> &mine = windows[comm];
  for (size_t i = 0; i < mine.size(); ++i) {
    if (!mine[i].result)
      continue;
    for (ncclComm_t rank : ranks) {
      if (windows[rank].size() <= i)
        return ncclInProgress;
      if (windows[rank][i].bytes != mine[i].bytes)
        machine().misused("ranks register windows of different sizes");
    }
    *std::exchange(mine[i].result, nullptr) = mine[i].handle;
  }
  return ncclSuccess;
}

std::optional<std::pair<size_t, uint64_t>>
tpcrt::fake::findWindow(ncclComm_t comm, uint64_t address, uint64_t bytes) {
  const std::vector<Window> &mine = windows[comm];
  for (size_t i = 0; i < mine.size(); ++i)
    if (mine[i].address <= address &&
        address + bytes <= mine[i].address + mine[i].bytes)
      return std::pair(i, address - mine[i].address);
  return std::nullopt;
}

void tpcrt::fake::dropWindows(ncclComm_t comm, bool inOrder) {
  if (inOrder && !windows[comm].empty())
    machine().misused("a communicator is destroyed before its windows");
  windows.erase(comm);
  errors.erase(comm);
}

#define LOCK() std::lock_guard lock(machine().mutex)
#define ENTER(function)                                                        \
  LOCK();                                                                      \
  if (machine().called(#function) != CUDA_SUCCESS ||                           \
      machine().illegalInCapture(#function) != CUDA_SUCCESS)                   \
  return ncclSystemError

extern "C" {

ncclResult_t ncclMemAlloc(void **address, size_t bytes) {
  ENTER(ncclMemAlloc);
  Machine &m = machine();
  if (fault && fault->kind == WindowFault::NoMemory &&
      ++allocations == fault->number)
    return ncclSystemError;
  if (m.allocatedBytes(m.currentGpu()) + bytes > m.settings.memoryBytes)
    return ncclSystemError;
  uint64_t got = m.allocate(bytes, /*pinned=*/false);
  memory.insert(got);
  *address = reinterpret_cast<void *>(got);
  return ncclSuccess;
}

ncclResult_t ncclMemFree(void *pointer) {
  LOCK();
  auto address = reinterpret_cast<uint64_t>(pointer);
  machine().calls.push_back("ncclMemFree");
  if (memory.erase(address) == 0)
    machine().misused("ncclMemFree of what ncclMemAlloc did not give");
  for (auto &[comm, mine] : windows)
    if (std::ranges::find(mine, address, &Window::address) != mine.end())
      machine().misused("memory is freed before the windows on it");
  machine().release(address);
  return ncclSuccess;
}

ncclResult_t ncclCommWindowRegister(ncclComm_t comm, void *pointer,
                                    size_t bytes, ncclWindow_t *window,
                                    int flags) {
  ENTER(ncclCommWindowRegister);
  auto address = reinterpret_cast<uint64_t>(pointer);
  if (flags != NCCL_WIN_COLL_SYMMETRIC)
    machine().misused("a window that is not symmetric");
  if (!memory.count(address))
    machine().misused("a window on memory that is not ncclMemAlloc's");
  machine().checkRange("a window", address, bytes);
  *window = nullptr;
  bool fails = fault && ++registrations == fault->number;
  if (fails && fault->kind == WindowFault::Refused)
    return ncclInvalidArgument;
  if (fails && fault->kind == WindowFault::Failed)
    errors[comm] = ncclSystemError;
  bool isMissing = fails && fault->kind == WindowFault::Unsupported;
  windows[comm].push_back(
      {address, bytes, window,
       isMissing ? nullptr : machine().newHandle<ncclWindow_t>()});
  return ncclInProgress;
}

ncclResult_t ncclCommWindowDeregister(ncclComm_t comm, ncclWindow_t window) {
  ENTER(ncclCommWindowDeregister);
  std::vector<Window> &mine = windows[comm];
  auto found = std::ranges::find(mine, window, &Window::handle);
  if (found == mine.end()) {
    machine().misused("a window is deregistered that its communicator has not");
    return ncclInvalidArgument;
  }
  mine.erase(found);
  return ncclSuccess;
}

} // extern "C"
