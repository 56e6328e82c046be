// Attention steps of many shapes, options, strides and types against a plain
// evaluation in f64.
#include "AttentionReference.h"
#include "device/cpu/DeviceMemory.h"

#include <gtest/gtest.h>

using namespace tpcrt;

namespace {

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
  if (test.poison)
    poisonUnseen(test.step, operands);
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
  for (const AttentionKernels *kernels :
       attentionKernels(test.step.type, test.step.s * test.step.g))
    for (unsigned threads : {1, 3})
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
    test.poison = true;
    checkEverywhere(test);
  }
}

INSTANTIATE_TEST_SUITE_P(Attention, AttentionCases, testing::ValuesIn(cases),
                         [](const auto &info) { return info.param.name; });

//===--- What is not seen ------------------------------------------------===//

/// Values after the first query's are NaN or infinite: the first queries, which
/// share blocks with others that do see them, stay finite.
TEST(Attention, NanOfLaterKeysStaysWithLaterQueries) {
  for (ElementType type : {ElementType::F32, ElementType::BF16,
                           ElementType::F16, ElementType::F64})
    for (uint64_t queries : {4, 90}) {
      Case test{"", dense(1, queries, queries, 2, 1, 32, 48)};
      test.step.type = type;
      test.step.causal = true;
      uint64_t bad = queries / 2;
      for (const AttentionKernels *kernels : attentionKernels(type, queries)) {
        SCOPED_TRACE(kernels->name);
        Operands operands(test);
        std::vector<double> expected = evaluate(test.step, operands);
        for (uint64_t e = 0; e < 2 * 48; ++e)
          operands.value.values[bad * 2 * 48 + e] =
              e % 2 ? infinity : std::nan("");
        operands.value.store(type);
        auto attention = Attention::create(test.step, 1, kernels->name);
        ASSERT_TRUE(attention);
        Buffer scratch =
            *Buffer::allocate(attention->scratchBytes(), "scratch");
        attention->run(operands.pointers(), scratch.data(), ThreadTeam(1));
        operands.result.load(type);
        for (size_t i = 0; i < expected.size(); ++i) {
          double found = operands.result.values[i];
          if (i < bad * 2 * 48)
            ASSERT_NEAR(found, expected[i], 4 * tolerance(type)) << i;
          else if (i % 2)
            ASSERT_EQ(found, infinity) << i;
          else
            ASSERT_TRUE(std::isnan(found)) << i;
        }
      }
    }
}

//===--- Precision -------------------------------------------------------===//

/// Two keys with scores x and 0 and values 1 and 0: the result is
/// e^x / (e^x + 1), which shows the relative error of the exponential.
TEST(Attention, ExponentialIsPrecise) {
  constexpr uint64_t queries = 200000;
  for (const AttentionKernels *kernels :
       attentionKernels(ElementType::F32, queries)) {
    SCOPED_TRACE(kernels->name);
    AttentionStep step = dense(1, queries, 2, 1, 1, 1, 1);
    step.scale = 1;
    std::vector<float> query(queries), result(queries), pair{1, 0};
    for (uint64_t i = 0; i < queries; ++i)
      query[i] = -20 * double(i) / queries;
    auto attention = Attention::create(step, 1, kernels->name);
    ASSERT_TRUE(attention);
    Buffer scratch = *Buffer::allocate(attention->scratchBytes(), "scratch");
    attention->run({query.data(), pair.data(), pair.data(), result.data()},
                   scratch.data(), ThreadTeam(1));
    double worst = 0;
    for (uint64_t i = 0; i < queries; ++i) {
      double power = std::exp(double(query[i]));
      double expected = power / (power + 1);
      // The exponent x log2(e) is rounded: half an ulp of it, relative.
      double exponent = std::abs(query[i]) * std::log2(std::exp(1.0));
      double rounding = exponent * std::log(2.0) * 0x1p-24;
      worst =
          std::max(worst, std::abs(result[i] - expected) / expected - rounding);
    }
    // 2 ulp of the exponential; the sum, the quotient and the product.
    EXPECT_LT(worst, 2 * 0x1p-23 + 3 * 0x1p-24);
  }
}

//===--- Memory and errors -----------------------------------------------===//

TEST(Attention, MemoryDoesNotGrowWithLengths) {
  for (ElementType type : {ElementType::F32, ElementType::BF16}) {
    auto bytes = [&](uint64_t s, uint64_t t, unsigned threads) {
      AttentionStep step = dense(1, s, t, 8, 1, 64, 64);
      step.type = type;
      return Attention::create(step, threads)->scratchBytes();
    };
    EXPECT_EQ(bytes(32768, 32768, 4), bytes(4096, 4096, 4));
    EXPECT_LT(bytes(32768, 32768, 4), 4 * (1u << 20));
    EXPECT_EQ(bytes(1, 32768, 4), bytes(1, 8192, 4));
    EXPECT_LT(bytes(1, 32768, 4), 4 * (1u << 18));
  }
}

TEST(Attention, ErrorsNameTypesAndKernels) {
  AttentionStep step = dense(1, 2, 2, 1, 1, 4, 4);
  step.type = ElementType::I32;
  auto integers = Attention::create(step, 1);
  ASSERT_FALSE(integers);
  EXPECT_NE(integers.error().message.find("attention of i32"),
            std::string::npos);
  step.type = ElementType::F32;
  auto unknown = Attention::create(step, 1, "abacus");
  ASSERT_FALSE(unknown);
  EXPECT_NE(unknown.error().message.find("abacus"), std::string::npos);
}

/// What models use, and what they do not, at random.
TEST(Attention, RandomSteps) {
  for (unsigned seed = 0; seed < 60; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    auto upTo = [&](unsigned most) { return uint64_t(random() % (most + 1)); };
    auto maybe = [&] { return random() % 2 == 0; };
    Case test;
    uint64_t b = 1 + upTo(2), s = maybe() ? 1 + upTo(3) : 1 + upTo(150);
    test.step = dense(b, s, upTo(400), 1 + upTo(2), 1 + upTo(4), 1 + upTo(70),
                      1 + upTo(70));
    AttentionStep &step = test.step;
    ElementType types[] = {ElementType::F32, ElementType::BF16,
                           ElementType::F16, ElementType::F64};
    step.type = types[random() % 4];
    step.biasType = types[random() % 4];
    step.causal = maybe();
    if (maybe())
      step.window = 1 + upTo(100);
    if (maybe())
      step.softcap = 1 + double(upTo(10));
    test.sinks = maybe();
    test.bias = maybe();
    for (uint64_t i = 0; i < b && (step.causal || step.window); ++i)
      test.offsets.push_back(double(upTo(300)) - 50);
    step.offsetStride = 1;
    for (uint64_t i = 0; i < b && test.sinks; ++i)
      test.lengths.push_back(double(upTo(450)) - 20);
    test.poison = true;
    checkEverywhere(test);
  }
}

} // namespace
