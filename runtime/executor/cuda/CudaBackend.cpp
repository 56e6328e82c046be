// GPUs: loading in phases, and runs by CudaProgram. One thread, the caller's,
// puts each step into the streams of all devices of this process in turn.
#include "artifact/StepRefs.h"
#include "device/cuda/Libraries.h"
#include "executor/Backend.h"
#include "executor/MemoryNeed.h"
#include "executor/SharedStorage.h"
#include "executor/cuda/CudaProgram.h"
#include "executor/cuda/WeightUpload.h"

using namespace tpcrt;

namespace {

class CudaBackend final : public Backend {
public:
  CudaBackend(const Module &module, const LoadOptions &options)
      : module(module), options(options) {}
  ~CudaBackend() override;

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
  // The phases of load.
  Result<void> openGpus(const Driver &driver);
  Result<void> loadLibraries();
  Result<void> connect();
  void takeShared();
  Result<void> checkMemory() const;
  Result<void> allocateMemory();
  Result<void> loadParameters(const WeightSource &weights);
  Result<void> bindPrograms();

  /// Copies a state between the GPU and a block of host memory.
  Result<void> copyState(size_t state, const CudaDevice &device,
                         std::vector<std::byte> &block, bool toGpu);
  Result<void> gatherState(size_t state, const WholeGather &gather,
                           HostTensor &value);
  /// Whether collectives are recorded for when a run fails.
  bool records() const { return !options.flightFolder.empty(); }
  /// Remembers an error after which the devices' memory holds anything.
  Result<void> keepFailure(Result<void> result);
  Result<void> checkUsable() const;

