//===- RecomputationTest.cpp - What is computed again for gradients -------===//
//
// Every way to compute operations and send values again, as the prediction of
// the module in which that stands prices it, against what the optimizer finds
// for limits on memory.
//
//===----------------------------------------------------------------------===//

#include "Recomputation.h"
#include "Assignments.h"
#include "TestModule.h"
#include "mlir/IR/Verifier.h"
#include "tpc/Sharding/PlanFile.h"
#include "tpc/Sharding/Prediction.h"
#include <gtest/gtest.h>
#include <map>

using namespace mlir;
using namespace tpc;

namespace {

// Two sections, from %x to %s1 and from there to %s2. Gradients read what is
// wide in each.
constexpr const char *kChain = R"(
tpc.mesh @mesh <"tp" = 1>
func.func @main(%x: tensor<8xf32>) -> (tensor<f32>, tensor<8xf32> {tpc.name = "grad.x"}) {
  %w1 = tpc.broadcast %x dims [1] : (tensor<8xf32>) -> tensor<16x8xf32>
  %e1 = tpc.exp %w1 : (tensor<16x8xf32>) -> tensor<16x8xf32>
  %t1 = tpc.tanh %e1 : (tensor<16x8xf32>) -> tensor<16x8xf32>
  %s1 = tpc.reduce sum %t1 dims [0] : (tensor<16x8xf32>) -> tensor<8xf32>
  %w2 = tpc.broadcast %s1 dims [1] : (tensor<8xf32>) -> tensor<16x8xf32>
  %e2 = tpc.cos %w2 : (tensor<16x8xf32>) -> tensor<16x8xf32>
  %t2 = tpc.sin %e2 : (tensor<16x8xf32>) -> tensor<16x8xf32>
  %s2 = tpc.reduce sum %t2 dims [0] : (tensor<16x8xf32>) -> tensor<8xf32>
  %loss = tpc.reduce sum %s2 dims [0] : (tensor<8xf32>) -> tensor<f32>
  %d2 = tpc.mul %t2, %e2 : (tensor<16x8xf32>, tensor<16x8xf32>) -> tensor<16x8xf32>
  %g2 = tpc.reduce sum %d2 dims [0] : (tensor<16x8xf32>) -> tensor<8xf32>
  %d1 = tpc.mul %t1, %e1 : (tensor<16x8xf32>, tensor<16x8xf32>) -> tensor<16x8xf32>
  %g1 = tpc.reduce sum %d1 dims [0] : (tensor<16x8xf32>) -> tensor<8xf32>
  %g = tpc.mul %g1, %g2 : (tensor<8xf32>, tensor<8xf32>) -> tensor<8xf32>
  return %loss, %g : tensor<f32>, tensor<8xf32>
}
)";

