#include "executor/cuda/CudaProgram.h"

#include "device/cuda/KernelLaunch.h"
#include "executor/StepReport.h"

using namespace tpcrt;

namespace {

/// Errors name the step.
template <class Work>
Result<void> named(const Program &program, const Step &step, Work work) {
  Result<void> result = work();
  if (!result)
    return fail("program '{}', step '{}' ({}): {}", program.name, step.name,
                step.location, result.error().message);
  return {};
}

Result<void> checkGenerated(std::string_view what,
                            const std::optional<KernelStep> &generated) {
  if (!generated)
    return fail("expected a generated kernel for the {}, found none; compile "
                "it for the device 'cuda'",
                what);
  return {};
}

struct CheckStep {
  Result<void> operator()(const KernelStep &) { return {}; }
  Result<void> operator()(const MatmulStep &step) {
    if (step.generated)
      return {};
    auto form = checkProduct(step);
    if (!form)
      return tl::unexpected(form.error());
    return {};
  }
  Result<void> operator()(const GroupedMatmulStep &step) {
    return checkGenerated("grouped product", step.generated);
  }
  Result<void> operator()(const AttentionStep &step) {
    return checkGenerated("attention", step.generated);
  }
  Result<void> operator()(const CollectiveStep &) { return {}; }
};

} // namespace

Result<void> tpcrt::checkCudaProgram(const Program &program) {
  for (const Step &step : program.steps)
    TPCRT_TRY(named(program, step,
                    [&] { return std::visit(CheckStep(), step.body); }));
  return {};
}

// --------------------------------------------------------------- binding --

Result<std::unique_ptr<CudaProgram>>
CudaProgram::bind(const Module &module, const Program &program,
                  CudaShared &shared, const LoadOptions &options) {
  std::unique_ptr<CudaProgram> bound(new CudaProgram(program, shared, options));
  for (const Step &step : program.steps)
    TPCRT_TRY(named(program, step, [&] {
      return bound->bindStep(step, bound->steps.emplace_back());
    }));
  TPCRT_ASSIGN(CudaPorts ports,
               CudaPorts::create(module, program, shared.devices,
                                 shared.division, shared.communicator.get()));
  bound->ports = std::move(ports);
  if (options.checkNumerics)
    for (const CudaDevice &device : shared.devices)
      bound->watches.emplace_back(program, [&](const BufferRef &ref) {
        return reinterpret_cast<void *>(device.resolve(ref));
      });
  TPCRT_TRY(bound->createEvents());
  return bound;
}

Result<void> CudaProgram::bindStep(const Step &step, BoundStep &bound) {
  if (auto *collective = std::get_if<CollectiveStep>(&step.body)) {
    if (!shared.communicator)
      return fail("there is a collective, but only one device");
    std::vector<StreamCommunicator::Buffers> buffers;
    for (const CudaDevice &device : shared.devices)
      buffers.push_back(
          {device.resolve(collective->src), device.resolve(collective->dst)});
    TPCRT_ASSIGN(bound.collective,
                 shared.communicator->add(
                     {collective->kind, collective->reduction, collective->type,
                      collective->count, collective->axes, collective->sources,
                      step.name, step.location, collective->oneLaunch},
                     buffers));
    return {};
  }
  for (const CudaDevice &device : shared.devices) {
    TPCRT_ASSIGN(auto operation, bindStep(step.body, device));
    bound.operations.push_back(std::move(operation));
  }
  return {};
}

Result<std::unique_ptr<GpuOperation>>
CudaProgram::bindStep(const StepBody &step, const CudaDevice &device) {
  const CudaShared::OnGpu &gpu = shared.gpus.at(device.gpu.get());
  auto bindKernel = [&](const KernelStep &kernel) {
    std::vector<CUdeviceptr> buffers;
    for (const BufferRef &ref : kernel.buffers)
      buffers.push_back(device.resolve(ref));
    return std::make_unique<KernelLaunch>(*device.gpu,
                                          gpu.kernels.function(kernel.kernel),
                                          kernel, std::move(buffers));
  };
  if (auto *kernel = std::get_if<KernelStep>(&step))
    return bindKernel(*kernel);
  if (auto *grouped = std::get_if<GroupedMatmulStep>(&step))
    return bindKernel(*grouped->generated);
  if (auto *attention = std::get_if<AttentionStep>(&step)) {
    TPCRT_ASSIGN(auto byLibrary, bindAttention(*attention, device));
    if (byLibrary)
      return byLibrary;
    return bindKernel(*attention->generated);
  }
  if (auto *matmul = std::get_if<MatmulStep>(&step)) {
    if (matmul->generated)
      return bindKernel(*matmul->generated);
    const auto &bias = matmul->epilogue.bias;
    return gpu.blas->prepare(
        *matmul, {device.resolve(matmul->a), device.resolve(matmul->b),
                  device.resolve(matmul->c), bias ? device.resolve(*bias) : 0,
                  deviceAddress(device.workspace)});
  }
  return fail("unknown kind of step");
}

