//===- Evaluator.cpp - The meaning of a program, computed plainly ---------===//

#include "tpc/Reference/Evaluator.h"
#include "Frame.h"
#include "Kernels.h"

using namespace mlir;
using namespace tpc;
using namespace tpc::reference;

//===----------------------------------------------------------------------===//
// Symbols
//===----------------------------------------------------------------------===//

void SymbolStore::set(StringRef name, Tensor value) {
  values[name] = std::move(value);
}

FailureOr<const Tensor *> SymbolStore::get(Operation *symbol) {
  auto parameter = dyn_cast<ParameterOp>(symbol);
  RankedTensorType type = parameter ? parameter.getTensorType()
                                    : cast<StateOp>(symbol).getTensorType();
  StringRef name = SymbolTable::getSymbolName(symbol);
  auto it = values.find(name);
  if (it == values.end()) {
    Tensor value(type.getShape(), type.getElementType());
    if (parameter) {
      if (!source)
        return symbol->emitError("no value was given for parameter @") << name;
      FailureOr<Tensor> given = source(parameter);
      if (failed(given))
        return failure();
      value = std::move(*given);
    }
    it = values.try_emplace(name, std::move(value)).first;
  }
  if (!it->second.hasType(type))
    return symbol->emitError("expected a value of type ")
           << withSharding(type, ShardingAttr()) << " for @" << name
           << ", found " << it->second.type();
  return &it->second;
}

//===----------------------------------------------------------------------===//
// Operations
//===----------------------------------------------------------------------===//

/// Evaluates `op`, for all operations, and puts the results into the frame.
static LogicalResult
run(llvm::iterator_range<Block::iterator> ops, Frame &frame,
    llvm::function_ref<FailureOr<SmallVector<Tensor>>(Operation *, Operands)>
        evaluateOne) {
  for (Operation &op : ops) {
    auto results = evaluateOne(&op, frame.get(op.getOperands()));
    if (failed(results))
      return failure();
    frame.release(op.getOperands());
    for (auto [value, tensor] : llvm::zip_equal(op.getResults(), *results))
      frame.set(value, std::move(tensor));
  }
  return success();
}

static SmallVector<Tensor> copies(Operands tensors) {
  return llvm::map_to_vector(tensors, [](const Tensor *t) { return *t; });
}

static FailureOr<SmallVector<Tensor>>
evaluateComposite(DecomposableOpInterface op, Operands operands) {
  Decomposition body(op);
  Frame frame(body.results());
  for (auto [argument, operand] :
       llvm::zip_equal(body.block().getArguments(), operands))
    frame.set(argument, *operand);
  if (failed(run(body.block(), frame, evaluateOperation)))
    return failure();
  return copies(frame.get(body.results()));
}

FailureOr<SmallVector<Tensor>>
tpc::reference::evaluateOperation(Operation *op, Operands operands) {
  if (const Kernel *kernel = kernels().find(op)) {
    SmallVector<Tensor> results;
    for (Type type : op->getResultTypes()) {
      auto tensor = cast<RankedTensorType>(type);
      results.emplace_back(tensor.getShape(), tensor.getElementType());
    }
    (*kernel)(op, operands, results);
    for (Tensor &result : results)
      roundElements(result);
    return results;
  }
  if (auto composite = dyn_cast<DecomposableOpInterface>(op))
    return evaluateComposite(composite, operands);
  return op->emitError("the reference evaluator does not know ")
         << op->getName() << "; it has neither a kernel in lib/Reference nor a "
         << "decomposition";
}

//===----------------------------------------------------------------------===//
// Functions
//===----------------------------------------------------------------------===//

LogicalResult tpc::reference::checkInputs(Operation *op, TypeRange expected,
                                          ArrayRef<Tensor> inputs) {
  if (expected.size() != inputs.size())
    return op->emitError("expected ")
           << expected.size() << " inputs, found " << inputs.size();
  for (auto [i, type] : llvm::enumerate(expected)) {
    auto tensor = dyn_cast<RankedTensorType>(type);
    if (!tensor || !inputs[i].hasType(tensor))
      return op->emitError("input ")
             << i << ": expected " << type << ", found " << inputs[i].type();
  }
  return success();
}

/// As evaluateOperation, with reads, writes and identities.
static FailureOr<SmallVector<Tensor>>
evaluateInFunction(Operation *op, Operands operands, SymbolStore &symbols) {
  if (auto read = dyn_cast<ReadOp>(op)) {
    auto value = symbols.get(
        SymbolTable::lookupNearestSymbolFrom(op, read.getSymbolAttr()));
    if (failed(value))
      return failure();
    return copies({*value});
  }
  if (auto write = dyn_cast<WriteOp>(op)) {
    symbols.set(write.getSymbol(), *operands[0]);
    return SmallVector<Tensor>();
  }
  if (isa<ShardOp, ReshardOp>(op))
    return copies(operands);
  return evaluateOperation(op, operands);
}

FailureOr<SmallVector<Tensor>>
tpc::reference::evaluate(FunctionOpInterface function, ArrayRef<Tensor> inputs,
                         SymbolStore &symbols) {
  if (function.isExternal() || !function.getFunctionBody().hasOneBlock())
    return function.emitError("expected a body of one block to evaluate");
  if (failed(checkInputs(function, function.getArgumentTypes(), inputs)))
    return failure();
  Block &block = function.getFunctionBody().front();
  Frame frame;
  for (auto [argument, input] : llvm::zip_equal(block.getArguments(), inputs))
    frame.set(argument, input);
  auto evaluateOne = [&](Operation *op, Operands operands) {
    return evaluateInFunction(op, operands, symbols);
  };
  if (failed(run(block.without_terminator(), frame, evaluateOne)))
    return failure();
  return copies(frame.get(block.getTerminator()->getOperands()));
}
