//===- Decoder.cpp - Graphs of decoder models -----------------------------===//
//
//   x = word embedding                    [b, s, e]
//   in each layer:
//     h = rms_norm(x)
//     q = rope(h Wq)                      [b, s, k, g, d]
//     k = rope(h Wk), v = h Wv            [b, s, k, d], also into the cache
//     (rope(rms_norm(h Wq)) in some families, and so for k)
//     x = x + attention(q, k, v) Wo
//     h = rms_norm(x)
//     x = x + (silu(h Wg) * (h Wu)) Wd  or in a layer with experts:
//     s, i = top_k(softmax(h Wr))         [b, s, c]
//     x = x + experts(h, i, s)
//   logits = rms_norm(x) times the table  [b, v], of each row's last token
//
// prefill attends to the keys that it just computed, decode to the cache. Heads
// are a dimension of the weights: [e, kv_heads, group, head_dim].
//
//===----------------------------------------------------------------------===//

#include "Decoder.h"
#include <cmath>

using namespace mlir;
using namespace tpc;

//===----------------------------------------------------------------------===//
// Configuration
//===----------------------------------------------------------------------===//

/// The window of each layer.
static FailureOr<std::vector<int64_t>>
readWindows(const ModelConfig &config, Windows kind, int64_t layers) {
  std::vector<int64_t> windows(layers, 0);
  if (kind == Windows::None)
    return windows;
  auto window = config.size("sliding_window", 4096); // transformers' default
  auto used = config.flag("use_sliding_window", false);
  auto first = config.integer("max_window_layers", 0);
  auto types = config.texts("layer_types");
  if (failed(window) || failed(used) || failed(first) || failed(types))
    return failure();
  if (config.isNull("sliding_window") ||
      (kind == Windows::Given && !config.has("sliding_window")) ||
      ((kind == Windows::Listed || kind == Windows::Used) && !*used))
    return windows;
  bool listed = kind == Windows::Listed && !types->empty();
  if (listed && static_cast<int64_t>(types->size()) != layers)
    return config.error() << "key \"layer_types\": expected " << layers
                          << " layers, found " << types->size();
  for (int64_t layer = 0; layer < layers; ++layer)
    if (kind != Windows::Listed ||
        (listed ? (*types)[layer] == "sliding_attention" : layer >= *first))
      windows[layer] = *window;
  return windows;
}

/// What the configuration says of experts, and which layers have them.
static LogicalResult readExperts(const ModelConfig &config,
                                 const ExpertNames &names,
                                 DecoderConfig &result) {
  // transformers 5 writes the first for every family.
  StringRef countKey =
      config.has("num_local_experts") ? "num_local_experts" : "num_experts";
  auto count = config.size(countKey, std::nullopt, 4096);
  auto chosen = config.size("num_experts_per_tok");
  auto width = config.size(names.width);
  auto normalized = config.flag("norm_topk_prob", false);
  auto step = config.size("decoder_sparse_step", 1);
  FailureOr<std::vector<double>> dense = std::vector<double>();
  if (config.has("mlp_only_layers"))
    dense = config.numbers("mlp_only_layers");
  if (failed(count) || failed(chosen) || failed(width) || failed(normalized) ||
      failed(step) || failed(dense))
    return failure();
  if (*chosen > *count)
    return config.error() << "key \"num_experts_per_tok\": expected at most "
                          << countKey << " " << *count << ", found " << *chosen;
  result.experts = {*count, *chosen, *width, names.normalized || *normalized};
  for (int64_t layer = 0; layer < result.layers; ++layer)
    result.sparse[layer] =
        (layer + 1) % *step == 0 && !llvm::is_contained(*dense, double(layer));
  return success();
}

