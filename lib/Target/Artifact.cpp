//===- Artifact.cpp - A planned module as an artifact ---------------------===//
//
// One table of the schema after the other, from what the operations say.
// Parameters, states, constants, device scalars and kernels are numbered as
// programs use them; equal constants share one entry.
//
//===----------------------------------------------------------------------===//

#include "tpc/Target/Artifact.h"
#include "Placement.h"
#include "tpc/Codegen/CudaImage.h"
#include "tpc/Codegen/KernelImage.h"
#include "tpc/Codegen/MatmulLayout.h"
#include "tpc/Dialect/Plan/Plan.h"
#include "tpc/Sharding/CostModel.h"
#include "tpc/Sharding/Explanation.h"
#include "llvm/ADT/MapVector.h"

using namespace mlir;
using namespace tpc;

static RankedTensorType typeOf(Value value) {
  return cast<RankedTensorType>(value.getType());
}

/// A constant as it lies in memory: row-major, a bool is a byte.
static FailureOr<std::vector<uint8_t>> bytesOf(plan::ConstantOp op) {
  auto value = dyn_cast<DenseElementsAttr>(op.getValue());
  if (!value)
    return op.emitOpError("expected a dense constant");
  std::vector<uint8_t> bytes;
  int64_t size = elementBytes(value.getElementType());
  auto append = [&](const APInt &element) {
    uint64_t bits = element.getZExtValue();
    const uint8_t *data = reinterpret_cast<const uint8_t *>(&bits);
    bytes.insert(bytes.end(), data, data + size);
  };
  if (isa<FloatType>(value.getElementType()))
    for (const APFloat &element : value.getValues<APFloat>())
      append(element.bitcastToAPInt());
  else
    for (const APInt &element : value.getValues<APInt>())
      append(element);
  return bytes;
}

namespace {

class ArtifactBuilder {
public:
  ArtifactBuilder(ModuleOp module, const EmitOptions &options)
      : module(module), options(options) {}
  FailureOr<std::vector<uint8_t>> build();

private:
  LogicalResult addParameters();
  void addStates();
  LogicalResult addProgram(plan::ProgramOp program);
  LogicalResult addConstant(plan::ConstantOp op);
  void addDeviceScalar(plan::DeviceScalarOp op);
  LogicalResult addImages();
  LogicalResult addCpuImages();
  LogicalResult addCudaImages();
  void addImage(StringRef isa, std::vector<uint8_t> bytes);
  /// The number of the kernel of this name.
  uint32_t numberKernel(StringRef symbol);
  FailureOr<artifact::KernelStepT> launch(plan::KernelFuncOp function);
  /// The kernel beside a library's, on a GPU; operands that are null are left
  /// out.
  template <typename StepOpT>
  LogicalResult addGenerated(StepOpT op,
                             ArrayRef<const artifact::BufferRef *> operands,
                             const artifact::BufferRef &result,
                             std::unique_ptr<artifact::KernelStepT> &step);

  template <typename StepT> void addStep(Operation *op, StepT body);
  LogicalResult addStep(plan::KernelOp op);
  LogicalResult addStep(plan::MatmulOp op);
  LogicalResult addStep(plan::GroupedMatmulOp op);
  LogicalResult addStep(plan::AttentionOp op);
  LogicalResult addStep(plan::CollectiveOp op);
  FailureOr<std::unique_ptr<artifact::PortT>> makePort(Value value,
                                                       RankedTensorType whole,
                                                       ShardingAttr sharding,
                                                       std::string name);
  /// The bytes of a value, without its first `skipped` elements.
  artifact::BufferRef refTo(Value value, int64_t skipped = 0);
  std::unique_ptr<artifact::BufferRef> newRef(Value value,
                                              int64_t skipped = 0) {
    return std::make_unique<artifact::BufferRef>(refTo(value, skipped));
  }
  uint64_t ringBytes(plan::CollectiveOp op, int64_t members);

  ModuleOp module;
  const EmitOptions &options;
  Mesh mesh;
  std::optional<CostModel> gpuLinks;
  artifact::ArtifactT result;
  artifact::ProgramT *current = nullptr;
  llvm::StringMap<uint32_t> parameters, states, kernelIndex;
  SmallVector<plan::KernelFuncOp> kernels; // of the CPU
  std::optional<CudaModule> cuda;
  llvm::MapVector<Attribute, uint32_t> constants, scalars;
};

} // namespace

