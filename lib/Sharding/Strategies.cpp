//===- Strategies.cpp - The ways an operation may be split ----------------===//

#include "tpc/Sharding/Strategies.h"
#include "AxisParts.h"
#include "mlir/IR/BuiltinTypes.h"
#include "llvm/ADT/STLExtras.h"
#include <algorithm>

using namespace tpc;
using llvm::ArrayRef;
using llvm::SmallVector;

RuledOp RuledOp::of(mlir::Operation *op) {
  RuledOp ruled;
  ruled.rule = llvm::cast<ShardingRuleOpInterface>(op).getShardingRule();
  auto shape = [](mlir::Type type) {
    return llvm::to_vector(llvm::cast<mlir::RankedTensorType>(type).getShape());
  };
  for (mlir::Type type : op->getOperandTypes())
    ruled.operandShapes.push_back(shape(type));
  for (mlir::Type type : op->getResultTypes())
    ruled.resultShapes.push_back(shape(type));
  return ruled;
}

SmallVector<AxisUse> tpc::possibleUses(const ShardingRule &rule) {
  SmallVector<AxisUse> uses{AxisUse::replicate()};
  for (auto [i, factor] : llvm::enumerate(rule.factors))
    if (factor.kind != FactorKind::Whole && factor.kind != FactorKind::Shifted)
      uses.push_back(AxisUse::split(i));
  for (auto [i, set] : llvm::enumerate(rule.linear))
    for (Reduction reduction : set.reductions)
      uses.push_back(AxisUse::passThrough(i, reduction));
  return uses;
}

//===----------------------------------------------------------------------===//
// States on one axis
//===----------------------------------------------------------------------===//

/// The dimension of `tensor` that has `factor`, if one does.
static std::optional<unsigned> dimWith(const TensorFactors &tensor,
                                       unsigned factor) {
  for (auto [dim, factors] : llvm::enumerate(tensor))
    if (llvm::is_contained(factors, factor))
      return dim;
  return std::nullopt;
}

AxisState tpc::operandState(const ShardingRule &rule, AxisUse use,
                            unsigned operand) {
  if (use.kind == AxisUse::Split) {
    if (auto dim = dimWith(rule.operands[operand], use.index))
      return {AxisState::Split, *dim};
    const Factor &factor = rule.factors[use.index];
    if (llvm::is_contained(factor.partialOperands, operand))
      return {AxisState::Partial, 0, factor.reduction};
  }
  if (use.kind == AxisUse::PassThrough &&
      llvm::is_contained(rule.linear[use.index].operands, operand))
    return {AxisState::Partial, 0, use.reduction};
  return {};
}

AxisState tpc::resultState(const ShardingRule &rule, AxisUse use,
                           unsigned result) {
  if (use.kind == AxisUse::Split) {
    if (auto dim = dimWith(rule.results[result], use.index))
      return {AxisState::Split, *dim};
    const Factor &factor = rule.factors[use.index];
    // A synchronized factor that the result lacks is combined inside.
    if (factor.kind == FactorKind::Contracted ||
        factor.kind == FactorKind::Indexed)
      return {AxisState::Partial, 0, factor.reduction};
  }
  if (use.kind == AxisUse::PassThrough)
    return {AxisState::Partial, 0, use.reduction};
  return {};
}

AxisState tpc::stateOf(const Sharding &sharding, const AxisRef &axis) {
  if (auto dim = sharding.dimOf(axis))
    return {AxisState::Split, *dim};
  if (auto reduction = sharding.partialOver(axis))
    return {AxisState::Partial, 0, *reduction};
  return {};
}

//===----------------------------------------------------------------------===//
// Applying
//===----------------------------------------------------------------------===//

AxisList tpc::axesOf(const Strategy &strategy, unsigned factor) {
  AxisList axes;
  for (const auto &[axis, use] : strategy)
    if (use == AxisUse::split(factor))
      axes.push_back(axis);
  return axes;
}

bool tpc::splits(const ShardingRule &rule, const Strategy &strategy,
                 FactorKind kind) {
  return llvm::any_of(strategy, [&](const auto &entry) {
    return entry.second.kind == AxisUse::Split &&
           rule.factors[entry.second.index].kind == kind;
  });
}

