// Grouped matmul steps against plain f64 loops.
#include "device/cpu/GroupedMatmul.h"
#include "support/StridedCopy.h"

#include <cmath>
#include <cstring>
#include <gtest/gtest.h>
#include <random>

using namespace tpcrt;

namespace {

/// How a test's rows choose.
enum class Choices { Any, OneMatrix, FewMatrices, Outside };

struct Case {
  std::string name;
  uint64_t n, c, e, d, f;
  Choices choices = Choices::Any;
  bool rowPerChoice = false;
  bool transposed = false; // weights lie as [e, f, d]
};

void PrintTo(const Case &test, std::ostream *stream) { *stream << test.name; }

GroupedMatmulStep stepOf(const Case &test, ElementType type, bool pack) {
  GroupedMatmulStep step;
  step.n = test.n, step.c = test.c, step.e = test.e;
  step.d = test.d, step.f = test.f;
  step.type = type;
  step.rowPerChoice = test.rowPerChoice;
  step.eStride = test.d * test.f;
  step.dStride = test.transposed ? 1 : test.f;
  step.fStride = test.transposed ? test.d : 1;
  step.pack = pack;
  step.weights = {Space::Parameter, 0, 0,
                  test.e * test.d * test.f * byteSize(type)};
  return step;
}

/// Small integers: every sum is exact in f32.
struct Operand {
  std::vector<std::byte> bytes;
  std::vector<double> values;

