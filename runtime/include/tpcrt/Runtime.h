// Loads artifacts and runs their programs.
//
//   auto weights = tpcrt::WeightSource::open("model.safetensors");
//   auto executable = tpcrt::Executable::load("model.tpcx", *weights);
//   auto outputs = (*executable)->run("main", {input});
#ifndef TPCRT_RUNTIME_H
#define TPCRT_RUNTIME_H

#include "tpcrt/Artifact.h"
#include "tpcrt/Error.h"
#include "tpcrt/Fault.h"
#include "tpcrt/HostTensor.h"
#include "tpcrt/Placement.h"
#include "tpcrt/ProcessGroup.h"
#include "tpcrt/Safetensors.h"

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace tpcrt {

/// Executables that are loaded with the same storage share the parameter
/// blocks, packed weights and states that are the same in both (name, type,
/// shape and placement), and keep the values of those states. They must be of
/// one mesh and one set of weights, must be loaded one after the other, and
/// those that share states must not run at the same time.
class SharedStorage;
std::shared_ptr<SharedStorage> createSharedStorage();

struct LoadOptions {
  /// Threads for all devices together; 0: one per core.
  unsigned threads = 0;
  /// A run fails when nothing moves for this long while devices wait for each
  /// other. (A deadlock among virtual devices is found at once, and a kernel
  /// that is running is not interrupted.)
  std::chrono::milliseconds deadline{60000};
  /// Measures every step of device 0, see Executable::profile.
  bool profile = false;
  /// Null: nothing is shared.
  std::shared_ptr<SharedStorage> storage;
  /// GPUs: products of f32 round their operands to 10 bits of mantissa.
  bool tf32 = false;
  /// GPUs: captures a program's second run as a graph and replays it.
  bool cudaGraphs = true;
  /// GPUs: small all-reduces read memory of peers where that is possible.
  bool peerMemory = true;
  /// GPUs: memory of collectives is registered with NCCL where that is
  /// possible.
  bool symmetricMemory = true;
  /// GPUs: waits for every step before the next, so that an error names its
  /// step. (CPUs run one step after the other in any case.)
  bool syncSteps = false;
  /// Null: this process runs all devices. Else the devices are divided evenly
  /// over the processes of the group, in order, and all processes make the same
  /// calls with the same arguments in the same order; each gets whole outputs.
  std::shared_ptr<ProcessGroup> processes;
  Transport transport = Transport::Auto;
  /// Where each process writes what its devices did last when a run fails
  /// (rank-<rank>.json, for diagnose); empty: nowhere.
  std::string flightFolder;
  /// Ends a run with an error at the first step that gives a NaN or infinity.
  /// Where a mesh does not divide a dimension, that may be in padding. On GPUs
  /// as `syncSteps`.
  bool checkNumerics = false;
  std::vector<Fault> faults;
};

/// Where device 0 spent the runs of a program so far.
struct StepTime {
  std::string program;
  // "kernel", "matmul", "grouped_matmul", "attention", "collective"
  std::string kind;
  std::string name; // of the operations that it computes
  std::string implementation;
  uint64_t runs = 0;
  /// Of all runs. A collective's includes waiting for the other devices, and
  /// where workers run several devices, the others' steps meanwhile.
  double microseconds = 0;
};

/// An input, an output or a state, seen from outside: a whole tensor.
struct TensorInfo {
  std::string name;
  ElementType type = ElementType::F32;
  std::vector<uint64_t> shape;
  Placement placement; // on the mesh
};

struct ProgramInfo {
  std::string name;
  std::vector<TensorInfo> inputs;
  std::vector<TensorInfo> outputs;
  uint64_t kernelSteps = 0;
  uint64_t matmulSteps = 0; // grouped ones included
  uint64_t attentionSteps = 0;
  uint64_t collectiveSteps = 0;
  uint64_t collectiveBytes = 0; // sent by one device in one run
};

/// Bytes of one device.
struct DeviceStatistics {
  uint64_t weightBytes = 0; // parameter blocks that are kept as they lie
  uint64_t packedBytes = 0; // weights in the matmul library's format
  uint64_t stateBytes = 0;
  uint64_t arenaBytes = 0;
  uint64_t scratchBytes = 0;
  uint64_t sharedBytes = 0; // of weights, packed and states: were there before
  uint64_t loadBytes = 0;   // of stored tensors that loading asked for
  uint64_t loadPages = 0;   // of 4096 bytes that it touched
};

struct Statistics {
  std::vector<DeviceStatistics> devices;
  uint64_t constantBytes = 0; // shared by all devices
  std::string kernelIsa;      // of the loaded kernel image; empty without one
  /// On GPUs, where collectives read and write: "symmetric", or "plain" and
  /// why; empty without collectives and on CPUs.
  std::string collectiveMemory;
  unsigned workers = 0; // threads that run devices
  unsigned threadsPerWorker = 0;
  double loadMs = 0;
  double lastRunMs = 0;
};

/// As JSON objects.
std::string toJson(const ProgramInfo &program);
std::string toJson(const Statistics &statistics);

/// Whether this build runs what is compiled for GPUs.
bool hasCuda();

class Executable {
public:
  static Result<std::unique_ptr<Executable>>
  load(ArtifactBytes artifact, WeightSource weights, LoadOptions options = {});
  static Result<std::unique_ptr<Executable>>
  load(const std::string &path, WeightSource weights, LoadOptions options = {});
  ~Executable();

  /// The bytes that load allocates on each device, known without weights and
  /// without allocating them; the artifact may lack kernel images.
  static Result<DeviceStatistics> planMemory(ArtifactBytes artifact,
                                             LoadOptions options = {});

  const Mesh &mesh() const;
  const std::vector<ProgramInfo> &programs() const;
  /// By name, or null.
  const ProgramInfo *findProgram(std::string_view name) const;
  const std::vector<TensorInfo> &states() const;

  /// Runs `program` on all devices. Inputs in the order of its inputs. Calls
  /// from several threads take turns. After an error, states hold a mixture of
  /// old and new values.
  Result<std::vector<HostTensor>> run(std::string_view program,
                                      const std::vector<HostTensor> &inputs);

  /// The same into given outputs, which have the types and shapes of the
  /// program's outputs. They are unspecified after an error.
  Result<void> runInto(std::string_view program,
                       const std::vector<HostTensor> &inputs,
                       std::vector<HostTensor> &outputs);

  /// States live across runs; all are zero after load, unless they are shared,
  /// and after this.
  Result<void> resetStates();
  /// Where several processes share the mesh, all call it.
  Result<HostTensor> readState(std::string_view name) const;
  Result<void> writeState(std::string_view name, const HostTensor &value);

  Statistics statistics() const;
  /// The steps of all programs in order; empty without LoadOptions::profile.
  std::vector<StepTime> profile() const;

private:
  struct Impl;
  explicit Executable(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl;
};

} // namespace tpcrt

#endif // TPCRT_RUNTIME_H
