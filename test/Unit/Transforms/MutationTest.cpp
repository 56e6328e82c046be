//===- MutationTest.cpp - The proof rejects damaged programs --------------===//
//
// Every mutant (Mutations.h) that the simulator tells apart from the whole
// function must be rejected by tpc-verify-partition, with an error in the
// program and a note in the whole function; the programs themselves must be
// accepted. Mutants that compute the same may be rejected: a proof does not
// follow every coincidence (a maximum over equal contributions).
//
//===----------------------------------------------------------------------===//

#include "Assignments.h"
#include "Mutations.h"
#include "ProgramOracle.h"
#include "RandomProgram.h"
#include "TestModule.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "tpc/Pipeline/Compiler.h"
#include "tpc/Transforms/Passes.h"
#include <gtest/gtest.h>

using namespace mlir;
using namespace tpc;

namespace {

struct Counts {
  unsigned mutants = 0, toldApart = 0, rejected = 0, equalRejected = 0;
  void operator+=(const Counts &o) {
    mutants += o.mutants;
    toldApart += o.toldApart;
    rejected += o.rejected;
    equalRejected += o.equalRejected;
  }
  std::string str() const {
    return std::to_string(mutants) + " mutants, " + std::to_string(toldApart) +
           " told apart, " + std::to_string(rejected) +
           " of them rejected; of the equal ones " +
           std::to_string(equalRejected) + " rejected";
  }
};

OwningOpRef<ModuleOp> partitioned(const std::string &text, StringRef mode,
                                  const std::string &machine = "") {
  OwningOpRef<ModuleOp> module = test::parse(text);
  AssignPhaseOptions options;
  options.mode = mode.str();
  options.machine = machine;
  options.timeLimit = 0.2;
  EXPECT_TRUE(module && succeeded(runPhase(*module, [&](OpPassManager &pm) {
                buildAssignPhase(pm, options);
                buildPartitionPhase(pm);
              })));
  return module;
}

/// Runs every mutation, or each `step`th.
Counts testMutants(ModuleOp module, unsigned step = 1) {
  Counts counts;
  auto function = *module.getOps<func::FuncOp>().begin();
  test::ProgramOracle oracles[] = {{function, 1}, {function, 2}};
  EXPECT_FALSE(oracles[0].difference(test::programOf(module)));
  EXPECT_TRUE(succeeded(test::runPass(module, createVerifyPartitionPass())));
  std::vector<test::Mutation> mutations = test::mutationsOf(module);
  for (size_t i = 0; i < mutations.size(); i += step) {
    OwningOpRef<ModuleOp> mutant = test::mutated(module, mutations[i]);
    if (!mutant)
      continue;
    test::Diagnostics diagnostics;
    bool proved =
        succeeded(test::runPass(*mutant, createVerifyPartitionPass()));
    std::optional<std::string> difference;
    for (test::ProgramOracle &oracle : oracles)
      if (!difference)
        difference = oracle.difference(test::programOf(*mutant));
    ++counts.mutants;
    counts.toldApart += difference.has_value();
    counts.rejected += difference && !proved;
    counts.equalRejected += !difference && !proved;
    if (difference && proved)
      ADD_FAILURE() << "proved though wrong: " << mutations[i].name << "\n"
                    << *difference;
    EXPECT_TRUE(proved || diagnostics.located > 0)
        << mutations[i].name
        << "\nerror without a location or note: " << diagnostics.text;
  }
  return counts;
}

struct Case {
  const char *name;
  const char *mode;
  const char *text;
};
void PrintTo(const Case &c, std::ostream *os) { *os << c.name; }

const Case kCases[] = {
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
    {"AttentionSplitQueries", "propagate", R"(
tpc.mesh @mesh <"tp" = 3>
func.func @main(%q: tensor<2x4x1x2x2xf64> {tpc.sharding = #tpc.sharding<@mesh, [{}, {"tp"}, {}, {}, {}]>}, %k: tensor<2x5x1x2xf64>, %v: tensor<2x5x1x3xf64>, %offset: tensor<2xi32>) -> tensor<2x4x1x2x3xf64> {
  %c = tpc.attention %q, %k, %v scale 0.7 causal : (tensor<2x4x1x2x2xf64>, tensor<2x5x1x2xf64>, tensor<2x5x1x3xf64>) -> tensor<2x4x1x2x3xf64>
  %w = tpc.attention %q, %k, %v offset %offset scale 0.7 window 2 : (tensor<2x4x1x2x2xf64>, tensor<2x5x1x2xf64>, tensor<2x5x1x3xf64>, tensor<2xi32>) -> tensor<2x4x1x2x3xf64>
  %y = tpc.add %c, %w : (tensor<2x4x1x2x3xf64>, tensor<2x4x1x2x3xf64>) -> tensor<2x4x1x2x3xf64>
  return %y : tensor<2x4x1x2x3xf64>
}
)"},
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
    {"Experts", "megatron", R"(
tpc.mesh @mesh <"tp" = 2>
tpc.parameter @gate : tensor<4x3x5xf64>
tpc.parameter @up : tensor<4x3x5xf64>
tpc.parameter @down : tensor<4x5x3xf64>
func.func @main(%x: tensor<4x3xf64>, %i: tensor<4x2xi32>, %s: tensor<4x2xf64>) -> tensor<4x3xf64> {
  %g = tpc.read @gate : tensor<4x3x5xf64>
  %u = tpc.read @up : tensor<4x3x5xf64>
  %d = tpc.read @down : tensor<4x5x3xf64>
  %y = tpc.experts %x, %i, %s, %g, %u, %d : (tensor<4x3xf64>, tensor<4x2xi32>, tensor<4x2xf64>, tensor<4x3x5xf64>, tensor<4x3x5xf64>, tensor<4x5x3xf64>) -> tensor<4x3xf64>
  %r = tpc.add %y, %x : (tensor<4x3xf64>, tensor<4x3xf64>) -> tensor<4x3xf64>
  return %r : tensor<4x3xf64>
}
)"},
    {"ExpertsUneven", "propagate", R"(
tpc.mesh @mesh <"tp" = 3>
tpc.parameter @gate : tensor<5x3x5xf64> {tpc.sharding = #tpc.sharding<@mesh, [{"tp"}, {}, {}]>}
tpc.parameter @up : tensor<5x3x5xf64> {tpc.sharding = #tpc.sharding<@mesh, [{"tp"}, {}, {}]>}
tpc.parameter @down : tensor<5x5x3xf64> {tpc.sharding = #tpc.sharding<@mesh, [{"tp"}, {}, {}]>}
func.func @main(%x: tensor<4x3xf64>, %i: tensor<4x2xi32>, %s: tensor<4x2xf64>) -> tensor<4x3xf64> {
  %g = tpc.read @gate : tensor<5x3x5xf64>
  %u = tpc.read @up : tensor<5x3x5xf64>
  %d = tpc.read @down : tensor<5x5x3xf64>
  %y = tpc.experts %x, %i, %s, %g, %u, %d : (tensor<4x3xf64>, tensor<4x2xi32>, tensor<4x2xf64>, tensor<5x3x5xf64>, tensor<5x3x5xf64>, tensor<5x5x3xf64>) -> tensor<4x3xf64>
  %r = tpc.add %y, %x : (tensor<4x3xf64>, tensor<4x3xf64>) -> tensor<4x3xf64>
  return %r : tensor<4x3xf64>
}
)"},
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
};

class MutationTest : public testing::TestWithParam<Case> {};

TEST_P(MutationTest, WrongMutantsAreRejected) {
  OwningOpRef<ModuleOp> module = partitioned(GetParam().text, GetParam().mode);
  ASSERT_FALSE(HasFailure());
  Counts counts = testMutants(*module);
  EXPECT_GT(counts.toldApart, 20u);
  std::cout << GetParam().name << ": " << counts.str() << "\n";
}

INSTANTIATE_TEST_SUITE_P(Programs, MutationTest, testing::ValuesIn(kCases),
                         [](const auto &info) { return info.param.name; });

TEST(RandomMutationTest, WrongMutantsAreRejected) {
  unsigned first = 0, count = 120;
  if (const char *range = std::getenv("TPC_RANDOM_PROGRAMS"))
    std::sscanf(range, "%u,%u", &first, &count);
  Counts counts;
  std::string eager = test::eagerMachineFile();
  for (unsigned seed = first; seed < first + count; ++seed) {
    const char *modes[] = {"megatron", "propagate", "auto"};
    const char *mode = modes[seed % 3];
    OwningOpRef<ModuleOp> module =
        partitioned(test::randomProgram(seed), mode, eager);
    Counts own = testMutants(*module, /*step=*/7);
    counts += own;
    ASSERT_FALSE(HasFailure()) << "seed " << seed << ", " << mode;
  }
  std::remove(eager.c_str());
  std::cout << "random programs: " << counts.str() << "\n";
}

} // namespace
