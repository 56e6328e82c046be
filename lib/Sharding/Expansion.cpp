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
    : module(ModuleOp::create(op->getLoc())), mesh(mesh) {
  OpBuilder builder(op->getContext());
  builder.setInsertionPointToStart(module->getBody());
  function = func::FuncOp::create(
      builder, op->getLoc(), "body",
      builder.getFunctionType(stripped(op->getOperandTypes()),
                              stripped(op->getResultTypes())));
  Block *block = function.addEntryBlock();
  builder.setInsertionPointToStart(block);
  SmallVector<Value> results = op.decompose(builder, block->getArguments());
  func::ReturnOp::create(builder, op->getLoc(), results);
}

FailureOr<Assignment> Expansion::assign(const OpShardings &shardings) {
  auto attr = [&](const Sharding &sharding) {
    return ShardingAttr::get(function.getContext(), sharding);
  };
  for (auto [i, sharding] : llvm::enumerate(shardings.operands))
    function.setArgAttr(i, kShardingAttrName, attr(sharding));
  for (auto [i, sharding] : llvm::enumerate(shardings.results))
    function.setResultAttr(i, kShardingAttrName, attr(sharding));
  return createPropagationAssigner()->assign(*module, mesh);
}
