//===- Decisions.cpp - What a plan decides, by name -----------------------===//

#include "Decisions.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/raw_ostream.h"
#include "llvm/Support/xxhash.h"

using namespace mlir;
using namespace tpc;

/// Names that are used before get a number; what is no UTF-8 cannot stand in a
/// file.
static std::string uniqueName(std::string name, llvm::StringMap<int> &used) {
  name = llvm::json::fixUTF8(name);
  int count = ++used[name];
  return count == 1 ? name : name + " " + std::to_string(count);
}

static std::string operationName(Operation *op) {
  std::string kind = op->getName().stripDialect().str();
  auto name = op->getLoc()->findInstanceOf<NameLoc>();
  return name && !name.getName().empty() ? name.getName().str() + " " + kind
                                         : kind;
}

static EntryDecisions decisionsOf(func::FuncOp function) {
  EntryDecisions entry{function.getName().str(), function, {}, {}, {}};
  llvm::StringMap<int> inputs, operations, outputs;
  for (auto [i, type] : llvm::enumerate(function.getArgumentTypes()))
    entry.inputs.push_back({uniqueName(argumentName(function, i), inputs),
                            cast<RankedTensorType>(type), function,
                            unsigned(i)});
  for (Operation &op : function.getBody().front().without_terminator())
    if (!isa<ReadOp, WriteOp>(op))
      entry.operations.push_back(
          {uniqueName(operationName(&op), operations), nullptr, &op});
  for (auto [i, type] : llvm::enumerate(function.getResultTypes()))
    entry.outputs.push_back({uniqueName(resultName(function, i), outputs),
                             cast<RankedTensorType>(type), function,
                             unsigned(i)});
  return entry;
}

ModuleDecisions ModuleDecisions::of(ModuleOp module) {
  ModuleDecisions decisions;
  llvm::StringMap<int> used;
  for (auto op : module.getOps<ParameterOp>())
    decisions.parameters.push_back(
        {uniqueName(op.getSymName().str(), used), op.getTensorType(), op});
  for (auto op : module.getOps<StateOp>())
    decisions.states.push_back(
        {uniqueName(op.getSymName().str(), used), op.getTensorType(), op});
  for (auto function : module.getOps<func::FuncOp>())
    decisions.entries.push_back(decisionsOf(function));
  return decisions;
}

std::string tpc::meshText(const Mesh &mesh) {
  std::string text;
  for (auto [name, size] : llvm::zip_equal(mesh.names, mesh.sizes))
    text += (text.empty() ? "" : ",") + name.str() + "=" + std::to_string(size);
  return text;
}

std::string tpc::tensorText(RankedTensorType type) {
  std::string text;
  llvm::raw_string_ostream os(text);
  for (int64_t size : type.getShape())
    os << size << 'x';
  os << type.getElementType();
  return text;
}

std::string tpc::fingerprint(func::FuncOp function) {
  std::string text;
  llvm::raw_string_ostream os(text);
  llvm::DenseMap<Value, size_t> numbers;
  auto number = [&](Value value) {
    numbers.try_emplace(value, numbers.size());
    os << ' ' << value.getType();
  };
  for (BlockArgument argument : function.getArguments())
    number(argument);
  for (Operation &op : function.getBody().front()) {
    os << '\n' << op.getName();
    for (Value operand : op.getOperands())
      os << ' ' << numbers.at(operand);
    for (NamedAttribute attribute : op.getAttrDictionary())
      // What a module's builder numbers, and pins, are checked elsewhere.
      if (!isa<ShardOp>(op) && !op.getDiscardableAttr(attribute.getName()))
        os << ' ' << attribute.getName().getValue() << '='
           << attribute.getValue();
    llvm::for_each(op.getResults(), number);
  }
  size_t count = function.getBody().front().getOperations().size();
  return std::to_string(count) + " operations, " +
         llvm::utohexstr(llvm::xxh3_64bits(text), /*LowerCase=*/true,
                         /*Width=*/16);
}
