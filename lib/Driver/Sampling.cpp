//===- Sampling.cpp - Choosing a token from logits ------------------------===//

#include "tpc/Driver/Generator.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/bit.h"
#include "llvm/Support/FormatVariadic.h"
#include <cmath>
#include <numeric>

using namespace tpc;
using tpcrt::ElementType;

tpcrt::Result<void> Sampling::check() const {
  if (!(temperature >= 0) || std::isinf(temperature))
    return tpcrt::makeError(
        llvm::formatv("temperature: expected a number of at least 0, found {0}",
                      temperature));
  if (topK < 0)
    return tpcrt::makeError(llvm::formatv(
        "top_k: expected a number of tokens, or 0 for all, found {0}", topK));
  if (!(topP > 0 && topP <= 1))
    return tpcrt::makeError(llvm::formatv(
        "top_p: expected a probability above 0 and at most 1, found {0}",
        topP));
  return {};
}

static std::vector<float> toFloats(ElementType type, const std::byte *data,
                                   uint64_t count) {
  std::vector<float> values(count);
  auto *halves = reinterpret_cast<const uint16_t *>(data);
  for (uint64_t i = 0; i < count; ++i)
    values[i] = type == ElementType::F32
                    ? reinterpret_cast<const float *>(data)[i]
                : type == ElementType::BF16
                    ? llvm::bit_cast<float>(uint32_t(halves[i]) << 16)
                    : static_cast<float>(llvm::bit_cast<_Float16>(halves[i]));
  return values;
}

/// A number in [0, 1) that depends on all three and nothing else (the
/// finalizer of SplitMix64, Steele et al. 2014, over each in turn).
static double uniform(uint64_t seed, uint64_t row, uint64_t step) {
  uint64_t state = seed;
  for (uint64_t next : {row, step}) {
    state = (state ^ next) + 0x9e3779b97f4a7c15;
    state = (state ^ (state >> 30)) * 0xbf58476d1ce4e5b9;
    state = (state ^ (state >> 27)) * 0x94d049bb133111eb;
    state ^= state >> 31;
  }
  return double(state >> 11) * 0x1p-53;
}

int64_t tpc::chooseToken(const Sampling &sampling, ElementType type,
                         const std::byte *data, uint64_t vocabulary,
                         uint64_t row, uint64_t step) {
  std::vector<float> logits = toFloats(type, data, vocabulary);
  auto first = llvm::max_element(logits);
  if (sampling.temperature == 0)
    return first - logits.begin();

  // Candidates from the likeliest on; equal ones in order.
  std::vector<int64_t> order(vocabulary);
  std::iota(order.begin(), order.end(), 0);
  auto before = [&](int64_t a, int64_t b) {
    return logits[a] != logits[b] ? logits[a] > logits[b] : a < b;
  };
  uint64_t kept = sampling.topK ? std::min<uint64_t>(sampling.topK, vocabulary)
                                : vocabulary;
  std::partial_sort(order.begin(), order.begin() + kept, order.end(), before);
  order.resize(kept);

  std::vector<double> weights;
  double total = 0;
  for (int64_t token : order) {
    double distance = double(logits[token]) - double(*first);
    total += weights.emplace_back(std::exp(distance / sampling.temperature));
  }
  double reached = 0;
  uint64_t count = 0;
  while (count < kept && reached < sampling.topP * total)
    reached += weights[count++];

  double chosen = uniform(sampling.seed, row, step) * reached;
  for (uint64_t i = 0; i < count; ++i) {
    chosen -= weights[i];
    if (chosen < 0)
      return order[i];
  }
  return order[std::max<uint64_t>(count, 1) - 1]; // rounding left some over
}
