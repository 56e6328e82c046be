//===- LocalRule.cpp - What a local operation computes --------------------===//

#include "LocalRule.h"
#include "Positions.h"
#include <limits>
#include <numeric>

using namespace mlir;
using namespace tpc;
using namespace tpc::proof;

static AxisList canonicalAxes(int64_t n, AxisList axes, const Mesh &mesh) {
  Sharding one;
  one.dims.push_back(std::move(axes));
  return canonical(std::move(one), {n}, mesh).dims[0];
}

namespace {

class Deriver {
public:
  Deriver(const LocalOp &op, const Mesh &mesh, ArrayRef<AxisRef> units)
      : op(op), mesh(mesh), units(units),
        rule(cast<ShardingRuleOpInterface>(op.whole).getShardingRule()),
        axes(rule.factors.size()) {}

  LocalConclusion run() {
    LocalConclusion conclusion;
    if (readOperands() && checkFactors() && checkPadding() && findPartial())
      conclude(conclusion);
    conclusion.problem = problem;
    return conclusion;
  }

private:
  bool fail(const Twine &reason) {
    if (problem.empty())
      problem = reason.str();
    return false;
  }

  static RankedTensorType typeOf(Value value) {
    return cast<RankedTensorType>(value.getType());
  }

  //===--------------------------------------------------------------------===//
  // Axes of factors
  //===--------------------------------------------------------------------===//

  bool readOperands() {
    for (auto [i, claim] : llvm::enumerate(op.operands)) {
      RankedTensorType type = typeOf(op.whole->getOperand(i));
      for (auto [dim, factors] : llvm::enumerate(rule.operands[i])) {
        const AxisList &cut = claim->sharding.dims[dim];
        if (!distribute(factors, type.getDimSize(dim), cut))
          return fail("operand " + Twine(i) + ", dimension " + Twine(dim) +
                      " is cut where the operation's factors are not");
      }
    }
    return true;
  }

  /// Gives the axes that cut a dimension to its factors, major to minor.
  bool distribute(ArrayRef<unsigned> factors, int64_t size,
                  ArrayRef<AxisRef> cut) {
    // A dimension that broadcasts has its one element on the first block only.
    if (factors.empty())
      return cut.empty();
    if (factors.size() == 1)
      return assign(factors[0], AxisList(cut));
    SmallVector<AxisRef> rest(cut);
    int64_t minor = size;
    for (unsigned f : factors) {
      int64_t left = rule.factors[f].size;
      minor /= std::max<int64_t>(left, 1);
      // The block that the others leave is the last factor's, all cuts its own.
      if (f == factors.back())
        return assign(f, AxisList(ArrayRef<AxisRef>(rest)));
      AxisList own;
      while (!rest.empty() && left > 1) {
        AxisRef axis = rest.front();
        int64_t members = mesh.size(axis);
        int64_t common = std::gcd(left, members);
        if (common == members) { // the whole axis cuts this factor
          own.push_back(axis);
          left /= members;
          rest.erase(rest.begin());
        } else if (common == left && left * minor % members == 0) {
          // A major part of it does; an uneven cut cannot be taken apart.
          int64_t pre = axis.isWhole() ? 1 : axis.pre;
          own.push_back({axis.name, pre, left});
          rest.front() = {axis.name, pre * left, members / left};
          left = 1;
        } else { // uneven: boundaries must coincide, nothing may follow
          own.push_back(axis);
          rest.erase(rest.begin());
          if (ceilDiv(left * minor, members) != ceilDiv(left, members) * minor)
            return false;
          left = 0;
        }
      }
      if (!assign(f, std::move(own)))
        return false;
      if (left != 1 && !rest.empty())
        return false;
    }
    llvm_unreachable("the last factor returns");
  }

  bool assign(unsigned factor, AxisList cut) {
    cut = canonicalAxes(rule.factors[factor].size, std::move(cut), mesh);
    if (!axes[factor]) {
      axes[factor] = std::move(cut);
      return true;
    }
    return *axes[factor] == cut ||
           fail("operands are cut differently along factor " +
                Twine(rule.factors[factor].name));
  }

  //===--------------------------------------------------------------------===//
  // Conditions
  //===--------------------------------------------------------------------===//

  AxisList axesOf(unsigned factor) const {
    return axes[factor].value_or(AxisList());
  }

