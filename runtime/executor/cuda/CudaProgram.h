// A program bound to the devices of this process. The first run puts the steps
// into the devices' streams one by one; the second captures them as a graph,
// which it and all later runs replay.
//
//   inputs -> pinned memory -> arenas, on each device's stream
//   all streams -> origin (device 0's) -> graph -> all streams
//   arenas -> pinned memory -> outputs
#ifndef TPCRT_EXECUTOR_CUDA_CUDAPROGRAM_H
#define TPCRT_EXECUTOR_CUDA_CUDAPROGRAM_H

#include "device/cuda/Blas.h"
#include "device/cuda/KernelModule.h"
#include "executor/cuda/CudaPorts.h"
#include "executor/cuda/Watchdog.h"
#include "tpcrt/Runtime.h"

namespace tpcrt {

/// What the programs of an executable have in common.
struct CudaShared {
  struct OnGpu {
    KernelModule kernels;
    std::shared_ptr<Blas> blas; // null if no program has a product
    std::shared_ptr<const SharedConstants> constants;
  };

  DeviceDivision division;
  std::deque<CudaDevice> devices; // of this process, in order
  std::map<const Gpu *, OnGpu> gpus;
  std::unique_ptr<StreamCommunicator> communicator; // null if it needs none
  std::unique_ptr<Watchdog> watchdog;
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
  Result<void> createEvents();

  Result<void> enqueueSteps();
  Result<void> enqueueStep(size_t index);
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
  std::shared_ptr<CUgraphExec_st> graph;
  uint64_t runs = 0;
  std::vector<GpuEvent> stepEvents; // of device 0, if its steps are measured
  std::vector<double> stepMicroseconds;
};

} // namespace tpcrt

#endif // TPCRT_EXECUTOR_CUDA_CUDAPROGRAM_H
