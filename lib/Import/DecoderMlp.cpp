//===- DecoderMlp.cpp - MLP and experts of decoders -----------------------===//
//
//   mlp(h)     = (act(h Wg) * (h Wu)) Wd, or act(h Wu) Wd
//   experts(h) = sum over the chosen i of s[i] * mlp_i(h), where
//                s, i = route(h Wr)      [b, s, c]
//
//===----------------------------------------------------------------------===//

#include "DecoderBuilder.h"
#include <limits>

using namespace mlir;
using namespace tpc;

Value DecoderBuilder::feedForward(Value h, int64_t layer) {
  if (config.sparse[layer])
    return experts(h, layer);
  return mlp(h, {family.gate, family.up, family.down, family.gateUp},
             config.intermediate, layer);
}

Value DecoderBuilder::mlp(Value h, const MlpNames &names, int64_t width,
                          int64_t layer) {
  int64_t e = config.hidden;
  bool bias = config.biases.mlp;
  Projection gate{stored(names.gate, layer), bias},
      up{stored(names.up, layer), bias};
  if (!names.gateUp.empty()) {
    gate.name = up.name = stored(names.gateUp, layer);
    gate.part = {"gate", 1, 2 * width, 0, width};
    up.part = {"up", 1, 2 * width, width, width};
  }
  bool gated = !names.gate.empty();
  Value bent;
  if (gated)
    bent = project(h, gate, {e}, {width}, "b s e, e f -> b s f");
  Value wide = project(h, up, {e}, {width}, "b s e, e f -> b s f");
  {
    GraphBuilder::Scope scope(g, gated ? gate.name : up.name);
    wide = gated ? g.mul(applyActivation(g, config.activation, bent), wide)
                 : applyActivation(g, config.activation, wide);
  }
  return project(wide, {stored(names.down, layer), bias}, {width}, {e},
                 "b s f, f e -> b s e");
}

//===----------------------------------------------------------------------===//
// Experts
//===----------------------------------------------------------------------===//

Value DecoderBuilder::experts(Value h, int64_t layer) {
  const ExpertFamily &names = *family.experts;
  auto [scores, choices] = route(h, layer);
  std::string name = stored(names.down, layer);
  Value result;
  {
    GraphBuilder::Scope scope(g, StringRef(name).split(".{}").first);
    result = names.stacked ? stackedExperts(h, choices, scores, layer)
                           : separateExperts(h, choices, scores, layer);
  }
  if (names.sharedGate.empty() || config.experts.sharedWidth == 0)
    return result;
  Value shared = mlp(h, {names.sharedGate, names.sharedUp, names.sharedDown},
                     config.experts.sharedWidth, layer);
  std::string switchName = stored(names.sharedSwitch, layer);
  if (!names.sharedSwitch.empty()) {
    Value open =
        project(h, {switchName}, {config.hidden}, {1}, "b s e, e n -> b s n");
    GraphBuilder::Scope scope(g, switchName);
    shared =
        g.mul(shared, g.broadcast(g.sigmoid(open),
                                  GraphBuilder::shapeOf(shared), {0, 1, 2}));
  }
  GraphBuilder::Scope scope(g, stored(names.sharedDown, layer) + ".residual");
  return g.add(result, shared);
}

std::pair<Value, Value> DecoderBuilder::route(Value h, int64_t layer) {
  const auto &experts = config.experts;
  std::string router = stored(family.experts->router, layer);
  Value logits =
      project(h, {router, family.experts->routerBias}, {config.hidden},
              {experts.count}, "b s e, e x -> b s x");
  GraphBuilder::Scope scope(g, router);
  logits = g.convert(logits, f32);
  Value scores, choices;
  switch (family.experts->scores) {
  case ExpertFamily::Softmax:
    std::tie(scores, choices) = g.topK(g.softmax(logits), experts.chosen);
    if (experts.normalized)
      scores = g.normalized(scores);
    break;
  case ExpertFamily::SoftmaxOfChosen:
    std::tie(scores, choices) = g.topK(logits, experts.chosen);
    scores = g.softmax(scores);
    break;
  case ExpertFamily::Sigmoid:
    std::tie(scores, choices) = chooseBySigmoid(logits, layer);
    if (experts.normalized)
      scores = g.normalized(scores, 1e-20);
    if (experts.scale != 1)
      scores = g.scaled(scores, experts.scale);
  }
  return {g.convert(scores, g.element()), choices};
}

