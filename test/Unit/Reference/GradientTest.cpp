//===- GradientTest.cpp - Gradients against finite differences ------------===//
//
// Every operation is differentiated inside of
//
//   loss = sum of results * weights       (weights random, in the results'
//   shapes)
//
// and compared with central differences. Everything is computed in f64: after
// differentiation, composites are expanded and their f32 becomes f64, so that
// differences are good to many digits.
//
//===----------------------------------------------------------------------===//

#include "OpCases.h"
#include "mlir/Pass/PassManager.h"
#include "tpc/Reference/Evaluator.h"
#include "tpc/Transforms/Passes.h"
#include "llvm/ADT/StringSet.h"
#include <gtest/gtest.h>

using namespace mlir;
using namespace tpc;
using namespace tpc::reference;

namespace {

//===----------------------------------------------------------------------===//
// Programs in f64
//===----------------------------------------------------------------------===//

bool isFloatText(StringRef type) {
  return type.ends_with("f32") || type.ends_with("f16") ||
         type.ends_with("f64");
}

/// `4x6xbf16` as `4x6xf64`; integers stay.
std::string inF64(std::string type) {
  if (!isFloatText(type))
    return type;
  size_t at = type.rfind('x');
  return (at == std::string::npos ? "" : type.substr(0, at + 1)) + "f64";
}

Type inF64(Type type) {
  auto tensor = cast<RankedTensorType>(type);
  if (!isa<FloatType>(tensor.getElementType()))
    return type;
  return RankedTensorType::get(tensor.getShape(),
                               Float64Type::get(type.getContext()));
}

/// Replaces composites by core operations, and every floating-point type by
/// f64.
void expandInF64(func::FuncOp function) {
  SmallVector<DecomposableOpInterface> composites;
  do {
    composites.clear();
    function.walk(
        [&](DecomposableOpInterface op) { composites.push_back(op); });
    for (DecomposableOpInterface op : composites) {
      OpBuilder builder(op);
      op->replaceAllUsesWith(op.decompose(builder, op->getOperands()));
      op->erase();
    }
  } while (!composites.empty());
  function.walk([&](Operation *op) {
    for (Value result : op->getResults())
      result.setType(cast<RankedTensorType>(inF64(result.getType())));
    auto constant = dyn_cast<ConstantOp>(op);
    if (!constant || !isa<FloatType>(getElementTypeOrSelf(op->getResult(0))))
      return;
    auto dense = cast<DenseElementsAttr>(constant.getValue());
    constant.setValueAttr(dense.mapValues(
        Float64Type::get(op->getContext()), [](const APFloat &value) {
          APFloat wide = value;
          bool loses;
          wide.convert(APFloat::IEEEdouble(), APFloat::rmNearestTiesToEven,
                       &loses);
          return wide.bitcastToAPInt();
        }));
  });
}

/// The case in f64 inside of a loss, with the weights as further arguments.
std::string lossText(const OpCase &opCase) {
  std::string text = "func.func @main(", body = "  %r:", types, ends;
  llvm::raw_string_ostream os(text), bodyOs(body), endsOs(ends);
  auto list = [](const std::vector<std::string> &types) {
    return llvm::join(llvm::map_range(types,
                                      [](const std::string &type) {
                                        return "tensor<" + inF64(type) + ">";
                                      }),
                      ", ");
  };
  for (auto [i, type] : llvm::enumerate(opCase.operands))
    os << (i ? ", " : "") << "%" << i << ": tensor<" << inF64(type) << ">";
  bodyOs << opCase.results.size() << " = " << opCase.text << " : ("
         << list(opCase.operands) << ") -> (" << list(opCase.results) << ")\n";
  std::string total;
  for (auto [i, type] : llvm::enumerate(opCase.results)) {
    if (!isFloatText(type))
      continue;
    std::string tensor = "tensor<" + inF64(type) + ">";
    int64_t rank = StringRef(type).count('x');
    os << ", %w" << i << ": " << tensor;
    bodyOs << "  %p" << i << " = tpc.mul %r#" << i << ", %w" << i << " : ("
           << tensor << ", " << tensor << ") -> " << tensor << "\n  %s" << i
           << " = tpc.reduce sum %p" << i << " dims ["
           << llvm::join(
                  llvm::map_range(llvm::seq<int64_t>(rank),
                                  [](int64_t d) { return std::to_string(d); }),
                  ", ")
           << "] : (" << tensor << ") -> tensor<f64>\n";
    std::string part = "%s" + std::to_string(i);
    if (!total.empty()) {
      bodyOs << "  %t" << i << " = tpc.add " << total << ", " << part
             << " : (tensor<f64>, tensor<f64>) -> tensor<f64>\n";
      part = "%t" + std::to_string(i);
    }
    total = part;
  }
  return "tpc.mesh @mesh <\"x\" = 2>\n" + text + ") -> tensor<f64> {\n" + body +
         "  return " + total + " : tensor<f64>\n}\n";
}

/// Numbers within the range that are apart from each other, from zero, and from
/// those of other operands, in random order: no maximum is near a tie.
Tensor spacedTensor(RankedTensorType type, Range range, unsigned operand,
                    std::mt19937 &random) {
  Tensor tensor(type.getShape(), type.getElementType());
  if (!isa<FloatType>(type.getElementType()))
    return randomTensor(type, range, random);
  size_t count = tensor.data.size();
  double step = (range.high - range.low) / std::max<size_t>(count, 1);
  for (size_t i = 0; i < count; ++i)
    tensor.data[i] = range.low + step * (i + 0.07 + 0.11 * operand);
  std::shuffle(tensor.data.begin(), tensor.data.end(), random);
  return tensor;
}

std::vector<Tensor> inputsOf(func::FuncOp function, const OpCase &opCase,
                             std::mt19937 &random) {
  std::vector<Tensor> inputs;
  for (auto [i, type] : llvm::enumerate(function.getArgumentTypes()))
    inputs.push_back(
        spacedTensor(cast<RankedTensorType>(type), opCase.range(i), i, random));
  return inputs;
}

std::vector<Tensor> run(func::FuncOp function, ArrayRef<Tensor> inputs) {
  SymbolStore symbols;
  auto results = evaluate(function, inputs, symbols);
  EXPECT_TRUE(succeeded(results));
  if (failed(results))
    return {};
  return {results->begin(), results->end()};
}

func::FuncOp mainOf(ModuleOp module) {
  return module.lookupSymbol<func::FuncOp>("main");
}

LogicalResult differentiate(ModuleOp module, std::vector<std::string> wrt) {
  PassManager pm(module.getContext());
  DifferentiatePassOptions options;
  options.wrt.assign(wrt.begin(), wrt.end());
  pm.addPass(createDifferentiatePass(options));
  return pm.run(module);
}

bool anyFloat(ArrayRef<std::string> types) {
  return llvm::any_of(types,
                      [](const std::string &t) { return isFloatText(t); });
}

/// Whether a change of some operand changes a result smoothly.
bool hasGradient(const OpCase &opCase) {
  return anyFloat(opCase.operands) && anyFloat(opCase.results);
}

/// The cases of every operation, and what only gradients tell apart.
std::vector<OpCase> gradientCases() {
  std::vector<OpCase> cases = opCases();
  llvm::erase_if(cases, [](const OpCase &c) { return !hasGradient(c); });
  cases.push_back(
      {"shard", "tpc.shard %0 <@mesh, [{\"x\"}]>", {"4xf32"}, {"4xf32"}});
  cases.push_back({"sort_descending",
                   "tpc.sort %0 descending",
                   {"2x3x4xf32"},
                   {"2x3x4xf32", "2x3x4xi64"}});
  cases.push_back(
      {"top_k_of_one_row", "tpc.top_k %0", {"6xf32"}, {"4xf32", "4xi64"}});
  cases.push_back({"matmul_free_first",
                   "tpc.matmul %0, %1 \"k m b, n b k -> n m b\"",
                   {"3x2x4xf32", "5x4x3xf32"},
                   {"5x2x4xf32"}});
  cases.push_back({"outer",
                   "tpc.matmul %0, %1 \"m, n -> n m\"",
                   {"3xf32", "4xf32"},
                   {"4x3xf32"}});
  cases.push_back(
      {"broadcast_scalar", "tpc.broadcast %0 dims []", {"f32"}, {"2x3xf32"}});
  cases.push_back(
      {"reduce_all", "tpc.reduce max %0 dims [0, 1]", {"3x4xf32"}, {"f32"}});
  return cases;
}

//===----------------------------------------------------------------------===//
// Finite differences
//===----------------------------------------------------------------------===//

class Gradient : public testing::TestWithParam<OpCase> {};

TEST_P(Gradient, IsWhatFiniteDifferencesSay) {
  const OpCase &opCase = GetParam();
  std::mt19937 random(5);
  OwningOpRef<ModuleOp> forward = parseModule(lossText(opCase));
  ASSERT_TRUE(forward);
  OwningOpRef<ModuleOp> module = forward->clone();
  std::vector<std::string> wrt;
  std::vector<unsigned> operands;
  for (auto [i, type] : llvm::enumerate(opCase.operands))
    if (isFloatText(type)) {
      wrt.push_back("arg" + std::to_string(i));
      operands.push_back(i);
    }
  ASSERT_TRUE(succeeded(differentiate(*module, wrt)));
  expandInF64(mainOf(*forward));
  expandInF64(mainOf(*module));
  std::vector<Tensor> inputs = inputsOf(mainOf(*module), opCase, random);
  std::vector<Tensor> results = run(mainOf(*module), inputs);
  ASSERT_EQ(results.size(), 1 + wrt.size());

  constexpr double kStep = 1e-5;
  constexpr int64_t kSampled = 40;
  for (auto [operand, gradient] :
       llvm::zip_equal(operands, ArrayRef(results).drop_front())) {
    ASSERT_EQ(ArrayRef<int64_t>(gradient.shape),
              ArrayRef<int64_t>(inputs[operand].shape));
    std::vector<int64_t> elements(gradient.numElements());
    std::iota(elements.begin(), elements.end(), 0);
    std::shuffle(elements.begin(), elements.end(), random);
    elements.resize(std::min<int64_t>(elements.size(), kSampled));
    for (int64_t i : elements) {
      std::vector<Tensor> moved = inputs;
      moved[operand].data[i] += kStep;
      double above = run(mainOf(*forward), moved)[0].data[0];
      moved[operand].data[i] -= 2 * kStep;
      double below = run(mainOf(*forward), moved)[0].data[0];
      double expected = (above - below) / (2 * kStep);
      ASSERT_NEAR(gradient.data[i], expected,
                  1e-6 * std::max(1.0, std::fabs(expected)))
          << "element " << i << " of operand " << operand << " of "
          << opCase.text;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Op, Gradient, testing::ValuesIn(gradientCases()),
                         [](const auto &info) { return info.param.name; });

TEST(GradientTable, HasACaseForEveryOperation) {
  llvm::StringSet<> tested;
  for (const OpCase &opCase : opCases())
    tested.insert(StringRef(opCase.text).split(' ').first);
  for (const OpCase &opCase : gradientCases())
    tested.insert(StringRef(opCase.text).split(' ').first);
  for (RegisteredOperationName name :
       testContext().getRegisteredOperationsByDialect("tpc")) {
    bool ruled = name.hasInterface<ShardingRuleOpInterface>();
    bool differentiable = name.hasInterface<DifferentiableOpInterface>();
    EXPECT_TRUE(!ruled || differentiable)
        << name.getStringRef().str() << " has no gradient";
    EXPECT_TRUE(!differentiable || tested.contains(name.getStringRef()))
        << name.getStringRef().str() << " has no case";
  }
}

//===----------------------------------------------------------------------===//
// Overrides against what the decomposition gives
//===----------------------------------------------------------------------===//

/// Appends the gradients that `build` makes of the first operation's results,
/// given by further arguments, to the function's results.
template <typename Build>
std::vector<Tensor> gradientsOf(const OpCase &opCase, bool wide, Build build) {
  std::mt19937 random(5);
  OwningOpRef<ModuleOp> module = moduleOf(opCase, testMesh({{"x", 2}}));
  func::FuncOp function = mainOf(*module);
  Operation *op = operationOf(*module);
  SmallVector<Value> given;
  for (Value result : op->getResults()) {
    bool isFloat = isa<FloatType>(getElementTypeOrSelf(result));
    given.push_back(isFloat ? Value(function.getBody().front().addArgument(
                                  result.getType(), op->getLoc()))
                            : Value());
  }
  Operation *terminator = function.getBody().front().getTerminator();
  OpBuilder builder(terminator);
  SmallVector<Value> built;
  for (Value gradient : build(op, builder, given))
    if (gradient)
      built.push_back(gradient);
  terminator->setOperands(built);
  if (wide) {
    for (Value argument : function.getArguments())
      argument.setType(cast<RankedTensorType>(inF64(argument.getType())));
    expandInF64(function);
  }
  function.setFunctionType(FunctionType::get(
      function.getContext(), function.getBody().front().getArgumentTypes(),
      terminator->getOperandTypes()));
  std::vector<Tensor> inputs = inputsOf(function, opCase, random);
  for (Tensor &input : inputs)
    roundElements(input);
  return run(function, inputs);
}

class Override : public testing::TestWithParam<OpCase> {};

TEST_P(Override, IsWhatTheDecompositionGives) {
  const OpCase &opCase = GetParam();
  auto override_ = [](Operation *op, OpBuilder &builder, ValueRange given) {
    return cast<DifferentiableOpInterface>(op).buildVjp(builder, given);
  };
  auto derived = [](Operation *op, OpBuilder &builder, ValueRange given) {
    return buildDecomposedVjp(op, builder, given);
  };
  bool narrow = llvm::any_of(
      opCase.operands, [](StringRef type) { return type.ends_with("bf16"); });
  for (bool wide : {true, false}) {
    std::vector<Tensor> found = gradientsOf(opCase, wide, override_);
    std::vector<Tensor> expected = gradientsOf(opCase, wide, derived);
    ASSERT_EQ(found.size(), expected.size());
    ASSERT_FALSE(found.empty());
    // Constants such as 1 / softcap are those of f32 also in f64.
    double tolerance = wide ? 1e-6 : narrow ? 0.03 : 2e-5;
    for (auto [i, pair] : llvm::enumerate(llvm::zip_equal(found, expected))) {
      auto problem =
          difference(std::get<0>(pair), std::get<1>(pair), tolerance);
      EXPECT_FALSE(problem) << (wide ? "f64" : "as written") << ", gradient "
                            << i << ": " << problem.value_or("");
    }
  }
}

std::vector<OpCase> compositeCases() {
  std::vector<OpCase> cases = opCases();
  llvm::erase_if(cases, [](const OpCase &opCase) {
    OperationName name(StringRef(opCase.text).split(' ').first, &testContext());
    return !name.hasInterface<DecomposableOpInterface>();
  });
  return cases;
}

INSTANTIATE_TEST_SUITE_P(Op, Override, testing::ValuesIn(compositeCases()),
                         [](const auto &info) { return info.param.name; });

//===----------------------------------------------------------------------===//
// Kinks and edges
//===----------------------------------------------------------------------===//

/// The gradient of the sum of an operation's results, at these operands.
std::vector<Tensor> gradientsAt(const OpCase &opCase,
                                std::vector<std::vector<double>> operands) {
  OwningOpRef<ModuleOp> module = parseModule(lossText(opCase));
  std::vector<std::string> wrt;
  for (size_t i = 0; i < opCase.operands.size(); ++i)
    wrt.push_back("arg" + std::to_string(i));
  EXPECT_TRUE(succeeded(differentiate(*module, wrt)));
  std::vector<Tensor> inputs;
  for (auto [i, type] : llvm::enumerate(mainOf(*module).getArgumentTypes())) {
    auto tensor = cast<RankedTensorType>(type);
    inputs.emplace_back(tensor.getShape(), tensor.getElementType(), 1);
    if (i < operands.size())
      inputs.back().data = operands[i];
  }
  std::vector<Tensor> results = run(mainOf(*module), inputs);
  results.erase(results.begin());
  return results;
}

TEST(Kink, EqualOperandsOfMaxShareTheGradient) {
  OpCase opCase{"", "tpc.max %0, %1", {"3xf64", "3xf64"}, {"3xf64"}};
  auto gradients = gradientsAt(opCase, {{1, 2, 3}, {1, 1, 4}});
  EXPECT_EQ(gradients[0].data, (std::vector<double>{0.5, 1, 0}));
  EXPECT_EQ(gradients[1].data, (std::vector<double>{0.5, 0, 1}));
}

TEST(Kink, EqualMaximaShareTheGradient) {
  OpCase opCase{"", "tpc.reduce max %0 dims [1]", {"2x3xf64"}, {"2xf64"}};
  auto gradients = gradientsAt(opCase, {{1, 4, 4, 2, 1, 0}});
  EXPECT_EQ(gradients[0].data, (std::vector<double>{0, 0.5, 0.5, 1, 0, 0}));
}

TEST(Kink, AbsIsFlatAtZero) {
  OpCase opCase{"", "tpc.abs %0", {"3xf64"}, {"3xf64"}};
  EXPECT_EQ(gradientsAt(opCase, {{-2, 0, 2}})[0].data,
            (std::vector<double>{-1, 0, 1}));
}

TEST(Kink, PowersOfZeroAreFinite) {
  OpCase opCase{"", "tpc.pow %0, %1", {"3xf64", "3xf64"}, {"3xf64"}};
  auto gradients = gradientsAt(opCase, {{0, 0, 2}, {0, 2, 0}});
  EXPECT_EQ(gradients[0].data, (std::vector<double>{0, 0, 0}));
  EXPECT_EQ(gradients[1].data, (std::vector<double>{0, 0, std::log(2.0)}));
}

TEST(Kink, RowsOfMinusInfinityHaveNoNan) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  OpCase opCase{"", "tpc.softmax %0", {"2x2xf64"}, {"2x2xf64"}};
  auto gradients =
      gradientsAt(opCase, {{-kInfinity, -kInfinity, 1, -kInfinity}});
  EXPECT_EQ(gradients[0].data, (std::vector<double>{0, 0, 0, 0}));
}

} // namespace
