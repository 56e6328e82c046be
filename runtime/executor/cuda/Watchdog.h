// Waits for streams, never without a limit: until their work is done, a
// collective or another process fails, or nothing has moved for as long as the
// deadline says.
//
// What has moved is known by marks: before each collective a device copies the
// number of the step into a word of host memory.
#ifndef TPCRT_EXECUTOR_CUDA_WATCHDOG_H
#define TPCRT_EXECUTOR_CUDA_WATCHDOG_H

#include "comm/cuda/StreamCommunicator.h"
#include "executor/cuda/CudaDevice.h"

namespace tpcrt {

class Watchdog {
public:
  /// `communicator` and `processes` may be null, and outlive the watchdog.
  static Result<std::unique_ptr<Watchdog>>
  create(const Module &module, const std::deque<CudaDevice> &devices,
         StreamCommunicator *communicator, std::chrono::milliseconds deadline,
         const ProcessGroup *processes);

  /// Puts the mark of a step into the streams of all devices.
  Result<void> mark(size_t step);

  /// Waits for the streams of all devices, which run `program`, or load the
  /// module if it is null. Gives up after an error.
  Result<void> wait(const Program *program);

  /// Aborts the collectives, and lets the streams end what can end; GPUs that
  /// go on working all the same are stuck.
  void giveUp();

private:
  Watchdog(const std::deque<CudaDevice> &devices,
           StreamCommunicator *communicator, std::chrono::milliseconds deadline,
           const ProcessGroup *processes)
      : devices(devices), communicator(communicator), deadline(deadline),
        processes(processes) {}

  /// Whether all streams are idle, or what is wrong.
  Result<bool> poll(const Program *program);
  /// "device 0 at all_reduce (model.mlir:7), device 1 before the first ..."
  std::string position(const Program *program) const;

  const std::deque<CudaDevice> &devices;
  StreamCommunicator *communicator;
  std::chrono::milliseconds deadline;
  const ProcessGroup *processes;
  struct Marks {
    Buffer numbers; // on the GPU: 1, 2, ... for each step
    Buffer reached; // a word of the host
  };
  std::vector<Marks> marks; // by device
};

} // namespace tpcrt

#endif // TPCRT_EXECUTOR_CUDA_WATCHDOG_H
