//===- ShardyReshardTest.cpp - Reshards, against Shardy -------------------===//
//
// shardy-reshard.txt has the cases: two shardings and the sequence of
// collectives that Shardy makes. Ours never sends more, and never takes longer
// under a model of GPUs; both sequences are priced alike.
//
//===----------------------------------------------------------------------===//

#include "Plans.h"
#include "Table.h"
#include "TestModule.h"
#include "tpc/Sharding/ReshardPlanner.h"
#include <gtest/gtest.h>
#include <sstream>

using namespace mlir;
using namespace tpc;

namespace {

constexpr int64_t kF32 = 4;

/// One step of Shardy's sequence.
struct Step {
  std::string kind;
  AxisList axes; ///< of all_to_all
  Sharding result;

  /// "a2a:x,y {x,y}{}"
  explicit Step(const std::string &text) {
    std::vector<std::string> parts = test::words(text);
    size_t colon = parts[0].find(':');
    kind = parts[0].substr(0, colon);
    result = test::shardingOf(parts[1]);
    if (colon != std::string::npos)
      axes = test::shardingOf("{" + parts[0].substr(colon + 1) + "}").dims[0];
  }
};

class ShardyReshard : public testing::TestWithParam<test::Row> {
protected:
  void SetUp() override {
    const std::vector<std::string> &fields = GetParam().fields;
    module = test::emptyModule(fields[0]);
    mesh = *lookupMesh(*module);
    shape = test::shapeOf(fields[1]);
    from = to = test::shardingOf(fields[2]);
    std::istringstream list(fields[3]);
    for (std::string step; std::getline(list, step, ';');) {
      steps.emplace_back(step);
      to = steps.back().result;
    }
  }

  double localBytes(const Sharding &sharding) const {
    double bytes = kF32;
    for (int64_t n : localShape(shape, sharding, mesh))
      bytes *= n;
    return bytes;
  }

  /// The axes, or parts of them, that split dimension `dim` in `one` and not in
  /// `other`.
  AxisList onlyIn(const Sharding &one, const Sharding &other,
                  unsigned dim) const {
    AxisList axes;
    for (const AxisRef &axis : one.dims[dim]) {
      if (llvm::is_contained(other.dims[dim], axis))
        continue;
      // Of "y" = 8 and "y":(1)4 it is the minor part.
      auto part = llvm::find_if(
          other.dims[dim], [&](const AxisRef &l) { return l.overlaps(axis); });
      if (part == other.dims[dim].end())
        axes.push_back(axis);
      else
        axes.push_back({axis.name, part->pre * part->size,
                        mesh.size(axis) / mesh.size(*part)});
    }
    return axes;
  }

  double micros(const Sharding &before, const Step &step,
                const CostModel &costs) const {
    const Sharding &after = step.result;
    double bytes = localBytes(before), afterBytes = localBytes(after);
    if (step.kind == "a2a")
      return costs.collectiveMicros(CollectiveKind::AllToAll,
                                    std::max(bytes, afterBytes), step.axes);
    double sum = 0;
    AxisList moved;
    // A dimension after the other; theirs does all in one step.
    for (unsigned dim = 0; dim < shape.size(); ++dim) {
      if (step.kind == "slice" && before.dims[dim] != after.dims[dim])
        sum += costs.copyMicros(afterBytes);
      AxisList gathered = onlyIn(before, after, dim);
      moved.append(gathered);
    }
    if (step.kind == "gather")
      sum +=
          costs.collectiveMicros(CollectiveKind::AllGather, afterBytes, moved);
    if (step.kind == "permute")
      sum +=
          costs.collectiveMicros(CollectiveKind::Permute, bytes, mesh.axes());
    return sum;
  }

  void compare(const Machine &machine) const {
    CostModel costs(machine, mesh);
    ReshardPlan plan = planReshard(from, to, shape, kF32, costs);
    double theirs = 0;
    Sharding at = from;
    for (const Step &step : steps) {
      theirs += micros(at, step, costs);
      at = step.result;
    }
    std::string ours;
    for (const ReshardStep &step : plan.steps)
      ours += " " + toString(step.result);
    EXPECT_LE(plan.micros, theirs + 1e-6) << machine.name << ":" << ours;
  }

  OwningOpRef<ModuleOp> module;
  Mesh mesh;
  SmallVector<int64_t> shape;
  Sharding from, to;
  std::vector<Step> steps;
};

TEST_P(ShardyReshard, SendsNoMore) { compare(test::bytesMachine()); }
TEST_P(ShardyReshard, TakesNoLonger) { compare(*findMachine("h100")); }

std::vector<test::Row> cases() {
  return test::readTable("shardy-reshard.txt", 4);
}

INSTANTIATE_TEST_SUITE_P(Cases, ShardyReshard, testing::ValuesIn(cases()),
                         [](const auto &info) { return info.param.name; });

TEST(ShardyReshardTable, HasAllFunctions) { EXPECT_EQ(cases().size(), 64u); }

} // namespace
