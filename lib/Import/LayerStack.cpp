//===- LayerStack.cpp - Layers of attention and MLP -----------------------===//
//
//   q = x Wq + bq                         [b, s, h, 1, d]
//   k = y Wk + bk                         [b, t, h, d], v likewise; y is x, or
//                                         the encoder's output
//   attention(q, k, v) Wo + bo            [b, s, e]
//   act(x W1 + b1) W2 + b2                [b, s, e]
//
// Heads are a dimension of the weights: [e, heads, 1, head_dim].
//
//===----------------------------------------------------------------------===//

#include "LayerStack.h"
#include <cmath>
#include <limits>

using namespace mlir;
using namespace tpc;

FailureOr<LayerSizes> tpc::readLayerSizes(const ModelConfig &config,
                                          const LayerKeys &keys,
                                          StringRef defaultActivation) {
  auto hidden = config.size(keys.hidden);
  auto layers = config.size(keys.layers, std::nullopt, 4096);
  auto heads = config.size(keys.heads);
  auto intermediate = config.size(keys.intermediate);
  auto activationName = config.text(keys.activation, defaultActivation.str());
  if (failed(hidden) || failed(layers) || failed(heads) ||
      failed(intermediate) || failed(activationName))
    return failure();
  auto activation = parseActivation(config, keys.activation, *activationName);
  if (failed(activation))
    return failure();
  FailureOr<int64_t> headDim = keys.defaultHeadDim;
  if (!keys.headDim.empty() && config.has(keys.headDim))
    headDim = config.size(keys.headDim);
  FailureOr<double> epsilon = keys.defaultEpsilon;
  if (!keys.epsilon.empty())
    epsilon = config.number(keys.epsilon, keys.defaultEpsilon);
  if (failed(headDim) || failed(epsilon))
    return failure();
  if (*headDim == 0 && *hidden % *heads != 0)
    return config.error() << "key \"" << keys.heads << "\": " << *heads
                          << " does not divide " << keys.hidden << " "
                          << *hidden;
  LayerSizes sizes;
  sizes.hidden = *hidden;
  sizes.layers = *layers;
  sizes.heads = *heads;
  sizes.headDim = *headDim == 0 ? *hidden / *heads : *headDim;
  sizes.intermediate = *intermediate;
  sizes.epsilon = *epsilon;
  sizes.scale = 1 / std::sqrt(double(sizes.headDim));
  sizes.activation = *activation;
  return sizes;
}

std::string tpc::layerName(StringRef pattern, int64_t layer) {
  auto [before, after] = pattern.split("{}");
  if (before.size() == pattern.size())
    return pattern.str();
  return before.str() + std::to_string(layer) + after.str();
}

Value tpc::storedNorm(GraphBuilder &g, Value x, const std::string &name,
                      StackNorm kind, double epsilon) {
  GraphBuilder::Scope scope(g, name);
  SmallVector<int64_t> shape{GraphBuilder::shapeOf(x).back()};
  bool isOld = g.isStored(name + ".gamma");
  Value weight = g.parameter(name + (isOld ? ".gamma" : ".weight"), shape);
  if (kind == StackNorm::RootMeanSquare)
    return g.rmsNorm(x, weight, epsilon);
  Value bias = g.parameter(name + (isOld ? ".beta" : ".bias"), shape);
  return g.layerNorm(x, weight, bias, epsilon);
}

Value tpc::maskBias(GraphBuilder &g, Value mask) {
  GraphBuilder::Scope scope(g, "attention_mask");
  auto from = GraphBuilder::shapeOf(mask);
  SmallVector<int64_t> shape{from[0], 1, 1, 1, from[1]};
  Type f32 = g.raw().getF32Type(), i64 = g.raw().getI64Type();
  Value wide = g.broadcast(mask, shape, {0, 4});
  return g.select(
      g.compare(Predicate::NE, wide, g.constant(0, shape, i64)),
      g.constant(0, shape, f32),
      g.constant(-std::numeric_limits<double>::infinity(), shape, f32));
}

