//===- Encoder.cpp - Graphs of encoder models -----------------------------===//
//
//   x = norm(word + position + type)              [b, s, e] of tokens, or
//   x = [class; patches W + b] + position         [b, 1 + patches, e] of images
//   x = layer(x) for each layer (LayerStack.h)
//   each output of the architecture: norm(act(x dense)) projection, as far as
//   it has them, of all tokens or the first
//
//===----------------------------------------------------------------------===//

#include "Encoder.h"
#include "Training.h"

using namespace mlir;
using namespace tpc;

//===----------------------------------------------------------------------===//
// Configuration
//===----------------------------------------------------------------------===//

static LogicalResult readTokens(const ModelConfig &config,
                                const TokenEmbedding &tokens,
                                EncoderConfig &result) {
  auto vocabulary = config.size("vocab_size");
  auto positions = config.size("max_position_embeddings");
  FailureOr<int64_t> types = 0, pad = 0, embedding = result.layers.hidden;
  if (!tokens.type.empty())
    types = config.size("type_vocab_size", 2);
  if (tokens.positions == Positions::CountTokensPastPad)
    pad = config.integer("pad_token_id", 1);
  if (!tokens.width.empty())
    embedding = config.size(tokens.width, 128);
  auto positionType = config.text("position_embedding_type", "absolute");
  auto decoder = config.flag("is_decoder", false);
  auto cross = config.flag("add_cross_attention", false);
  if (failed(vocabulary) || failed(positions) || failed(types) || failed(pad) ||
      failed(embedding) || failed(positionType) || failed(decoder) ||
      failed(cross))
    return failure();
  if (*positionType != "absolute")
    return config.error() << "key \"position_embedding_type\": expected "
                             "\"absolute\", found \""
                          << *positionType << "\", which is not supported";
  if (*decoder || *cross)
    return config.error() << "is_decoder and add_cross_attention are not "
                             "supported for encoders; expected false";
  if (*pad < 0 || *pad >= *vocabulary)
    return config.error() << "key \"pad_token_id\": expected a token below "
                             "vocab_size "
                          << *vocabulary << ", found " << *pad;
  result.vocabulary = *vocabulary;
  result.positions = *positions;
  result.types = *types;
  result.padToken = *pad;
  result.embedding = *embedding;
  return success();
}

static LogicalResult readPatches(const ModelConfig &config,
                                 EncoderConfig &result) {
  auto channels = config.size("num_channels", 3);
  auto image = config.sizes("image_size", 2, 224);
  auto patch = config.sizes("patch_size", 2, 16);
  if (failed(channels) || failed(image) || failed(patch))
    return failure();
  for (int i : {0, 1}) {
    result.image[i] = (*image)[i];
    result.patch[i] = (*patch)[i];
    if (result.patch[i] > result.image[i])
      return config.error()
             << "key \"patch_size\": expected at most the image_size "
             << result.image[i] << ", found " << result.patch[i];
  }
  result.channels = *channels;
  result.embedding = result.layers.hidden;
  return success();
}

static FailureOr<int64_t> readLabels(const ModelConfig &config) {
  auto labels = config.has("id2label") ? config.entries("id2label")
                                       : config.size("num_labels", 2);
  if (succeeded(labels) && *labels < 1)
    return config.error() << "key \"id2label\": expected at least one label, "
                             "found none";
  return labels;
}

/// The dense part of a head.
static FailureOr<EncoderConfig::HeadDense> readDense(const ModelConfig &config,
                                                     const Head &head,
                                                     const LayerSizes &layers) {
  EncoderConfig::HeadDense dense{layers.activation, layers.hidden};
  if (!head.activation.empty()) {
    FailureOr<std::string> name = head.activation.str();
    if (!head.activationKey.empty())
      name = config.text(head.activationKey, head.activation.str());
    if (failed(name))
      return failure();
    auto activation = parseActivation(config, head.activationKey, *name);
    if (failed(activation))
      return failure();
    dense.activation = *activation;
  }
  if (!head.denseWidth.empty()) {
    auto width = config.size(head.denseWidth, layers.hidden);
    if (failed(width))
      return failure();
    dense.width = *width;
  }
  return dense;
}