//===----------------------------------------------------------------------===//
// What lives longer than a call
//===----------------------------------------------------------------------===//

LogicalResult ArtifactBuilder::addParameters() {
  for (auto op : module.getOps<tpc::ParameterOp>()) {
    auto view = op.getStridedView();
    if (failed(view))
      return failure();
    RankedTensorType type = op.getTensorType();
    auto parameter = std::make_unique<artifact::ParameterT>();
    parameter->name = op.getSymName().str();
    parameter->type = toArtifact(type.getElementType());
    parameter->stored_type =
        toArtifact(op.getStoredTensorType().getElementType());
    parameter->shape = toSizes(type.getShape());
    parameter->placement =
        toArtifact(tpc::getSharding(type), type.getRank(), mesh);
    parameter->stack_dim = view->second;
    for (StringRef name : op.getStoredNames()) {
      auto source = std::make_unique<artifact::StridedSourceT>();
      source->tensor = name.str();
      source->stored_shape = toSizes(op.getStoredTensorType().getShape());
      source->offset = view->first.offset;
      source->strides.assign(view->first.strides.begin(),
                             view->first.strides.end());
      parameter->sources.push_back(std::move(source));
    }
    parameters[op.getSymName()] = result.parameters.size();
    result.parameters.push_back(std::move(parameter));
  }
  return success();
}

void ArtifactBuilder::addStates() {
  for (auto op : module.getOps<tpc::StateOp>()) {
    RankedTensorType type = op.getTensorType();
    auto state = std::make_unique<artifact::StateT>();
    state->name = op.getSymName().str();
    state->type = toArtifact(type.getElementType());
    state->shape = toSizes(type.getShape());
    state->placement = toArtifact(tpc::getSharding(type), type.getRank(), mesh);
    states[op.getSymName()] = result.states.size();
    result.states.push_back(std::move(state));
  }
}

LogicalResult ArtifactBuilder::addConstant(plan::ConstantOp op) {
  if (!constants.insert({op.getValueAttr(), result.constants.size()}).second)
    return success();
  auto bytes = bytesOf(op);
  if (failed(bytes))
    return failure();
  auto constant = std::make_unique<artifact::ConstantT>();
  constant->data = std::move(*bytes);
  result.constants.push_back(std::move(constant));
  return success();
}

void ArtifactBuilder::addDeviceScalar(plan::DeviceScalarOp op) {
  if (!scalars.insert({op.getValuesAttr(), result.device_scalars.size()})
           .second)
    return;
  auto scalar = std::make_unique<artifact::DeviceScalarT>();
  scalar->values.assign(op.getValues().begin(), op.getValues().end());
  result.device_scalars.push_back(std::move(scalar));
}

void ArtifactBuilder::addImage(StringRef isa, std::vector<uint8_t> bytes) {
  auto image = std::make_unique<artifact::KernelImageT>();
  image->isa = isa.str();
  image->bytes = std::move(bytes);
  result.images.push_back(std::move(image));
}

/// All kernels of all programs in one image per kind of processor.
LogicalResult ArtifactBuilder::addImages() {
  if (result.kernels.empty() || !options.withImages)
    return success();
  return options.device == DeviceKind::Cuda ? addCudaImages() : addCpuImages();
}

LogicalResult ArtifactBuilder::addCpuImages() {
  std::vector<CpuKind> kinds;
  for (const std::string &isa : options.isas) {
    std::optional<CpuKind> kind = findCpuKind(isa);
    if (!kind)
      return module.emitError("unknown CPU kind '")
             << isa << "'; expected one of: " << cpuKindNames();
    kinds.push_back(*kind);
  }
  if (kinds.empty()) {
    std::optional<CpuKind> host = hostCpuKind();
    if (!host)
      return module.emitError("this CPU has no AVX2; name the CPU kind to "
                              "compile for: ")
             << cpuKindNames();
    kinds.push_back(*host);
  }
  for (const CpuKind &kind : kinds) {
    auto bytes = compileKernels(kernels, kind);
    if (failed(bytes))
      return failure();
    addImage(kind.name, std::move(*bytes));
  }
  return success();
}