FailureOr<DecoderConfig> tpc::readDecoderConfig(const ModelConfig &config,
                                                const DecoderFamily &family,
                                                int64_t context) {
  DecoderConfig result;
  auto hidden = config.size("hidden_size");
  auto layers = config.size("num_hidden_layers", std::nullopt, 4096);
  auto heads = config.size("num_attention_heads");
  auto intermediate = config.size("intermediate_size");
  auto vocabulary = config.size("vocab_size");
  auto epsilon = config.number("rms_norm_eps", 1e-6);
  auto activation = config.text("hidden_act", "silu");
  auto tied = config.flag("tie_word_embeddings", false);
  auto attentionBias = config.flag("attention_bias", false);
  auto mlpBias = config.flag("mlp_bias", false);
  if (failed(hidden) || failed(layers) || failed(heads) ||
      failed(intermediate) || failed(vocabulary) || failed(epsilon) ||
      failed(activation) || failed(tied) || failed(attentionBias) ||
      failed(mlpBias))
    return failure();
  auto kvHeads = config.size("num_key_value_heads", *heads);
  if (failed(kvHeads))
    return failure();
  if (*heads % *kvHeads != 0)
    return config.error() << "key \"num_key_value_heads\": " << *kvHeads
                          << " does not divide num_attention_heads " << *heads;
  if (!config.has("head_dim") && *hidden % *heads != 0)
    return config.error() << "key \"num_attention_heads\": " << *heads
                          << " does not divide hidden_size " << *hidden
                          << ", and there is no head_dim";
  // Rotary positions have a frequency for every two elements.
  int64_t largest = 1 << 16;
  auto headDim =
      config.size("head_dim", std::max<int64_t>(*hidden / *heads, 1), largest);
  if (failed(headDim))
    return failure();
  if (*activation != "silu")
    return config.error() << "key \"hidden_act\": expected \"silu\", found \""
                          << *activation << "\", which is not supported";
  auto has = [](Biases biases, bool configured) {
    return biases == Biases::FromConfig && configured;
  };
  result.biases.attentionOutput = has(family.attentionBiases, *attentionBias);
  result.biases.queryKeyValue = result.biases.attentionOutput ||
                                family.attentionBiases == Biases::QueryKeyValue;
  result.biases.mlp = has(family.mlpBiases, *mlpBias);
  auto windows = readWindows(config, family.windows, *layers);
  auto rope = readRope(config, *headDim, context);
  if (failed(windows) || failed(rope))
    return failure();
  result.hidden = *hidden;
  result.layers = *layers;
  result.kvHeads = *kvHeads;
  result.group = *heads / *kvHeads;
  result.headDim = *headDim;
  result.intermediate = *intermediate;
  result.vocabulary = *vocabulary;
  result.epsilon = *epsilon;
  result.tied = *tied;
  result.windows = std::move(*windows);
  result.rope = std::move(*rope);
  result.sparse.resize(*layers);
  if (family.experts && failed(readExperts(config, *family.experts, result)))
    return failure();
  return result;
}

//===----------------------------------------------------------------------===//
// Graph
//===----------------------------------------------------------------------===//

namespace {

/// Builds one entry.
class DecoderBuilder {
public:
  DecoderBuilder(GraphBuilder &graph, const DecoderFamily &family,
                 const DecoderConfig &config, const ImportOptions &options)
      : g(graph), family(family), config(config), options(options),
        batch(options.batch), context(options.context.value_or(options.length)),
        i64(graph.raw().getI64Type()) {}

  void prefill() {
    length = options.length;
    SmallVector<GraphBuilder::Input> inputs{
        {"input_ids", RankedTensorType::get({batch, length}, i64)}};
    bool hasLengths = options.logits == LogitsOf::LastToken &&
                      !options.without.contains("lengths");
    if (hasLengths)
      inputs.push_back({"lengths", RankedTensorType::get({batch}, i64)});
    SmallVector<Value> arguments = g.begin("prefill", inputs);
    if (hasLengths)
      lengths = arguments[1];
    positions = g.iota({batch, length}, 1, i64);
    cacheStart = g.constant(0, {4}, i64);
    build(arguments[0]);
  }

  void decode() {
    length = 1;
    SmallVector<Value> arguments = g.begin(
        "decode", {{"input_ids", RankedTensorType::get({batch, 1}, i64)},
                   {"positions", RankedTensorType::get({batch}, i64)}});
    decoding = true;
    rowPositions = arguments[1];
    positions = g.reshape(rowPositions, {batch, 1});
    // A row's keys go to its own position: [b, t, k, d] from [position, 0, 0].
    cacheStart = g.concat({positions, g.constant(0, {batch, 2}, i64)}, 1);
    build(arguments[0]);
  }

private:
  void build(Value tokens) {
    frequencies = g.constant(config.rope.values);
    std::string table = family.wordEmbedding.str();
    Value x;
    {
      GraphBuilder::Scope scope(g, table);
      x = g.embedding(wordTable(), tokens);
    }
    for (int64_t layer = 0; layer < config.layers; ++layer)
      x = decoderLayer(x, layer);
    g.end({{"logits", logits(x)}});
  }

