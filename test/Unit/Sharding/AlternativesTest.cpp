//===- AlternativesTest.cpp - What explanations say -----------------------===//
//
// Every answer of an explanation against all assignments of a small module: the
// best one in which the value is held so, or in which the collective does not
// stand. The optimizer's problem is not asked.
//
//===----------------------------------------------------------------------===//

#include "tpc/Sharding/Alternatives.h"
#include "AssignedReshards.h"
#include "Assignments.h"
#include "Decisions.h"
#include "Optimizer.h"
#include "TestModule.h"
#include "tpc/Sharding/Explanation.h"
#include <gtest/gtest.h>

using namespace mlir;
using namespace tpc;

namespace {

const char *const kPair = R"(
tpc.mesh @mesh <"tp" = 2>
tpc.parameter @up : tensor<4x8xf32>
tpc.parameter @down : tensor<8x4xf32>
func.func @main(%x: tensor<2x4xf32> {tpc.sharding = #tpc.sharding<@mesh, [{}, {}]>})
    -> (tensor<2x4xf32> {tpc.sharding = #tpc.sharding<@mesh, [{}, {}]>}) {
  %up = tpc.read @up : tensor<4x8xf32>
  %down = tpc.read @down : tensor<8x4xf32>
  %h = tpc.matmul %x, %up "b e, e f -> b f" : (tensor<2x4xf32>, tensor<4x8xf32>) -> tensor<2x8xf32>
  %y = tpc.matmul %h, %down "b f, f e -> b e" : (tensor<2x8xf32>, tensor<8x4xf32>) -> tensor<2x4xf32>
  return %y : tensor<2x4xf32>
}
)";

/// Of a table that is looked up and multiplied by.
const char *const kTied = R"(
tpc.mesh @mesh <"tp" = 2>
tpc.parameter @table : tensor<16x2xf32>
func.func @main(%t: tensor<2xi32> {tpc.sharding = #tpc.sharding<@mesh, [{}]>}) -> (tensor<2x16xf32>) {
  %table = tpc.read @table : tensor<16x2xf32>
  %e = tpc.embedding %table, %t : (tensor<16x2xf32>, tensor<2xi32>) -> tensor<2x2xf32>
  %y = tpc.matmul %e, %table "b e, v e -> b v" : (tensor<2x2xf32>, tensor<16x2xf32>) -> tensor<2x16xf32>
  return %y : tensor<2x16xf32>
}
)";

/// Its softmax communicates inside.
const char *const kSoftmax = R"(
tpc.mesh @mesh <"tp" = 2>
tpc.parameter @w : tensor<6x2xf32>
func.func @main(%x: tensor<4x6xf32> {tpc.sharding = #tpc.sharding<@mesh, [{}, {"tp"}]>}) -> (tensor<4x2xf32>) {
  %w = tpc.read @w : tensor<6x2xf32>
  %s = tpc.softmax %x : (tensor<4x6xf32>) -> tensor<4x6xf32>
  %y = tpc.matmul %s, %w "b e, e f -> b f" : (tensor<4x6xf32>, tensor<6x2xf32>) -> tensor<4x2xf32>
  return %y : tensor<4x2xf32>
}
)";

/// A module, all its assignments, and the one that the optimizer chooses.
class AlternativesTest : public testing::Test {
protected:
  void open(const char *text, const Machine &machine,
            std::optional<int64_t> memoryLimit = std::nullopt) {
    module = test::parse(text);
    ASSERT_TRUE(module);
    mesh = *lookupMesh(*module);
    options.machine = machine;
    options.memoryLimit = memoryLimit;
    all.clear();
    test::AssignmentSpace space(*module, options);
    ASSERT_LT(space.count(), 20000);
    space.forEach([&](Assignment assignment) {
      all.push_back(test::priced(*module, std::move(assignment), options));
    });
    auto found = test::assigned(*module, options);
    ASSERT_TRUE(found);
    base = std::move(*found);
  }

  /// The best of all assignments within the limit that are as wanted.
  template <typename Fn> std::optional<double> least(Fn isWanted) const {
    std::optional<double> best;
    for (const test::PricedAssignment &one : all)
      if ((!options.memoryLimit || one.peakBytes <= *options.memoryLimit) &&
          isWanted(one.assignment) && (!best || one.micros < *best))
        best = one.micros;
    return best;
  }

  template <typename Fn>
  void expectBest(const AlternativePlan &plan, Fn isWanted,
                  const std::string &what) const {
    std::optional<double> best = least(isWanted);
    EXPECT_EQ(plan.kind == AlternativePlan::Found, best.has_value()) << what;
    if (!best)
      return;
    EXPECT_NEAR(base.micros + plan.deltaMicros, *best, 1e-6 * *best) << what;
    EXPECT_TRUE(plan.isProven) << what;
  }

  Sharding canonicalOf(const Sharding &sharding, Value value) const {
    return canonical(sharding,
                     cast<RankedTensorType>(value.getType()).getShape(), mesh);
  }

  /// How an assignment holds what an explained value is, in words.
  std::string heldAs(const ExplainedValue &value,
                     const Assignment &assignment) const {
    ModuleDecisions decisions = ModuleDecisions::of(*module);
    for (const Decision &parameter : decisions.parameters)
      if (parameter.name == value.name)
        return describeSharding(assignment.symbols.lookup(
            SymbolTable::getSymbolName(parameter.op)));
    EntryDecisions &entry = decisions.entries[0];
    Block &body = entry.function.getBody().front();
    for (const Decision &input : entry.inputs)
      if (input.name == value.name)
        return describeSharding(
            assignment.held.lookup(body.getArgument(input.index)));
    for (const Decision &output : entry.outputs)
      if (output.name == value.name)
        return describeSharding(
            assignment.wanted.find(body.getTerminator())->second[0]);
    for (const Decision &operation : entry.operations)
      if (operation.name == value.name) {
        Value result = operation.op->getResult(0);
        return describeSharding(
            canonicalOf(assignment.held.lookup(result), result));
      }
    ADD_FAILURE() << "there is no " << value.name;
    return "";
  }

  void checkValues() {
    auto explained = explain(*module, mesh, options, base.assignment, {"*"});
    ASSERT_TRUE(succeeded(explained));
    ASSERT_FALSE(explained->values.empty());
    for (const ExplainedValue &value : explained->values)
      for (const ExplainedChoice &choice : value.choices)
        expectBest(
            choice.isChosen ? chosen() : choice.plan,
            [&](const Assignment &assignment) {
              return heldAs(value, assignment) == choice.sharding;
            },
            value.name + " " + choice.sharding);
  }

  /// What the optimizer chose is the best that is so.
  static AlternativePlan chosen() {
    AlternativePlan plan;
    plan.kind = AlternativePlan::Found;
    plan.isProven = true;
    return plan;
  }

  std::string reasonOf(const AssignedReshard &reshard) const {
    return explainReshard(describe(reshard.value), reshard.from,
                          describe(reshard.user), reshard.to);
  }

  /// How many collectives there were to explain.
  size_t checkCollectives() {
    auto explained = explain(*module, mesh, options, base.assignment, {});
    EXPECT_TRUE(succeeded(explained));
    auto function = *module->getOps<func::FuncOp>().begin();
    std::vector<AssignedReshard> own =
        reshardsOf(function, base.assignment, mesh);
    double micros = 0;
    for (const ExplainedCollective &collective : explained->collectives) {
      micros += collective.count * collective.micros;
      auto made = llvm::find_if(own, [&](const AssignedReshard &reshard) {
        return reasonOf(reshard) == collective.because;
      });
      if (made == own.end())
        continue; // inside a composite
      expectBest(
          collective.without,
          [&](const Assignment &assignment) {
            return llvm::none_of(reshardsOf(function, assignment, mesh),
                                 [&](const AssignedReshard &other) {
                                   return other.value == made->value &&
                                          other.from == made->from &&
                                          other.to == made->to;
                                 });
          },
          "without: " + collective.because);
      expectBest(
          *collective.local,
          [&](const Assignment &assignment) {
            return canonicalOf(assignment.held.lookup(made->value),
                               made->value) == made->to;
          },
          "as wanted: " + collective.because);
    }
    EXPECT_NEAR(micros, base.communicationMicros, 1e-6 * micros);
    return explained->collectives.size();
  }

  OwningOpRef<ModuleOp> module;
  Mesh mesh;
  AssignOptions options;
  std::vector<test::PricedAssignment> all;
  test::PricedAssignment base;
};

TEST_F(AlternativesTest, Pair) {
  open(kPair, test::eagerMachine());
  checkValues();
  EXPECT_GE(checkCollectives(), 1u);
  open(kPair, *findMachine("h100"));
  checkValues();
  EXPECT_EQ(checkCollectives(), 0u); // splitting does not pay
}

TEST_F(AlternativesTest, TiedTable) {
  open(kTied, test::eagerMachine());
  checkValues();
  EXPECT_GE(checkCollectives(), 1u);
}

TEST_F(AlternativesTest, InsideComposites) {
  open(kSoftmax, test::eagerMachine());
  checkValues();
  checkCollectives();
  auto explained = explain(*module, mesh, options, base.assignment, {});
  ASSERT_TRUE(succeeded(explained));
  auto inside =
      llvm::find_if(explained->collectives, [](const ExplainedCollective &c) {
        return !c.local.has_value();
      });
  ASSERT_NE(inside, explained->collectives.end());
  Operation *softmax = nullptr;
  module->walk([&](SoftmaxOp op) { softmax = op; });
  expectBest(
      inside->without,
      [&](const Assignment &assignment) {
        return assignment.wanted.lookup(softmax)[0].dims[1].empty();
      },
      "softmax");
}

/// Under a limit that some choices exceed: they are said to be impossible,
/// exactly where nothing fits.
TEST_F(AlternativesTest, MemoryLimit) {
  open(kPair, test::eagerMachine());
  int64_t low = INT64_MAX, high = 0;
  for (const test::PricedAssignment &one : all) {
    low = std::min(low, one.peakBytes);
    high = std::max(high, one.peakBytes);
  }
  size_t tooLarge = 0;
  for (int percent : {10, 30, 60}) {
    open(kPair, test::eagerMachine(), low + (high - low) * percent / 100);
    checkValues();
    checkCollectives();
    auto explained = explain(*module, mesh, options, base.assignment, {"*"});
    ASSERT_TRUE(succeeded(explained));
    for (const ExplainedValue &value : explained->values)
      for (const ExplainedChoice &choice : value.choices)
        tooLarge += choice.plan.kind == AlternativePlan::TooLarge;
  }
  EXPECT_GT(tooLarge, 0u);
}

/// Where a search starts from: what is demanded, and else the plan as it is.
TEST_F(AlternativesTest, Nearest) {
  for (const char *text : {kPair, kTied}) {
    open(text, test::eagerMachine());
    Optimizer optimizer(options);
    ASSERT_TRUE(succeeded(optimizer.open(*module, mesh)));
    const ShardingProblem &problem = optimizer.problem();
    for (auto parameter : module->getOps<ParameterOp>())
      for (const Sharding &sharding :
           problem.choicesFor(parameter.getSymNameAttr())) {
        SearchDemands demands;
        demands.symbols[parameter.getSymNameAttr()] = sharding;
        auto restricted = problem.under(demands);
        ASSERT_TRUE(restricted);
        auto choice = problem.nearest(*restricted, base.assignment);
        ASSERT_TRUE(choice);
        EXPECT_TRUE(solver::price(*restricted, *choice).feasible);
        Assignment found = problem.assignment(*choice);
        for (auto &[name, held] : found.symbols)
          EXPECT_EQ(toString(held),
                    toString(name == parameter.getSymNameAttr()
                                 ? sharding
                                 : base.assignment.symbols.lookup(name)));
        for (auto &[op, wanted] : found.wanted)
          for (auto [i, own] : llvm::enumerate(wanted))
            EXPECT_EQ(toString(own),
                      toString(base.assignment.wanted.find(op)->second[i]));
      }
  }
}

TEST_F(AlternativesTest, TimeIsBounded) {
  open(kPair, test::eagerMachine());
  options.timeLimit = 1e-9;
  auto explained = explain(*module, mesh, options, base.assignment, {"up"});
  ASSERT_TRUE(succeeded(explained));
  EXPECT_EQ(explained->plans, 0);
  for (const ExplainedChoice &choice : explained->values[0].choices)
    EXPECT_EQ(choice.plan.kind, choice.isChosen ? AlternativePlan::Found
                                                : AlternativePlan::OutOfTime);
}

TEST_F(AlternativesTest, UnknownNames) {
  open(kPair, test::eagerMachine());
  test::Diagnostics diagnostics;
  EXPECT_TRUE(
      failed(explain(*module, mesh, options, base.assignment, {"upp"})));
  EXPECT_NE(diagnostics.text.find("found \"upp\"; there are, for example: up"),
            std::string::npos)
      << diagnostics.text;
  EXPECT_TRUE(
      failed(explain(*module, mesh, options, base.assignment, {"up["})));
  EXPECT_NE(diagnostics.text.find("malformed pattern \"up[\""),
            std::string::npos)
      << diagnostics.text;
}

} // namespace
