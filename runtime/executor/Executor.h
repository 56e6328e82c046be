// Runs a loaded program on all devices.
//
// A device is a resumable queue of steps, not a thread. Every worker owns the
// devices whose number is its own modulo the number of workers. It runs one
// until it waits for a collective, then the next; a device that waits is polled
// until its operation is done. A device alone never meets a lock.
#ifndef TPCRT_EXECUTOR_EXECUTOR_H
#define TPCRT_EXECUTOR_EXECUTOR_H

#include "executor/LoadedProgram.h"
#include "executor/WorkerPool.h"
#include "tpcrt/HostTensor.h"

namespace tpcrt {

class Executor {
public:
  Executor(WorkerPool &pool, Communicator &communicator,
           const MatmulContext &matmuls, std::chrono::milliseconds deadline)
      : pool(pool), communicator(communicator), matmuls(matmuls),
        deadline(deadline) {}

  /// Inputs and outputs have the types and shapes of the program's ports.
  Result<void> run(LoadedProgram &program,
                   const std::vector<HostTensor> &inputs,
                   std::vector<HostTensor> &outputs);

private:
  struct Device;
  class Worker;

  WorkerPool &pool;
  Communicator &communicator;
  const MatmulContext &matmuls;
  std::chrono::milliseconds deadline;
};

} // namespace tpcrt

#endif // TPCRT_EXECUTOR_EXECUTOR_H
