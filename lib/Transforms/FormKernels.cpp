//===- FormKernels.cpp - Per-device programs become steps -----------------===//
//
//   spmd.program @mlp.spmd            plan.kernel_func @k0_erf(...) { ... }
//     %p = tpc.matmul %x, %up         plan.program @mlp.plan of @mlp.spmd {
//     %s = tpc.mul %p, %c        ->     %p = plan.matmul %x, %up ...
//     %e = tpc.erf %s                   %a = plan.kernel @k0_erf(%p)
//     ...                               %q = plan.matmul %a, %down ...
//     %y = spmd.all_reduce sum %q       %y = plan.collective all_reduce sum %q
//
// Steps come in an order that keeps to the program's where dependences allow.
// States are read at the start and written at the end: what the program reads
// in between is the value that it wrote. An update in place comes after the
// other reads of what it overwrites.
//
//===----------------------------------------------------------------------===//

#include "mlir/IR/IRMapping.h"
#include "tpc/Codegen/AttentionLayout.h"
#include "tpc/Codegen/CoreBuilder.h"
#include "tpc/Codegen/Fusion.h"
#include "tpc/Codegen/MatmulLayout.h"
#include "tpc/Codegen/Passes.h"
#include "tpc/Dialect/Plan/Plan.h"
#include <queue>

namespace tpc {
#define GEN_PASS_DEF_FORMKERNELS
#include "tpc/Codegen/Passes.h.inc"
} // namespace tpc

using namespace mlir;
using namespace tpc;

namespace {

/// Kernel functions of the module; equal ones are one.
class KernelTable {
public:
  explicit KernelTable(ModuleOp module) : module(module) {
    for (auto function : module.getOps<plan::KernelFuncOp>())
      byText[textOf(function)] = function;
  }

  /// The function that computes `body` from `operands`, and in place of
  /// `updates`.
  FailureOr<plan::KernelFuncOp> get(const KernelBody &body,
                                    ArrayRef<Value> operands,
                                    ArrayRef<Value> updates);

private:
  std::string textOf(plan::KernelFuncOp function) {
    StringAttr name = function.getSymNameAttr();
    function.setSymName("kernel");
    std::string text;
    llvm::raw_string_ostream os(text);
    function->print(os, OpPrintingFlags().useLocalScope());
    function.setSymNameAttr(name);
    return text;
  }

  ModuleOp module;
  llvm::StringMap<plan::KernelFuncOp> byText;
};

/// One spmd.program to one plan.program.
class PlanBuilder {
public:
  PlanBuilder(spmd::ProgramOp program, KernelTable &kernels)
      : program(program), kernels(kernels), builder(program) {}
  LogicalResult run();

private:
  /// A group of operations that become one step; or one operation.
  struct Unit {
    KernelBody body;
    SmallVector<Operation *> ops;
    int position = 0;
    SmallVector<unsigned> consumers;
    unsigned waitsFor = 0;
  };

  void viewMarks();
  void forwardWrites();
  LogicalResult collect();
  void makeUnits();
  void precede(unsigned first, unsigned second) {
    units[first].consumers.push_back(second);
    ++units[second].waitsFor;
  }
  void linkUnits();
  void orderReads();
  bool reaches(unsigned from, unsigned to);
  SmallVector<unsigned> order();

  LogicalResult emit(Operation *op);
  void emitMatmul(Operation *op);
  LogicalResult emit(GroupedMatmulOp op);
  LogicalResult emit(AttentionOp op);
  LogicalResult emitKernel(const Unit &unit);
  LogicalResult emitCollective(Operation *op, plan::CollectiveKind kind,
                               Reduction reduction, AxesAttr axes,
                               Attribute origin,
                               DenseI64ArrayAttr sources = {});
  void emitView(Operation *op, int64_t offset);
  ArrayRef<Value> operandsOf(Operation *op);

  spmd::ProgramOp program;
  KernelTable &kernels;
  OpBuilder builder;
  SmallVector<Operation *> needed;
  DenseMap<Operation *, MatmulLayout> layouts;
  DenseMap<Operation *, AttentionLayout> attentions;
  DenseMap<Operation *, SmallVector<Value>> readValues;
  std::vector<Unit> units;
  DenseMap<Operation *, unsigned> unitOf;
  IRMapping mapping;
};

} // namespace

/// Whether the operation changes its first operand in place.
static bool isUpdate(Operation *op) {
  return isa<UpdateSliceOp, ScatterAddOp>(op);
}

