//===- Elementwise.cpp - One element from the same element of the operands ===//
//
// Functions are computed in double and rounded once to the element type by the
// evaluator. max and min give NaN if either operand is NaN; comparisons with
// NaN are false, but for ne.
//
//===----------------------------------------------------------------------===//

#include "Kernels.h"
#include <cmath>

using namespace mlir;
using namespace tpc;
using namespace tpc::reference;

template <typename OpT, typename Function>
static void unary(KernelTable &table, Function function) {
  table.add<OpT>([function](OpT, Operands operands, Results results) {
    const std::vector<double> &x = operands[0]->data;
    for (size_t i = 0, n = x.size(); i < n; ++i)
      results[0].data[i] = function(x[i]);
  });
}

template <typename OpT, typename Function>
static void binary(KernelTable &table, Function function) {
  table.add<OpT>([function](OpT, Operands operands, Results results) {
    const std::vector<double> &x = operands[0]->data, &y = operands[1]->data;
    for (size_t i = 0, n = x.size(); i < n; ++i)
      results[0].data[i] = function(x[i], y[i]);
  });
}

static bool holds(Predicate predicate, double x, double y) {
  switch (predicate) {
  case Predicate::EQ:
    return x == y;
  case Predicate::NE:
    return x != y;
  case Predicate::LT:
    return x < y;
  case Predicate::LE:
    return x <= y;
  case Predicate::GT:
    return x > y;
  case Predicate::GE:
    return x >= y;
  }
  llvm_unreachable("unknown predicate");
}

/// Integers divide towards zero; division by zero, which has no integer value,
/// gives 0.
static void divide(DivOp, Operands operands, Results results) {
  bool isFloat = isa<FloatType>(results[0].elementType);
  for (auto [x, y, result] :
       llvm::zip_equal(operands[0]->data, operands[1]->data, results[0].data))
    result = isFloat ? x / y : y == 0 ? 0 : std::trunc(x / y);
}

/// Float to integer goes towards zero and saturates; integers wrap.
static void convert(ConvertOp, Operands operands, Results results) {
  bool saturates = isa<FloatType>(operands[0]->elementType) &&
                   isa<IntegerType>(results[0].elementType) &&
                   !results[0].elementType.isInteger(1);
  double low = lowest(results[0].elementType);
  double high = highest(results[0].elementType);
  for (auto [x, result] : llvm::zip_equal(operands[0]->data, results[0].data))
    result = saturates && !std::isnan(x) ? std::clamp(x, low, high) : x;
}

static void compare(CompareOp op, Operands operands, Results results) {
  for (auto [x, y, result] :
       llvm::zip_equal(operands[0]->data, operands[1]->data, results[0].data))
    result = holds(op.getPredicate(), x, y);
}

static void choose(SelectOp, Operands operands, Results results) {
  for (size_t i = 0, n = results[0].data.size(); i < n; ++i)
    results[0].data[i] = operands[operands[0]->data[i] != 0 ? 1 : 2]->data[i];
}

void tpc::reference::registerElementwise(KernelTable &table) {
  unary<NegOp>(table, [](double x) { return -x; });
  unary<AbsOp>(table, [](double x) { return std::fabs(x); });
  unary<ExpOp>(table, [](double x) { return std::exp(x); });
  unary<LogOp>(table, [](double x) { return std::log(x); });
  unary<SqrtOp>(table, [](double x) { return std::sqrt(x); });
  unary<RsqrtOp>(table, [](double x) { return 1 / std::sqrt(x); });
  unary<SinOp>(table, [](double x) { return std::sin(x); });
  unary<CosOp>(table, [](double x) { return std::cos(x); });
  unary<TanhOp>(table, [](double x) { return std::tanh(x); });
  unary<ErfOp>(table, [](double x) { return std::erf(x); });
  unary<NotOp>(table, [](double x) { return x == 0 ? 1.0 : 0.0; });

  binary<AddOp>(table, [](double x, double y) { return x + y; });
  binary<SubOp>(table, [](double x, double y) { return x - y; });
  binary<MulOp>(table, [](double x, double y) { return x * y; });
  binary<PowOp>(table, [](double x, double y) { return std::pow(x, y); });
  binary<MaxOp>(
      table, [](double x, double y) { return combine(Reduction::Max, x, y); });
  binary<MinOp>(
      table, [](double x, double y) { return combine(Reduction::Min, x, y); });
  binary<AndOp>(
      table, [](double x, double y) { return x != 0 && y != 0 ? 1.0 : 0.0; });
  binary<OrOp>(table,
               [](double x, double y) { return x != 0 || y != 0 ? 1.0 : 0.0; });

  table.add<DivOp>(divide);
  table.add<ConvertOp>(convert);
  table.add<CompareOp>(compare);
  table.add<SelectOp>(choose);
}
