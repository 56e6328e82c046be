//===- RandomOptimizerTest.cpp - What mode auto promises ------------------===//
//
// On random graphs the optimizer keeps its promises: its cost is what
// predict() says of the assignment that it returns, no other assignment
// (of the rules, or any at random) is below its bound, that of the rule-based
// mode is never cheaper, a memory limit is kept, and "there is none" is said
// only where no assignment that is known fits.
//
//===----------------------------------------------------------------------===//

#include "Assignments.h"
#include "RandomProgram.h"
#include "TestModule.h"
#include <gtest/gtest.h>

using namespace mlir;
using namespace tpc;

namespace {

/// Costs are rounded to picoseconds, each.
bool isAtMost(double a, double b) { return a <= b * (1 + 1e-6) + 1e-4; }

/// The optimizer's bound holds for its space: it leaves out what only wastes,
/// but a pin that cuts a dimension into more blocks than it has elements makes
/// that of use, and axes are cut in two at one place only. Where another mode
/// is better, the optimizer takes its assignment and says so.
bool isInSpace(const test::PricedAssignment &found) {
  return found.assignment.search->limitedBy != "strategies of another mode";
}

/// There the problem's cost is a bound only.
bool hasManyUsers(ModuleOp module) {
  bool many = false;
  auto check = [&](Value value) {
    many |= std::distance(value.use_begin(), value.use_end()) > 8;
  };
  for (auto function : module.getOps<func::FuncOp>()) {
    llvm::for_each(function.getArguments(), check);
    for (Operation &op : function.getBody().front())
      llvm::for_each(op.getResults(), check);
  }
  return many;
}

AssignOptions optionsFor(unsigned seed) {
  static const Machine eager = test::eagerMachine();
  AssignOptions options;
  options.machine = seed % 4 == 0   ? *findMachine("cpu")
                    : seed % 4 == 1 ? *findMachine("h100")
                                    : eager;
  options.timeLimit = 0.2;
  return options;
}

/// Assignments that the optimizer did not make.
std::vector<test::PricedAssignment>
others(ModuleOp module, const AssignOptions &options, unsigned seed) {
  std::vector<test::PricedAssignment> found;
  for (const char *mode : {"megatron", "propagate"}) {
    AssignOptions own = options;
    own.mode = mode;
    if (auto other = test::assigned(module, own))
      found.push_back(std::move(*other));
    else
      ADD_FAILURE() << "not assigned by " << mode;
  }
  test::AssignmentSpace space(module, options);
  std::mt19937 random(seed);
  for (int i = 0; i < 3; ++i)
    found.push_back(test::priced(module, space.any(random), options));
  return found;
}

std::string modes(size_t i) {
  return i == 0   ? "megatron"
         : i == 1 ? "propagate"
                  : "random " + std::to_string(i - 2);
}

struct Counts {
  unsigned unlimited = 0, proven = 0, limited = 0, none = 0, outside = 0;
};

void checkCertificate(ModuleOp module, const test::PricedAssignment &found) {
  const SearchSummary &search = *found.assignment.search;
  EXPECT_NEAR(search.costMicros, found.micros, 1e-6 * found.micros);
  EXPECT_LE(search.lowerBoundMicros, search.costMicros);
  if (!hasManyUsers(module))
    EXPECT_NE(search.limitedBy, "values with many users")
        << "predicted " << found.micros << " us, bound "
        << search.lowerBoundMicros;
}

void checkUnlimited(ModuleOp module, const test::PricedAssignment &best,
                    ArrayRef<test::PricedAssignment> known, Counts &counts) {
  const SearchSummary &search = *best.assignment.search;
  ++counts.unlimited;
  counts.proven += search.gap == 0;
  EXPECT_TRUE(isAtMost(best.micros, known[0].micros))
      << best.micros << " us, megatron " << known[0].micros;
  checkCertificate(module, best);
  if (!isInSpace(best)) {
    ++counts.outside;
    return;
  }
  for (auto [i, other] : llvm::enumerate(known))
    EXPECT_TRUE(isAtMost(search.lowerBoundMicros, other.micros))
        << modes(i) << " takes " << other.micros << " us, the bound is "
        << search.lowerBoundMicros;
}

/// A limit that binds: half way between the least memory of what is known and
/// what the best assignment takes.
void checkLimited(ModuleOp module, AssignOptions options,
                  const test::PricedAssignment &best,
                  ArrayRef<test::PricedAssignment> known, Counts &counts) {
  int64_t least = best.peakBytes;
  for (const test::PricedAssignment &other : known)
    least = std::min(least, other.peakBytes);
  if (least == best.peakBytes)
    return;
  options.memoryLimit = (least + best.peakBytes) / 2;
  test::Diagnostics diagnostics;
  auto limited = test::assigned(module, options);
  ++counts.limited;
  if (!limited) {
    ++counts.none;
    auto says = [&](const char *text) {
      return diagnostics.text.find(text) != std::string::npos;
    };
    // Pins may be blamed where there was no time to try without them.
    bool blamesPins = says("no assignment that fits");
    EXPECT_TRUE(says("no assignment found that fits") || blamesPins)
        << diagnostics.text;
    // Where time is up, a random one may fit.
    bool isProven = says("there is none") || blamesPins;
    for (auto [i, other] :
         llvm::enumerate(known.take_front(isProven ? known.size() : 2)))
      // A copy counts from its first user to its last in the problem, and only
      // while it is needed in the prediction: what fits by a few percent may
      // be missed (docs/search.md).
      EXPECT_GT(1.05 * other.peakBytes, *options.memoryLimit)
          << modes(i) << " fits, but the optimizer says: " << diagnostics.text;
    return;
  }
  EXPECT_LE(limited->peakBytes, *options.memoryLimit);
  if (best.assignment.search->gap == 0 && isInSpace(best))
    EXPECT_TRUE(isAtMost(best.micros, limited->micros));
  checkCertificate(module, *limited);
  const SearchSummary &search = *limited->assignment.search;
  if (!isInSpace(*limited)) {
    ++counts.outside;
    return;
  }
  for (auto [i, other] : llvm::enumerate(known))
    if (other.peakBytes <= *options.memoryLimit)
      EXPECT_TRUE(isAtMost(search.lowerBoundMicros, other.micros))
          << modes(i) << " fits and takes " << other.micros
          << " us, the bound is " << search.lowerBoundMicros;
}

TEST(RandomOptimizer, KeepsItsPromises) {
  unsigned first = 0, count = 25, wrong = 0;
  if (const char *range = std::getenv("TPC_RANDOM_PROGRAMS"))
    std::sscanf(range, "%u,%u", &first, &count);
  Counts counts;
  for (unsigned seed = first; seed < first + count && wrong < 5; ++seed) {
    std::string text = test::randomProgram(seed);
    SCOPED_TRACE("seed " + std::to_string(seed) + "\n" + text);
    unsigned failures = testing::UnitTest::GetInstance()
                            ->current_test_info()
                            ->result()
                            ->total_part_count();
    OwningOpRef<ModuleOp> module = test::parse(text);
    ASSERT_TRUE(module);
    AssignOptions options = optionsFor(seed);
    auto best = test::assigned(*module, options);
    ASSERT_TRUE(best);
    auto known = others(*module, options, seed);
    checkUnlimited(*module, *best, known, counts);
    checkLimited(*module, options, *best, known, counts);
    wrong += testing::UnitTest::GetInstance()
                 ->current_test_info()
                 ->result()
                 ->total_part_count() > int(failures);
  }
  std::cout << counts.unlimited << " random graphs, " << counts.proven
            << " proven; with a limit " << counts.limited << ", for "
            << counts.none << " of them nothing found; " << counts.outside
            << " outside of the space\n";
  EXPECT_GT(counts.limited, counts.unlimited / 5);
  EXPECT_LE(counts.none, counts.limited / 2);
  EXPECT_GT(counts.proven, counts.unlimited / 2);
  EXPECT_LE(counts.outside, counts.unlimited / 20);
}

} // namespace