  bool checkFactors() {
    AxisList all;
    for (auto [f, factor] : llvm::enumerate(rule.factors)) {
      AxisList cut = axesOf(f);
      if (cut.empty())
        continue;
      if (factor.kind == FactorKind::Whole ||
          factor.kind == FactorKind::Shifted ||
          factor.kind == FactorKind::Synchronized)
        return fail("factor " + Twine(factor.name) + " is " +
                    stringify(factor.kind) + " and may not be cut");
      if (factor.kind == FactorKind::Indexed && !isRelative(factor.size, cut))
        return fail("the indices are not relative to the device's block of " +
                    Twine(factor.size));
      if (factor.kind == FactorKind::Positioned && !checkPositions(f, cut))
        return false;
      for (const AxisRef &axis : cut) {
        for (const AxisRef &other : all)
          if (axis.overlaps(other))
            return fail("axis " + axis.name.getValue() +
                        " cuts two factors at once");
        all.push_back(axis);
      }
    }
    cutAxes = std::move(all);
    return checkRelative();
  }

  /// Values relative to a block make sense only as indices of a table that is
  /// cut likewise.
  bool checkRelative() {
    bool cutsTable = llvm::any_of(llvm::enumerate(rule.factors), [&](auto f) {
      return f.value().kind == FactorKind::Indexed &&
             !axesOf(f.index()).empty();
    });
    for (auto [i, claim] : llvm::enumerate(op.operands)) {
      if (claim->kind == Claim::Advanced && !isOriginOfCut(i))
        return fail("operand " + Twine(i) +
                    " is moved by the start of a block");
      if (claim->kind != Claim::Relative)
        continue;
      if (i != kIndexOperand)
        return fail("operand " + Twine(i) + " is relative to a block");
      if (!cutsTable)
        return fail("indices are relative to a block, the table is whole");
    }
    return true;
  }

  /// iota, which has no indices, is dealt with by the caller.
  bool isRelative(int64_t size, ArrayRef<AxisRef> cut) const {
    if (op.operands.size() <= kIndexOperand)
      return false;
    const Claim *claim = op.operands[kIndexOperand];
    return claim->kind == Claim::Relative && claim->cut.size == size &&
           ArrayRef(claim->cut.axes) == cut;
  }

  /// Positions along a cut factor count from an operand that is moved by the
  /// block's start, and that is proved to be all that a block needs.
  bool checkPositions(unsigned f, ArrayRef<AxisRef> cut) {
    const Factor &factor = rule.factors[f];
    const Claim *claim = factor.origin ? op.operands[*factor.origin] : nullptr;
    if (!claim || claim->kind != Claim::Advanced ||
        claim->cut.size != factor.size || ArrayRef(claim->cut.axes) != cut)
      return fail("positions do not count from the start of the device's block "
                  "of " +
                  Twine(factor.size));
    auto composite = dyn_cast<DecomposableOpInterface>(op.whole);
    if (!composite)
      return fail("no lemma for positions of this operation");
    for (auto [i, factors] : llvm::enumerate(rule.operands))
      for (auto [dim, names] : llvm::enumerate(factors))
        if (ArrayRef(names) == ArrayRef(f))
          if (auto unproved = provePositions(composite, i, dim, *factor.origin))
            return fail(*unproved);
    return true;
  }

  /// Whether positions along a cut factor count from operand `i`.
  bool isOriginOfCut(unsigned i) const {
    return llvm::any_of(llvm::enumerate(rule.factors), [&](auto f) {
      return f.value().kind == FactorKind::Positioned &&
             f.value().origin == i && !axesOf(f.index()).empty();
    });
  }

  /// Where elements along a cut factor are mixed, padding must hold what does
  /// not change the result.
  bool checkPadding() {
    for (auto [i, claim] : llvm::enumerate(op.operands))
      for (auto [dim, factors] : llvm::enumerate(rule.operands[i]))
        for (unsigned f : factors) {
          const Factor &factor = rule.factors[f];
          bool mixes = factor.kind == FactorKind::Contracted ||
                       (factor.kind == FactorKind::Indexed && !inResults(f));
          if (!mixes || !hasPadding(factor.size, axesOf(f), mesh))
            continue;
          if (isIndexOperand(i))
            continue;
          std::optional<double> fill =
              claim->fill.empty() ? std::nullopt : claim->fill[dim];
          if (!fill || !isIdentity(*fill, factor.reduction,
                                   typeOf(op.whole->getOperand(i))))
            return fail("padding of operand " + Twine(i) + " along dimension " +
                        Twine(dim) +
                        " reaches the result: it is not known to "
                        "be the reduction's identity");
        }
    return true;
  }

