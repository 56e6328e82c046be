//===- DecoderAttention.cpp - The attention of decoders -------------------===//
//
//   q = turned(h Wq)                    [b, s, k, g, d]
//   k = turned(h Wk), v = h Wv          [b, s, k, d], also into the cache
//   result = attention(q, k, v) Wo      [b, s, e]
//
// Heads are a dimension of the weights: [e, k, g, d]. Some families clip or
// normalize queries and keys before they turn.
//
// Latent attention (DeepSeek-AI, "DeepSeek-V2", arXiv:2405.04434) makes keys
// and values of all heads from one small vector c per token, and gives all
// heads the same turned part r of the key:
//
//   c = norm(h Wc), r = turned(h Wr)    [b, s, l] and [b, s, d]
//   score = scale * (qn . (c Wk) + turned(qr) . r)
//   result = (weights . (c Wv)) Wo
//
// Only c and r go into the cache. Since qn . (c Wk) = (qn Wk') . c, this is
// attention with one key head, [c, r], whose first l elements are the value:
//
//   q = [qn Wk', turned(qr)]            [b, s, 1, g, l + d]
//   result = (attention(q, [c, r], c) Wv) Wo
//
//===----------------------------------------------------------------------===//

#include "DecoderBuilder.h"
#include <cmath>

using namespace mlir;
using namespace tpc;

//===----------------------------------------------------------------------===//
// Positions
//===----------------------------------------------------------------------===//

Value DecoderBuilder::frequencies(const RopeFrequencies &rope) {
  Value values = g.constant(rope.values);
  if (context <= rope.longest)
    return values;
  GraphBuilder::Scope scope(g, "rotary_positions");
  // How many tokens the longest row has, [].
  Value longest = lengths;
  if (decoding)
    longest = g.shifted(rowPositions, 1);
  longest =
      longest ? g.reduceMax(longest, 0) : g.constant(double(length), {}, i64);
  int64_t pairs = rope.values.size();
  if (!rope.beyond.empty()) {
    Value isLong = g.compare(Predicate::GT, longest,
                             g.constant(double(rope.longest), {}, i64));
    return g.select(g.broadcast(isLong, {pairs}, {}), g.constant(rope.beyond),
                    values);
  }
  Value ratio = g.max(g.scaled(g.convert(longest, f32), 1.0 / rope.longest),
                      g.constant(1, {}, f32));
  Value growth = g.shifted(g.scaled(ratio, rope.growth), 1 - rope.growth);
  return g.mul(values, g.exp(g.mul(g.broadcast(g.log(growth), {pairs}, {}),
                                   g.constant(rope.exponents))));
}

Value DecoderBuilder::turned(Value x, int64_t layer) {
  int table = config.ropeOfLayer[layer];
  if (table < 0)
    return x;
  return g.rope(family.rope.form, x, positions, tables[table],
                config.ropes[table].scale);
}

Value DecoderBuilder::alibi(int64_t keys) {
  const auto &alibi = config.alibi;
  if (alibi.slopes.empty())
    return {};
  GraphBuilder::Scope scope(g, "alibi");
  Type element = alibi.inBf16 ? g.raw().getBF16Type() : f32;
  SmallVector<int64_t> shape{1, config.kvHeads, config.group, 1, keys};
  Value slopes = g.reshape(
      g.constant(std::vector<float>(alibi.slopes.begin(), alibi.slopes.end())),
      {config.kvHeads, config.group});
  Value bias = g.mul(
      g.broadcast(g.convert(slopes, element), shape, {1, 2}),
      g.broadcast(g.convert(g.iota({keys}, 0, i64), element), shape, {4}));
  bias = g.convert(bias, f32);
  return alibi.scale == 1 ? bias : g.scaled(bias, alibi.scale);
}

//===----------------------------------------------------------------------===//
// Heads
//===----------------------------------------------------------------------===//

Value DecoderBuilder::clipped(Value x) {
  return config.clip ? g.clamped(x, -config.clip, config.clip) : x;
}

