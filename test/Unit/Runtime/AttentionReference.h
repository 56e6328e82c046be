// Attention steps with operands, and what they mean: a plain evaluation in f64
// that shares no code with the kernels.
#ifndef TPC_TEST_UNIT_RUNTIME_ATTENTIONREFERENCE_H
#define TPC_TEST_UNIT_RUNTIME_ATTENTIONREFERENCE_H

#include "device/cpu/Attention.h"
#include "support/StridedCopy.h"

#include <cmath>
#include <ostream>
#include <random>

namespace tpcrt {

inline constexpr double infinity = std::numeric_limits<double>::infinity();

inline AttentionStep dense(uint64_t b, uint64_t s, uint64_t t, uint64_t k,
                           uint64_t g, uint64_t d, uint64_t v) {
  AttentionStep step;
  step.b = b, step.s = s, step.t = t, step.k = k, step.g = g;
  step.d = d, step.v = v;
  auto i = [](uint64_t value) { return int64_t(value); };
  step.queryStrides = {i(s * k * g * d), i(k * g * d), i(g * d), i(d)};
  step.resultStrides = {i(s * k * g * v), i(k * g * v), i(g * v), i(v)};
  step.keyStrides = {i(t * k * d), i(k * d), i(d)};
  step.valueStrides = {i(t * k * v), i(k * v), i(v)};
  step.biasStrides = {i(k * g * s * t), i(g * s * t), i(s * t), i(t), 1};
  step.scale = 1 / std::sqrt(double(d ? d : 1));
  return step;
}

template <class Fn> AttentionStep with(AttentionStep step, Fn change) {
  change(step);
  return step;
}

/// A tensor in its own type, and the same numbers in f64.
struct Tensor {
  std::vector<std::byte> bytes;
  std::vector<double> values;

  Tensor() = default;
  Tensor(ElementType type, uint64_t elements, unsigned seed) {
    std::mt19937 random(seed);
    std::normal_distribution<double> normal;
    values.resize(elements);
    for (double &value : values)
      value = normal(random);
    store(type);
  }
  Tensor(ElementType type, std::vector<double> values) : values(values) {
    store(type);
  }
  void store(ElementType type) {
    bytes.resize(std::max<size_t>(values.size(), 1) * byteSize(type));
    copyStrided(bytes.data(), type, values.data(), ElementType::F64,
                {{values.size(), 1, 1}});
    load(type);
  }
  void load(ElementType type) {
    copyStrided(values.data(), ElementType::F64, bytes.data(), type,
                {{values.size(), 1, 1}});
  }
};

template <size_t N>
uint64_t span(std::array<uint64_t, N> sizes, std::array<int64_t, N> strides) {
  uint64_t last = 0;
  for (size_t i = 0; i < N; ++i) {
    if (sizes[i] == 0)
      return 0;
    last += (sizes[i] - 1) * strides[i];
  }
  return last + 1;
}

struct Case {
  std::string name;
  AttentionStep step;
  bool bias = false, sinks = false;
  std::vector<double> lengths = {}, offsets = {};
  double infiniteBias = 0; // part of the bias that is -inf
  bool poison = false;     // NaN in keys and values that no query sees
};

inline void PrintTo(const Case &test, std::ostream *stream) {
  *stream << test.name;
}

struct Operands {
  Tensor query, key, value, result, bias, lengths, offset, sinks;

  explicit Operands(const Case &test) {
    const AttentionStep &s = test.step;
    auto spanOf = [&](uint64_t b, uint64_t x, uint64_t k, uint64_t width,
                      std::array<int64_t, 3> strides) {
      return span<4>({b, x, k, width}, {strides[0], strides[1], strides[2], 1});
    };
    auto wide = [&](std::array<int64_t, 4> strides, uint64_t width) {
      return span<5>({s.b, s.s, s.k, s.g, width},
                     {strides[0], strides[1], strides[2], strides[3], 1});
    };
    query = Tensor(s.type, wide(s.queryStrides, s.d), 1);
    key = Tensor(s.type, spanOf(s.b, s.t, s.k, s.d, s.keyStrides), 2);
    value = Tensor(s.type, spanOf(s.b, s.t, s.k, s.v, s.valueStrides), 3);
    result = Tensor(s.type, wide(s.resultStrides, s.v), 4);
    if (test.bias) {
      bias = Tensor(s.biasType,
                    span<5>({s.b, s.k, s.g, s.s, s.t}, s.biasStrides), 5);
      std::mt19937 random(6);
      for (double &value : bias.values)
        if (random() % 1000 < test.infiniteBias * 1000)
          value = -infinity;
      bias.store(s.biasType);
    }
    if (test.sinks)
      sinks = Tensor(s.sinksType, s.k * s.g, 7);
    if (!test.lengths.empty())
      lengths = Tensor(s.lengthsType, test.lengths);
    if (!test.offsets.empty())
      offset = Tensor(s.offsetType, test.offsets);
  }