  /// Integer operands of an operation on floats only say where.
  bool isIndexOperand(unsigned i) const {
    return i > 0 &&
           isa<IntegerType>(typeOf(op.whole->getOperand(i)).getElementType()) &&
           isa<FloatType>(typeOf(op.whole->getResult(0)).getElementType());
  }

  static bool isIdentity(double fill, Reduction reduction,
                         RankedTensorType type) {
    if (reduction == Reduction::Sum)
      return fill == 0;
    double extreme = std::numeric_limits<double>::infinity();
    if (auto integer = dyn_cast<IntegerType>(type.getElementType()))
      extreme = std::ldexp(1.0, integer.getWidth() - 1);
    return fill == (reduction == Reduction::Max ? -extreme : extreme);
  }

  static bool has(const TensorFactors &tensor, unsigned factor) {
    return llvm::any_of(tensor, [&](const auto &dim) {
      return llvm::is_contained(dim, factor);
    });
  }
  bool inResults(unsigned factor) const {
    return llvm::any_of(rule.results, [&](const TensorFactors &result) {
      return has(result, factor);
    });
  }

  //===--------------------------------------------------------------------===//
  // Partial values
  //===--------------------------------------------------------------------===//

  /// The results are partial over the axes of contracted factors that they
  /// lack, and over the axes over which the operands are partial where the
  /// operation is linear.
  bool findPartial() {
    SmallVector<AxisRef> expected; // parts on which operands must be partial
    for (auto [f, factor] : llvm::enumerate(rule.factors)) {
      bool contracts = factor.kind == FactorKind::Contracted ||
                       (factor.kind == FactorKind::Indexed && !inResults(f));
      if (!contracts)
        continue;
      for (const AxisRef &axis : axesOf(f))
        for (const AxisRef &part : partsOf(axis)) {
          partial.push_back({{part, factor.reduction}, unsigned(f)});
          for (auto [i, claim] : llvm::enumerate(op.operands)) {
            auto reduction = reductionOver(*claim, part);
            bool wanted = llvm::is_contained(factor.partialOperands, i);
            if (wanted ? reduction != factor.reduction : reduction.has_value())
              return fail("operand " + Twine(i) + " must " +
                          (wanted ? "" : "not ") + "be partial over " +
                          part.name.getValue() + " where it is contracted");
          }
          if (!factor.partialOperands.empty())
            expected.push_back(part);
        }
    }
    SmallVector<AxisRef> seen;
    for (const Claim *claim : op.operands)
      for (const PartialAxis &p : claim->sharding.partial)
        for (const AxisRef &part : partsOf(p.axis)) {
          if (llvm::is_contained(seen, part) ||
              llvm::is_contained(expected, part))
            continue;
          seen.push_back(part);
          for (const AxisRef &axis : cutAxes)
            if (axis.overlaps(part))
              return fail("axis " + axis.name.getValue() +
                          " cuts one operand while another is partial over it");
          if (!passesThrough({part, p.reduction}))
            return fail("partial operands over " + part.name.getValue() +
                        " where the operation is not linear in them");
          partial.push_back({{part, p.reduction}, std::nullopt});
        }
    return true;
  }

  bool passesThrough(const PartialAxis &p) const {
    SmallVector<unsigned> together;
    for (auto [i, claim] : llvm::enumerate(op.operands))
      if (auto reduction = reductionOver(*claim, p.axis)) {
        if (*reduction != p.reduction)
          return false;
        together.push_back(i);
      }
    return llvm::any_of(rule.linear, [&](const LinearSet &set) {
      return ArrayRef<unsigned>(set.operands) == ArrayRef(together) &&
             llvm::is_contained(set.reductions, p.reduction);
    });
  }

  /// Where an axis begins and ends, as products of sizes from its major end.
  std::pair<int64_t, int64_t> rangeOf(const AxisRef &axis) const {
    return {axis.pre, axis.pre * mesh.size(axis)};
  }

