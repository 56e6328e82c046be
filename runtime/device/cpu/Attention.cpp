// One query at a time, in plain loops.
#include "device/cpu/Attention.h"

#include "support/Float16.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <vector>

using namespace tpcrt;

struct Attention::Impl {
  AttentionStep step;
};

namespace {

double floatAt(const void *data, ElementType type, int64_t i) {
  switch (type) {
  case ElementType::F64:
    return static_cast<const double *>(data)[i];
  case ElementType::BF16:
    return float(static_cast<const BFloat16 *>(data)[i]);
  case ElementType::F16:
    return float(static_cast<const Half *>(data)[i]);
  default:
    return static_cast<const float *>(data)[i];
  }
}

int64_t intAt(const void *data, ElementType type, int64_t i) {
  return type == ElementType::I32 ? static_cast<const int32_t *>(data)[i]
                                  : static_cast<const int64_t *>(data)[i];
}

/// Rounds to `type` and stores.
void store(void *data, ElementType type, int64_t i, double x) {
  switch (type) {
  case ElementType::F64:
    static_cast<double *>(data)[i] = x;
    return;
  case ElementType::BF16:
    static_cast<BFloat16 *>(data)[i] = BFloat16(float(x));
    return;
  case ElementType::F16:
    static_cast<Half *>(data)[i] = Half(float(x));
    return;
  default:
    static_cast<float *>(data)[i] = x;
  }
}

double rounded(double x, ElementType type) {
  double slot;
  store(&slot, type, 0, x);
  return floatAt(&slot, type, 0);
}

void runQuery(const AttentionStep &p, const Attention::Operands &o, int64_t b,
              int64_t s, int64_t k, int64_t g) {
  constexpr double lowest = -std::numeric_limits<double>::infinity();
  int64_t query = b * p.queryStrides[0] + s * p.queryStrides[1] +
                  k * p.queryStrides[2] + g * p.queryStrides[3];
  int64_t result = b * p.resultStrides[0] + s * p.resultStrides[1] +
                   k * p.resultStrides[2] + g * p.resultStrides[3];
  uint64_t position = s;
  if (o.offset)
    position += intAt(o.offset, p.offsetType, b * p.offsetStride);
  int64_t length =
      o.lengths ? intAt(o.lengths, p.lengthsType, b) : int64_t(p.t);
  auto visible = [&](int64_t t) {
    int64_t distance = position - uint64_t(t);
    return t < length && (!p.causal || t <= int64_t(position)) &&
           (!p.window || (distance < int64_t(*p.window) &&
                          (p.causal || -distance < int64_t(*p.window))));
  };
  std::vector<double> sum(p.v);
  double peak = lowest, total = 0;
  if (o.sinks) {
    peak = floatAt(o.sinks, p.sinksType, k * int64_t(p.g) + g);
    total = peak == lowest ? 0 : 1;
  }
  std::vector<std::pair<int64_t, double>> scores;
  for (int64_t t = 0; t < int64_t(p.t); ++t) {
    if (!visible(t))
      continue;
    int64_t key =
        b * p.keyStrides[0] + t * p.keyStrides[1] + k * p.keyStrides[2];
    double score = 0;
    for (int64_t d = 0; d < int64_t(p.d); ++d)
      score +=
          floatAt(o.query, p.type, query + d) * floatAt(o.key, p.type, key + d);
    score *= p.scale;
    if (p.softcap)
      score = std::tanh(score / *p.softcap) * *p.softcap;
    if (o.bias)
      score += floatAt(o.bias, p.biasType,
                       b * p.biasStrides[0] + k * p.biasStrides[1] +
                           g * p.biasStrides[2] + s * p.biasStrides[3] +
                           t * p.biasStrides[4]);
    scores.push_back({t, score});
    if (score > peak) {
      total *= std::exp(peak - score);
      peak = score;
    }
    if (peak != lowest)
      total += std::exp(score - peak);
  }
  for (auto [t, score] : scores) {
    double weight = peak == lowest ? 0 : std::exp(score - peak) / total;
    weight = rounded(weight, p.type);
    int64_t value =
        b * p.valueStrides[0] + t * p.valueStrides[1] + k * p.valueStrides[2];
    for (int64_t v = 0; v < int64_t(p.v); ++v)
      sum[v] += weight * floatAt(o.value, p.type, value + v);
  }
  for (int64_t v = 0; v < int64_t(p.v); ++v)
    store(o.result, p.type, result + v, sum[v]);
}

} // namespace

Result<Attention> Attention::create(const AttentionStep &step, unsigned) {
  Attention result;
  result.impl = std::make_shared<Impl>(Impl{step});
  return result;
}

uint64_t Attention::scratchBytes() const { return 0; }
std::string_view Attention::implementation() const { return "plain"; }

void Attention::run(const Operands &operands, std::byte *,
                    const ThreadTeam &team) const {
  const AttentionStep &p = impl->step;
  team.parallelFor(p.b * p.s * p.k * p.g, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      int64_t g = i % p.g, k = i / p.g % p.k;
      int64_t s = i / (p.g * p.k) % p.s, b = i / (p.g * p.k * p.s);
      runQuery(p, operands, b, s, k, g);
    }
  });
}
