//===- BlocksTest.cpp - Whole tensors and the blocks of devices -----------===//

#include "tpc/Reference/Blocks.h"
#include "TestProgram.h"
#include <cmath>
#include <gtest/gtest.h>

using namespace mlir;
using namespace tpc;
using namespace tpc::reference;

namespace {

Tensor counting(ArrayRef<int64_t> shape) {
  Tensor result(shape, Float32Type::get(&testContext()));
  for (auto [i, value] : llvm::enumerate(result.data))
    value = i + 1;
  return result;
}

TEST(Blocks, UnevenSplitByTwoAxes) {
  Mesh mesh = testMesh({{"x", 2}, {"y", 4}});
  auto blocks = shardTensor(counting({10}),
                            parseSharding("<@mesh, [{\"x\", \"y\"}]>"), mesh);
  std::vector<std::vector<double>> expected = {{1, 2}, {3, 4}, {5, 0},  {0, 0},
                                               {6, 7}, {8, 9}, {10, 0}, {0, 0}};
  ASSERT_EQ(blocks.size(), 8u);
  for (auto [block, values] : llvm::zip_equal(blocks, expected))
    EXPECT_EQ(block.data, values);
}

TEST(Blocks, PoisonedPadding) {
  Mesh mesh = testMesh({{"x", 2}});
  Sharding sharding = parseSharding("<@mesh, [{\"x\"}]>");
  Tensor block = shardTensor(counting({3}), sharding, mesh, 1, true);
  EXPECT_EQ(block.data[0], 3);
  EXPECT_TRUE(std::isnan(block.data[1]));
}

TEST(Blocks, RoundTrip) {
  Mesh mesh = testMesh({{"x", 2}, {"y", 4}});
  for (const char *text : {"<@mesh, [{}, {}]>", "<@mesh, [{\"y\"}, {\"x\"}]>",
                           "<@mesh, [{}, {\"y\", \"x\"}]>",
                           "<@mesh, [{\"y\":(2)2}, {\"y\":(1)2}], sum {\"x\"}>",
                           "<@mesh, [{\"x\"}, {}], sum {\"y\"}>",
                           "<@mesh, [{\"x\"}, {}], max {\"y\"}>",
                           "<@mesh, [{}, {}], min {\"x\", \"y\"}>"}) {
    Sharding sharding = parseSharding(text);
    Tensor whole = counting({5, 7});
    auto back = unshard(shardTensor(whole, sharding, mesh, /*poison=*/true),
                        whole.shape, sharding, mesh);
    ASSERT_TRUE(succeeded(back)) << text;
    EXPECT_EQ(back->data, whole.data) << text;
  }
}

TEST(Blocks, PartialContributionsAreAdded) {
  Mesh mesh = testMesh({{"x", 3}});
  Sharding sharding = parseSharding("<@mesh, [{}], sum {\"x\"}>");
  auto whole = unshard(
      {tensor({2}, {1, 2}), tensor({2}, {10, 20}), tensor({2}, {100, 200})},
      {2}, sharding, mesh);
  ASSERT_TRUE(succeeded(whole));
  EXPECT_EQ(whole->data, (std::vector<double>{111, 222}));
}

TEST(Blocks, SumsRoundOnce) {
  Mesh mesh = testMesh({{"x", 3}});
  Type bf16 = BFloat16Type::get(&testContext());
  Sharding sharding = parseSharding("<@mesh, [], sum {\"x\"}>");
  // 256 + 1 + 1 = 258: in bf16 each step on its own would stay at 256.
  auto whole = unshard(
      {tensor({}, {256}, bf16), tensor({}, {1}, bf16), tensor({}, {1}, bf16)},
      {}, sharding, mesh);
  ASSERT_TRUE(succeeded(whole));
  EXPECT_EQ(whole->data[0], 258);
}

TEST(Blocks, ReplicasMustAgree) {
  Mesh mesh = testMesh({{"x", 2}});
  Sharding replicated = parseSharding("<@mesh, [{}]>");
  std::string problem;
  EXPECT_TRUE(failed(unshard({tensor({2}, {1, 2}), tensor({2}, {1, 3})}, {2},
                             replicated, mesh, 0, &problem)));
  EXPECT_EQ(problem, "devices 0 and 1 disagree in element 1: 2 and 3");
  EXPECT_TRUE(succeeded(unshard({tensor({2}, {1, 2}), tensor({2}, {1, 3})}, {2},
                                replicated, mesh, 1)));
  // Zeros of different sign are different bits.
  EXPECT_TRUE(failed(unshard({tensor({1}, {0.0}), tensor({1}, {-0.0})}, {1},
                             replicated, mesh)));
}

} // namespace