  /// How the claim is partial over `part`: over an axis that covers it.
  std::optional<Reduction> reductionOver(const Claim &claim,
                                         const AxisRef &part) const {
    auto [begin, end] = rangeOf(part);
    for (const PartialAxis &p : claim.sharding.partial) {
      auto [from, to] = rangeOf(p.axis);
      if (p.axis.name == part.name && from <= begin && end <= to)
        return p.reduction;
    }
    return std::nullopt;
  }

  /// The axis cut where an axis of another operand begins or ends, so that
  /// every part has one state everywhere: "x" = 4 that one operand is partial
  /// over and another is cut by in two steps is "x":(1)2 and "x":(2)2.
  AxisList partsOf(const AxisRef &axis) const {
    auto [begin, end] = rangeOf(axis);
    SmallVector<int64_t> points{begin, end};
    auto add = [&](const AxisRef &other) {
      auto [from, to] = rangeOf(other);
      for (int64_t point : {from, to})
        if (other.name == axis.name && points[0] < point && point < points[1])
          points.push_back(point);
    };
    llvm::for_each(cutAxes, add);
    for (const Claim *claim : op.operands)
      for (const PartialAxis &p : claim->sharding.partial)
        add(p.axis);
    llvm::sort(points);
    points.erase(llvm::unique(points), points.end());
    AxisList parts;
    for (auto [from, to] : llvm::zip(points, ArrayRef(points).drop_front())) {
      if (to % from != 0)
        return {axis};
      parts.push_back(mesh.canonical({axis.name, from, to / from}));
    }
    return parts;
  }

  //===--------------------------------------------------------------------===//
  // Results
  //===--------------------------------------------------------------------===//

  void conclude(LocalConclusion &conclusion) {
    for (auto [i, factors] : llvm::enumerate(rule.results)) {
      Claims claims;
      RankedTensorType whole = typeOf(op.whole->getResult(i));
      for (Sharding &sharding : resultShardings(i, factors, whole)) {
        sharding = canonical(std::move(sharding), whole.getShape(), mesh);
        if (localShape(whole.getShape(), sharding, mesh) !=
                op.localResults[i].getShape() ||
            whole.getElementType() != op.localResults[i].getElementType() ||
            !cutsFactors(factors, whole.getShape(), sharding))
          continue;
        Claim claim;
        claim.sharding = std::move(sharding);
        claim.fill = resultFill(factors);
        addClaim(claims, std::move(claim));
      }
      if (claims.empty())
        fail("the local result is not a block that follows from the operands");
      conclusion.results.push_back(std::move(claims));
    }
  }

  /// Whether the cuts of dimensions that several factors make up fall on the
  /// boundaries of the factors' own cuts.
  bool cutsFactors(const TensorFactors &factors, ArrayRef<int64_t> shape,
                   const Sharding &sharding) {
    for (auto [dim, names] : llvm::enumerate(factors))
      if (names.size() > 1 &&
          !distribute(names, shape[dim], sharding.dims[dim]))
        return false;
    return true;
  }

  /// Operations that only move elements keep what their padding holds.
  SmallVector<std::optional<double>, 4>
  resultFill(const TensorFactors &factors) const {
    SmallVector<std::optional<double>, 4> fill(factors.size());
    if (!isa<ReshapeOp, TransposeOp>(op.whole))
      return fill;
    for (auto [dim, names] : llvm::enumerate(factors)) {
      if (names.size() != 1)
        continue;
      for (auto [from, operandNames] : llvm::enumerate(rule.operands[0]))
        if (operandNames == names && !op.operands[0]->fill.empty())
          fill[dim] = op.operands[0]->fill[from];
    }
    return fill;
  }

