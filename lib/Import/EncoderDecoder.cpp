//===- EncoderDecoder.cpp - Graphs of encoder-decoder models --------------===//
//
//   y = words of input_ids, or convolutions of input_features    [b, s, e]
//   y = layer(y) for each of the encoder's layers, norm(y)
//   x = words of decoder_input_ids                               [b, t, e]
//   in each of the decoder's layers, with the norms of its family:
//     x = x + attention(x, x), of what came before
//     x = x + attention(x, y)
//     x = x + mlp(x)
//   logits = norm(x) times the table of words                    [b, t, v]
//
// `main` does all of it. `prefill` also keeps, as states, keys and values of
// the decoder's tokens (the cache) and those of y, and gives the last token's
// logits only; `decode` goes on from there with one token for each row. Where
// the encoder's input has a mask, prefill keeps that as well.
//
//===----------------------------------------------------------------------===//

#include "EncoderDecoder.h"
#include "Training.h"
#include <cmath>

using namespace mlir;
using namespace tpc;

//===----------------------------------------------------------------------===//
// Configuration
//===----------------------------------------------------------------------===//

/// The activation of an MLP, and whether it is gated, by the name of its form;
/// newer files also name these.
static FailureOr<std::pair<std::string, bool>>
readMlp(const ModelConfig &config, StringRef key) {
  auto text = config.text(key, "relu");
  if (failed(text))
    return failure();
  StringRef name = *text;
  bool gated = name.consume_front("gated-");
  auto isGated = config.flag("is_gated_act", gated);
  if (failed(isGated))
    return failure();
  // What the first gated models were trained with.
  if (*text == "gated-gelu")
    name = "gelu_new";
  return std::pair(name.str(), *isGated);
}

static FailureOr<EncoderDecoderConfig::Stack>
readStack(const ModelConfig &config, const EncoderDecoderFamily &family,
          const StackFamily &stack, bool isEncoder) {
  EncoderDecoderConfig::Stack result;
  std::string activation = "gelu";
  bool gated = false;
  LayerKeys keys = stack.keys;
  if (!family.mlpKey.empty()) {
    auto mlp = readMlp(config, family.mlpKey);
    if (failed(mlp))
      return failure();
    std::tie(activation, gated) = *mlp;
  }
  if (!stack.otherLayers.empty() && !config.has(keys.layers))
    keys.layers = stack.otherLayers;
  auto layers = readLayerSizes(config, keys, activation);
  if (failed(layers))
    return failure();
  result.layers = *layers;
  result.layers.gated = gated;
  bool biased = family.biased;
  result.layers.biases = {biased, false, biased, biased, biased};
  if (!family.scaledScores)
    result.layers.scale = 1;
  if (!stack.positions.empty()) {
    auto positions = config.size(stack.positionCount);
    if (failed(positions))
      return failure();
    result.positions = *positions;
  }
  if (!stack.relativeBias.empty()) {
    auto buckets = readBuckets(config, /*bothWays=*/isEncoder);
    if (failed(buckets))
      return failure();
    result.buckets = *buckets;
  }
  return result;
}

FailureOr<EncoderDecoderConfig>
tpc::readEncoderDecoderConfig(const ModelConfig &config,
                              const EncoderDecoderFamily &family) {
  auto encoder = readStack(config, family, family.encoder, true);
  auto decoder = readStack(config, family, family.decoder, false);
  auto vocabulary = config.size("vocab_size");
  auto tied = config.flag("tie_word_embeddings", true);
  FailureOr<int64_t> channels = 0;
  if (family.sound)
    channels = config.size("num_mel_bins", 80);
  FailureOr<bool> scaled = false;
  if (!family.outputScaleKey.empty() && succeeded(tied))
    scaled = config.flag(family.outputScaleKey, *tied);
  if (failed(encoder) || failed(decoder) || failed(vocabulary) ||
      failed(tied) || failed(channels) || failed(scaled))
    return failure();
  EncoderDecoderConfig result;
  result.encoder = *encoder;
  result.decoder = *decoder;
  result.vocabulary = *vocabulary;
  result.channels = *channels;
  result.tied = *tied;
  if (*scaled)
    result.outputScale = 1 / std::sqrt(double(decoder->layers.hidden));
  return result;
}

