//===- ExpandSynchronized.cpp - Composites that communicate inside --------===//
//
// softmax of tensor<8x64> split along its last dimension becomes
//
//   %m = tpc.reduce max %x dims [1]      partial: max {"tp"}
//   %r = tpc.reshard %m                  all_reduce max
//   ...
//
// Where the composite has a blockwise form and the blocks are equal, that is
// used instead: the devices exchange one summary.
//
//   %p = tpc.reshape %x                  tensor<8x64> to <8x4x16>, split by tp
//   ...                                  maximum and sum of every block
//   %s = tpc.concat %m, %e dim 2         tensor<8x4x2>, split by tp
//   %r = tpc.reshard %s                  all_gather
//
// The decomposition is put into a function of its own whose arguments and
// results are pinned to what the composite had, assigned by propagation, and
// inlined. A blockwise form is proved to compute what the decomposition does
// every time (Proof/Blockwise.h).
//
//===----------------------------------------------------------------------===//

#include "Proof/Blockwise.h"
#include "mlir/IR/IRMapping.h"
#include "tpc/Transforms/Passes.h"

namespace tpc {
#define GEN_PASS_DEF_EXPANDSYNCHRONIZEDPASS
#include "tpc/Transforms/Passes.h.inc"
} // namespace tpc

using namespace mlir;
using namespace tpc;

static OpShardings shardingsOf(Operation *op) {
  OpShardings shardings;
  for (Type type : op->getOperandTypes())
    shardings.operands.push_back(getSharding(type).getValue());
  for (Type type : op->getResultTypes())
    shardings.results.push_back(getSharding(type).getValue());
  return shardings;
}

static SmallVector<Type> stripped(TypeRange types) {
  return llvm::map_to_vector(types, [](Type type) -> Type {
    return withSharding(cast<RankedTensorType>(type), ShardingAttr());
  });
}

/// How many equal blocks the last dimension of operand 0 is split into, if that
/// is all that is split where devices must agree; else 0.
static int64_t equalBlocks(const RuledOp &ruled, const Strategy &strategy,
                           const Mesh &mesh) {
  if (ruled.rule.operands.empty() || ruled.rule.operands[0].empty() ||
      ruled.rule.operands[0].back().size() != 1)
    return 0;
  unsigned last = ruled.rule.operands[0].back()[0];
  for (auto [f, factor] : llvm::enumerate(ruled.rule.factors))
    if (factor.kind == FactorKind::Synchronized && f != last &&
        !axesOf(strategy, f).empty())
      return 0;
  int64_t blocks = mesh.size(axesOf(strategy, last));
  int64_t size = ruled.operandShapes[0].back();
  return blocks > 1 && size % blocks == 0 ? blocks : 0;
}

/// The blocks to expand `op` by: 0 for its plain decomposition. Fails if its
/// blockwise form is not proved.
static FailureOr<int64_t> chooseBlocks(DecomposableOpInterface op,
                                       const OpShardings &shardings,
                                       const Mesh &mesh) {
  RuledOp ruled = RuledOp::of(op);
  int64_t blocks =
      equalBlocks(ruled, *matchStrategy(ruled, shardings, mesh), mesh);
  if (blocks == 0)
    return 0;
  Decomposition plain(op), blockwise(op, blocks);
  if (blockwise.results().empty())
    return 0;
  if (std::optional<std::string> problem =
          proof::proveBlockwise({plain.block(), plain.results()},
                                {blockwise.block(), blockwise.results()}))
    return op->emitOpError("the form in ")
           << blocks << " blocks is not proved: " << *problem;
  return blocks;
}

/// The results of `op` on `arguments` in core operations. The summary of a
/// blockwise form is pinned to be whole: that is the exchange.
static SmallVector<Value> decomposed(OpBuilder &builder,
                                     DecomposableOpInterface op,
                                     const OpShardings &shardings,
                                     ValueRange arguments, int64_t blocks) {
  if (blocks == 0)
    return op.decompose(builder, arguments);
  BlockwiseDecomposition blockwise =
      op.decomposeBlockwise(builder, arguments, blocks);
  Sharding pin = shardings.operands[0];
  pin.dims.back().clear(); // the blocks
  pin.dims.push_back({});  // their numbers
  Value summary = blockwise.summary;
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointAfterValue(summary);
  Value whole =
      ShardOp::create(builder, op->getLoc(), summary.getType(), summary,
                      ShardingAttr::get(op->getContext(), pin));
  summary.replaceAllUsesExcept(whole, whole.getDefiningOp());
  return std::move(blockwise.results);
}

