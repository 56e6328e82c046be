// Mutation test of tpc-verify-plan: places of values are exchanged, moved and
// made to overlap. A mutant that the proof accepts must compute what the plan
// computed; most mutants do not, and must have been rejected.

#include "CompileAndRun.h"
#include "mlir/IR/Diagnostics.h"
#include "tpc/Codegen/Passes.h"
#include "tpc/Dialect/Plan/Plan.h"
#include "tpc/Pipeline/Compiler.h"
#include "tpc/Target/Artifact.h"

using namespace mlir;
using namespace tpc;
using namespace tpc::test;

namespace {

/// A place of one value of a plan that may be changed.
using Places = SmallVector<std::pair<OpResult, plan::PlaceAttr>>;

class PlanMutation : public CompileAndRun {
protected:
  struct Counts {
    int mutants = 0, rejected = 0, acceptedEqual = 0;
  };

  /// Compiles, then tries every mutant.
  void mutate(StringRef text) {
    compile(text);
    if (HasFatalFailure())
      return;
    auto whole = planned->lookupSymbol<FunctionOpInterface>("main");
    for (Type type : whole.getArgumentTypes())
      inputs.push_back(randomTensor(
          withSharding(cast<RankedTensorType>(type), ShardingAttr())));
    expected = run(inputs);
    Counts counts;
    Places places = arenaPlaces();
    for (size_t i = 0; i < places.size(); ++i) {
      // Elsewhere: half a line on, and where every other value is.
      tryMutant({{places[i].first, moved(places[i].second, 32)}}, counts);
      for (size_t j = 0; j < places.size(); ++j) {
        if (i == j || places[i].second == places[j].second)
          continue;
        tryMutant({{places[i].first, places[j].second}}, counts);
        if (i < j)
          tryMutant({{places[i].first, places[j].second},
                     {places[j].first, places[i].second}},
                    counts);
      }
    }
    RecordProperty("mutants", counts.mutants);
    RecordProperty("rejected", counts.rejected);
    EXPECT_GT(counts.mutants, 5);
    // Most exchanges of places clobber something.
    EXPECT_GT(counts.rejected, counts.mutants / 2);
  }

private:
  Places arenaPlaces() {
    Places places;
    planned->walk([&](Operation *op) {
      if (isa<plan::ViewOp>(op))
        return;
      for (OpResult result : op->getResults())
        if (isa<plan::PlanDialect>(op->getDialect()))
          if (auto place = plan::placeOf(result))
            if (place.getSpace() == plan::Space::Arena)
              places.push_back({result, place});
    });
    return places;
  }

  static plan::PlaceAttr moved(plan::PlaceAttr place, int64_t by) {
    return plan::PlaceAttr::get(place.getContext(), place.getSpace(),
                                place.getSymbol(), place.getOffset() + by);
  }

  void tryMutant(const Places &changes, Counts &counts) {
    Places before;
    for (auto [result, place] : changes) {
      before.push_back({result, plan::placeOf(result)});
      plan::setPlace(result, place);
    }
    ++counts.mutants;
    bool located = false;
    {
      ScopedDiagnosticHandler quiet(&context, [&](Diagnostic &diagnostic) {
        located |= diagnostic.getSeverity() == DiagnosticSeverity::Error;
        return success();
      });
      if (failed(runPhase(*planned, [](OpPassManager &pm) {
            pm.addPass(createVerifyPlan());
          }))) {
        ++counts.rejected;
        EXPECT_TRUE(located);
      } else {
        expectSameResults(counts);
      }
    }
    for (auto [result, place] : before)
      plan::setPlace(result, place);
  }

  void expectSameResults(Counts &counts) {
    auto payload = emitArtifact(*planned, {});
    ASSERT_TRUE(succeeded(payload));
    load(*payload);
    if (HasFatalFailure())
      return;
    auto found = run(inputs);
    ASSERT_EQ(found.size(), expected.size());
    for (size_t i = 0; i < found.size(); ++i)
      EXPECT_EQ(found[i].data, expected[i].data)
          << "the proof accepted a plan that computes something else";
    ++counts.acceptedEqual;
  }

