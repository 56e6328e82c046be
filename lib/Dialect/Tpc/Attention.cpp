//===- Attention.cpp - Attention and its gradient -------------------------===//
//
// The gradient starts from the operands, as that of every attention that does
// not keep its matrix of weights: scores and weights P are computed again. With
// D the gradient of the weights,
//
//   score gradient = P * (D - rowsum(P * D))
//
// and a sink, a logit whose weight has no use, gets -P_sink * rowsum(P * D).
//
//===----------------------------------------------------------------------===//

#include "Composites.h"
#include <limits>

using namespace mlir;
using namespace tpc;

namespace {

/// The matrix of weights and what it was made of, [b, k, g, s, t] in f32.
class Weights {
public:
  Weights(AttentionOp op, OpBuilder &builder, ValueRange operands)
      : core(builder, op.getLoc()), builder(builder), op(op) {
    ValueRange rest = operands.drop_front(3);
    // Optional operands in the given list, in the order of the definition.
    auto next = [&](Value present) -> Value {
      if (!present)
        return {};
      Value value = rest.front();
      rest = rest.drop_front();
      return value;
    };
    query = operands[0], key = operands[1], value = operands[2];
    bias = next(op.getBias()), lengths = next(op.getLengths());
    offset = next(op.getOffset()), sinks = next(op.getSinks());
    ArrayRef<int64_t> q = Core::shape(query);
    shape = {q[0], q[2], q[3], q[1], Core::shape(key)[1]};
    element = getElementTypeOrSelf(query);
    weigh();
  }

  /// The result's shape: [b, s, k, g, v].
  SmallVector<int64_t> resultShape() {
    SmallVector<int64_t> result(Core::shape(query));
    result.back() = Core::shape(value)[3];
    return result;
  }

  Core core;
  Value query, key, value, bias, lengths, offset, sinks;
  SmallVector<int64_t> shape;
  Type element;
  /// tanh(score / softcap), if there is a softcap; softmax of the scores.
  Value bent, weights;

private:
  void weigh();
  Value visibility();

  OpBuilder &builder;
  AttentionOp op;
};

} // namespace

void Weights::weigh() {
  // Products of bf16 and f16 have results in f32, those of f64 have not.
  auto factor = [&](Value x) {
    return element.isF64() ? core.convert(x, core.f32()) : x;
  };
  Value scores =
      core.matmul(factor(query), factor(key), "b s k g d, b t k d -> b k g s t",
                  shape, core.f32());
  scores = core.binary<MulOp>(scores, op.getScale().convertToDouble());
  if (op.getSoftcap()) {
    double cap = op.getSoftcap()->convertToDouble();
    bent = core.unary<TanhOp>(core.binary<MulOp>(scores, 1 / cap));
    scores = core.binary<MulOp>(bent, cap);
  }
  if (bias)
    scores = core.binary<AddOp>(
        scores,
        core.broadcast(core.convert(bias, core.f32()), shape, {0, 1, 2, 3, 4}));
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  if (Value visible = visibility())
    scores = core.select(visible, scores, core.constant(-kInfinity, scores));
  Value sink;
  if (sinks)
    sink = core.broadcast(core.convert(sinks, core.f32()),
                          ArrayRef(shape).drop_back(), {1, 2});
  weights = softmax(core, scores, sink);
}

/// Which keys each query sees; null when it sees all.
Value Weights::visibility() {
  Value visible;
  auto require = [&](Value condition) {
    visible = visible ? core.binary<AndOp>(visible, condition) : condition;
  };
  auto i64 = builder.getI64Type();
  if (lengths) {
    Value limit = core.broadcast(core.convert(lengths, i64), shape, {0});
    require(core.compare(Predicate::LT, core.iota(shape, 4), limit));
  }
  if (op.getCausal() || op.getWindow()) {
    Value position = core.iota(shape, 3);
    if (offset) {
      SmallVector<int64_t> dims(Core::shape(offset).size(), 0); // [] or [b]
      position = core.binary<AddOp>(
          position, core.broadcast(core.convert(offset, i64), shape, dims));
    }
    Value index = core.iota(shape, 4);
    if (op.getCausal())
      require(core.compare(Predicate::LE, index, position));
    if (op.getWindow()) {
      double window = *op.getWindow();
      Value distance = core.binary<SubOp>(position, index);
      Value limit = core.constant(window, distance);
      require(core.compare(Predicate::LT, distance, limit));
      if (!op.getCausal())
        require(
            core.compare(Predicate::LT, core.unary<NegOp>(distance), limit));
    }
  }
  return visible;
}

SmallVector<Value> AttentionOp::decompose(OpBuilder &builder,
                                          ValueRange operands) {
  Weights parts(*this, builder, operands);
  return {parts.core.matmul(parts.core.convert(parts.weights, parts.element),
                            parts.value, "b k g s t, b t k v -> b s k g v",
                            parts.resultShape(), parts.element)};
}

SmallVector<Value> AttentionOp::buildVjp(OpBuilder &builder,
                                         ValueRange gradients) {
  Weights parts(*this, builder, getOperands());
  Core &core = parts.core;
  Value gradient = gradients[0], weights = parts.weights;
  ArrayRef<int64_t> shape = parts.shape;
  SmallVector<Value> result((*this)->getNumOperands());

  Value rounded = core.convert(weights, parts.element);
  result[2] = core.productLike(parts.value, rounded, gradient,
                               "b k g s t, b s k g v -> b t k v");
  Value change = core.productLike(weights, gradient, parts.value,
                                  "b s k g v, b t k v -> b k g s t");
  Value mean =
      core.reduce(Reduction::Sum, core.binary<MulOp>(weights, change), 4);
  Value scores = core.binary<MulOp>(
      weights, core.binary<SubOp>(change, core.broadcastAlong(mean, shape, 4)));

  unsigned next = 3;
  if (parts.bias) {
    Value bias = core.sumTo(scores, Core::shape(parts.bias), {0, 1, 2, 3, 4});
    result[next++] = core.convert(bias, getElementTypeOrSelf(parts.bias));
  }
  next += bool(parts.lengths) + bool(parts.offset);
  if (parts.sinks) {
    Value rest = core.binary<SubOp>(core.reduce(Reduction::Sum, weights, 4),
                                    1.0); // minus the weight of the sink
    Value sinks = core.sumTo(core.binary<MulOp>(rest, mean),
                             Core::shape(parts.sinks), {1, 2});
    result[next] = core.convert(sinks, getElementTypeOrSelf(parts.sinks));
  }
  if (parts.bent)
    scores = core.binary<SubOp>(
        scores,
        core.binary<MulOp>(scores, core.binary<MulOp>(parts.bent, parts.bent)));
  scores = core.convert(
      core.binary<MulOp>(scores, getScale().convertToDouble()), parts.element);
  result[0] = core.productLike(parts.query, scores, parts.key,
                               "b k g s t, b t k d -> b s k g d");
  result[1] = core.productLike(parts.key, scores, parts.query,
                               "b k g s t, b s k g d -> b t k d");
  return result;
}
