//===- Backward.cpp - Gradients through a list of operations --------------===//

#include "tpc/Dialect/Tpc/Backward.h"
#include "../Core.h"

using namespace mlir;
using namespace tpc;

void Backward::add(Value value, Value contribution) {
  if (!contribution || !isa<FloatType>(getElementTypeOrSelf(value)) ||
      (wanted && !wanted->contains(value)))
    return;
  contributions[value].push_back(contribution);
}

/// A value in f32 before it was rounded, where that is at hand: contributions
/// of 16 bits are rounded after they are summed.
static Value unrounded(Core &core, Value x) {
  if (auto convert = x.getDefiningOp<ConvertOp>())
    if (getElementTypeOrSelf(convert.getOperand()).isF32())
      return convert.getOperand();
  auto matmul = x.getDefiningOp<MatmulOp>();
  if (!matmul)
    return core.convert(x, core.f32());
  return core.make<MatmulOp>(Core::with(x, core.f32()), matmul.getLhs(),
                             matmul.getRhs(), matmul.getEquationAttr());
}

Value Backward::gradient(ValueRange values) {
  SmallVector<Value, 2> parts;
  for (Value value : values)
    llvm::append_range(parts, contributions.lookup(value));
  if (parts.size() < 2)
    return parts.empty() ? Value() : parts.front();
  Core core(builder, values.front().getLoc());
  Type element = getElementTypeOrSelf(values.front());
  bool narrow = element.getIntOrFloatBitWidth() < 32;
  Value sum;
  for (Value part : parts) {
    if (narrow)
      part = unrounded(core, part);
    sum = sum ? core.binary<AddOp>(sum, part) : part;
  }
  return core.convert(sum, element);
}

/// The gradients of the composite's operands, null where none is wanted.
SmallVector<Value> Backward::buildStep(Operation *op, Value gradient) {
  SmallVector<int64_t> of;
  SmallVector<Type> types;
  for (auto [i, operand] : llvm::enumerate(op->getOperands())) {
    if (!isa<FloatType>(getElementTypeOrSelf(operand)) ||
        (wanted && !wanted->contains(operand)))
      continue;
    of.push_back(i);
    types.push_back(operand.getType());
  }
  SmallVector<Value> values(op->getOperands());
  values.push_back(gradient);
  auto step =
      VjpOp::create(builder, op->getLoc(), types, op->getName().getStringRef(),
                    op->getAttrDictionary(), of, values);
  SmallVector<Value> gradients(op->getNumOperands());
  for (auto [operand, result] : llvm::zip_equal(of, step.getGradients()))
    gradients[operand] = result;
  return gradients;
}

LogicalResult Backward::run(ArrayRef<Operation *> ops) {
  for (Operation *op : llvm::reverse(ops)) {
    if (op->getNumOperands() == 0)
      continue;
    SmallVector<Value> gradients;
    for (Value result : op->getResults())
      gradients.push_back(gradient(result));
    if (llvm::none_of(gradients, [](Value v) { return bool(v); }))
      continue;
    auto differentiable = dyn_cast<DifferentiableOpInterface>(op);
    if (!differentiable)
      return op->emitOpError("has no gradient, and the loss depends on it");
    SmallVector<Value> parts =
        op->hasTrait<GradientStep>()
            ? buildStep(op, gradients[0])
            : differentiable.buildVjp(builder, gradients);
    for (auto [operand, contribution] :
         llvm::zip_equal(op->getOperands(), parts))
      add(operand, contribution);
  }
  return success();
}

SmallVector<Value> tpc::buildDecomposedVjp(Operation *op, OpBuilder &builder,
                                           ValueRange gradients) {
  // What is built stands between the operation before and the insertion point.
  Block *block = builder.getInsertionBlock();
  auto end = builder.getInsertionPoint();
  bool first = end == block->begin();
  Operation *before = first ? nullptr : &*std::prev(end);
  SmallVector<Value> results =
      cast<DecomposableOpInterface>(op).decompose(builder, op->getOperands());
  auto begin = first ? block->begin() : std::next(before->getIterator());
  SmallVector<Operation *> inner;
  for (Operation &built : llvm::make_range(begin, end))
    inner.push_back(&built);

  Backward backward(builder);
  for (auto [result, gradient] : llvm::zip_equal(results, gradients))
    backward.add(result, gradient);
  [[maybe_unused]] LogicalResult built = backward.run(inner);
  assert(succeeded(built) && "decompositions are differentiable");
  // An operand that is given twice gets its whole gradient once.
  SmallVector<Value> operandGradients;
  llvm::DenseSet<Value> given;
  for (Value operand : op->getOperands())
    operandGradients.push_back(
        given.insert(operand).second ? backward.gradient(operand) : Value());
  return operandGradients;
}
