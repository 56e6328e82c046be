// Virtual CPU devices: loading in phases, and runs by the executor.
#include "executor/Backend.h"

#include "device/cpu/CpuInfo.h"
#include "executor/Executor.h"
#include "executor/MemoryNeed.h"
#include "executor/SharedStorage.h"
#include "support/Fail.h"
#include "tpcrt/AvailableMemory.h"
#include "weights/ParameterLoader.h"

#include <cstring>
#include <deque>
#include <mutex>

using namespace tpcrt;

namespace {

class CpuBackend final : public Backend {
public:
  CpuBackend(const Module &module, const LoadOptions &options)
      : module(module), options(options) {}

  Result<DeviceStatistics> plan() override;
  Result<void> load(const WeightSource &weights) override;
  Result<void> run(size_t program, const std::vector<HostTensor> &inputs,
                   std::vector<HostTensor> &outputs) override;
  Result<void> readState(size_t state, HostTensor &value) override;
  Result<void> writeState(size_t state, const HostTensor &value) override;
  Result<void> resetStates() override;
  void describe(Statistics &statistics) const override;
  std::vector<StepTime> profile() const override;

private:
  Result<void> planPrograms();

  // The phases of load.
  void takeShared();
  Result<void> checkMemory() const;
  Result<void> allocateMemory();
  Result<void> loadParameters(const WeightSource &weights);
  /// Whether a step reads it, or a packed form of it, that is not there.
  bool isNeeded(size_t parameter, const DeviceMemory &device) const;
  Result<void> loadDevice(const WeightSource &weights, uint64_t device,
                          const ThreadTeam &team);
  Result<void> loadParameter(const WeightSource &weights, uint64_t device,
                             size_t index, LoadCounts &counts);
  void bindPrograms();

  BlockTransfer stateTransfer(size_t state, uint64_t device) const;
  /// The whole of a tensor whose blocks are in several processes, if they are;
  /// blockOf(device's memory) is where a device has its own.
  template <class BlockOf>
  Result<void> gatherFromAll(const WholeGather &gather,
                             const PlacedTensor &tensor, HostTensor &whole,
                             BlockOf blockOf);
  /// The processes of this host, this one included.
  unsigned neighbours() const;
  uint32_t rank() const { return division.rank; }
  /// The error of a run, with what the devices were doing if that may be news;
  /// writes the flight recording.
  tl::unexpected<Error> describeFailure(const Error &error) const;

