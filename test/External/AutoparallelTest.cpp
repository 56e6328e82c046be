//===- AutoparallelTest.cpp - DDP and FSDP, against autoparallel ----------===//
//
// Source: meta-pytorch/autoparallel, tests/test_optimize_placement.py: rows of
// input and output are split over the devices. Where parameters may be whole,
// they are, and their gradients are reduced (data parallelism); where each
// device may hold only its share, they are held split and gathered before use
// (fully sharded data parallelism). Every product works on a device's own rows.
// There the share of parameters is limited; here all memory is.
//
//===----------------------------------------------------------------------===//

#include "ModuleText.h"
#include "Plans.h"
#include "tpc/Dialect/Spmd/Spmd.h"
#include <gtest/gtest.h>

using namespace mlir;
using namespace tpc;

namespace {

constexpr int64_t kDevices = 256;

/// The 256 devices along "dp", or 8 of each 256 along "tp".
struct Grid {
  const char *mesh;
  int64_t rows; ///< devices over which the batch is split
};
constexpr Grid kOneAxis{"\"dp\" = 256", kDevices},
    kTwoAxes{"\"dp\" = 32, \"tp\" = 8", kDevices / 8};

struct Model {
  explicit Model(const Grid &grid) : text(grid.mesh) {}
  test::ModuleText text;
  std::vector<std::string> parameters;
  int64_t parameterBytes = 0;

