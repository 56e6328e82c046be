//===- WholeValues.cpp - Numbers for the values of a function -------------===//

#include "WholeValues.h"

using namespace mlir;
using namespace tpc;
using namespace tpc::proof;

ValueId WholeValues::fresh(Value value) {
  types.push_back(
      withSharding(cast<RankedTensorType>(value.getType()), ShardingAttr()));
  locations.push_back(value.getLoc());
  return types.size() - 1;
}

void WholeValues::number(Value value, ValueId id) { ids[value] = id; }

WholeValues::Key WholeValues::keyOf(Operation *op, ArrayRef<ValueId> operands,
                                    bool withTypes) {
  std::vector<const void *> resultTypes;
  if (withTypes)
    for (Type type : op->getResultTypes())
      resultTypes.push_back(type.getAsOpaquePointer());
  return {op->getName().getAsOpaquePointer(),
          op->getAttrDictionary().getAsOpaquePointer(),
          std::vector<ValueId>(operands.begin(), operands.end()),
          std::move(resultTypes)};
}

WholeValues::WholeValues(FunctionOpInterface function) {
  for (BlockArgument argument : function.getArguments())
    number(argument, fresh(argument));
  for (Operation &op : function.getFunctionBody().front()) {
    if (op.hasTrait<OpTrait::IsTerminator>()) {
      end = &op;
      continue;
    }
    if (auto read = dyn_cast<ReadOp>(op)) {
      StringAttr symbol = read.getSymbolAttr().getAttr();
      auto [it, first] = reads.try_emplace(
          {symbol.getAsOpaquePointer(), writes[symbol].size()}, 0);
      if (first)
        it->second = fresh(read.getResult());
      number(read.getResult(), it->second);
      continue;
    }
    if (auto write = dyn_cast<WriteOp>(op)) {
      writes[write.getSymbolAttr().getAttr()].push_back(&op);
      continue;
    }
    SmallVector<ValueId> operands;
    for (Value operand : op.getOperands())
      operands.push_back(idOf(operand));
    auto [it, first] =
        operations.try_emplace(keyOf(&op, operands, /*withTypes=*/true), &op);
    for (auto [result, known] :
         llvm::zip_equal(op.getResults(), it->second->getResults()))
      number(result, first ? fresh(result) : idOf(known));
    if (!first)
      continue;
    byOperands[keyOf(&op, operands, /*withTypes=*/false)].push_back(&op);
    if (operands.empty())
      created[op.getName()].push_back(&op);
  }
}

ArrayRef<Operation *> WholeValues::find(Operation *op,
                                        ArrayRef<ValueId> operands) const {
  auto it = byOperands.find(keyOf(op, operands, /*withTypes=*/false));
  return it == byOperands.end() ? ArrayRef<Operation *>() : it->second;
}

ArrayRef<Operation *> WholeValues::creators(OperationName name) const {
  auto it = created.find(name);
  return it == created.end() ? ArrayRef<Operation *>() : it->second;
}

std::optional<ValueId> WholeValues::read(StringAttr symbol,
                                         unsigned version) const {
  auto it = reads.find({symbol.getAsOpaquePointer(), version});
  if (it == reads.end())
    return std::nullopt;
  return it->second;
}

Operation *WholeValues::write(StringAttr symbol, unsigned version) const {
  auto it = writes.find(symbol);
  if (it == writes.end() || version >= it->second.size())
    return nullptr;
  return it->second[version];
}

unsigned WholeValues::numWrites(StringAttr symbol) const {
  auto it = writes.find(symbol);
  return it == writes.end() ? 0 : it->second.size();
}

SmallVector<StringAttr> WholeValues::writtenSymbols() const {
  SmallVector<StringAttr> symbols;
  for (const auto &[symbol, list] : writes)
    if (!list.empty())
      symbols.push_back(symbol);
  return symbols;
}