/// A module with the decomposition of `op` as its only function, pinned.
static OwningOpRef<ModuleOp> pinnedDecomposition(DecomposableOpInterface op,
                                                 const OpShardings &shardings,
                                                 int64_t blocks, MeshOp mesh) {
  OpBuilder builder(op->getContext());
  OwningOpRef<ModuleOp> module = ModuleOp::create(op->getLoc());
  builder.setInsertionPointToStart(module->getBody());
  builder.clone(*mesh);
  auto function = func::FuncOp::create(
      builder, op->getLoc(), "body",
      builder.getFunctionType(stripped(op->getOperandTypes()),
                              stripped(op->getResultTypes())));
  Block *block = function.addEntryBlock();
  builder.setInsertionPointToStart(block);
  SmallVector<Value> results =
      decomposed(builder, op, shardings, block->getArguments(), blocks);
  func::ReturnOp::create(builder, op->getLoc(), results);
  auto attr = [&](const Sharding &sharding) {
    return ShardingAttr::get(op->getContext(), sharding);
  };
  for (auto [i, sharding] : llvm::enumerate(shardings.operands))
    function.setArgAttr(i, kShardingAttrName, attr(sharding));
  for (auto [i, sharding] : llvm::enumerate(shardings.results))
    function.setResultAttr(i, kShardingAttrName, attr(sharding));
  return module;
}

static LogicalResult expand(DecomposableOpInterface op, const Mesh &mesh,
                            MeshOp meshOp) {
  OpShardings shardings = shardingsOf(op);
  auto partial = [](const Sharding &sharding) { return sharding.isPartial(); };
  if (llvm::any_of(shardings.operands, partial) ||
      llvm::any_of(shardings.results, partial))
    return op->emitOpError(
        "is split along a synchronized dimension and partial "
        "at once, which cannot be expanded");
  FailureOr<int64_t> blocks = chooseBlocks(op, shardings, mesh);
  if (failed(blocks))
    return failure();
  OwningOpRef<ModuleOp> body =
      pinnedDecomposition(op, shardings, *blocks, meshOp);
  FailureOr<Assignment> assignment =
      createPropagationAssigner()->assign(*body, mesh);
  if (failed(assignment))
    return failure();
  applyAssignment(*body, *assignment, mesh);

  auto function = *body->getOps<func::FuncOp>().begin();
  OpBuilder builder(op);
  IRMapping mapping;
  mapping.map(function.getArguments(), op->getOperands());
  for (Operation &inner : function.getBody().front().without_terminator())
    builder.clone(inner, mapping);
  Operation *ret = function.getBody().front().getTerminator();
  for (auto [result, value] :
       llvm::zip_equal(op->getResults(), ret->getOperands())) {
    Value replacement = mapping.lookupOrDefault(value);
    result.replaceAllUsesWith(replacement);
  }
  op->erase();
  return success();
}

namespace {
struct ExpandSynchronized
    : public tpc::impl::ExpandSynchronizedPassBase<ExpandSynchronized> {
  void runOnOperation() override {
    ModuleOp module = getOperation();
    FailureOr<Mesh> mesh = lookupMesh(module);
    if (failed(mesh))
      return signalPassFailure();
    MeshOp meshOp = *module.getOps<MeshOp>().begin();
    SmallVector<DecomposableOpInterface> composites;
    for (auto function : module.getOps<func::FuncOp>())
      function.walk([&](DecomposableOpInterface op) {
        RuledOp ruled = RuledOp::of(op);
        auto strategy = matchStrategy(ruled, shardingsOf(op), *mesh);
        if (strategy && splits(ruled.rule, *strategy, FactorKind::Synchronized))
          composites.push_back(op);
      });
    for (DecomposableOpInterface op : composites)
      if (failed(expand(op, *mesh, meshOp)))
        return signalPassFailure();
  }
};
} // namespace
