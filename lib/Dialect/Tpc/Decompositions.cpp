//===- Decompositions.cpp - Composites in terms of core operations --------===//
//
// The meaning of every composite. Values, sharding rules and gradients follow
// from what is built here.
//
//===----------------------------------------------------------------------===//

#include "Composites.h"
#include "mlir/IR/Matchers.h"
#include "tpc/Dialect/Tpc/Einsum.h"
#include "tpc/Dialect/Tpc/Tpc.h"
#include <cmath>
#include <limits>

using namespace mlir;
using namespace tpc;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// What is subtracted from a row before exponentials: its maximum, but 0 for a
/// row of -inf, whose exponentials are then 0.
static Value shiftOf(Core &core, Value peak) {
  Value none =
      core.compare(Predicate::EQ, peak, core.constant(-kInfinity, peak));
  return core.select(none, core.constant(0, peak), peak);
}

/// e^(x - shift), where `shift` lacks the last dimension.
static Value expFrom(Core &core, Value x, Value shift) {
  ArrayRef<int64_t> shape = Core::shape(x);
  return core.unary<ExpOp>(core.binary<SubOp>(
      x, core.broadcastAlong(shift, shape, shape.size() - 1)));
}

/// Weights divided by their sum, which lacks the last dimension; zeros where it
/// is 0.
static Value normalized(Core &core, Value weights, Value sum) {
  Value empty = core.compare(Predicate::EQ, sum, core.constant(0, sum));
  Value divisor = core.select(empty, core.constant(1, sum), sum);
  ArrayRef<int64_t> shape = Core::shape(weights);
  return core.binary<DivOp>(
      weights, core.broadcastAlong(divisor, shape, shape.size() - 1));
}

Value tpc::softmax(Core &core, Value logits, Value sink) {
  int64_t last = Core::shape(logits).size() - 1;
  Value peak = core.reduce(Reduction::Max, logits, last);
  if (sink)
    peak = core.binary<MaxOp>(peak, sink);
  Value shift = shiftOf(core, peak);
  Value weights = expFrom(core, logits, shift);
  Value sum = core.reduce(Reduction::Sum, weights, last);
  if (sink)
    sum = core.binary<AddOp>(
        sum, core.unary<ExpOp>(core.binary<SubOp>(sink, shift)));
  return normalized(core, weights, sum);
}

//===----------------------------------------------------------------------===//
// Pairs of maximum and sum
//===----------------------------------------------------------------------===//
//
// The lemma of online softmax (Milakov and Gimelshein, arXiv:1805.02867): if
// block i of a row has the maximum m_i and s_i = sum of e^(x - m_i), then with
// m = max of m_i, the sum of e^(x - m) over the row is the sum of
// s_i e^(m_i - m). So blocks need to exchange one pair each.

namespace {

/// A row's shift and sum of exponentials from those of its blocks.
class BlockPairs {
public:
  /// `x` is [..., d]; the last dimension is cut into `blocks` equal ones.
  BlockPairs(Core &core, Value x, int64_t blocks) : core(core) {
    ArrayRef<int64_t> shape = Core::shape(x);
    cutShape.assign(shape.begin(), shape.end() - 1);
    cutShape.append({blocks, shape.back() / blocks});
    Value parts = core.reshape(x, cutShape);
    Value peak = core.reduce(Reduction::Max, parts, width());
    add(peak);
    addSum(expFrom(core, parts, shiftOf(core, peak)));
  }

  /// One more number per block: the sum of `x`, [..., blocks, width].
  void addSum(Value x) { add(core.reduce(Reduction::Sum, x, width())); }
  /// [..., d] as [..., blocks, width].
  Value cut(Value x) { return core.reshape(x, cutShape); }

  /// [..., blocks, k], the k numbers of every block.
  Value summary() {
    all = core.concat(columns, width());
    return all;
  }

  /// Number `i` of the blocks, [..., blocks].
  Value column(int64_t i) {
    return core.reshape(core.slice(all, width(), i, 1),
                        ArrayRef(cutShape).drop_back());
  }
  /// The row's shift, [...].
  Value shift() {
    return shiftOf(core, core.reduce(Reduction::Max, column(0), width() - 1));
  }
  /// The row's sum of e^(x - shift), [...].
  Value sum(Value shift) {
    Value scale = expFrom(core, column(0), shift);
    return total(core.binary<MulOp>(column(1), scale));
  }
  /// The sum over blocks, [...].
  Value total(Value x) { return core.reduce(Reduction::Sum, x, width() - 1); }

private:
  int64_t width() const { return cutShape.size() - 1; }
  void add(Value numbers) {
    SmallVector<int64_t> shape(Core::shape(numbers));
    shape.push_back(1);
    columns.push_back(core.reshape(numbers, shape));
  }

