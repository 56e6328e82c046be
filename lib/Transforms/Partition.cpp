//===- Partition.cpp - From the assigned form to per-device programs ------===//
//
// A one-to-one type conversion: every value becomes its local block, every
// operation itself on blocks. Three things are added.
//
// Reshards become the collectives that the planner finds.
//
// An operation that mixes elements along an unevenly split dimension would mix
// padding into its result; its operands are masked first:
//
//   %y = tpc.matmul %a, %w "m k, k n -> m n"      k = 10 over 4 devices
//   ->
//   %0 = spmd.mask %a with 0.0 dims [1] of tensor<8x10xf32, [{}, {"tp"}]>
//   %1 = spmd.mask %w with 0.0 dims [0] of ...
//   %2 = tpc.matmul %0, %1
//
// The mask is left out where the padding is known to be zero already:
// parameters and arguments are filled with zeros when they are loaded.
//
// Where positions are data (gather from a split table, iota along a split
// dimension) they are shifted by the start of the device's block; indices that
// fall outside give zeros, so the results are partial sums. Where positions
// count from an operand (the offset of attention, split along its queries) the
// start is added to that operand.
//
//===----------------------------------------------------------------------===//

#include "mlir/IR/IRMapping.h"
#include "tpc/Dialect/Spmd/Spmd.h"
#include "tpc/Sharding/ReshardPlanner.h"
#include "tpc/Transforms/Passes.h"
#include <limits>

namespace tpc {
#define GEN_PASS_DEF_PARTITIONPASS
#include "tpc/Transforms/Passes.h.inc"
} // namespace tpc

using namespace mlir;
using namespace tpc;

namespace {

RankedTensorType tensorType(Value value) {
  return cast<RankedTensorType>(value.getType());
}

/// Emits the per-device program of one function.
class Partitioner {
public:
  Partitioner(func::FuncOp function, const Mesh &mesh, ReshardPlanner &planner)
      : function(function), mesh(mesh), planner(planner),
        builder(function.getContext()) {}

  LogicalResult run() {
    builder.setInsertionPointAfter(function);
    spmd::ProgramOp program = createProgram();
    Block *body = builder.createBlock(&program.getBody());
    for (BlockArgument argument : function.getArguments()) {
      Value local =
          body->addArgument(local_(argument.getType()), argument.getLoc());
      map(argument, local, /*zeroPadding=*/true);
    }
    builder.setInsertionPointToStart(body);
    for (Operation &op : function.getBody().front())
      if (failed(partition(&op)))
        return failure();
    return success();
  }

private:
  RankedTensorType local_(Type type) {
    return localType(cast<RankedTensorType>(type), mesh);
  }

  spmd::ProgramOp createProgram() {
    SmallVector<Type> arguments, results;
    SmallVector<Attribute> argShardings, resultShardings;
    for (Type type : function.getArgumentTypes()) {
      arguments.push_back(local_(type));
      argShardings.push_back(getSharding(type));
    }
    for (Type type : function.getResultTypes()) {
      results.push_back(local_(type));
      resultShardings.push_back(getSharding(type));
    }
    return spmd::ProgramOp::create(
        builder, function.getLoc(), (function.getName() + ".spmd").str(),
        builder.getFunctionType(arguments, results), function.getName(),
        builder.getArrayAttr(argShardings),
        builder.getArrayAttr(resultShardings), function.getArgAttrsAttr(),
        function.getResAttrsAttr());
  }

  //===--------------------------------------------------------------------===//
  // Values
  //===--------------------------------------------------------------------===//

  void map(Value whole, Value local, bool zeroPadding = false) {
    locals.map(whole, local);
    if (zeroPadding)
      zeroPadded.insert(local);
  }

  /// The operand's block with its padding along `dims` set to `fill`.
  Value masked(Value whole, ArrayRef<int64_t> dims, double fill) {
    Value local = locals.lookup(whole);
    if (dims.empty() || (fill == 0 && zeroPadded.contains(local)))
      return local;
    return spmd::MaskOp::create(builder, whole.getLoc(), local.getType(), local,
                                builder.getF64FloatAttr(fill),
                                builder.getDenseI64ArrayAttr(dims),
                                TypeAttr::get(whole.getType()));
  }