Value DecoderBuilder::headNorm(Value x, StringRef pattern, int64_t layer) {
  if (family.headNorm == HeadNorm::None)
    return x;
  std::string name = stored(pattern, layer);
  const NormStyle &style = family.headNormStyle;
  SmallVector<int64_t> shape(GraphBuilder::shapeOf(x));
  if (family.headNorm == HeadNorm::Shared)
    return norm(x, name, style, config.epsilon);
  GraphBuilder::Scope scope(g, name);
  SmallVector<int64_t> heads(ArrayRef(shape).drop_front(2));
  if (family.headNorm == HeadNorm::Whole) {
    int64_t all = ShapedType::getNumElements(heads);
    Value whole = g.reshape(x, {batch, length, all});
    return g.reshape(norm(whole, name, style, config.epsilon), shape);
  }
  // Each head has its own weight, [heads..., d].
  int64_t d = heads.back();
  Value weight;
  if (family.headNorm == HeadNorm::Stacked)
    weight = g.stackedVectors(name + ".weight", heads);
  else
    weight = g.view(name + ".weight",
                    {ShapedType::getNumElements(heads) / d, d}, heads);
  Value plain = g.layerNorm(x, filled(1, d), filled(0, d), config.epsilon);
  auto dims = llvm::to_vector(llvm::seq<int64_t>(2, shape.size()));
  return g.mul(plain, g.broadcast(weight, shape, dims));
}

DecoderBuilder::Heads DecoderBuilder::heads(Value h, int64_t layer) {
  int64_t e = config.hidden, k = config.kvHeads, group = config.group,
          d = config.headDim;
  Projection query{stored(family.query, layer)}, key{stored(family.key, layer)},
      value{stored(family.value, layer)};
  if (family.fusion != Fusion::None)
    query.name = key.name = value.name = stored(family.queryKeyValue, layer);
  int64_t queries = group * d;
  if (family.fusion == Fusion::Groups) {
    int64_t size = (group + 2) * d;
    query.part = {"query", k, size, 0, queries};
    key.part = {"key", k, size, queries, d};
    value.part = {"value", k, size, queries + d, d};
  } else if (family.fusion == Fusion::Rows) {
    int64_t size = k * (group + 2) * d;
    query.part = {"query", 1, size, 0, k * queries};
    key.part = {"key", 1, size, k * queries, k * d};
    value.part = {"value", 1, size, k * (queries + d), k * d};
  }
  query.bias = key.bias = value.bias = config.biases.queryKeyValue;
  return {clipped(project(h, query, {e}, {k, group, d},
                          "b s e, e k g d -> b s k g d")),
          clipped(project(h, key, {e}, {k, d}, "b t e, e k d -> b t k d")),
          clipped(project(h, value, {e}, {k, d}, "b t e, e k d -> b t k d"))};
}

//===----------------------------------------------------------------------===//
// Attention
//===----------------------------------------------------------------------===//

Value DecoderBuilder::cached(const std::string &name, Value fresh) {
  if (training)
    return fresh;
  SmallVector<int64_t> shape(GraphBuilder::shapeOf(fresh));
  SmallVector<int64_t> whole(shape);
  whole[1] = context;
  Value before = g.state(name, whole);
  Value after = g.updateSlice(before, fresh, cacheStart);
  g.write(name, after);
  // The kernel reads keys and values where they lie, in the caches.
  return decoding ? after : g.slice(after, {0, 0, 0, 0}, shape);
}

GraphBuilder::Visible DecoderBuilder::visible(int64_t layer) {
  GraphBuilder::Visible visible;
  visible.causal = true;
  visible.window = config.windows[layer];
  visible.softcap = config.softcap;
  visible.bias = alibiBias;
  if (!family.sinks.empty())
    visible.sinks =
        g.vector(stored(family.sinks, layer), {config.kvHeads, config.group});
  if (decoding)
    visible.offset = rowPositions;
  return visible;
}