  const Module &module;
  LoadOptions options;
  DeviceDivision division;
  KernelLibrary kernels;
  MatmulContext matmuls;
  SharedConstants constants;
  std::unique_ptr<Communicator> communicator;
  std::unique_ptr<WorkerPool> pool;
  std::deque<DeviceMemory> memory; // by device of this process
  std::vector<LoadedProgram> programs;
  std::vector<bool> keepUnpacked; // parameters that some step reads as they lie
  DeviceStatistics planned;       // bytes that each device will hold
  DeviceStatistics shared;        // of them, what is there already
  std::vector<LoadCounts> loadCounts;    // by device of this process
  std::vector<WholeGather> stateGathers; // by state
  FlightRecorder recorder;
  uint64_t runs = 0;
};

uint64_t totalBytes(const std::vector<Buffer> &buffers) {
  uint64_t bytes = 0;
  for (const Buffer &buffer : buffers)
    bytes += buffer.size();
  return bytes;
}

Result<DeviceStatistics> CpuBackend::plan() {
  if (supportedIsas().empty())
    return fail("expected a CPU with AVX2, FMA and F16C");
  TPCRT_ASSIGN(division,
               DeviceDivision::of(module.mesh, options.processes.get()));
  recorder = FlightRecorder(division.perProcess);
  TPCRT_TRY(planPrograms());
  return planned;
}

unsigned CpuBackend::neighbours() const {
  return options.processes ? options.processes->hostSize() : 1;
}

Result<void> CpuBackend::load(const WeightSource &weights) {
  TPCRT_ASSIGN(kernels, KernelLibrary::load(module));
  TPCRT_TRY(options.storage->join(module));
  TPCRT_TRY(checkWeights(module, weights));
  takeShared();
  TPCRT_TRY(checkMemory());
  ProcessGroup *group = options.processes.get();
  if (group) // nobody takes memory before all have looked
    TPCRT_TRY(group->agree("artifact", module.fingerprint,
                           group->options().startTimeout));
  TPCRT_TRY(allocateMemory());
  injectFaults(options.faults, rank(), Fault::Place::Load);
  TPCRT_TRY(loadParameters(weights));
  std::vector<const ModelBlocks *> blocks;
  for (const DeviceMemory &device : memory)
    blocks.push_back(&device);
  options.storage->keep(module, blocks);
  options.storage->keepPacked(module, matmuls, memory);
  bindPrograms();
  // Some read their weights faster than others.
  if (group)
    TPCRT_TRY(
        group->barrier("weights are loaded", group->options().startTimeout));
  return {};
}

Result<void> CpuBackend::planPrograms() {
  if (options.processes) {
    TPCRT_ASSIGN(communicator,
                 createProcessCommunicator(module.mesh, options.processes,
                                           options.transport));
  } else {
    communicator = createThreadsCommunicator(module.mesh);
  }
  unsigned threads = options.threads
                         ? options.threads
                         : std::max<unsigned>(1, coreCount() / neighbours());
  pool = std::make_unique<WorkerPool>(division.perProcess, threads);
  matmuls.known = options.storage->packed(module);
  // Primitives are made for the number of threads that will run them.
  ThreadTeam team(pool->threadsPerWorker());
  for (const Program &program : module.programs) {
    TPCRT_ASSIGN(LoadedProgram loaded,
                 LoadedProgram::plan(program, module.mesh, division, matmuls,
                                     *communicator, pool->threadsPerWorker()));
    if (options.profile)
      loaded.stepTimes.resize(loaded.steps.size());
    programs.push_back(std::move(loaded));
  }
  for (const State &state : module.states)
    stateGathers.push_back(
        WholeGather::plan(state, module.mesh, division, *communicator));
  keepUnpacked.resize(module.parameters.size());
  for (const LoadedProgram &program : programs)
    program.markUnpackedParameters(keepUnpacked);
  planned = deviceNeed(module, programs, matmuls, keepUnpacked);
  return {};
}

void CpuBackend::takeShared() {
  for (uint64_t local = 0; local < division.perProcess; ++local) {
    memory.emplace_back(module, division.first() + local)
        .packed.resize(matmuls.packed.size());
    options.storage->take(module, local, memory.back());
    options.storage->takePacked(module, matmuls, local, memory.back());
  }
  // All devices share alike.
  const DeviceMemory &device = memory.front();
  for (size_t i = 0; i < module.parameters.size(); ++i)
    if (keepUnpacked[i])
      shared.weightBytes += device.parameters[i].size();
  shared.packedBytes = totalBytes(device.packed);
  shared.stateBytes = totalBytes(device.states);
}

Result<void> CpuBackend::checkMemory() const {
  DeviceStatistics missing = planned;
  missing.weightBytes -= shared.weightBytes;
  missing.packedBytes -= shared.packedBytes;
  missing.stateBytes -= shared.stateBytes;
  return tpcrt::checkMemory(
      memoryNeed(module, programs, missing, keepUnpacked,
                 pool->workers() * pool->threadsPerWorker() * neighbours(),
                 division.perProcess * neighbours()),
      availableMemory());
}

Result<void> CpuBackend::allocateMemory() {
  TPCRT_ASSIGN(constants, copyConstants(module));
  TPCRT_ASSIGN(
      auto arenas,
      communicator->allocate(memory.size(), planned.arenaBytes, "the arena"));
  for (size_t i = 0; i < memory.size(); ++i) {
    memory[i].arena = std::move(arenas[i]);
    TPCRT_TRY(memory[i].allocateStates(module));
    TPCRT_ASSIGN(memory[i].scratch,
                 Buffer::allocate(planned.scratchBytes, "scratch memory"));
  }
  return communicator->open();
}

bool CpuBackend::isNeeded(size_t parameter, const DeviceMemory &device) const {
  if (keepUnpacked[parameter] && device.parameters[parameter].size() == 0)
    return true;
  for (size_t i = 0; i < matmuls.packed.size(); ++i)
    if (matmuls.packed[i].ref.index == parameter &&
        device.packed[i].size() == 0)
      return true;
  return false;
}

Result<void> CpuBackend::loadParameter(const WeightSource &weights,
                                       uint64_t device, size_t index,
                                       LoadCounts &counts) {
  DeviceMemory &mine = memory[device];
  Buffer &block = mine.parameters[index];
  try {
    if (isNeeded(index, mine) && block.size() == 0) {
      TPCRT_ASSIGN(
          block, tpcrt::loadParameter(module, module.parameters[index], weights,
                                      division.first() + device, counts));
    }
    TPCRT_TRY(packParameter(matmuls, index, mine));
  } catch (const std::exception &error) { // out of memory, for example
    return fail("cannot load weights: {}", error.what());
  }
  if (!keepUnpacked[index])
    block = Buffer();
  return {};
}

Result<void> CpuBackend::loadDevice(const WeightSource &weights,
                                    uint64_t device, const ThreadTeam &team) {
  LoadCounts &counts = loadCounts[device];
  Result<void> result;
  std::mutex mutex;
  team.parallelFor(module.parameters.size(), [&](int64_t begin, int64_t end) {
    LoadCounts mine;
    Result<void> loaded;
    for (int64_t i = begin; i < end && loaded; ++i)
      loaded = loadParameter(weights, device, i, mine);
    std::lock_guard lock(mutex);
    counts.bytes += mine.bytes;
    counts.pages.add(mine.pages);
    if (!loaded)
      result = std::move(loaded);
  });
  return result;
}

Result<void> CpuBackend::loadParameters(const WeightSource &weights) {
  uint64_t devices = memory.size();
  loadCounts.resize(devices);
  std::vector<Result<void>> results(devices);
  pool->run([&](unsigned worker, const ThreadTeam &team) {
    for (uint64_t d = worker; d < devices; d += pool->workers())
      results[d] = loadDevice(weights, d, team);
  });
  for (Result<void> &result : results)
    TPCRT_TRY(std::move(result));
  return {};
}

void CpuBackend::bindPrograms() {
  for (LoadedProgram &program : programs) {
    program.bindKernels(kernels);
    for (uint64_t local = 0; local < memory.size(); ++local)
      program.bind(module, matmuls, division.first() + local, memory[local],
                   constants, options.checkNumerics);
  }
}

BlockTransfer CpuBackend::stateTransfer(size_t state, uint64_t device) const {
  return {module.states[state], module.mesh, division.first() + device,
          memory[device].states[state].data()};
}

tl::unexpected<Error> CpuBackend::describeFailure(const Error &error) const {
  if (!options.processes)
    return tl::unexpected(error);
  return makeError(recorder.report(error.message, options.flightFolder, rank(),
                                   options.processes->size(),
                                   division.first()));
}

template <class BlockOf>
Result<void> CpuBackend::gatherFromAll(const WholeGather &gather,
                                       const PlacedTensor &tensor,
                                       HostTensor &whole, BlockOf blockOf) {
  if (!gather.collective)
    return {};
  uint64_t blockBytes = tensor.blockBytes();
  std::vector<Buffer> gathered(memory.size());
  std::vector<DeviceBuffers> buffers;
  for (uint64_t local = 0; local < memory.size(); ++local) {
    TPCRT_ASSIGN(
        gathered[local],
        Buffer::allocate(blockBytes * gather.holders.size(), tensor.name));
    buffers.push_back({blockOf(memory[local]), gathered[local].data()});
  }
  if (auto done = runCollective(*communicator, *gather.collective,
                                division.first(), buffers, options.deadline);
      !done)
    return describeFailure({fmt::format("gathering '{}' from all processes: {}",
                                        tensor.name, done.error().message)});
  for (size_t i = 0; i < gather.holders.size(); ++i)
    BlockTransfer(tensor, module.mesh, gather.holders[i],
                  gathered[0].data() + i * blockBytes)
        .gather(whole.data());
  return {};
}

Result<void> CpuBackend::run(size_t program,
                             const std::vector<HostTensor> &inputs,
                             std::vector<HostTensor> &outputs) {
  LoadedProgram &loaded = programs[program];
  injectFaults(options.faults, rank(), Fault::Place::Run, ++runs);
  Executor executor(*pool, *communicator, matmuls,
                    {options.deadline, options.faults, rank()});
  if (auto done = executor.run(loaded, recorder, inputs, outputs); !done)
    return describeFailure(done.error());
  for (size_t i = 0; i < outputs.size(); ++i) {
    const Port &port = loaded.program->outputs[i];
    TPCRT_TRY(gatherFromAll(loaded.gathers[i], port, outputs[i], [&](auto &m) {
      return m.resolve(port.buffer, constants);
    }));
  }
  return {};
}

Result<void> CpuBackend::readState(size_t state, HostTensor &value) {
  for (uint64_t local = 0; local < memory.size(); ++local)
    if (stateGathers[state].holds(division.first() + local))
      stateTransfer(state, local).gather(value.data());
  return gatherFromAll(stateGathers[state], module.states[state], value,
                       [&](auto &m) { return m.states[state].data(); });
}

Result<void> CpuBackend::writeState(size_t state, const HostTensor &value) {
  for (uint64_t device = 0; device < memory.size(); ++device)
    stateTransfer(state, device).scatter(value.data());
  return {};
}

Result<void> CpuBackend::resetStates() {
  for (DeviceMemory &device : memory)
    for (Buffer &state : device.states)
      if (state.size() > 0)
        std::memset(state.data(), 0, state.size());
  return {};
}

void CpuBackend::describe(Statistics &statistics) const {
  for (uint64_t device = 0; device < memory.size(); ++device) {
    DeviceStatistics &result = statistics.devices.emplace_back();
    result.weightBytes = totalBytes(memory[device].parameters);
    result.packedBytes = totalBytes(memory[device].packed);
    result.stateBytes = totalBytes(memory[device].states);
    result.arenaBytes = memory[device].arena.size();
    result.scratchBytes = memory[device].scratch.size();
    result.sharedBytes =
        shared.weightBytes + shared.packedBytes + shared.stateBytes;
    result.loadBytes = loadCounts[device].bytes;
    result.loadPages = loadCounts[device].pages.pages();
  }
  statistics.constantBytes = totalBytes(constants);
  statistics.kernelIsa = kernels.isa();
  statistics.workers = pool->workers();
  statistics.threadsPerWorker = pool->threadsPerWorker();
}

std::vector<StepTime> CpuBackend::profile() const {
  std::vector<StepTime> times;
  for (const LoadedProgram &program : programs)
    for (size_t i = 0; i < program.stepTimes.size(); ++i) {
      StepTime &time = times.emplace_back();
      time.program = program.program->name;
      time.name = program.program->steps[i].name;
      std::tie(time.kind, time.implementation) = program.describeStep(i);
      time.runs = program.runs;
      time.microseconds =
          std::chrono::duration<double, std::micro>(program.stepTimes[i])
              .count();
    }
  return times;
}

} // namespace

std::unique_ptr<Backend> tpcrt::createCpuBackend(const Module &module,
                                                 const LoadOptions &options) {
  return std::make_unique<CpuBackend>(module, options);
}
