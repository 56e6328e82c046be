//===- Differentiate.cpp - Adds gradients to the results of an entry ------===//
//
//   func.func @main(%x: tensor<8x4xf32>) -> tensor<f32> {
//     %w = tpc.read @w                 %y = tpc.matmul %x, %w "b k, k n -> b n"
//     %loss = tpc.reduce sum %y dims [0, 1]
//     return %loss
//
// becomes
//
//   func.func @main(%x: tensor<8x4xf32>)
//       -> (tensor<f32>, tensor<4x2xf32> {tpc.name = "grad.w"}) {
//     ... %loss = ...
//     %dy = tpc.broadcast %one dims []
//     %dw = tpc.matmul %x, %dy "b k, b n -> k n"
//     return %loss, %dw
//
// The forward is not touched; operations say what their gradient is
// (tpc/Interfaces/Differentiable.h).
//
//===----------------------------------------------------------------------===//

#include "tpc/Dialect/Tpc/Differentiate.h"
#include "../Core.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "tpc/Dialect/Tpc/Backward.h"
#include "tpc/Dialect/Tpc/Tpc.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;
using namespace tpc;

static bool isFloat(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  return tensor && isa<FloatType>(tensor.getElementType());
}

namespace {
/// A parameter or input with the values that hold it: every read of it.
struct Variable {
  std::string name;
  RankedTensorType type;
  SmallVector<Value> values;
};
} // namespace

static FailureOr<unsigned> findLoss(func::FuncOp entry, StringRef name) {
  std::optional<unsigned> loss;
  for (unsigned i = 0; i < entry.getNumResults(); ++i) {
    Type type = entry.getResultTypes()[i];
    bool isScalar =
        isFloat(type) && cast<RankedTensorType>(type).getRank() == 0;
    if (!name.empty()) {
      if (resultName(entry, i) != name)
        continue;
      if (!isScalar)
        return entry.emitError("output: expected a floating-point scalar as "
                               "the loss, found \"")
               << name << "\" of type " << type
               << "; reduce it to one number, tpc.reduce sum";
      return i;
    }
    if (!isScalar)
      continue;
    if (loss)
      return entry.emitError("expected one floating-point scalar among the "
                             "results, found \"")
             << resultName(entry, *loss) << "\" and \"" << resultName(entry, i)
             << "\"; choose one with output=NAME";
    loss = i;
  }
  if (!name.empty())
    return entry.emitError("output: there is no result \"") << name << "\"";
  if (!loss)
    return entry.emitError("expected a floating-point scalar among the "
                           "results, the loss; found none");
  return *loss;
}

/// Every floating-point parameter that is read, in the order of first reads,
/// then every floating-point input.
static FailureOr<std::vector<Variable>> variablesOf(func::FuncOp entry) {
  std::vector<Variable> variables;
  auto find = [&](StringRef name) {
    return llvm::find_if(variables,
                         [&](const Variable &v) { return v.name == name; });
  };
  auto module = entry->getParentOfType<ModuleOp>();
  for (auto read : entry.getBody().front().getOps<ReadOp>()) {
    auto type = cast<RankedTensorType>(read.getType());
    if (!module.lookupSymbol<ParameterOp>(read.getSymbol()) || !isFloat(type))
      continue;
    auto it = find(read.getSymbol());
    if (it == variables.end())
      it = variables.insert(it, {read.getSymbol().str(), type, {}});
    it->values.push_back(read.getResult());
  }
  for (BlockArgument argument : entry.getArguments()) {
    if (!isFloat(argument.getType()))
      continue;
    std::string name = argumentName(entry, argument.getArgNumber());
    if (find(name) != variables.end())
      return entry.emitError("input \"")
             << name
             << "\" has the name of a parameter: their gradients could not be "
                "told apart; give it another tpc.name";
    variables.push_back(
        {name, cast<RankedTensorType>(argument.getType()), {argument}});
  }
  return variables;
}

/// The values of `block` that depend on `sources` through floating-point
/// numbers, sources included.
static llvm::DenseSet<Value> dependents(Block &block,
                                        ArrayRef<Variable> sources) {
  llvm::DenseSet<Value> values;
  for (const Variable &source : sources)
    values.insert(source.values.begin(), source.values.end());
  for (Operation &op : block)
    if (llvm::any_of(op.getOperands(),
                     [&](Value operand) { return values.contains(operand); }))
      for (Value result : op.getResults())
        if (isFloat(result.getType()))
          values.insert(result);
  return values;
}

/// The values of `block` that `loss` is computed from.
static llvm::DenseSet<Value> sourcesOf(Block &block, Value loss) {
  llvm::DenseSet<Value> values{loss};
  for (Operation &op : llvm::reverse(block))
    if (llvm::any_of(op.getResults(),
                     [&](Value result) { return values.contains(result); }))
      values.insert(op.operand_begin(), op.operand_end());
  return values;
}