//===----------------------------------------------------------------------===//
// Kernel functions
//===----------------------------------------------------------------------===//

/// A name for people: the operation that says most about the kernel.
static std::string hintOf(const KernelBody &body) {
  Operation *chosen = body.ops.back();
  for (Operation *op : body.ops)
    if (isa<ExpOp, ErfOp, TanhOp, RsqrtOp, GatherOp, UpdateSliceOp>(op))
      chosen = op;
  return chosen->getName().stripDialect().str();
}

FailureOr<plan::KernelFuncOp> KernelTable::get(const KernelBody &body,
                                               ArrayRef<Value> operands,
                                               ArrayRef<Value> updates) {
  OpBuilder builder(module.getContext());
  builder.setInsertionPointToEnd(module.getBody());
  SmallVector<Type> inputs, results;
  for (Value operand : llvm::concat<const Value>(operands, updates))
    inputs.push_back(operand.getType());
  for (Value output : body.outputs)
    results.push_back(output.getType());
  Location loc = body.ops.back()->getLoc();
  auto function = plan::KernelFuncOp::create(
      builder, loc, "kernel", builder.getFunctionType(inputs, results),
      /*tiles=*/1, updates.size(),
      /*in_place=*/ArrayRef<int64_t>(), ArrayAttr(), ArrayAttr());
  Block *block = builder.createBlock(&function.getBody(), {}, inputs,
                                     SmallVector<Location>(inputs.size(), loc));
  IRMapping mapping;
  for (auto [i, operand] : llvm::enumerate(operands))
    mapping.map(operand, block->getArgument(i));
  for (Operation *op : body.ops)
    builder.clone(*op, mapping);
  SmallVector<Value> yielded;
  for (Value output : body.outputs)
    yielded.push_back(mapping.lookup(output));
  // What else reads an updated value reads it as it was, from an argument of
  // its own.
  for (unsigned i = 0; i < updates.size(); ++i)
    yielded[i].getDefiningOp()->setOperand(
        0, block->getArgument(operands.size() + i));
  plan::YieldOp::create(builder, loc, yielded);

  std::string why;
  std::optional<KernelShape> shape =
      computeShape(KernelBody::of(function), &why);
  if (!shape) {
    body.ops.back()->emitError("no kernel for this operation: ") << why;
    function.erase();
    return failure();
  }
  function.setTiles(shape->tiles());
  SmallVector<int64_t> inPlace;
  for (auto [result, value] : shape->inPlace) {
    unsigned argument = cast<BlockArgument>(value).getArgNumber();
    if (result >= updates.size() && argument < function.getNumInputs())
      inPlace.append({result, argument});
  }
  function.setInPlace(inPlace);
  auto [entry, isNew] = byText.try_emplace(textOf(function), function);
  if (!isNew) {
    function.erase();
    return entry->second;
  }
  std::string name;
  do {
    name = "k" + std::to_string(byText.size() - 1) + "_" + hintOf(body);
  } while (SymbolTable::lookupSymbolIn(module, name));
  function.setSymName(name);
  return function;
}

//===----------------------------------------------------------------------===//
// Units and their order
//===----------------------------------------------------------------------===//

/// What the step of `op` reads; products and attention read through views.
ArrayRef<Value> PlanBuilder::operandsOf(Operation *op) {
  auto [entry, isNew] = readValues.try_emplace(op);
  if (!isNew)
    return entry->second;
  SmallVector<Value> &values = entry->second;
  llvm::append_range(values, op->getOperands());
  if (auto matmul = layouts.find(op); matmul != layouts.end()) {
    values[0] = matmul->second.lhs.base;
    values[1] = matmul->second.rhs.base;
  }
  if (auto grouped = dyn_cast<GroupedMatmulOp>(op))
    values[2] = throughViews(grouped.getWeights()).base;
  if (auto found = attentions.find(op); found != attentions.end()) {
    const AttentionLayout &layout = found->second;
    values[0] = layout.query.base;
    values[1] = layout.key.base;
    values[2] = layout.value.base;
    if (layout.bias)
      values[3] = layout.bias->base;
  }
  return values;
}

/// What is computed again has become an operation of its own by now, and the
/// mark that kept it one is a view.
void PlanBuilder::viewMarks() {
  for (auto mark : llvm::make_early_inc_range(
           program.getBody().front().getOps<AgainOp>())) {
    OpBuilder before(mark);
    mark.replaceAllUsesWith(ReshapeOp::create(before, mark.getLoc(),
                                              mark.getType(), mark.getOperand())
                                .getResult());
    mark.erase();
  }
}

