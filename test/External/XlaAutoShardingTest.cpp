//===- XlaAutoShardingTest.cpp - Small programs, against XLA --------------===//
//
// Source: openxla/xla, xla/hlo/experimental/auto_sharding/
// auto_sharding_test.cc. There work is split over all devices, and what is
// asserted is into how many tiles, or in which sharding what is pinned leaves
// the rest. Where several shardings send as little, the source accepts some;
// here as many tiles and no more bytes are asked for.
//
//===----------------------------------------------------------------------===//

#include "ModuleText.h"
#include "Plans.h"
#include "TestModule.h"
#include <gtest/gtest.h>

using namespace mlir;
using namespace tpc;

namespace {

/// An assignment, by the names of arguments and operations' positions.
class Assigned {
public:
  explicit Assigned(const test::ModuleText &m) : module(test::parse(m.str())) {
    AssignOptions options;
    options.machine = test::splittingMachine();
    found = test::assigned(*module, options);
    EXPECT_TRUE(found);
  }

  func::FuncOp function() { return *module->getOps<func::FuncOp>().begin(); }
  std::string argument(unsigned i) {
    return toString(found->assignment.held.lookup(function().getArgument(i)));
  }
  /// What the only product makes.
  Sharding product() {
    Sharding sharding;
    module->walk([&](MatmulOp op) {
      sharding = found->assignment.held.lookup(op.getResult());
    });
    return sharding;
  }
  int64_t tiles(const Sharding &sharding) {
    Mesh mesh = *lookupMesh(*module);
    int64_t count = 1;
    for (const AxisList &axes : sharding.dims)
      count *= mesh.size(axes);
    return count;
  }
  /// Whether nothing is sent: slices take less than a byte here.
  bool isSilent() const { return found->communicationMicros < 1e-3; }
  double sentMicros() const { return found->communicationMicros; }

private:
  OwningOpRef<ModuleOp> module;
  std::optional<test::PricedAssignment> found;
};

test::ModuleText product(const std::string &mesh, ArrayRef<int64_t> lhs,
                         ArrayRef<int64_t> rhs, ArrayRef<int64_t> result,
                         const std::string &equation) {
  test::ModuleText m(mesh);
  m.argument("a", lhs);
  m.argument("b", rhs);
  m.op("c", "matmul %a, %b \"" + equation + "\"", {"a", "b"}, result);
  m.result("c");
  return m;
}

void expectAllTiles(const test::ModuleText &m, int64_t tiles) {
  Assigned assigned(m);
  EXPECT_EQ(assigned.tiles(assigned.product()), tiles);
  EXPECT_TRUE(assigned.isSilent());
}

struct MeshCase {
  const char *name, *mesh;
  int64_t devices;
};
void PrintTo(const MeshCase &c, std::ostream *os) { *os << c.name; }

class XlaAutoShardingMesh : public testing::TestWithParam<MeshCase> {};

/// MatmulMeshShape1D..., MatmulMeshShape2D..., Matmul3DMeshShape2DSharding.
TEST_P(XlaAutoShardingMesh, MatmulMeshShape) {
  expectAllTiles(product(GetParam().mesh, {32, 64}, {64, 128}, {32, 128},
                         "i k, k j -> i j"),
                 GetParam().devices);
}

INSTANTIATE_TEST_SUITE_P(
    Meshes, XlaAutoShardingMesh,
    testing::Values(MeshCase{"4", "\"x\" = 4", 4},
                    MeshCase{"8", "\"x\" = 8", 8},
                    MeshCase{"2x2", "\"x\" = 2, \"y\" = 2", 4},
                    MeshCase{"1x4", "\"x\" = 1, \"y\" = 4", 4},
                    MeshCase{"4x1", "\"x\" = 4, \"y\" = 1", 4},
                    MeshCase{"1x2x2", "\"x\" = 1, \"y\" = 2, \"z\" = 2", 4},
                    MeshCase{"2x1x2", "\"x\" = 2, \"y\" = 1, \"z\" = 2", 4},
                    MeshCase{"2x2x1", "\"x\" = 2, \"y\" = 2, \"z\" = 1", 4}),
    [](const auto &info) { return std::string(info.param.name); });

const char *kMesh = "\"x\" = 2, \"y\" = 2";

TEST(XlaAutoSharding, DotLHSTwoNonContractingDims) {
  expectAllTiles(product(kMesh, {4, 256, 64}, {64, 32}, {4, 256, 32},
                         "b s k, k j -> b s j"),
                 4);
}
TEST(XlaAutoSharding, DotRHSTwoNonContractingDims) {
  expectAllTiles(product(kMesh, {4, 256, 32}, {4, 256, 4, 8}, {32, 4, 8},
                         "k l i, k l h j -> i h j"),
                 4);
}
TEST(XlaAutoSharding, DotTwoContractingDims) {
  expectAllTiles(product(kMesh, {4, 256, 64}, {4, 256, 32}, {64, 32},
                         "k l i, k l j -> i j"),
                 4);
}

/// There the second product's sum over one axis is reduced: an all_reduce of
/// half of the result. Rows by both axes send nothing.
TEST(XlaAutoSharding, TwoMatmul) {
  test::ModuleText m(kMesh);
  m.argument("a", {64, 64});
  m.argument("b", {64, 128});
  m.argument("c", {128, 64});
  m.op("d", "matmul %a, %b \"i k, k j -> i j\"", {"a", "b"}, {64, 128});
  m.op("e", "matmul %d, %c \"i k, k j -> i j\"", {"d", "c"}, {64, 64});
  m.result("e");
  EXPECT_LE(Assigned(m).sentMicros(),
            sentBytes(CollectiveKind::AllReduce, 64 * 64 * 4 / 2, 2) / 1000);
}

test::ModuleText pinnedProduct(bool arguments, bool result) {
  test::ModuleText m(kMesh);
  m.argument("a", {4, 256, 64}, arguments ? "[{}, {}, {\"x\"}]" : "");
  m.argument("b", {4, 256, 32}, arguments ? "[{}, {}, {\"y\"}]" : "");
  m.op("c", "matmul %a, %b \"k l i, k l j -> i j\"", {"a", "b"}, {64, 32});
  m.result("c", result ? "[{\"x\"}, {\"y\"}]" : "");
  return m;
}

TEST(XlaAutoSharding, AutoShardingKeepUserShardingInputOutput) {
  Assigned assigned(pinnedProduct(true, true));
  EXPECT_EQ(toString(assigned.product()), "[{\"x\"}, {\"y\"}]");
  EXPECT_TRUE(assigned.isSilent());
}
TEST(XlaAutoSharding, AutoShardingKeepUserShardingDot) {
  Assigned assigned(pinnedProduct(false, true));
  EXPECT_EQ(toString(assigned.product()), "[{\"x\"}, {\"y\"}]");
  EXPECT_TRUE(assigned.isSilent());
}
TEST(XlaAutoSharding, AutoShardingKeepUserShardingAdd) {
  test::ModuleText m(kMesh);
  m.argument("a", {128, 128});
  m.argument("b", {128, 128});
  m.op("c", "add %a, %b", {"a", "b"}, {128, 128});
  m.op("d", "shard %c <@mesh, [{\"x\"}, {}]>", {"c"}, {128, 128});
  m.result("d");
  Assigned assigned(m);
  EXPECT_EQ(assigned.argument(0), "[{\"x\"}, {}]");
  EXPECT_EQ(assigned.argument(1), "[{\"x\"}, {}]");
  EXPECT_TRUE(assigned.isSilent());
}

/// A slice of stacked weights, reshaped to heads, on 64 devices: there only
/// that it is sharded.
TEST(XlaAutoSharding, Reshape) {
  test::ModuleText m("\"x\" = 64, \"y\" = 1", "bf16");
  m.argument("stacked", {24, 2048, 2048});
  m.argument("starts", {3}, "", "i32");
  m.argument("a", {512, 1024, 2048});
  m.op("one", "dynamic_slice %stacked, %starts", {"stacked", "starts"},
       {1, 2048, 2048});
  m.op("heads", "reshape %one", {"one"}, {2048, 16, 128});
  m.op("c", "matmul %a, %heads \"b s k, k h d -> b s h d\"", {"a", "heads"},
       {512, 1024, 16, 128});
  m.result("c");
  expectAllTiles(m, 64);
}

} // namespace