  Operand(ElementType type, uint64_t elements, unsigned seed)
      : bytes(std::max<uint64_t>(elements, 1) * byteSize(type)),
        values(elements) {
    std::mt19937 random(seed);
    for (double &value : values)
      value = int(random() % 17) - 8;
    copyStrided(bytes.data(), type, values.data(), ElementType::F64,
                {{elements, 1, 1}});
  }
};

std::vector<int64_t> chooseFor(const Case &test) {
  std::mt19937 random(4);
  std::vector<int64_t> choices(test.n * test.c);
  for (int64_t &choice : choices)
    switch (test.choices) {
    case Choices::Any:
      choice = test.e ? random() % test.e : 0;
      break;
    case Choices::OneMatrix:
      choice = test.e - 1;
      break;
    case Choices::FewMatrices:
      choice = random() % 2 * (test.e / 2);
      break;
    case Choices::Outside:
      choice = int64_t(random() % (test.e + 4)) - 2;
      break;
    }
  return choices;
}

std::vector<double> expectedOf(const Case &test, const GroupedMatmulStep &step,
                               const std::vector<double> &rows,
                               const std::vector<int64_t> &choices,
                               const std::vector<double> &weights) {
  std::vector<double> result(test.n * test.c * test.f);
  for (uint64_t i = 0; i < choices.size(); ++i) {
    if (choices[i] < 0 || choices[i] >= int64_t(test.e))
      continue;
    uint64_t row = test.rowPerChoice ? i : i / test.c;
    for (uint64_t f = 0; f < test.f; ++f)
      for (uint64_t d = 0; d < test.d; ++d)
        result[i * test.f + f] += rows[row * test.d + d] *
                                  weights[choices[i] * step.eStride +
                                          d * step.dStride + f * step.fStride];
  }
  return result;
}

void check(const Case &test, ElementType type, bool pack, unsigned threads) {
  ThreadTeam team(threads);
  GroupedMatmulStep step = stepOf(test, type, pack);
  uint64_t chosen = test.n * test.c;
  Operand rows(type, (test.rowPerChoice ? chosen : test.n) * test.d, 1);
  Operand weights(type, test.e * test.d * test.f, 2);
  Operand result(type, chosen * test.f, 3); // of which nothing must be left
  std::vector<int64_t> choices = chooseFor(test);
  std::vector<int32_t> narrow(choices.begin(), choices.end());
  bool wide = threads > 1;
  step.choiceType = wide ? ElementType::I64 : ElementType::I32;

  MatmulContext context;
  auto matmul = GroupedMatmul::create(step, threads, context);
  ASSERT_TRUE(matmul) << matmul.error().message;
  DeviceMemory memory;
  memory.scratch = *Buffer::allocate(matmul->scratchBytes(), "scratch");
  memory.packed.resize(context.packed.size());
  memory.parameters.push_back(*Buffer::allocate(weights.bytes.size(), "w"));
  std::memcpy(memory.parameters[0].data(), weights.bytes.data(),
              weights.bytes.size());
  ASSERT_TRUE(packParameter(context, 0, memory));
  const std::byte *bytes = matmul->packedIndex() >= 0
                               ? memory.packed[matmul->packedIndex()].data()
                               : memory.parameters[0].data();
  std::vector<double> expected =
      expectedOf(test, step, rows.values, choices, weights.values);
  for (int round = 0; round < 2; ++round) {
    auto ran = matmul->run({rows.bytes.data(),
                            wide ? static_cast<void *>(choices.data())
                                 : static_cast<void *>(narrow.data()),
                            bytes, result.bytes.data()},
                           memory.scratch.data(), team);
    ASSERT_TRUE(ran) << ran.error().message;
    std::vector<double> found(expected.size());
    copyStrided(found.data(), ElementType::F64, result.bytes.data(), type,
                {{found.size(), 1, 1}});
    double tolerance = type == ElementType::BF16  ? 1.0 / 256
                       : type == ElementType::F16 ? 1.0 / 2048
                                                  : 0.0;
    for (size_t i = 0; i < expected.size(); ++i)
      ASSERT_NEAR(found[i], expected[i], std::abs(expected[i]) * tolerance)
          << matmul->implementation() << " element " << i;
  }
}

const Case cases[] = {
    {"Small", 5, 2, 4, 7, 9},
    {"OneRow", 1, 2, 8, 64, 96},
    {"OneRowOneChoice", 1, 1, 8, 64, 96},
    {"ManyRows", 150, 2, 5, 33, 48},
    {"ManyRowsOfOneMatrix", 300, 1, 3, 20, 24, Choices::OneMatrix},
    {"MoreRowsThanATask", 270, 2, 3, 16, 17, Choices::OneMatrix},
    {"MatricesWithoutRows", 40, 2, 64, 16, 16, Choices::FewMatrices},
    {"Outside", 33, 3, 4, 12, 10, Choices::Outside},
    {"SeveralPanels", 20, 2, 3, 40, 600},
    {"SeveralPanelsUneven", 9, 2, 3, 21, 517, Choices::Outside},
    {"RowPerChoice", 20, 3, 4, 24, 40, Choices::Any, true},
    {"Transposed", 20, 2, 4, 24, 300, Choices::Any, false, true},
    {"OneColumn", 20, 2, 4, 24, 1},
    {"OneElement", 20, 2, 4, 1, 6},
    {"NoRows", 0, 2, 4, 5, 6},
    {"NoMatrices", 3, 2, 0, 5, 6},
    {"NothingToSum", 3, 2, 4, 0, 6},
    {"NoColumns", 3, 2, 4, 5, 0},
};

class GroupedMatmulCases : public testing::TestWithParam<Case> {};

TEST_P(GroupedMatmulCases, MatchesPlainLoops) {
  using enum ElementType;
  for (bool pack : {false, true})
    for (ElementType type : {F32, BF16, F16, F64})
      for (unsigned threads : {1, 3}) {
        SCOPED_TRACE(testing::Message() << typeName(type) << " pack " << pack
                                        << " threads " << threads);
        check(GetParam(), type, pack, threads);
        if (HasFatalFailure())
          return;
      }
}

INSTANTIATE_TEST_SUITE_P(, GroupedMatmulCases, testing::ValuesIn(cases),
                         [](const auto &info) { return info.param.name; });

/// Whichever comes first, prefill and decode use one copy in one format.
TEST(GroupedMatmul, PackedWeightsAreShared) {
  for (ElementType type : {ElementType::F32, ElementType::BF16})
    for (bool decodeFirst : {false, true}) {
      MatmulContext context;
      Case prefill{"", 300, 2, 4, 256, 520}, decode = prefill;
      decode.n = 1;
      for (const Case &test :
           {decodeFirst ? decode : prefill, decodeFirst ? prefill : decode}) {
        auto matmul =
            GroupedMatmul::create(stepOf(test, type, true), 1, context);
        ASSERT_TRUE(matmul) << matmul.error().message;
        EXPECT_EQ(matmul->packedIndex(), 0);
      }
      ASSERT_EQ(context.packed.size(), 1u);
      // Three panels of 176 columns, for 520.
      EXPECT_LE(context.packed[0].bytes(),
                4 * 256 * 3 * 192 * byteSize(context.packed[0].type));
    }
}

} // namespace
