//===- TiesTest.cpp - Which operations are split together -----------------===//

#include "Ties.h"
#include "TestModule.h"
#include "tpc/Dialect/Tpc/Differentiate.h"
#include "tpc/Dialect/Tpc/Tpc.h"
#include <gtest/gtest.h>

using namespace mlir;
using namespace tpc;

namespace {

const char *const kGated = R"(
tpc.mesh @mesh <"tp" = 2>
tpc.parameter @gate : tensor<4x8xf32>
tpc.parameter @up : tensor<4x8xf32>
tpc.parameter @down : tensor<8x4xf32>
func.func @main(%x: tensor<2x4xf32>) -> tensor<f32> {
  %gate = tpc.read @gate : tensor<4x8xf32>
  %up = tpc.read @up : tensor<4x8xf32>
  %down = tpc.read @down : tensor<8x4xf32>
  %s = tpc.silu %x : (tensor<2x4xf32>) -> tensor<2x4xf32>
  %g = tpc.matmul %s, %gate "b e, e f -> b f" : (tensor<2x4xf32>, tensor<4x8xf32>) -> tensor<2x8xf32>
  %u = tpc.matmul %s, %up "b e, e f -> b f" : (tensor<2x4xf32>, tensor<4x8xf32>) -> tensor<2x8xf32>
  %h = tpc.mul %g, %u : (tensor<2x8xf32>, tensor<2x8xf32>) -> tensor<2x8xf32>
  %y = tpc.matmul %h, %down "b f, f e -> b e" : (tensor<2x8xf32>, tensor<8x4xf32>) -> tensor<2x4xf32>
  %loss = tpc.reduce sum %y dims [0, 1] : (tensor<2x4xf32>) -> tensor<f32>
  return %loss : tensor<f32>
}
)";

class TiesTest : public testing::Test {
protected:
  void parse(const char *text) {
    module = test::parse(text);
    ASSERT_TRUE(module);
    function = module->lookupSymbol<func::FuncOp>("main");
  }
  unsigned count(Tie::Kind kind) {
    unsigned found = 0;
    for (const Tie &tie : findTies(function))
      found += tie.kind == kind;
    return found;
  }

  OwningOpRef<ModuleOp> module;
  func::FuncOp function;
};

TEST_F(TiesTest, ForwardHasSiblingsAlone) {
  parse(kGated);
  EXPECT_EQ(count(Tie::Sibling), 1u); // gate and up
  EXPECT_EQ(count(Tie::Gradient), 0u);
}

TEST_F(TiesTest, GradientsOfProductsAreTiedToThem) {
  parse(kGated);
  ASSERT_TRUE(succeeded(differentiate(function, "", {"gate", "up", "down"})));
  std::vector<Tie> ties = findTies(function);
  // Nothing is asked of x: only down has a product for its input's gradient.
  EXPECT_EQ(count(Tie::Gradient), 4u);
  for (const Tie &tie : ties) {
    if (tie.kind != Tie::Gradient)
      continue;
    EXPECT_TRUE(tie.first->isBeforeInBlock(tie.second));
    EXPECT_TRUE(isa<MatmulOp>(tie.first));
  }
}

TEST_F(TiesTest, SplitsOfAFactorAgree) {
  parse(kGated);
  ASSERT_TRUE(succeeded(differentiate(function, "", {"down"})));
  Mesh mesh = toMesh(*module->getOps<MeshOp>().begin());
  const Tie *tie = nullptr;
  std::vector<Tie> ties = findTies(function);
  for (const Tie &each : ties)
    if (each.kind == Tie::Gradient)
      tie = &each;
  ASSERT_TRUE(tie);
  RuledOp first = RuledOp::of(tie->first), second = RuledOp::of(tie->second);
  AxisRef tp = mesh.axes()[0];
  unsigned agreeing = 0;
  for (const Strategy &a : enumerateStrategies(first, {tp}, mesh))
    for (const Strategy &b : enumerateStrategies(second, {tp}, mesh)) {
      OpShardings forward = *applyStrategy(first, a, mesh);
      OpShardings backward = *applyStrategy(second, b, mesh);
      bool tied = areTied(*tie, forward, backward);
      agreeing += tied;
      if (!tied)
        continue;
      // h [b, f] and down [f, e] against h and the result's gradient [b, e].
      EXPECT_EQ(forward.operands[0].dims, backward.operands[0].dims);
      EXPECT_EQ(forward.operands[1].dims[1], backward.operands[1].dims[1]);
    }
  // b, f, e, nothing; and partial values that the forward passes through.
  EXPECT_GE(agreeing, 4u);
}

} // namespace