/// Afterwards every symbol is read at most once, as it is at the start, and
/// every state is written at most once.
void PlanBuilder::forwardWrites() {
  DenseMap<StringAttr, Value> current;
  DenseMap<StringAttr, WriteOp> lastWrite;
  for (Operation &op : llvm::make_early_inc_range(program.getBody().front())) {
    if (auto read = dyn_cast<ReadOp>(op)) {
      Value &value = current[read.getSymbolAttr().getAttr()];
      if (value) {
        read.replaceAllUsesWith(value);
        read.erase();
      } else {
        value = read;
      }
    } else if (auto write = dyn_cast<WriteOp>(op)) {
      StringAttr symbol = write.getSymbolAttr().getAttr();
      current[symbol] = write.getValue();
      WriteOp &last = lastWrite[symbol];
      if (last)
        last.erase();
      last = write;
    }
  }
}

/// Operations that outputs and states depend on, in program order.
LogicalResult PlanBuilder::collect() {
  Block &block = program.getBody().front();
  DenseSet<Operation *> live;
  for (Operation &op : llvm::reverse(block)) {
    if (isa<spmd::ReturnOp, WriteOp>(op))
      live.insert(&op);
    if (!live.contains(&op))
      continue;
    if (auto product = Contraction::of(&op)) {
      std::optional<MatmulLayout> layout = layoutOf(*product);
      if (!layout)
        return op.emitOpError("is no strided matrix product; run "
                              "tpc-normalize-matmuls before");
      layouts[&op] = *layout;
    }
    if (auto attention = dyn_cast<AttentionOp>(op)) {
      if (!hasStep(attention))
        return attention.emitOpError("of several element types; run "
                                     "tpc-expand-composites before");
      attentions[attention] = layoutOf(attention);
    }
    for (Value operand : operandsOf(&op))
      if (Operation *producer = operand.getDefiningOp())
        live.insert(producer);
    needed.push_back(&op);
  }
  std::reverse(needed.begin(), needed.end());
  return success();
}

void PlanBuilder::makeUnits() {
  DenseMap<Operation *, int> position;
  for (auto [i, op] : llvm::enumerate(needed))
    position[op] = i;
  DenseSet<Operation *> grouped;
  for (KernelBody &body :
       formGroups(needed, [&](Operation *op) { return operandsOf(op); })) {
    grouped.insert(body.inside.begin(), body.inside.end());
    Unit unit;
    for (Value output : body.outputs) {
      unitOf[output.getDefiningOp()] = units.size();
      unit.position = std::max(unit.position, position[output.getDefiningOp()]);
    }
    unit.ops = body.ops;
    unit.body = std::move(body);
    units.push_back(std::move(unit));
  }
  for (Operation *op : needed)
    if (!grouped.contains(op)) {
      unitOf[op] = units.size();
      units.push_back({{}, {op}, position[op], {}, 0});
    }
}

void PlanBuilder::linkUnits() {
  for (unsigned i = 0; i < units.size(); ++i) {
    llvm::SetVector<unsigned> producers;
    for (Operation *op : units[i].ops)
      for (Value operand : operandsOf(op)) {
        Operation *producer = operand.getDefiningOp();
        if (producer && !units[i].body.inside.contains(producer))
          producers.insert(unitOf.lookup(producer));
      }
    for (unsigned producer : producers)
      precede(producer, i);
  }
}

bool PlanBuilder::reaches(unsigned from, unsigned to) {
  DenseSet<unsigned> seen{from};
  SmallVector<unsigned> worklist{from};
  while (!worklist.empty()) {
    unsigned unit = worklist.pop_back_val();
    if (unit == to)
      return true;
    for (unsigned next : units[unit].consumers)
      if (seen.insert(next).second)
        worklist.push_back(next);
  }
  return false;
}

/// An update in place comes after the other reads of the same value, if it can.
void PlanBuilder::orderReads() {
  llvm::MapVector<Value, SmallVector<unsigned>> updaters;
  for (unsigned i = 0; i < units.size(); ++i)
    for (Value output : units[i].body.outputs)
      if (isUpdate(output.getDefiningOp()))
        updaters[output.getDefiningOp()->getOperand(0)].push_back(i);
  if (updaters.empty())
    return;
  DenseMap<Value, llvm::SetVector<unsigned>> readers;
  for (unsigned i = 0; i < units.size(); ++i)
    for (Operation *op : units[i].ops)
      for (Value operand : operandsOf(op))
        if (updaters.contains(operand))
          readers[operand].insert(i);
  for (auto &[value, all] : updaters)
    for (unsigned updater : all)
      for (unsigned reader : readers[value])
        if (reader != updater && !reaches(updater, reader))
          precede(reader, updater);
}