//===----------------------------------------------------------------------===//
// Graph
//===----------------------------------------------------------------------===//

namespace {

/// Builds one entry.
class EncoderDecoderBuilder {
public:
  EncoderDecoderBuilder(GraphBuilder &graph,
                        const EncoderDecoderArchitecture &architecture,
                        const EncoderDecoderConfig &config, int64_t context,
                        const ImportOptions &options)
      : g(graph), architecture(architecture), family(*architecture.family),
        config(config), options(options), batch(options.batch),
        encoderLength(family.sound ? config.encoder.positions : options.length),
        context(context), hidden(config.decoder.layers.hidden),
        i64(graph.raw().getI64Type()), f32(graph.raw().getF32Type()),
        encoder(graph, family.encoder.layers, config.encoder.layers,
                architecture.prefix),
        decoder(graph, family.decoder.layers, config.decoder.layers,
                architecture.prefix) {}

  void main() {
    bool encoderOnly =
        architecture.output == EncoderDecoderOutput::EncoderStates;
    length = options.decoderLength;
    beginWithEncoder("main", !encoderOnly);
    Value states = encode();
    if (encoderOnly) {
      g.end({{"last_hidden_state", states}});
      return;
    }
    positions = g.iota({length}, 0, i64);
    Value x = decode(states);
    if (architecture.output == EncoderDecoderOutput::States)
      g.end({{"last_hidden_state", x}, {"encoder_last_hidden_state", states}});
    else
      g.end({{"logits", logits(x, "b s e, v e -> b s v")}});
  }

  void step() {
    length = options.decoderLength;
    beginWithEncoder(kStepEntry, true);
    Value labels = g.addInput({"labels", tokenType(length)});
    positions = g.iota({length}, 0, i64);
    Value all = logits(decode(encode()), "b s e, v e -> b s v");
    g.end({{"loss", meanCrossEntropy(g, all, labels)}});
  }

  void prefill() {
    caching = true;
    length = options.decoderLength;
    beginWithEncoder("prefill", true);
    positions = g.iota({length}, 0, i64);
    cacheStart = g.constant(0, {4}, i64);
    Value x = decode(encode());
    endWithLastToken(x);
  }

  void decodeOne() {
    caching = decoding = true;
    length = 1;
    SmallVector<Value> arguments =
        g.begin("decode", {{"input_ids", tokenType(1)},
                           {"positions", RankedTensorType::get({batch}, i64)}});
    decoderTokens = arguments[0];
    positions = arguments[1];
    // A row's keys go to its own position: [b, t, h, d] from [position, 0, 0].
    cacheStart = g.concat(
        {g.reshape(positions, {batch, 1}), g.constant(0, {batch, 2}, i64)}, 1);
    if (hasMask())
      encoderBias = g.state("encoder.attention_mask", maskShape());
    endWithLastToken(decode({}));
  }

private:
  //===--------------------------------------------------------------------===//
  // Inputs and outputs
  //===--------------------------------------------------------------------===//

  RankedTensorType tokenType(int64_t length) {
    return RankedTensorType::get({batch, length}, i64);
  }

  /// Whether the encoder's input has a mask; sound has none.
  bool hasMask() const {
    return !family.sound && !options.without.contains("attention_mask");
  }
  SmallVector<int64_t> maskShape() const {
    return {batch, 1, 1, 1, encoderLength};
  }

  void beginWithEncoder(StringRef entry, bool withDecoder) {
    SmallVector<GraphBuilder::Input> inputs;
    SmallVector<Value *> values;
    auto add = [&](StringRef name, RankedTensorType type, Value &value) {
      inputs.push_back({name.str(), type});
      values.push_back(&value);
    };
    // The second convolution moves by two moments.
    if (family.sound)
      add("input_features",
          RankedTensorType::get({batch, config.channels, 2 * encoderLength},
                                f32),
          encoderInput);
    else
      add("input_ids", tokenType(encoderLength), encoderInput);
    if (hasMask())
      add("attention_mask", tokenType(encoderLength), encoderMask);
    if (withDecoder)
      add("decoder_input_ids", tokenType(length), decoderTokens);
    if (withDecoder && entry != "prefill" &&
        !options.without.contains("decoder_attention_mask"))
      add("decoder_attention_mask", tokenType(length), decoderMask);
    for (auto [to, argument] : llvm::zip_equal(values, g.begin(entry, inputs)))
      *to = argument;
  }

