//===- Composites.cpp - Gradients of composites that have a better one ----===//
//
// All in f32, rounded once, and from the operands wherever that costs a few
// elementwise operations: what a composite computes inside is not kept. The
// exception is softmax, whose result is all that its gradient needs.
//
//===----------------------------------------------------------------------===//

#include "../Composites.h"
#include <cmath>

using namespace mlir;
using namespace tpc;

using Gradients = SmallVector<Value>;

static Type elementOf(Value value) { return getElementTypeOrSelf(value); }

/// x * rowsum(x * y), the sum over the last dimension divided by `divisor`.
static Value projected(Core &core, Value x, Value y, double divisor = 1) {
  ArrayRef<int64_t> shape = Core::shape(x);
  int64_t last = shape.size() - 1;
  Value sum = core.reduce(Reduction::Sum, core.binary<MulOp>(x, y), last);
  if (divisor != 1)
    sum = core.binary<DivOp>(sum, divisor);
  return core.binary<MulOp>(x, core.broadcastAlong(sum, shape, last));
}

// y * (g - rowsum(g * y))
Gradients SoftmaxOp::buildVjp(OpBuilder &builder, ValueRange gradients) {
  Core core(builder, getLoc());
  Value y = core.convert(getResult(), core.f32());
  Value g = core.convert(gradients[0], core.f32());
  Value x = core.binary<SubOp>(core.binary<MulOp>(y, g), projected(core, y, g));
  return {core.convert(x, elementOf(getOperand()))};
}

// g * (softmax(logits) - 1 at the label), and 0 for labels that do not count.
Gradients CrossEntropyOp::buildVjp(OpBuilder &builder, ValueRange gradients) {
  Core core(builder, getLoc());
  Value logits = core.convert(getLogits(), core.f32());
  Value labels = core.convert(getLabels(), builder.getI64Type());
  Value g = core.convert(gradients[0], core.f32());
  ArrayRef<int64_t> shape = Core::shape(logits);
  int64_t last = shape.size() - 1;

  Value counts = core.binary<AndOp>(
      core.compare(Predicate::GE, labels, core.constant(0, labels)),
      core.compare(Predicate::LT, labels, core.constant(shape.back(), labels)));
  g = core.broadcastAlong(core.select(counts, g, core.constant(0, g)), shape,
                          last);
  Value weights = core.unary<SoftmaxOp>(logits);
  Value hit = core.compare(Predicate::EQ, core.iota(shape, last),
                           core.broadcastAlong(labels, shape, last));
  weights = core.select(hit, core.binary<SubOp>(weights, 1.0), weights);
  return {core.convert(core.binary<MulOp>(weights, g), elementOf(getLogits())),
          Value()};
}

namespace {
/// What both normalizations share: for y = normal * weight,
///   dx = scale * (h - normal * mean(h * normal) [- mean(h)]), h = g * weight
class NormGradient {
public:
  NormGradient(Core &core, const Normalized &parts, Value gradient,
               Value weight)
      : core(core), parts(parts), g(core.convert(gradient, core.f32())),
        weight(weight), shape(Core::shape(parts.normal)) {}

  Value ofOperand(Type element, bool centered) {
    int64_t last = shape.size() - 1;
    double size = shape.back();
    Value h = core.binary<MulOp>(
        g, core.broadcast(core.convert(weight, core.f32()), shape, {last}));
    Value x = core.binary<SubOp>(h, projected(core, parts.normal, h, size));
    if (centered) {
      Value mean =
          core.binary<DivOp>(core.reduce(Reduction::Sum, h, last), size);
      x = core.binary<SubOp>(x, core.broadcastAlong(mean, shape, last));
    }
    return core.convert(core.binary<MulOp>(x, parts.scale), element);
  }
  Value ofWeight() {
    return summed(core.binary<MulOp>(g, parts.normal), weight);
  }
  Value ofBias(Value bias) { return summed(g, bias); }

private:
  Value summed(Value x, Value like) {
    int64_t last = shape.size() - 1;
    return core.convert(core.sumTo(x, Core::shape(like), {last}),
                        elementOf(like));
  }

  Core &core;
  Normalized parts;
  Value g, weight;
  ArrayRef<int64_t> shape;
};
} // namespace

