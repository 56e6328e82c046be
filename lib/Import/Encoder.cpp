//===- Encoder.cpp - Graphs of encoder models -----------------------------===//
//
//   x = norm(word + position + type)        [b, s, e]
//   in each layer:
//     q = x Wq + bq                         [b, s, k, g, d]
//     k = x Wk + bk                         [b, t, k, d], v likewise
//     x = norm(x + attention(q, k, v) Wo + bo)
//     x = norm(x + act(x W1 + b1) W2 + b2)
//
// Heads are a dimension of the weights: [e, heads, 1, head_dim].
//
//===----------------------------------------------------------------------===//

#include "Encoder.h"
#include <cmath>
#include <limits>

using namespace mlir;
using namespace tpc;

FailureOr<EncoderConfig> tpc::readEncoderConfig(const ModelConfig &config) {
  auto hidden = config.size("hidden_size");
  auto layers = config.size("num_hidden_layers", std::nullopt, 4096);
  auto heads = config.size("num_attention_heads");
  auto intermediate = config.size("intermediate_size");
  auto vocabulary = config.size("vocab_size");
  auto positions = config.size("max_position_embeddings");
  auto types = config.size("type_vocab_size", 2);
  auto pad = config.integer("pad_token_id", 0);
  auto epsilon = config.number("layer_norm_eps", 1e-12);
  auto activation = config.text("hidden_act", "gelu");
  auto positionType = config.text("position_embedding_type", "absolute");
  auto decoder = config.flag("is_decoder", false);
  auto cross = config.flag("add_cross_attention", false);
  auto tied = config.flag("tie_word_embeddings", true);
  if (failed(hidden) || failed(layers) || failed(heads) ||
      failed(intermediate) || failed(vocabulary) || failed(positions) ||
      failed(types) || failed(pad) || failed(epsilon) || failed(activation) ||
      failed(positionType) || failed(decoder) || failed(cross) || failed(tied))
    return failure();
  if (*hidden % *heads != 0)
    return config.error() << "key \"num_attention_heads\": " << *heads
                          << " does not divide hidden_size " << *hidden;
  if (*positionType != "absolute")
    return config.error() << "key \"position_embedding_type\": expected "
                             "\"absolute\", found \""
                          << *positionType << "\", which is not supported";
  if (*decoder || *cross)
    return config.error() << "is_decoder and add_cross_attention are not "
                             "supported for encoders; expected false";
  if (!*tied)
    return config.error()
           << "key \"tie_word_embeddings\": expected true, found "
              "false, which is not supported";
  return EncoderConfig{*hidden,    *layers, *heads, *intermediate, *vocabulary,
                       *positions, *types,  *pad,   *epsilon,      *activation};
}

namespace {

class EncoderBuilder {
public:
  EncoderBuilder(GraphBuilder &graph, const EncoderFamily &family,
                 const Architecture &architecture, const EncoderConfig &config,
                 const ImportOptions &options)
      : g(graph), family(family), architecture(architecture), config(config),
        batch(options.batch), length(options.length), options(options) {}

  LogicalResult run(Location location) {
    if (family.positions == Positions::CountTokensPastPad &&
        (config.padToken < 0 || config.padToken >= config.vocabulary))
      return emitError(location)
             << "key \"pad_token_id\": expected a token below vocab_size "
             << config.vocabulary << ", found " << config.padToken;
    int64_t reserved = family.positions == Positions::CountTokensPastPad
                           ? config.padToken + 1
                           : 0;
    if (length > config.positions - reserved)
      return emitError(location)
             << "length " << length << " is above the model's "
             << config.positions - reserved
             << " positions; pass a smaller --length or shorter inputs";
    beginEntry();
    Value x = embeddings();
    Value bias = maskBias();
    for (int64_t layer = 0; layer < config.layers; ++layer)
      x = encoderLayer(x, bias, layer);
    endEntry(x);
    return failure(g.failed());
  }

private:
  //===--------------------------------------------------------------------===//
  // Inputs and outputs
  //===--------------------------------------------------------------------===//