/// The axes that cut a dimension made of `factors`, or nothing where a cut
/// would not fall on a boundary of the factors: every factor before the last
/// one that is cut must be cut down to single elements, and after each axis the
/// block of the dimension must be the block of the factor times all minor
/// factors. So 7 over dp=2, x=2 (blocks of 4, then 2) is no cut of 14 (blocks
/// of 7, then 4).
static std::optional<AxisList> dimAxes(ArrayRef<unsigned> factors, int64_t size,
                                       const RuledOp &op,
                                       const Strategy &strategy,
                                       const Mesh &mesh) {
  if (factors.size() == 1)
    return axesOf(strategy, factors[0]);
  AxisList axes;
  int64_t minor = size;
  bool open = false; // a major factor is not cut to single elements
  for (unsigned factor : factors) {
    int64_t factorSize = op.rule.factors[factor].size, factorBlock = factorSize;
    minor /= std::max<int64_t>(factorSize, 1);
    AxisList own;
    for (const AxisRef &axis : axesOf(strategy, factor)) {
      own.push_back(axis);
      axes.push_back(axis);
      factorBlock = blockSize(factorSize, own, mesh);
      if (open || blockSize(size, axes, mesh) != factorBlock * minor)
        return std::nullopt;
    }
    if (!own.empty() && factorBlock == 1 && mesh.size(own) != factorSize &&
        factor != factors.back())
      return std::nullopt;
    open |= factorBlock != 1;
  }
  return axes;
}

/// Sharding of one tensor; `state` gives the state on each axis.
template <typename StateFn>
static std::optional<Sharding>
tensorSharding(const TensorFactors &factors, ArrayRef<int64_t> shape,
               const RuledOp &op, const Strategy &strategy, const Mesh &mesh,
               StateFn state) {
  Sharding sharding = Sharding::replicated(mesh.symbol, shape.size());
  for (auto [dim, names] : llvm::enumerate(factors)) {
    auto axes = dimAxes(names, shape[dim], op, strategy, mesh);
    if (!axes)
      return std::nullopt;
    sharding.dims[dim] = std::move(*axes);
  }
  for (const auto &[axis, use] : strategy) {
    AxisState s = state(use);
    if (s.kind == AxisState::Partial)
      sharding.addPartial(axis, s.reduction);
  }
  return canonical(std::move(sharding), shape, mesh);
}

/// Whether partial values can be had under the strategy. A sum over one axis
/// and a maximum over another do not commute, so a value cannot be partial with
/// both; and a composite that is expanded because of a synchronized factor
/// takes and gives no partial values.
static bool hasOneMeaning(const RuledOp &op, const Strategy &strategy,
                          const OpShardings &shardings) {
  bool expanded = splits(op.rule, strategy, FactorKind::Synchronized);
  auto fine = [&](const Sharding &sharding) {
    return llvm::all_of(sharding.partial, [&](const PartialAxis &partial) {
      return !expanded && partial.reduction == sharding.partial[0].reduction;
    });
  };
  return llvm::all_of(shardings.operands, fine) &&
         llvm::all_of(shardings.results, fine);
}

std::optional<OpShardings> tpc::applyStrategy(const RuledOp &op,
                                              const Strategy &strategy,
                                              const Mesh &mesh) {
  OpShardings shardings;
  for (auto [i, factors] : llvm::enumerate(op.rule.operands)) {
    unsigned index = i;
    auto sharding = tensorSharding(
        factors, op.operandShapes[i], op, strategy, mesh,
        [&](AxisUse use) { return operandState(op.rule, use, index); });
    if (!sharding)
      return std::nullopt;
    shardings.operands.push_back(std::move(*sharding));
  }
  for (auto [i, factors] : llvm::enumerate(op.rule.results)) {
    unsigned index = i;
    auto sharding = tensorSharding(
        factors, op.resultShapes[i], op, strategy, mesh,
        [&](AxisUse use) { return resultState(op.rule, use, index); });
    if (!sharding)
      return std::nullopt;
    shardings.results.push_back(std::move(*sharding));
  }
  if (!hasOneMeaning(op, strategy, shardings))
    return std::nullopt;
  return shardings;
}

//===----------------------------------------------------------------------===//
// Matching
//===----------------------------------------------------------------------===//

/// Calls `fn` with the shardings of all operands and results.
template <typename Fn>
static void forEachSharding(const OpShardings &shardings, Fn fn) {
  llvm::for_each(shardings.operands, fn);
  llvm::for_each(shardings.results, fn);
}

