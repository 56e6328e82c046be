//===- ReshardTest.cpp - From every sharding to every other ---------------===//
//
// Reshards between every pair of shardings go through partition, proof and
// simulation with poisoned padding, and must leave the value as it is. Partial
// sources are made by reducing a leading dimension that is split over the
// partial axes, so that contributions differ; partial targets are reduced
// before they leave the program.
//
//===----------------------------------------------------------------------===//

#include "ProgramOracle.h"
#include "Shardings.h"
#include "TestModule.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "tpc/Transforms/Passes.h"
#include <gtest/gtest.h>

using namespace mlir;
using namespace tpc;

namespace {

struct Case {
  const char *name;
  const char *mesh;
  /// Sizes of the parts into which the first axis is also cut, or none.
  SmallVector<int64_t, 2> parts;
  SmallVector<Reduction, 2> reductions;
  std::vector<SmallVector<int64_t>> shapes;
};
void PrintTo(const Case &c, std::ostream *os) { *os << c.name; }

/// Functions that reshard between pairs of shardings of one shape.
class ReshardModule {
public:
  ReshardModule(const Case &c, ArrayRef<int64_t> shape)
      : module(test::emptyModule(c.mesh)), mesh(*lookupMesh(*module)),
        shape(shape), builder(&test::context()) {}

  void add(const Sharding &from, const Sharding &to) {
    Location loc = NameLoc::get(
        builder.getStringAttr(toString(from) + " -> " + toString(to)));
    builder.setInsertionPointToEnd(module->getBody());
    auto plain = RankedTensorType::get(shape, builder.getF64Type());
    RankedTensorType source = withSharding(plain, from);
    Sharding whole = to;
    whole.partial.clear();
    auto function = func::FuncOp::create(
        builder, loc, "f" + std::to_string(count++),
        builder.getFunctionType({argumentType(source)},
                                {withSharding(plain, whole)}));
    Block *body = function.addEntryBlock();
    builder.setInsertionPointToStart(body);
    Value value = body->getArgument(0);
    if (from.isPartial())
      value = ReduceOp::create(builder, loc, source, from.partial[0].reduction,
                               value, builder.getDenseI64ArrayAttr({0}));
    value = reshard(value, to, loc);
    if (to.isPartial())
      value = reshard(value, whole, loc);
    func::ReturnOp::create(builder, loc, value);
  }

  /// What is wrong with the first wrong function; counts the reshards.
  void check(unsigned &reshards) {
    test::Diagnostics diagnostics;
    ASSERT_TRUE(succeeded(test::runPass(*module, createPartitionPass())))
        << diagnostics.text;
    ASSERT_TRUE(succeeded(test::runPass(*module, createVerifyPartitionPass())))
        << diagnostics.text;
    for (auto program : module->getOps<spmd::ProgramOp>()) {
      auto function = module->lookupSymbol<func::FuncOp>(program.getWhole());
      test::ProgramOracle oracle(function, /*seed=*/1, /*tolerance=*/1e-12);
      auto problem = oracle.difference(program);
      ASSERT_FALSE(problem)
          << cast<NameLoc>(program.getLoc()).getName().str() << "\n"
          << *problem;
      ++reshards;
    }
  }

private:
  /// The reduced dimension in front, split over the partial axes.
  RankedTensorType argumentType(RankedTensorType source) {
    Sharding sharding = getSharding(source).getValue();
    if (!sharding.isPartial())
      return source;
    AxisList axes;
    for (const PartialAxis &p : sharding.partial)
      axes.push_back(p.axis);
    sharding.partial.clear();
    sharding.dims.insert(sharding.dims.begin(), axes);
    SmallVector<int64_t> contributions{mesh.size(axes)};
    llvm::append_range(contributions, shape);
    return withSharding(
        RankedTensorType::get(contributions, source.getElementType()),
        sharding);
  }

  Value reshard(Value value, const Sharding &to, Location loc) {
    auto type = cast<RankedTensorType>(value.getType());
    auto origin =
        OriginAttr::get(builder.getContext(), builder.getStringAttr("x"),
                        builder.getStringAttr("y"), getSharding(type),
                        ShardingAttr::get(builder.getContext(), to));
    return ReshardOp::create(builder, loc, withSharding(type, to), value,
                             origin);
  }

  OwningOpRef<ModuleOp> module;
  Mesh mesh;
  ArrayRef<int64_t> shape;
  OpBuilder builder;
  unsigned count = 0;
};

class ReshardTest : public testing::TestWithParam<Case> {};

TEST_P(ReshardTest, EveryPair) {
  const Case &c = GetParam();
  unsigned reshards = 0;
  for (const auto &shape : c.shapes) {
    OwningOpRef<ModuleOp> meshModule = test::emptyModule(c.mesh);
    Mesh mesh = *lookupMesh(*meshModule);
    AxisList parts;
    int64_t pre = 1;
    for (int64_t size : c.parts) {
      parts.push_back({mesh.names[0], pre, size});
      pre *= size;
    }
    std::vector<Sharding> shardings =
        test::allShardings(shape, mesh, parts, c.reductions);
    for (const Sharding &from : shardings) {
      ReshardModule module(c, shape);
      for (const Sharding &to : shardings)
        module.add(from, to);
      module.check(reshards);
      if (HasFatalFailure())
        return;
    }
  }
  std::cout << reshards << " reshards over " << c.mesh << "\n";
}

constexpr auto kSum = Reduction::Sum, kMax = Reduction::Max;

INSTANTIATE_TEST_SUITE_P(
    Meshes, ReshardTest,
    testing::Values(
        Case{"2",
             "a=2",
             {},
             {kSum, kMax},
             {{4, 6}, {5, 3}, {1, 4}, {2, 4, 2}, {3, 2, 1}}},
        Case{"4",
             "a=4",
             {2, 2},
             {kSum},
             {{4, 8}, {6, 5}, {3, 1}, {8, 4, 4}, {5, 2, 3}}},
        Case{"6", "a=6", {2, 3}, {kSum}, {{6, 12}, {9, 4}, {5, 2, 3}}},
        Case{"2x2",
             "a=2,b=2",
             {},
             {kSum, kMax},
             {{4, 8}, {6, 5}, {3, 1}, {4, 4, 8}, {5, 2, 3}}},
        Case{"2x3",
             "a=2,b=3",
             {},
             {kSum},
             {{6, 12}, {4, 7}, {2, 3}, {6, 6, 6}, {5, 2, 3}}},
        Case{"2x2x2", "a=2,b=2,c=2", {}, {kSum}, {{8, 8}, {6, 5}}}),
    [](const auto &info) { return std::string(info.param.name); });

} // namespace
