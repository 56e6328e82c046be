//===- ApplyAssignment.cpp - Puts an assignment into types ----------------===//
//
//   %y = tpc.matmul %a, %w ...        held: sum {"tp"}
//   %z = tpc.gelu erf %y              wants it replicated
//
// becomes, with the encodings shortened to P (partial) and R (replicated),
//
//   %y = tpc.matmul %a, %w : ... -> tensor<8x64xf32, P>
//   %0 = tpc.reshard %y #tpc.origin<...> : (tensor<..., P>) -> tensor<..., R>
//   %z = tpc.gelu erf %0
//
// A value that several users want in the same other sharding is resharded
// once.
//
//===----------------------------------------------------------------------===//

#include "tpc/Transforms/Passes.h"

using namespace mlir;
using namespace tpc;

namespace {

class Applier {
public:
  Applier(ModuleOp module, const Assignment &assignment, const Mesh &mesh)
      : module(module), assignment(assignment), mesh(mesh),
        builder(module.getContext()) {}

  void run() {
    for (Operation &op : *module.getBody())
      if (isa<ParameterOp, StateOp>(op))
        applySymbol(&op);
    for (auto function : module.getOps<func::FuncOp>())
      applyFunction(function);
  }

private:
  static RankedTensorType type(Value value) {
    return cast<RankedTensorType>(value.getType());
  }

  RankedTensorType sharded(RankedTensorType type, const Sharding &sharding) {
    return withSharding(type, canonical(sharding, type.getShape(), mesh));
  }

  void applySymbol(Operation *op) {
    StringAttr name = SymbolTable::getSymbolName(op);
    auto type =
        cast<RankedTensorType>(cast<TypeAttr>(op->getAttr("type")).getValue());
    op->setAttr("type", TypeAttr::get(sharded(
                            type, assignment.symbols.find(name)->second)));
    op->removeAttr(kShardingAttrName);
  }

  void applyFunction(func::FuncOp function) {
    Block &body = function.getBody().front();
    for (BlockArgument argument : function.getArguments()) {
      argument.setType(
          sharded(type(argument), assignment.held.find(argument)->second));
      function.removeArgAttr(argument.getArgNumber(), kShardingAttrName);
    }
    for (Operation &op : llvm::make_early_inc_range(body))
      applyOp(&op);
    auto results = body.getTerminator()->getOperandTypes();
    for (unsigned i = 0; i < function.getNumResults(); ++i)
      function.removeResultAttr(
          i, StringAttr::get(module.getContext(), kShardingAttrName));
    function.setType(builder.getFunctionType(body.getArgumentTypes(), results));
  }

  void applyOp(Operation *op) {
    auto wanted = assignment.wanted.find(op);
    if (wanted != assignment.wanted.end())
      for (auto [operand, sharding] :
           llvm::zip_equal(op->getOpOperands(), wanted->second))
        operand.set(resharded(operand.get(), sharding, op));
    if (auto shard = dyn_cast<ShardOp>(op)) {
      shard.getResult().replaceAllUsesWith(shard.getOperand());
      shard.erase();
      return;
    }
    for (OpResult result : op->getResults()) {
      Sharding sharding;
      if (auto held = assignment.held.find(result);
          held != assignment.held.end())
        sharding = held->second;
      else if (auto read = dyn_cast<ReadOp>(op))
        sharding =
            assignment.symbols.find(read.getSymbolAttr().getAttr())->second;
      else
        llvm_unreachable("the assignment misses a value");
      result.setType(sharded(type(result), sharding));
    }
  }

  /// `value` under `wanted`, through a reshard where it is held otherwise.
  Value resharded(Value value, const Sharding &wanted, Operation *user) {
    RankedTensorType from = type(value);
    RankedTensorType to = sharded(from, wanted);
    if (from == to)
      return value;
    Value &known = reshards[{value, to}];
    if (known)
      return known;
    builder.setInsertionPoint(user);
    Operation *maker = value.getDefiningOp();
    if (maker && isMadeAnywhere(maker) && !wanted.isPartial()) {
      Operation *again = builder.clone(*maker);
      again->getResult(0).setType(to);
      return known = again->getResult(0);
    }
    auto origin = OriginAttr::get(builder.getContext(),
                                  builder.getStringAttr(describe(value)),
                                  builder.getStringAttr(describe(user)),
                                  getSharding(from), getSharding(to));
    return known =
               ReshardOp::create(builder, value.getLoc(), to, value, origin);
  }

  ModuleOp module;
  const Assignment &assignment;
  const Mesh &mesh;
  OpBuilder builder;
  llvm::DenseMap<std::pair<Value, Type>, Value> reshards;
};

} // namespace

void tpc::applyAssignment(ModuleOp module, const Assignment &assignment,
                          const Mesh &mesh) {
  Applier(module, assignment, mesh).run();
}