  AxesAttr axesAttr(ArrayRef<AxisRef> axes) {
    return AxesAttr::get(builder.getContext(), mesh.symbol, axes);
  }

  //===--------------------------------------------------------------------===//
  // Operations
  //===--------------------------------------------------------------------===//

  LogicalResult partition(Operation *op) {
    if (auto reshard = dyn_cast<ReshardOp>(op))
      return partitionReshard(reshard);
    if (auto ret = dyn_cast<func::ReturnOp>(op)) {
      SmallVector<Value> results;
      for (Value operand : ret.getOperands())
        results.push_back(locals.lookup(operand));
      spmd::ReturnOp::create(builder, op->getLoc(), results);
      return success();
    }
    if (isa<ReadOp, WriteOp>(op)) {
      Operation *local = cloneLocal(op);
      // Parameters are loaded with zero padding; states may be written.
      if (auto read = dyn_cast<ReadOp>(op)) {
        Operation *symbol =
            SymbolTable::lookupNearestSymbolFrom(op, read.getSymbolAttr());
        if (isa_and_nonnull<ParameterOp>(symbol))
          zeroPadded.insert(local->getResult(0));
      }
      return success();
    }
    return partitionRuled(op);
  }

  Operation *cloneLocal(Operation *op) {
    SmallVector<Value> operands;
    for (Value operand : op->getOperands())
      operands.push_back(locals.lookup(operand));
    return cloneLocal(op, operands);
  }

  Operation *cloneLocal(Operation *op, ArrayRef<Value> operands) {
    SmallVector<Type> results;
    for (Type type : op->getResultTypes())
      results.push_back(local_(type));
    OperationState state(op->getLoc(), op->getName(), operands, results,
                         op->getAttrs());
    if (auto constant = dyn_cast<ConstantOp>(op))
      state.attributes.set(constant.getValueAttrName(),
                           localValue(constant, results[0]));
    Operation *local = builder.create(state);
    for (auto [whole, result] :
         llvm::zip_equal(op->getResults(), local->getResults()))
      map(whole, result);
    return local;
  }

  /// The value of a constant's block: only splats are split.
  static Attribute localValue(ConstantOp op, Type local) {
    auto splat = dyn_cast<SplatElementsAttr>(op.getValue());
    if (!splat)
      return op.getValue();
    return SplatElementsAttr::get(cast<ShapedType>(local),
                                  splat.getSplatValue<Attribute>());
  }

  LogicalResult partitionRuled(Operation *op) {
    RuledOp ruled = RuledOp::of(op);
    OpShardings shardings;
    for (Type type : op->getOperandTypes())
      shardings.operands.push_back(getSharding(type).getValue());
    for (Type type : op->getResultTypes())
      shardings.results.push_back(getSharding(type).getValue());
    std::optional<Strategy> strategy = matchStrategy(ruled, shardings, mesh);
    if (!strategy)
      return op->emitOpError("is not local under its shardings");
    if (splits(ruled.rule, *strategy, FactorKind::Synchronized))
      return op->emitOpError("is split along a synchronized dimension; run "
                             "tpc-expand-synchronized first");

    SmallVector<Value> operands = maskedOperands(op, ruled, *strategy);
    for (auto [f, factor] : llvm::enumerate(ruled.rule.factors)) {
      AxisList axes = axesOf(*strategy, f);
      if (factor.kind == FactorKind::Indexed && !axes.empty() &&
          op->getNumOperands() > kIndexOperand)
        operands[kIndexOperand] =
            shifted(operands[kIndexOperand], factor.size, axes, op->getLoc());
      if (factor.kind == FactorKind::Positioned && !axes.empty()) {
        Value &origin = operands[*factor.origin];
        origin = movedBy(origin, factor.size, axes, op->getLoc());
      }
    }
    Operation *local = cloneLocal(op, operands);
    if (auto iota = dyn_cast<IotaOp>(op)) {
      AxisList axes = axesOf(*strategy, iota.getDim());
      if (!axes.empty())
        shiftIota(iota, local, axes);
    }
    return success();
  }

