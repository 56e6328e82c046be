//===- BlockwiseTest.cpp - Wrong blockwise forms are not proved -----------===//
//
// Every blockwise form is proved as it is; changed in one operation, it is
// rejected wherever that changes a result.
//
//===----------------------------------------------------------------------===//

#include "Proof/Blockwise.h"
#include "ProgramOracle.h"
#include "TestModule.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include <gtest/gtest.h>

using namespace mlir;
using namespace tpc;

namespace {

struct Case {
  const char *name;
  const char *text; // a function of one operation
  int64_t blocks;
};
void PrintTo(const Case &c, std::ostream *os) { *os << c.name; }

const Case kCases[] = {
    {"Softmax", R"(
func.func @main(%x: tensor<3x12xf32>) -> tensor<3x12xf32> {
  %0 = tpc.softmax %x : (tensor<3x12xf32>) -> tensor<3x12xf32>
  return %0 : tensor<3x12xf32>
})",
     4},
    {"SoftmaxOfBlocksOfOne", R"(
func.func @main(%x: tensor<2x3x4xbf16>) -> tensor<2x3x4xbf16> {
  %0 = tpc.softmax %x : (tensor<2x3x4xbf16>) -> tensor<2x3x4xbf16>
  return %0 : tensor<2x3x4xbf16>
})",
     4},
    {"CrossEntropy", R"(
func.func @main(%x: tensor<5x12xf32>, %l: tensor<5xi64>) -> tensor<5xf32> {
  %0 = tpc.cross_entropy %x, %l : (tensor<5x12xf32>, tensor<5xi64>) -> tensor<5xf32>
  return %0 : tensor<5xf32>
})",
     3},
    {"CrossEntropyOfSquares", R"(
func.func @main(%x: tensor<4x16xbf16>, %l: tensor<4xi32>) -> tensor<4xbf16> {
  %0 = tpc.cross_entropy %x, %l : (tensor<4x16xbf16>, tensor<4xi32>) -> tensor<4xbf16>
  return %0 : tensor<4xbf16>
})",
     4},
};

/// A function like `main` whose body `build` makes.
func::FuncOp addFunction(
    func::FuncOp main, StringRef name,
    llvm::function_ref<SmallVector<Value>(OpBuilder &, ValueRange)> build) {
  OpBuilder builder(main->getContext());
  builder.setInsertionPointAfter(main);
  auto function = func::FuncOp::create(builder, main.getLoc(), name,
                                       main.getFunctionType());
  Block *block = function.addEntryBlock();
  builder.setInsertionPointToStart(block);
  SmallVector<Value> results = build(builder, block->getArguments());
  func::ReturnOp::create(builder, main.getLoc(), results);
  return function;
}

proof::Body bodyOf(func::FuncOp function) {
  Block &block = function.getBody().front();
  return {block, block.getTerminator()->getOperands()};
}

/// Changes operation number `index` in the way number `way`; false where there
/// is no such change.
bool change(func::FuncOp function, int64_t index, int way) {
  Operation *op = &*std::next(function.getBody().front().begin(), index);
  if (way < 3) { // an operand in place of the result
    if (way >= int(op->getNumOperands()) || op->getNumResults() != 1 ||
        op->getOperand(way).getType() != op->getResult(0).getType())
      return false;
    op->getResult(0).replaceAllUsesWith(op->getOperand(way));
    return true;
  }
  if (auto reduce = dyn_cast<ReduceOp>(op)) {
    bool isSum = reduce.getReduction() == Reduction::Sum;
    reduce.setReduction(way == 3 ? (isSum ? Reduction::Max : Reduction::Sum)
                                 : Reduction::Min);
    return way <= 4;
  }
  if (auto slice = dyn_cast<tpc::SliceOp>(op)) {
    SmallVector<int64_t> offsets(slice.getOffsets());
    int64_t columns =
        cast<RankedTensorType>(slice.getOperand().getType()).getShape().back();
    offsets.back() = (offsets.back() + way - 2) % columns;
    slice.setOffsets(offsets);
    return way <= 4;
  }
  if (auto compare = dyn_cast<CompareOp>(op)) {
    compare.setPredicate(way == 3 ? Predicate::NE : Predicate::GE);
    return way <= 4;
  }
  if (isa<AddOp, SubOp, MulOp, DivOp>(op) && way <= 4) {
    OpBuilder builder(op);
    Value changed =
        way == 3 ? Value(MaxOp::create(builder, op->getLoc(),
                                       op->getResult(0).getType(),
                                       op->getOperand(0), op->getOperand(1)))
                 : Value(SubOp::create(builder, op->getLoc(),
                                       op->getResult(0).getType(),
                                       op->getOperand(1), op->getOperand(0)));
    op->getResult(0).replaceAllUsesWith(changed);
    return true;
  }
  return false;
}

/// The largest difference of the functions' results on random inputs, or -1.
double difference(func::FuncOp a, func::FuncOp b) {
  double largest = 0;
  std::mt19937 random(5);
  for (int round = 0; round < 3; ++round) {
    SmallVector<reference::Tensor> inputs;
    for (Type type : a.getArgumentTypes())
      inputs.push_back(
          test::randomTensor(cast<RankedTensorType>(type), random));
    reference::SymbolStore symbols;
    auto left = reference::evaluate(a, inputs, symbols);
    auto right = reference::evaluate(b, inputs, symbols);
    EXPECT_TRUE(succeeded(left) && succeeded(right));
    for (auto [x, y] : llvm::zip_equal((*left)[0].data, (*right)[0].data))
      largest = std::max(largest, x == y              ? 0.0
                                  : std::isnan(x - y) ? INFINITY
                                                      : std::abs(x - y));
  }
  return largest;
}

class BlockwiseTest : public testing::TestWithParam<Case> {};

TEST_P(BlockwiseTest, WrongFormsAreRejected) {
  OwningOpRef<ModuleOp> module = test::parse(GetParam().text);
  ASSERT_TRUE(module);
  auto main = module->lookupSymbol<func::FuncOp>("main");
  auto op = cast<DecomposableOpInterface>(main.getBody().front().front());
  auto plain =
      addFunction(main, "plain", [&](OpBuilder &builder, ValueRange operands) {
        return op.decompose(builder, operands);
      });
  auto blockwise = addFunction(
      main, "blockwise", [&](OpBuilder &builder, ValueRange operands) {
        return op.decomposeBlockwise(builder, operands, GetParam().blocks)
            .results;
      });
  EXPECT_EQ(proof::proveBlockwise(bodyOf(plain), bodyOf(blockwise)),
            std::nullopt);
  EXPECT_LT(difference(plain, blockwise), 1e-2);

  int64_t operations = blockwise.getBody().front().getOperations().size() - 1;
  unsigned wrong = 0;
  for (int64_t index = 0; index < operations; ++index)
    for (int way = 0; way <= 4; ++way) {
      func::FuncOp mutant = blockwise.clone();
      module->push_back(mutant);
      mutant.setName("mutant");
      if (change(mutant, index, way) && difference(plain, mutant) > 1e-2) {
        ++wrong;
        EXPECT_NE(proof::proveBlockwise(bodyOf(plain), bodyOf(mutant)),
                  std::nullopt)
            << "operation " << index << ", change " << way;
      }
      mutant.erase();
    }
  EXPECT_GT(wrong, 10u);
}

INSTANTIATE_TEST_SUITE_P(Forms, BlockwiseTest, testing::ValuesIn(kCases),
                         [](const auto &info) { return info.param.name; });

} // namespace