/// Topological, the earliest in the program first.
SmallVector<unsigned> PlanBuilder::order() {
  using Entry = std::pair<int, unsigned>;
  std::priority_queue<Entry, std::vector<Entry>, std::greater<>> ready;
  for (unsigned i = 0; i < units.size(); ++i)
    if (units[i].waitsFor == 0)
      ready.push({units[i].position, i});
  SmallVector<unsigned> result;
  while (!ready.empty()) {
    unsigned unit = ready.top().second;
    ready.pop();
    result.push_back(unit);
    for (unsigned consumer : units[unit].consumers)
      if (--units[consumer].waitsFor == 0)
        ready.push({units[consumer].position, consumer});
  }
  return result;
}

//===----------------------------------------------------------------------===//
// Steps
//===----------------------------------------------------------------------===//

/// The names of the operations that the kernel stands for, as a location.
static Location kernelLocation(const KernelBody &body) {
  llvm::SetVector<StringRef> seen;
  SmallVector<std::string> names;
  for (Operation *op : body.ops) {
    if (classify(op) == OpClass::Free || isa<BroadcastOp>(op))
      continue;
    std::string name = describe(op);
    if (!llvm::is_contained(names, name))
      names.push_back(name);
  }
  if (names.empty())
    names.push_back(describe(body.ops.back()));
  std::string text = llvm::join(ArrayRef(names).take_front(4), "+");
  if (names.size() > 4)
    text += "+...";
  Operation *last = body.outputs.back().getDefiningOp();
  Location loc = last->getLoc();
  return NameLoc::get(StringAttr::get(loc.getContext(), text), loc);
}

LogicalResult PlanBuilder::emitKernel(const Unit &unit) {
  const KernelBody &body = unit.body;
  llvm::SetVector<Value> inputs;
  SmallVector<Value> updates;
  for (Value output : body.outputs)
    if (isUpdate(output.getDefiningOp()))
      updates.push_back(output.getDefiningOp()->getOperand(0));
  for (Operation *op : body.ops)
    for (Value operand : op->getOperands().drop_front(isUpdate(op)))
      if (!body.contains(operand))
        inputs.insert(operand);
  FailureOr<plan::KernelFuncOp> function =
      kernels.get(body, inputs.getArrayRef(), updates);
  if (failed(function))
    return failure();
  auto mapped = [&](ArrayRef<Value> values) {
    return llvm::map_to_vector(values,
                               [&](Value v) { return mapping.lookup(v); });
  };
  SmallVector<Type> types;
  for (Value output : body.outputs)
    types.push_back(output.getType());
  auto step = plan::KernelOp::create(
      builder, kernelLocation(body), types,
      FlatSymbolRefAttr::get(function->getSymNameAttr()),
      mapped(inputs.getArrayRef()), mapped(updates), ArrayAttr());
  for (auto [output, result] : llvm::zip_equal(body.outputs, step.getResults()))
    mapping.map(output, result);
  return success();
}

void PlanBuilder::emitMatmul(Operation *op) {
  const MatmulLayout &l = layouts.find(op)->second;
  Value lhs = mapping.lookup(l.lhs.base), rhs = mapping.lookup(l.rhs.base);
  // Packing pays when every call uses the same matrix.
  bool pack = rhs.getDefiningOp<plan::ParameterOp>() && l.batch.empty();
  Value bias;
  plan::ActivationAttr activation;
  if (auto contract = dyn_cast<plan::ContractOp>(op)) {
    bias = mapping.lookupOrNull(contract.getBias());
    activation = contract.getActivationAttr();
  }
  Value result = op->getResult(0);
  auto step = plan::MatmulOp::create(
      builder, op->getLoc(), result.getType(), lhs, rhs,
      builder.getDenseI64ArrayAttr({l.m, l.n, l.k}),
      builder.getDenseI64ArrayAttr({l.lhs.offset, l.aM, l.aK}),
      builder.getDenseI64ArrayAttr({l.rhs.offset, l.bK, l.bN}),
      builder.getDenseI64ArrayAttr({l.cM, l.cN}),
      builder.getDenseI64ArrayAttr(l.batch),
      builder.getDenseI64ArrayAttr(l.batchA),
      builder.getDenseI64ArrayAttr(l.batchB),
      builder.getDenseI64ArrayAttr(l.batchC),
      pack ? builder.getUnitAttr() : UnitAttr(), bias, activation,
      plan::PlaceAttr());
  mapping.map(result, step.getResult());
}

