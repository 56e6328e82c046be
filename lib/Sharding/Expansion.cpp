//===- Expansion.cpp - Composites that communicate inside -----------------===//

#include "tpc/Sharding/Expansion.h"

using namespace mlir;
using namespace tpc;

static SmallVector<Type> stripped(TypeRange types) {
  return llvm::map_to_vector(types, [](Type type) -> Type {
    return withSharding(cast<RankedTensorType>(type), ShardingAttr());
  });
}

Expansion::Expansion(DecomposableOpInterface op, const Mesh &mesh)
    : op(op), mesh(mesh) {}

/// How many equal blocks the last dimension of operand 0 is split into, if that
/// is all that is split where devices must agree; else 0.
int64_t Expansion::equalBlocks(const OpShardings &shardings) const {
  RuledOp ruled = RuledOp::of(op);
  std::optional<Strategy> strategy = matchStrategy(ruled, shardings, mesh);
  if (!strategy || ruled.rule.operands.empty() ||
      ruled.rule.operands[0].empty() ||
      ruled.rule.operands[0].back().size() != 1)
    return 0;
  unsigned last = ruled.rule.operands[0].back()[0];
  for (auto [f, factor] : llvm::enumerate(ruled.rule.factors))
    if (factor.kind == FactorKind::Synchronized && f != last &&
        !axesOf(*strategy, f).empty())
      return 0;
  int64_t count = mesh.size(axesOf(*strategy, last));
  return count > 1 && ruled.operandShapes[0].back() % count == 0 ? count : 0;
}

/// The decomposition, or its form in `blocks`, as a function.
std::optional<Expansion::Form> Expansion::build(int64_t blocks) {
  Form form;
  form.module = ModuleOp::create(op->getLoc());
  OpBuilder builder(op->getContext());
  builder.setInsertionPointToStart(form.module->getBody());
  form.function = func::FuncOp::create(
      builder, op->getLoc(), "body",
      builder.getFunctionType(stripped(op->getOperandTypes()),
                              stripped(op->getResultTypes())));
  Block *block = form.function.addEntryBlock();
  builder.setInsertionPointToStart(block);
  if (blocks == 0) {
    SmallVector<Value> results = op.decompose(builder, block->getArguments());
    func::ReturnOp::create(builder, op->getLoc(), results);
    return form;
  }
  BlockwiseDecomposition blockwise =
      op.decomposeBlockwise(builder, block->getArguments(), blocks);
  if (blockwise.results.empty())
    return std::nullopt;
  func::ReturnOp::create(builder, op->getLoc(), blockwise.results);
  Value summary = blockwise.summary;
  builder.setInsertionPointAfterValue(summary);
  auto rank = cast<RankedTensorType>(summary.getType()).getRank();
  form.summary = ShardOp::create(
      builder, op->getLoc(), summary.getType(), summary,
      ShardingAttr::get(op->getContext(),
                        Sharding::replicated(mesh.symbol, rank)));
  summary.replaceAllUsesExcept(form.summary, form.summary);
  return form;
}

const Expansion::Form *Expansion::formOf(int64_t blocks) {
  auto [it, fresh] = forms.try_emplace(blocks);
  if (fresh)
    it->second = build(blocks);
  return it->second ? &*it->second : nullptr;
}

FailureOr<Assignment> Expansion::assign(const OpShardings &shardings) {
  blocks = equalBlocks(shardings);
  current = formOf(blocks);
  if (!current) {
    blocks = 0;
    current = formOf(0);
  }
  func::FuncOp function = current->function;
  auto attr = [&](const Sharding &sharding) {
    return ShardingAttr::get(function.getContext(), sharding);
  };
  for (auto [i, sharding] : llvm::enumerate(shardings.operands))
    function.setArgAttr(i, kShardingAttrName, attr(sharding));
  for (auto [i, sharding] : llvm::enumerate(shardings.results))
    function.setResultAttr(i, kShardingAttrName, attr(sharding));
  if (blocks > 0) {
    Sharding whole = shardings.operands[0];
    whole.dims.back().clear(); // the blocks
    whole.dims.push_back({});  // the numbers of each
    ShardOp(current->summary).setShardingAttr(attr(whole));
  }
  return createPropagationAssigner()->assign(ModuleOp(*current->module), mesh);
}