  Value logits(Value x, StringRef equation) {
    std::string own = family.head.str() + ".weight";
    GraphBuilder::Scope scope(g, family.head);
    if (config.outputScale != 1)
      x = g.scaled(x, config.outputScale);
    Value table = g.parameter(g.tied(own, wordsName(family.decoder), isTied()),
                              {config.vocabulary, hidden});
    return g.matmul(x, table, equation);
  }

  void endWithLastToken(Value x) {
    {
      GraphBuilder::Scope scope(g, "last_token");
      x = g.reshape(g.slice(x, {0, length - 1, 0}, {batch, 1, hidden}),
                    {batch, hidden});
    }
    g.end({{"logits", logits(x, "b e, v e -> b v")}});
  }

  //===--------------------------------------------------------------------===//
  // Embeddings
  //===--------------------------------------------------------------------===//

  std::string stored(StringRef name) {
    return (architecture.prefix + name).str();
  }

  /// Without files, the configuration is all that says it.
  bool isTied() {
    return config.tied ||
           (family.alwaysTied && g.isStored(wordsName(family.decoder)));
  }

  /// Where the table of words of a stack is stored.
  std::string wordsName(const StackFamily &stack) {
    std::string own = stored(stack.words) + ".weight";
    if (family.sharedWords.empty())
      return own;
    return g.tied(own, stored(family.sharedWords) + ".weight", true);
  }

  Value embedded(const StackFamily &stack, Value tokens) {
    std::string name = wordsName(stack);
    GraphBuilder::Scope scope(g, stored(stack.words));
    return g.embedding(g.parameter(name, {config.vocabulary, hidden}), tokens);
  }

  /// The positions of a table of learned ones: [b, n, e].
  Value learnedPositions(const StackFamily &stack, int64_t count, int64_t n) {
    std::string name = stored(stack.positions);
    GraphBuilder::Scope scope(g, name);
    Value table = g.parameter(name + ".weight", {count, hidden});
    if (decoding)
      return g.embedding(table, g.reshape(positions, {batch, 1}));
    Value first = n == count ? table : g.slice(table, {0, 0}, {n, hidden});
    return g.broadcast(first, {batch, n, hidden}, {1, 2});
  }

  /// A convolution over time of [b, n, c], with a zero before and after: three
  /// moments next to each other, times the kernel.
  Value convolution(Value x, StringRef name, int64_t stride) {
    std::string full = stored(name);
    GraphBuilder::Scope scope(g, full);
    auto shape = GraphBuilder::shapeOf(x);
    int64_t n = shape[1], c = shape[2], count = n / stride;
    Value padded = g.pad(x, {0, 1, 0}, {batch, n + 2, c});
    SmallVector<Value> moments;
    for (int64_t offset : {0, 1, 2}) {
      Value moved = g.slice(padded, {0, offset, 0}, {batch, n, c});
      // Every moment, or the first of two.
      moments.push_back(g.slice(g.reshape(moved, {batch, count, stride, c}),
                                {0, 0, 0, 0}, {batch, count, 1, c}));
    }
    Value out = g.linear(
        g.concat(moments, 2),
        g.permuted(full + ".weight", {hidden, c, 3}, {2, 1, 0}),
        g.parameter(full + ".bias", {hidden}), "b s w c, w c e -> b s e");
    return g.gelu(out, GeluForm::Erf);
  }

  Value encoderEmbeddings() {
    if (!family.sound)
      return embedded(family.encoder, encoderInput);
    Value x = g.transpose(g.convert(encoderInput, g.element()), {0, 2, 1});
    x = convolution(x, family.sound->first, 1);
    return convolution(x, family.sound->second, 2);
  }