Result<std::unique_ptr<GpuOperation>>
CudaProgram::bindAttention(const AttentionStep &step,
                           const CudaDevice &device) {
  const CudaShared::OnGpu &gpu = shared.gpus.at(device.gpu.get());
  std::optional<AttentionForm> form = attentionForm(step);
  if (!gpu.attention || !form)
    return nullptr;
  TPCRT_ASSIGN(auto plan,
               gpu.attention->prepare(*form, device.workspace.size()));
  if (!plan)
    return nullptr;
  auto given = [&](const std::optional<BufferRef> &ref) {
    return ref ? device.resolve(*ref) : 0;
  };
  return LibraryAttention::create(
      device.gpu, gpu.attentionLengths, std::move(plan), step,
      {device.resolve(step.query), device.resolve(step.key),
       device.resolve(step.value), device.resolve(step.result),
       given(step.lengths), step.causal ? given(step.offset) : 0,
       deviceAddress(device.workspace)});
}

Result<void> CudaProgram::createEvents() {
  if (!options.profile)
    return {};
  stepMicroseconds.resize(steps.size());
  for (size_t i = 0; i <= steps.size(); ++i) {
    TPCRT_ASSIGN(GpuEvent event,
                 shared.devices[0].gpu->createEvent(Gpu::Timing::On));
    stepEvents.push_back(std::move(event));
  }
  return {};
}

// --------------------------------------------------------------- running --

Result<void> CudaProgram::run(const std::vector<HostTensor> &inputs,
                              std::vector<HostTensor> &outputs) {
  TPCRT_TRY(ports->copyIn(inputs));
  bool useGraph = usesGraph() && runs > 0;
  if (useGraph && !graph)
    TPCRT_TRY(capture());
  TPCRT_TRY(useGraph ? replay() : enqueueSteps());
  TPCRT_TRY(ports->startCopyingOut());
  TPCRT_TRY(shared.watchdog->wait(&program));
  ports->gather(outputs);
  ++runs;
  return addStepTimes();
}

bool CudaProgram::usesGraph() const {
  return options.cudaGraphs && !options.profile && !waitsForSteps() &&
         std::ranges::none_of(options.faults, [](const Fault &fault) {
           return fault.place == Fault::Place::Op;
         });
}

Result<void> CudaProgram::enqueueCollective(size_t index) {
  TPCRT_TRY(shared.watchdog->collectiveStarts(index));
  TPCRT_TRY(shared.communicator->enqueue(*steps[index].collective));
  if (injectFaults(options.faults, shared.division.rank, Fault::Place::Op,
                   ++shared.operations)) {
    const CudaDevice &device = shared.devices[0];
    const auto &collective =
        std::get<CollectiveStep>(program.steps[index].body);
    TPCRT_ASSIGN(GpuScope scope, GpuScope::enter(*device.gpu));
    if (collective.count > 0)
      TPCRT_TRY(TPCRT_CU(device.gpu->driver(), cuMemsetD8Async,
                         device.resolve(collective.dst), 0xff,
                         byteSize(collective.type), device.stream.get()));
  }
  return shared.watchdog->collectiveEnded(index);
}

Result<void> CudaProgram::checkNumerics(size_t index) const {
  std::vector<std::byte> copy;
  for (size_t d = 0; d < watches.size(); ++d) {
    const CudaDevice &device = shared.devices[d];
    TPCRT_ASSIGN(GpuScope scope, GpuScope::enter(*device.gpu));
    auto read = [&](const std::byte *data,
                    uint64_t bytes) -> Result<const std::byte *> {
      copy.resize(bytes);
      if (bytes > 0)
        TPCRT_TRY(TPCRT_CU(device.gpu->driver(), cuMemcpyDtoH, copy.data(),
                           reinterpret_cast<CUdeviceptr>(data), bytes));
      return copy.data();
    };
    if (auto checked = watches[d].check(index, read); !checked)
      return fail("device {}: {}", device.number, checked.error().message);
  }
  return {};
}

Result<void> CudaProgram::waitForStep(size_t index) {
  TPCRT_TRY(shared.watchdog->waitForSteps(program));
  return checkNumerics(index);
}

Result<void> CudaProgram::enqueueStep(size_t index) {
  BoundStep &step = steps[index];
  if (step.collective)
    return enqueueCollective(index);
  for (size_t d = 0; d < shared.devices.size(); ++d) {
    const CudaDevice &device = shared.devices[d];
    TPCRT_ASSIGN(GpuScope scope, GpuScope::enter(*device.gpu));
    TPCRT_TRY(step.operations[d]->enqueue(device.stream.get()));
  }
  return {};
}

Result<void> CudaProgram::recordStepEvent(size_t index) {
  if (stepEvents.empty())
    return {};
  const CudaDevice &device = shared.devices[0];
  TPCRT_ASSIGN(GpuScope scope, GpuScope::enter(*device.gpu));
  return TPCRT_CU(device.gpu->driver(), cuEventRecord, stepEvents[index].get(),
                  device.stream.get());
}

