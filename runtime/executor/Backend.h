// The devices of one kind that run a module: what differs between executables
// on CPUs and on GPUs. An executable has one, checks what users pass, and lets
// one call at a time through:
//
//   plan -> load -> (run | readState | writeState | resetStates)*
//
// A backend runs the devices of this process; where several processes share the
// mesh, each call is made by all of them.
#ifndef TPCRT_EXECUTOR_BACKEND_H
#define TPCRT_EXECUTOR_BACKEND_H

#include "artifact/Module.h"
#include "tpcrt/Runtime.h"

namespace tpcrt {

class Backend {
public:
  virtual ~Backend() = default;

  /// Plans every program. Allocates no device memory, reads no weights. Returns
  /// the bytes that each device will hold.
  virtual Result<DeviceStatistics> plan() = 0;

  /// Checks that the memory is there, allocates it, reads the weights.
  virtual Result<void> load(const WeightSource &weights) = 0;

  /// Inputs and outputs have the types and shapes of the program's ports.
  virtual Result<void> run(size_t program,
                           const std::vector<HostTensor> &inputs,
                           std::vector<HostTensor> &outputs) = 0;

  /// `value` has the type and shape of the state.
  virtual Result<void> readState(size_t state, HostTensor &value) = 0;
  virtual Result<void> writeState(size_t state, const HostTensor &value) = 0;
  virtual Result<void> resetStates() = 0;

  /// Fills in everything but the times.
  virtual void describe(Statistics &statistics) const = 0;
  virtual std::vector<StepTime> profile() const = 0;
};

/// `module` outlives the backend; `options.storage` is there.
std::unique_ptr<Backend> createCpuBackend(const Module &module,
                                          const LoadOptions &options);
/// An error in a build without CUDA.
Result<std::unique_ptr<Backend>> createCudaBackend(const Module &module,
                                                   const LoadOptions &options);

} // namespace tpcrt

#endif // TPCRT_EXECUTOR_BACKEND_H
