//===- DecoderConfig.cpp - The numbers of a decoder -----------------------===//

#include "DecoderConfig.h"
#include "mlir/IR/Diagnostics.h"
#include <cmath>

using namespace mlir;
using namespace tpc;

/// The key of "a|b|c" that is there; the first, if none is. All are asked for.
static StringRef present(const ModelConfig &config, StringRef keys) {
  SmallVector<StringRef> alternatives;
  keys.split(alternatives, '|');
  StringRef found = alternatives.front();
  for (StringRef key : llvm::reverse(alternatives))
    if (config.has(key))
      found = key;
  return found;
}

/// The value of a flag; false after an error, which `ok` then is too.
static bool read(const ModelConfig &config, const Flag &flag, bool &ok) {
  if (flag.key.empty())
    return flag.otherwise;
  auto value = config.flag(flag.key, flag.otherwise);
  ok &= succeeded(value);
  return succeeded(value) && *value;
}

/// More heads, or elements of one, than any model has; tables are made of them.
constexpr int64_t kManyHeads = 1 << 16;

/// Heads and their size.
static LogicalResult readHeads(const ModelConfig &config,
                               const DecoderFamily &family,
                               DecoderConfig &result) {
  const auto &keys = family.keys;
  auto heads =
      config.size(present(config, keys.heads), std::nullopt, kManyHeads);
  if (failed(heads))
    return failure();
  result.heads = result.kvHeads = *heads;
  if (!keys.kvHeads.empty()) {
    int64_t otherwise = config.isNull(keys.kvHeads) ? 0 : family.kvHeads;
    auto kvHeads = config.size(keys.kvHeads, otherwise ? otherwise : *heads);
    if (failed(kvHeads))
      return failure();
    result.kvHeads = *kvHeads;
  }
  if (*heads % result.kvHeads != 0)
    return config.error() << "key \"" << keys.kvHeads
                          << "\": " << result.kvHeads << " does not divide "
                          << keys.heads << " " << *heads;
  result.group = *heads / result.kvHeads;

  int64_t otherwise = family.headDim;
  if (keys.headDim.empty() || config.isNull(keys.headDim))
    otherwise = 0;
  if (otherwise == 0 && (keys.headDim.empty() || !config.has(keys.headDim)) &&
      result.hidden % *heads != 0)
    return config.error() << "key \"" << keys.heads << "\": " << *heads
                          << " does not divide " << keys.hidden << " "
                          << result.hidden << ", and there is no head_dim";
  if (otherwise == 0)
    otherwise = std::max<int64_t>(result.hidden / *heads, 1);
  result.headDim = otherwise;
  if (!keys.headDim.empty()) {
    auto headDim = config.size(keys.headDim, otherwise, kManyHeads);
    if (failed(headDim))
      return failure();
    result.headDim = *headDim;
  }
  if (result.headDim > kManyHeads)
    return config.error() << "expected heads of at most " << kManyHeads
                          << " elements, found " << result.headDim;
  return success();
}

/// Layers with a window, without `layer_types` to list them.
static FailureOr<std::vector<bool>> layersWithWindows(const ModelConfig &config,
                                                      WindowStyle::Layers style,
                                                      int64_t layers) {
  std::vector<bool> result(layers, true);
  if (style == WindowStyle::All || style == WindowStyle::AllOrListed)
    return result;
  bool hasMaximum = style == WindowStyle::FromMaxLayer ||
                    style == WindowStyle::EveryOtherBelow;
  auto maximum = hasMaximum ? config.integer("max_window_layers", 28) : 0;
  auto period = style == WindowStyle::AllButEachNth
                    ? config.size("sliding_window_pattern", 6)
                    : 2;
  if (failed(maximum) || failed(period))
    return failure();
  for (int64_t layer = 0; layer < layers; ++layer)
    switch (style) {
    case WindowStyle::FromMaxLayer:
      result[layer] = layer >= *maximum;
      break;
    case WindowStyle::EveryOtherBelow:
      result[layer] = layer % 2 == 0 && layer < *maximum;
      break;
    default:
      result[layer] = (layer + 1) % *period != 0;
    }
  return result;
}

/// The window of each layer.
static LogicalResult readWindows(const ModelConfig &config,
                                 const WindowStyle &style,
                                 DecoderConfig &result) {
  result.windows.assign(result.layers, 0);
  if (style.layers == WindowStyle::None)
    return success();
  auto used = style.switched ? config.flag("use_sliding_window", false) : true;
  auto layers = layersWithWindows(config, style.layers, result.layers);
  auto types = style.layers == WindowStyle::All ? std::vector<std::string>()
                                                : config.texts("layer_types");
  if (failed(used) || failed(layers) || failed(types))
    return failure();
  if (!types->empty()) {
    if (static_cast<int64_t>(types->size()) != result.layers)
      return config.error() << "key \"layer_types\": expected " << result.layers
                            << " layers, found " << types->size();
    for (auto [layer, type] : llvm::enumerate(*types)) {
      (*layers)[layer] = type == "sliding_attention";
      if (!(*layers)[layer] && type != "full_attention" && type != "attention")
        return config.error()
               << "key \"layer_types\": expected \"full_attention\" or "
                  "\"sliding_attention\", found \""
               << type << "\"";
    }
  }
  bool none = config.isNull("sliding_window") ||
              (!config.has("sliding_window") && style.otherwise == 0);
  bool listed = style.layers == WindowStyle::AllOrListed && !types->empty();
  if ((!*used && !listed) || none)
    return success();
  auto window = config.size("sliding_window", style.otherwise);
  if (failed(window))
    return failure();
  for (int64_t layer = 0; layer < result.layers; ++layer)
    if ((*layers)[layer])
      result.windows[layer] = *window;
  return success();
}

