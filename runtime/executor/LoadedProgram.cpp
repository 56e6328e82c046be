#include "executor/LoadedProgram.h"

#include "artifact/StepRefs.h"
#include "executor/StepReport.h"
#include "support/Fail.h"

using namespace tpcrt;

namespace {

/// A kernel that touches less runs on one thread: to start and to join a team
/// takes a few microseconds, in which one core works through this much.
constexpr uint64_t kParallelBytes = 32 << 10;

/// Plans the steps of a program one after the other.
struct StepPlanner {
  LoadedProgram &loaded;
  MatmulContext &matmuls;
  Communicator &communicator;
  unsigned threads;
  const Step *step = nullptr;
  uint32_t nextPointer = 0;

  Result<LoadedStep> plan(const KernelStep &kernel) {
    LoadedStep result;
    result.kind = LoadedStep::Kind::Kernel;
    result.first = nextPointer;
    result.tiles = kernel.tiles;
    uint64_t bytes = 0;
    for (const BufferRef &ref : kernel.buffers)
      bytes += ref.size;
    result.parallel = kernel.tiles > 1 && bytes >= kParallelBytes;
    nextPointer += kernel.buffers.size();
    return result;
  }

  /// A step that is number `list.size()` of its kind.
  template <class List, class Planned>
  Result<LoadedStep> append(LoadedStep::Kind kind, List &list,
                            Result<Planned> planned) {
    if (!planned)
      return tl::unexpected(std::move(planned.error()));
    LoadedStep result;
    result.kind = kind;
    result.first = list.size();
    list.push_back(std::move(*planned));
    return result;
  }

  Result<LoadedStep> plan(const MatmulStep &matmul) {
    return append(LoadedStep::Kind::Matmul, loaded.matmuls,
                  Matmul::create(matmul, matmuls));
  }

  Result<LoadedStep> plan(const GroupedMatmulStep &matmul) {
    return append(LoadedStep::Kind::GroupedMatmul, loaded.groupedMatmuls,
                  GroupedMatmul::create(matmul, threads, matmuls));
  }

  Result<LoadedStep> plan(const AttentionStep &attention) {
    return append(LoadedStep::Kind::Attention, loaded.attentions,
                  Attention::create(attention, threads));
  }

  Result<LoadedStep> plan(const CollectiveStep &collective) {
    LoadedStep result;
    result.kind = LoadedStep::Kind::Collective;
    result.first = nextPointer;
    nextPointer += 2;
    result.collective =
        communicator.add({collective.kind, collective.reduction,
                          collective.type, collective.count, collective.axes,
                          collective.sources, step->name, step->location});
    return result;
  }
};

/// Resolves the steps of a program for one device, in order.
struct StepBinder {
  const LoadedProgram &loaded;
  const MatmulContext &context;
  DeviceMemory &memory;
  const SharedConstants &constants;
  DeviceProgram &device;

  void *resolve(const BufferRef &ref) { return memory.resolve(ref, constants); }

  void operator()(const KernelStep &kernel) {
    for (const BufferRef &ref : kernel.buffers)
      device.pointers.push_back(resolve(ref));
  }

  /// The packed copy, or where the weights lie.
  void *weights(int packedIndex, const BufferRef &ref) {
    return packedIndex >= 0 ? memory.packed[packedIndex].data() : resolve(ref);
  }

  void operator()(const MatmulStep &step) {
    const Matmul &matmul = loaded.matmuls[device.matmuls.size()];
    auto at = [&](const BufferRef &ref) {
      return static_cast<std::byte *>(resolve(ref));
    };
    auto *b = static_cast<std::byte *>(weights(matmul.packedIndex(), step.b));
    const auto &bias = step.epilogue.bias;
    device.matmuls.emplace_back(
        matmul, context,
        MatmulPointers{at(step.a), b, at(step.c), bias ? at(*bias) : nullptr},
        memory.scratch.data());
  }

  void operator()(const GroupedMatmulStep &step) {
    const GroupedMatmul &matmul =
        loaded.groupedMatmuls[device.groupedMatmuls.size()];
    device.groupedMatmuls.push_back(
        {static_cast<std::byte *>(resolve(step.rows)), resolve(step.choices),
         static_cast<std::byte *>(weights(matmul.packedIndex(), step.weights)),
         static_cast<std::byte *>(resolve(step.result))});
  }

  void operator()(const AttentionStep &step) {
    auto given = [&](const std::optional<BufferRef> &ref) {
      return ref ? resolve(*ref) : nullptr;
    };
    Attention::Operands &operands = device.attentions.emplace_back();
    operands.query = resolve(step.query);
    operands.key = resolve(step.key);
    operands.value = resolve(step.value);
    operands.result = resolve(step.result);
    operands.bias = given(step.bias);
    operands.lengths = given(step.lengths);
    operands.offset = given(step.offset);
    operands.sinks = given(step.sinks);
  }

