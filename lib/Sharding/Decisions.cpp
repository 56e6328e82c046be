//===- Decisions.cpp - What a plan decides, by name -----------------------===//

#include "Decisions.h"
#include "tpc/Sharding/Explanation.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/raw_ostream.h"
#include "llvm/Support/xxhash.h"

using namespace mlir;
using namespace tpc;

namespace {

/// Names what has the same name as something before: "x", "x 2". What is no
/// UTF-8 cannot stand in a file.
class Namer {
public:
  Decision tensor(std::string name, Type type, Operation *op,
                  unsigned index = 0) {
    return make(name, "", cast<RankedTensorType>(type), op, index);
  }
  Decision operation(Operation *op) {
    auto name = op->getLoc()->findInstanceOf<NameLoc>();
    std::string kind = op->getName().stripDialect().str();
    if (!name || name.getName().empty())
      return make(kind, "", nullptr, op, 0);
    return make(name.getName().str(), " " + kind, nullptr, op, 0);
  }

private:
  Decision make(const std::string &name, std::string suffix,
                RankedTensorType type, Operation *op, unsigned index) {
    std::string valid = llvm::json::fixUTF8(name);
    if (int count = ++used[valid + suffix]; count > 1)
      suffix += " " + std::to_string(count);
    return {valid + suffix, layerPattern(valid) + suffix, type, op, index};
  }

  llvm::StringMap<int> used;
};

} // namespace

static EntryDecisions decisionsOf(func::FuncOp function) {
  EntryDecisions entry{function.getName().str(), function, {}, {}, {}};
  Namer inputs, operations, outputs;
  for (auto [i, type] : llvm::enumerate(function.getArgumentTypes()))
    entry.inputs.push_back(
        inputs.tensor(argumentName(function, i), type, function, i));
  for (Operation &op : function.getBody().front().without_terminator())
    if (!isa<ReadOp, WriteOp>(op))
      entry.operations.push_back(operations.operation(&op));
  for (auto [i, type] : llvm::enumerate(function.getResultTypes()))
    if (!heldLike(function, i))
      entry.outputs.push_back(
          outputs.tensor(resultName(function, i), type, function, i));
  return entry;
}

ModuleDecisions ModuleDecisions::of(ModuleOp module) {
  ModuleDecisions decisions;
  Namer symbols;
  for (auto op : module.getOps<ParameterOp>())
    decisions.parameters.push_back(
        symbols.tensor(op.getSymName().str(), op.getTensorType(), op));
  for (auto op : module.getOps<StateOp>())
    decisions.states.push_back(
        symbols.tensor(op.getSymName().str(), op.getTensorType(), op));
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