  void beginEntry() {
    auto i64 = g.raw().getI64Type();
    auto tokenType = RankedTensorType::get({batch, length}, i64);
    SmallVector<GraphBuilder::Input> inputs;
    for (StringRef name : {"input_ids", "attention_mask", "token_type_ids"})
      if (!options.without.contains(name))
        inputs.push_back({name.str(), tokenType});
    SmallVector<Value> values = g.begin("main", inputs);
    for (auto [input, value] : llvm::zip_equal(inputs, values)) {
      if (input.name == "input_ids")
        tokens = value;
      else if (input.name == "attention_mask")
        mask = value;
      else
        types = value;
    }
  }

  void endEntry(Value x) {
    if (architecture.head == Head::MaskedLanguageModel) {
      g.end({{"logits", languageModelHead(x)}});
      return;
    }
    SmallVector<std::pair<std::string, Value>> results{
        {"last_hidden_state", x}};
    if (architecture.pooled)
      results.push_back({"pooler_output", pooler(x)});
    g.end(results);
  }

  //===--------------------------------------------------------------------===//
  // Parts
  //===--------------------------------------------------------------------===//

  /// The stored name of a family's tensor in a layer.
  std::string stored(StringRef pattern, int64_t layer = 0) {
    std::string name = architecture.prefix.str();
    auto [before, after] = pattern.split("{}");
    name += before;
    if (before.size() != pattern.size())
      name += std::to_string(layer);
    return name + after.str();
  }

  Value norm(Value x, const std::string &name) {
    GraphBuilder::Scope scope(g, name);
    return g.layerNorm(x, g.parameter(name + ".weight", {config.hidden}),
                       g.parameter(name + ".bias", {config.hidden}),
                       config.epsilon);
  }

  Value activation(Value x) {
    if (config.activation == "gelu")
      return g.gelu(x, GeluForm::Erf);
    if (config.activation == "relu")
      return g.relu(x);
    return g.gelu(x, GeluForm::Tanh);
  }

  Value embeddings() {
    SmallVector<int64_t> shape{batch, length, config.hidden};
    GraphBuilder::Scope outer(g, architecture.prefix.str() + "embeddings");
    Value x = embedded(family.wordEmbedding, config.vocabulary, tokens);
    x = g.add(x, positionEmbeddings(shape));
    std::string typeName = stored(family.typeEmbedding);
    if (types)
      x = g.add(x, embedded(family.typeEmbedding, config.types, types));
    else
      x = g.add(x, g.broadcast(g.firstRows(typeName + ".weight", config.types,
                                           {1, config.hidden}),
                               shape, {0, 2}));
    return norm(x, stored(family.embeddingNorm));
  }

  Value embedded(StringRef pattern, int64_t rows, Value indices) {
    std::string name = stored(pattern);
    GraphBuilder::Scope scope(g, name);
    return g.embedding(g.parameter(name + ".weight", {rows, config.hidden}),
                       indices);
  }

  Value positionEmbeddings(ArrayRef<int64_t> shape) {
    std::string name = stored(family.positionEmbedding);
    GraphBuilder::Scope scope(g, name);
    if (family.positions == Positions::FromZero)
      return g.broadcast(g.firstRows(name + ".weight", config.positions,
                                     {length, config.hidden}),
                         shape, {1, 2});
    return g.embedding(
        g.parameter(name + ".weight", {config.positions, config.hidden}),
        countedPositions());
  }

  /// pad + (number of tokens up to here that are not pad), pad for padding:
  /// the running count is a product with a triangle of ones.
  Value countedPositions() {
    Type f32 = g.raw().getF32Type(), i64 = g.raw().getI64Type();
    SmallVector<int64_t> square{length, length};
    Value real =
        g.convert(g.compare(Predicate::NE, tokens,
                            g.constant(config.padToken, {batch, length}, i64)),
                  f32);
    Value triangle = g.convert(g.compare(Predicate::LE, g.iota(square, 0, i64),
                                         g.iota(square, 1, i64)),
                               f32);
    Value count = g.mul(g.matmul(real, triangle, "b t, t s -> b s"), real);
    return g.add(g.convert(count, i64),
                 g.constant(config.padToken, {batch, length}, i64));
  }

  /// 0 where a token may be attended to, -inf where not: [b, 1, 1, 1, t].
  Value maskBias() {
    if (!mask)
      return {};
    GraphBuilder::Scope scope(g, "attention_mask");
    SmallVector<int64_t> shape{batch, 1, 1, 1, length};
    Type f32 = g.raw().getF32Type(), i64 = g.raw().getI64Type();
    Value wide = g.broadcast(mask, shape, {0, 4});
    return g.select(
        g.compare(Predicate::NE, wide, g.constant(0, shape, i64)),
        g.constant(0, shape, f32),
        g.constant(-std::numeric_limits<double>::infinity(), shape, f32));
  }

