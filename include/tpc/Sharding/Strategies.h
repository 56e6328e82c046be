//===- Strategies.h - The ways an operation may be split --------*- C++ -*-===//
//
// A strategy says for each mesh axis (or part of one) what it does at an
// operation: nothing (every device computes the same), split one factor of the
// sharding rule, or carry partial values through where the operation is linear.
// Strategy and rule together give the shardings of all operands and results.
//
// Example, matmul "m k, k n -> m n" on <"dp" = 2, "tp" = 4> with dp splitting m
// and tp splitting k:
//
//   lhs [{"dp"}, {"tp"}]    rhs [{"tp"}, {}]    result [{"dp"}, {}] sum {"tp"}
//
//===----------------------------------------------------------------------===//

#ifndef TPC_SHARDING_STRATEGIES_H
#define TPC_SHARDING_STRATEGIES_H

#include "tpc/Dialect/Tpc/Sharding.h"
#include "tpc/Interfaces/ShardingRule.h"

namespace tpc {

/// What one axis does at an operation.
struct AxisUse {
  enum Kind { Replicate, Split, PassThrough };
  Kind kind = Replicate;
  /// Split: index of the factor. PassThrough: index of the linear set.
  unsigned index = 0;
  /// PassThrough: how the partial values combine.
  Reduction reduction = Reduction::Sum;

  static AxisUse replicate() { return {}; }
  static AxisUse split(unsigned factor) { return {Split, factor}; }
  static AxisUse passThrough(unsigned set, Reduction reduction) {
    return {PassThrough, set, reduction};
  }
  bool operator==(const AxisUse &o) const {
    return kind == o.kind && index == o.index &&
           (kind != PassThrough || reduction == o.reduction);
  }
};

/// Uses of axes, in the order in which several axes cut one factor (major to
/// minor). Axes that are not listed replicate.
using Strategy = llvm::SmallVector<std::pair<AxisRef, AxisUse>, 2>;

/// The shardings that a strategy gives an operation's operands and results.
struct OpShardings {
  llvm::SmallVector<Sharding, 3> operands;
  llvm::SmallVector<Sharding, 1> results;
};

/// The rule of an operation with the shapes that it speaks of.
struct RuledOp {
  ShardingRule rule;
  llvm::SmallVector<llvm::SmallVector<int64_t>, 3> operandShapes;
  llvm::SmallVector<llvm::SmallVector<int64_t>, 1> resultShapes;

  /// Rule and shapes of `op`, which must implement ShardingRuleOpInterface.
  static RuledOp of(mlir::Operation *op);
};

/// What one axis can do at an operation by its rule: replicate, split any
/// factor that may be split, pass partial values through.
llvm::SmallVector<AxisUse> possibleUses(const ShardingRule &rule);

/// The state of a value on one axis that `use` asks for.
struct AxisState {
  enum Kind { Replicated, Split, Partial };
  Kind kind = Replicated;
  unsigned dim = 0;
  Reduction reduction = Reduction::Sum;
  bool operator==(const AxisState &o) const {
    return kind == o.kind && (kind != Split || dim == o.dim) &&
           (kind != Partial || reduction == o.reduction);
  }
  bool operator!=(const AxisState &o) const { return !(*this == o); }
};
AxisState operandState(const ShardingRule &rule, AxisUse use, unsigned operand);
AxisState resultState(const ShardingRule &rule, AxisUse use, unsigned result);
/// The state that `sharding` has on `axis` (as a whole reference).
AxisState stateOf(const Sharding &sharding, const AxisRef &axis);

/// Shardings under a strategy (canonical), or nothing where it is not allowed:
/// a dimension made of several factors would be cut where their blocks do not
/// coincide, a value would be partial with two reductions, or a composite that
/// must be expanded would have partial operands or results.
std::optional<OpShardings>
applyStrategy(const RuledOp &op, const Strategy &strategy, const Mesh &mesh);

/// The strategy that these shardings form, or nothing: then the operation is
/// not local under them.
std::optional<Strategy> matchStrategy(const RuledOp &op,
                                      const OpShardings &shardings,
                                      const Mesh &mesh);

/// Every strategy with one use for each of `axes`, in every order of axes that
/// cut the same factor.
llvm::SmallVector<Strategy> enumerateStrategies(const RuledOp &op,
                                                llvm::ArrayRef<AxisRef> axes,
                                                const Mesh &mesh);

/// Whether the strategy cuts a factor of this kind.
bool splits(const ShardingRule &rule, const Strategy &strategy,
            FactorKind kind);

/// The axes that cut `factor`, major to minor.
AxisList axesOf(const Strategy &strategy, unsigned factor);

} // namespace tpc

#endif // TPC_SHARDING_STRATEGIES_H
