//===- MlirShardTest.cpp - Reshards, against MLIR's shard dialect ---------===//
//
// mlir-shard.txt has the cases: local shapes, and the one collective.
//
//===----------------------------------------------------------------------===//

#include "Plans.h"
#include "Table.h"
#include "TestModule.h"
#include "tpc/Sharding/ReshardPlanner.h"
#include <gtest/gtest.h>

using namespace mlir;
using namespace tpc;

namespace {

class MlirShard : public testing::TestWithParam<test::Row> {};

TEST_P(MlirShard, IsTheSame) {
  const std::vector<std::string> &fields = GetParam().fields;
  auto module = test::emptyModule("x=2");
  Mesh mesh = *lookupMesh(*module);
  SmallVector<int64_t> shape = test::shapeOf(fields[0]);
  Sharding from = test::shardingOf(fields[1]), to = test::shardingOf(fields[2]);
  std::vector<std::string> locals = test::words(fields[3]);
  EXPECT_EQ(localShape(shape, from, mesh), test::shapeOf(locals[0]));
  EXPECT_EQ(localShape(shape, to, mesh), test::shapeOf(locals[1]));
  for (const Machine &machine : {test::bytesMachine(), *findMachine("h100")}) {
    ReshardPlan plan =
        planReshard(from, to, shape, 4, CostModel(machine, mesh));
    std::string steps = plan.steps.empty() ? "none" : "";
    for (const ReshardStep &step : plan.steps)
      steps += stringify(step.kind);
    EXPECT_EQ(steps, fields[4]) << machine.name;
  }
}

std::vector<test::Row> cases() { return test::readTable("mlir-shard.txt", 5); }

INSTANTIATE_TEST_SUITE_P(Cases, MlirShard, testing::ValuesIn(cases()),
                         [](const auto &info) { return info.param.name; });

TEST(MlirShardTable, HasCases) { EXPECT_EQ(cases().size(), 15u); }

} // namespace