/// A state that the loss reads after the entry wrote something differentiable
/// to it would hide a dependence.
static LogicalResult checkStates(Block &block,
                                 const llvm::DenseSet<Value> &depends,
                                 const llvm::DenseSet<Value> &matter) {
  llvm::StringMap<WriteOp> written;
  for (Operation &op : block) {
    if (auto write = dyn_cast<WriteOp>(op);
        write && depends.contains(write.getValue()))
      written[write.getSymbol()] = write;
    auto read = dyn_cast<ReadOp>(op);
    if (!read || !matter.contains(read.getResult()))
      continue;
    auto it = written.find(read.getSymbol());
    if (it == written.end())
      continue;
    auto error =
        read.emitError("the loss depends on state @")
        << read.getSymbol()
        << " after it was written: expected states to be read before, since "
           "gradients do not flow through memory; use the written value itself";
    error.attachNote(it->second.getLoc()) << "written here";
    return error;
  }
  return success();
}

/// Removes operations after `last`, the users first, that nothing uses.
static void eraseUnused(Block &block, Operation *last) {
  Operation *op = block.getTerminator()->getPrevNode();
  while (op != last) {
    Operation *before = op->getPrevNode();
    if (isOpTriviallyDead(op))
      op->erase();
    op = before;
  }
}

/// The variables to differentiate with respect to, in the order asked for.
static FailureOr<std::vector<Variable>>
choose(func::FuncOp function, Value loss, ArrayRef<std::string> wrt) {
  FailureOr<std::vector<Variable>> variables = variablesOf(function);
  if (failed(variables))
    return failure();
  auto reachesLoss = [&](const Variable &variable) {
    return dependents(function.getBody().front(), variable).contains(loss);
  };
  std::vector<Variable> chosen;
  if (wrt.empty()) {
    for (const Variable &variable : *variables)
      if (!isa<BlockArgument>(variable.values[0]) && reachesLoss(variable))
        chosen.push_back(variable);
    if (chosen.empty())
      return function.emitError(
          "the loss depends on no floating-point parameter; name inputs with "
          "wrt=NAME to differentiate with respect to them");
    return chosen;
  }
  llvm::StringSet<> seen;
  for (const std::string &name : wrt) {
    auto it = llvm::find_if(*variables,
                            [&](const Variable &v) { return v.name == name; });
    if (it == variables->end())
      return function.emitError("wrt: expected a floating-point parameter "
                                "that the entry reads, or an input; found \"")
             << name << "\"";
    if (!seen.insert(name).second)
      return function.emitError("wrt: \"") << name << "\" is named twice";
    if (!reachesLoss(*it))
      return function.emitError("wrt: the loss does not depend on \"")
             << name << "\"; leave it out, its gradient would be zeros";
    chosen.push_back(*it);
  }
  return chosen;
}

static LogicalResult addResults(func::FuncOp function,
                                ArrayRef<Variable> variables,
                                Backward &backward, OpBuilder &builder) {
  llvm::StringSet<> taken;
  for (unsigned i = 0; i < function.getNumResults(); ++i)
    taken.insert(resultName(function, i));
  Operation *terminator = function.getBody().front().getTerminator();
  for (const Variable &variable : variables) {
    std::string name = (kGradientPrefix + variable.name).str();
    if (!taken.insert(name).second)
      return function.emitError("a result is called \"")
             << name << "\", the name of a gradient; give it another tpc.name";
    SmallVector<NamedAttribute, 2> attributes{
        {builder.getStringAttr(kNameAttrName), builder.getStringAttr(name)}};
    if (!isa<BlockArgument>(variable.values[0]))
      attributes.push_back(
          {builder.getStringAttr(kLikeAttrName),
           FlatSymbolRefAttr::get(builder.getContext(), variable.name)});
    if (failed(function.insertResult(function.getNumResults(), variable.type,
                                     builder.getDictionaryAttr(attributes))))
      return failure();
    Value gradient = backward.gradient(variable.values);
    if (!gradient) // it is used where no change of it matters
      gradient = Core(builder, function.getLoc())
                     .constant(0, variable.type.getShape(),
                               variable.type.getElementType());
    terminator->insertOperands(terminator->getNumOperands(), gradient);
  }
  return success();
}

LogicalResult tpc::differentiate(func::FuncOp function, StringRef output,
                                 ArrayRef<std::string> wrt) {
  if (function.isExternal() || !function.getBody().hasOneBlock())
    return function.emitError(
        "expected a function of one block to differentiate");
  FailureOr<unsigned> lossIndex = findLoss(function, output);
  if (failed(lossIndex))
    return failure();
  Block &block = function.getBody().front();
  Operation *terminator = block.getTerminator();
  Value loss = terminator->getOperand(*lossIndex);
  FailureOr<std::vector<Variable>> variables = choose(function, loss, wrt);
  if (failed(variables))
    return failure();
  llvm::DenseSet<Value> depends = dependents(block, *variables);
  if (failed(checkStates(block, depends, sourcesOf(block, loss))))
    return failure();

  SmallVector<Operation *> forward;
  for (Operation &op : block.without_terminator())
    forward.push_back(&op);
  OpBuilder builder(terminator);
  Backward backward(builder);
  backward.restrictTo(std::move(depends));
  auto lossType = cast<RankedTensorType>(loss.getType());
  Attribute one = builder.getFloatAttr(lossType.getElementType(), 1);
  backward.add(loss, ConstantOp::create(builder, loss.getLoc(), lossType,
                                        DenseElementsAttr::get(lossType, one)));
  if (failed(backward.run(forward)) ||
      failed(addResults(function, *variables, backward, builder)))
    return failure();
  eraseUnused(block, forward.empty() ? nullptr : forward.back());
  return success();
}