  /// Operands with padding masked where this operation would mix it with data:
  /// along a contracted factor every operand that has it, along a split table
  /// the table.
  SmallVector<Value> maskedOperands(Operation *op, const RuledOp &ruled,
                                    const Strategy &strategy) {
    SmallVector<Value> operands;
    for (auto [i, operand] : llvm::enumerate(op->getOperands())) {
      SmallVector<int64_t> dims;
      double fill = 0;
      for (auto [dim, factors] : llvm::enumerate(ruled.rule.operands[i]))
        for (unsigned f : factors) {
          const Factor &factor = ruled.rule.factors[f];
          bool mixes = factor.kind == FactorKind::Contracted ||
                       factor.kind == FactorKind::Indexed;
          if (!mixes || !hasPadding(factor.size, axesOf(strategy, f), mesh) ||
              isa<IntegerType>(tensorType(operand).getElementType()) !=
                  isa<IntegerType>(
                      tensorType(op->getResult(0)).getElementType()))
            continue;
          dims.push_back(dim);
          fill = identity(factor.reduction, tensorType(operand));
        }
      operands.push_back(masked(operand, dims, fill));
    }
    return operands;
  }

  /// What does not change a reduction.
  static double identity(Reduction reduction, RankedTensorType type) {
    if (reduction == Reduction::Sum)
      return 0;
    double extreme = std::numeric_limits<double>::infinity();
    // The mask saturates: 2^31 is the highest i32.
    if (auto integer = dyn_cast<IntegerType>(type.getElementType()))
      extreme = std::ldexp(1.0, integer.getWidth() - 1);
    return reduction == Reduction::Max ? -extreme : extreme;
  }

  /// indices - start of this device's block.
  Value shifted(Value indices, int64_t size, ArrayRef<AxisRef> axes,
                Location loc) {
    return SubOp::create(builder, loc, indices.getType(), indices,
                         blockStart(size, axes, tensorType(indices), loc));
  }

  /// positions + start of this device's block.
  Value movedBy(Value positions, int64_t size, ArrayRef<AxisRef> axes,
                Location loc) {
    return AddOp::create(builder, loc, positions.getType(), positions,
                         blockStart(size, axes, tensorType(positions), loc));
  }

  void shiftIota(IotaOp op, Operation *local, ArrayRef<AxisRef> axes) {
    int64_t size = tensorType(op.getResult()).getDimSize(op.getDim());
    map(op.getResult(), movedBy(local->getResult(0), size, axes, op.getLoc()));
  }

  /// The start of this device's block, in the shape and type of `like`.
  Value blockStart(int64_t size, ArrayRef<AxisRef> axes, RankedTensorType like,
                   Location loc) {
    auto i64 = RankedTensorType::get({}, builder.getI64Type());
    Value start = spmd::BlockStartOp::create(
        builder, loc, i64, builder.getI64IntegerAttr(size), axesAttr(axes));
    auto scalar = RankedTensorType::get({}, like.getElementType());
    if (scalar != i64)
      start = ConvertOp::create(builder, loc, scalar, start);
    return BroadcastOp::create(builder, loc, like, start,
                               builder.getDenseI64ArrayAttr({}));
  }

  //===--------------------------------------------------------------------===//
  // Reshards
  //===--------------------------------------------------------------------===//

  static bool mixesReductions(const Sharding &sharding) {
    return llvm::any_of(sharding.partial, [&](const PartialAxis &p) {
      return p.reduction != sharding.partial[0].reduction;
    });
  }

  LogicalResult partitionReshard(ReshardOp op) {
    RankedTensorType whole = tensorType(op.getOperand());
    const Sharding &from = getSharding(whole).getValue();
    const Sharding &to = getSharding(op.getResult().getType()).getValue();
    if (mixesReductions(from) || mixesReductions(to))
      return op.emitOpError("of a value that is partial by two reductions, "
                            "which do not commute");
    ReshardPlan plan = planner.plan(from, to, whole.getShape(),
                                    elementBytes(whole.getElementType()));
    Value value = locals.lookup(op.getOperand());
    for (const ReshardStep &step : plan.steps)
      value =
          emitStep(op, step, value, local_(withSharding(whole, step.result)));
    map(op.getResult(), value);
    return success();
  }