  //===--------------------------------------------------------------------===//
  // Parts
  //===--------------------------------------------------------------------===//

  /// The stored name of a family's tensor in a layer.
  static std::string stored(StringRef pattern, int64_t layer) {
    auto [before, after] = pattern.split("{}");
    return before.str() + std::to_string(layer) + after.str();
  }

  Value wordTable() {
    return g.parameter(family.wordEmbedding.str() + ".weight",
                       {config.vocabulary, config.hidden});
  }

  Value norm(Value x, const std::string &name) {
    GraphBuilder::Scope scope(g, name);
    return g.rmsNorm(x, g.parameter(name + ".weight", {config.hidden}),
                     config.epsilon);
  }

  /// x W, plus a bias if the model has one; W is [in..., out...].
  Value project(Value x, const std::string &name, ArrayRef<int64_t> in,
                ArrayRef<int64_t> out, bool bias, StringRef equation) {
    GraphBuilder::Scope scope(g, name);
    Value weight = g.weight(name + ".weight", in, out);
    return g.linear(x, weight, bias ? g.vector(name + ".bias", out) : Value(),
                    equation);
  }

  Value residual(Value x, Value change, const std::string &name) {
    GraphBuilder::Scope scope(g, name + ".residual");
    return g.add(x, change);
  }

  Value decoderLayer(Value x, int64_t layer) {
    std::string output = stored(family.attentionOutput, layer);
    Value h = norm(x, stored(family.attentionNorm, layer));
    Value mixed = attention(h, layer);
    x = residual(x,
                 project(mixed, output,
                         {config.kvHeads, config.group, config.headDim},
                         {config.hidden}, config.biases.attentionOutput,
                         "b s k g d, k g d e -> b s e"),
                 output);
    h = norm(x, stored(family.mlpNorm, layer));
    if (config.sparse[layer])
      return experts(x, h, layer);
    return residual(x, mlp(h, layer), stored(family.down, layer));
  }

  /// x plus what the chosen experts make of h [b, s, e].
  Value experts(Value x, Value h, int64_t layer) {
    const auto &experts = config.experts;
    const ExpertNames &names = *family.experts;
    std::string router = stored(names.router, layer);
    Value logits = project(h, router, {config.hidden}, {experts.count}, false,
                           "b s e, e x -> b s x");
    Value scores, choices;
    {
      GraphBuilder::Scope scope(g, router);
      Type f32 = g.raw().getF32Type();
      std::tie(scores, choices) =
          g.topK(g.softmax(g.convert(logits, f32)), experts.chosen);
      if (experts.normalized)
        scores = g.normalized(scores);
      scores = g.convert(scores, g.element());
    }
    auto weights = [&](StringRef pattern, int64_t in, int64_t out) {
      return g.stackedWeights(stored(pattern, layer) + ".weight", experts.count,
                              in, out);
    };
    std::string name = stored(names.down, layer);
    name.resize(name.find(".{}"));
    Value change;
    {
      GraphBuilder::Scope scope(g, name);
      change = g.experts(h, choices, scores,
                         weights(names.gate, config.hidden, experts.width),
                         weights(names.up, config.hidden, experts.width),
                         weights(names.down, experts.width, config.hidden));
    }
    return residual(x, change, name);
  }

  Value attention(Value x, int64_t layer) {
    int64_t k = config.kvHeads, group = config.group, d = config.headDim;
    bool bias = config.biases.queryKeyValue;
    Value query = project(x, stored(family.query, layer), {config.hidden},
                          {k, group, d}, bias, "b s e, e k g d -> b s k g d");
    Value key = project(x, stored(family.key, layer), {config.hidden}, {k, d},
                        bias, "b t e, e k d -> b t k d");
    Value value = project(x, stored(family.value, layer), {config.hidden},
                          {k, d}, bias, "b t e, e k d -> b t k d");
    std::string name = stored(family.attention, layer);
    query = headNorm(query, family.queryNorm, layer);
    key = headNorm(key, family.keyNorm, layer);
    GraphBuilder::Scope scope(g, name);
    query = rotated(query);
    key = rotated(key);
    Value allKeys = cached(name + ".key_cache", key);
    Value allValues = cached(name + ".value_cache", value);
    GraphBuilder::Visible visible;
    visible.causal = true;
    visible.window = config.windows[layer];
    // The kernel reads keys and values where they lie, in the caches.
    if (decoding) {
      key = allKeys;
      value = allValues;
      visible.offset = rowPositions;
    } else {
      key = g.slice(allKeys, {0, 0, 0, 0}, {batch, length, k, d});
      value = g.slice(allValues, {0, 0, 0, 0}, {batch, length, k, d});
    }
    return g.attention(query, key, value, 1 / std::sqrt(double(d)), visible);
  }