  void parameter(const std::string &name, ArrayRef<int64_t> shape) {
    text.parameter(name, shape);
    parameters.push_back(name);
    int64_t bytes = 4;
    for (int64_t n : shape)
      bytes *= n;
    parameterBytes += bytes;
  }
  /// loss = sum y * weight, so that the gradient of y is given.
  void loss(const std::string &y, ArrayRef<int64_t> shape,
            const std::string &pin) {
    text.argument("dy", shape, pin);
    text.op("weighted", "mul %" + y + ", %dy", {y, "dy"}, shape);
    std::string dims = shape.size() == 2 ? "0, 1" : "0, 1, 2";
    text.op("loss", "reduce sum %weighted dims [" + dims + "]", {"weighted"},
            {});
    text.result("loss");
    text.result(y, pin);
  }
};

/// FFN there: 1024 to 4096 and back, 2048 rows for each device.
Model feedForward(const Grid &grid) {
  Model m(grid);
  SmallVector<int64_t> x = {2048 * grid.rows, 1024};
  const char *rows = R"([{"dp"}, {}])";
  m.text.argument("x", x, rows);
  m.parameter("w1", {1024, 4096});
  m.parameter("w2", {4096, 1024});
  m.text.op("h", "matmul %x, %w1 \"b e, e f -> b f\"", {"x", "w1"},
            {x[0], 4096});
  m.text.op("y", "matmul %h, %w2 \"b f, f e -> b e\"", {"h", "w2"}, x);
  m.loss("y", x, rows);
  return m;
}

/// TransformerBlock there: 48 heads, 6144 wide, eight rows of 256 for each
/// device.
Model transformerBlock(const Grid &grid) {
  Model m(grid);
  constexpr int64_t kHeads = 48, kWide = 6144, kHead = kWide / kHeads;
  SmallVector<int64_t> x = {8 * grid.rows, 256, kWide};
  const char *rows = R"([{"dp"}, {}, {}])";
  m.text.argument("x", x, rows);
  m.parameter("wq", {kWide, kHeads, 1, kHead});
  m.parameter("wk", {kWide, kHeads, kHead});
  m.parameter("wv", {kWide, kHeads, kHead});
  m.parameter("wo", {kHeads, 1, kHead, kWide});
  m.parameter("w1", {kWide, 4 * kWide});
  m.parameter("w2", {4 * kWide, kWide});
  m.text.op("q", "matmul %x, %wq \"b s e, e h g d -> b s h g d\"", {"x", "wq"},
            {x[0], x[1], kHeads, 1, kHead});
  for (std::string n : {"k", "v"})
    m.text.op(n, "matmul %x, %w" + n + " \"b s e, e h d -> b s h d\"",
              {"x", "w" + n}, {x[0], x[1], kHeads, kHead});
  m.text.op("c", "attention %q, %k, %v scale 0.0884", {"q", "k", "v"},
            {x[0], x[1], kHeads, 1, kHead});
  m.text.op("o", "matmul %c, %wo \"b s h g d, h g d e -> b s e\"", {"c", "wo"},
            x);
  m.text.op("o0", "add %o, %x", {"o", "x"}, x);
  SmallVector<int64_t> h = {x[0], x[1], 4 * kWide};
  m.text.op("h", "matmul %o0, %w1 \"b s e, e f -> b s f\"", {"o0", "w1"}, h);
  m.text.constant("zero", "0.0", h);
  m.text.op("a", "max %h, %zero", {"h", "zero"}, h);
  m.text.op("d", "matmul %a, %w2 \"b s f, f e -> b s e\"", {"a", "w2"}, x);
  m.text.op("y", "add %o0, %d", {"o0", "d"}, x);
  m.loss("y", x, rows);
  return m;
}

test::Plan planOf(const Model &model, std::optional<int64_t> memoryLimit) {
  AssignOptions options;
  options.machine = *findMachine("h100");
  options.memoryLimit = memoryLimit;
  return test::planOf(test::trained(model.text.str()), options);
}

/// Products that do not work on a device's own rows: of operands and result
/// none has the size of the whole batch on it.
int productsOnOtherRows(const test::Plan &plan, int64_t wholeRows) {
  int count = 0;
  for (auto program : plan.module.get().getOps<spmd::ProgramOp>())
    program->walk([&](MatmulOp product) {
      for (Value value :
           {product.getLhs(), product.getRhs(), product.getResult()})
        if (cast<RankedTensorType>(value.getType()).getDimSize(0) == wholeRows)
          ++count;
    });
  return count;
}

double flopsOf(MatmulOp product) {
  double flops = 1;
  for (const Factor &factor : product.getShardingRule().factors)
    flops *= factor.size;
  return flops;
}

/// All work in products, on one device.
double flopsOf(Operation *function) {
  double flops = 0;
  function->walk([&](MatmulOp product) { flops += flopsOf(product); });
  return flops;
}

/// Every product does its share, and none on rows of another device of "dp".
void expectProductsInParts(test::Plan &plan) {
  for (auto program : plan.module.get().getOps<spmd::ProgramOp>()) {
    auto whole =
        plan.module.get().lookupSymbol<func::FuncOp>(program.getWhole());
    EXPECT_DOUBLE_EQ(flopsOf(program) * kDevices, flopsOf(whole));
  }
}

/// At least `leastSplit` parameters are held split where there is room for the
/// shares, and for so many bytes of what is gathered.
void expectDataParallel(const Model &model, int64_t wholeRows, int64_t room,
                        int leastSplit) {
  test::Plan whole = planOf(model, std::nullopt);
  EXPECT_EQ(whole.priced.assignment.search->gap, 0);
  for (const std::string &name : model.parameters)
    EXPECT_EQ(whole.stored(name).find("dp"), std::string::npos) << name;
  for (const test::Collective &c : whole.collectives)
    EXPECT_EQ(c.kind, "all_reduce");
  EXPECT_NEAR(
      whole.bytes,
      sentBytes(CollectiveKind::AllReduce, model.parameterBytes, kDevices), 100)
      << whole.str();
  EXPECT_EQ(productsOnOtherRows(whole, wholeRows), 0);

  int64_t held = 2 * model.parameterBytes;
  int64_t limit = whole.priced.peakBytes - held + held / kDevices + room;
  test::Plan split = planOf(model, limit);
  ASSERT_TRUE(split.module);
  EXPECT_LE(split.priced.peakBytes, limit);
  int numSplit = 0;
  for (const std::string &name : model.parameters)
    numSplit += split.stored(name).find("dp") != std::string::npos;
  EXPECT_GE(numSplit, leastSplit) << split.str();
  EXPECT_EQ(productsOnOtherRows(split, wholeRows), 0);
}

/// On 32 x 8 devices, of which those along "tp" are given the same rows,
/// weights are split by columns and rows over "tp", and where memory is short
/// over "dp" as well.
TEST(Autoparallel, FeedForwardOnTwoAxes) {
  Model model = feedForward(kTwoAxes);
  test::Plan whole = planOf(model, std::nullopt);
  ASSERT_TRUE(whole.module);
  EXPECT_EQ(whole.priced.assignment.search->gap, 0);
  EXPECT_EQ(whole.stored("w1"), "[{}, {\"tp\"}]");
  EXPECT_EQ(whole.stored("w2"), "[{\"tp\"}, {}]");
  expectProductsInParts(whole);
}

/// Of the block only that all work is split over both axes: ours moves weights
/// for some products and activations for others.
TEST(Autoparallel, TransformerBlockOnTwoAxes) {
  test::Plan plan = planOf(transformerBlock(kTwoAxes), std::nullopt);
  ASSERT_TRUE(plan.module);
  EXPECT_EQ(plan.priced.assignment.search->gap, 0);
  expectProductsInParts(plan);
}

TEST(Autoparallel, FeedForward) {
  Model model = feedForward(kOneAxis);
  expectDataParallel(model, 2048 * kDevices, model.parameterBytes, 2);
}
TEST(Autoparallel, TransformerBlock) {
  // With more room, to compute something again is cheaper than to split the
  // last.
  Model model = transformerBlock(kOneAxis);
  expectDataParallel(model, 8 * kDevices, model.parameterBytes / 2, 3);
}

} // namespace
