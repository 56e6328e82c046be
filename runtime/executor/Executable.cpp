// Executable: loading in phases, and the entry points of a run.
#include "tpcrt/Runtime.h"

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

struct Executable::Impl {
  Module module;
  LoadOptions options;
  KernelLibrary kernels;
  MatmulContext matmuls;
  SharedConstants constants;
  std::unique_ptr<Communicator> communicator;
  std::unique_ptr<WorkerPool> pool;
  std::deque<DeviceMemory> memory; // by device
  std::vector<LoadedProgram> programs;
  std::vector<bool> keepUnpacked; // parameters that some step reads as they lie
  DeviceStatistics planned;       // bytes that each device will hold
  DeviceStatistics shared;        // of them, what is there already
  std::vector<ProgramInfo> programInfos;
  std::vector<TensorInfo> stateInfos;
  Statistics statistics;
  mutable std::mutex runMutex; // one run at a time

  // The phases of load.
  Result<void> planPrograms();
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
  void describe();

  Result<size_t> findProgram(std::string_view name) const;
  Result<size_t> findState(std::string_view name) const;
  BlockTransfer stateTransfer(size_t state, uint64_t device) const;
};

namespace {

TensorInfo describeTensor(const PlacedTensor &tensor) {
  return {tensor.name, tensor.type, tensor.shape, tensor.placement};
}

ProgramInfo describeProgram(const Program &program) {
  ProgramInfo info;
  info.name = program.name;
  for (const Port &port : program.inputs)
    info.inputs.push_back(describeTensor(port));
  for (const Port &port : program.outputs)
    info.outputs.push_back(describeTensor(port));
  for (const Step &step : program.steps) {
    info.kernelSteps += std::holds_alternative<KernelStep>(step.body);
    info.matmulSteps += std::holds_alternative<MatmulStep>(step.body) ||
                        std::holds_alternative<GroupedMatmulStep>(step.body);
    info.attentionSteps += std::holds_alternative<AttentionStep>(step.body);
    if (auto *collective = std::get_if<CollectiveStep>(&step.body)) {
      ++info.collectiveSteps;
      info.collectiveBytes += collective->bytes;
    }
  }
  return info;
}

double millisecondsSince(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double, std::milli>(
             std::chrono::steady_clock::now() - start)
      .count();
}

uint64_t totalBytes(const std::vector<Buffer> &buffers) {
  uint64_t bytes = 0;
  for (const Buffer &buffer : buffers)
    bytes += buffer.size();
  return bytes;
}

Result<void> checkTensor(std::string_view what, const TensorInfo &expected,
                         const HostTensor &found) {
  if (found.type() != expected.type || found.shape() != expected.shape)
    return fail("{} '{}': expected {}, found {}", what, expected.name,
                describeType(expected.type, expected.shape), found.describe());
  return {};
}

Result<void> checkTensors(std::string_view what,
                          const std::vector<TensorInfo> &expected,
                          const std::vector<HostTensor> &found) {
  if (found.size() != expected.size())
    return fail("expected {} {}s, found {}", expected.size(), what,
                found.size());
  for (size_t i = 0; i < found.size(); ++i)
    TPCRT_TRY(checkTensor(what, expected[i], found[i]));
  return {};
}

template <class T>
Result<size_t> findNamed(std::string_view what, const std::vector<T> &list,
                         std::string_view name) {
  std::vector<std::string_view> names;
  for (size_t i = 0; i < list.size(); ++i) {
    if (list[i].name == name)
      return i;
    names.push_back(list[i].name);
  }
  return fail("there is no {} '{}'; there are [{}]", what, name,
              fmt::join(names, ", "));
}

} // namespace

Executable::Executable(std::unique_ptr<Impl> impl) : impl(std::move(impl)) {}
Executable::~Executable() = default;

Result<std::unique_ptr<Executable>> Executable::load(const std::string &path,
                                                     WeightSource weights,
                                                     LoadOptions options) {
  TPCRT_ASSIGN(ArtifactBytes bytes, ArtifactBytes::fromFile(path));
  return load(std::move(bytes), std::move(weights), options);
}

Result<std::unique_ptr<Executable>> Executable::load(ArtifactBytes artifact,
                                                     WeightSource weights,
                                                     LoadOptions options) {
  auto start = std::chrono::steady_clock::now();
  if (supportedIsas().empty())
    return fail("expected a CPU with AVX2, FMA and F16C");
  std::string name = artifact.name();
  auto impl = std::make_unique<Impl>();
  if (!options.storage)
    options.storage = createSharedStorage();
  impl->options = options;
  auto phases = [&]() -> Result<void> {
    TPCRT_ASSIGN(impl->kernels, KernelLibrary::load(impl->module));
    TPCRT_TRY(options.storage->join(impl->module.mesh));
    TPCRT_TRY(impl->planPrograms());
    TPCRT_TRY(checkWeights(impl->module, weights));
    impl->takeShared();
    TPCRT_TRY(impl->checkMemory());
    TPCRT_TRY(impl->allocateMemory());
    TPCRT_TRY(impl->loadParameters(weights));
    options.storage->keep(impl->module, impl->matmuls, impl->memory);
    impl->bindPrograms();
    impl->describe();
    return {};
  };
  try {
    TPCRT_ASSIGN(impl->module, loadModule(std::move(artifact)));
    if (auto result = phases(); !result)
      return fail("{}: {}", name, result.error().message);
  } catch (const std::exception &error) { // out of memory, for example
    return fail("{}: cannot load: {}", name, error.what());
  }
  impl->statistics.loadMs = millisecondsSince(start);
  return std::unique_ptr<Executable>(new Executable(std::move(impl)));
}

