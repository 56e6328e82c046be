// Runs a loaded program on the devices of this process.
//
// A device is a resumable queue of steps, not a thread. Every worker owns the
// devices whose number is its own modulo the number of workers. It runs one
// until it waits for a collective, then the next; a device that waits is polled
// until its operation is done. A device alone never meets a lock.
#ifndef TPCRT_EXECUTOR_EXECUTOR_H
#define TPCRT_EXECUTOR_EXECUTOR_H

#include "executor/LoadedProgram.h"
#include "executor/WorkerPool.h"
#include "failure/FlightRecorder.h"
#include "tpcrt/Fault.h"
#include "tpcrt/HostTensor.h"

namespace tpcrt {

class Executor {
public:
  struct Options {
    std::chrono::milliseconds deadline;
    std::vector<Fault> faults;
    uint32_t rank = 0;
  };

  Executor(WorkerPool &pool, Communicator &communicator,
           const MatmulContext &matmuls, Options options)
      : pool(pool), communicator(communicator), matmuls(matmuls),
        options(std::move(options)) {}

  /// Inputs and outputs have the types and shapes of the program's ports.
  Result<void> run(LoadedProgram &program, FlightRecorder &recorder,
                   const std::vector<HostTensor> &inputs,
                   std::vector<HostTensor> &outputs);

private:
  struct Device;
  class Worker;

  WorkerPool &pool;
  Communicator &communicator;
  const MatmulContext &matmuls;
  Options options;
};

} // namespace tpcrt

#endif // TPCRT_EXECUTOR_EXECUTOR_H
