//===- Megatron.cpp - Column and row pairs by rule ------------------------===//
//
// The hand-made plan that people know, derived from rules instead of names:
//
//   table[v, e] by tokens          split v ("vocabulary"), result partial
//   x [replicated] @ w             split w's output ("column")
//   a [split where w contracts]    split w's input ("row"), result partial
//   x through experts              split the experts if that comes out even,
//                                  else columns and rows inside them; partial
//   everything else                follows its operands
//
// Partial results are reduced before their next use, but sums of them, and
// what makes them smaller, come before. Axes whose name begins with "dp" or
// "data" split the first dimension of every argument instead.
// After Shoeybi et al., "Megatron-LM", arXiv:1909.08053.
//
//===----------------------------------------------------------------------===//

#include "StrategyChooser.h"
#include <limits>

using namespace mlir;
using namespace tpc;

namespace {

constexpr double kNever = std::numeric_limits<double>::infinity();

bool isDataAxis(const AxisRef &axis) {
  StringRef name = axis.name.getValue();
  return name.starts_with("dp") || name.starts_with("data");
}

class MegatronAssigner : public StrategyChooser {
  Sharding argumentSharding(BlockArgument argument, const Mesh &mesh) override {
    auto rank = cast<RankedTensorType>(argument.getType()).getRank();
    Sharding sharding = Sharding::replicated(mesh.symbol, rank);
    if (rank > 0)
      for (const AxisRef &axis : mesh.axes())
        if (isDataAxis(axis) && mesh.size(axis) > 1)
          sharding.dims[0].push_back(axis);
    return sharding;
  }

  /// Costs are bytes; a preference is a bonus far above any of them.
  static constexpr double kPreferred = -1e30;

  double cost(const UseQuery &query, const Mesh &mesh) override {
    if (query.use.kind == AxisUse::PassThrough)
      return reducesLess(query) ? kPreferred : kNever;
    if (query.use.kind == AxisUse::Split &&
        query.ruled.rule.factors[query.use.index].kind ==
            FactorKind::Synchronized)
      return kNever;
    double bytes = operandBytes(query, mesh);
    if (isDataAxis(query.axis) || query.use.kind != AxisUse::Split)
      return bytes;
    if (joinsWeights(query))
      return bytes + kPreferred * joinRank(query, mesh);
    if (prefersWeightSplit(query, mesh))
      return bytes + kPreferred * (isRow(query) ? 2 : 1);
    // A split that no operand asks for is no better than none.
    return followsOperand(query) ? bytes : kNever;
  }

  /// Whether partial values are better reduced later: several are summed first,
  /// or one gets smaller (a slice, a sum over a dimension, a narrower type) and
  /// nobody else wants it. A product is no way to make one smaller: it would be
  /// computed as a whole on every device.
  static bool reducesLess(const UseQuery &query) {
    const LinearSet &set = query.ruled.rule.linear[query.use.index];
    for (unsigned operand : set.operands) {
      const auto &held = query.held[operand];
      if (!held || stateOf(*held, query.axis) !=
                       AxisState{AxisState::Partial, 0, query.use.reduction})
        return false;
    }
    if (set.operands.size() > 1)
      return true;
    Value partial = query.op->getOperand(set.operands.front());
    bool onlyMoves = llvm::all_of(query.op->getOperands(), [&](Value operand) {
      return operand == partial ||
             !isa<FloatType>(getElementTypeOrSelf(operand));
    });
    return onlyMoves && partial.hasOneUse() &&
           tensorBytes(
               cast<RankedTensorType>(query.op->getResult(0).getType())) <
               tensorBytes(cast<RankedTensorType>(partial.getType()));
  }

  /// The parameter with the factor: a matrix or table, not a vector.
  static std::optional<unsigned> weightWith(const UseQuery &query) {
    for (auto [i, parameter] : llvm::enumerate(query.isParameter))
      if (parameter && query.ruled.operandShapes[i].size() >= 2 &&
          operandState(query.ruled.rule, query.use, i).kind == AxisState::Split)
        return i;
    return std::nullopt;
  }

  static bool isRow(const UseQuery &query) {
    return query.ruled.rule.factors[query.use.index].kind ==
               FactorKind::Contracted &&
           followsOperand(query);
  }

  /// Whether only weights have the factor, several of them, and a split leaves
  /// partial results: the pair of column and row is inside the operation.
  static bool joinsWeights(const UseQuery &query) {
    FactorKind kind = query.ruled.rule.factors[query.use.index].kind;
    unsigned joined = 0;
    for (auto [i, parameter] : llvm::enumerate(query.isParameter))
      if (operandState(query.ruled.rule, query.use, i).kind ==
          AxisState::Split) {
        if (!parameter)
          return false;
        ++joined;
      }
    return joined > 1 &&
           (kind == FactorKind::Contracted || kind == FactorKind::Indexed);
  }

  /// Whole experts before parts of them, but not more for some devices.
  static int joinRank(const UseQuery &query, const Mesh &mesh) {
    const Factor &factor = query.ruled.rule.factors[query.use.index];
    if (factor.kind == FactorKind::Contracted)
      return 2;
    return factor.size % mesh.size(query.axis) == 0 ? 3 : 1;
  }

  /// Whether the use is the vocabulary, column or row split of a weight.
  static bool prefersWeightSplit(const UseQuery &query, const Mesh &mesh) {
    if (!weightWith(query))
      return false;
    const Factor &factor = query.ruled.rule.factors[query.use.index];
    int64_t members = mesh.size(query.axis);
    switch (factor.kind) {
    case FactorKind::Indexed:
      // Small tables (token types) are not worth a reduction.
      return factor.size >= 8 * members;
    case FactorKind::Contracted:
      return isRow(query);
    case FactorKind::Parallel:
      return factor.size > 1 && contracts(query) && activationsWhole(query) &&
             factor.size >= std::min<int64_t>(members, largestColumn(query));
    default:
      return false;
    }
  }

  /// The operation multiplies by the weight, rather than looking it up.
  static bool contracts(const UseQuery &query) {
    return llvm::any_of(query.ruled.rule.factors, [](const Factor &factor) {
      return factor.kind == FactorKind::Contracted;
    });
  }

  /// No activation is split over the axis, and none has the factor.
  static bool activationsWhole(const UseQuery &query) {
    for (auto [i, held] : llvm::enumerate(query.held)) {
      if (query.isParameter[i])
        continue;
      if (operandState(query.ruled.rule, query.use, i).kind == AxisState::Split)
        return false;
      if (held && stateOf(*held, query.axis).kind == AxisState::Split)
        return false;
    }
    return true;
  }

  /// The size of the largest factor that a column split could take.
  static int64_t largestColumn(const UseQuery &query) {
    int64_t largest = 1;
    for (auto [i, factor] : llvm::enumerate(query.ruled.rule.factors)) {
      UseQuery other = query;
      other.use = AxisUse::split(i);
      if (factor.kind == FactorKind::Parallel && weightWith(other) &&
          activationsWhole(other))
        largest = std::max(largest, factor.size);
    }
    return largest;
  }
};

} // namespace

std::unique_ptr<Assigner> tpc::createMegatronAssigner() {
  return std::make_unique<MegatronAssigner>();
}
