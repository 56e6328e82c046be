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
//   longrope  divided by a list, one for short and one for long contexts
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

/// The frequencies before rounding.
struct Scaled {
  std::vector<double> values;
  double scale = 1;
};

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

LogicalResult scaleLlama3(Scaled &rope, const ModelConfig &section) {
  auto numbers =
      readNumbers(section, {"factor", "low_freq_factor", "high_freq_factor",
                            "original_max_position_embeddings"});
  if (failed(numbers))
    return failure();
  auto [factor, low, high, original] = *numbers;
  if (high <= low)
    return section.error() << "rotary positions \"llama3\": expected "
                              "high_freq_factor above low_freq_factor, found "
                           << high << " and " << low;
  for (double &frequency : rope.values) {
    // How often it turns within the original context.
    double turns = original * frequency / (2 * M_PI);
    double kept = std::clamp((turns - low) / (high - low), 0.0, 1.0);
    frequency = (1 - kept) * frequency / factor + kept * frequency;
  }
  return success();
}

/// 0.1 m ln(factor) + 1, the growth of attention's temperature.
double yarnScale(double factor, double m) {
  return factor <= 1 ? 1 : 0.1 * m * std::log(factor) + 1;
}

LogicalResult scaleYarn(Scaled &rope, const ModelConfig &section, double theta,
                        int64_t modelLength) {
  auto numbers = readNumbers(section, {"factor"});
  auto fast = section.number("beta_fast", 32);
  auto slow = section.number("beta_slow", 1);
  auto original =
      section.number("original_max_position_embeddings", modelLength);
  auto truncate = section.flag("truncate", true);
  auto given = section.number("attention_factor", 0);
  auto m = section.number("mscale", 0);
  auto mAll = section.number("mscale_all_dim", 0);
  if (failed(numbers) || failed(fast) || failed(slow) || failed(original) ||
      failed(truncate) || failed(given) || failed(m) || failed(mAll))
    return failure();
  double factor = (*numbers)[0];
  if (*given != 0)
    rope.scale = *given;
  else if (*m != 0 && *mAll != 0)
    rope.scale = yarnScale(factor, *m) / yarnScale(factor, *mAll);
  else
    rope.scale = yarnScale(factor, 1);

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
    frequency = ramp * frequency / factor + (1 - ramp) * frequency;
  }
  return success();
}

LogicalResult scaleLong(Scaled &rope, const ModelConfig &config,
                        const ModelConfig &section, int64_t modelLength,
                        int64_t context) {
  // The original length stands beside or inside the section.
  auto outer = config.number("original_max_position_embeddings", modelLength);
  if (failed(outer))
    return failure();
  auto original = section.number("original_max_position_embeddings", *outer);
  if (failed(original))
    return failure();
  auto factor = section.number("factor", modelLength / *original);
  auto given = section.number("attention_factor", 0);
  bool isLong = context > *original;
  (void)section.has(isLong ? "short_factor" : "long_factor"); // the other one
  auto list = section.numbers(isLong ? "long_factor" : "short_factor");
  if (failed(factor) || failed(given) || failed(list))
    return failure();
  if (list->size() != rope.values.size())
    return section.error() << "rotary positions \"longrope\": expected "
                           << rope.values.size() << " factors, found "
                           << list->size();
  if (*given != 0)
    rope.scale = *given;
  else if (*factor > 1)
    rope.scale = std::sqrt(1 + std::log(*factor) / std::log(*original));
  for (auto [frequency, by] : llvm::zip_equal(rope.values, *list))
    frequency /= by;
  return success();
}

} // namespace

FailureOr<RopeFrequencies> tpc::readRope(const ModelConfig &config,
                                         int64_t headDim, int64_t context) {
  auto section = config.section(
      config.has("rope_parameters") ? "rope_parameters" : "rope_scaling");
  auto outerTheta = config.number("rope_theta", 10000);
  auto outerPartial = config.number("partial_rotary_factor", 1);
  auto modelLength = config.size("max_position_embeddings");
  if (failed(section) || failed(outerTheta) || failed(outerPartial) ||
      failed(modelLength))
    return failure();
  auto theta = section->number("rope_theta", *outerTheta);
  auto partial = section->number("partial_rotary_factor", *outerPartial);
  bool old = !section->has("rope_type") && section->has("type");
  (void)section->has("type"); // files have both spellings beside each other
  auto kind = section->text(old ? "type" : "rope_type", "default");
  if (failed(theta) || failed(partial) || failed(kind))
    return failure();
  if (!(*theta > 1))
    return config.error() << "key \"rope_theta\": expected a number above 1, "
                             "found "
                          << *theta;
  if (!(*partial > 0 && *partial <= 1))
    return config.error() << "key \"partial_rotary_factor\": expected a number "
                             "above 0, at most 1, found "
                          << *partial;
  int64_t turned = static_cast<int64_t>(headDim * *partial);
  if (turned < 2 || turned % 2 != 0)
    return config.error() << "key \"partial_rotary_factor\": expected an even "
                             "number of the "
                          << headDim << " elements of a head, found " << turned;

  Scaled rope;
  for (int64_t i = 0; i < turned / 2; ++i)
    rope.values.push_back(std::pow(*theta, -2.0 * i / turned));
  LogicalResult scaled = success();
  if (*kind == "linear")
    scaled = scaleLinear(rope, *section);
  else if (*kind == "llama3")
    scaled = scaleLlama3(rope, *section);
  else if (*kind == "yarn")
    scaled = scaleYarn(rope, *section, *theta, *modelLength);
  else if (*kind == "longrope")
    scaled = scaleLong(rope, config, *section, *modelLength, context);
  else if (*kind != "default")
    return config.error()
           << "rotary positions: expected the kind default, linear, llama3, "
              "yarn or longrope, found \""
           << *kind << "\"";
  if (failed(scaled))
    return failure();
  auto isPositive = [](double value) {
    return std::isfinite(value) && value > 0;
  };
  if (!isPositive(rope.scale) || !llvm::all_of(rope.values, isPositive))
    return config.error() << "rotary positions \"" << *kind
                          << "\": expected values that give finite frequencies "
                             "above 0";
  return RopeFrequencies{{rope.values.begin(), rope.values.end()}, rope.scale};
}
