// Whole programs: kernels around matmuls and collectives.
#include "CompileAndRun.h"

using namespace tpc::test;

namespace {

class Programs : public CompileAndRun {};

TEST_F(Programs, MlpOnFourDevices) {
  compileAndCheck(R"(
tpc.mesh @mesh <"tp" = 4>
tpc.parameter @up : tensor<64x256xf32>
tpc.parameter @up_bias : tensor<256xf32>
tpc.parameter @down : tensor<256x64xf32>
tpc.parameter @down_bias : tensor<64xf32>
func.func @main(%x: tensor<8x64xf32>) -> tensor<8x64xf32> {
  %up = tpc.read @up : tensor<64x256xf32>
  %up_bias = tpc.read @up_bias : tensor<256xf32>
  %down = tpc.read @down : tensor<256x64xf32>
  %down_bias = tpc.read @down_bias : tensor<64xf32>
  %h = tpc.linear %x, %up, %up_bias "b e, e f -> b f" : (tensor<8x64xf32>, tensor<64x256xf32>, tensor<256xf32>) -> tensor<8x256xf32>
  %a = tpc.gelu erf %h : (tensor<8x256xf32>) -> tensor<8x256xf32>
  %y = tpc.linear %a, %down, %down_bias "b f, f e -> b e" : (tensor<8x256xf32>, tensor<256x64xf32>, tensor<64xf32>) -> tensor<8x64xf32>
  return %y : tensor<8x64xf32>
}
)");
  EXPECT_EQ(counts().kernels, 2);
  EXPECT_EQ(counts().matmuls, 2);
  EXPECT_EQ(counts().collectives, 1);
}

TEST_F(Programs, AttentionWithBiasLengthsAndGroups) {
  highestInteger = 9;
  lowestInteger = 0;
  compileAndCheck(R"(
tpc.mesh @mesh <"tp" = 2>
func.func @main(%q: tensor<2x9x2x3x8xf32>, %k: tensor<2x9x2x8xf32>, %v: tensor<2x9x2x8xf32>, %bias: tensor<1x2x3x9x9xf32>, %lengths: tensor<2xi32>) -> tensor<2x9x2x3x8xf32> {
  %y = tpc.attention %q, %k, %v bias %bias lengths %lengths scale 0.35 causal softcap 5.0 : (tensor<2x9x2x3x8xf32>, tensor<2x9x2x8xf32>, tensor<2x9x2x8xf32>, tensor<1x2x3x9x9xf32>, tensor<2xi32>) -> tensor<2x9x2x3x8xf32>
  return %y : tensor<2x9x2x3x8xf32>
}
)");
  EXPECT_EQ(counts().attentions, 1);
  EXPECT_EQ(counts().kernels, 0);
  EXPECT_EQ(counts().matmuls, 0);
}

/// It is the operand.
TEST_F(Programs, ReductionOverNoDimension) {
  compileAndCheck(R"(
tpc.mesh @mesh <"tp" = 2>
func.func @main(%x: tensor<3x5xf32>) -> tensor<3x5xf32> {
  %e = tpc.exp %x : (tensor<3x5xf32>) -> tensor<3x5xf32>
  %y = tpc.reduce sum %e dims [] : (tensor<3x5xf32>) -> tensor<3x5xf32>
  return %y : tensor<3x5xf32>
}
)");
}

/// Elements that stand in a row in the update do not in the buffer.
TEST_F(Programs, UpdateOfAColumn) {
  lowestInteger = 0;
  highestInteger = 2;
  compileAndCheck(R"(
tpc.mesh @mesh <"tp" = 1>
func.func @main(%x: tensor<4x7x3xf32>, %u: tensor<4x5x1xf32>, %at: tensor<3xi64>) -> tensor<4x7x3xf32> {
  %y = tpc.update_slice %x, %u, %at : (tensor<4x7x3xf32>, tensor<4x5x1xf32>, tensor<3xi64>) -> tensor<4x7x3xf32>
  return %y : tensor<4x7x3xf32>
}
)");
}

/// What is sorted is a slice of something else: it is read from memory.
TEST_F(Programs, SortOfASlice) {
  compileAndCheck(R"(
tpc.mesh @mesh <"tp" = 1>
func.func @main(%x: tensor<4x7xf32>) -> tensor<3x7xf32> {
  %s = tpc.slice %x [1, 0] : (tensor<4x7xf32>) -> tensor<3x7xf32>
  %v, %p = tpc.sort %s : (tensor<3x7xf32>) -> (tensor<3x7xf32>, tensor<3x7xi64>)
  return %v : tensor<3x7xf32>
}
)");
}

/// Nothing is loaded, and still the indices matter.
TEST_F(Programs, PadOfPositions) {
  compileAndCheck(R"(
tpc.mesh @mesh <"tp" = 1>
func.func @main(%x: tensor<2x4xf32>) -> tensor<2x4xf32> {
  %i = tpc.iota dim 1 : tensor<2x3xi64>
  %f = tpc.convert %i : (tensor<2x3xi64>) -> tensor<2x3xf32>
  %y = tpc.pad %f low [0, 0] with 0.0 : (tensor<2x3xf32>) -> tensor<2x4xf32>
  return %y : tensor<2x4xf32>
}
)");
}

class SharedPrograms : public CompileAndRun,
                       public testing::WithParamInterface<TestProgram> {};

TEST_P(SharedPrograms, AgreeWithReference) {
  lowestInteger = -1;
  highestInteger = 26; // nothing is found outside of a vocabulary
  compile(GetParam());
  if (!HasFatalFailure())
    check(1e-5);
}

INSTANTIATE_TEST_SUITE_P(Programs, SharedPrograms,
                         testing::ValuesIn(testPrograms("f32")),
                         [](const auto &info) { return info.param.name; });

} // namespace
