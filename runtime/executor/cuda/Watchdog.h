// Waits for streams, never without a limit: until their work is done, a
// collective or another process fails, or nothing has moved for as long as the
// deadline says.
//
// What has moved is known by marks: before each collective a device copies a
// number into a word of host memory, 2 * step + 1; with a flight recorder also
// behind it, 2 * step + 2. The recorder learns from the marks, as the watchdog
// sees them, where each device is.
#ifndef TPCRT_EXECUTOR_CUDA_WATCHDOG_H
#define TPCRT_EXECUTOR_CUDA_WATCHDOG_H

#include "comm/cuda/StreamCommunicator.h"
#include "executor/cuda/CudaDevice.h"
#include "failure/FlightRecorder.h"

namespace tpcrt {

class Watchdog {
public:
  /// `communicator`, `processes` and `recorder` may be null, and outlive the
  /// watchdog.
  static Result<std::unique_ptr<Watchdog>>
  create(const Module &module, const std::deque<CudaDevice> &devices,
         StreamCommunicator *communicator, std::chrono::milliseconds deadline,
         const ProcessGroup *processes, FlightRecorder *recorder);

  /// Put the mark of a collective into the streams of all devices.
  Result<void> collectiveStarts(size_t step);
  Result<void> collectiveEnded(size_t step);

  /// Waits for the streams of all devices, which have run `program`, or load
  /// the module if it is null. Gives up after an error.
  Result<void> wait(const Program *program);
  /// Waits between two steps of the program.
  Result<void> waitForSteps(const Program &program) {
    return waitForStreams(&program);
  }

  /// Aborts the collectives, and lets the streams end what can end; GPUs that
  /// go on working all the same are stuck.
  void giveUp();

private:
  Watchdog(const std::deque<CudaDevice> &devices,
           StreamCommunicator *communicator, std::chrono::milliseconds deadline,
           const ProcessGroup *processes, FlightRecorder *recorder)
      : devices(devices), communicator(communicator), deadline(deadline),
        processes(processes), recorder(recorder) {}

  Result<void> mark(uint32_t number);
  Result<void> waitForStreams(const Program *program);
  /// Tells the recorder how far each device has come.
  void follow(const Program &program);
  void follow(const Program &program, size_t device, uint32_t reached);

  /// Whether all streams are idle, or what is wrong.
  Result<bool> poll(const Program *program);
  /// "device 0 at all_reduce (model.mlir:7), device 1 before the first ..."
  std::string position(const Program *program) const;

  const std::deque<CudaDevice> &devices;
  StreamCommunicator *communicator;
  std::chrono::milliseconds deadline;
  const ProcessGroup *processes;
  FlightRecorder *recorder;
  struct Marks {
    Buffer numbers;        // on the GPU: 1, 2, ...
    Buffer reached;        // a word of the host
    uint32_t followed = 0; // what the recorder knows
  };
  std::vector<Marks> marks; // by device
};

} // namespace tpcrt

#endif // TPCRT_EXECUTOR_CUDA_WATCHDOG_H