LogicalResult ArtifactBuilder::addCudaImages() {
  std::vector<std::string> isas = options.isas;
  if (isas.empty())
    isas = {"sm_80"};
  for (const std::string &isa : isas) {
    std::optional<CudaKind> kind = findCudaKind(isa);
    if (!kind)
      return module.emitError("unknown GPU architecture '")
             << isa << "'; expected one of: " << cudaKindNames();
    auto bytes = cuda->compile(*kind);
    if (failed(bytes))
      return failure();
    addImage(kind->chip, std::move(*bytes));
  }
  return success();
}

//===----------------------------------------------------------------------===//
// Steps
//===----------------------------------------------------------------------===//

artifact::BufferRef ArtifactBuilder::refTo(Value value, int64_t skipped) {
  plan::PlaceAttr place = plan::placeOf(value);
  Operation *root = plan::rootOf(value).getDefiningOp();
  int64_t begin = skipped * elementBytes(typeOf(value).getElementType());
  auto ref = [&](artifact::Space space, uint32_t index) {
    return artifact::BufferRef(space, index, place.getOffset() + begin,
                               plan::bytesOf(value) - begin);
  };
  switch (place.getSpace()) {
  case plan::Space::Arena:
    return ref(artifact::Space::Arena, 0);
  case plan::Space::Parameter:
    return ref(artifact::Space::Parameter,
               parameters.lookup(place.getSymbol().getValue()));
  case plan::Space::State:
    return ref(artifact::Space::State,
               states.lookup(place.getSymbol().getValue()));
  case plan::Space::Constant:
    return ref(artifact::Space::Constant,
               constants.lookup(cast<plan::ConstantOp>(root).getValueAttr()));
  case plan::Space::DeviceScalar:
    return ref(
        artifact::Space::DeviceScalar,
        scalars.lookup(cast<plan::DeviceScalarOp>(root).getValuesAttr()));
  }
  llvm_unreachable("unknown space");
}

template <typename StepT>
void ArtifactBuilder::addStep(Operation *op, StepT body) {
  auto step = std::make_unique<artifact::StepT>();
  step->body.Set(std::move(body));
  step->name = describe(op);
  step->location = fileLine(op->getLoc());
  current->steps.push_back(std::move(step));
}

uint32_t ArtifactBuilder::numberKernel(StringRef symbol) {
  auto [entry, isNew] = kernelIndex.try_emplace(symbol, result.kernels.size());
  if (isNew)
    result.kernels.push_back(symbol.str());
  return entry->second;
}

/// The step without its buffers.
FailureOr<artifact::KernelStepT>
ArtifactBuilder::launch(plan::KernelFuncOp function) {
  artifact::KernelStepT step;
  if (cuda) {
    FailureOr<CudaLaunch> launch = cuda->add(function);
    if (failed(launch))
      return failure();
    step.tiles = launch->blocks;
    step.threads = launch->threads;
  } else {
    if (!kernelIndex.contains(function.getSymName()))
      kernels.push_back(function);
    step.tiles = function.getTiles();
  }
  step.kernel = numberKernel(function.getSymName());
  return step;
}

template <typename StepOpT>
LogicalResult
ArtifactBuilder::addGenerated(StepOpT op,
                              ArrayRef<const artifact::BufferRef *> operands,
                              const artifact::BufferRef &to,
                              std::unique_ptr<artifact::KernelStepT> &step) {
  if (!cuda)
    return success();
  FailureOr<CudaLaunch> launch = cuda->add(op);
  if (failed(launch))
    return failure();
  step = std::make_unique<artifact::KernelStepT>();
  step->kernel = numberKernel(launch->symbol);
  step->tiles = launch->blocks;
  step->threads = launch->threads;
  for (const artifact::BufferRef *operand : operands)
    if (operand)
      step->buffers.push_back(*operand);
  step->inputs = step->buffers.size();
  step->buffers.push_back(to);
  step->output_types.push_back(
      toArtifact(typeOf(op.getResult()).getElementType()));
  return success();
}

