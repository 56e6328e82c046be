// A program bound to the devices of this process. The first run puts the steps
// into the devices' streams one by one; the second captures them as a graph,
// which it and all later runs replay, unless something happens between steps:
// they are measured, waited for, looked at, or a fault is wanted.
//
//   inputs -> pinned memory -> arenas, on each device's stream
//   all streams -> origin (device 0's) -> graph -> all streams
//   arenas -> pinned memory -> outputs
#ifndef TPCRT_EXECUTOR_CUDA_CUDAPROGRAM_H
#define TPCRT_EXECUTOR_CUDA_CUDAPROGRAM_H

#include "device/cuda/AttentionLibrary.h"
#include "device/cuda/Blas.h"
#include "device/cuda/KernelModule.h"
#include "executor/cuda/CudaPorts.h"
#include "executor/cuda/Watchdog.h"
#include "failure/NumericsWatch.h"
#include "tpcrt/Runtime.h"

namespace tpcrt {

/// What the programs of an executable have in common.
struct CudaShared {
  struct OnGpu {
    KernelModule kernels;
    std::shared_ptr<Blas> blas; // null if no program has a product
    /// Null where generated kernels compute all attentions.
    std::shared_ptr<AttentionLibrary> attention;
    KernelModule attentionLengths; // with it
    std::shared_ptr<const SharedConstants> constants;
  };

  DeviceDivision division;
  std::deque<CudaDevice> devices; // of this process, in order
  std::map<const Gpu *, OnGpu> gpus;
  std::unique_ptr<StreamCommunicator> communicator; // null if it needs none
  std::unique_ptr<Watchdog> watchdog;
  uint64_t operations = 0; // collectives that were enqueued, for faults
};

/// Whether the devices run every step of the program, as far as is known
/// without a GPU.
Result<void> checkCudaProgram(const Program &program);

class CudaProgram {
public:
  /// Memory has its addresses; `shared` outlives the program.
  static Result<std::unique_ptr<CudaProgram>> bind(const Module &module,
                                                   const Program &program,
                                                   CudaShared &shared,
                                                   const LoadOptions &options);

  Result<void> run(const std::vector<HostTensor> &inputs,
                   std::vector<HostTensor> &outputs);

  void profile(std::vector<StepTime> &times) const;

private:
  CudaProgram(const Program &program, CudaShared &shared,
              const LoadOptions &options)
      : program(program), shared(shared), options(options) {}

  struct BoundStep {
    std::vector<std::unique_ptr<GpuOperation>> operations; // by device
    std::optional<uint32_t> collective; // the communicator's number
  };
  Result<void> bindStep(const Step &step, BoundStep &bound);
  Result<std::unique_ptr<GpuOperation>> bindStep(const StepBody &step,
                                                 const CudaDevice &device);
  /// By the library; null if that does not compute it.
  Result<std::unique_ptr<GpuOperation>> bindAttention(const AttentionStep &step,
                                                      const CudaDevice &device);
  Result<void> createEvents();

  /// Whether every step is waited for before the next.
  bool waitsForSteps() const {
    return options.syncSteps || options.checkNumerics;
  }
  bool usesGraph() const;
  Result<void> enqueueSteps();
  Result<void> enqueueStep(size_t index);
  Result<void> enqueueCollective(size_t index);
  Result<void> waitForStep(size_t index);
  /// Looks for NaN and infinity in what every device has made of the step.
  Result<void> checkNumerics(size_t index) const;
  Result<void> recordStepEvent(size_t index);
  Result<void> capture();
  Result<void> replay();
  /// The first device's stream waits for all others, or they for it.
  Result<void> joinStreams();
  Result<void> forkStreams();
  Result<void> addStepTimes();

  const Program &program;
  CudaShared &shared;
  LoadOptions options;
  std::vector<BoundStep> steps;
  std::optional<CudaPorts> ports;
  std::vector<NumericsWatch> watches; // by device, if numerics are checked
  std::shared_ptr<CUgraphExec_st> graph;
  uint64_t runs = 0;
  std::vector<GpuEvent> stepEvents; // of device 0, if its steps are measured
  std::vector<double> stepMicroseconds;
};

} // namespace tpcrt

#endif // TPCRT_EXECUTOR_CUDA_CUDAPROGRAM_H
