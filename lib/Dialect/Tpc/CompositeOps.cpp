//===- CompositeOps.cpp - Verifiers of the composite operations -----------===//

#include "Constraints.h"
#include "tpc/Dialect/Tpc/Einsum.h"

using namespace mlir;
using namespace tpc;
using namespace tpc::constraints;

LogicalResult SoftmaxOp::verify() {
  if (failed(require(*this, type(getOperand()).getRank() >= 1, "C1",
                     "expected a rank of at least 1")) ||
      failed(requireShape(*this, "C2", "result", shape(getResult()),
                          shape(getOperand()))))
    return failure();
  return requireElement(*this, "C2", getOperand(), getResult());
}

LogicalResult CrossEntropyOp::verify() {
  Shape logits = shape(getLogits()), labels = shape(getLabels());
  if (failed(require(*this, !logits.empty() && logits.drop_back() == labels,
                     "C1",
                     "expected logits with the shape of labels and one more "
                     "dimension, found " +
                         text(logits) + " and " + text(labels))))
    return failure();
  return requireShape(*this, "C2", "result", shape(getResult()), labels);
}

LogicalResult LayerNormOp::verify() {
  Shape from = shape(getOperand());
  if (failed(require(*this, !from.empty(), "C1",
                     "expected a rank of at least 1")) ||
      failed(requireShape(*this, "C1", "weight", shape(getWeight()),
                          from.take_back())) ||
      failed(requireShape(*this, "C1", "bias", shape(getBias()),
                          from.take_back())) ||
      failed(requireShape(*this, "C2", "result", shape(getResult()), from)))
    return failure();
  return requireElement(*this, "C2", getOperand(), getResult());
}

LogicalResult GeluOp::verify() {
  if (failed(sameShapes(*this)))
    return failure();
  return requireElement(*this, "C1", getOperand(), getResult());
}

LogicalResult RmsNormOp::verify() {
  Shape from = shape(getOperand());
  if (failed(require(*this, !from.empty(), "C1",
                     "expected a rank of at least 1")) ||
      failed(requireShape(*this, "C1", "weight", shape(getWeight()),
                          from.take_back())) ||
      failed(requireShape(*this, "C2", "result", shape(getResult()), from)))
    return failure();
  return requireElement(*this, "C2", getOperand(), getResult());
}

LogicalResult SiluOp::verify() {
  if (failed(sameShapes(*this)))
    return failure();
  return requireElement(*this, "C1", getOperand(), getResult());
}

LogicalResult RopeOp::verify() {
  Shape from = shape(getOperand()), positions = shape(getPositions());
  Shape frequencies = shape(getFrequencies());
  if (failed(require(*this, frequencies.size() == 1, "C1",
                     "expected frequencies of rank 1")) ||
      failed(require(
          *this, !from.empty() && from.back() >= 2 * frequencies[0], "C1",
          "expected a last dimension of at least " + Twine(2 * frequencies[0]) +
              ", found shape " + text(from))) ||
      failed(require(*this,
                     positions.size() < from.size() &&
                         from.take_front(positions.size()) == positions,
                     "C2",
                     "expected positions with the first dimensions of " +
                         text(from) + " but not the last, found " +
                         text(positions))) ||
      failed(requireShape(*this, "C3", "result", shape(getResult()), from)))
    return failure();
  return requireElement(*this, "C3", getOperand(), getResult());
}

LogicalResult LinearOp::verify() {
  if (failed(verifyEquation(*this, getEquation(), getLhs(), getRhs(),
                            getResult())))
    return failure();
  std::optional<Einsum> einsum = Einsum::parse(getEquation());
  SmallVector<std::string> free = einsum->freeOfRhs();
  if (free.size() > einsum->result.size() ||
      ArrayRef(einsum->result).take_back(free.size()) != ArrayRef(free))
    return emitOpError("C2: expected the right operand's free dimensions to be "
                       "the last of the result, in order");
  if (failed(requireShape(*this, "C2", "bias", shape(getBias()),
                          shape(getResult()).take_back(free.size()))))
    return failure();
  return requireElement(*this, "C3", getBias(), getResult());
}

LogicalResult EmbeddingOp::verify() {
  if (failed(require(*this, type(getTable()).getRank() == 2, "C1",
                     "expected a table of rank 2")) ||
      failed(requireShape(
          *this, "C2", "result", shape(getResult()),
          gatheredShape(shape(getTable()), shape(getTokens()), 0))))
    return failure();
  return requireElement(*this, "C3", getTable(), getResult());
}