  Core &core;
  SmallVector<int64_t> cutShape;
  SmallVector<Value> columns;
  Value all;
};

} // namespace

SmallVector<Value> SoftmaxOp::decompose(OpBuilder &builder,
                                        ValueRange operands) {
  Core core(builder, getLoc());
  Value logits = core.convert(operands[0], core.f32());
  return {core.convert(softmax(core, logits),
                       Core::type(operands[0]).getElementType())};
}

BlockwiseDecomposition SoftmaxOp::decomposeBlockwise(OpBuilder &builder,
                                                     ValueRange operands,
                                                     int64_t blocks) {
  Core core(builder, getLoc());
  Value logits = core.convert(operands[0], core.f32());
  BlockPairs pairs(core, logits, blocks);
  Value summary = pairs.summary();
  Value shift = pairs.shift();
  Value result =
      normalized(core, expFrom(core, logits, shift), pairs.sum(shift));
  return {{core.convert(result, Core::type(operands[0]).getElementType())},
          summary};
}

/// The logits [..., v] where they are the label's, 0 elsewhere.
static Value labelledLogits(Core &core, Value logits, Value labels) {
  ArrayRef<int64_t> shape = Core::shape(logits);
  int64_t last = shape.size() - 1;
  Value hit = core.compare(Predicate::EQ, core.iota(shape, last),
                           core.broadcastAlong(labels, shape, last));
  return core.select(hit, logits, core.constant(0, logits));
}

/// ln(sum) + shift - logit where the label is one of `count`, 0 elsewhere.
static Value lossOf(Core &core, Value sum, Value shift, Value logit,
                    Value labels, int64_t count) {
  Value loss = core.binary<SubOp>(
      core.binary<AddOp>(core.unary<LogOp>(sum), shift), logit);
  Value counts = core.binary<AndOp>(
      core.compare(Predicate::GE, labels, core.constant(0, labels)),
      core.compare(Predicate::LT, labels, core.constant(count, labels)));
  return core.select(counts, loss, core.constant(0, loss));
}

SmallVector<Value> CrossEntropyOp::decompose(OpBuilder &builder,
                                             ValueRange operands) {
  Core core(builder, getLoc());
  Value logits = core.convert(operands[0], core.f32());
  Value labels = core.convert(operands[1], builder.getI64Type());
  ArrayRef<int64_t> shape = Core::shape(logits);
  int64_t last = shape.size() - 1;
  Value shift = shiftOf(core, core.reduce(Reduction::Max, logits, last));
  Value sum = core.reduce(Reduction::Sum, expFrom(core, logits, shift), last);
  Value logit =
      core.reduce(Reduction::Sum, labelledLogits(core, logits, labels), last);
  Value loss = lossOf(core, sum, shift, logit, labels, shape.back());
  return {core.convert(loss, Core::type(getResult()).getElementType())};
}

BlockwiseDecomposition CrossEntropyOp::decomposeBlockwise(OpBuilder &builder,
                                                          ValueRange operands,
                                                          int64_t blocks) {
  Core core(builder, getLoc());
  Value logits = core.convert(operands[0], core.f32());
  Value labels = core.convert(operands[1], builder.getI64Type());
  BlockPairs pairs(core, logits, blocks);
  pairs.addSum(pairs.cut(labelledLogits(core, logits, labels)));
  Value summary = pairs.summary();
  Value shift = pairs.shift();
  Value loss =
      lossOf(core, pairs.sum(shift), shift, pairs.total(pairs.column(2)),
             labels, Core::shape(logits).back());
  return {{core.convert(loss, Core::type(getResult()).getElementType())},
          summary};
}

Normalized tpc::layerNormal(Core &core, Value x, double epsilon) {
  ArrayRef<int64_t> shape = Core::shape(x);
  int64_t last = shape.size() - 1;
  double size = shape.back();
  Value mean = core.binary<DivOp>(core.reduce(Reduction::Sum, x, last), size);
  Value centered =
      core.binary<SubOp>(x, core.broadcastAlong(mean, shape, last));
  Value variance = core.binary<DivOp>(
      core.reduce(Reduction::Sum, core.binary<MulOp>(centered, centered), last),
      size);
  Value scale = core.broadcastAlong(
      core.unary<RsqrtOp>(core.binary<AddOp>(variance, epsilon)), shape, last);
  return {core.binary<MulOp>(centered, scale), scale};
}

Normalized tpc::rmsNormal(Core &core, Value x, double epsilon) {
  ArrayRef<int64_t> shape = Core::shape(x);
  int64_t last = shape.size() - 1;
  double size = shape.back();
  Value square = core.binary<DivOp>(
      core.reduce(Reduction::Sum, core.binary<MulOp>(x, x), last), size);
  Value scale = core.broadcastAlong(
      core.unary<RsqrtOp>(core.binary<AddOp>(square, epsilon)), shape, last);
  return {core.binary<MulOp>(x, scale), scale};
}

