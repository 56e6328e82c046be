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

class PlanMutation : public CompileAndRun,
                     public testing::WithParamInterface<TestProgram> {
protected:
  struct Counts {
    int mutants = 0, rejected = 0, acceptedEqual = 0;
  };

  /// Compiles, then tries every mutant.
  void mutate(const TestProgram &program) {
    compile(program);
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
    // Many exchanges of places clobber something.
    EXPECT_GT(counts.rejected, counts.mutants / 3);
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

TEST_P(PlanMutation, WrongPlansAreRejected) { mutate(GetParam()); }

INSTANTIATE_TEST_SUITE_P(Programs, PlanMutation,
                         testing::ValuesIn(testPrograms("f32")),
                         [](const auto &info) { return info.param.name; });

} // namespace