FailureOr<EncoderConfig>
tpc::readEncoderConfig(const ModelConfig &config,
                       const EncoderArchitecture &architecture) {
  const EncoderFamily &family = *architecture.family;
  EncoderConfig result;
  auto layers = readLayerSizes(config, family.keys, "gelu");
  auto tied = config.flag("tie_word_embeddings", true);
  FailureOr<bool> biased = true;
  if (!family.queryKeyValueBias.empty())
    biased = config.flag(family.queryKeyValueBias, true);
  if (failed(layers) || failed(tied) || failed(biased))
    return failure();
  layers->biases.query = layers->biases.key = layers->biases.value = *biased;
  result.layers = *layers;
  result.tied = *tied;
  if (failed(family.tokens ? readTokens(config, *family.tokens, result)
                           : readPatches(config, result)))
    return failure();
  for (const Head &head : architecture.heads) {
    auto dense = readDense(config, head, result.layers);
    if (failed(dense))
      return failure();
    result.heads.push_back(*dense);
    if (head.rows != HeadRows::Labels)
      continue;
    auto labels = readLabels(config);
    if (failed(labels))
      return failure();
    result.labels = *labels;
  }
  return result;
}

//===----------------------------------------------------------------------===//
// Graph
//===----------------------------------------------------------------------===//

namespace {

class EncoderBuilder {
public:
  EncoderBuilder(GraphBuilder &graph, const EncoderArchitecture &architecture,
                 const EncoderConfig &config, const ImportOptions &options)
      : g(graph), architecture(architecture), family(*architecture.family),
        config(config), options(options), batch(options.batch),
        length(options.length), training(options.entry == kStepEntry),
        entry(training ? StringRef(kStepEntry) : "main"),
        i64(graph.raw().getI64Type()),
        stack(graph, family.layers, config.layers, architecture.prefix) {}

  LogicalResult run() {
    if (family.tokens && failed(checkLength()))
      return failure();
    if (training && failed(checkHasLoss()))
      return failure();
    beginEntry();
    Value x = family.tokens ? tokenEmbeddings() : patchEmbeddings();
    GraphBuilder::Visible visible;
    if (mask)
      visible.bias = maskBias(g, mask);
    for (int64_t layer = 0; layer < config.layers.layers; ++layer)
      x = stack.encoderLayer(x, visible, layer);
    if (!family.finalNorm.empty())
      x = stack.norm(x, family.finalNorm);
    SmallVector<std::pair<std::string, Value>> outputs;
    for (auto [head, dense] : llvm::zip_equal(architecture.heads, config.heads))
      outputs.push_back({head.output.str(), output(x, head, dense)});
    if (training)
      outputs = {{"loss", loss(outputs)}};
    g.end(outputs);
    return failure(g.failed());
  }

private:
  //===--------------------------------------------------------------------===//
  // Inputs
  //===--------------------------------------------------------------------===//

  /// Losses are those of choosing one of several.
  LogicalResult checkHasLoss() {
    for (const Head &head : architecture.heads) {
      if (head.rows == HeadRows::None || head.rows == HeadRows::One)
        return emitError(g.where())
               << architecture.name
               << ": the entry \"step\" needs a model whose outputs are logits "
                  "of labels, words or positions; found the output \""
               << head.output << "\"";
      if (head.rows == HeadRows::Labels && config.labels == 1)
        return emitError(g.where())
               << architecture.name
               << ": the entry \"step\" needs at least two labels to choose "
                  "from, found one, which is a regression";
    }
    return success();
  }

  LogicalResult checkLength() {
    int64_t reserved = family.tokens->positions == Positions::CountTokensPastPad
                           ? config.padToken + 1
                           : 0;
    if (length <= config.positions - reserved)
      return success();
    return emitError(g.where())
           << "length " << length << " is above the model's "
           << config.positions - reserved
           << " positions; pass a smaller --length or shorter inputs";
  }