LogicalResult PlanBuilder::emit(GroupedMatmulOp op) {
  StridedValue weights = throughViews(op.getWeights());
  Value base = mapping.lookup(weights.base);
  SmallVector<int64_t> view{weights.offset};
  llvm::append_range(view, weights.strides);
  ArrayRef<int64_t> chosen = shapeOf(op.getChoices());
  int64_t rows = ShapedType::getNumElements(chosen.drop_back());
  SmallVector<int64_t> sizes{rows, chosen.back()};
  llvm::append_range(sizes, shapeOf(op.getWeights()));
  auto step = plan::GroupedMatmulOp::create(
      builder, op.getLoc(), op.getType(), mapping.lookup(op.getRows()),
      mapping.lookup(op.getChoices()), base, builder.getDenseI64ArrayAttr(view),
      builder.getDenseI64ArrayAttr(sizes),
      base.getDefiningOp<plan::ParameterOp>() ? builder.getUnitAttr()
                                              : UnitAttr(),
      plan::PlaceAttr());
  mapping.map(op.getResult(), step.getResult());
  return success();
}

LogicalResult PlanBuilder::emit(AttentionOp op) {
  const AttentionLayout &l = attentions.find(op)->second;
  auto mapped = [&](Value value) { return mapping.lookupOrNull(value); };
  // The offset, and the strides but that of contiguous rows.
  auto view = [&](const StridedValue &value, bool rows = true) {
    SmallVector<int64_t> all{value.offset};
    llvm::append_range(all, ArrayRef(value.strides).drop_back(rows));
    return builder.getDenseI64ArrayAttr(all);
  };
  ArrayRef<int64_t> q = shapeOf(op.getQuery());
  int64_t t = shapeOf(op.getKey())[1], v = shapeOf(op.getValue())[3];
  auto step = plan::AttentionOp::create(
      builder, op.getLoc(), op.getType(), mapped(l.query.base),
      mapped(l.key.base), mapped(l.value.base),
      l.bias ? mapped(l.bias->base) : Value(), mapped(op.getLengths()),
      mapped(op.getOffset()), mapped(op.getSinks()), view(l.query), view(l.key),
      view(l.value), l.bias ? view(*l.bias, false) : DenseI64ArrayAttr(),
      builder.getDenseI64ArrayAttr({q[0], q[1], t, q[2], q[3], q[4], v}),
      op.getScaleAttr(), op.getCausalAttr(), op.getWindowAttr(),
      op.getSoftcapAttr(), plan::PlaceAttr());
  mapping.map(op.getResult(), step.getResult());
  return success();
}

LogicalResult PlanBuilder::emitCollective(Operation *op,
                                          plan::CollectiveKind kind,
                                          Reduction reduction, AxesAttr axes,
                                          Attribute origin,
                                          DenseI64ArrayAttr sources) {
  auto step = plan::CollectiveOp::create(
      builder, op->getLoc(), op->getResult(0).getType(),
      plan::CollectiveKindAttr::get(op->getContext(), kind),
      ReductionAttr::get(op->getContext(), reduction),
      mapping.lookup(op->getOperand(0)), axes, sources, origin,
      plan::PlaceAttr());
  mapping.map(op->getResult(0), step.getResult());
  return success();
}

void PlanBuilder::emitView(Operation *op, int64_t offset) {
  Value view = plan::ViewOp::create(
      builder, op->getLoc(), op->getResult(0).getType(),
      mapping.lookup(op->getOperand(0)), builder.getI64IntegerAttr(offset));
  mapping.map(op->getResult(0), view);
}

