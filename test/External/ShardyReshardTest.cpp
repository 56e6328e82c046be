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

/// Where the target splits a dimension by more devices than it has elements.
/// Cutting unevenly by two axes at once is not cutting by one after the other,
/// and part of an uneven cut is not a cut by a part: more bytes here,
const char *kMoreBytes[] = {"slice_on_multiple_src_dims",
                            "all_to_all_axes_at_src_and_tgt_out_of_order",
                            "replace_sub_axes_2", "replace_sub_axes_3"};
/// more time here,
const char *kLonger[] = {"cannot_slice_on_src_dim_axes_out_of_order",
                         "all_to_all_axes_at_src_and_tgt_out_of_order"};
/// and not known to be best.
const char *kUnbounded[] = {"replace_sub_axes_2", "replace_sub_axes_3"};

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

  static bool isIn(ArrayRef<const char *> names) {
    return llvm::is_contained(names, GetParam().name);
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
    // Theirs cuts several dimensions in one step; slices send nothing.
    if (step.kind == "slice")
      return planReshard(before, after, shape, kF32, costs).micros;
    AxisList moved;
    for (unsigned dim = 0; dim < shape.size(); ++dim)
      moved.append(onlyIn(before, after, dim));
    if (step.kind == "gather")
      return costs.collectiveMicros(CollectiveKind::AllGather, afterBytes,
                                    moved);
    EXPECT_EQ(step.kind, "permute");
    return costs.collectiveMicros(CollectiveKind::Permute, bytes,
                                  exchanged(before, after));
  }

  /// The axes that are not where they were.
  AxisList exchanged(const Sharding &before, const Sharding &after) const {
    AxisList axes;
    auto add = [&](const AxisList &from, const AxisList &other) {
      for (auto [i, axis] : llvm::enumerate(from))
        if ((i >= other.size() || other[i] != axis) &&
            llvm::none_of(axes,
                          [&](const AxisRef &a) { return a.overlaps(axis); }))
          axes.push_back(axis);
    };
    for (auto [a, b] : llvm::zip_equal(before.dims, after.dims)) {
      add(a, b);
      add(b, a);
    }
    return axes;
  }

  void compare(const Machine &machine, bool isDearer) const {
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
    EXPECT_EQ(plan.bound < plan.micros - 1e-6, isIn(kUnbounded)) << ours;
    if (isDearer)
      EXPECT_GT(plan.micros, theirs + 1e-6) << ours;
    else
      EXPECT_LE(plan.micros, theirs + 1e-6) << ours;
  }

  OwningOpRef<ModuleOp> module;
  Mesh mesh;
  SmallVector<int64_t> shape;
  Sharding from, to;
  std::vector<Step> steps;
};

TEST_P(ShardyReshard, SendsNoMore) {
  compare(test::bytesMachine(), isIn(kMoreBytes));
}

TEST_P(ShardyReshard, TakesNoLonger) {
  compare(*findMachine("h100"), isIn(kLonger));
}

std::vector<test::Row> cases() {
  return test::readTable("shardy-reshard.txt", 4);
}

INSTANTIATE_TEST_SUITE_P(Cases, ShardyReshard, testing::ValuesIn(cases()),
                         [](const auto &info) { return info.param.name; });

TEST(ShardyReshardTable, HasAllFunctions) { EXPECT_EQ(cases().size(), 64u); }

} // namespace