  /// The sharding that the factors give, in every way in which factors that no
  /// operand has can be cut to the local size.
  std::vector<Sharding> resultShardings(unsigned index,
                                        const TensorFactors &factors,
                                        RankedTensorType whole) {
    Sharding fixed = Sharding::replicated(mesh.symbol, whole.getRank());
    for (const auto &[p, factor] : partial)
      if (!factor || !has(factors, *factor))
        fixed.addPartial(p.axis, p.reduction);
    SmallVector<AxisRef> used;
    for (const auto &cut : axes)
      if (cut)
        used.append(cut->begin(), cut->end());
    for (const auto &[p, factor] : partial)
      used.push_back(p.axis);
    bool open = false;
    for (auto [dim, names] : llvm::enumerate(factors)) {
      for (unsigned f : names) {
        if (axes[f])
          fixed.dims[dim].append(*axes[f]);
        else if (rule.factors[f].kind == FactorKind::Parallel ||
                 rule.factors[f].kind == FactorKind::Indexed)
          open = true;
      }
    }
    if (!open)
      return {fixed};
    // Combine with every sharding of the dimensions that nothing fixes; those
    // that are fixed take part with a size that is not cut.
    SmallVector<int64_t> openLocal(op.localResults[index].getShape());
    SmallVector<int64_t> openWhole(whole.getShape());
    for (auto [dim, names] : llvm::enumerate(factors))
      if (!names.empty() && axes[names[0]])
        openLocal[dim] = openWhole[dim] = 2;
    std::vector<Sharding> results;
    auto element = whole.getElementType();
    for (Sharding &choice : shardingsOfSize(
             RankedTensorType::get(openWhole, element),
             RankedTensorType::get(openLocal, element), mesh, units, used)) {
      Sharding combined = fixed;
      for (auto [dim, cut] : llvm::enumerate(choice.dims))
        if (!cut.empty())
          combined.dims[dim] = cut;
      results.push_back(std::move(combined));
    }
    return results;
  }

  const LocalOp &op;
  const Mesh &mesh;
  ArrayRef<AxisRef> units;
  ShardingRule rule;
  /// The axes that cut each factor; nothing where no operand has it.
  SmallVector<std::optional<AxisList>> axes;
  /// All of them together.
  AxisList cutAxes;
  /// And the factor that was contracted, if one was.
  SmallVector<std::pair<PartialAxis, std::optional<unsigned>>> partial;
  std::string problem;
};

/// Ordered selections of unused axes that cut `whole` to `local`.
void enumerateCuts(int64_t whole, int64_t local, const Mesh &mesh,
                   ArrayRef<AxisRef> units, const SmallVector<AxisRef> &used,
                   AxisList &current, SmallVectorImpl<AxisList> &found) {
  if (blockSize(whole, current, mesh) == local)
    found.push_back(current);
  if (current.size() == 3)
    return;
  for (const AxisRef &unit : units) {
    auto overlaps = [&](const AxisRef &o) { return o.overlaps(unit); };
    if (mesh.size(unit) == 1 || llvm::any_of(used, overlaps) ||
        llvm::any_of(current, overlaps))
      continue;
    current.push_back(unit);
    enumerateCuts(whole, local, mesh, units, used, current, found);
    current.pop_back();
  }
}

} // namespace

std::vector<Sharding> proof::shardingsOfSize(RankedTensorType whole,
                                             RankedTensorType local,
                                             const Mesh &mesh,
                                             ArrayRef<AxisRef> units,
                                             ArrayRef<AxisRef> used) {
  std::vector<Sharding> found{
      Sharding::replicated(mesh.symbol, whole.getRank())};
  for (int64_t dim = 0; dim < whole.getRank(); ++dim) {
    std::vector<Sharding> next;
    for (const Sharding &sharding : found) {
      SmallVector<AxisRef> taken(used);
      for (const AxisList &axes : sharding.dims)
        taken.append(axes.begin(), axes.end());
      SmallVector<AxisList> cuts;
      AxisList current;
      // A dimension of one element or none has full blocks under any axes.
      if (whole.getDimSize(dim) == local.getDimSize(dim) &&
          whole.getDimSize(dim) > 1)
        cuts.push_back({});
      else
        enumerateCuts(whole.getDimSize(dim), local.getDimSize(dim), mesh, units,
                      taken, current, cuts);
      for (AxisList &cut : cuts) {
        next.push_back(sharding);
        next.back().dims[dim] = std::move(cut);
      }
    }
    found = std::move(next);
  }
  for (Sharding &sharding : found)
    sharding = canonical(std::move(sharding), whole.getShape(), mesh);
  return found;
}

LocalConclusion proof::concludeLocal(const LocalOp &op, const Mesh &mesh,
                                     ArrayRef<AxisRef> units) {
  return Deriver(op, mesh, units).run();
}
