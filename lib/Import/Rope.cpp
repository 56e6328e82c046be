//===- Rope.cpp - Frequencies of rotary positions -------------------------===//
//
// Pair i of r/2 turns by theta^(-2i/r) per position (Su et al., "RoFormer",
// arXiv:2104.09864). Models that were stretched to longer contexts scale these
// frequencies; the kinds are those of transformers' modeling_rope_utils.py:
//
//   default   as they are
//   linear    divided by `factor`
//   llama3    slow ones divided by `factor`, fast ones kept, between them a
//             blend by wavelength
//   yarn      likewise by a ramp over the index of the pair, and cos and sin
//             scaled (Peng et al., arXiv:2309.00071)
//   longrope  divided by a list, one for short and one for long sequences
//   dynamic   of a theta that grows with sequences above the model's length
//
// Everything is computed in double and rounded once.
//
//===----------------------------------------------------------------------===//

#include "Rope.h"
#include "mlir/IR/Diagnostics.h"
#include <cmath>

using namespace mlir;
using namespace tpc;

namespace {

/// Frequencies before rounding.
struct Scaled {
  std::vector<double> values, beyond, exponents;
  double scale = 1, growth = 0;
  int64_t longest = std::numeric_limits<int64_t>::max();
};

/// The length before scaling.
FailureOr<int64_t> originalLength(const RopeSource &source) {
  constexpr StringRef key = "original_max_position_embeddings";
  (void)source.section.has(key); // asked for, if overruled
  if (source.originalPositions)
    return source.originalPositions;
  return source.section.size(
      key, source.positions ? std::optional(source.positions) : std::nullopt);
}

/// The model's length.
FailureOr<int64_t> modelLength(const RopeSource &source) {
  if (!source.positions)
    return source.section.error()
           << "missing key \"max_position_embeddings\"; rotary positions that "
              "are scaled depend on it";
  return source.positions;
}

/// A section with `keys`, all numbers.
template <size_t N>
FailureOr<std::array<double, N>> readNumbers(const ModelConfig &section,
                                             const char *const (&keys)[N]) {
  std::array<double, N> values;
  for (auto [key, value] : llvm::zip_equal(keys, values)) {
    FailureOr<double> number = section.number(key);
    if (failed(number))
      return failure();
    if (!std::isfinite(*number) || *number <= 0)
      return section.error() << "key \"" << key << "\" of rotary positions: "
                             << "expected a positive number, found " << *number;
    value = *number;
  }
  return values;
}

LogicalResult scaleLinear(Scaled &rope, const ModelConfig &section) {
  auto numbers = readNumbers(section, {"factor"});
  if (failed(numbers))
    return failure();
  for (double &frequency : rope.values)
    frequency /= (*numbers)[0];
  return success();
}

LogicalResult scaleLlama3(Scaled &rope, const RopeSource &source) {
  const ModelConfig &section = source.section;
  auto numbers =
      readNumbers(section, {"factor", "low_freq_factor", "high_freq_factor"});
  auto original = originalLength(source);
  if (failed(numbers) || failed(original))
    return failure();
  auto [factor, low, high] = *numbers;
  if (high <= low)
    return section.error() << "rotary positions \"llama3\": expected "
                              "high_freq_factor above low_freq_factor, found "
                           << high << " and " << low;
  for (double &frequency : rope.values) {
    // How often it turns within the original context.
    double turns = *original * frequency / (2 * M_PI);
    double kept = std::clamp((turns - low) / (high - low), 0.0, 1.0);
    frequency = (1 - kept) * frequency / factor + kept * frequency;
  }
  return success();
}

/// By how much a context of `original` tokens is stretched.
FailureOr<double> readFactor(const RopeSource &source, int64_t original) {
  if (source.section.has("factor")) {
    auto numbers = readNumbers(source.section, {"factor"});
    if (failed(numbers))
      return failure();
    return (*numbers)[0];
  }
  auto length = modelLength(source);
  if (failed(length))
    return failure();
  return double(*length) / double(original);
}

/// 0.1 m ln(factor) + 1, the growth of attention's temperature.
double yarnScale(double factor, double m) {
  return factor <= 1 ? 1 : 0.1 * m * std::log(factor) + 1;
}

LogicalResult scaleYarn(Scaled &rope, const RopeSource &source, double theta) {
  const ModelConfig &section = source.section;
  auto original = originalLength(source);
  auto fast = section.number("beta_fast", 32);
  auto slow = section.number("beta_slow", 1);
  auto truncate = section.flag("truncate", true);
  auto given = section.number("attention_factor", 0);
  auto m = section.number("mscale", 0);
  auto mAll = section.number("mscale_all_dim", 0);
  if (failed(original) || failed(fast) || failed(slow) || failed(truncate) ||
      failed(given) || failed(m) || failed(mAll))
    return failure();
  auto factor = readFactor(source, *original);
  if (failed(factor))
    return failure();
  if (*given != 0)
    rope.scale = *given;
  else if (*m != 0 && *mAll != 0)
    rope.scale = yarnScale(*factor, *m) / yarnScale(*factor, *mAll);
  else
    rope.scale = yarnScale(*factor, 1);

  double dim = 2.0 * rope.values.size();
  /// The index of the pair that turns `turns` times in the original context.
  auto pairOf = [&](double turns) {
    return dim * std::log(*original / (turns * 2 * M_PI)) /
           (2 * std::log(theta));
  };
  double low = pairOf(*fast), high = pairOf(*slow);
  if (*truncate) {
    low = std::floor(low);
    high = std::ceil(high);
  }
  low = std::max(low, 0.0);
  high = std::min(high, dim - 1);
  if (low == high)
    high += 0.001; // as transformers does, for a ramp of no length
  for (auto [i, frequency] : llvm::enumerate(rope.values)) {
    double ramp = std::clamp((double(i) - low) / (high - low), 0.0, 1.0);
    frequency = ramp * frequency / *factor + (1 - ramp) * frequency;
  }
  return success();
}

LogicalResult scaleLong(Scaled &rope, const RopeSource &source) {
  const ModelConfig &section = source.section;
  auto original = originalLength(source);
  auto given = section.number("attention_factor", 0);
  auto shorter = section.numbers("short_factor");
  auto longer = section.numbers("long_factor");
  if (failed(original) || failed(given) || failed(shorter) || failed(longer))
    return failure();
  auto factor = readFactor(source, *original);
  if (failed(factor))
    return failure();
  for (const auto &list : {*shorter, *longer})
    if (list.size() != rope.values.size())
      return section.error()
             << "rotary positions \"longrope\": expected " << rope.values.size()
             << " factors, found " << list.size();
  if (*given != 0)
    rope.scale = *given;
  else if (*factor > 1)
    rope.scale = std::sqrt(1 + std::log(*factor) / std::log(double(*original)));
  rope.longest = *original;
  for (auto [frequency, s, l] :
       llvm::zip_equal(rope.values, *shorter, *longer)) {
    rope.beyond.push_back(frequency / l);
    frequency /= s;
  }
  return success();
}

/// theta grows by (1 + factor (L / length - 1)) ^ (r / (r - 2)), where r
/// elements turn.
LogicalResult scaleDynamic(Scaled &rope, const RopeSource &source) {
  auto numbers = readNumbers(source.section, {"factor"});
  auto length = modelLength(source);
  if (failed(numbers) || failed(length))
    return failure();
  double turned = 2.0 * rope.values.size();
  if (turned == 2)
    return source.section.error()
           << "rotary positions \"dynamic\": expected more than one pair of "
              "elements in a head";
  rope.longest = *length;
  rope.growth = (*numbers)[0];
  for (size_t i = 0; i < rope.values.size(); ++i)
    rope.exponents.push_back(-2.0 * i / (turned - 2));
  return success();
}

std::vector<double> unscaled(double theta, int64_t turned) {
  std::vector<double> values;
  for (int64_t i = 0; i < turned / 2; ++i)
    values.push_back(std::pow(theta, -2.0 * i / turned));
  return values;
}

std::vector<float> rounded(const std::vector<double> &values) {
  return {values.begin(), values.end()};
}

} // namespace