  std::vector<reference::Tensor> inputs, expected;
};

TEST_F(PlanMutation, ColumnRowPair) {
  mutate(R"(
tpc.mesh @mesh <"tp" = 2>
tpc.parameter @up : tensor<12x20xf32>
tpc.parameter @down : tensor<20x12xf32>
func.func @main(%x: tensor<6x12xf32>) -> tensor<6x12xf32> {
  %up = tpc.read @up : tensor<12x20xf32>
  %down = tpc.read @down : tensor<20x12xf32>
  %h = tpc.matmul %x, %up "b e, e f -> b f" : (tensor<6x12xf32>, tensor<12x20xf32>) -> tensor<6x20xf32>
  %a = tpc.gelu erf %h : (tensor<6x20xf32>) -> tensor<6x20xf32>
  %y = tpc.matmul %a, %down "b f, f e -> b e" : (tensor<6x20xf32>, tensor<20x12xf32>) -> tensor<6x12xf32>
  %r = tpc.add %y, %x : (tensor<6x12xf32>, tensor<6x12xf32>) -> tensor<6x12xf32>
  return %r : tensor<6x12xf32>
})");
}

TEST_F(PlanMutation, AttentionWithNorm) {
  mutate(R"(
tpc.mesh @mesh <"tp" = 2>
tpc.parameter @wq : tensor<8x3x1x4xf32>
tpc.parameter @wk : tensor<8x3x4xf32>
tpc.parameter @wo : tensor<3x1x4x8xf32>
tpc.parameter @scale : tensor<8xf32>
tpc.parameter @shift : tensor<8xf32>
func.func @main(%x: tensor<2x5x8xf32>) -> tensor<2x5x8xf32> {
  %wq = tpc.read @wq : tensor<8x3x1x4xf32>
  %wk = tpc.read @wk : tensor<8x3x4xf32>
  %wo = tpc.read @wo : tensor<3x1x4x8xf32>
  %scale = tpc.read @scale : tensor<8xf32>
  %shift = tpc.read @shift : tensor<8xf32>
  %q = tpc.matmul %x, %wq "b s e, e k g d -> b s k g d" : (tensor<2x5x8xf32>, tensor<8x3x1x4xf32>) -> tensor<2x5x3x1x4xf32>
  %k = tpc.matmul %x, %wk "b t e, e k d -> b t k d" : (tensor<2x5x8xf32>, tensor<8x3x4xf32>) -> tensor<2x5x3x4xf32>
  %a = tpc.attention %q, %k, %k scale 0.5 : (tensor<2x5x3x1x4xf32>, tensor<2x5x3x4xf32>, tensor<2x5x3x4xf32>) -> tensor<2x5x3x1x4xf32>
  %o = tpc.matmul %a, %wo "b s k g d, k g d e -> b s e" : (tensor<2x5x3x1x4xf32>, tensor<3x1x4x8xf32>) -> tensor<2x5x8xf32>
  %r = tpc.add %o, %x : (tensor<2x5x8xf32>, tensor<2x5x8xf32>) -> tensor<2x5x8xf32>
  %n = tpc.layer_norm %r, %scale, %shift epsilon 1.0e-5 : (tensor<2x5x8xf32>, tensor<8xf32>, tensor<8xf32>) -> tensor<2x5x8xf32>
  return %n : tensor<2x5x8xf32>
})");
}

TEST_F(PlanMutation, VocabularySplit) {
  mutate(R"(
tpc.mesh @mesh <"tp" = 3>
tpc.parameter @table : tensor<50x8xf32>
func.func @main(%t: tensor<2x5xi64>) -> tensor<2x5x50xf32> {
  %table = tpc.read @table : tensor<50x8xf32>
  %x = tpc.embedding %table, %t : (tensor<50x8xf32>, tensor<2x5xi64>) -> tensor<2x5x8xf32>
  %h = tpc.tanh %x : (tensor<2x5x8xf32>) -> tensor<2x5x8xf32>
  %y = tpc.matmul %h, %table "b s e, v e -> b s v" : (tensor<2x5x8xf32>, tensor<50x8xf32>) -> tensor<2x5x50xf32>
  return %y : tensor<2x5x50xf32>
})");
}

TEST_F(PlanMutation, GatheredInnerDimension) {
  mutate(R"(
tpc.mesh @mesh <"dp" = 2, "tp" = 2>
func.func @main(%x: tensor<4x6x5xf32> {tpc.sharding = #tpc.sharding<@mesh, [{"dp"}, {"tp"}, {}]>})
    -> (tensor<4x6x5xf32> {tpc.sharding = #tpc.sharding<@mesh, [{}, {}, {"tp"}]>}) {
  %a = tpc.exp %x : (tensor<4x6x5xf32>) -> tensor<4x6x5xf32>
  %t = tpc.transpose %a [2, 1, 0] : (tensor<4x6x5xf32>) -> tensor<5x6x4xf32>
  %s = tpc.softmax %t : (tensor<5x6x4xf32>) -> tensor<5x6x4xf32>
  %y = tpc.transpose %s [2, 1, 0] : (tensor<5x6x4xf32>) -> tensor<4x6x5xf32>
  return %y : tensor<4x6x5xf32>
})");
}

TEST_F(PlanMutation, StateUpdatedInPlace) {
  mutate(R"(
tpc.mesh @mesh <"tp" = 2>
tpc.state @cache : tensor<8x6xf32>
func.func @main(%x: tensor<2x6xf32>, %at: tensor<2xi64>) -> (tensor<8x6xf32>, tensor<2x6xf32>) {
  %old = tpc.read @cache : tensor<8x6xf32>
  %e = tpc.exp %x : (tensor<2x6xf32>) -> tensor<2x6xf32>
  %new = tpc.update_slice %old, %e, %at : (tensor<8x6xf32>, tensor<2x6xf32>, tensor<2xi64>) -> tensor<8x6xf32>
  tpc.write @cache, %new : tensor<8x6xf32>
  %n = tpc.neg %new : (tensor<8x6xf32>) -> tensor<8x6xf32>
  %m = tpc.mul %e, %x : (tensor<2x6xf32>, tensor<2x6xf32>) -> tensor<2x6xf32>
  return %n, %m : tensor<8x6xf32>, tensor<2x6xf32>
})");
}

} // namespace