Result<DeviceStatistics> Executable::planMemory(ArtifactBytes artifact,
                                                LoadOptions options) {
  std::string name = artifact.name();
  Impl impl;
  impl.options = options;
  try {
    TPCRT_ASSIGN(impl.module, loadModule(std::move(artifact)));
    if (auto planned = impl.planPrograms(); !planned)
      return fail("{}: {}", name, planned.error().message);
    return impl.planned;
  } catch (const std::exception &error) { // out of memory, for example
    return fail("{}: cannot plan: {}", name, error.what());
  }
}

Result<void> Executable::Impl::planPrograms() {
  uint64_t devices = module.mesh.numDevices();
  communicator = createThreadsCommunicator(module.mesh);
  pool = std::make_unique<WorkerPool>(devices, options.threads);
  if (options.storage)
    matmuls.known = options.storage->packed(module);
  // Primitives are made for the number of threads that will run them.
  ThreadTeam team(pool->threadsPerWorker());
  for (const Program &program : module.programs) {
    TPCRT_ASSIGN(LoadedProgram loaded,
                 LoadedProgram::plan(program, kernels, matmuls, *communicator,
                                     pool->threadsPerWorker()));
    if (options.profile)
      loaded.stepTimes.resize(loaded.steps.size());
    programs.push_back(std::move(loaded));
  }
  keepUnpacked.resize(module.parameters.size());
  for (const LoadedProgram &program : programs)
    program.markUnpackedParameters(keepUnpacked);
  planned = deviceNeed(module, programs, matmuls, keepUnpacked);
  return {};
}

void Executable::Impl::takeShared() {
  for (uint64_t device = 0; device < module.mesh.numDevices(); ++device) {
    memory.emplace_back(module, device).packed.resize(matmuls.packed.size());
    options.storage->take(module, matmuls, device, memory.back());
  }
  // All devices share alike.
  const DeviceMemory &device = memory.front();
  for (size_t i = 0; i < module.parameters.size(); ++i)
    if (keepUnpacked[i])
      shared.weightBytes += device.parameters[i].size();
  shared.packedBytes = totalBytes(device.packed);
  shared.stateBytes = totalBytes(device.states);
}

Result<void> Executable::Impl::checkMemory() const {
  DeviceStatistics missing = planned;
  missing.weightBytes -= shared.weightBytes;
  missing.packedBytes -= shared.packedBytes;
  missing.stateBytes -= shared.stateBytes;
  return tpcrt::checkMemory(
      memoryNeed(module, programs, missing, keepUnpacked,
                 pool->workers() * pool->threadsPerWorker()),
      availableMemory());
}

Result<void> Executable::Impl::allocateMemory() {
  TPCRT_ASSIGN(constants, copyConstants(module));
  for (DeviceMemory &device : memory) {
    TPCRT_TRY(device.allocate(module));
    TPCRT_ASSIGN(device.scratch,
                 Buffer::allocate(planned.scratchBytes, "scratch memory"));
  }
  return {};
}

bool Executable::Impl::isNeeded(size_t parameter,
                                const DeviceMemory &device) const {
  if (keepUnpacked[parameter] && device.parameters[parameter].size() == 0)
    return true;
  for (size_t i = 0; i < matmuls.packed.size(); ++i)
    if (matmuls.packed[i].ref.index == parameter &&
        device.packed[i].size() == 0)
      return true;
  return false;
}

Result<void> Executable::Impl::loadParameter(const WeightSource &weights,
                                             uint64_t device, size_t index,
                                             LoadCounts &counts) {
  DeviceMemory &mine = memory[device];
  Buffer &block = mine.parameters[index];
  try {
    if (isNeeded(index, mine) && block.size() == 0) {
      TPCRT_ASSIGN(block, tpcrt::loadParameter(module, module.parameters[index],
                                               weights, device, counts));
    }
    TPCRT_TRY(packParameter(matmuls, index, mine));
  } catch (const std::exception &error) { // out of memory, for example
    return fail("cannot load weights: {}", error.what());
  }
  if (!keepUnpacked[index])
    block = Buffer();
  return {};
}

Result<void> Executable::Impl::loadDevice(const WeightSource &weights,
                                          uint64_t device,
                                          const ThreadTeam &team) {
  LoadCounts counts;
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
  TPCRT_TRY(std::move(result));
  DeviceStatistics &found = statistics.devices[device];
  found.loadBytes = counts.bytes;
  found.loadPages = counts.pages.pages();
  return {};
}