Result<void> CudaProgram::enqueueSteps() {
  TPCRT_TRY(recordStepEvent(0));
  for (size_t i = 0; i < steps.size(); ++i) {
    TPCRT_TRY(named(program, program.steps[i], [&] { return enqueueStep(i); }));
    TPCRT_TRY(recordStepEvent(i + 1));
    if (waitsForSteps())
      TPCRT_TRY(
          named(program, program.steps[i], [&] { return waitForStep(i); }));
  }
  return ports->enqueueGathers();
}

// ----------------------------------------------------------------- graph --

Result<void> CudaProgram::joinStreams() {
  const CudaDevice &origin = shared.devices[0];
  for (size_t d = 1; d < shared.devices.size(); ++d) {
    const CudaDevice &device = shared.devices[d];
    const Driver &driver = device.gpu->driver();
    TPCRT_ASSIGN(GpuScope scope, GpuScope::enter(*device.gpu));
    TPCRT_TRY(TPCRT_CU(driver, cuEventRecord, device.event.get(),
                       device.stream.get()));
    TPCRT_TRY(TPCRT_CU(driver, cuStreamWaitEvent, origin.stream.get(),
                       device.event.get(), 0));
  }
  return {};
}

Result<void> CudaProgram::forkStreams() {
  const CudaDevice &origin = shared.devices[0];
  if (shared.devices.size() == 1)
    return {};
  TPCRT_ASSIGN(GpuScope scope, GpuScope::enter(*origin.gpu));
  const Driver &driver = origin.gpu->driver();
  TPCRT_TRY(
      TPCRT_CU(driver, cuEventRecord, origin.event.get(), origin.stream.get()));
  for (size_t d = 1; d < shared.devices.size(); ++d)
    TPCRT_TRY(TPCRT_CU(driver, cuStreamWaitEvent,
                       shared.devices[d].stream.get(), origin.event.get(), 0));
  return {};
}

Result<void> CudaProgram::capture() {
  const CudaDevice &origin = shared.devices[0];
  const Driver &driver = origin.gpu->driver();
  TPCRT_ASSIGN(GpuScope scope, GpuScope::enter(*origin.gpu));
  TPCRT_TRY(TPCRT_CU(driver, cuStreamBeginCapture, origin.stream.get(),
                     CU_STREAM_CAPTURE_MODE_THREAD_LOCAL));
  auto record = [&]() -> Result<void> {
    TPCRT_TRY(forkStreams());
    TPCRT_TRY(enqueueSteps());
    return joinStreams();
  };
  Result<void> recorded = record();
  // Whatever happened, the streams leave the capture.
  CUgraph captured = nullptr;
  Result<void> ended =
      TPCRT_CU(driver, cuStreamEndCapture, origin.stream.get(), &captured);
  std::shared_ptr<CUgraph_st> owner;
  if (captured)
    owner = origin.gpu->own(captured, &Driver::cuGraphDestroy);
  TPCRT_TRY(std::move(recorded));
  TPCRT_TRY(std::move(ended));
  CUgraphExec created = nullptr;
  TPCRT_TRY(
      TPCRT_CU(driver, cuGraphInstantiateWithFlags, &created, captured, 0));
  graph = origin.gpu->own(created, &Driver::cuGraphExecDestroy);
  return {};
}

Result<void> CudaProgram::replay() {
  const CudaDevice &origin = shared.devices[0];
  TPCRT_TRY(joinStreams());
  {
    TPCRT_ASSIGN(GpuScope scope, GpuScope::enter(*origin.gpu));
    TPCRT_TRY(TPCRT_CU(origin.gpu->driver(), cuGraphLaunch, graph.get(),
                       origin.stream.get()));
  }
  return forkStreams();
}

// --------------------------------------------------------------- profile --

Result<void> CudaProgram::addStepTimes() {
  if (stepEvents.empty())
    return {};
  const CudaDevice &device = shared.devices[0];
  TPCRT_ASSIGN(GpuScope scope, GpuScope::enter(*device.gpu));
  for (size_t i = 0; i < steps.size(); ++i) {
    float milliseconds = 0;
    TPCRT_TRY(TPCRT_CU(device.gpu->driver(), cuEventElapsedTime, &milliseconds,
                       stepEvents[i].get(), stepEvents[i + 1].get()));
    stepMicroseconds[i] += milliseconds * 1000;
  }
  return {};
}

void CudaProgram::profile(std::vector<StepTime> &times) const {
  for (size_t i = 0; i < stepMicroseconds.size(); ++i) {
    StepTime &time = times.emplace_back();
    time.program = program.name;
    time.name = program.steps[i].name;
    std::string by =
        steps[i].collective
            ? shared.communicator->implementation(*steps[i].collective)
            : steps[i].operations[0]->implementation();
    std::tie(time.kind, time.implementation) =
        describeStep(program.steps[i], by);
    time.runs = runs;
    time.microseconds = stepMicroseconds[i];
  }
}
