//===- RuleTest.cpp - Sharding rules by brute force -----------------------===//
//
// Every operation, under every strategy of its rule, on meshes of one and two
// axes and of parts of an axis, must compute what it computes whole.
//
//===----------------------------------------------------------------------===//

#include "LocalCheck.h"
#include "PartitionCheck.h"
#include <gtest/gtest.h>

using namespace mlir;
using namespace tpc;
using namespace tpc::reference;

namespace {

struct TestMesh {
  const char *name;
  Mesh mesh;
  AxisList axes;
};

std::vector<TestMesh> testMeshes() {
  std::vector<TestMesh> meshes = {
      {"2", testMesh({{"x", 2}}), {}},
      {"3", testMesh({{"x", 3}}), {}},
      {"2x2", testMesh({{"x", 2}, {"y", 2}}), {}},
      {"2x3", testMesh({{"x", 2}, {"y", 3}}), {}},
      {"parts of 4", testMesh({{"x", 4}}), {}},
  };
  for (TestMesh &entry : meshes)
    entry.axes = entry.mesh.axes();
  StringAttr x = meshes.back().mesh.names[0];
  meshes.back().axes = {{x, 1, 2}, {x, 2, 2}};
  return meshes;
}

/// Tensors of i1 are not numbers: nothing makes a partial one.
bool hasPartialBool(Operation *op, const OpShardings &shardings) {
  for (auto [type, sharding] :
       llvm::zip_equal(op->getOperandTypes(), shardings.operands))
    if (sharding.isPartial() && getElementTypeOrSelf(type).isInteger(1))
      return true;
  return false;
}

std::string describe(const TestMesh &mesh, const OpShardings &shardings) {
  std::string text = std::string("mesh ") + mesh.name + ":";
  for (const Sharding &sharding : shardings.operands)
    text += " " + toString(sharding);
  text += " ->";
  for (const Sharding &sharding : shardings.results)
    text += " " + toString(sharding);
  return text;
}

bool hasUnevenOperand(const RuledOp &ruled, const OpShardings &shardings,
                      const Mesh &mesh) {
  for (auto [shape, sharding] :
       llvm::zip_equal(ruled.operandShapes, shardings.operands))
    for (auto [size, axes] : llvm::zip_equal(shape, sharding.dims))
      if (hasPadding(size, axes, mesh))
        return true;
  return false;
}

class Rule : public testing::TestWithParam<OpCase> {};

TEST_P(Rule, EveryStrategyComputesTheWhole) {
  std::mt19937 random(7);
  int failures = 0;
  for (const TestMesh &mesh : testMeshes()) {
    OwningOpRef<ModuleOp> module = moduleOf(GetParam(), mesh.mesh);
    Operation *op = operationOf(*module);
    RuledOp ruled = RuledOp::of(op);
    for (const Strategy &strategy :
         enumerateStrategies(ruled, mesh.axes, mesh.mesh)) {
      OpShardings shardings = *applyStrategy(ruled, strategy, mesh.mesh);
      if (hasPartialBool(op, shardings))
        continue;
      auto expectNone = [&](std::optional<std::string> problem,
                            const char *how) {
        failures += problem.has_value();
        EXPECT_FALSE(problem)
            << how << ", " << describe(mesh, shardings) << ": "
            << problem.value_or("") << "\nrule " << ruled.rule.str();
      };
      expectNone(checkPartitioned(GetParam(), mesh.mesh, shardings, Held::Whole,
                                  random),
                 "partitioned");
      if (hasUnevenOperand(ruled, shardings, mesh.mesh))
        expectNone(checkPartitioned(GetParam(), mesh.mesh, shardings,
                                    Held::Blocks, random),
                   "partitioned, held as blocks");
      if (!GetParam().operands.empty() &&
          isPlainlyLocal(ruled, strategy, shardings, mesh.mesh))
        expectNone(checkLocal(GetParam(), mesh.mesh, shardings, random),
                   "locally");
      if (failures > 4)
        return;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Op, Rule, testing::ValuesIn(opCases()),
                         [](const auto &info) { return info.param.name; });

//===----------------------------------------------------------------------===//
// The check itself
//===----------------------------------------------------------------------===//

/// Whether some strategy of the operation under a changed rule fails.
bool someStrategyFails(const OpCase &opCase,
                       llvm::function_ref<void(ShardingRule &)> change) {
  std::mt19937 random(7);
  Mesh mesh = testMesh({{"x", 2}});
  OwningOpRef<ModuleOp> module = moduleOf(opCase, mesh);
  RuledOp ruled = RuledOp::of(operationOf(*module));
  change(ruled.rule);
  for (const Strategy &strategy :
       enumerateStrategies(ruled, mesh.axes(), mesh)) {
    OpShardings shardings = *applyStrategy(ruled, strategy, mesh);
    if (isPlainlyLocal(ruled, strategy, shardings, mesh) &&
        checkLocal(opCase, mesh, shardings, random))
      return true;
  }
  return false;
}

const OpCase kMatmul{"",
                     "tpc.matmul %0, %1 \"m k, k n -> m n\"",
                     {"4x6xf32", "6x2xf32"},
                     {"4x2xf32"}};
const OpCase kSoftmax{"", "tpc.softmax %0", {"4x6xf32"}, {"4x6xf32"}, {}, 1e-5};
const OpCase kConcat{
    "", "tpc.concat %0, %1 dim 0", {"4x2xf32", "4x2xf32"}, {"8x2xf32"}};
const OpCase kTanh{"", "tpc.tanh %0", {"4xf32"}, {"4xf32"}, {}, 1e-5};
const OpCase kAbs{"", "tpc.abs %0", {"4xf32"}, {"4xf32"}};
const OpCase kSort{"", "tpc.sort %0", {"4x6xf32"}, {"4x6xf32", "4x6xi32"}};

TEST(WrongRule, RightRulesPass) {
  for (const OpCase &opCase : {kMatmul, kSoftmax, kConcat, kTanh, kAbs, kSort})
    EXPECT_FALSE(someStrategyFails(opCase, [](ShardingRule &) {}))
        << opCase.text;
}

TEST(WrongRule, ContractedAsParallel) {
  EXPECT_TRUE(someStrategyFails(kMatmul, [](ShardingRule &rule) {
    rule.find("k")->kind = FactorKind::Parallel;
  }));
}

TEST(WrongRule, ContractedWithTheWrongReduction) {
  EXPECT_TRUE(someStrategyFails(kMatmul, [](ShardingRule &rule) {
    rule.find("k")->reduction = Reduction::Max;
  }));
}

TEST(WrongRule, SynchronizedAsParallel) {
  EXPECT_TRUE(someStrategyFails(kSoftmax, [](ShardingRule &rule) {
    for (Factor &factor : rule.factors)
      factor.kind = FactorKind::Parallel;
  }));
}

TEST(WrongRule, ShiftedAsParallel) {
  EXPECT_TRUE(someStrategyFails(kConcat, [](ShardingRule &rule) {
    for (Factor &factor : rule.factors)
      factor.kind = FactorKind::Parallel;
  }));
}

TEST(WrongRule, WholeAsParallel) {
  EXPECT_TRUE(someStrategyFails(kSort, [](ShardingRule &rule) {
    for (Factor &factor : rule.factors)
      factor.kind = FactorKind::Parallel;
  }));
}

TEST(WrongRule, NotLinear) {
  for (const OpCase &opCase : {kTanh, kAbs})
    EXPECT_TRUE(someStrategyFails(opCase, [](ShardingRule &rule) {
      rule.linear = {{{0}, {Reduction::Sum}}};
    })) << opCase.text;
}

TEST(WrongRule, LinearInOneFactorOnlyOneAtATime) {
  EXPECT_TRUE(someStrategyFails(kMatmul, [](ShardingRule &rule) {
    rule.linear = {{{0, 1}, {Reduction::Sum}}};
  }));
}

//===----------------------------------------------------------------------===//
// Overridden rules
//===----------------------------------------------------------------------===//

/// What a composite says of itself may differ from what its decomposition
/// implies only where it avoids an expansion.
TEST(Override, TablesFollowFromTheDecomposition) {
  const OpCase cases[] = {
      {"", "tpc.embedding %0, %1", {"7x4xf32", "2x3xi32"}, {"2x3x4xf32"}},
      {"",
       "tpc.grouped_matmul %0, %1, %2",
       {"4x6xf32", "4x2xi32", "5x6x3xf32"},
       {"4x2x3xf32"}}};
  for (const OpCase &opCase : cases) {
    OwningOpRef<ModuleOp> module = moduleOf(opCase, testMesh({{"x", 2}}));
    Operation *op = operationOf(*module);
    ShardingRule own = cast<ShardingRuleOpInterface>(op).getShardingRule();
    ShardingRule derived =
        deriveShardingRule(cast<DecomposableOpInterface>(op));
    unsigned overridden = 0;
    for (Factor &factor : own.factors)
      if (factor.kind == FactorKind::Indexed) {
        factor.kind = FactorKind::Synchronized;
        ++overridden;
      }
    EXPECT_EQ(overridden, 1u) << opCase.text;
    EXPECT_EQ(own.str(), derived.str()) << opCase.text;
  }
}

/// The three weights have one dimension of experts, along which they are split
/// together; but for that the rule is the decomposition's.
TEST(Override, ExpertsFollowFromTheirDecomposition) {
  OpCase opCase{
      "",
      "tpc.experts %0, %1, %2, %3, %4, %5",
      {"4x6xf32", "4x2xi64", "4x2xf32", "5x6x3xf32", "5x6x3xf32", "5x3x7xf32"},
      {"4x7xf32"}};
  OwningOpRef<ModuleOp> module = moduleOf(opCase, testMesh({{"x", 2}}));
  Operation *op = operationOf(*module);
  EXPECT_EQ(deriveShardingRule(cast<DecomposableOpInterface>(op)).str(),
            "f0 f1, f0 f2, f0 f2, f3 f1 f4, f5 f1 f4, f6 f4 f7 -> f0 f7; "
            "synchronized f1; contracted f2 sum; synchronized f3; contracted "
            "f4 sum; synchronized f5; synchronized f6; linear {2}; linear {4}; "
            "linear {5}");
  EXPECT_EQ(cast<ShardingRuleOpInterface>(op).getShardingRule().str(),
            "n0 d, n0 c, n0 c, e d f, e d f, e f h -> n0 h; synchronized d; "
            "contracted c sum; indexed e; contracted f sum; linear {2}; linear "
            "{4}; linear {5}");
}

/// Queries are synchronized by nothing but their positions, so attention need
/// not be expanded for them.
TEST(Override, AttentionFollowsFromItsDecomposition) {
  struct Case {
    std::string text;
    std::vector<std::string> more;
    FactorKind kind;
    std::optional<unsigned> origin;
  };
  const Case cases[] = {
      {"scale 0.5 causal", {}, FactorKind::Positioned, {}},
      {"scale 0.5 window 2", {}, FactorKind::Positioned, {}},
      {"offset %3 scale 0.5 causal", {"i32"}, FactorKind::Positioned, {}},
      {"offset %3 scale 0.5 causal", {"i64"}, FactorKind::Positioned, 3},
      {"lengths %3 offset %4 scale 0.5 causal window 2",
       {"2xi32", "2xi64"},
       FactorKind::Positioned,
       4},
      {"lengths %3 scale 0.5", {"2xi64"}, FactorKind::Parallel, {}},
  };
  for (const Case &test : cases) {
    OpCase opCase{"",
                  "tpc.attention %0, %1, %2 " + test.text,
                  {"2x3x5x2x2xf32", "2x4x5x2xf32", "2x4x5x3xf32"},
                  {"2x3x5x2x3xf32"}};
    llvm::append_range(opCase.operands, test.more);
    OwningOpRef<ModuleOp> module = moduleOf(opCase, testMesh({{"x", 2}}));
    Operation *op = operationOf(*module);
    ShardingRule own = cast<ShardingRuleOpInterface>(op).getShardingRule();
    ShardingRule derived =
        deriveShardingRule(cast<DecomposableOpInterface>(op));
    Factor &queries = own.factors[own.operands[0][1][0]];
    EXPECT_EQ(queries.kind, test.kind) << test.text;
    EXPECT_EQ(queries.origin, test.origin) << test.text;
    if (queries.kind == FactorKind::Positioned) {
      queries.kind = FactorKind::Synchronized;
      queries.origin = std::nullopt;
    }
    EXPECT_EQ(own.str(), derived.str()) << test.text;
  }
}

} // namespace
