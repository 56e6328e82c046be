//===- Decoder.cpp - Graphs of decoder models -----------------------------===//
//
//   x = word embedding (* scale, + position embedding)   [b, s, e]
//   in each layer:
//     x = x + attention(norm(x))
//     x = x + mlp(norm(x))          or experts
//   logits = norm(x) times the table                     [b, v]
//
// of each row's last token. Where norms stand, and whether both parts see the
// same x, is the family's (DecoderFamily.h). prefill attends to the keys that
// it just computed, decode to the cache. step has labels too, no cache, and
// gives the loss of all tokens.
//
//===----------------------------------------------------------------------===//

#include "DecoderBuilder.h"
#include "Training.h"

using namespace mlir;
using namespace tpc;

//===----------------------------------------------------------------------===//
// Entries
//===----------------------------------------------------------------------===//

void DecoderBuilder::prefill() {
  length = options.length;
  SmallVector<GraphBuilder::Input> inputs{
      {"input_ids", RankedTensorType::get({batch, length}, i64)}};
  bool hasLengths = !options.without.contains("lengths");
  if (hasLengths)
    inputs.push_back({"lengths", RankedTensorType::get({batch}, i64)});
  SmallVector<Value> arguments = g.begin("prefill", inputs);
  if (hasLengths)
    lengths = arguments[1];
  positions = g.iota({batch, length}, 1, i64);
  cacheStart = g.constant(0, {4}, i64);
  g.end({{"logits", build(arguments[0])}});
}

void DecoderBuilder::decode() {
  length = 1;
  SmallVector<Value> arguments =
      g.begin("decode", {{"input_ids", RankedTensorType::get({batch, 1}, i64)},
                         {"positions", RankedTensorType::get({batch}, i64)}});
  decoding = true;
  rowPositions = arguments[1];
  positions = g.reshape(rowPositions, {batch, 1});
  // A row's keys go to its own position: [b, t, k, d] from [position, 0, 0].
  cacheStart = g.concat({positions, g.constant(0, {batch, 2}, i64)}, 1);
  g.end({{"logits", build(arguments[0])}});
}

void DecoderBuilder::step() {
  training = true;
  length = context = options.length;
  auto type = RankedTensorType::get({batch, length}, i64);
  SmallVector<Value> arguments =
      g.begin(kStepEntry, {{"input_ids", type}, {"labels", type}});
  positions = g.iota({batch, length}, 1, i64);
  Value logits = build(arguments[0]);
  g.end({{"loss", meanCrossEntropy(g, logits, nextLabels(g, arguments[1]))}});
}

Value DecoderBuilder::build(Value tokens) {
  for (const RopeFrequencies &rope : config.ropes)
    tables.push_back(frequencies(rope));
  alibiBias = alibi(decoding ? context : length);
  Value x = embedded(tokens);
  for (int64_t layer = 0; layer < config.layers; ++layer)
    x = decoderLayer(x, layer);
  return logits(x);
}

//===----------------------------------------------------------------------===//
// Building blocks
//===----------------------------------------------------------------------===//

std::string DecoderBuilder::stored(StringRef pattern, int64_t layer) {
  auto [before, after] = pattern.split("{}");
  return before.str() + std::to_string(layer) + after.str();
}

Value DecoderBuilder::filled(double value, int64_t size) {
  return g.constant(value, {size}, f32);
}

Value DecoderBuilder::norm(Value x, const std::string &name,
                           const NormStyle &style, double epsilon) {
  if (name.empty())
    return x;
  GraphBuilder::Scope scope(g, name);
  int64_t size = GraphBuilder::shapeOf(x).back();
  Value weight =
      style.weight ? g.parameter(name + ".weight", {size}) : filled(1, size);
  if (style.kind == NormKind::RmsPlusOne)
    weight = g.shifted(g.convert(weight, f32), 1);
  if (style.kind != NormKind::Layer)
    return g.rmsNorm(x, weight, epsilon);
  Value bias =
      style.bias ? g.parameter(name + ".bias", {size}) : filled(0, size);
  return g.layerNorm(x, weight, bias, epsilon);
}

Value DecoderBuilder::norm(Value x, StringRef pattern, int64_t layer) {
  if (pattern.empty())
    return x;
  return norm(x, stored(pattern, layer), family.norm, config.epsilon);
}

Value DecoderBuilder::project(Value x, const Projection &projection, Shape in,
                              Shape out, StringRef equation) {
  const std::string &name = projection.name;
  GraphBuilder::Scope scope(g, name);
  Value weight =
      g.weight(name + ".weight", in, out, projection.part, family.transposed);
  Value bias = projection.bias ? g.vector(name + ".bias", out, projection.part)
                               : Value();
  return g.linear(x, weight, bias, equation);
}

Value DecoderBuilder::sum(Value x, Value change, const std::string &name) {
  GraphBuilder::Scope scope(g, name + ".residual");
  if (config.residualScale != 1)
    change = g.scaled(change, config.residualScale);
  return g.add(x, change);
}

//===----------------------------------------------------------------------===//
// Embeddings, layers, logits
//===----------------------------------------------------------------------===//

Value DecoderBuilder::wordTable() {
  return g.parameter(family.wordEmbedding.str() + ".weight",
                     {config.vocabulary, config.embeddingWidth});
}