  void operator()(const CollectiveStep &collective) {
    device.pointers.push_back(resolve(collective.src));
    device.pointers.push_back(resolve(collective.dst));
  }
};

} // namespace

Result<LoadedProgram>
LoadedProgram::plan(const Program &program, const Mesh &mesh,
                    const DeviceDivision &division, MatmulContext &matmuls,
                    Communicator &communicator, unsigned threads) {
  LoadedProgram loaded;
  loaded.program = &program;
  loaded.firstDevice = division.first();
  StepPlanner planner{loaded, matmuls, communicator, threads};
  for (const Step &step : program.steps) {
    planner.step = &step;
    auto planned = std::visit(
        [&](const auto &body) { return planner.plan(body); }, step.body);
    if (!planned)
      return fail("program '{}', step '{}' ({}): {}", program.name, step.name,
                  step.location, planned.error().message);
    loaded.steps.push_back(*planned);
  }
  for (const Port &output : program.outputs)
    loaded.gathers.push_back(
        WholeGather::plan(output, mesh, division, communicator));
  return loaded;
}

void LoadedProgram::bindKernels(const KernelLibrary &kernels) {
  for (size_t i = 0; i < steps.size(); ++i)
    if (auto *kernel = std::get_if<KernelStep>(&program->steps[i].body))
      steps[i].function = kernels.function(kernel->kernel);
}

void LoadedProgram::bind(const Module &module, const MatmulContext &context,
                         uint64_t device, DeviceMemory &memory,
                         const SharedConstants &constants, bool checkNumerics) {
  DeviceProgram &bound = devices.emplace_back();
  bound.scratch = memory.scratch.data();
  StepBinder binder{*this, context, memory, constants, bound};
  for (const Step &step : program->steps)
    std::visit(binder, step.body);
  auto bindPorts = [&](const std::vector<Port> &ports,
                       std::vector<BlockTransfer> &transfers) {
    for (const Port &port : ports)
      transfers.emplace_back(
          port, module.mesh, device,
          static_cast<std::byte *>(binder.resolve(port.buffer)));
  };
  bindPorts(program->inputs, bound.inputs);
  bindPorts(program->outputs, bound.outputs);
  if (checkNumerics)
    bound.watch.emplace(
        *program, [&](const BufferRef &ref) { return binder.resolve(ref); });
}

uint64_t LoadedProgram::scratchBytes() const {
  uint64_t bytes = 0;
  for (const Matmul &matmul : matmuls)
    bytes = std::max(bytes, matmul.scratchBytes());
  for (const GroupedMatmul &matmul : groupedMatmuls)
    bytes = std::max(bytes, matmul.scratchBytes());
  for (const Attention &attention : attentions)
    bytes = std::max(bytes, attention.scratchBytes());
  return bytes;
}

void LoadedProgram::markUnpackedParameters(
    std::vector<bool> &parameters) const {
  size_t matmul = 0, groupedMatmul = 0;
  for (const Step &step : program->steps) {
    // The weights that the step reads packed.
    const BufferRef *packed = nullptr;
    if (auto *product = std::get_if<MatmulStep>(&step.body)) {
      if (matmuls[matmul++].packedIndex() >= 0)
        packed = &product->b;
    } else if (auto *grouped = std::get_if<GroupedMatmulStep>(&step.body)) {
      if (groupedMatmuls[groupedMatmul++].packedIndex() >= 0)
        packed = &grouped->weights;
    }
    forEachRef(step.body, [&](const BufferRef &ref) {
      if (ref.space == Space::Parameter && !(packed && ref == *packed))
        parameters[ref.index] = true;
    });
  }
}

std::pair<std::string, std::string>
LoadedProgram::describeStep(size_t index) const {
  const LoadedStep &step = steps[index];
  std::string by;
  switch (step.kind) {
  case LoadedStep::Kind::Kernel:
    by = fmt::format("{} tiles", step.tiles);
    break;
  case LoadedStep::Kind::Matmul:
    by = matmuls[step.first].implementation();
    break;
  case LoadedStep::Kind::GroupedMatmul:
    by = groupedMatmuls[step.first].implementation();
    break;
  case LoadedStep::Kind::Attention:
    by = attentions[step.first].implementation();
    break;
  case LoadedStep::Kind::Collective:
    break;
  }
  return tpcrt::describeStep(program->steps[index], by);
}
