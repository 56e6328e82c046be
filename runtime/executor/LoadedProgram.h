// A program with everything in it resolved: kernels to functions, buffers to
// addresses, collectives to the communicator's numbers.
#ifndef TPCRT_EXECUTOR_LOADEDPROGRAM_H
#define TPCRT_EXECUTOR_LOADEDPROGRAM_H

#include "comm/Communicator.h"
#include "device/cpu/Attention.h"
#include "device/cpu/DeviceMemory.h"
#include "device/cpu/GroupedMatmul.h"
#include "device/cpu/KernelLibrary.h"
#include "device/cpu/Matmul.h"
#include "executor/Transfer.h"
#include "executor/WholeGather.h"
#include "failure/NumericsWatch.h"

#include <deque>

namespace tpcrt {

/// A step as the executor sees it, the same for all devices.
struct LoadedStep {
  enum class Kind : uint8_t {
    Kernel,
    Matmul,
    GroupedMatmul,
    Attention,
    Collective
  };
  Kind kind = Kind::Kernel;
  /// Kernel, Collective: first of its addresses in DeviceProgram::pointers.
  /// Others: its number among those of its kind in DeviceProgram.
  uint32_t first = 0;
  uint32_t collective = 0; // the communicator's number
  KernelFunction function = nullptr;
  int64_t tiles = 0;
  bool parallel = false; // a kernel with work for more than one thread
};

/// What differs between devices.
struct DeviceProgram {
  std::vector<void *> pointers;
  std::vector<DeviceMatmul> matmuls;
  std::vector<GroupedMatmul::Operands> groupedMatmuls;
  std::vector<Attention::Operands> attentions;
  std::byte *scratch = nullptr; // for one step at a time
  std::vector<BlockTransfer> inputs;
  std::vector<BlockTransfer> outputs; // see LoadedProgram::gathers
  std::optional<NumericsWatch> watch;
};

struct LoadedProgram {
  const Program *program = nullptr;
  std::vector<LoadedStep> steps;
  std::deque<Matmul> matmuls; // in the order of the steps
  std::vector<GroupedMatmul> groupedMatmuls;
  std::vector<Attention> attentions;
  std::vector<WholeGather> gathers;   // by output
  uint64_t firstDevice = 0;           // of this process
  std::vector<DeviceProgram> devices; // of this process
  /// Per step what it took on device 0 in `runs` runs, if it is measured.
  std::vector<std::chrono::nanoseconds> stepTimes;
  uint64_t runs = 0;

  /// The phase before memory is allocated: plans the matmuls and attentions
  /// for `threads` threads, and registers the collectives.
  static Result<LoadedProgram>
  plan(const Program &program, const Mesh &mesh, const DeviceDivision &division,
       MatmulContext &matmuls, Communicator &communicator, unsigned threads);

  void bindKernels(const KernelLibrary &kernels);
  /// Binds the program to a device's memory; once per device, in order.
  void bind(const Module &module, const MatmulContext &context, uint64_t device,
            DeviceMemory &memory, const SharedConstants &constants,
            bool checkNumerics = false);

  /// Kind and implementation of a step, for reports.
  std::pair<std::string, std::string> describeStep(size_t index) const;
  /// Memory that its steps need besides their operands.
  uint64_t scratchBytes() const;

  /// Marks the parameters that some step reads as they lie.
  void markUnpackedParameters(std::vector<bool> &parameters) const;
};

} // namespace tpcrt

#endif // TPCRT_EXECUTOR_LOADEDPROGRAM_H
