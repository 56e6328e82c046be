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

TEST_F(Programs, EmbeddingOfASplitVocabulary) {
  highestInteger = 12;
  compileAndCheck(R"(
tpc.mesh @mesh <"tp" = 4>
tpc.parameter @table : tensor<10x20xf32>
func.func @main(%tokens: tensor<2x5xi64>) -> tensor<2x5x20xf32> {
  %table = tpc.read @table : tensor<10x20xf32>
  %y = tpc.embedding %table, %tokens : (tensor<10x20xf32>, tensor<2x5xi64>) -> tensor<2x5x20xf32>
  return %y : tensor<2x5x20xf32>
}
)");
}

} // namespace