LogicalResult ArtifactBuilder::addStep(plan::KernelOp op) {
  auto function = SymbolTable::lookupNearestSymbolFrom<plan::KernelFuncOp>(
      op, op.getKernelAttr());
  FailureOr<artifact::KernelStepT> step = launch(function);
  if (failed(step))
    return failure();
  step->inputs = op.getInputs().size();
  for (Value input : op.getInputs())
    step->buffers.push_back(refTo(input));
  for (Value output : op.getResults()) { // updates come first
    step->buffers.push_back(refTo(output));
    step->output_types.push_back(toArtifact(typeOf(output).getElementType()));
  }
  addStep(op, std::move(*step));
  return success();
}

LogicalResult ArtifactBuilder::addStep(plan::MatmulOp op) {
  artifact::MatmulStepT step;
  // The offset is part of the buffer's address.
  step.a = newRef(op.getLhs(), op.getA()[0]);
  step.b = newRef(op.getRhs(), op.getB()[0]);
  step.c = newRef(op.getResult());
  step.a_type = toArtifact(typeOf(op.getLhs()).getElementType());
  step.b_type = toArtifact(typeOf(op.getRhs()).getElementType());
  step.c_type = toArtifact(typeOf(op.getResult()).getElementType());
  for (size_t i = 0; i < op.getBatch().size(); ++i)
    step.batch.push_back({static_cast<uint64_t>(op.getBatch()[i]),
                          op.getBatchA()[i], op.getBatchB()[i],
                          op.getBatchC()[i]});
  step.m = op.getSizes()[0];
  step.n = op.getSizes()[1];
  step.k = op.getSizes()[2];
  step.a_m_stride = op.getA()[1], step.a_k_stride = op.getA()[2];
  step.b_k_stride = op.getB()[1], step.b_n_stride = op.getB()[2];
  step.c_m_stride = op.getC()[0], step.c_n_stride = op.getC()[1];
  step.pack_b = op.getPackB();
  if (op.getBias())
    step.bias = newRef(op.getBias());
  if (op.getActivation())
    step.activation = static_cast<artifact::Activation>(*op.getActivation());
  if (cuda && !isLibraryProduct(op) &&
      failed(addGenerated(op, {step.a.get(), step.b.get()}, *step.c,
                          step.generated)))
    return failure();
  addStep(op, std::move(step));
  return success();
}

LogicalResult ArtifactBuilder::addStep(plan::GroupedMatmulOp op) {
  artifact::GroupedMatmulStepT step;
  ArrayRef<int64_t> sizes = op.getSizes(), view = op.getView();
  step.rows = newRef(op.getRows());
  step.choices = newRef(op.getChoices());
  step.weights = newRef(op.getWeights(), view[0]);
  step.result = newRef(op.getResult());
  step.type = toArtifact(typeOf(op.getResult()).getElementType());
  step.choice_type = toArtifact(typeOf(op.getChoices()).getElementType());
  step.n = sizes[0], step.c = sizes[1], step.e = sizes[2];
  step.d = sizes[3], step.f = sizes[4];
  step.row_per_choice =
      typeOf(op.getRows()).getNumElements() != sizes[0] * sizes[3];
  step.e_stride = view[1], step.d_stride = view[2], step.f_stride = view[3];
  step.pack = op.getPack();
  if (failed(addGenerated(
          op, {step.rows.get(), step.choices.get(), step.weights.get()},
          *step.result, step.generated)))
    return failure();
  addStep(op, std::move(step));
  return success();
}

