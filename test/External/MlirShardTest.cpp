//===- MlirShardTest.cpp - Reshards, against MLIR's shard dialect ---------===//
//
// mlir-shard.txt has the cases: local shapes, and the one collective.
//
//===----------------------------------------------------------------------===//

#include "ModuleText.h"
#include "Plans.h"
#include "Table.h"
#include "TestModule.h"
#include "tpc/Dialect/Spmd/Spmd.h"
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

/// mlp_1dgrid in all-scatter-op-lowering.mlir and its neighbours: 512 rows,
/// 2048 to 1024 and back, on four devices. The input's columns are gathered,
/// the result is reduced; weights by columns and by rows stay where they are.
/// (Between the products is a sigmoid there.)
TEST(MlirShard, Mlp) {
  test::ModuleText m("\"x\" = 4");
  m.argument("x", {512, 2048}, "[{}, {\"x\"}]");
  m.argument("up", {2048, 1024}, "[{}, {\"x\"}]");
  m.argument("down", {1024, 2048}, "[{\"x\"}, {}]");
  m.op("h", "matmul %x, %up \"b e, e f -> b f\"", {"x", "up"}, {512, 1024});
  m.op("a", "tanh %h", {"h"}, {512, 1024});
  m.op("y", "matmul %a, %down \"b f, f e -> b e\"", {"a", "down"}, {512, 2048});
  m.result("y", "[{}, {}]");
  AssignOptions options;
  options.machine = *findMachine("h100");
  test::Plan plan = test::planOf(m.str(), options);
  EXPECT_EQ(plan.str(), "all_gather 1048576\nall_reduce 1048576\n");
  ASSERT_TRUE(plan.module);
  auto program = *plan.module.get().getOps<spmd::ProgramOp>().begin();
  std::vector<std::string> locals;
  program.walk([&](MatmulOp op) {
    for (Value value : {op.getLhs(), op.getRhs(), op.getResult()}) {
      auto shape = cast<RankedTensorType>(value.getType()).getShape();
      locals.push_back(std::to_string(shape[0]) + "x" +
                       std::to_string(shape[1]));
    }
  });
  EXPECT_EQ(locals,
            (std::vector<std::string>{"512x2048", "2048x256", "512x256",
                                      "512x256", "256x2048", "512x2048"}));
}

TEST(MlirShardTable, HasCases) { EXPECT_EQ(cases().size(), 15u); }

} // namespace
