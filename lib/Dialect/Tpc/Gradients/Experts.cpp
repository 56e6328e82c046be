//===- Experts.cpp - Gradients of products whose matrices rows choose -----===//
//
// Rows get the gradient through the same matrices turned around, a grouped
// product again. Matrix e gets that of the rows which chose it:
//
//   dw[e, d, f] = sum over n, c of rows[n, d] * g[n, c, f] where choices[n, c]
//   = e
//
// as one product with g spread over e, so that e can be split like any other
// dimension. Choices outside of the matrices match none.
//
//===----------------------------------------------------------------------===//

#include "../Core.h"

using namespace mlir;
using namespace tpc;

using Gradients = SmallVector<Value>;

/// Grouped products over choices [n..., c].
namespace {
class Groups {
public:
  Groups(OpBuilder &builder, Location loc, Value choices)
      : core(builder, loc), builder(builder), choices(choices) {
    for (size_t i = 0; i + 1 < Core::shape(choices).size(); ++i)
      n += "n" + std::to_string(i) + " ";
  }

  /// rows [n..., d] or [n..., c, d] times [e, d, f]: [n..., c, f].
  Value multiply(Value rows, Value weights) {
    SmallVector<int64_t> shape(Core::shape(choices));
    shape.push_back(Core::shape(weights)[2]);
    return core.make<GroupedMatmulOp>(
        RankedTensorType::get(shape, getElementTypeOrSelf(rows)), rows, choices,
        weights);
  }
  /// The same with the matrices turned around.
  Value multiplyBack(Value rows, Value weights) {
    ArrayRef<int64_t> shape = Core::shape(weights);
    Value turned = core.make<TransposeOp>(
        RankedTensorType::get({shape[0], shape[2], shape[1]},
                              getElementTypeOrSelf(weights)),
        weights, builder.getDenseI64ArrayAttr({0, 2, 1}));
    return multiply(rows, turned);
  }
  /// The gradient of `weights` [e, d, f] for that of the products, [n..., c,
  /// f].
  Value ofWeights(Value rows, Value gradient, Value weights) {
    SmallVector<int64_t> shape(Core::shape(gradient));
    int64_t at = shape.size() - 1;
    shape.insert(shape.begin() + at, Core::shape(weights)[0]);
    SmallVector<int64_t> choiceDims;
    for (int64_t dim = 0; dim < at; ++dim)
      choiceDims.push_back(dim);
    Value hit =
        core.compare(Predicate::EQ,
                     core.broadcast(core.convert(choices, builder.getI64Type()),
                                    shape, choiceDims),
                     core.iota(shape, at));
    Value spread = core.broadcastAlong(gradient, shape, at);
    Value chosen = core.select(hit, spread, core.constant(0, spread));
    bool each = Core::shape(rows).size() == Core::shape(gradient).size();
    std::string result = " -> e d f";
    if (each)
      return core.productLike(weights, rows, chosen,
                              n + "c d, " + n + "c e f" + result);
    // A row meets every choice: those are summed first.
    Value summed = core.reduce(Reduction::Sum, chosen, at - 1);
    if (n.empty()) {
      SmallVector<int64_t> one{1};
      llvm::append_range(one, Core::shape(rows));
      SmallVector<int64_t> oneOf{1};
      llvm::append_range(oneOf, Core::shape(summed));
      return core.productLike(weights, core.reshape(rows, one),
                              core.reshape(summed, oneOf),
                              "n d, n e f" + result);
    }
    return core.productLike(weights, rows, summed,
                            n + "d, " + n + "e f" + result);
  }
  /// [n..., c, d] summed over c, to [n..., d].
  Value sumOverChoices(Value x) {
    return core.reduce(Reduction::Sum, x, Core::shape(x).size() - 2);
  }

  Core core;
  OpBuilder &builder;
  Value choices;
  /// "n0 n1 ", the names of dimensions before the choices'.
  std::string n;
};
} // namespace

Gradients GroupedMatmulOp::buildVjp(OpBuilder &builder, ValueRange gradients) {
  Groups groups(builder, getLoc(), getChoices());
  Value rows = groups.multiplyBack(gradients[0], getWeights());
  if (!hasRowPerChoice())
    rows = groups.sumOverChoices(rows);
  return {rows, Value(),
          groups.ofWeights(getRows(), gradients[0], getWeights())};
}

// With a = x gate, b = x up, h = silu(a) * b and y = sum of scores * (h down):
// h and the scores meet in one product, t = g down', which is not scaled.
Gradients ExpertsOp::buildVjp(OpBuilder &builder, ValueRange gradients) {
  Groups groups(builder, getLoc(), getChoices());
  Core &core = groups.core;
  Value x = getOperand(), scores = getScores(), g = gradients[0];
  Value a = groups.multiply(x, getGate()), b = groups.multiply(x, getUp());
  Value silu = core.unary<SiluOp>(a);
  Value h = core.binary<MulOp>(silu, b);

  Value t = groups.multiplyBack(g, getDown());
  ArrayRef<int64_t> inner = Core::shape(t);
  int64_t last = inner.size() - 1;
  Value scale = core.broadcastAlong(scores, inner, last);
  Value dh = core.binary<MulOp>(t, scale);
  Value db = core.binary<MulOp>(dh, silu);
  Value da = silu.getDefiningOp<SiluOp>().buildVjp(
      builder, core.binary<MulOp>(dh, b))[0];

  Value dx = groups.sumOverChoices(core.binary<AddOp>(
      groups.multiplyBack(da, getGate()), groups.multiplyBack(db, getUp())));
  Value dscores = core.matmul(
      h, t, groups.n + "c f, " + groups.n + "c f -> " + groups.n + "c",
      Core::shape(scores), getElementTypeOrSelf(scores));
  // Rows of down are h, scaled: g is spread over choices by their scores.
  SmallVector<int64_t> shape(Core::shape(scores));
  shape.push_back(Core::shape(g).back());
  Value each = core.binary<MulOp>(core.broadcastAlong(scores, shape, last),
                                  core.broadcastAlong(g, shape, last - 1));
  return {dx,
          Value(),
          dscores,
          groups.ofWeights(x, da, getGate()),
          groups.ofWeights(x, db, getUp()),
          groups.ofWeights(h, each, getDown())};
}