  /// The biases by distance of all layers: [1, h, 1, n, keys], or in decode
  /// [b, h, 1, 1, keys]; null where there are none.
  Value distanceBias(const StackFamily &stack,
                     const EncoderDecoderConfig::Stack &sizes, Value queries,
                     int64_t keys) {
    if (stack.relativeBias.empty())
      return {};
    std::string name = stored(stack.relativeBias);
    GraphBuilder::Scope scope(g, name);
    int64_t heads = sizes.layers.heads, n = GraphBuilder::shapeOf(queries)[0];
    Value table = g.parameter(name + ".weight", {sizes.buckets.count, heads});
    Value bias = relativeBias(g, sizes.buckets, table, queries, keys);
    if (decoding)
      return g.reshape(g.transpose(bias, {0, 2, 1}),
                       {batch, heads, 1, 1, keys});
    return g.reshape(g.transpose(bias, {2, 0, 1}), {1, heads, 1, n, keys});
  }

  /// The sum of two biases of attention, either of which may be null.
  Value sumOf(Value x, Value y) {
    if (!x || !y)
      return x ? x : y;
    SmallVector<int64_t> shape;
    for (auto [a, b] :
         llvm::zip_equal(GraphBuilder::shapeOf(x), GraphBuilder::shapeOf(y)))
      shape.push_back(std::max(a, b));
    auto widened = [&](Value value) {
      SmallVector<int64_t> kept, dims;
      for (auto [dim, size] : llvm::enumerate(GraphBuilder::shapeOf(value)))
        if (size == shape[dim]) {
          kept.push_back(size);
          dims.push_back(dim);
        }
      return g.broadcast(g.reshape(value, kept), shape, dims);
    };
    return g.add(widened(x), widened(y));
  }

  //===--------------------------------------------------------------------===//
  // Layers
  //===--------------------------------------------------------------------===//

  /// The encoder's output [b, s, e]. Keeps the bias of its mask.
  Value encode() {
    Value x = encoderEmbeddings();
    if (!family.encoder.positions.empty())
      x = g.add(x, learnedPositions(family.encoder, config.encoder.positions,
                                    encoderLength));
    if (encoderMask)
      encoderBias = maskBias(g, encoderMask);
    if (encoderMask && caching)
      g.write("encoder.attention_mask", g.convert(encoderBias, g.element()));
    GraphBuilder::Visible visible;
    visible.bias =
        sumOf(distanceBias(family.encoder, config.encoder,
                           g.iota({encoderLength}, 0, i64), encoderLength),
              encoderBias);
    for (int64_t layer = 0; layer < config.encoder.layers.layers; ++layer)
      x = encoder.encoderLayer(x, visible, layer);
    return encoder.norm(x, family.encoder.finalNorm);
  }

  /// The decoder's output [b, n, e]; `states` is the encoder's, null in decode.
  Value decode(Value states) {
    const LayerForm &form = family.decoder.layers;
    Value x = embedded(family.decoder, decoderTokens);
    if (!family.decoder.positions.empty())
      x = g.add(x, learnedPositions(family.decoder, config.decoder.positions,
                                    length));
    GraphBuilder::Visible before, all;
    before.causal = true;
    before.bias = distanceBias(family.decoder, config.decoder, positions,
                               decoding ? context : length);
    if (decoderMask)
      before.bias = sumOf(before.bias, maskBias(g, decoderMask));
    if (decoding)
      before.offset = positions;
    all.bias = encoderBias;
    for (int64_t layer = 0; layer < config.decoder.layers.layers; ++layer) {
      x = decoder.withNorm(
          x, form.self.norm, form.self.output, layer, [&](Value h) {
            auto own = decoder.keysValues(h, form.self, layer);
            if (caching)
              own = cached(own, form.self, layer);
            return decoder.attention(h, own, before, form.self, layer);
          });
      x = decoder.withNorm(
          x, form.cross.norm, form.cross.output, layer, [&](Value h) {
            auto seen = ofEncoder(states, form.cross, layer);
            return decoder.attention(h, seen, all, form.cross, layer);
          });
      x = decoder.withMlp(x, layer);
    }
    return decoder.norm(x, family.decoder.finalNorm);
  }

  //===--------------------------------------------------------------------===//
  // States
  //===--------------------------------------------------------------------===//