  const Module &module;
  LoadOptions options;
  std::vector<bool> needed; // parameters that some step reads
  bool hasProducts = false, hasLibraryAttentions = false;
  bool hasCollectives = false;
  bool shareGpu = false;                // all devices are on one
  DeviceStatistics planned;             // bytes that each device will hold
  std::vector<DeviceStatistics> shared; // of them, by device, what was there
  std::vector<LoadCounts> loadCounts;   // by device
  CudaShared cuda;
  BlockMemory memory;
  std::vector<std::unique_ptr<CudaProgram>> programs;
  std::optional<Error> failure;
  FlightRecorder recorder;
  uint64_t runs = 0;
};

/// What the devices still run ends, or they are stuck, before their memory
/// goes.
CudaBackend::~CudaBackend() {
  if (!cuda.watchdog)
    return;
  if (failure)
    cuda.watchdog->giveUp();
  else
    cuda.watchdog->wait(nullptr);
}

Result<DeviceStatistics> CudaBackend::plan() {
  TPCRT_ASSIGN(cuda.division,
               DeviceDivision::of(module.mesh, options.processes.get()));
  recorder = FlightRecorder(cuda.division.perProcess);
  needed.resize(module.parameters.size());
  for (const Program &program : module.programs) {
    TPCRT_TRY(checkCudaProgram(program));
    planned.arenaBytes = std::max(planned.arenaBytes, program.arenaBytes);
    for (const Step &step : program.steps) {
      if (auto *product = std::get_if<MatmulStep>(&step.body))
        hasProducts |= !product->generated;
      if (auto *attention = std::get_if<AttentionStep>(&step.body))
        hasLibraryAttentions |= attentionForm(*attention).has_value();
      hasCollectives |= std::holds_alternative<CollectiveStep>(step.body);
      forEachRef(step.body, [&](const BufferRef &ref) {
        if (ref.space == Space::Parameter)
          needed[ref.index] = true;
      });
    }
  }
  for (size_t i = 0; i < module.parameters.size(); ++i)
    if (needed[i])
      planned.weightBytes += module.parameters[i].blockBytes();
  for (const State &state : module.states)
    planned.stateBytes += state.blockBytes();
  planned.scratchBytes =
      hasProducts || hasLibraryAttentions ? Blas::workspaceBytes : 0;
  return planned;
}

Result<void> CudaBackend::load(const WeightSource &weights) {
  TPCRT_TRY(options.storage->join(module));
  TPCRT_TRY(checkWeights(module, weights));
  TPCRT_ASSIGN(Driver driver, cudaLibraries().driver());
  TPCRT_TRY(openGpus(driver));
  TPCRT_TRY(loadLibraries());
  takeShared();
  TPCRT_TRY(checkMemory());
  if (options.processes) // nobody takes memory before all have looked
    TPCRT_TRY(options.processes->agree("artifact", module.fingerprint));
  TPCRT_TRY(connect());
  TPCRT_TRY(allocateMemory());
  injectFaults(options.faults, cuda.division.rank, Fault::Place::Load);
  TPCRT_TRY(loadParameters(weights));
  TPCRT_TRY(cuda.watchdog->wait(nullptr));
  TPCRT_TRY(bindPrograms());
  std::vector<const ModelBlocks *> blocks;
  for (const CudaDevice &device : cuda.devices)
    blocks.push_back(&device);
  options.storage->keep(module, blocks);
  return {};
}

/// The number of processes before this one that share its host.
uint64_t ranksBefore(const ProcessGroup *processes) {
  if (!processes)
    return 0;
  const std::vector<ProcessInfo> &all = processes->processes();
  const std::string &host = all[processes->rank()].hostKey;
  return std::ranges::count(all.begin(), all.begin() + processes->rank(), host,
                            &ProcessInfo::hostKey);
}

/// A GPU for each device of this process, or one for all of them.
Result<void> CudaBackend::openGpus(const Driver &driver) {
  int count = 0;
  TPCRT_TRY(TPCRT_CU(driver, cuDeviceGetCount, &count));
  const ProcessGroup *processes = options.processes.get();
  uint64_t devices = cuda.division.perProcess;
  uint64_t onHost = devices * (processes ? processes->hostSize() : 1);
  // Where each process sees GPUs of its own, their numbers begin at 0.
  uint64_t first =
      uint64_t(count) >= onHost ? ranksBefore(processes) * devices : 0;
  shareGpu = count == 1 && !processes;
  if (count == 0 || (!shareGpu && uint64_t(count) < devices))
    return fail("expected {} GPUs, one for each device of the mesh that this "
                "process runs, or one for all of them and a single process, "
                "found {}; compile it for a smaller mesh, or set "
                "CUDA_VISIBLE_DEVICES to one GPU",
                devices, count);
  std::shared_ptr<Gpu> gpu;
  for (uint64_t i = 0; i < devices; ++i) {
    if (!gpu || !shareGpu) {
      TPCRT_ASSIGN(gpu, Gpu::open(driver, int(first + i)));
    }
    CudaDevice &device = cuda.devices.emplace_back();
    static_cast<ModelBlocks &>(device) = ModelBlocks(module);
    device.number = cuda.division.first() + i;
    device.index = i;
    device.gpu = gpu;
    TPCRT_ASSIGN(device.stream, gpu->createStream());
    TPCRT_ASSIGN(device.event, gpu->createEvent());
    cuda.gpus[gpu.get()];
  }
  return {};
}

Result<void> CudaBackend::loadLibraries() {
  for (const CudaDevice &device : cuda.devices) {
    CudaShared::OnGpu &gpu = cuda.gpus[device.gpu.get()];
    if (gpu.constants)
      continue;
    TPCRT_ASSIGN(gpu.constants, copyConstants(module, device.gpu));
    TPCRT_ASSIGN(gpu.kernels, KernelModule::load(device.gpu, module));
    if (hasProducts) {
      TPCRT_ASSIGN(BlasLibrary library, cudaLibraries().blas());
      TPCRT_ASSIGN(gpu.blas, Blas::create(library, device.gpu, options.tf32));
    }
    // Without the library, generated kernels compute the same; profiles say
    // what does.
    auto attention =
        hasLibraryAttentions ? cudaLibraries().attention(device.gpu) : nullptr;
    if (attention && *attention) {
      gpu.attention = std::move(*attention);
      TPCRT_ASSIGN(
          gpu.attentionLengths,
          KernelModule::load(device.gpu, lengthKernels, {"attention_lengths"}));
    }
  }
  return {};
}

/// Programs that exchange nothing need no communicator, but for outputs that
/// several processes hold parts of.
Result<void> CudaBackend::connect() {
  std::vector<StreamDevice> streams;
  for (const CudaDevice &device : cuda.devices)
    streams.push_back({device.number, device.gpu, device.stream});
  if (options.processes || (hasCollectives && !shareGpu)) {
    TPCRT_ASSIGN(NcclLibrary library, cudaLibraries().nccl());
    TPCRT_ASSIGN(cuda.communicator,
                 createNcclCommunicator(library, module.mesh,
                                        std::move(streams), options.processes,
                                        {options.deadline, options.peerMemory,
                                         options.symmetricMemory}));
  } else if (hasCollectives) {
    TPCRT_ASSIGN(cuda.communicator,
                 createLoopbackCommunicator(module.mesh, std::move(streams)));
  }
  memory = BlockMemory(module, cuda.communicator.get());
  TPCRT_ASSIGN(cuda.watchdog,
               Watchdog::create(module, cuda.devices, cuda.communicator.get(),
                                options.deadline, options.processes.get(),
                                records() ? &recorder : nullptr));
  return {};
}

void CudaBackend::takeShared() {
  for (size_t d = 0; d < cuda.devices.size(); ++d) {
    CudaDevice &device = cuda.devices[d];
    options.storage->take(module, d, device);
    DeviceStatistics &there = shared.emplace_back();
    for (size_t i = 0; i < needed.size(); ++i)
      if (needed[i])
        there.weightBytes += device.parameters[i].size();
    for (const Buffer &state : device.states)
      there.stateBytes += state.size();
  }
}

Result<void> CudaBackend::checkMemory() const {
  std::map<const Gpu *, MemoryNeed> needs;
  for (size_t d = 0; d < cuda.devices.size(); ++d) {
    auto [entry, first] = needs.try_emplace(cuda.devices[d].gpu.get());
    MemoryNeed &need = entry->second;
    need.devices = first ? 1 : need.devices + 1;
    need.weights += planned.weightBytes - shared[d].weightBytes;
    need.states += planned.stateBytes - shared[d].stateBytes;
    need.values += planned.arenaBytes + planned.scratchBytes;
  }
  for (const auto &[gpu, need] : needs) {
    TPCRT_ASSIGN(Gpu::Memory memory, gpu->memory());
    if (auto result = tpcrt::checkMemory(need, memory.free); !result)
      return fail("{}: {}", gpu->name(), result.error().message);
  }
  return {};
}

Result<void> CudaBackend::allocateMemory() {
  for (CudaDevice &device : cuda.devices) {
    device.constants = cuda.gpus[device.gpu.get()].constants;
    TPCRT_TRY(allocateDevice(module, device, memory, planned.scratchBytes));
  }
  return {};
}

Result<void> CudaBackend::loadParameters(const WeightSource &weights) {
  loadCounts.resize(cuda.devices.size());
  for (size_t d = 0; d < cuda.devices.size(); ++d) {
    CudaDevice &device = cuda.devices[d];
    std::unique_ptr<WeightUpload> upload;
    for (size_t i = 0; i < needed.size(); ++i) {
      const Parameter &parameter = module.parameters[i];
      Buffer &block = device.parameters[i];
      if (!needed[i] || block.size() > 0)
        continue;
      TPCRT_ASSIGN(
          block,
          memory.allocate(device, Space::Parameter, i, parameter.blockBytes(),
                          fmt::format("parameter '{}'", parameter.name)));
      if (block.size() == 0)
        continue;
      if (!upload) {
        TPCRT_ASSIGN(upload, WeightUpload::create(device.gpu, device.stream,
                                                  options.deadline));
      }
      TPCRT_TRY(upload->upload(module, parameter, weights, device.number, block,
                               loadCounts[d]));
    }
    if (upload)
      TPCRT_TRY(upload->finish());
  }
  return {};
}

Result<void> CudaBackend::bindPrograms() {
  for (const Program &program : module.programs) {
    TPCRT_ASSIGN(auto bound, CudaProgram::bind(module, program, cuda, options));
    programs.push_back(std::move(bound));
  }
  return {};
}

Result<void> CudaBackend::checkUsable() const {
  if (!failure)
    return {};
  return fail("it cannot be used after an error; load it again. The error "
              "was: {}",
              failure->message);
}

Result<void> CudaBackend::keepFailure(Result<void> result) {
  if (result)
    return {};
  failure = result.error();
  if (options.processes)
    options.processes->abort(failure->message);
  // Nothing of the run goes on when the caller has its error.
  cuda.watchdog->giveUp();
  if (records())
    failure->message = recorder.report(
        failure->message, options.flightFolder, cuda.division.rank,
        options.processes ? options.processes->size() : 1,
        cuda.division.first());
  return tl::unexpected(*failure);
}

Result<void> CudaBackend::run(size_t program,
                              const std::vector<HostTensor> &inputs,
                              std::vector<HostTensor> &outputs) {
  TPCRT_TRY(checkUsable());
  injectFaults(options.faults, cuda.division.rank, Fault::Place::Run, ++runs);
  return keepFailure(programs[program]->run(inputs, outputs));
}

Result<void> CudaBackend::copyState(size_t state, const CudaDevice &device,
                                    std::vector<std::byte> &block, bool toGpu) {
  const Buffer &buffer = device.states[state];
  if (buffer.size() == 0)
    return {};
  const Driver &driver = device.gpu->driver();
  TPCRT_ASSIGN(GpuScope scope, GpuScope::enter(*device.gpu));
  return toGpu ? TPCRT_CU(driver, cuMemcpyHtoD, deviceAddress(buffer),
                          block.data(), block.size())
               : TPCRT_CU(driver, cuMemcpyDtoH, block.data(),
                          deviceAddress(buffer), block.size());
}

/// All processes gather the blocks on their GPUs.
Result<void> CudaBackend::gatherState(size_t state, const WholeGather &gather,
                                      HostTensor &value) {
  const State &tensor = module.states[state];
  uint64_t blockBytes = tensor.blockBytes();
  std::vector<std::byte> whole(blockBytes * gather.holders.size());
  std::vector<Buffer> gathered;
  std::vector<StreamCommunicator::Buffers> buffers;
  for (const CudaDevice &device : cuda.devices) {
    TPCRT_ASSIGN(Buffer buffer,
                 device.gpu->allocate(
                     whole.size(), fmt::format("reading '{}'", tensor.name)));
    buffers.push_back(
        {deviceAddress(device.states[state]), deviceAddress(buffer)});
    gathered.push_back(std::move(buffer));
  }
  TPCRT_ASSIGN(uint32_t collective,
               cuda.communicator->add(*gather.operation, buffers));
  Result<void> done = cuda.communicator->enqueue(collective);
  if (done)
    done = cuda.watchdog->wait(nullptr);
  cuda.communicator->removeLast();
  if (!done) {
    cuda.watchdog->giveUp(); // before the buffers go
    return fail("reading state '{}' from all processes: {}", tensor.name,
                done.error().message);
  }
  if (!whole.empty()) {
    const CudaDevice &device = cuda.devices[0];
    TPCRT_ASSIGN(GpuScope scope, GpuScope::enter(*device.gpu));
    TPCRT_TRY(TPCRT_CU(device.gpu->driver(), cuMemcpyDtoH, whole.data(),
                       deviceAddress(gathered[0]), whole.size()));
  }
  for (size_t i = 0; i < gather.holders.size(); ++i)
    BlockTransfer(tensor, module.mesh, gather.holders[i],
                  whole.data() + i * blockBytes)
        .gather(value.data());
  return {};
}

Result<void> CudaBackend::readState(size_t state, HostTensor &value) {
  TPCRT_TRY(checkUsable());
  WholeGather gather =
      WholeGather::plan(module.states[state], module.mesh, cuda.division);
  if (gather.operation)
    return keepFailure(gatherState(state, gather, value));
  for (const CudaDevice &device : cuda.devices) {
    std::vector<std::byte> block(module.states[state].blockBytes());
    BlockTransfer transfer(module.states[state], module.mesh, device.number,
                           block.data());
    if (!gather.holds(device.number))
      continue;
    TPCRT_TRY(copyState(state, device, block, /*toGpu=*/false));
    transfer.gather(value.data());
  }
  return {};
}

Result<void> CudaBackend::writeState(size_t state, const HostTensor &value) {
  TPCRT_TRY(checkUsable());
  for (const CudaDevice &device : cuda.devices) {
    std::vector<std::byte> block(module.states[state].blockBytes());
    BlockTransfer(module.states[state], module.mesh, device.number,
                  block.data())
        .scatter(value.data());
    TPCRT_TRY(copyState(state, device, block, /*toGpu=*/true));
  }
  return {};
}

Result<void> CudaBackend::resetStates() {
  TPCRT_TRY(checkUsable());
  for (const CudaDevice &device : cuda.devices) {
    TPCRT_ASSIGN(GpuScope scope, GpuScope::enter(*device.gpu));
    for (const Buffer &state : device.states)
      if (state.size() > 0)
        TPCRT_TRY(TPCRT_CU(device.gpu->driver(), cuMemsetD8Async,
                           deviceAddress(state), 0, state.size(),
                           device.stream.get()));
  }
  return keepFailure(cuda.watchdog->wait(nullptr));
}

void CudaBackend::describe(Statistics &statistics) const {
  for (size_t d = 0; d < cuda.devices.size(); ++d) {
    const CudaDevice &device = cuda.devices[d];
    DeviceStatistics &result = statistics.devices.emplace_back(planned);
    result.sharedBytes = shared[d].weightBytes + shared[d].stateBytes;
    result.loadBytes = loadCounts[d].bytes;
    result.loadPages = loadCounts[d].pages.pages();
    statistics.kernelIsa = cuda.gpus.at(device.gpu.get()).kernels.isa();
  }
  for (std::span<const std::byte> constant : module.constants)
    statistics.constantBytes += constant.size();
  statistics.workers = statistics.threadsPerWorker = 1;
  if (cuda.communicator)
    statistics.collectiveMemory = cuda.communicator->memory();
}

std::vector<StepTime> CudaBackend::profile() const {
  std::vector<StepTime> times;
  for (const auto &program : programs)
    program->profile(times);
  return times;
}

} // namespace

bool tpcrt::hasCuda() { return true; }

Result<std::unique_ptr<Backend>>
tpcrt::createCudaBackend(const Module &module, const LoadOptions &options) {
  return std::make_unique<CudaBackend>(module, options);
}