Value DecoderBuilder::embedded(Value tokens) {
  Value x;
  {
    GraphBuilder::Scope scope(g, family.wordEmbedding);
    x = g.embedding(wordTable(), tokens);
    if (config.embeddingScale != 1)
      x = g.scaled(x, config.embeddingScale);
  }
  x = norm(x, family.embeddingNorm.str(), family.norm, config.epsilon);
  if (!family.projectIn.empty())
    x = project(x, {family.projectIn.str()}, {config.embeddingWidth},
                {config.hidden}, "b s w, w e -> b s e");
  if (family.positionEmbedding.empty())
    return x;
  std::string name = family.positionEmbedding.str();
  GraphBuilder::Scope scope(g, name);
  Value table =
      g.parameter(name + ".weight",
                  {config.positions + family.positionOffset, config.hidden});
  Value rows = positions;
  if (family.positionOffset)
    rows = g.shifted(rows, family.positionOffset);
  return g.add(x, g.embedding(table, rows));
}

Value DecoderBuilder::decoderLayer(Value x, int64_t layer) {
  std::string attentionName = stored(family.attentionOutput, layer);
  std::string mlpName = stored(family.down, layer);
  if (config.sparse[layer])
    mlpName = StringRef(stored(family.experts->down, layer)).split(".{}").first;
  bool after = family.normAfterSum;
  auto before = [&](StringRef pattern) {
    return after ? x : norm(x, pattern, layer);
  };

  Value h = before(family.attentionNorm);
  Value mixed = norm(attention(h, layer), family.attentionOutputNorm, layer);
  if (config.parallel) {
    Value other = family.mlpNorm.empty() ? h : before(family.mlpNorm);
    x = sum(x, mixed, attentionName);
    return sum(x, norm(feedForward(other, layer), family.mlpOutputNorm, layer),
               mlpName);
  }
  x = sum(config.residualFromNorm ? h : x, mixed, attentionName);
  if (after)
    x = norm(x, family.attentionNorm, layer);
  h = before(family.mlpNorm);
  Value wide = norm(feedForward(h, layer), family.mlpOutputNorm, layer);
  x = sum(config.residualFromNorm ? h : x, wide, mlpName);
  return after ? norm(x, family.mlpNorm, layer) : x;
}

Value DecoderBuilder::logits(Value x) {
  bool all = training || (!decoding && options.logits == LogitsOf::AllTokens);
  if (!all)
    x = lastTokens(x);
  x = norm(x, family.finalNorm.str(), family.norm, config.epsilon);
  if (!family.projectOut.empty())
    x = project(x, {family.projectOut.str()}, {config.hidden},
                {config.embeddingWidth},
                all ? "b s e, e w -> b s w" : "b e, e w -> b w");
  std::string name = family.head.str();
  GraphBuilder::Scope scope(g, name);
  // A head that is stored counts, whatever the configuration says.
  Value table = config.tied && !g.isStored(name + ".weight")
                    ? wordTable()
                    : g.parameter(name + ".weight",
                                  {config.vocabulary, config.embeddingWidth});
  Value bias = family.headBias
                   ? g.parameter(name + ".bias", {config.vocabulary})
                   : Value();
  x = g.linear(x, table, bias, all ? "b s e, v e -> b s v" : "b e, v e -> b v");
  if (config.logitScale != 1)
    x = g.scaled(x, config.logitScale);
  return config.logitSoftcap ? g.softcapped(x, config.logitSoftcap) : x;
}

Value DecoderBuilder::lastTokens(Value x) {
  GraphBuilder::Scope scope(g, "last_token");
  SmallVector<int64_t> shape{batch, length, config.hidden};
  if (!lengths)
    return g.reshape(g.slice(x, {0, length - 1, 0}, {batch, 1, config.hidden}),
                     {batch, config.hidden});
  // The sum of one row and zeros.
  Value last = g.add(lengths, g.constant(-1, {batch}, i64));
  Value chosen = g.compare(Predicate::EQ, g.iota({batch, length}, 1, i64),
                           g.broadcast(last, {batch, length}, {0}));
  return g.reduceSum(g.select(g.broadcast(chosen, shape, {0, 1}), x,
                              g.constant(0, shape, g.element())),
                     1);
}

//===----------------------------------------------------------------------===//

LogicalResult tpc::buildDecoder(GraphBuilder &graph,
                                const DecoderConfig &config,
                                const ImportOptions &options) {
  int64_t context = *options.context;
  if (!config.family.positionEmbedding.empty() && context > config.positions)
    return emitError(graph.where())
           << "a context of " << context << " tokens is above the model's "
           << config.positions
           << " positions; pass a smaller --context or --length";
  StringRef entry = options.entry;
  if (!llvm::is_contained({"", "prefill", "decode", "step"}, entry))
    return emitError(graph.where())
           << "there is no entry \"" << entry
           << "\"; expected one of: prefill, decode, step";
  StringRef model = config.family.wordEmbedding.split('.').first;
  graph.setOptionalPrefix((model + ".").str());
  if (entry.empty() || entry == "prefill")
    DecoderBuilder(graph, config, options).prefill();
  if (entry.empty() || entry == "decode")
    DecoderBuilder(graph, config, options).decode();
  if (entry == kStepEntry)
    DecoderBuilder(graph, config, options).step();
  return failure(graph.failed());
}
