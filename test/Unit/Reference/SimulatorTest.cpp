//===- SimulatorTest.cpp - All devices of a per-device program ------------===//
//
// The meaning of each operation of spmd, on values worked out by hand.
//
//===----------------------------------------------------------------------===//

#include "tpc/Reference/Simulator.h"
#include "TestProgram.h"
#include <cmath>
#include <gtest/gtest.h>

using namespace mlir;
using namespace tpc;
using namespace tpc::reference;

namespace {

/// Runs a program on "x" = 3 whose argument %x, a tensor<7xf32>, comes as
/// blocks of 3 (1 2 3 | 4 5 6 | 7 0 0) and whose result is tensor<3xf32> of
/// every device, one after the other.
std::vector<double> run(const std::string &body, bool poisonPadding = false) {
  auto module = parseModule(
      "tpc.mesh @mesh <\"x\" = 3>\n"
      "func.func @main(%x: tensor<7xf32>) -> tensor<9xf32> {\n"
      "  %0 = tpc.constant dense<0.0> : tensor<9xf32> : tensor<9xf32>\n"
      "  return %0 : tensor<9xf32>\n}\n"
      "spmd.program @p of @main(%x: tensor<3xf32>) -> tensor<3xf32>\n"
      "    args [#tpc.sharding<@mesh, [{\"x\"}]>]\n"
      "    results [#tpc.sharding<@mesh, [{\"x\"}]>] {\n" +
      body + "\n  spmd.return %y : tensor<3xf32>\n}\n");
  if (!module)
    return {};
  SymbolStore symbols;
  SimulateOptions options;
  options.poisonPadding = poisonPadding;
  auto results =
      simulate(*module->getOps<spmd::ProgramOp>().begin(),
               {tensor({7}, {1, 2, 3, 4, 5, 6, 7})}, symbols, options);
  return succeeded(results) ? (*results)[0].data : std::vector<double>();
}

using Values = std::vector<double>;

TEST(Simulator, InputsComeAsBlocksWithZeroPadding) {
  EXPECT_EQ(run("%y = tpc.neg %x : (tensor<3xf32>) -> tensor<3xf32>", true),
            (Values{-1, -2, -3, -4, -5, -6, -7, 0, 0}));
}

TEST(Simulator, AllReduce) {
  EXPECT_EQ(run("%y = spmd.all_reduce sum %x over @mesh{\"x\"} : "
                "(tensor<3xf32>) -> tensor<3xf32>"),
            (Values{12, 7, 9, 12, 7, 9, 12, 7, 9}));
  EXPECT_EQ(run("%y = spmd.all_reduce max %x over @mesh{\"x\"} : "
                "(tensor<3xf32>) -> tensor<3xf32>"),
            (Values{7, 5, 6, 7, 5, 6, 7, 5, 6}));
}

TEST(Simulator, AllGatherCutsPadding) {
  EXPECT_EQ(run("%0 = spmd.all_gather %x dim 0 over @mesh{\"x\"} : "
                "(tensor<3xf32>) -> tensor<7xf32>\n"
                "%y = tpc.slice %0 [4] : (tensor<7xf32>) -> tensor<3xf32>"),
            (Values{5, 6, 7, 5, 6, 7, 5, 6, 7}));
}

TEST(Simulator, ReduceScatter) {
  // Sums of 3 rows: 7 values 12 7 9 12 7 9 12, cut into blocks of 3.
  std::string text =
      "%0 = tpc.concat %x, %x dim 0 : (tensor<3xf32>, tensor<3xf32>) -> "
      "tensor<6xf32>\n"
      "%1 = tpc.slice %x [0] : (tensor<3xf32>) -> tensor<1xf32>\n"
      "%2 = tpc.concat %0, %1 dim 0 : (tensor<6xf32>, tensor<1xf32>) -> "
      "tensor<7xf32>\n"
      "%y = spmd.reduce_scatter sum %2 dim 0 over @mesh{\"x\"} : "
      "(tensor<7xf32>) -> tensor<3xf32>";
  EXPECT_EQ(run(text), (Values{12, 7, 9, 12, 7, 9, 12, 0, 0}));
  Values poisoned = run(text, true);
  EXPECT_EQ(poisoned[6], 12);
  EXPECT_TRUE(std::isnan(poisoned[7]) && std::isnan(poisoned[8]));
}

TEST(Simulator, AllToAll) {
  // Device d holds row d of [[1 2 3] [4 5 6] [7 0 0]] and gets column d.
  EXPECT_EQ(run("%0 = tpc.reshape %x : (tensor<3xf32>) -> tensor<1x3xf32>\n"
                "%1 = spmd.all_to_all %0 split 1 concat 0 over @mesh{\"x\"} : "
                "(tensor<1x3xf32>) -> tensor<3x1xf32>\n"
                "%y = tpc.reshape %1 : (tensor<3x1xf32>) -> tensor<3xf32>"),
            (Values{1, 4, 7, 2, 5, 0, 3, 6, 0}));
}

TEST(Simulator, Permute) {
  EXPECT_EQ(run("%y = spmd.permute %x sources [2, 0, 1] over @mesh{\"x\"} : "
                "(tensor<3xf32>) -> tensor<3xf32>"),
            (Values{7, 0, 0, 1, 2, 3, 4, 5, 6}));
}

TEST(Simulator, WhatDependsOnTheDevice) {
  std::string toVector =
      "%1 = tpc.convert %0 : (tensor<i64>) -> tensor<f32>\n"
      "%y = tpc.broadcast %1 dims [] : (tensor<f32>) -> tensor<3xf32>";
  EXPECT_EQ(run("%0 = spmd.device_index over @mesh{\"x\"} : tensor<i64>\n" +
                toVector),
            (Values{0, 0, 0, 1, 1, 1, 2, 2, 2}));
  EXPECT_EQ(run("%0 = spmd.block_start of 7 over @mesh{\"x\"} : tensor<i64>\n" +
                toVector),
            (Values{0, 0, 0, 3, 3, 3, 6, 6, 6}));
}

TEST(Simulator, SliceAndMask) {
  std::string slice = "%0 = spmd.all_gather %x dim 0 over @mesh{\"x\"} : "
                      "(tensor<3xf32>) -> tensor<7xf32>\n"
                      "%s = spmd.slice %0 dim 0 over @mesh{\"x\"} : "
                      "(tensor<7xf32>) -> tensor<3xf32>\n";
  Values poisoned =
      run(slice + "%y = tpc.neg %s : (tensor<3xf32>) -> tensor<3xf32>", true);
  EXPECT_EQ(poisoned[6], -7);
  EXPECT_TRUE(std::isnan(poisoned[7]) && std::isnan(poisoned[8]));
  EXPECT_EQ(run(slice + "%y = spmd.mask %s with -5.0 dims [0] of tensor<7xf32, "
                        "#tpc.sharding<@mesh, [{\"x\"}]>> : (tensor<3xf32>) -> "
                        "tensor<3xf32>",
                true),
            (Values{1, 2, 3, 4, 5, 6, 7, -5, -5}));
}

TEST(Simulator, ToPartial) {
  EXPECT_EQ(run("%y = spmd.to_partial sum %x over @mesh{\"x\"} : "
                "(tensor<3xf32>) -> tensor<3xf32>"),
            (Values{1, 2, 3, 0, 0, 0, 0, 0, 0}));
  Values lowest = run("%y = spmd.to_partial max %x over @mesh{\"x\"} : "
                      "(tensor<3xf32>) -> tensor<3xf32>");
  EXPECT_EQ(lowest[0], 1);
  EXPECT_EQ(lowest[8], -std::numeric_limits<double>::infinity());
}

TEST(Simulator, StatesLiveOnTheDevices) {
  auto module = parseModule(R"(
    tpc.mesh @mesh <"x" = 2>
    tpc.state @s : tensor<3xf32, #tpc.sharding<@mesh, [{"x"}]>>
    tpc.parameter @w : tensor<3xf32, #tpc.sharding<@mesh, [{"x"}]>>
    func.func @main() { return }
    spmd.program @p of @main() args [] results [] {
      %s = tpc.read @s : tensor<2xf32>
      %w = tpc.read @w : tensor<2xf32>
      %0 = tpc.add %s, %w : (tensor<2xf32>, tensor<2xf32>) -> tensor<2xf32>
      tpc.write @s, %0 : tensor<2xf32>
      spmd.return
    })");
  SymbolStore symbols;
  symbols.set("w", tensor({3}, {1, 2, 3}));
  for (int i = 0; i < 2; ++i)
    EXPECT_TRUE(succeeded(
        simulate(*module->getOps<spmd::ProgramOp>().begin(), {}, symbols)));
  auto state = symbols.get(*module->getOps<StateOp>().begin());
  ASSERT_TRUE(succeeded(state));
  EXPECT_EQ((*state)->data, (Values{2, 4, 6}));
}

TEST(Simulator, ReplicasThatDisagreeAreAnError) {
  auto module = parseModule(R"(
    tpc.mesh @mesh <"x" = 2>
    func.func @main() -> tensor<i64> {
      %0 = tpc.constant dense<0> : tensor<i64> : tensor<i64>
      return %0 : tensor<i64>
    }
    spmd.program @p of @main() -> tensor<i64> args [] results [#tpc.sharding<@mesh, []>] {
      %0 = spmd.device_index over @mesh{"x"} : tensor<i64>
      spmd.return %0 : tensor<i64>
    })");
  SymbolStore symbols;
  Diagnostics diagnostics;
  EXPECT_TRUE(failed(
      simulate(*module->getOps<spmd::ProgramOp>().begin(), {}, symbols)));
  EXPECT_EQ(diagnostics.text,
            "result 0: devices 0 and 1 disagree in element 0: 0 and 1\n");
}

} // namespace
