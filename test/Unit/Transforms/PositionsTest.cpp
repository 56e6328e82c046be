//===- PositionsTest.cpp - What an operand is proved to move --------------===//

#include "Proof/Positions.h"
#include "TestModule.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include <gtest/gtest.h>

using namespace mlir;
using namespace tpc;

namespace {

/// What the proof says of the only composite of a function.
std::string problemOf(const std::string &arguments, const std::string &op,
                      unsigned operand, unsigned dim, unsigned origin) {
  OwningOpRef<ModuleOp> module = test::parse("func.func @main(" + arguments +
                                             ") {\n  " + op + "\n  return\n}");
  std::string problem = "not parsed";
  module->walk([&](DecomposableOpInterface composite) {
    problem =
        proof::provePositions(composite, operand, dim, origin).value_or("");
  });
  return problem;
}

const std::string kArguments =
    "%q: tensor<2x5x1x2x2xf32>, %k: tensor<2x5x1x2xf32>, %n: tensor<2xi64>, "
    "%o: tensor<2xi64>";
const std::string kAttention =
    "%r = tpc.attention %q, %k, %k lengths %n offset %o scale 0.5 causal "
    "window 3 : (tensor<2x5x1x2x2xf32>, tensor<2x5x1x2xf32>, "
    "tensor<2x5x1x2xf32>, tensor<2xi64>, tensor<2xi64>) -> "
    "tensor<2x5x1x2x2xf32>";

TEST(Positions, AnOffsetMovesQueries) {
  EXPECT_EQ(problemOf(kArguments, kAttention, 0, 1, 4), "");
}

TEST(Positions, LengthsDoNot) {
  EXPECT_EQ(problemOf(kArguments, kAttention, 0, 1, 3),
            "operand 3 is used for more than positions");
}

TEST(Positions, KeysAreNotMoved) {
  EXPECT_EQ(problemOf(kArguments, kAttention, 1, 1, 4),
            "more than positions depends on where a block starts");
}

TEST(Positions, HeadsHaveNone) {
  EXPECT_EQ(problemOf(kArguments, kAttention, 0, 3, 4),
            "positions are counted along another dimension");
}

TEST(Positions, AnOffsetThatIsConverted) {
  // Narrow sums would wrap around elsewhere.
  const std::string narrow =
      "%r = tpc.attention %q, %k, %k offset %o scale 0.5 causal : "
      "(tensor<2x5x1x2x2xf32>, tensor<2x5x1x2xf32>, tensor<2x5x1x2xf32>, "
      "tensor<i32>) -> tensor<2x5x1x2x2xf32>";
  EXPECT_EQ(problemOf("%q: tensor<2x5x1x2x2xf32>, %k: tensor<2x5x1x2xf32>, "
                      "%o: tensor<i32>",
                      narrow, 0, 1, 3),
            "operand 3 is used for more than positions");
}

} // namespace