  void beginEntry() {
    SmallVector<GraphBuilder::Input> inputs;
    auto tokenType = RankedTensorType::get({batch, length}, i64);
    if (!family.tokens) {
      pixels = g.begin(
          entry, {{"pixel_values",
                   RankedTensorType::get({batch, config.channels,
                                          config.image[0], config.image[1]},
                                         g.raw().getF32Type())}})[0];
      return;
    }
    SmallVector<StringRef> names{"input_ids", "attention_mask"};
    if (!family.tokens->type.empty())
      names.push_back("token_type_ids");
    for (StringRef name : names)
      if (!options.without.contains(name))
        inputs.push_back({name.str(), tokenType});
    SmallVector<Value> values = g.begin(entry, inputs);
    for (auto [input, value] : llvm::zip_equal(inputs, values)) {
      if (input.name == "input_ids")
        tokens = value;
      else if (input.name == "attention_mask")
        mask = value;
      else
        types = value;
    }
  }

  //===--------------------------------------------------------------------===//
  // Embeddings
  //===--------------------------------------------------------------------===//

  /// The stored name of a tensor of the family.
  std::string stored(StringRef name) {
    return (architecture.prefix + name).str();
  }

  Value tokenEmbeddings() {
    const TokenEmbedding &names = *family.tokens;
    SmallVector<int64_t> shape{batch, length, config.embedding};
    GraphBuilder::Scope outer(g, stored("embeddings"));
    Value x = embedded(names.word, config.vocabulary, tokens);
    x = g.add(x, positionEmbeddings(shape));
    if (types)
      x = g.add(x, embedded(names.type, config.types, types));
    else if (!names.type.empty())
      x = g.add(x, g.broadcast(g.firstRows(stored(names.type) + ".weight",
                                           config.types, {1, config.embedding}),
                               shape, {0, 2}));
    x = storedNorm(g, x, stored(names.norm), StackNorm::Layer,
                   config.layers.epsilon);
    if (config.embedding == config.layers.hidden)
      return x;
    return linear(x, stored(names.projection), config.layers.hidden);
  }

  Value embedded(StringRef name, int64_t rows, Value indices) {
    std::string full = stored(name);
    GraphBuilder::Scope scope(g, full);
    return g.embedding(g.parameter(full + ".weight", {rows, config.embedding}),
                       indices);
  }

  Value positionEmbeddings(ArrayRef<int64_t> shape) {
    std::string name = stored(family.tokens->position);
    GraphBuilder::Scope scope(g, name);
    if (family.tokens->positions == Positions::FromZero)
      return g.broadcast(g.firstRows(name + ".weight", config.positions,
                                     {length, config.embedding}),
                         shape, {1, 2});
    return g.embedding(
        g.parameter(name + ".weight", {config.positions, config.embedding}),
        countedPositions());
  }

