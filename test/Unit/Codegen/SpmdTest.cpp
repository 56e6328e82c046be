// Per-device programs: communication along any dimension, padding, what
// depends on the device, and states. The reference is the simulator, with
// padding that no result may show.
#include "CompileAndRun.h"
#include "tpc/Reference/Simulator.h"

using namespace tpc::test;

namespace {

class Spmd : public CompileAndRun {
protected:
  /// A module with one spmd.program on 2 x 3 devices; `in` and `out` are whole
  /// type and sharding of the only argument and result.
  static std::string program(std::string inType, std::string inSharding,
                             std::string outType, std::string outSharding,
                             std::string localIn, std::string localOut,
                             std::string body) {
    return "tpc.mesh @mesh <\"dp\" = 2, \"tp\" = 3>\n"
           "func.func private @main(%x: " +
           inType + ") -> " + outType +
           "\n"
           "spmd.program @main.spmd of @main(%x: " +
           localIn + ") -> " + localOut + "\n  args [#tpc.sharding<@mesh, [" +
           inSharding +
           "]>]"
           " results [#tpc.sharding<@mesh, [" +
           outSharding + "]>] {\n" + body + "\n  spmd.return %y : " + localOut +
           "\n}\n";
  }
};

TEST_F(Spmd, AllGatherOfTheOutermostDimensionNeedsNoKernel) {
  compileAndCheck(program("tensor<12x5xf32>", "{\"tp\"}, {}",
                          "tensor<12x5xf32>", "{}, {}", "tensor<4x5xf32>",
                          "tensor<12x5xf32>",
                          "%y = spmd.all_gather %x dim 0 over @mesh{\"tp\"} : "
                          "(tensor<4x5xf32>) -> tensor<12x5xf32>"),
                  0);
  EXPECT_EQ(counts().kernels, 0);
}

TEST_F(Spmd, AllGatherOfUnevenBlocks) {
  compileAndCheck(program("tensor<10x5xf32>", "{\"tp\"}, {}",
                          "tensor<10x5xf32>", "{}, {}", "tensor<4x5xf32>",
                          "tensor<10x5xf32>",
                          "%y = spmd.all_gather %x dim 0 over @mesh{\"tp\"} : "
                          "(tensor<4x5xf32>) -> tensor<10x5xf32>"),
                  0);
  EXPECT_EQ(counts().kernels, 0);
}

TEST_F(Spmd, AllGatherOfAnInnerDimension) {
  compileAndCheck(program("tensor<2x10x5xf32>", "{}, {\"tp\"}, {}",
                          "tensor<2x10x5xf32>", "{}, {}, {}",
                          "tensor<2x4x5xf32>", "tensor<2x10x5xf32>",
                          "%y = spmd.all_gather %x dim 1 over @mesh{\"tp\"} : "
                          "(tensor<2x4x5xf32>) -> tensor<2x10x5xf32>"),
                  0);
}

TEST_F(Spmd, ReduceScatterAlongEveryDimension) {
  compileAndCheck(
      program("tensor<12x5xf32>", "{}, {}", "tensor<12x5xf32>", "{\"tp\"}, {}",
              "tensor<12x5xf32>", "tensor<4x5xf32>",
              "%y = spmd.reduce_scatter sum %x dim 0 over @mesh{\"tp\"} : "
              "(tensor<12x5xf32>) -> tensor<4x5xf32>"));
  EXPECT_EQ(counts().kernels, 0);
  compileAndCheck(
      program("tensor<3x10xf32>", "{}, {}", "tensor<3x10xf32>", "{}, {\"tp\"}",
              "tensor<3x10xf32>", "tensor<3x4xf32>",
              "%y = spmd.reduce_scatter max %x dim 1 over @mesh{\"tp\"} : "
              "(tensor<3x10xf32>) -> tensor<3x4xf32>"));
}

TEST_F(Spmd, AllToAll) {
  compileAndCheck(
      program("tensor<12x6x5xf32>", "{\"tp\"}, {}, {}", "tensor<12x6x5xf32>",
              "{}, {\"tp\"}, {}", "tensor<4x6x5xf32>", "tensor<12x2x5xf32>",
              "%y = spmd.all_to_all %x split 1 concat 0 over @mesh{\"tp\"} : "
              "(tensor<4x6x5xf32>) -> tensor<12x2x5xf32>"),
      0);
  compileAndCheck(
      program("tensor<10x2x7xf32>", "{}, {}, {\"tp\"}", "tensor<10x2x7xf32>",
              "{\"tp\"}, {}, {}", "tensor<10x2x3xf32>", "tensor<4x2x7xf32>",
              "%y = spmd.all_to_all %x split 0 concat 2 over @mesh{\"tp\"} : "
              "(tensor<10x2x3xf32>) -> tensor<4x2x7xf32>"),
      0);
}

TEST_F(Spmd, PermuteAndDeviceIndex) {
  compileAndCheck(program("tensor<12x5xf32>", "{\"tp\"}, {}",
                          "tensor<12x5xf32>", "{\"tp\"}, {}", "tensor<4x5xf32>",
                          "tensor<4x5xf32>", R"(
  %p = spmd.permute %x sources [1, 2, 0] over @mesh{"tp"} : (tensor<4x5xf32>) -> tensor<4x5xf32>
  %i = spmd.device_index over @mesh{"tp"} : tensor<i64>
  %f = tpc.convert %i : (tensor<i64>) -> tensor<f32>
  %b = tpc.broadcast %f dims [] : (tensor<f32>) -> tensor<4x5xf32>
  %y = tpc.add %p, %b : (tensor<4x5xf32>, tensor<4x5xf32>) -> tensor<4x5xf32>)"));
}

TEST_F(Spmd, SliceOfUnevenBlocks) {
  compileAndCheck(program("tensor<3x10xf32>", "{}, {}", "tensor<3x10xf32>",
                          "{}, {\"tp\"}", "tensor<3x10xf32>", "tensor<3x4xf32>",
                          "%y = spmd.slice %x dim 1 over @mesh{\"tp\"} : "
                          "(tensor<3x10xf32>) -> tensor<3x4xf32>"),
                  0);
  EXPECT_EQ(counts().kernels, 1);
}

TEST_F(Spmd, MaskFusesWithTheReductionBehindIt) {
  compileAndCheck(program("tensor<3x10xf32>", "{\"dp\"}, {\"tp\"}",
                          "tensor<3xf32>", "{\"dp\"}", "tensor<2x4xf32>",
                          "tensor<2xf32>", R"(
  %e = tpc.exp %x : (tensor<2x4xf32>) -> tensor<2x4xf32>
  %m = spmd.mask %e with 0.0 dims [1] of tensor<3x10xf32, #tpc.sharding<@mesh, [{"dp"}, {"tp"}]>> : (tensor<2x4xf32>) -> tensor<2x4xf32>
  %s = tpc.reduce sum %m dims [1] : (tensor<2x4xf32>) -> tensor<2xf32>
  %y = spmd.all_reduce sum %s over @mesh{"tp"} : (tensor<2xf32>) -> tensor<2xf32>)"));
  EXPECT_EQ(counts().kernels, 1);
}

TEST_F(Spmd, ToPartialOfEveryReduction) {
  for (std::string kind : {"sum", "max", "min"})
    for (std::string type : {"f32", "i32", "bf16"}) {
      std::string t = "tensor<3x10x" + type + ">";
      compileAndCheck(program(t, "{}, {}", t, "{}, {}", t, t,
                              "%p = spmd.to_partial " + kind +
                                  " %x over @mesh{\"tp\", \"dp\"} : (" + t +
                                  ") -> " + t + "\n%y = spmd.all_reduce " +
                                  kind + " %p over @mesh{\"tp\", \"dp\"} : (" +
                                  t + ") -> " + t),
                      0);
    }
}

TEST_F(Spmd, OutputsThatAreInputsOrEachOther) {
  compileAndCheck(R"(
tpc.mesh @mesh <"tp" = 2>
func.func @main(%x: tensor<4x5xf32>) -> (tensor<4x5xf32>, tensor<20xf32>, tensor<4x5xf32>, tensor<20xf32>) {
  %r = tpc.reshape %x : (tensor<4x5xf32>) -> tensor<20xf32>
  %e = tpc.exp %x : (tensor<4x5xf32>) -> tensor<4x5xf32>
  %s = tpc.reshape %e : (tensor<4x5xf32>) -> tensor<20xf32>
  return %x, %r, %e, %s : tensor<4x5xf32>, tensor<20xf32>, tensor<4x5xf32>, tensor<20xf32>
}
)");
}

TEST_F(Spmd, MatmulThroughTransposesAndSlices) {
  compileAndCheck(R"(
tpc.mesh @mesh <"tp" = 1>
func.func @main(%x: tensor<6x4x8xf32>, %w: tensor<8x20xf32>) -> tensor<4x3x10xf32> {
  %t = tpc.transpose %x [1, 0, 2] : (tensor<6x4x8xf32>) -> tensor<4x6x8xf32>
  %s = tpc.slice %t [0, 2, 0] : (tensor<4x6x8xf32>) -> tensor<4x3x8xf32>
  %v = tpc.slice %w [0, 7] : (tensor<8x20xf32>) -> tensor<8x10xf32>
  %y = tpc.matmul %s, %v "b m k, k n -> b m n" : (tensor<4x3x8xf32>, tensor<8x10xf32>) -> tensor<4x3x10xf32>
  return %y : tensor<4x3x10xf32>
}
)");
  compileAndCheck(R"(
tpc.mesh @mesh <"tp" = 1>
func.func @main(%x: tensor<3x4x5xf32>, %w: tensor<5x6x2xf32>) -> tensor<3x6x4x2xf32> {
  %y = tpc.matmul %x, %w "m a k, k n b -> m n a b" : (tensor<3x4x5xf32>, tensor<5x6x2xf32>) -> tensor<3x6x4x2xf32>
  return %y : tensor<3x6x4x2xf32>
}
)");
}

/// The expected values are computed by hand here.
class States : public CompileAndRun {};

TEST_F(States, UpdateInPlace) {
  compile(R"(
tpc.mesh @mesh <"tp" = 2>
tpc.state @cache : tensor<6x3xf32, #tpc.sharding<@mesh, [{}, {}]>>
func.func private @main(%x: tensor<2x3xf32>, %at: tensor<2xi32>) -> tensor<6xf32>
spmd.program @main.spmd of @main(%x: tensor<2x3xf32>, %at: tensor<2xi32>) -> tensor<6xf32>
    args [#tpc.sharding<@mesh, [{}, {}]>, #tpc.sharding<@mesh, [{}]>] results [#tpc.sharding<@mesh, [{}]>] {
  %old = tpc.read @cache : tensor<6x3xf32>
  %new = tpc.update_slice %old, %x, %at : (tensor<6x3xf32>, tensor<2x3xf32>, tensor<2xi32>) -> tensor<6x3xf32>
  tpc.write @cache, %new : tensor<6x3xf32>
  %y = tpc.reduce sum %new dims [1] : (tensor<6x3xf32>) -> tensor<6xf32>
  spmd.return %y : tensor<6xf32>
}
)");
  ASSERT_FALSE(HasFatalFailure());
  EXPECT_EQ(counts().kernels, 2) << "no copy of the state";
  mlir::Builder b(&context);
  auto run1 = run({tensor({2, 3}, b.getF32Type(), {1, 1, 1, 2, 2, 2}),
                   tensor({2}, b.getI32Type(), {1, 0})});
  EXPECT_EQ(run1[0].data, (std::vector<double>{0, 3, 6, 0, 0, 0}));
  // The start is clamped to 4.
  auto run2 = run({tensor({2, 3}, b.getF32Type(), {3, 3, 3, 4, 4, 4}),
                   tensor({2}, b.getI32Type(), {5, 0})});
  EXPECT_EQ(run2[0].data, (std::vector<double>{0, 3, 6, 0, 9, 12}));
}

TEST_F(States, OldValueReadAfterTheUpdate) {
  compile(R"(
tpc.mesh @mesh <"tp" = 1>
tpc.state @count : tensor<3xf32>
tpc.state @other : tensor<3xf32>
func.func @main(%x: tensor<3xf32>) -> (tensor<3xf32>, tensor<3xf32>) {
  %old = tpc.read @count : tensor<3xf32>
  %new = tpc.add %old, %x : (tensor<3xf32>, tensor<3xf32>) -> tensor<3xf32>
  tpc.write @count, %new : tensor<3xf32>
  tpc.write @other, %old : tensor<3xf32>
  %again = tpc.read @count : tensor<3xf32>
  return %old, %again : tensor<3xf32>, tensor<3xf32>
}
)");
  ASSERT_FALSE(HasFatalFailure());
  mlir::Builder b(&context);
  auto x = tensor({3}, b.getF32Type(), {1, 2, 3});
  run({x});
  auto second = run({x});
  EXPECT_EQ(second[0].data, (std::vector<double>{1, 2, 3}));
  EXPECT_EQ(second[1].data, (std::vector<double>{2, 4, 6}));
  auto other = executable->readState("other");
  ASSERT_TRUE(other);
  EXPECT_EQ(other->as<float>()[2], 3);
}

TEST_F(States, Exchanged) {
  compile(R"(
tpc.mesh @mesh <"tp" = 1>
tpc.state @a : tensor<2xf32>
tpc.state @b : tensor<2xf32>
func.func @main(%x: tensor<2xf32>) -> tensor<2xf32> {
  %a = tpc.read @a : tensor<2xf32>
  %b = tpc.read @b : tensor<2xf32>
  %s = tpc.add %b, %x : (tensor<2xf32>, tensor<2xf32>) -> tensor<2xf32>
  tpc.write @a, %s : tensor<2xf32>
  tpc.write @b, %a : tensor<2xf32>
  return %s : tensor<2xf32>
}
)");
  ASSERT_FALSE(HasFatalFailure());
  mlir::Builder b(&context);
  auto one = tensor({2}, b.getF32Type(), {1, 10});
  EXPECT_EQ(run({one})[0].data, (std::vector<double>{1, 10})); // a = 1, b = 0
  EXPECT_EQ(run({one})[0].data, (std::vector<double>{1, 10})); // a = 1, b = 1
  EXPECT_EQ(run({one})[0].data, (std::vector<double>{2, 20}));
}

/// Both CPU kinds compute the same; AVX2 code runs on every machine that runs
/// the tests.
TEST_F(Spmd, TheOtherCpuKind) {
  for (std::string n : {"5", "8", "100"})
    for (std::string e : {"f32", "bf16", "f16"}) {
      std::string t = "tensor<3x" + n + "x" + e + ">";
      compile("tpc.mesh @mesh <\"tp\" = 1>\nfunc.func @main(%x: " + t +
                  ") -> " + t + " {\n %s = tpc.softmax %x : (" + t + ") -> " +
                  t + "\n %y = tpc.gelu erf %s : (" + t + ") -> " + t +
                  "\n return %y : " + t + "\n}\n",
              "avx2");
      ASSERT_FALSE(HasFatalFailure());
      check(e == "f32" ? 2e-6 : 1e-2);
      EXPECT_EQ(executable->statistics().kernelIsa, "avx2");
    }
}

} // namespace