std::pair<Value, Value> DecoderBuilder::chooseBySigmoid(Value logits,
                                                        int64_t layer) {
  const auto &experts = config.experts;
  Value scores = g.sigmoid(logits);
  SmallVector<int64_t> shape(GraphBuilder::shapeOf(scores));
  Value bias = g.convert(
      g.parameter(stored(family.experts->choiceBias, layer), {experts.count}),
      f32);
  Value biased = g.add(scores, g.broadcast(bias, shape, {2}));
  Value choices = g.topK(ofBestGroups(biased), experts.chosen).second;
  // The chosen ones' scores without the bias: sums of one of them and zeros.
  SmallVector<int64_t> pairs{batch, length, experts.chosen, experts.count};
  Value hit = g.compare(Predicate::EQ, g.iota(pairs, 3, i64),
                        g.broadcast(choices, pairs, {0, 1, 2}));
  Value chosen =
      g.reduceSum(g.select(hit, g.broadcast(scores, pairs, {0, 1, 3}),
                           g.constant(0, pairs, f32)),
                  3);
  return {chosen, choices};
}

Value DecoderBuilder::ofBestGroups(Value scores) {
  const auto &experts = config.experts;
  int64_t groups = experts.groups, best = experts.chosenGroups;
  if (best == groups)
    return scores;
  SmallVector<int64_t> flat(GraphBuilder::shapeOf(scores));
  SmallVector<int64_t> shape{batch, length, groups, experts.count / groups};
  Value grouped = g.reshape(scores, shape);
  // A group is as good as its best two.
  Value worth = g.reduceSum(g.topK(grouped, 2).first, 3);
  Value chosen = g.topK(worth, best).second;
  SmallVector<int64_t> pairs{batch, length, best, groups};
  Value hit = g.compare(Predicate::EQ, g.iota(pairs, 3, i64),
                        g.broadcast(chosen, pairs, {0, 1, 2}));
  Value isChosen = g.reduceMax(g.convert(hit, f32), 2);
  Value open = g.compare(Predicate::GT, isChosen,
                         g.constant(0, GraphBuilder::shapeOf(isChosen), f32));
  return g.reshape(g.select(g.broadcast(open, shape, {0, 1, 2}), grouped,
                            g.constant(-std::numeric_limits<double>::infinity(),
                                       shape, f32)),
                   flat);
}

Value DecoderBuilder::mixed(Value rows, Value scores) {
  SmallVector<int64_t> shape(GraphBuilder::shapeOf(rows));
  return g.reduceSum(g.mul(rows, g.broadcast(scores, shape, {0, 1, 2})), 2);
}

Value DecoderBuilder::separateExperts(Value h, Value choices, Value scores,
                                      int64_t layer) {
  const ExpertFamily &names = *family.experts;
  const auto &experts = config.experts;
  auto weights = [&](StringRef pattern, int64_t in, int64_t out) {
    return g.stackedWeights(stored(pattern, layer) + ".weight", experts.count,
                            in, out);
  };
  Value gate = weights(names.gate, config.hidden, experts.width);
  Value up = weights(names.up, config.hidden, experts.width);
  Value down = weights(names.down, experts.width, config.hidden);
  if (config.activation == Activation::Silu)
    return g.experts(h, choices, scores, gate, up, down);
  Value wide = g.mul(
      applyActivation(g, config.activation, g.groupedMatmul(h, choices, gate)),
      g.groupedMatmul(h, choices, up));
  return mixed(g.groupedMatmul(wide, choices, down), scores);
}

Value DecoderBuilder::stackedExperts(Value h, Value choices, Value scores,
                                     int64_t layer) {
  const auto &experts = config.experts;
  int64_t e = config.hidden, f = experts.width, x = experts.count;
  auto applied = [&](Value rows, StringRef pattern, int64_t in, int64_t out,
                     const GraphBuilder::Part &part) {
    std::string name = stored(pattern, layer);
    Value weights = g.storedStack(name, x, {in}, out, part);
    Value bias = g.storedStack(name + "_bias", x, {}, out, part);
    return g.add(g.groupedMatmul(rows, choices, weights),
                 g.gatherRows(bias, choices));
  };
  // Gate and up alternate.
  StringRef both = family.experts->gate;
  Value gate = applied(h, both, e, f, {"gate", f, 2, 0, 1});
  Value up = applied(h, both, e, f, {"up", f, 2, 1, 1});
  SmallVector<int64_t> shape(GraphBuilder::shapeOf(gate));
  gate = g.min(gate, g.constant(experts.limit, shape, g.element()));
  up = g.clamped(up, -experts.limit, experts.limit);
  Value bent = g.mul(gate, g.sigmoid(g.scaled(gate, experts.alpha)));
  Value wide = g.mul(g.shifted(up, 1), bent);
  return mixed(applied(wide, family.experts->down, f, e, {}), scores);
}