Value DecoderBuilder::attention(Value h, int64_t layer) {
  if (family.latent)
    return latentAttention(h, layer);
  auto [query, key, value] = heads(h, layer);
  query = headNorm(query, family.queryNorm, layer);
  key = headNorm(key, family.keyNorm, layer);
  std::string name = stored(family.attention, layer);
  Value mixed;
  {
    GraphBuilder::Scope scope(g, name);
    query = turned(query, layer);
    key = turned(key, layer);
    key = cached(name + ".key_cache", key);
    value = cached(name + ".value_cache", value);
    mixed =
        g.attention(query, key, value, config.scales[layer], visible(layer));
  }
  return project(
      mixed,
      {stored(family.attentionOutput, layer), config.biases.attentionOutput},
      {config.kvHeads, config.group, config.headDim}, {config.hidden},
      "b s k g d, k g d e -> b s e");
}

Value DecoderBuilder::latentAttention(Value h, int64_t layer) {
  const DecoderFamily::Latent &names = *family.latent;
  const auto &sizes = config.latent;
  constexpr double epsilon = 1e-6; // of these norms, whatever the others have
  int64_t e = config.hidden, heads = config.heads, l = sizes.keyValue,
          d = sizes.turned, whole = sizes.still + d,
          up = sizes.still + sizes.value;
  bool bias = config.biases.queryKeyValue;
  std::string upName = stored(names.up, layer);

  // Queries [b, s, 1, g, still + d], from a latent of their own if there is.
  Value from = h;
  Projection toQuery{stored(family.query, layer)};
  if (sizes.query) {
    toQuery.name = stored(names.queryUp, layer);
    from = project(h, {stored(names.queryDown, layer), bias}, {e},
                   {sizes.query}, "b s e, e l -> b s l");
    from = norm(from, stored(names.queryDownNorm, layer), family.norm, epsilon);
  }
  Value query = project(from, toQuery, {GraphBuilder::shapeOf(from).back()},
                        {1, heads, whole}, "b s e, e k g d -> b s k g d");

  // c and r, [b, s, 1, l] and [b, s, 1, d].
  std::string downName = stored(names.down, layer);
  Value c = project(h, {downName, bias, {"latent", 1, l + d, 0, l}}, {e},
                    {1, l}, "b s e, e k l -> b s k l");
  Value r = project(h, {downName, bias, {"turned", 1, l + d, l, d}}, {e},
                    {1, d}, "b s e, e k d -> b s k d");
  c = norm(c, stored(names.downNorm, layer), family.norm, epsilon);

  std::string name = stored(family.attention, layer);
  Value mixed;
  {
    GraphBuilder::Scope scope(g, name);
    SmallVector<int64_t> part{batch, length, 1, heads, sizes.still};
    Value still = g.slice(query, {0, 0, 0, 0, 0}, part);
    part.back() = d;
    Value turnedPart =
        turned(g.slice(query, {0, 0, 0, 0, sizes.still}, part), layer);
    Value keyUp = g.weight(upName + ".weight", {l}, {1, heads, sizes.still},
                           {"key", heads, up, 0, sizes.still}, false);
    still = g.matmul(still, keyUp, "b s k g n, l k g n -> b s k g l");
    query = g.concat({still, turnedPart}, 4);
    Value key = g.concat({c, turned(r, layer)}, 3);
    key = cached(name + ".latent_cache", key);
    SmallVector<int64_t> shape(GraphBuilder::shapeOf(key));
    shape.back() = l;
    mixed = g.attention(query, key, g.slice(key, {0, 0, 0, 0}, shape),
                        config.scales[layer], visible(layer));
    Value valueUp =
        g.weight(upName + ".weight", {l}, {1, heads, sizes.value},
                 {"value", heads, up, sizes.still, sizes.value}, false);
    mixed = g.matmul(mixed, valueUp, "b s k g l, l k g v -> b s k g v");
  }
  return project(
      mixed,
      {stored(family.attentionOutput, layer), config.biases.attentionOutput},
      {1, heads, sizes.value}, {e}, "b s k g v, k g v e -> b s e");
}