SmallVector<Value> LayerNormOp::decompose(OpBuilder &builder,
                                          ValueRange operands) {
  Core core(builder, getLoc());
  ArrayRef<int64_t> shape = Core::shape(operands[0]);
  int64_t last = shape.size() - 1;
  Value normal = layerNormal(core, core.convert(operands[0], core.f32()),
                             getEpsilon().convertToDouble())
                     .normal;
  auto spread = [&](Value vector) {
    return core.broadcast(core.convert(vector, core.f32()), shape, {last});
  };
  Value result = core.binary<AddOp>(
      core.binary<MulOp>(normal, spread(operands[1])), spread(operands[2]));
  return {core.convert(result, Core::type(operands[0]).getElementType())};
}

SmallVector<Value> GeluOp::decompose(OpBuilder &builder, ValueRange operands) {
  Core core(builder, getLoc());
  Value x = core.convert(operands[0], core.f32());
  Value bent;
  if (getForm() == GeluForm::Erf) {
    bent = core.unary<ErfOp>(core.binary<MulOp>(x, M_SQRT1_2));
  } else {
    Value cube = core.binary<MulOp>(core.binary<MulOp>(x, x), x);
    Value inner = core.binary<AddOp>(x, core.binary<MulOp>(cube, 0.044715));
    bent =
        core.unary<TanhOp>(core.binary<MulOp>(inner, M_2_SQRTPI * M_SQRT1_2));
  }
  Value result = core.binary<MulOp>(core.binary<MulOp>(x, 0.5),
                                    core.binary<AddOp>(bent, 1.0));
  return {core.convert(result, Core::type(operands[0]).getElementType())};
}

SmallVector<Value> RmsNormOp::decompose(OpBuilder &builder,
                                        ValueRange operands) {
  Core core(builder, getLoc());
  ArrayRef<int64_t> shape = Core::shape(operands[0]);
  int64_t last = shape.size() - 1;
  Value normal = rmsNormal(core, core.convert(operands[0], core.f32()),
                           getEpsilon().convertToDouble())
                     .normal;
  Value weight =
      core.broadcast(core.convert(operands[1], core.f32()), shape, {last});
  return {core.convert(core.binary<MulOp>(normal, weight),
                       Core::type(operands[0]).getElementType())};
}

SmallVector<Value> SiluOp::decompose(OpBuilder &builder, ValueRange operands) {
  Core core(builder, getLoc());
  Value x = core.convert(operands[0], core.f32());
  Value divisor =
      core.binary<AddOp>(core.unary<ExpOp>(core.unary<NegOp>(x)), 1.0);
  return {core.convert(core.binary<DivOp>(x, divisor),
                       Core::type(operands[0]).getElementType())};
}

SmallVector<Value> RopeOp::decompose(OpBuilder &builder, ValueRange operands) {
  Core core(builder, getLoc());
  SmallVector<int64_t> shape(Core::shape(operands[0]));
  SmallVector<int64_t> angleShape(Core::shape(operands[1]));
  int64_t count = Core::shape(operands[2])[0], last = shape.size() - 1;
  auto positionDims = llvm::to_vector(llvm::seq<int64_t>(0, angleShape.size()));

  // cos and sin of every pair's angle, in the shape of half the turned part.
  angleShape.push_back(count);
  Value position = core.broadcast(core.convert(operands[1], core.f32()),
                                  angleShape, positionDims);
  Value frequency =
      core.broadcast(core.convert(operands[2], core.f32()), angleShape,
                     {static_cast<int64_t>(positionDims.size())});
  Value angle = core.binary<MulOp>(position, frequency);
  SmallVector<int64_t> half(shape), angleDims(positionDims);
  half.back() = count;
  angleDims.push_back(last);
  auto spread = [&](Value value) {
    double scale = getScale().convertToDouble();
    if (scale != 1)
      value = core.binary<MulOp>(value, scale);
    return core.broadcast(value, half, angleDims);
  };
  Value cosine = spread(core.unary<CosOp>(angle));
  Value sine = spread(core.unary<SinOp>(angle));

  // Parts are cut out first: a copy of the whole in f32 is never needed.
  Value x = operands[0];
  Type type = Core::type(x).getElementType();
  bool pairs = getForm() == RopeForm::Pairs;
  // The pairs' dimensions, before the one along which they stand.
  SmallVector<int64_t> split(half), one(half);
  split.push_back(2);
  one.push_back(1);
  auto element = [&](int64_t i) {
    if (!pairs)
      return core.slice(x, last, i * count, count);
    Value turned = core.reshape(core.slice(x, last, 0, 2 * count), split);
    return core.reshape(core.slice(turned, last + 1, i, 1), half);
  };
  Value first = core.convert(element(0), core.f32());
  Value second = core.convert(element(1), core.f32());
  Value newFirst = core.binary<SubOp>(core.binary<MulOp>(first, cosine),
                                      core.binary<MulOp>(second, sine));
  Value newSecond = core.binary<AddOp>(core.binary<MulOp>(second, cosine),
                                       core.binary<MulOp>(first, sine));
  newFirst = core.convert(newFirst, type);
  newSecond = core.convert(newSecond, type);
  SmallVector<Value> parts{newFirst, newSecond};
  if (pairs) {
    SmallVector<int64_t> turned(shape);
    turned.back() = 2 * count;
    parts = {core.reshape(
        core.concat({core.reshape(newFirst, one), core.reshape(newSecond, one)},
                    last + 1),
        turned)};
  }
  if (int64_t rest = shape.back() - 2 * count)
    parts.push_back(core.slice(x, last, 2 * count, rest));
  return {parts.size() == 1 ? parts[0] : core.concat(parts, last)};
}

