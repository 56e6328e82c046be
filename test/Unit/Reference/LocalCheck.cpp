//===- LocalCheck.cpp - A strategy without partition ----------------------===//

#include "LocalCheck.h"
#include "tpc/Reference/Blocks.h"
#include "tpc/Reference/Evaluator.h"

using namespace mlir;
using namespace tpc;
using namespace tpc::reference;

bool tpc::reference::isPlainlyLocal(const RuledOp &ruled,
                                    const Strategy &strategy,
                                    const OpShardings &shardings,
                                    const Mesh &mesh) {
  auto even = [&](const auto &shapes, const auto &list) {
    for (auto [shape, sharding] : llvm::zip_equal(shapes, list))
      for (auto [size, axes] : llvm::zip_equal(shape, sharding.dims))
        if (hasPadding(size, axes, mesh))
          return false;
    return true;
  };
  return !splits(ruled.rule, strategy, FactorKind::Indexed) &&
         !splits(ruled.rule, strategy, FactorKind::Positioned) &&
         !splits(ruled.rule, strategy, FactorKind::Synchronized) &&
         even(ruled.operandShapes, shardings.operands) &&
         even(ruled.resultShapes, shardings.results);
}

/// Blocks of `whole`; where the sharding is partial, of random contributions
/// that combine to it.
static SmallVector<Tensor> blocksOf(const Tensor &whole,
                                    const Sharding &sharding, const Mesh &mesh,
                                    std::mt19937 &random) {
  SmallVector<Tensor> blocks = shardTensor(whole, sharding, mesh);
  if (!sharding.isPartial())
    return blocks;
  AxisList axes;
  for (const PartialAxis &partial : sharding.partial)
    axes.push_back(partial.axis);
  for (const auto &group : mesh.groups(axes)) {
    Tensor &first = blocks[group[0]];
    Tensor held = first;
    for (int64_t member : ArrayRef(group).drop_front()) {
      Tensor part = randomTensor(first.type(), {-3, 3}, random);
      for (auto [kept, contribution, value] :
           llvm::zip_equal(first.data, part.data, held.data)) {
        if (sharding.partial[0].reduction == Reduction::Sum)
          kept -= contribution;
        else if (sharding.partial[0].reduction == Reduction::Max)
          contribution = std::min(contribution, value);
        else
          contribution = std::max(contribution, value);
      }
      blocks[member] = std::move(part);
    }
  }
  // What is replicated over other axes is the same there.
  for (const AxisList &split : sharding.dims)
    llvm::append_range(axes, split);
  llvm::DenseMap<int64_t, int64_t> first;
  for (int64_t device = 0; device < mesh.numDevices(); ++device)
    blocks[device] =
        blocks[first.try_emplace(mesh.coordinate(device, axes), device)
                   .first->second];
  return blocks;
}

/// The operation on blocks of the given types.
static Operation *localOperation(Operation *op, ArrayRef<Tensor> operands,
                                 const OpShardings &shardings,
                                 const Mesh &mesh) {
  OpBuilder builder(op);
  Block &body = *op->getBlock();
  SmallVector<Value> arguments;
  for (const Tensor &operand : operands)
    arguments.push_back(body.addArgument(operand.type(), op->getLoc()));
  SmallVector<Type> results;
  for (auto [type, sharding] :
       llvm::zip_equal(op->getResultTypes(), shardings.results))
    results.push_back(
        localType(withSharding(cast<RankedTensorType>(type), sharding), mesh));
  OperationState state(op->getLoc(), op->getName(), arguments, results,
                       op->getAttrs());
  return builder.create(state);
}

std::optional<std::string>
tpc::reference::checkLocal(const OpCase &opCase, const Mesh &mesh,
                           const OpShardings &shardings, std::mt19937 &random) {
  OwningOpRef<ModuleOp> module = moduleOf(opCase, mesh);
  Operation *op = operationOf(*module);
  SmallVector<Tensor> wholes;
  SmallVector<SmallVector<Tensor>> blocks; // by operand, by device
  for (auto [i, type] : llvm::enumerate(op->getOperandTypes())) {
    wholes.push_back(
        randomTensor(cast<RankedTensorType>(type), opCase.range(i), random));
    blocks.push_back(
        blocksOf(wholes.back(), shardings.operands[i], mesh, random));
  }
  auto pointers = [](ArrayRef<Tensor> tensors) {
    return llvm::map_to_vector(tensors, [](const Tensor &t) { return &t; });
  };
  Diagnostics diagnostics;
  auto expected = evaluateOperation(op, pointers(wholes));
  if (failed(expected))
    return diagnostics.text;

  SmallVector<SmallVector<Tensor>> found(expected->size()); // by result
  for (int64_t device = 0; device < mesh.numDevices(); ++device) {
    SmallVector<Tensor> operands;
    for (const auto &list : blocks)
      operands.push_back(list[device]);
    auto results = evaluateOperation(
        localOperation(op, operands, shardings, mesh), pointers(operands));
    if (failed(results))
      return diagnostics.text;
    for (auto [list, result] : llvm::zip_equal(found, *results))
      list.push_back(result);
  }
  for (auto [i, whole] : llvm::enumerate(*expected)) {
    std::string problem;
    auto result = unshard(found[i], whole.shape, shardings.results[i], mesh,
                          opCase.tolerance, &problem);
    if (failed(result))
      return problem;
    if (auto wrong = difference(*result, whole, opCase.tolerance))
      return wrong;
  }
  return std::nullopt;
}