static LogicalResult readRopes(const ModelConfig &config,
                               const DecoderFamily &family,
                               DecoderConfig &result) {
  result.ropeOfLayer.assign(result.layers, family.rope.used ? 0 : -1);
  if (!family.rope.used)
    return success();
  auto section = ropeSection(config);
  auto theta = config.number(family.rope.thetaKey, family.rope.theta);
  const Number &part = family.rope.partial;
  auto partial = part.key.empty() ? part.otherwise
                                  : config.number(part.key, part.otherwise);
  int64_t otherwise = family.rope.originalPositions;
  auto original = config.has("original_max_position_embeddings")
                      ? config.size("original_max_position_embeddings")
                      : FailureOr<int64_t>(otherwise);
  if (failed(section) || failed(theta) || failed(partial) || failed(original))
    return failure();
  auto rope = readRope({*section, result.headDim, *theta, *partial,
                        !part.key.empty(), result.positions, *original});
  if (failed(rope))
    return failure();
  result.ropes.push_back(std::move(*rope));
  return success();
}

/// What the configuration says of experts.
static LogicalResult readExperts(const ModelConfig &config,
                                 const ExpertFamily &family,
                                 DecoderConfig &result) {
  StringRef countKey = present(config, family.countKeys);
  bool ok = true;
  result.experts.normalized = read(config, family.normalized, ok);
  auto count = config.size(countKey, std::nullopt, 4096);
  auto chosen = config.size("num_experts_per_tok");
  auto width = config.size(family.widthKey);
  if (!ok || failed(count) || failed(chosen) || failed(width))
    return failure();
  if (*chosen > *count)
    return config.error() << "key \"num_experts_per_tok\": expected at most "
                          << countKey << " " << *count << ", found " << *chosen;
  result.experts.count = *count;
  result.experts.chosen = *chosen;
  result.experts.width = *width;
  result.sparse.assign(result.layers, true);
  return success();
}

static LogicalResult readSizes(const ModelConfig &config,
                               const DecoderFamily &family,
                               DecoderConfig &result) {
  const auto &keys = family.keys;
  auto hidden = config.size(present(config, keys.hidden));
  auto layers = config.size(present(config, keys.layers), std::nullopt, 4096);
  auto vocabulary = config.size("vocab_size");
  StringRef positionKey = present(config, keys.positions);
  auto positions = !keys.positions.empty() && config.has(positionKey)
                       ? config.size(positionKey)
                       : FailureOr<int64_t>(family.positions);
  if (failed(hidden) || failed(layers) || failed(vocabulary) ||
      failed(positions))
    return failure();
  std::optional<int64_t> fourfold;
  if (family.fourfold)
    fourfold = 4 * *hidden;
  auto intermediate = keys.intermediate.empty()
                          ? *fourfold
                          : config.size(keys.intermediate, fourfold);
  if (failed(intermediate))
    return failure();
  result.hidden = result.embeddingWidth = *hidden;
  result.layers = *layers;
  result.vocabulary = *vocabulary;
  result.positions = *positions;
  result.intermediate = *intermediate;
  return readHeads(config, family, result);
}

FailureOr<DecoderConfig> tpc::readDecoderConfig(const ModelConfig &config,
                                                const DecoderFamily &family) {
  DecoderConfig result;
  result.family = family;
  for (auto [key, value] : family.expected)
    if (failed(config.expect(key, value)))
      return failure();
  if (failed(readSizes(config, family, result)))
    return failure();
  auto epsilon = family.keys.epsilon.empty()
                     ? family.epsilon
                     : config.number(family.keys.epsilon, family.epsilon);
  auto name =
      family.keys.activation.empty()
          ? family.activation.str()
          : config.text(family.keys.activation, family.activation.str());
  bool ok = true;
  result.tied = read(config, family.tied, ok);
  result.parallel = read(config, family.parallel, ok);
  result.residualFromNorm = read(config, family.residualFromNorm, ok);
  result.biases.queryKeyValue = read(config, family.queryKeyValueBias, ok);
  result.biases.attentionOutput = read(config, family.attentionOutputBias, ok);
  result.biases.mlp = read(config, family.mlpBias, ok);
  if (!ok || failed(epsilon) || failed(name))
    return failure();
  auto activation = parseActivation(config, family.keys.activation, *name);
  if (failed(activation))
    return failure();
  result.epsilon = *epsilon;
  result.activation = *activation;
  result.scales.assign(result.layers, 1 / std::sqrt(double(result.headDim)));
  result.sparse.assign(result.layers, false);
  if (failed(readWindows(config, family.windows, result)) ||
      failed(readRopes(config, family, result)) ||
      (family.experts && failed(readExperts(config, *family.experts, result))))
    return failure();
  if (family.adjust && failed(family.adjust(config, result)))
    return failure();
  return result;
}