LogicalResult PlanBuilder::emit(Operation *op) {
  using Kind = plan::CollectiveKind;
  Location loc = op->getLoc();
  return TypeSwitch<Operation *, LogicalResult>(op)
      .Case<MatmulOp, plan::ContractOp>([&](Operation *op) {
        emitMatmul(op);
        return success();
      })
      .Case<GroupedMatmulOp, AttentionOp>([&](auto op) { return emit(op); })
      .Case([&](ReadOp op) {
        bool isState = isa_and_nonnull<StateOp>(
            SymbolTable::lookupNearestSymbolFrom(op, op.getSymbolAttr()));
        Value value =
            isState ? Value(plan::StateOp::create(builder, loc, op.getType(),
                                                  op.getSymbolAttr()))
                    : Value(plan::ParameterOp::create(
                          builder, loc, op.getType(), op.getSymbolAttr()));
        mapping.map(op.getResult(), value);
        return success();
      })
      .Case([&](tpc::ConstantOp op) {
        mapping.map(op.getResult(),
                    plan::ConstantOp::create(builder, loc, op.getType(),
                                             op.getValue()));
        return success();
      })
      .Case([&](plan::DeviceScalarOp op) {
        builder.clone(*op, mapping);
        return success();
      })
      .Case([&](ReshapeOp op) {
        emitView(op, 0);
        return success();
      })
      .Case([&](tpc::SliceOp op) {
        emitView(op, *contiguousOffset(op));
        return success();
      })
      .Case([&](spmd::AllReduceOp op) {
        return emitCollective(op, Kind::AllReduce, op.getReduction(),
                              op.getAxesAttr(), op.getOriginAttr());
      })
      .Case([&](spmd::ReduceScatterOp op) {
        return emitCollective(op, Kind::ReduceScatter, op.getReduction(),
                              op.getAxesAttr(), op.getOriginAttr());
      })
      .Case([&](spmd::AllGatherOp op) {
        return emitCollective(op, Kind::AllGather, Reduction::Sum,
                              op.getAxesAttr(), op.getOriginAttr());
      })
      .Case([&](spmd::AllToAllOp op) {
        return emitCollective(op, Kind::AllToAll, Reduction::Sum,
                              op.getAxesAttr(), op.getOriginAttr());
      })
      .Case([&](spmd::PermuteOp op) {
        return emitCollective(op, Kind::Permute, Reduction::Sum,
                              op.getAxesAttr(), op.getOriginAttr(),
                              op.getSourcesAttr());
      })
      .Case<WriteOp, spmd::ReturnOp>([](auto) { return success(); })
      .Default([](Operation *op) {
        return op->emitOpError(
            "has no plan; the passes before tpc-form-kernels "
            "replace it");
      });
}

LogicalResult PlanBuilder::run() {
  viewMarks();
  forwardWrites();
  if (failed(collect()))
    return failure();
  makeUnits();
  linkUnits();
  orderReads();
  builder.setInsertionPointToEnd(program->getBlock());
  auto name = builder.getStringAttr(program.getWhole() + ".plan");
  auto result = plan::ProgramOp::create(
      builder, program.getLoc(), name,
      FlatSymbolRefAttr::get(program.getSymNameAttr()), IntegerAttr());
  builder.createBlock(&result.getBody());
  for (BlockArgument argument : program.getArguments())
    mapping.map(argument,
                plan::InputOp::create(
                    builder, argument.getLoc(), argument.getType(),
                    builder.getI64IntegerAttr(argument.getArgNumber()),
                    plan::PlaceAttr()));
  SmallVector<unsigned> steps = order();
  if (steps.size() != units.size())
    return program.emitError("kernels depend on each other in a circle");
  for (unsigned i : steps)
    if (failed(units[i].body.ops.empty() ? emit(units[i].ops.front())
                                         : emitKernel(units[i])))
      return failure();
  for (Operation *op : needed)
    if (auto write = dyn_cast<WriteOp>(op)) {
      Value value = mapping.lookup(write.getValue());
      auto unchanged = value.getDefiningOp<plan::StateOp>();
      if (!unchanged || unchanged.getSymbol() != write.getSymbol())
        plan::WriteOp::create(builder, value.getLoc(), write.getSymbolAttr(),
                              value);
    }
  auto last = cast<spmd::ReturnOp>(program.getBody().front().getTerminator());
  SmallVector<Value> outputs;
  for (Value operand : last.getOperands())
    outputs.push_back(mapping.lookup(operand));
  plan::ReturnOp::create(builder, last.getLoc(), outputs);
  return success();
}

namespace {
struct FormKernels : tpc::impl::FormKernelsBase<FormKernels> {
  void runOnOperation() override {
    KernelTable kernels(getOperation());
    SmallVector<spmd::ProgramOp> programs(
        getOperation().getOps<spmd::ProgramOp>());
    for (spmd::ProgramOp program : programs)
      if (failed(PlanBuilder(program, kernels).run()))
        return signalPassFailure();
  }
};
} // namespace