std::string LayerStack::stored(StringRef pattern, int64_t layer) const {
  return prefix + layerName(pattern, layer);
}

Value LayerStack::norm(Value x, StringRef pattern, int64_t layer) {
  return storedNorm(g, x, stored(pattern, layer), form.norm, sizes.epsilon);
}

Value LayerStack::project(Value x, StringRef pattern, int64_t layer,
                          ArrayRef<int64_t> in, ArrayRef<int64_t> out,
                          bool bias, StringRef equation) {
  std::string name = stored(pattern, layer);
  GraphBuilder::Scope scope(g, name);
  Value weight = g.weight(name + ".weight", in, out);
  return g.linear(x, weight, bias ? g.vector(name + ".bias", out) : Value(),
                  equation);
}

Value LayerStack::withNorm(Value x, StringRef normPattern, StringRef output,
                           int64_t layer, Part part) {
  bool isBefore = form.place == NormPlace::BeforePart;
  Value change = part(isBefore ? norm(x, normPattern, layer) : x);
  Value sum;
  {
    GraphBuilder::Scope scope(g, stored(output, layer) + ".residual");
    sum = g.add(change, x);
  }
  return isBefore ? sum : norm(sum, normPattern, layer);
}

Value LayerStack::encoderLayer(Value x, const GraphBuilder::Visible &visible,
                               int64_t layer) {
  x = withNorm(x, form.self.norm, form.self.output, layer, [&](Value h) {
    return attention(h, keysValues(h, form.self, layer), visible, form.self,
                     layer);
  });
  return withMlp(x, layer);
}

LayerStack::KeysValues
LayerStack::keysValues(Value x, const AttentionNames &names, int64_t layer) {
  SmallVector<int64_t> out{sizes.heads, sizes.headDim};
  StringRef equation = "b t e, e k d -> b t k d";
  return {project(x, names.key, layer, {sizes.hidden}, out, sizes.biases.key,
                  equation),
          project(x, names.value, layer, {sizes.hidden}, out,
                  sizes.biases.value, equation)};
}

Value LayerStack::attention(Value x, const KeysValues &seen,
                            const GraphBuilder::Visible &visible,
                            const AttentionNames &names, int64_t layer) {
  SmallVector<int64_t> heads{sizes.heads, 1, sizes.headDim};
  Value query = project(x, names.query, layer, {sizes.hidden}, heads,
                        sizes.biases.query, "b s e, e k g d -> b s k g d");
  Value mixed;
  {
    GraphBuilder::Scope scope(
        g, StringRef(stored(names.query, layer)).rsplit('.').first);
    mixed = g.attention(query, seen.keys, seen.values, sizes.scale, visible);
  }
  return project(mixed, names.output, layer, heads, {sizes.hidden},
                 sizes.biases.output, "b s k g d, k g d e -> b s e");
}

Value LayerStack::withMlp(Value x, int64_t layer) {
  return withNorm(x, form.mlpNorm, form.down, layer,
                  [&](Value h) { return mlp(h, layer); });
}

Value LayerStack::mlp(Value x, int64_t layer) {
  auto wide = [&](StringRef pattern) {
    return project(x, pattern, layer, {sizes.hidden}, {sizes.intermediate},
                   sizes.biases.mlp, "b s e, e f -> b s f");
  };
  StringRef activated = sizes.gated ? form.gate : form.up;
  Value h = wide(activated);
  Value up = sizes.gated ? wide(form.gatedUp) : Value();
  {
    GraphBuilder::Scope scope(g, stored(activated, layer));
    h = applyActivation(g, sizes.activation, h);
    if (up)
      h = g.mul(h, up);
  }
  return project(h, form.down, layer, {sizes.intermediate}, {sizes.hidden},
                 sizes.biases.mlp, "b s f, f e -> b s e");
}
