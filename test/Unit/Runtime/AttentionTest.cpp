// Attention steps of many shapes, options, strides and types against a plain
// evaluation in f64.
#include "device/cpu/Attention.h"
#include "device/cpu/DeviceMemory.h"
#include "support/StridedCopy.h"

#include <cmath>
#include <gtest/gtest.h>
#include <random>

using namespace tpcrt;

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

AttentionStep dense(uint64_t b, uint64_t s, uint64_t t, uint64_t k, uint64_t g,
                    uint64_t d, uint64_t v) {
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
};

void PrintTo(const Case &test, std::ostream *stream) { *stream << test.name; }

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

bool isVisible(const AttentionStep &step, const Operands &operands, int64_t b,
               int64_t s, int64_t t) {
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
std::vector<double> evaluate(const AttentionStep &step, const Operands &o) {
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

double tolerance(ElementType type) {
  switch (type) {
  case ElementType::F64:
    return 1e-14;
  case ElementType::F32:
    return 1e-6;
  case ElementType::F16:
    return 1.0 / 1024;
  default:
    return 1.0 / 128;
  }
}

void check(const Case &test, unsigned threads, std::string_view kernels) {
  SCOPED_TRACE(std::string(kernels) + " " + std::to_string(threads));
  Operands operands(test);
  std::vector<double> expected = evaluate(test.step, operands);
  auto attention = Attention::create(test.step, threads, kernels);
  ASSERT_TRUE(attention) << attention.error().message;
  ASSERT_EQ(attention->implementation(), kernels);
  Buffer scratch = *Buffer::allocate(attention->scratchBytes(), "scratch");
  ThreadTeam team(threads);
  double magnitude = 0;
  for (double value : operands.value.values)
    if (std::isfinite(value))
      magnitude = std::max(magnitude, std::abs(value));
  for (int round = 0; round < 2; ++round) {
    attention->run(operands.pointers(), scratch.data(), team);
    operands.result.load(test.step.type);
    for (size_t i = 0; i < expected.size(); ++i)
      ASSERT_NEAR(operands.result.values[i], expected[i],
                  magnitude * tolerance(test.step.type))
          << "element " << i;
  }
}

void checkEverywhere(const Case &test) {
  for (const AttentionKernels *kernels : attentionKernels(test.step.type))
    for (unsigned threads : {1, 2, 3})
      check(test, threads, kernels->name);
}

using Step = AttentionStep;

const Case cases[] = {
    {"OneElement", dense(1, 1, 1, 1, 1, 1, 1)},
    {"Small", dense(2, 7, 9, 2, 3, 12, 20)},
    {"Blocks", dense(1, 130, 200, 2, 1, 64, 64)},
    {"Decode", dense(2, 1, 1500, 2, 4, 64, 64)},
    {"DecodeOneHead", dense(1, 1, 5000, 1, 1, 128, 128)},
    {"ManyHeads", dense(1, 3, 70, 1, 71, 64, 64)},
    {"Causal",
     with(dense(2, 150, 150, 2, 2, 32, 32), [](Step &s) { s.causal = true; })},
    {"CausalOffsets",
     with(dense(4, 40, 100, 1, 2, 16, 16),
          [](Step &s) { s.causal = true, s.offsetStride = 1; }),
     false,
     false,
     {},
     {30, -20, 1000, -1000}},
    {"OneOffset",
     with(dense(2, 5, 300, 1, 2, 16, 16), [](Step &s) { s.causal = true; }),
     false,
     false,
     {},
     {290}},
    {"Window", with(dense(1, 150, 150, 1, 2, 32, 32),
                    [](Step &s) { s.causal = true, s.window = 17; })},
    {"WindowBothWays",
     with(dense(1, 100, 190, 1, 2, 32, 32), [](Step &s) { s.window = 17; }),
     false,
     false,
     {},
     {40}},
    {"Lengths",
     dense(5, 3, 150, 2, 2, 32, 32),
     false,
     false,
     {0, 1, 77, 150, -3}},
    {"LengthsBeyond",
     with(dense(2, 9, 20, 1, 1, 8, 8),
          [](Step &s) { s.lengthsType = ElementType::I32; }),
     false,
     false,
     {100, 20}},
    {"Bias", dense(2, 33, 70, 2, 2, 32, 32), true, false, {}, {}, 0.3},
    {"BiasOfKeys",
     with(dense(2, 33, 70, 2, 2, 32, 32),
          [](Step &s) { s.biasStrides = {70, 0, 0, 0, 1}; }),
     true,
     false,
     {},
     {},
     0.3},
    {"BiasOfHeads",
     with(dense(2, 33, 70, 2, 2, 32, 32),
          [](Step &s) {
            s.biasStrides = {0, 2 * 33 * 70, 33 * 70, 70, 1};
            s.biasType = ElementType::F64;
          }),
     true},
    {"BiasHidesAll", dense(1, 3, 9, 1, 1, 8, 8), true, false, {}, {}, 1},
    {"Sinks", dense(2, 33, 70, 2, 2, 32, 32), false, true},
    {"SinksAlone", dense(2, 3, 70, 2, 2, 32, 32), false, true, {0, 1}},
    {"Softcap", with(dense(1, 70, 70, 2, 2, 32, 32),
                     [](Step &s) { s.softcap = 2, s.scale = 1; })},
    {"NegativeScale",
     with(dense(1, 20, 70, 2, 2, 32, 32), [](Step &s) { s.scale = -0.3; })},
    {"NoScale",
     with(dense(1, 20, 70, 2, 2, 32, 32), [](Step &s) { s.scale = 0; })},
    {"Everything",
     with(dense(3, 37, 300, 2, 3, 80, 96),
          [](Step &s) {
            s.causal = true, s.window = 100, s.softcap = 5;
            s.offsetStride = 1;
          }),
     true,
     true,
     {300, 200, 60},
     {100, 10, 200},
     0.1},
    {"LongerRows", with(dense(2, 5, 90, 3, 2, 20, 12),
                        [](Step &s) {
                          // States of 128 keys with heads outside, queries with
                          // a gap.
                          s.keyStrides = {3 * 128 * 24, 24, 128 * 24};
                          s.valueStrides = {3 * 128 * 12, 12, 128 * 12};
                          s.queryStrides = {5 * 200, 200, 60, 25};
                          s.resultStrides = {5 * 100, 100, 30, 13};
                        })},
    {"SharedKeys", with(dense(3, 5, 90, 2, 2, 20, 12),
                        [](Step &s) {
                          s.keyStrides[0] = 0;
                          s.valueStrides[0] = 0;
                        })},
    {"NoKeys", dense(1, 5, 0, 2, 2, 16, 16)},
    {"NoQueries", dense(1, 0, 5, 2, 2, 16, 16)},
    {"NoBatch", dense(0, 3, 5, 2, 2, 16, 16)},
    {"NoComponents", dense(1, 3, 5, 2, 2, 0, 16)},
    {"NoResult", dense(1, 3, 5, 2, 2, 16, 0)},
    {"Width100", dense(1, 50, 70, 1, 2, 100, 100)},
    {"Width128", dense(1, 50, 70, 1, 2, 128, 128)},
    {"Width192", dense(1, 50, 70, 1, 2, 192, 128)},
    {"Width256", dense(1, 50, 70, 1, 2, 256, 256)},
};

class AttentionCases : public testing::TestWithParam<Case> {};

TEST_P(AttentionCases, AgreeWithTheDefinition) {
  for (ElementType type : {ElementType::F32, ElementType::BF16,
                           ElementType::F16, ElementType::F64}) {
    SCOPED_TRACE(typeName(type));
    Case test = GetParam();
    test.step.type = type;
    checkEverywhere(test);
  }
}

INSTANTIATE_TEST_SUITE_P(Attention, AttentionCases, testing::ValuesIn(cases),
                         [](const auto &info) { return info.param.name; });

} // namespace