/// Orders the entries of a strategy so that axes that cut the same dimension
/// stand in the order in which they do.
static void orderAxes(Strategy &strategy, const OpShardings &refined) {
  auto before = [&](const AxisRef &a, const AxisRef &b) {
    auto inList = [&](const Sharding &sharding) {
      for (const AxisList &axes : sharding.dims) {
        auto ia = llvm::find(axes, a), ib = llvm::find(axes, b);
        if (ia != axes.end() && ib != axes.end())
          return ia < ib;
      }
      return false;
    };
    return llvm::any_of(refined.operands, inList) ||
           llvm::any_of(refined.results, inList);
  };
  // Few axes: insertion sort by a partial order.
  for (size_t i = 0; i < strategy.size(); ++i)
    for (size_t j = i + 1; j < strategy.size(); ++j)
      if (before(strategy[j].first, strategy[i].first))
        std::swap(strategy[i], strategy[j]);
}

std::optional<Strategy> tpc::matchStrategy(const RuledOp &op,
                                           const OpShardings &shardings,
                                           const Mesh &mesh) {
  AxisParts parts(mesh);
  forEachSharding(shardings,
                  [&](const Sharding &sharding) { parts.cut(sharding); });
  OpShardings refined;
  for (const Sharding &sharding : shardings.operands)
    refined.operands.push_back(parts.refine(sharding));
  for (const Sharding &sharding : shardings.results)
    refined.results.push_back(parts.refine(sharding));

  AxisList used;
  forEachSharding(refined, [&](const Sharding &sharding) {
    forEachAxis(sharding, [&](const AxisRef &axis) {
      if (!llvm::is_contained(used, axis))
        used.push_back(axis);
    });
  });
  SmallVector<AxisUse> uses = possibleUses(op.rule);
  // Per axis the uses that give every tensor the state it has: nearly always
  // one, but where an operand's factor is missing elsewhere there may be more.
  SmallVector<SmallVector<AxisUse>> fitting;
  for (const AxisRef &axis : used) {
    auto fits = [&](AxisUse use) {
      for (auto [i, sharding] : llvm::enumerate(refined.operands))
        if (operandState(op.rule, use, i) != stateOf(sharding, axis))
          return false;
      for (auto [i, sharding] : llvm::enumerate(refined.results))
        if (resultState(op.rule, use, i) != stateOf(sharding, axis))
          return false;
      return true;
    };
    fitting.emplace_back();
    llvm::copy_if(uses, std::back_inserter(fitting.back()), fits);
    if (fitting.back().empty())
      return std::nullopt;
  }
  auto same = [&](ArrayRef<Sharding> a, ArrayRef<Sharding> b, auto &shapes) {
    for (auto [i, sharding] : llvm::enumerate(a))
      if (!sameLayout(sharding, b[i], shapes[i], mesh))
        return false;
    return true;
  };
  // Try the combinations (a product of sizes that are nearly always 1).
  SmallVector<size_t> choice(used.size(), 0);
  while (true) {
    Strategy strategy;
    for (auto [i, axis] : llvm::enumerate(used))
      strategy.push_back({axis, fitting[i][choice[i]]});
    orderAxes(strategy, refined);
    auto applied = applyStrategy(op, strategy, mesh);
    if (applied &&
        same(applied->operands, shardings.operands, op.operandShapes) &&
        same(applied->results, shardings.results, op.resultShapes))
      return strategy;
    size_t i = 0;
    while (i < used.size() && ++choice[i] == fitting[i].size())
      choice[i++] = 0;
    if (i == used.size())
      return std::nullopt;
  }
}

SmallVector<Strategy> tpc::enumerateStrategies(const RuledOp &op,
                                               ArrayRef<AxisRef> axes,
                                               const Mesh &mesh) {
  SmallVector<AxisUse> uses = possibleUses(op.rule);
  SmallVector<Strategy> found;
  std::vector<OpShardings> seen;
  SmallVector<AxisRef> order(axes);
  llvm::sort(order);
  auto add = [&](const Strategy &strategy) {
    auto applied = applyStrategy(op, strategy, mesh);
    if (!applied)
      return;
    for (const OpShardings &other : seen)
      if (other.operands == applied->operands &&
          other.results == applied->results)
        return;
    seen.push_back(std::move(*applied));
    found.push_back(strategy);
  };
  do {
    SmallVector<size_t> choice(order.size(), 0);
    while (true) {
      Strategy strategy;
      for (auto [i, axis] : llvm::enumerate(order))
        strategy.push_back({axis, uses[choice[i]]});
      add(strategy);
      size_t i = 0;
      while (i < order.size() && ++choice[i] == uses.size())
        choice[i++] = 0;
      if (i == order.size())
        break;
    }
  } while (std::next_permutation(order.begin(), order.end()));
  return found;
}