LogicalResult ArtifactBuilder::addStep(plan::AttentionOp op) {
  artifact::AttentionStepT step;
  // As for matmuls, offsets are part of the addresses.
  auto add = [&](Value value, ArrayRef<int64_t> view,
                 std::unique_ptr<artifact::BufferRef> &ref,
                 std::vector<int64_t> &strides) {
    ref = newRef(value, view.front());
    strides.assign(view.begin() + 1, view.end());
  };
  auto addOptional = [&](Value value, std::unique_ptr<artifact::BufferRef> &ref,
                         artifact::ElementType &type) {
    if (!value)
      return;
    ref = newRef(value);
    type = toArtifact(typeOf(value).getElementType());
  };
  add(op.getQuery(), op.getQueryView(), step.query, step.query_strides);
  add(op.getKey(), op.getKeyView(), step.key, step.key_strides);
  add(op.getValue(), op.getValueView(), step.value, step.value_strides);
  step.result = newRef(op.getResult());
  SmallVector<int64_t> strides = rowMajorStrides(typeOf(op).getShape());
  step.result_strides.assign(strides.begin(), strides.end() - 1);
  addOptional(op.getBias(), step.bias, step.bias_type);
  addOptional(op.getLengths(), step.lengths, step.lengths_type);
  addOptional(op.getOffset(), step.offset, step.offset_type);
  addOptional(op.getSinks(), step.sinks, step.sinks_type);
  if (op.getBias())
    add(op.getBias(), *op.getBiasView(), step.bias, step.bias_strides);
  if (op.getOffset())
    step.offset_stride = typeOf(op.getOffset()).getNumElements() > 1;
  step.type = toArtifact(typeOf(op.getResult()).getElementType());
  ArrayRef<int64_t> sizes = op.getSizes();
  step.b = sizes[0], step.s = sizes[1], step.t = sizes[2];
  step.k = sizes[3], step.g = sizes[4], step.d = sizes[5], step.v = sizes[6];
  step.scale = op.getScale().convertToDouble();
  step.causal = op.getCausal();
  if (op.getWindow())
    step.window = *op.getWindow();
  if (op.getSoftcap())
    step.softcap = op.getSoftcap()->convertToDouble();
  if (failed(addGenerated(op,
                          {step.query.get(), step.key.get(), step.value.get(),
                           step.bias.get(), step.lengths.get(),
                           step.offset.get(), step.sinks.get()},
                          *step.result, step.generated)))
    return failure();
  addStep(op, std::move(step));
  return success();
}

/// What one device sends in a ring.
uint64_t ArtifactBuilder::ringBytes(plan::CollectiveOp op, int64_t n) {
  int64_t operand = plan::bytesOf(op.getOperand());
  int64_t whole = plan::bytesOf(op.getResult());
  switch (op.getKind()) {
  case plan::CollectiveKind::AllReduce:
    return 2 * operand * (n - 1) / n;
  case plan::CollectiveKind::AllGather:
    return whole * (n - 1) / n;
  case plan::CollectiveKind::ReduceScatter:
  case plan::CollectiveKind::AllToAll:
    return operand * (n - 1) / n;
  case plan::CollectiveKind::Permute:
    return n > 1 ? operand : 0;
  }
  llvm_unreachable("unknown collective");
}

LogicalResult ArtifactBuilder::addStep(plan::CollectiveOp op) {
  using Kind = plan::CollectiveKind;
  constexpr artifact::CollectiveKind kinds[] = {
      artifact::CollectiveKind::AllReduce, artifact::CollectiveKind::AllGather,
      artifact::CollectiveKind::ReduceScatter,
      artifact::CollectiveKind::AllToAll, artifact::CollectiveKind::Permute};
  int64_t members = mesh.size(op.getAxes().getAxes());
  artifact::CollectiveStepT step;
  step.kind = kinds[static_cast<int>(op.getKind())];
  step.reduction = toArtifact(op.getReduction());
  step.type = toArtifact(typeOf(op.getOperand()).getElementType());
  step.axes = toArtifact(op.getAxes().getAxes(), mesh);
  step.src = newRef(op.getOperand());
  step.dst = newRef(op.getResult());
  Value counted =
      op.getKind() == Kind::ReduceScatter ? op.getResult() : op.getOperand();
  step.count = typeOf(counted).getNumElements();
  if (op.getKind() == Kind::AllToAll)
    step.count /= members;
  if (op.getSources())
    step.sources.assign(op.getSources()->begin(), op.getSources()->end());
  if (op.getOrigin())
    step.origin = explainCollective(op.getOriginAttr());
  step.bytes = ringBytes(op, members);
  step.one_launch = gpuLinks && op.getKind() == Kind::AllReduce &&
                    gpuLinks->isFasterInOneLaunch(
                        plan::bytesOf(op.getOperand()), op.getAxes().getAxes());
  addStep(op, std::move(step));
  return success();
}

//===----------------------------------------------------------------------===//
// Programs
//===----------------------------------------------------------------------===//

FailureOr<std::unique_ptr<artifact::PortT>>
ArtifactBuilder::makePort(Value value, RankedTensorType whole,
                          ShardingAttr sharding, std::string name) {
  auto port = std::make_unique<artifact::PortT>();
  port->name = std::move(name);
  port->type = toArtifact(whole.getElementType());
  port->shape = toSizes(whole.getShape());
  port->placement = toArtifact(sharding, whole.getRank(), mesh);
  port->buffer = newRef(value);
  return port;
}