FailureOr<ModelConfig> tpc::ropeSection(const ModelConfig &config) {
  bool old = config.has("rope_scaling");
  (void)config.has("rope_parameters"); // asked for, if overruled
  return config.section(old ? "rope_scaling" : "rope_parameters");
}

RopeFrequencies tpc::plainRope(double theta, int64_t turned) {
  RopeFrequencies result;
  result.values = rounded(unscaled(theta, turned));
  return result;
}

FailureOr<RopeFrequencies> tpc::readRope(const RopeSource &source) {
  const ModelConfig &section = source.section;
  bool old = !section.has("rope_type") && section.has("type");
  (void)section.has("type"); // files have both spellings beside each other
  auto theta = section.number("rope_theta", source.theta);
  auto partial = section.number("partial_rotary_factor", source.partial);
  auto kind = section.text(old ? "type" : "rope_type", "default");
  if (failed(theta) || failed(partial) || failed(kind))
    return failure();
  if (!(*theta > 1))
    return section.error() << "key \"rope_theta\": expected a number above 1, "
                              "found "
                           << *theta;
  if (!source.partly && *partial != 1)
    return section.error()
           << "key \"partial_rotary_factor\": expected 1, since "
              "whole heads turn in this architecture, found "
           << *partial;
  if (!(*partial > 0 && *partial <= 1))
    return section.error()
           << "key \"partial_rotary_factor\": expected a number above 0, at "
              "most 1, found "
           << *partial;
  int64_t turned = static_cast<int64_t>(source.headDim * *partial);
  if (turned < 2 || turned % 2 != 0)
    return section.error() << "key \"partial_rotary_factor\": expected an even "
                              "number of the "
                           << source.headDim << " elements of a head, found "
                           << turned;

  Scaled rope;
  rope.values = unscaled(*theta, turned);
  LogicalResult scaled = success();
  if (*kind == "linear")
    scaled = scaleLinear(rope, section);
  else if (*kind == "llama3")
    scaled = scaleLlama3(rope, source);
  else if (*kind == "longrope" || *kind == "su" ||
           (*kind == "yarn" &&
            section.has("short_factor")) /*Phi-3's old names*/)
    scaled = scaleLong(rope, source);
  else if (*kind == "yarn")
    scaled = scaleYarn(rope, source, *theta);
  else if (*kind == "dynamic")
    scaled = scaleDynamic(rope, source);
  else if (*kind != "default")
    return section.error()
           << "rotary positions: expected the kind default, linear, llama3, "
              "yarn, longrope or dynamic, found \""
           << *kind << "\"";
  if (failed(scaled))
    return failure();
  auto isPositive = [](double value) {
    return std::isfinite(value) && value > 0;
  };
  if (!isPositive(rope.scale) || !llvm::all_of(rope.values, isPositive) ||
      !llvm::all_of(rope.beyond, isPositive))
    return section.error()
           << "rotary positions \"" << *kind
           << "\": expected values that give finite frequencies above 0";
  return RopeFrequencies{
      rounded(rope.values),    rope.scale, rope.longest, rounded(rope.beyond),
      rounded(rope.exponents), rope.growth};
}
