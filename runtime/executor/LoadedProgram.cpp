#include "executor/LoadedProgram.h"

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

/// " bias gelu_erf"
std::string describe(const MatmulEpilogue &epilogue) {
  std::string text;
  if (epilogue.bias)
    text += " bias";
  if (epilogue.activation != Activation::None)
    text += fmt::format(" {}", activationName(epilogue.activation));
  return text;
}

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
  auto mark = [&](const BufferRef &ref) {
    if (ref.space == Space::Parameter)
      parameters[ref.index] = true;
  };
  size_t matmul = 0, groupedMatmul = 0;
  for (const Step &step : program->steps)
    if (auto *kernel = std::get_if<KernelStep>(&step.body)) {
      for (const BufferRef &ref : kernel->buffers)
        mark(ref);
    } else if (auto *product = std::get_if<MatmulStep>(&step.body)) {
      mark(product->a);
      if (matmuls[matmul++].packedIndex() < 0)
        mark(product->b);
      if (product->epilogue.bias)
        mark(*product->epilogue.bias);
    } else if (auto *grouped = std::get_if<GroupedMatmulStep>(&step.body)) {
      mark(grouped->rows);
      mark(grouped->choices);
      if (groupedMatmuls[groupedMatmul++].packedIndex() < 0)
        mark(grouped->weights);
    } else if (auto *attention = std::get_if<AttentionStep>(&step.body)) {
      for (const BufferRef &ref :
           {attention->query, attention->key, attention->value})
        mark(ref);
      for (const auto &ref : {attention->bias, attention->lengths,
                              attention->offset, attention->sinks})
        if (ref)
          mark(*ref);
    } else if (auto *collective = std::get_if<CollectiveStep>(&step.body)) {
      mark(collective->src);
    }
}

std::pair<std::string, std::string>
LoadedProgram::describeStep(size_t index) const {
  const LoadedStep &step = steps[index];
  const Step &source = program->steps[index];
  switch (step.kind) {
  case LoadedStep::Kind::Kernel:
    return {"kernel", fmt::format("{} tiles", step.tiles)};
  case LoadedStep::Kind::Matmul: {
    const auto &matmul = std::get<MatmulStep>(source.body);
    uint64_t batch = 1;
    for (const MatmulBatchDim &dim : matmul.batch)
      batch *= dim.size;
    return {"matmul", fmt::format("{}x {}x{}x{}{} {}", batch, matmul.m,
                                  matmul.n, matmul.k, describe(matmul.epilogue),
                                  matmuls[step.first].implementation())};
  }
  case LoadedStep::Kind::GroupedMatmul: {
    const auto &g = std::get<GroupedMatmulStep>(source.body);
    return {"grouped_matmul",
            fmt::format("{}x{} of {} {}x{} {}", g.n, g.c, g.e, g.d, g.f,
                        groupedMatmuls[step.first].implementation())};
  }
  case LoadedStep::Kind::Attention: {
    const auto &a = std::get<AttentionStep>(source.body);
    return {"attention",
            fmt::format("{}x{}x{} {}x{}x{} {}", a.b, a.k, a.g, a.s, a.t, a.d,
                        attentions[step.first].implementation())};
  }
  case LoadedStep::Kind::Collective: {
    const auto &collective = std::get<CollectiveStep>(source.body);
    return {"collective", fmt::format("{} {}", collectiveName(collective.kind),
                                      collective.count)};
  }
  }
  return {};
}