Result<void> Executable::Impl::loadParameters(const WeightSource &weights) {
  uint64_t devices = module.mesh.numDevices();
  statistics.devices.resize(devices);
  std::vector<Result<void>> results(devices);
  pool->run([&](unsigned worker, const ThreadTeam &team) {
    for (uint64_t d = worker; d < devices; d += pool->workers())
      results[d] = loadDevice(weights, d, team);
  });
  for (Result<void> &result : results)
    TPCRT_TRY(std::move(result));
  return {};
}

void Executable::Impl::bindPrograms() {
  for (LoadedProgram &program : programs)
    for (uint64_t device = 0; device < memory.size(); ++device)
      program.bind(module, matmuls, device, memory[device], constants);
}

void Executable::Impl::describe() {
  for (const Program &program : module.programs)
    programInfos.push_back(describeProgram(program));
  for (const State &state : module.states)
    stateInfos.push_back(describeTensor(state));
  for (uint64_t device = 0; device < memory.size(); ++device) {
    DeviceStatistics &result = statistics.devices[device];
    result.weightBytes = totalBytes(memory[device].parameters);
    result.packedBytes = totalBytes(memory[device].packed);
    result.stateBytes = totalBytes(memory[device].states);
    result.arenaBytes = memory[device].arena.size();
    result.scratchBytes = memory[device].scratch.size();
    result.sharedBytes =
        shared.weightBytes + shared.packedBytes + shared.stateBytes;
  }
  statistics.constantBytes = totalBytes(constants);
  statistics.kernelIsa = kernels.isa();
  statistics.workers = pool->workers();
  statistics.threadsPerWorker = pool->threadsPerWorker();
}

Result<size_t> Executable::Impl::findProgram(std::string_view name) const {
  return findNamed("program", programInfos, name);
}

Result<size_t> Executable::Impl::findState(std::string_view name) const {
  return findNamed("state", stateInfos, name);
}

BlockTransfer Executable::Impl::stateTransfer(size_t state,
                                              uint64_t device) const {
  return {module.states[state], module.mesh, device,
          memory[device].states[state].data()};
}

const Mesh &Executable::mesh() const { return impl->module.mesh; }

const std::vector<ProgramInfo> &Executable::programs() const {
  return impl->programInfos;
}

const ProgramInfo *Executable::findProgram(std::string_view name) const {
  auto found = impl->findProgram(name);
  return found ? &impl->programInfos[*found] : nullptr;
}

const std::vector<TensorInfo> &Executable::states() const {
  return impl->stateInfos;
}

Result<std::vector<HostTensor>>
Executable::run(std::string_view program,
                const std::vector<HostTensor> &inputs) {
  TPCRT_ASSIGN(size_t index, impl->findProgram(program));
  std::vector<HostTensor> outputs;
  for (const TensorInfo &port : impl->programInfos[index].outputs)
    outputs.emplace_back(port.type, port.shape);
  TPCRT_TRY(runInto(program, inputs, outputs));
  return outputs;
}

Result<void> Executable::runInto(std::string_view program,
                                 const std::vector<HostTensor> &inputs,
                                 std::vector<HostTensor> &outputs) {
  TPCRT_ASSIGN(size_t index, impl->findProgram(program));
  const ProgramInfo &info = impl->programInfos[index];
  TPCRT_TRY(checkTensors("input", info.inputs, inputs));
  TPCRT_TRY(checkTensors("output", info.outputs, outputs));
  std::lock_guard lock(impl->runMutex);
  auto start = std::chrono::steady_clock::now();
  Executor executor(*impl->pool, *impl->communicator, impl->matmuls,
                    impl->options.deadline);
  TPCRT_TRY(executor.run(impl->programs[index], inputs, outputs));
  impl->statistics.lastRunMs = millisecondsSince(start);
  return {};
}

void Executable::resetStates() {
  std::lock_guard lock(impl->runMutex);
  for (DeviceMemory &memory : impl->memory)
    for (Buffer &state : memory.states)
      if (state.size() > 0)
        std::memset(state.data(), 0, state.size());
}

Result<HostTensor> Executable::readState(std::string_view name) const {
  TPCRT_ASSIGN(size_t index, impl->findState(name));
  std::lock_guard lock(impl->runMutex);
  const TensorInfo &info = impl->stateInfos[index];
  HostTensor value(info.type, info.shape);
  for (uint64_t device = 0; device < impl->memory.size(); ++device)
    impl->stateTransfer(index, device).gather(value.data());
  return value;
}

Result<void> Executable::writeState(std::string_view name,
                                    const HostTensor &value) {
  TPCRT_ASSIGN(size_t index, impl->findState(name));
  TPCRT_TRY(checkTensor("state", impl->stateInfos[index], value));
  std::lock_guard lock(impl->runMutex);
  for (uint64_t device = 0; device < impl->memory.size(); ++device)
    impl->stateTransfer(index, device).scatter(value.data());
  return {};
}

Statistics Executable::statistics() const {
  std::lock_guard lock(impl->runMutex);
  return impl->statistics;
}

std::vector<StepTime> Executable::profile() const {
  std::lock_guard lock(impl->runMutex);
  std::vector<StepTime> times;
  for (const LoadedProgram &program : impl->programs)
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