  Value emitStep(ReshardOp op, const ReshardStep &step, Value value,
                 RankedTensorType type) {
    Location loc = op.getLoc();
    AxesAttr axes = axesAttr(step.axes);
    OriginAttr origin = op.getOriginAttr();
    switch (step.kind) {
    case ReshardStep::AllReduce:
      return spmd::AllReduceOp::create(builder, loc, type, step.reduction,
                                       value, axes, origin);
    case ReshardStep::ReduceScatter:
      return spmd::ReduceScatterOp::create(builder, loc, type, step.reduction,
                                           value, step.dim, axes, origin);
    case ReshardStep::AllGather:
      return spmd::AllGatherOp::create(builder, loc, type, value, step.dim,
                                       axes, origin);
    case ReshardStep::AllToAll:
      return spmd::AllToAllOp::create(builder, loc, type, value, step.dim,
                                      step.fromDim, axes, origin);
    case ReshardStep::Permute:
      return spmd::PermuteOp::create(builder, loc, type, value, step.sources,
                                     axes, origin);
    case ReshardStep::Slice:
      return spmd::SliceOp::create(builder, loc, type, value, step.dim, axes);
    case ReshardStep::ToPartial:
      return spmd::ToPartialOp::create(builder, loc, type, step.reduction,
                                       value, axes);
    }
    llvm_unreachable("unknown reshard step");
  }

  func::FuncOp function;
  const Mesh &mesh;
  ReshardPlanner &planner;
  OpBuilder builder;
  IRMapping locals;
  /// Local values whose padding is known to be zero.
  llvm::DenseSet<Value> zeroPadded;
};

/// Attention that is split along its queries, by position, gets an offset that
/// the start of a block can be added to: an i64, 0 where it had none.
void giveOffset(AttentionOp op, const Mesh &mesh) {
  if (getSharding(op.getQuery().getType())->dims[1].empty() ||
      !(op.getCausal() || op.getWindow()))
    return;
  OpBuilder builder(op);
  Type i64 = builder.getI64Type();
  Value offset = op.getOffset();
  if (!offset) {
    auto type = RankedTensorType::get({}, i64);
    auto replicated = ShardingAttr::get(op.getContext(),
                                        Sharding::replicated(mesh.symbol, 0));
    offset = ConstantOp::create(
        builder, op.getLoc(), withSharding(type, replicated),
        DenseElementsAttr::get(type, builder.getI64IntegerAttr(0)));
  } else if (tensorType(offset).getElementType() != i64) {
    offset = ConvertOp::create(builder, op.getLoc(),
                               tensorType(offset).clone(i64), offset);
  }
  op.getOffsetMutable().assign(offset);
}

/// Removes the shardings of a whole function.
void stripShardings(func::FuncOp function) {
  auto strip = [](Value value) {
    value.setType(withSharding(tensorType(value), ShardingAttr()));
  };
  for (BlockArgument argument : function.getArguments())
    strip(argument);
  function.walk([&](Operation *op) {
    for (Value result : op->getResults())
      strip(result);
  });
  function.walk([](ReshardOp op) {
    op.getResult().replaceAllUsesWith(op.getOperand());
    op.erase();
  });
  Block &body = function.getBody().front();
  function.setType(FunctionType::get(function.getContext(),
                                     body.getArgumentTypes(),
                                     body.getTerminator()->getOperandTypes()));
}

struct Partition : public tpc::impl::PartitionPassBase<Partition> {
  void runOnOperation() override {
    ModuleOp module = getOperation();
    FailureOr<Mesh> mesh = lookupMesh(module);
    if (failed(mesh))
      return signalPassFailure();
    FailureOr<Machine> machine = machineOf(module);
    if (failed(machine))
      return signalPassFailure();
    ReshardPlanner planner(CostModel(*machine, *mesh));
    module.walk([&](AttentionOp op) { giveOffset(op, *mesh); });
    for (auto function : llvm::to_vector(module.getOps<func::FuncOp>()))
      if (failed(Partitioner(function, *mesh, planner).run()))
        return signalPassFailure();
    for (auto function : module.getOps<func::FuncOp>())
      stripShardings(function);
  }
};

} // namespace
