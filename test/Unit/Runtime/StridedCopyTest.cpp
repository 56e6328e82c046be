// The strided copy against one element at a time, and conversion of types.
#include "support/StridedCopy.h"

#include "support/Float16.h"

#include <cmath>
#include <cstring>
#include <gtest/gtest.h>
#include <limits>
#include <random>

using namespace tpcrt;

namespace {

template <class To, class From>
To convertOne(ElementType to, ElementType from, From value) {
  To result;
  copyStrided(&result, to, &value, from, {});
  return result;
}

TEST(StridedCopy, RandomBlocks) {
  std::mt19937 random(7);
  for (int round = 0; round < 500; ++round) {
    // Dimensions of a dense dst in shuffled order; src strides of another
    // order.
    size_t rank = random() % 5;
    std::vector<uint64_t> sizes(rank);
    for (auto &size : sizes)
      size = random() % 40 == 0 ? 0 : 1 + random() % (rank > 3 ? 5 : 40);
    std::vector<CopyDim> dims(rank);
    std::vector<size_t> order(rank);
    for (auto stride : {&CopyDim::dstStride, &CopyDim::srcStride}) {
      for (size_t d = 0; d < rank; ++d)
        order[d] = d;
      std::shuffle(order.begin(), order.end(), random);
      int64_t step = 1;
      for (size_t d : order) {
        dims[d].size = sizes[d];
        dims[d].*stride = step;
        step *= sizes[d] + random() % 2;
      }
    }
    uint64_t srcSize = 1, dstSize = 1, count = 1;
    for (const CopyDim &dim : dims) {
      srcSize += dim.size * dim.srcStride;
      dstSize += dim.size * dim.dstStride;
      count *= dim.size;
    }
    std::vector<int32_t> src(srcSize), dst(dstSize, -1), expected(dstSize, -1);
    for (size_t i = 0; i < src.size(); ++i)
      src[i] = i;
    for (uint64_t i = 0; i < count; ++i) {
      uint64_t rest = i, from = 0, to = 0;
      for (const CopyDim &dim : dims) {
        from += rest % dim.size * dim.srcStride;
        to += rest % dim.size * dim.dstStride;
        rest /= dim.size;
      }
      expected[to] = src[from];
    }
    copyStrided(dst.data(), ElementType::I32, src.data(), ElementType::I32,
                dims);
    ASSERT_EQ(dst, expected) << "round " << round;
  }
}

TEST(StridedCopy, UnalignedSource) {
  std::vector<std::byte> bytes(1 + 3 * 8);
  double values[3] = {1, 2, 3};
  std::memcpy(bytes.data() + 1, values, sizeof(values));
  float out[3];
  copyStrided(out, ElementType::F32, bytes.data() + 1, ElementType::F64,
              {{3, 1, 1}});
  EXPECT_EQ(out[2], 3.0f);
}

TEST(StridedCopy, FloatsToIntegers) {
  using enum ElementType;
  auto toInt = [](float value) { return convertOne<int32_t>(I32, F32, value); };
  EXPECT_EQ(toInt(-1.9f), -1);
  EXPECT_EQ(toInt(1e20f), INT32_MAX);
  EXPECT_EQ(toInt(-1e20f), INT32_MIN);
  EXPECT_EQ(toInt(std::numeric_limits<float>::quiet_NaN()), 0);
  EXPECT_EQ((convertOne<int64_t>(I64, F64, 1e300)), INT64_MAX);
  EXPECT_EQ((convertOne<uint8_t>(Bool, F32, 0.5f)), 1);
  EXPECT_EQ((convertOne<uint8_t>(Bool, F32, -0.0f)), 0);
  EXPECT_EQ((convertOne<float>(F32, Bool, uint8_t(1))), 1.0f);
}

TEST(StridedCopy, SmallFloats) {
  using enum ElementType;
  auto bf16 = [](float value) {
    return convertOne<uint16_t>(BF16, F32, value);
  };
  EXPECT_EQ(bf16(1.0f), 0x3f80);
  EXPECT_EQ(bf16(1.00390625f), 0x3f80); // halfway: to even
  EXPECT_EQ(bf16(1.01171875f), 0x3f82); // halfway: to even, up
  EXPECT_EQ(bf16(3.4e38f), 0x7f80);     // rounds to infinity
  float nan = std::bit_cast<float>(0x7f800001u);
  EXPECT_TRUE(std::isnan(float(std::bit_cast<BFloat16>(bf16(nan)))));
  EXPECT_EQ((convertOne<uint16_t>(F16, F32, 65504.0f)), 0x7bff);
  EXPECT_EQ((convertOne<uint16_t>(F16, F32, 1e-8f)), 0);
  EXPECT_EQ((convertOne<float>(F32, F16, uint16_t(0x0001))), 0x1p-24f);
}

} // namespace