  /// "decoder.layers.0.self_attn.key_cache"
  std::string stateName(const AttentionNames &names, int64_t layer,
                        StringRef what) {
    std::string query = stored(layerName(names.query, layer));
    return (StringRef(query).rsplit('.').first + "." + what).str();
  }

  /// Puts new keys and values into the cache; what is seen of it.
  LayerStack::KeysValues cached(const LayerStack::KeysValues &fresh,
                                const AttentionNames &names, int64_t layer) {
    auto put = [&](Value value, StringRef what) {
      std::string name = stateName(names, layer, what);
      GraphBuilder::Scope scope(g, name);
      SmallVector<int64_t> shape(GraphBuilder::shapeOf(value));
      SmallVector<int64_t> given = shape;
      shape[1] = context;
      Value after = g.updateSlice(g.state(name, shape), value, cacheStart);
      g.write(name, after);
      return decoding ? after : g.slice(after, {0, 0, 0, 0}, given);
    };
    return {put(fresh.keys, "key_cache"), put(fresh.values, "value_cache")};
  }

  /// Keys and values of the encoder's output, which decode has as states.
  LayerStack::KeysValues ofEncoder(Value states, const AttentionNames &names,
                                   int64_t layer) {
    std::string keys = stateName(names, layer, "keys");
    std::string values = stateName(names, layer, "values");
    if (decoding) {
      const LayerSizes &sizes = config.decoder.layers;
      SmallVector<int64_t> shape{batch, encoderLength, sizes.heads,
                                 sizes.headDim};
      return {g.state(keys, shape), g.state(values, shape)};
    }
    auto seen = decoder.keysValues(states, names, layer);
    if (caching) {
      g.write(keys, seen.keys);
      g.write(values, seen.values);
    }
    return seen;
  }

  GraphBuilder &g;
  const EncoderDecoderArchitecture &architecture;
  const EncoderDecoderFamily &family;
  const EncoderDecoderConfig &config;
  const ImportOptions &options;
  int64_t batch, encoderLength, context, hidden, length = 1;
  Type i64, f32;
  LayerStack encoder, decoder;
  /// Whether there are states, and whether they are gone on from.
  bool caching = false, decoding = false;
  Value encoderInput, encoderMask, encoderBias, decoderTokens, decoderMask;
  /// Of the decoder's tokens [n]; in decode of each row [b].
  Value positions;
  Value cacheStart;
};

} // namespace

/// The decoder's learned positions are enough for what it will see.
static LogicalResult checkPositions(GraphBuilder &graph,
                                    const EncoderDecoderConfig &config,
                                    int64_t tokens) {
  int64_t count = config.decoder.positions;
  if (count == 0 || tokens <= count)
    return success();
  return emitError(graph.where())
         << "a context of " << tokens << " tokens is above the model's "
         << count << " positions; pass a smaller --context or shorter inputs";
}

LogicalResult
tpc::buildEncoderDecoder(GraphBuilder &graph,
                         const EncoderDecoderArchitecture &architecture,
                         const EncoderDecoderConfig &config, int64_t context,
                         const ImportOptions &options) {
  bool generates = architecture.output == EncoderDecoderOutput::Logits;
  SmallVector<StringRef> entries{"main"};
  if (generates)
    entries.append({"prefill", "decode", kStepEntry});
  if (!options.entry.empty() && !llvm::is_contained(entries, options.entry)) {
    auto error = emitError(graph.where())
                 << "there is no entry \"" << options.entry
                 << "\"; expected one of: ";
    llvm::interleaveComma(entries, error);
    return error;
  }
  if (options.generated > 0 && !generates)
    return emitError(graph.where())
           << architecture.name << " has no head that chooses tokens";
  if (failed(checkPositions(graph, config, context)))
    return failure();
  auto wanted = [&](StringRef entry) {
    if (!options.entry.empty())
      return options.entry == entry;
    return (options.generated == 0) == (entry == "main");
  };
  auto builder = [&]() {
    return EncoderDecoderBuilder(graph, architecture, config, context, options);
  };
  if (wanted("main"))
    builder().main();
  if (wanted("prefill"))
    builder().prefill();
  if (wanted("decode"))
    builder().decodeOne();
  if (options.entry == kStepEntry)
    builder().step();
  return failure(graph.failed());
}