LogicalResult GroupedMatmulOp::verify() {
  Shape rows = shape(getRows()), choices = shape(getChoices());
  Shape weights = shape(getWeights());
  if (failed(require(*this, !choices.empty() && weights.size() == 3, "C1",
                     "expected choices of rank at least 1 and weights of rank "
                     "3, found " +
                         text(choices) + " and " + text(weights))))
    return failure();
  SmallVector<int64_t> alone(choices.drop_back()), each(choices), to(choices);
  alone.push_back(weights[1]);
  each.push_back(weights[1]);
  to.push_back(weights[2]);
  if (failed(require(*this, rows == Shape(alone) || rows == Shape(each), "C2",
                     "expected rows of shape " + text(alone) + " or " +
                         text(each) + ", found " + text(rows))) ||
      failed(requireShape(*this, "C3", "result", shape(getResult()), to)) ||
      failed(requireElement(*this, "C4", getRows(), getWeights())))
    return failure();
  return requireElement(*this, "C4", getRows(), getResult());
}

LogicalResult ExpertsOp::verify() {
  Shape from = shape(getOperand()), choices = shape(getChoices());
  Shape down = shape(getDown());
  if (failed(require(*this, !choices.empty(), "C1",
                     "expected choices of rank at least 1")) ||
      failed(requireShape(*this, "C1", "scores", shape(getScores()), choices)))
    return failure();
  if (failed(require(*this, down.size() == 3 && from.size() == choices.size(),
                     "C2",
                     "expected operand with the rank of choices and down of "
                     "rank 3, found " +
                         text(from) + " and " + text(down))))
    return failure();
  SmallVector<int64_t> rows(choices.drop_back()), to(rows);
  rows.push_back(from.back());
  to.push_back(down[2]);
  int64_t in[] = {down[0], from.back(), down[1]};
  if (failed(requireShape(*this, "C2", "operand", from, rows)) ||
      failed(requireShape(*this, "C2", "gate", shape(getGate()), in)) ||
      failed(requireShape(*this, "C2", "up", shape(getUp()), in)) ||
      failed(requireShape(*this, "C3", "result", shape(getResult()), to)))
    return failure();
  for (Value other : {getScores(), getGate(), getUp(), getDown(), getResult()})
    if (failed(requireElement(*this, "C4", getOperand(), other)))
      return failure();
  return success();
}

LogicalResult AttentionOp::verify() {
  Shape q = shape(getQuery()), k = shape(getKey()), v = shape(getValue());
  if (failed(require(*this, q.size() == 5 && k.size() == 4 && v.size() == 4,
                     "C1",
                     "expected query of rank 5 and key and value of rank 4")))
    return failure();
  int64_t b = q[0], s = q[1], heads = q[2], group = q[3], t = k[1];
  if (failed(requireShape(*this, "C1", "key", k, {b, t, heads, q[4]})) ||
      failed(requireShape(*this, "C1", "value", v, {b, t, heads, v[3]})) ||
      failed(requireShape(*this, "C2", "result", shape(getResult()),
                          {b, s, heads, group, v[3]})) ||
      failed(requireElement(*this, "C2", getQuery(), getResult())))
    return failure();
  if (getBias()) {
    int64_t scores[] = {b, heads, group, s, t};
    Shape bias = shape(getBias());
    if (failed(require(*this, bias.size() == 5, "C3",
                       "expected a bias of rank 5")))
      return failure();
    for (auto [size, whole] : llvm::zip_equal(bias, scores))
      if (failed(require(*this, size == 1 || size == whole, "C3",
                         "expected size 1 or " + Twine(whole) + ", found " +
                             Twine(size))))
        return failure();
  }
  if ((getLengths() && failed(requireShape(*this, "C4", "lengths",
                                           shape(getLengths()), {b}))) ||
      (getOffset() && !shape(getOffset()).empty() &&
       failed(requireShape(*this, "C4", "offset", shape(getOffset()), {b}))) ||
      (getSinks() && failed(requireShape(*this, "C4", "sinks",
                                         shape(getSinks()), {heads, group}))))
    return failure();
  if (failed(require(*this, !getWindow() || *getWindow() > 0, "C5",
                     "expected a positive window")) ||
      failed(require(*this,
                     !getSoftcap() || getSoftcap()->convertToDouble() > 0, "C5",
                     "expected a positive softcap")))
    return failure();
  return require(*this, !getOffset() || getCausal() || getWindow(), "C6",
                 "offset needs causal or window");
}
