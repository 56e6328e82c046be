//===- TestPrograms.cpp - Small whole programs ----------------------------===//

#include "TestPrograms.h"
#include <ostream>

using namespace tpc;

namespace {

/// With f64 as the type of floats.
const test::TestProgram programs[] = {
    // A column and row pair whose inner dimension the devices do not divide.
    {"MlpUneven", "megatron", R"(
tpc.mesh @mesh <"tp" = 4>
tpc.parameter @up : tensor<6x10xf64>
tpc.parameter @up_bias : tensor<10xf64>
tpc.parameter @down : tensor<10x6xf64>
tpc.parameter @down_bias : tensor<6xf64>
func.func @main(%x: tensor<3x6xf64>) -> tensor<3x6xf64> {
  %up = tpc.read @up : tensor<6x10xf64>
  %up_bias = tpc.read @up_bias : tensor<10xf64>
  %down = tpc.read @down : tensor<10x6xf64>
  %down_bias = tpc.read @down_bias : tensor<6xf64>
  %h = tpc.linear %x, %up, %up_bias "b e, e f -> b f" : (tensor<3x6xf64>, tensor<6x10xf64>, tensor<10xf64>) -> tensor<3x10xf64>
  %a = tpc.gelu erf %h : (tensor<3x10xf64>) -> tensor<3x10xf64>
  %y = tpc.linear %a, %down, %down_bias "b f, f e -> b e" : (tensor<3x10xf64>, tensor<10x6xf64>, tensor<6xf64>) -> tensor<3x6xf64>
  return %y : tensor<3x6xf64>
}
)"},
    // Three heads on two devices, and a residual.
    {"AttentionUnevenHeads", "megatron", R"(
tpc.mesh @mesh <"tp" = 2>
tpc.parameter @q : tensor<4x3x1x2xf64>
tpc.parameter @k : tensor<4x3x2xf64>
tpc.parameter @v : tensor<4x3x2xf64>
tpc.parameter @v_bias : tensor<3x2xf64>
tpc.parameter @o : tensor<3x1x2x4xf64>
tpc.parameter @o_bias : tensor<4xf64>
func.func @main(%x: tensor<2x3x4xf64>) -> tensor<2x3x4xf64> {
  %wq = tpc.read @q : tensor<4x3x1x2xf64>
  %wk = tpc.read @k : tensor<4x3x2xf64>
  %wv = tpc.read @v : tensor<4x3x2xf64>
  %bv = tpc.read @v_bias : tensor<3x2xf64>
  %wo = tpc.read @o : tensor<3x1x2x4xf64>
  %bo = tpc.read @o_bias : tensor<4xf64>
  %q = tpc.matmul %x, %wq "b s e, e h g d -> b s h g d" : (tensor<2x3x4xf64>, tensor<4x3x1x2xf64>) -> tensor<2x3x3x1x2xf64>
  %k = tpc.matmul %x, %wk "b s e, e h d -> b s h d" : (tensor<2x3x4xf64>, tensor<4x3x2xf64>) -> tensor<2x3x3x2xf64>
  %v = tpc.linear %x, %wv, %bv "b s e, e h d -> b s h d" : (tensor<2x3x4xf64>, tensor<4x3x2xf64>, tensor<3x2xf64>) -> tensor<2x3x3x2xf64>
  %c = tpc.attention %q, %k, %v scale 0.7 causal : (tensor<2x3x3x1x2xf64>, tensor<2x3x3x2xf64>, tensor<2x3x3x2xf64>) -> tensor<2x3x3x1x2xf64>
  %y = tpc.linear %c, %wo, %bo "b s h g d, h g d e -> b s e" : (tensor<2x3x3x1x2xf64>, tensor<3x1x2x4xf64>, tensor<4xf64>) -> tensor<2x3x4xf64>
  %r = tpc.add %y, %x : (tensor<2x3x4xf64>, tensor<2x3x4xf64>) -> tensor<2x3x4xf64>
  return %r : tensor<2x3x4xf64>
}
)"},
    // Queries split over the devices, keys on all of them.
    {"AttentionSplitQueries", "propagate", R"(
tpc.mesh @mesh <"tp" = 3>
func.func @main(%q: tensor<2x4x1x2x2xf64> {tpc.sharding = #tpc.sharding<@mesh, [{}, {"tp"}, {}, {}, {}]>}, %k: tensor<2x5x1x2xf64>, %v: tensor<2x5x1x3xf64>, %offset: tensor<2xi32>) -> tensor<2x4x1x2x3xf64> {
  %c = tpc.attention %q, %k, %v scale 0.7 causal : (tensor<2x4x1x2x2xf64>, tensor<2x5x1x2xf64>, tensor<2x5x1x3xf64>) -> tensor<2x4x1x2x3xf64>
  %w = tpc.attention %q, %k, %v offset %offset scale 0.7 window 2 : (tensor<2x4x1x2x2xf64>, tensor<2x5x1x2xf64>, tensor<2x5x1x3xf64>, tensor<2xi32>) -> tensor<2x4x1x2x3xf64>
  %y = tpc.add %c, %w : (tensor<2x4x1x2x3xf64>, tensor<2x4x1x2x3xf64>) -> tensor<2x4x1x2x3xf64>
  return %y : tensor<2x4x1x2x3xf64>
}
)"},
    // A table that is looked up in and projected on, split along its rows.
    {"TiedVocabulary", "megatron", R"(
tpc.mesh @mesh <"tp" = 3>
tpc.parameter @table : tensor<25x4xf64>
tpc.parameter @types : tensor<2x4xf64>
func.func @main(%tokens: tensor<2x3xi64>, %kinds: tensor<2x3xi64>) -> tensor<2x3x25xf64> {
  %table = tpc.read @table : tensor<25x4xf64>
  %types = tpc.read @types : tensor<2x4xf64>
  %e = tpc.embedding %table, %tokens : (tensor<25x4xf64>, tensor<2x3xi64>) -> tensor<2x3x4xf64>
  %t = tpc.embedding %types, %kinds : (tensor<2x4xf64>, tensor<2x3xi64>) -> tensor<2x3x4xf64>
  %s = tpc.add %e, %t : (tensor<2x3x4xf64>, tensor<2x3x4xf64>) -> tensor<2x3x4xf64>
  %h = tpc.tanh %s : (tensor<2x3x4xf64>) -> tensor<2x3x4xf64>
  %y = tpc.matmul %h, %table "b s e, v e -> b s v" : (tensor<2x3x4xf64>, tensor<25x4xf64>) -> tensor<2x3x25xf64>
  return %y : tensor<2x3x25xf64>
}
)"},
    // Two axes: the batch, and a pair behind a norm.
    {"LayerNormDataAndTensor", "megatron", R"(
tpc.mesh @mesh <"dp" = 2, "tp" = 2>
tpc.parameter @gamma : tensor<4xf64>
tpc.parameter @beta : tensor<4xf64>
tpc.parameter @up : tensor<4x5xf64>
tpc.parameter @down : tensor<5x4xf64>
func.func @main(%x: tensor<3x4xf64>) -> tensor<3x4xf64> {
  %gamma = tpc.read @gamma : tensor<4xf64>
  %beta = tpc.read @beta : tensor<4xf64>
  %up = tpc.read @up : tensor<4x5xf64>
  %down = tpc.read @down : tensor<5x4xf64>
  %n = tpc.layer_norm %x, %gamma, %beta epsilon 0.01 : (tensor<3x4xf64>, tensor<4xf64>, tensor<4xf64>) -> tensor<3x4xf64>
  %h = tpc.matmul %n, %up "b e, e f -> b f" : (tensor<3x4xf64>, tensor<4x5xf64>) -> tensor<3x5xf64>
  %a = tpc.gelu tanh %h : (tensor<3x5xf64>) -> tensor<3x5xf64>
  %y = tpc.matmul %a, %down "b f, f e -> b e" : (tensor<3x5xf64>, tensor<5x4xf64>) -> tensor<3x4xf64>
  %r = tpc.add %y, %x : (tensor<3x4xf64>, tensor<3x4xf64>) -> tensor<3x4xf64>
  return %r : tensor<3x4xf64>
}
)"},
    // Pins that split a softmax along its dimension, and move the split.
    {"SplitSoftmaxAndSequence", "propagate", R"(
tpc.mesh @mesh <"tp" = 3>
tpc.parameter @w : tensor<5x4xf64>
func.func @main(%x: tensor<4x5xf64> {tpc.sharding = #tpc.sharding<@mesh, [{"tp"}, {}]>}) -> (tensor<4x5xf64>, tensor<4x4xf64>) {
  %w = tpc.read @w : tensor<5x4xf64>
  %i = tpc.iota dim 0 : tensor<4x5xi64>
  %f = tpc.convert %i : (tensor<4x5xi64>) -> tensor<4x5xf64>
  %z = tpc.mul %x, %f : (tensor<4x5xf64>, tensor<4x5xf64>) -> tensor<4x5xf64>
  %c = tpc.shard %z <@mesh, [{}, {"tp"}]> : (tensor<4x5xf64>) -> tensor<4x5xf64>
  %s = tpc.softmax %c : (tensor<4x5xf64>) -> tensor<4x5xf64>
  %p = tpc.shard %s <@mesh, [{}, {"tp"}]> : (tensor<4x5xf64>) -> tensor<4x5xf64>
  %m = tpc.matmul %p, %w "b e, e f -> b f" : (tensor<4x5xf64>, tensor<5x4xf64>) -> tensor<4x4xf64>
  %n = tpc.shard %m <@mesh, [{"tp"}, {}]> : (tensor<4x4xf64>) -> tensor<4x4xf64>
  %t = tpc.tanh %n : (tensor<4x4xf64>) -> tensor<4x4xf64>
  return %p, %t : tensor<4x5xf64>, tensor<4x4xf64>
}
)"},
    // Pins that split two dimensions, and gather the inner one.
    {"GatheredInnerDimension", "megatron", R"(
tpc.mesh @mesh <"dp" = 2, "tp" = 2>
func.func @main(%x: tensor<4x6x5xf64> {tpc.sharding = #tpc.sharding<@mesh, [{"dp"}, {"tp"}, {}]>})
    -> (tensor<4x6x5xf64> {tpc.sharding = #tpc.sharding<@mesh, [{}, {}, {"tp"}]>}) {
  %a = tpc.exp %x : (tensor<4x6x5xf64>) -> tensor<4x6x5xf64>
  %t = tpc.transpose %a [2, 1, 0] : (tensor<4x6x5xf64>) -> tensor<5x6x4xf64>
  %s = tpc.softmax %t : (tensor<5x6x4xf64>) -> tensor<5x6x4xf64>
  %y = tpc.transpose %s [2, 1, 0] : (tensor<5x6x4xf64>) -> tensor<4x6x5xf64>
  return %y : tensor<4x6x5xf64>
}
)"},
    // A state that is read, overwritten in part, and read again.
    {"StateUpdatedInPlace", "megatron", R"(
tpc.mesh @mesh <"tp" = 2>
tpc.state @cache : tensor<8x6xf64>
func.func @main(%x: tensor<2x6xf64>, %at: tensor<2xi64>) -> (tensor<8x6xf64>, tensor<2x6xf64>) {
  %old = tpc.read @cache : tensor<8x6xf64>
  %e = tpc.exp %x : (tensor<2x6xf64>) -> tensor<2x6xf64>
  %new = tpc.update_slice %old, %e, %at : (tensor<8x6xf64>, tensor<2x6xf64>, tensor<2xi64>) -> tensor<8x6xf64>
  tpc.write @cache, %new : tensor<8x6xf64>
  %n = tpc.neg %new : (tensor<8x6xf64>) -> tensor<8x6xf64>
  %m = tpc.mul %e, %x : (tensor<2x6xf64>, tensor<2x6xf64>) -> tensor<2x6xf64>
  return %n, %m : tensor<8x6xf64>, tensor<2x6xf64>
}
)"},
};

} // namespace

std::vector<test::TestProgram> test::testPrograms(const std::string &element) {
  std::vector<TestProgram> result(std::begin(programs), std::end(programs));
  for (TestProgram &program : result)
    for (size_t at = 0;
         (at = program.text.find("f64", at)) != std::string::npos;
         at += element.size())
      program.text.replace(at, 3, element);
  return result;
}

void test::PrintTo(const TestProgram &program, std::ostream *os) {
  *os << program.name;
}