  /// Each head's query or key normalized, in the families that do so.
  Value headNorm(Value x, StringRef pattern, int64_t layer) {
    if (pattern.empty())
      return x;
    std::string name = stored(pattern, layer);
    GraphBuilder::Scope scope(g, name);
    return g.rmsNorm(x, g.parameter(name + ".weight", {config.headDim}),
                     config.epsilon);
  }

  Value rotated(Value x) {
    return g.rope(RopeForm::Halves, x, positions, frequencies,
                  config.rope.scale);
  }

  /// Puts new keys or values into a cache; the cache with them.
  Value cached(const std::string &name, Value fresh) {
    Value before =
        g.state(name, {batch, context, config.kvHeads, config.headDim});
    Value after = g.updateSlice(before, fresh, cacheStart);
    g.write(name, after);
    return after;
  }

  Value mlp(Value x, int64_t layer) {
    int64_t e = config.hidden, f = config.intermediate;
    bool bias = config.biases.mlp;
    std::string gateName = stored(family.gate, layer);
    Value gate = project(x, gateName, {e}, {f}, bias, "b s e, e f -> b s f");
    Value up = project(x, stored(family.up, layer), {e}, {f}, bias,
                       "b s e, e f -> b s f");
    {
      GraphBuilder::Scope scope(g, gateName);
      up = g.mul(g.silu(gate), up);
    }
    return project(up, stored(family.down, layer), {f}, {e}, bias,
                   "b s f, f e -> b s e");
  }

  Value logits(Value x) {
    bool all = !decoding && options.logits == LogitsOf::AllTokens;
    if (!all)
      x = lastTokens(x);
    x = norm(x, family.finalNorm.str());
    GraphBuilder::Scope scope(g, family.head);
    Value table = config.tied ? wordTable()
                              : g.parameter(family.head.str() + ".weight",
                                            {config.vocabulary, config.hidden});
    return g.matmul(x, table, all ? "b s e, v e -> b s v" : "b e, v e -> b v");
  }

  /// Each row's last token: [b, s, e] to [b, e].
  Value lastTokens(Value x) {
    GraphBuilder::Scope scope(g, "last_token");
    SmallVector<int64_t> shape{batch, length, config.hidden};
    if (!lengths)
      return g.reshape(
          g.slice(x, {0, length - 1, 0}, {batch, 1, config.hidden}),
          {batch, config.hidden});
    // The sum of one row and zeros.
    Value last = g.add(lengths, g.constant(-1, {batch}, i64));
    Value chosen = g.compare(Predicate::EQ, g.iota({batch, length}, 1, i64),
                             g.broadcast(last, {batch, length}, {0}));
    return g.reduceSum(g.select(g.broadcast(chosen, shape, {0, 1}), x,
                                g.constant(0, shape, g.element())),
                       1);
  }

  GraphBuilder &g;
  const DecoderFamily &family;
  const DecoderConfig &config;
  const ImportOptions &options;
  int64_t batch, context, length = 1;
  Type i64;
  bool decoding = false;
  /// Of every token [b, s]; of decode's token [b]; prefill's lengths [b].
  Value positions, rowPositions, lengths;
  Value frequencies, cacheStart;
};

} // namespace

LogicalResult tpc::buildDecoder(GraphBuilder &graph,
                                const DecoderFamily &family,
                                const DecoderConfig &config,
                                const ImportOptions &options) {
  if (options.context.value_or(options.length) < options.length)
    return emitError(graph.where())
           << "a context of " << *options.context
           << " tokens has no room for a prompt of " << options.length
           << "; pass a larger --context or a smaller --length";
  if (!options.entry.empty() && options.entry != "prefill" &&
      options.entry != "decode")
    return emitError(graph.where()) << "there is no entry \"" << options.entry
                                    << "\"; expected one of: prefill, decode";
  if (options.entry != "decode")
    DecoderBuilder(graph, family, config, options).prefill();
  if (options.entry != "prefill")
    DecoderBuilder(graph, family, config, options).decode();
  return failure(graph.failed());
}