  Value encoderLayer(Value x, Value bias, int64_t layer) {
    int64_t e = config.hidden, heads = config.heads, d = e / heads;
    auto project = [&](StringRef pattern, ArrayRef<int64_t> out,
                       StringRef equation) {
      std::string name = stored(pattern, layer);
      GraphBuilder::Scope scope(g, name);
      return g.linear(x, g.weight(name + ".weight", {e}, out),
                      g.vector(name + ".bias", out), equation);
    };
    Value query =
        project(family.query, {heads, 1, d}, "b s e, e k g d -> b s k g d");
    Value key = project(family.key, {heads, d}, "b t e, e k d -> b t k d");
    Value value = project(family.value, {heads, d}, "b t e, e k d -> b t k d");
    Value mixed;
    {
      GraphBuilder::Scope scope(
          g, StringRef(stored(family.query, layer)).rsplit('.').first);
      GraphBuilder::Visible visible;
      visible.bias = bias;
      mixed = g.attention(query, key, value, 1 / std::sqrt(double(d)), visible);
    }
    x = output(mixed, family.attentionOutput, {heads, 1, d},
               "b s k g d, k g d e -> b s e", x, family.attentionNorm, layer);
    Value wide =
        project(family.up, {config.intermediate}, "b s e, e f -> b s f");
    {
      GraphBuilder::Scope scope(g, stored(family.up, layer));
      wide = activation(wide);
    }
    return output(wide, family.down, {config.intermediate},
                  "b s f, f e -> b s e", x, family.mlpNorm, layer);
  }

  /// norm(residual + value W + b)
  Value output(Value value, StringRef pattern, ArrayRef<int64_t> in,
               StringRef equation, Value residual, StringRef normPattern,
               int64_t layer) {
    std::string name = stored(pattern, layer);
    GraphBuilder::Scope outer(g, name + ".residual");
    Value projected;
    {
      GraphBuilder::Scope scope(g, name);
      projected =
          g.linear(value, g.weight(name + ".weight", in, {config.hidden}),
                   g.vector(name + ".bias", {config.hidden}), equation);
    }
    return norm(g.add(projected, residual), stored(normPattern, layer));
  }

  /// tanh(x[:, 0] W + b)
  Value pooler(Value x) {
    std::string name = stored(family.pooler);
    GraphBuilder::Scope scope(g, name);
    Value first = g.reshape(g.slice(x, {0, 0, 0}, {batch, 1, config.hidden}),
                            {batch, config.hidden});
    return g.tanh(g.linear(
        first, g.weight(name + ".weight", {config.hidden}, {config.hidden}),
        g.vector(name + ".bias", {config.hidden}), "b e, e f -> b f"));
  }

  /// norm(act(x W + b)) times the word embeddings, plus a bias.
  Value languageModelHead(Value x) {
    std::string dense = family.headDense.str();
    Value h;
    {
      GraphBuilder::Scope scope(g, dense);
      h = g.linear(
          x, g.weight(dense + ".weight", {config.hidden}, {config.hidden}),
          g.vector(dense + ".bias", {config.hidden}), "b s e, e f -> b s f");
      h = activation(h);
    }
    h = norm(h, family.headNorm.str());
    GraphBuilder::Scope scope(g, "lm_head");
    Value table = g.parameter(stored(family.wordEmbedding) + ".weight",
                              {config.vocabulary, config.hidden});
    return g.linear(h, table, g.parameter(family.headBias, {config.vocabulary}),
                    "b s e, v e -> b s v");
  }

  GraphBuilder &g;
  const EncoderFamily &family;
  const Architecture &architecture;
  const EncoderConfig &config;
  int64_t batch, length;
  const ImportOptions &options;
  Value tokens, mask, types;
};

} // namespace

LogicalResult tpc::buildEncoder(GraphBuilder &graph,
                                const EncoderFamily &family,
                                const Architecture &architecture,
                                const EncoderConfig &config,
                                const ImportOptions &options) {
  return EncoderBuilder(graph, family, architecture, config, options)
      .run(graph.where());
}