Gradients LayerNormOp::buildVjp(OpBuilder &builder, ValueRange gradients) {
  Core core(builder, getLoc());
  NormGradient norm(core,
                    layerNormal(core, core.convert(getOperand(), core.f32()),
                                getEpsilon().convertToDouble()),
                    gradients[0], getWeight());
  return {norm.ofOperand(elementOf(getOperand()), /*centered=*/true),
          norm.ofWeight(), norm.ofBias(getBias())};
}

Gradients RmsNormOp::buildVjp(OpBuilder &builder, ValueRange gradients) {
  Core core(builder, getLoc());
  NormGradient norm(core,
                    rmsNormal(core, core.convert(getOperand(), core.f32()),
                              getEpsilon().convertToDouble()),
                    gradients[0], getWeight());
  return {norm.ofOperand(elementOf(getOperand()), /*centered=*/false),
          norm.ofWeight()};
}

/// g * slope in f32, rounded to the element type of `like`.
static Gradients scaled(Core &core, Value gradient, Value slope, Value like) {
  Value g = core.convert(gradient, core.f32());
  return {core.convert(core.binary<MulOp>(g, slope), elementOf(like))};
}

// erf: 1/2 (1 + erf(x / sqrt 2)) + x e^(-x^2/2) / sqrt(2 pi)
// tanh: 1/2 (1 + t) + x/2 (1 - t^2) u', t = tanh u, u' = sqrt(2/pi) (1 + 3c
// x^2)
Gradients GeluOp::buildVjp(OpBuilder &builder, ValueRange gradients) {
  Core core(builder, getLoc());
  Value x = core.convert(getOperand(), core.f32());
  Value square = core.binary<MulOp>(x, x), bent, bend;
  if (getForm() == GeluForm::Erf) {
    bent = core.unary<ErfOp>(core.binary<MulOp>(x, M_SQRT1_2));
    bend =
        core.binary<MulOp>(core.unary<ExpOp>(core.binary<MulOp>(square, -0.5)),
                           M_2_SQRTPI * M_SQRT1_2);
  } else {
    constexpr double kScale = M_2_SQRTPI * M_SQRT1_2, kCube = 0.044715;
    Value cube = core.binary<MulOp>(core.binary<MulOp>(square, x), kCube);
    bent = core.unary<TanhOp>(
        core.binary<MulOp>(core.binary<AddOp>(x, cube), kScale));
    Value inner = core.binary<MulOp>(
        core.binary<AddOp>(core.binary<MulOp>(square, 3 * kCube), 1.0), kScale);
    bend = core.binary<SubOp>(
        inner, core.binary<MulOp>(inner, core.binary<MulOp>(bent, bent)));
  }
  Value slope =
      core.binary<MulOp>(core.binary<AddOp>(core.binary<AddOp>(bent, 1.0),
                                            core.binary<MulOp>(x, bend)),
                         0.5);
  return scaled(core, gradients[0], slope, getOperand());
}

// s (1 + x (1 - s)), s = 1 / (1 + e^-x)
Gradients SiluOp::buildVjp(OpBuilder &builder, ValueRange gradients) {
  Core core(builder, getLoc());
  Value x = core.convert(getOperand(), core.f32());
  Value one = core.constant(1, x);
  Value s = core.binary<DivOp>(
      one, core.binary<AddOp>(core.unary<ExpOp>(core.unary<NegOp>(x)), one));
  Value slope = core.binary<MulOp>(
      s, core.binary<AddOp>(core.binary<MulOp>(x, core.binary<SubOp>(one, s)),
                            one));
  return scaled(core, gradients[0], slope, getOperand());
}

// The operand turns back: the adjoint of a rotation is that by the negative
// angle. Frequencies are rarely learned: theirs is derived.
Gradients RopeOp::buildVjp(OpBuilder &builder, ValueRange gradients) {
  Core core(builder, getLoc());
  Gradients result = buildDecomposedVjp(*this, builder, gradients);
  result[0] = core.make<RopeOp>(
      getOperand().getType(), getForm(), gradients[0], getPositions(),
      core.unary<NegOp>(getFrequencies()), getScale());
  return result;
}