  /// pad + (number of tokens up to here that are not pad), pad for padding:
  /// the running count is a product with a triangle of ones.
  Value countedPositions() {
    Type f32 = g.raw().getF32Type();
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

  /// A convolution whose patches do not overlap is a product with each patch.
  Value patchEmbeddings() {
    const PatchEmbedding &names = *family.patches;
    int64_t e = config.layers.hidden, c = config.channels;
    int64_t p = config.patch[0], q = config.patch[1];
    int64_t rows = config.image[0] / p, columns = config.image[1] / q;
    GraphBuilder::Scope outer(g, stored("embeddings"));
    Value patches;
    {
      std::string name = stored(names.projection);
      GraphBuilder::Scope scope(g, name);
      Value cut = g.slice(g.convert(pixels, g.element()), {0, 0, 0, 0},
                          {batch, c, rows * p, columns * q});
      patches = g.linear(
          g.reshape(cut, {batch, c, rows, p, columns, q}),
          g.permuted(name + ".weight", {e, c, p, q}, {1, 2, 3, 0}),
          g.parameter(name + ".bias", {e}), "b c r p l q, c p q e -> b r l e");
    }
    int64_t count = rows * columns;
    Value whole = g.broadcast(
        g.reshape(g.parameter(stored(names.classToken), {1, 1, e}), {1, e}),
        {batch, 1, e}, {1, 2});
    Value x = g.concat({whole, g.reshape(patches, {batch, count, e})}, 1);
    Value positions = g.reshape(
        g.parameter(stored(names.position), {1, count + 1, e}), {count + 1, e});
    return g.add(x, g.broadcast(positions, {batch, count + 1, e}, {1, 2}));
  }

  //===--------------------------------------------------------------------===//
  // Heads
  //===--------------------------------------------------------------------===//

  /// x W + b of the last dimension.
  Value linear(Value x, const std::string &name, int64_t width) {
    GraphBuilder::Scope scope(g, name);
    int64_t in = GraphBuilder::shapeOf(x).back();
    bool ofTokens = GraphBuilder::shapeOf(x).size() == 3;
    return g.linear(x, g.weight(name + ".weight", {in}, {width}),
                    g.vector(name + ".bias", {width}),
                    ofTokens ? "b s e, e f -> b s f" : "b e, e f -> b f");
  }

  /// The mean of the heads' losses, with an input of labels for each.
  Value loss(ArrayRef<std::pair<std::string, Value>> outputs) {
    Value sum;
    for (auto [head, output] : llvm::zip_equal(architecture.heads, outputs)) {
      StringRef name = head.rows == HeadRows::FirstOfTwo    ? "start_positions"
                       : head.rows == HeadRows::SecondOfTwo ? "end_positions"
                                                            : "labels";
      Value logits = output.second;
      Value labels = g.addInput(
          {name.str(), RankedTensorType::get(
                           GraphBuilder::shapeOf(logits).drop_back(), i64)});
      Value loss = meanCrossEntropy(g, logits, labels);
      sum = sum ? g.add(sum, loss) : loss;
    }
    return outputs.size() == 1 ? sum : g.scaled(sum, 1.0 / outputs.size());
  }

  Value output(Value x, const Head &head,
               const EncoderConfig::HeadDense &dense) {
    if (head.first) {
      GraphBuilder::Scope scope(g, "first_token");
      x = g.reshape(g.slice(x, {0, 0, 0}, {batch, 1, config.layers.hidden}),
                    {batch, config.layers.hidden});
    }
    if (!head.dense.empty()) {
      std::string name = head.dense.str();
      x = linear(x, name, dense.width);
      GraphBuilder::Scope scope(g, name);
      x = applyActivation(g, dense.activation, x);
    }
    if (!head.norm.empty())
      x = storedNorm(g, x, head.norm.str(), StackNorm::Layer,
                     config.layers.epsilon);
    std::string name = head.projection.str();
    switch (head.rows) {
    case HeadRows::None:
      return x;
    case HeadRows::Words:
      return words(x, head);
    case HeadRows::Labels:
      return linear(x, name, config.labels);
    case HeadRows::Two:
      return linear(x, name, 2);
    case HeadRows::FirstOfTwo:
      return columnOf(linear(x, name, 2), 0);
    case HeadRows::SecondOfTwo:
      return columnOf(linear(x, name, 2), 1);
    case HeadRows::One:
      return columnOf(linear(x, name, 1), 0);
    }
    llvm_unreachable("all rows are handled");
  }

  /// [b, s, n] to [b, s].
  Value columnOf(Value x, int64_t column) {
    return g.reshape(g.slice(x, {0, 0, column}, {batch, length, 1}),
                     {batch, length});
  }

  /// x [b, s, e] times the word embeddings, plus a bias.
  Value words(Value x, const Head &head) {
    std::string own = head.projection.str();
    GraphBuilder::Scope scope(g, own);
    std::string bias = own + ".bias";
    if (!head.sharedBias.empty())
      bias = g.tied(bias, head.sharedBias, config.tied);
    std::string table = g.tied(
        own + ".weight", stored(family.tokens->word) + ".weight", config.tied);
    return g.linear(
        x, g.parameter(table, {config.vocabulary, config.embedding}),
        g.parameter(bias, {config.vocabulary}), "b s e, v e -> b s v");
  }

  GraphBuilder &g;
  const EncoderArchitecture &architecture;
  const EncoderFamily &family;
  const EncoderConfig &config;
  const ImportOptions &options;
  int64_t batch, length;
  bool training;
  StringRef entry;
  Type i64;
  LayerStack stack;
  Value tokens, mask, types, pixels;
};

} // namespace

LogicalResult tpc::buildEncoder(GraphBuilder &graph,
                                const EncoderArchitecture &architecture,
                                const EncoderConfig &config,
                                const ImportOptions &options) {
  return EncoderBuilder(graph, architecture, config, options).run();
}