// A parameter that two devices hold a half of, and each wants whole twice: for
// the product and for the gradient of its input.
constexpr const char *kStored = R"(
tpc.mesh @mesh <"dp" = 2>
tpc.parameter @w : tensor<32x32xf32> {tpc.sharding = #tpc.sharding<@mesh, [{"dp"}, {}]>}
func.func @main(%x: tensor<256x32xf32> {tpc.sharding = #tpc.sharding<@mesh, [{"dp"}, {}]>}, %v: tensor<32x64xf32> {tpc.sharding = #tpc.sharding<@mesh, [{}, {}]>})
    -> (tensor<256x64xf32> {tpc.sharding = #tpc.sharding<@mesh, [{"dp"}, {}]>}, tensor<256x32xf32> {tpc.name = "grad.x", tpc.sharding = #tpc.sharding<@mesh, [{"dp"}, {}]>}) {
  %w = tpc.read @w : tensor<32x32xf32>
  %h = tpc.matmul %x, %w "b e, e f -> b f" : (tensor<256x32xf32>, tensor<32x32xf32>) -> tensor<256x32xf32>
  %y = tpc.matmul %h, %v "b f, f g -> b g" : (tensor<256x32xf32>, tensor<32x64xf32>) -> tensor<256x64xf32>
  %s = tpc.tanh %y : (tensor<256x64xf32>) -> tensor<256x64xf32>
  %p = tpc.exp %v : (tensor<32x64xf32>) -> tensor<32x64xf32>
  %q = tpc.matmul %s, %p "b g, f g -> b f" : (tensor<256x64xf32>, tensor<32x64xf32>) -> tensor<256x32xf32>
  %dx = tpc.matmul %q, %w "b f, e f -> b e" : (tensor<256x32xf32>, tensor<32x32xf32>) -> tensor<256x32xf32>
  return %y, %dx : tensor<256x64xf32>, tensor<256x32xf32>
}
)";

func::FuncOp entryOf(ModuleOp module) {
  return *module.getOps<func::FuncOp>().begin();
}

Operation *find(ModuleOp module, StringRef name) {
  Operation *found = nullptr;
  entryOf(module).walk([&](Operation *op) {
    if (!found && op->getName().getStringRef() == name)
      found = op;
  });
  return found;
}

TEST(Recomputation, KnowsWhatMayBeAndWhen) {
  OwningOpRef<ModuleOp> module = test::parse(kChain);
  ASSERT_TRUE(module);
  Recomputation recomputation(entryOf(*module));
  EXPECT_EQ(recomputation.boundary(), 9);
  // What the gradient reads first decides for all of the section.
  for (StringRef name : {"tpc.cos", "tpc.sin"})
    EXPECT_EQ(recomputation.timeAgain(find(*module, name)), 9) << name.str();
  for (StringRef name : {"tpc.broadcast", "tpc.exp", "tpc.tanh"})
    EXPECT_EQ(recomputation.timeAgain(find(*module, name)), 11) << name.str();
  // Between the sections stands what may be kept for the second. The loss is
  // kept in any case, and gradients are not forward.
  for (auto reduce : entryOf(*module).getOps<ReduceOp>()) {
    EXPECT_FALSE(recomputation.timeAgain(reduce));
    EXPECT_EQ(recomputation.mayBeKept(reduce),
              reduce == find(*module, "tpc.reduce"));
  }
  EXPECT_FALSE(recomputation.timeAgain(find(*module, "tpc.mul")));
}

TEST(Recomputation, NothingIsForGradientsWithoutThem) {
  std::string text = kChain;
  text.replace(text.find("grad.x"), 6, "second");
  OwningOpRef<ModuleOp> module = test::parse(text);
  ASSERT_TRUE(module);
  Recomputation recomputation(entryOf(*module));
  for (Operation &op : entryOf(*module).getBody().front())
    EXPECT_FALSE(recomputation.timeAgain(&op));
}

/// A state that is written may not be what it was.
TEST(Recomputation, WrittenStatesAreNotReadAgain) {
  auto timeOf = [](bool writes) {
    std::string text = R"(
tpc.mesh @mesh <"tp" = 1>
tpc.state @s : tensor<8xf32>
func.func @main(%x: tensor<8xf32>) -> (tensor<f32>, tensor<8xf32> {tpc.name = "grad.x"}) {
  %s = tpc.read @s : tensor<8xf32>
  %a = tpc.exp %s : (tensor<8xf32>) -> tensor<8xf32>
  %b = tpc.mul %a, %x : (tensor<8xf32>, tensor<8xf32>) -> tensor<8xf32>
  WRITE
  %loss = tpc.reduce sum %b dims [0] : (tensor<8xf32>) -> tensor<f32>
  %g = tpc.neg %a : (tensor<8xf32>) -> tensor<8xf32>
  return %loss, %g : tensor<f32>, tensor<8xf32>
}
)";
    text.replace(text.find("WRITE"), 5,
                 writes ? "tpc.write @s, %x : tensor<8xf32>" : "");
    OwningOpRef<ModuleOp> module = test::parse(text);
    EXPECT_TRUE(module);
    Recomputation recomputation(entryOf(*module));
    return recomputation.timeAgain(find(*module, "tpc.exp")).has_value();
  };
  EXPECT_TRUE(timeOf(false));
  EXPECT_FALSE(timeOf(true));
}

/// All ways to keep, and the least time for each limit. Lives are counted to
/// the first operation of a section that could be computed again, so what is
/// found for a limit may be what there is for a little less.
void compareWithAll(StringRef text, double slack) {
  OwningOpRef<ModuleOp> module = test::parse(text.str());
  ASSERT_TRUE(module);
  AssignOptions options;
  options.machine = test::eagerMachine();
  auto kept = test::assigned(*module, options);
  ASSERT_TRUE(kept);
  EXPECT_TRUE(kept->assignment.again.empty());
  std::vector<Operation *> forward;
  Recomputation recomputation(entryOf(*module));
  std::vector<std::pair<Value, Sharding>> sent;
  for (Operation &op : entryOf(*module).getBody().front()) {
    if (recomputation.timeAgain(&op))
      forward.push_back(&op);
    auto wanted = kept->assignment.wanted.find(&op);
    for (auto [i, operand] : llvm::enumerate(op.getOperands()))
      if (wanted->second[i] != kept->assignment.held.lookup(operand) &&
          !llvm::is_contained(sent, std::pair(operand, wanted->second[i])))
        sent.push_back({operand, wanted->second[i]});
  }
  std::map<int64_t, double> least; // by peak
  for (unsigned again = 0; again < 1U << forward.size(); ++again)
    for (unsigned resent = 0; resent < 1U << sent.size(); ++resent) {
      Assignment assignment = kept->assignment;
      for (size_t i = 0; i < forward.size(); ++i)
        if (again >> i & 1)
          assignment.again.insert(forward[i]);
      for (size_t i = 0; i < sent.size(); ++i)
        if (resent >> i & 1)
          assignment.resentAgain[sent[i].first].push_back(sent[i].second);
      auto priced = test::priced(*module, std::move(assignment), options);
      auto [it, fresh] = least.try_emplace(priced.peakBytes, priced.micros);
      it->second = std::min(it->second, priced.micros);
    }
  auto bestWithin = [&](double limit) {
    double best = std::numeric_limits<double>::infinity();
    for (auto [peak, micros] : least)
      if (double(peak) <= limit)
        best = std::min(best, micros);
    return best;
  };
  ASSERT_GT(least.size(), 1U);
  ASSERT_LT(least.begin()->first, kept->peakBytes);
  bool isAnyAgain = false;
  for (auto [peak, micros] : least) {
    if (peak >= kept->peakBytes)
      continue;
    SCOPED_TRACE(peak);
    options.memoryLimit = peak;
    auto found = test::assigned(*module, options);
    if (!found) {
      EXPECT_EQ(bestWithin(peak * slack),
                std::numeric_limits<double>::infinity());
      continue;
    }
    EXPECT_LE(found->peakBytes, peak);
    EXPECT_GE(found->micros, bestWithin(double(peak)) * (1 - 1e-6));
    EXPECT_LE(found->micros, bestWithin(peak * slack) * (1 + 1e-6));
    EXPECT_EQ(found->assignment.search->gap, 0);
    isAnyAgain |= recomputes(found->assignment);
  }
  EXPECT_TRUE(isAnyAgain);
}

TEST(Recomputation, IsTheBestThatFits) { compareWithAll(kChain, 0.75); }
TEST(Recomputation, SendsAgainWhatIsHeldSplit) { compareWithAll(kStored, 1); }

TEST(Recomputation, StandsWhereGradientsNeedIt) {
  OwningOpRef<ModuleOp> module = test::parse(kChain);
  ASSERT_TRUE(module);
  AssignOptions options;
  options.machine = test::eagerMachine();
  auto kept = test::assigned(*module, options);
  ASSERT_TRUE(kept);
  Assignment assignment = kept->assignment;
  assignment.again = {find(*module, "tpc.exp"), find(*module, "tpc.tanh"),
                      find(*module, "tpc.sin")};
  placeRecomputation(*module, assignment);
  EXPECT_TRUE(succeeded(mlir::verify(*module)));
  std::vector<std::string> names;
  for (Operation &op : entryOf(*module).getBody().front()) {
    names.push_back(op.getName().stripDialect().str());
    if (!isa<func::ReturnOp>(op)) {
      EXPECT_TRUE(assignment.held.contains(op.getResult(0)));
    }
    EXPECT_TRUE(assignment.wanted.contains(&op));
  }
  EXPECT_EQ(names, (std::vector<std::string>{
                       "broadcast", "exp", "tanh",   "reduce", "broadcast",
                       "cos",       "sin", "reduce", "reduce", "again",
                       "sin",       "mul", "reduce", "again",  "exp",
                       "tanh",      "mul", "reduce", "mul",    "return"}));
}

TEST(Recomputation, IsWrittenIntoPlans) {
  for (const char *text : {kChain, kStored}) {
    OwningOpRef<ModuleOp> module = test::parse(text);
    ASSERT_TRUE(module);
    AssignOptions options;
    options.machine = test::eagerMachine();
    auto kept = test::assigned(*module, options);
    options.memoryLimit = kept->peakBytes - 1;
    auto found = test::assigned(*module, options);
    ASSERT_TRUE(found);
    Mesh mesh = *lookupMesh(*module);
    auto written = planFileText(*module, mesh, found->assignment, options);
    ASSERT_TRUE(succeeded(written));
    EXPECT_NE(written->find(text == kChain ? "again" : " resent "),
              std::string::npos)
        << *written;
    options.plan = PlanText{"plan.json", *written};
    auto followed = test::assigned(*module, options);
    ASSERT_TRUE(followed);
    EXPECT_EQ(followed->micros, found->micros);
    EXPECT_EQ(followed->peakBytes, found->peakBytes);
    EXPECT_EQ(*planFileText(*module, mesh, followed->assignment, options),
              *written);
  }
}

} // namespace