LogicalResult ArtifactBuilder::addProgram(plan::ProgramOp op) {
  auto program = SymbolTable::lookupNearestSymbolFrom<spmd::ProgramOp>(
      op, op.getImplementsAttr());
  auto whole = SymbolTable::lookupNearestSymbolFrom<FunctionOpInterface>(
      op, program.getWholeAttr());
  if (!op.getArenaBytes())
    return op.emitOpError("has no arena; run tpc-allocate-buffers");
  Block &block = op.getBody().front();
  for (Operation &step : block)
    for (Value value : step.getResults())
      if (!plan::placeOf(value))
        return step.emitOpError("has no place; run tpc-allocate-buffers");
  result.programs.push_back(std::make_unique<artifact::ProgramT>());
  current = result.programs.back().get();
  current->name = program.getWhole().str();
  current->arena_bytes = *op.getArenaBytes();

  current->inputs.resize(program.getNumArguments());
  for (auto input : block.getOps<plan::InputOp>()) {
    unsigned i = input.getIndex();
    auto port =
        makePort(input, cast<RankedTensorType>(whole.getArgumentTypes()[i]),
                 program.getArgSharding(i), argumentName(whole, i));
    if (failed(port))
      return failure();
    current->inputs[i] = std::move(*port);
  }
  for (auto [i, port] : llvm::enumerate(current->inputs))
    if (!port)
      return op.emitOpError("has no plan.input ") << i;
  for (auto [i, output] : llvm::enumerate(op.getReturn().getOperands())) {
    auto port =
        makePort(output, cast<RankedTensorType>(whole.getResultTypes()[i]),
                 program.getResultSharding(i), resultName(whole, i));
    if (failed(port))
      return failure();
    current->outputs.push_back(std::move(*port));
  }
  for (auto constant : block.getOps<plan::ConstantOp>())
    if (failed(addConstant(constant)))
      return failure();
  for (auto scalar : block.getOps<plan::DeviceScalarOp>())
    addDeviceScalar(scalar);
  for (Operation &step : block) {
    LogicalResult added =
        TypeSwitch<Operation *, LogicalResult>(&step)
            .Case<plan::KernelOp, plan::MatmulOp, plan::GroupedMatmulOp,
                  plan::AttentionOp, plan::CollectiveOp>(
                [&](auto op) { return addStep(op); })
            .Default([](Operation *) { return success(); });
    if (failed(added))
      return failure();
  }
  return success();
}

FailureOr<std::vector<uint8_t>> ArtifactBuilder::build() {
  FailureOr<Mesh> found = lookupMesh(module);
  if (failed(found))
    return failure();
  mesh = *found;
  result.producer = "tpc";
  result.mesh = toArtifact(mesh);
  if (options.device == DeviceKind::Cuda) {
    result.device = artifact::DeviceKind::Cuda;
    cuda.emplace(module);
    FailureOr<Machine> machine = machineOf(module);
    if (failed(machine))
      return failure();
    // A machine without GPUs says nothing of their links.
    gpuLinks.emplace(machine->sharedByDevices ? *findMachine("h100") : *machine,
                     mesh);
  }
  if (failed(addParameters()))
    return failure();
  addStates();
  for (auto program : module.getOps<plan::ProgramOp>())
    if (failed(addProgram(program)))
      return failure();
  if (result.programs.empty())
    return module.emitError("has no plan.program to emit");
  if (failed(addImages()))
    return failure();
  flatbuffers::FlatBufferBuilder builder;
  artifact::FinishArtifactBuffer(builder,
                                 artifact::Artifact::Pack(builder, &result));
  return std::vector<uint8_t>(builder.GetBufferPointer(),
                              builder.GetBufferPointer() + builder.GetSize());
}

std::optional<DeviceKind> tpc::findDeviceKind(StringRef name) {
  return llvm::StringSwitch<std::optional<DeviceKind>>(name)
      .Case("cpu", DeviceKind::Cpu)
      .Case("cuda", DeviceKind::Cuda)
      .Default(std::nullopt);
}

FailureOr<std::vector<uint8_t>> tpc::emitArtifact(ModuleOp module,
                                                  const EmitOptions &options) {
  return ArtifactBuilder(module, options).build();
}