SmallVector<Value> LinearOp::decompose(OpBuilder &builder,
                                       ValueRange operands) {
  Core core(builder, getLoc());
  // Sizes come from the operands: they may be one device's blocks.
  std::optional<Einsum> einsum = Einsum::parse(getEquation());
  SmallVector<int64_t> shape;
  for (const std::string &name : einsum->result) {
    int64_t dim = indexOf(einsum->lhs, name);
    shape.push_back(dim >= 0
                        ? Core::shape(operands[0])[dim]
                        : Core::shape(operands[1])[indexOf(einsum->rhs, name)]);
  }
  Type element = Core::type(operands[2]).getElementType();
  Value product =
      core.matmul(operands[0], operands[1], getEquation(), shape, element);
  int64_t rank = shape.size(), biasRank = Core::shape(operands[2]).size();
  Value bias = core.broadcast(
      operands[2], shape,
      llvm::to_vector(llvm::seq<int64_t>(rank - biasRank, rank)));
  return {core.binary<AddOp>(product, bias)};
}

SmallVector<Value> EmbeddingOp::decompose(OpBuilder &builder,
                                          ValueRange operands) {
  Core core(builder, getLoc());
  SmallVector<int64_t> shape(Core::shape(operands[1]));
  shape.push_back(Core::shape(operands[0]).back());
  return {core.make<GatherOp>(
      RankedTensorType::get(shape, Core::type(operands[0]).getElementType()),
      operands[0], operands[1], builder.getI64IntegerAttr(0))};
}

SmallVector<Value> GroupedMatmulOp::decompose(OpBuilder &builder,
                                              ValueRange operands) {
  Core core(builder, getLoc());
  Type element = Core::type(operands[0]).getElementType();
  ArrayRef<int64_t> weights = Core::shape(operands[2]);
  SmallVector<int64_t> chosen(Core::shape(operands[1])), shape(chosen);
  chosen.append({weights[1], weights[2]});
  shape.push_back(weights[2]);
  Value matrices =
      core.make<GatherOp>(RankedTensorType::get(chosen, element), operands[2],
                          operands[1], builder.getI64IntegerAttr(0));
  // "n0 d, n0 c d f -> n0 c f" for one dimension of rows.
  std::string n;
  for (size_t i = 0; i + 2 < shape.size(); ++i)
    n += "n" + std::to_string(i) + " ";
  std::string rows = n + (hasRowPerChoice() ? "c d" : "d");
  return {core.matmul(operands[0], matrices,
                      rows + ", " + n + "c d f -> " + n + "c f", shape,
                      element)};
}

SmallVector<Value> ExpertsOp::decompose(OpBuilder &builder,
                                        ValueRange operands) {
  Core core(builder, getLoc());
  Value x = operands[0], choices = operands[1], scores = operands[2];
  Type element = Core::type(x).getElementType();
  auto multiply = [&](Value rows, Value weights) {
    SmallVector<int64_t> shape(Core::shape(choices));
    shape.push_back(Core::shape(weights)[2]);
    return core.make<GroupedMatmulOp>(RankedTensorType::get(shape, element),
                                      rows, choices, weights);
  };
  Value gate = core.unary<SiluOp>(multiply(x, operands[3]));
  Value hidden = core.binary<MulOp>(gate, multiply(x, operands[4]));
  Value each = multiply(hidden, operands[5]);
  std::string n;
  for (size_t i = 0; i + 1 < Core::shape(scores).size(); ++i)
    n += "n" + std::to_string(i) + " ";
  SmallVector<int64_t> shape(Core::shape(scores).drop_back());
  shape.push_back(Core::shape(each).back());
  return {core.matmul(scores, each, n + "c, " + n + "c h -> " + n + "h", shape,
                      element)};
}