  Attention::Operands pointers() {
    auto at = [](Tensor &tensor) -> std::byte * {
      return tensor.bytes.empty() ? nullptr : tensor.bytes.data();
    };
    return {at(query), at(key),     at(value),  at(result),
            at(bias),  at(lengths), at(offset), at(sinks)};
  }
};

/// Calls fn(b, s, k, g) for every query.
template <class Fn> void forQueries(const AttentionStep &step, const Fn &fn) {
  for (uint64_t b = 0; b < step.b; ++b)
    for (uint64_t s = 0; s < step.s; ++s)
      for (uint64_t k = 0; k < step.k; ++k)
        for (uint64_t g = 0; g < step.g; ++g)
          fn(b, s, k, g);
}

inline bool isVisible(const AttentionStep &step, const Operands &operands,
                      int64_t b, int64_t s, int64_t t) {
  double position = s;
  if (!operands.offset.values.empty())
    position += operands.offset.values[b * step.offsetStride];
  if (!operands.lengths.values.empty() && t >= operands.lengths.values[b])
    return false;
  if (step.causal && t > position)
    return false;
  if (!step.window)
    return true;
  double window = *step.window;
  return position - window < t && (step.causal || t < position + window);
}

/// The definition, in f64; elements of the result that belong to no query
/// stay as they are.
inline std::vector<double> evaluate(const AttentionStep &step,
                                    const Operands &o) {
  std::vector<double> result = o.result.values;
  forQueries(step, [&](int64_t b, int64_t s, int64_t k, int64_t g) {
    const auto &q = step.queryStrides, &r = step.resultStrides;
    std::vector<std::pair<int64_t, double>> scores;
    double maximum = -infinity, sum = 0;
    for (int64_t t = 0; t < int64_t(step.t); ++t) {
      if (!isVisible(step, o, b, s, t))
        continue;
      double score = 0;
      for (int64_t e = 0; e < int64_t(step.d); ++e)
        score += o.query.values[b * q[0] + s * q[1] + k * q[2] + g * q[3] + e] *
                 o.key.values[b * step.keyStrides[0] + t * step.keyStrides[1] +
                              k * step.keyStrides[2] + e];
      score *= step.scale;
      if (step.softcap)
        score = *step.softcap * std::tanh(score / *step.softcap);
      const auto &at = step.biasStrides;
      if (!o.bias.values.empty())
        score += o.bias.values[b * at[0] + k * at[1] + g * at[2] + s * at[3] +
                               t * at[4]];
      scores.push_back({t, score});
      maximum = std::max(maximum, score);
    }
    if (!o.sinks.values.empty()) {
      double sink = o.sinks.values[k * step.g + g];
      maximum = std::max(maximum, sink);
      sum = std::exp(sink - maximum);
    }
    bool visible = maximum != -infinity;
    for (auto &[t, score] : scores)
      sum += score = visible ? std::exp(score - maximum) : 0;
    for (int64_t e = 0; e < int64_t(step.v); ++e) {
      double value = 0;
      for (auto [t, weight] : scores)
        value +=
            weight *
            o.value.values[b * step.valueStrides[0] + t * step.valueStrides[1] +
                           k * step.valueStrides[2] + e];
      result[b * r[0] + s * r[1] + k * r[2] + g * r[3] + e] =
          sum == 0 ? 0 : value / sum;
    }
  });
  return result;
}

/// Writes NaN and infinities to the keys and values that no query sees.
inline void poisonUnseen(const AttentionStep &step, Operands &o) {
  for (uint64_t b = 0; b < step.b; ++b)
    for (uint64_t t = 0; t < step.t; ++t) {
      bool seen = false;
      for (uint64_t s = 0; s < step.s; ++s)
        seen |= isVisible(step, o, b, s, t);
      if (seen)
        continue;
      double bad = t % 2 ? infinity : std::nan("");
      for (uint64_t k = 0; k < step.k; ++k) {
        const auto &key = step.keyStrides, &value = step.valueStrides;
        for (uint64_t e = 0; e < step.d; ++e)
          o.key.values[b * key[0] + t * key[1] + k * key[2] + e] = bad;
        for (uint64_t e = 0; e < step.v; ++e)
          o.value.values[b * value[0] + t * value[1] + k * value[2] + e] = bad;
      }
    }
  o.key.store(step.type);
  o.value.store(step.type);
}

} // namespace tpcrt

#endif // TPC_TEST_UNIT_RUNTIME_ATTENTIONREFERENCE_H
