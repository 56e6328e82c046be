//===- ShardingRules.cpp - How each operation may be split ----------------===//
//
// One rule per operation, einsum-like; see ShardingRule.h. Core operations
// state theirs here, composites derive theirs from their decomposition.
//
//===----------------------------------------------------------------------===//

#include "tpc/Dialect/Tpc/Einsum.h"
#include "tpc/Dialect/Tpc/Tpc.h"

using namespace mlir;
using namespace tpc;

using Shape = ArrayRef<int64_t>;

static Shape shape(Value value) {
  return cast<RankedTensorType>(value.getType()).getShape();
}

static const SmallVector<Reduction, 3> kAny = {Reduction::Sum, Reduction::Max,
                                               Reduction::Min};

/// The operation copies elements of these operands: partial passes through,
/// whatever the reduction.
static LinearSet copies(ArrayRef<unsigned> operands) {
  return {SmallVector<unsigned, 2>(operands), kAny};
}
static LinearSet sums(ArrayRef<unsigned> operands) {
  return {SmallVector<unsigned, 2>(operands), {Reduction::Sum}};
}

/// "p0 p1 ..." for `count` dimensions, to build rules of any rank.
static std::string names(StringRef prefix, int64_t count) {
  std::string text;
  for (int64_t i = 0; i < count; ++i)
    text += (i ? " " : "") + prefix.str() + std::to_string(i);
  return text;
}

//===----------------------------------------------------------------------===//
// Elementwise
//===----------------------------------------------------------------------===//

static ShardingRule elementwise(Operation *op,
                                ArrayRef<LinearSet> linear = {}) {
  ShardingRule rule =
      ShardingRule::elementwise(shape(op->getResult(0)), op->getNumOperands());
  rule.linear.assign(linear.begin(), linear.end());
  return rule;
}

#define TPC_ELEMENTWISE(Op, ...)                                               \
  ShardingRule Op::getShardingRule() {                                         \
    return elementwise(*this, {__VA_ARGS__});                                  \
  }
TPC_ELEMENTWISE(AgainOp, copies({0}))
TPC_ELEMENTWISE(NegOp, sums({0}))
TPC_ELEMENTWISE(AbsOp)
TPC_ELEMENTWISE(ExpOp)
TPC_ELEMENTWISE(LogOp)
TPC_ELEMENTWISE(SqrtOp)
TPC_ELEMENTWISE(RsqrtOp)
TPC_ELEMENTWISE(SinOp)
TPC_ELEMENTWISE(CosOp)
TPC_ELEMENTWISE(TanhOp)
TPC_ELEMENTWISE(ErfOp)
TPC_ELEMENTWISE(NotOp)
TPC_ELEMENTWISE(AddOp, sums({0, 1}))
TPC_ELEMENTWISE(SubOp, sums({0, 1}))
TPC_ELEMENTWISE(PowOp)
TPC_ELEMENTWISE(AndOp)
TPC_ELEMENTWISE(OrOp)
TPC_ELEMENTWISE(CompareOp)
TPC_ELEMENTWISE(SelectOp, copies({1, 2}))
#undef TPC_ELEMENTWISE

static bool isFloat(Value value) {
  return isa<FloatType>(getElementTypeOrSelf(value));
}

ShardingRule MulOp::getShardingRule() {
  return elementwise(*this, {sums({0}), sums({1})});
}

ShardingRule DivOp::getShardingRule() {
  // Integer division rounds: not linear.
  if (!isFloat(getResult()))
    return elementwise(*this);
  return elementwise(*this, {sums({0})});
}

ShardingRule MaxOp::getShardingRule() {
  return elementwise(*this, {{{0, 1}, {Reduction::Max}}});
}

ShardingRule MinOp::getShardingRule() {
  return elementwise(*this, {{{0, 1}, {Reduction::Min}}});
}

ShardingRule ConvertOp::getShardingRule() {
  // Widening keeps every value. Floats that are rounded may be partial, as the
  // results of products are, which are rounded as well.
  auto isFloat = [](Value x) {
    return isa<FloatType>(getElementTypeOrSelf(x));
  };
  bool rounds = isFloat(getOperand()) && isFloat(getResult());
  return widens() || rounds ? elementwise(*this, {copies({0})})
                            : elementwise(*this);
}

//===----------------------------------------------------------------------===//
// Creation
//===----------------------------------------------------------------------===//

ShardingRule ConstantOp::getShardingRule() {
  // A constant of one repeated value may be split like anything else; other
  // data is not cut.
  ShardingRule rule = ShardingRule::elementwise(shape(getResult()), 0);
  if (!isa<SplatElementsAttr>(getValue()))
    for (Factor &factor : rule.factors)
      factor.kind = FactorKind::Whole;
  return rule;
}

ShardingRule IotaOp::getShardingRule() {
  ShardingRule rule = ShardingRule::elementwise(shape(getResult()), 0);
  Factor &factor = rule.factors[getDim()];
  bool exact = holdsIndices(getElementTypeOrSelf(getResult()), factor.size);
  factor.kind = exact ? FactorKind::Indexed : FactorKind::Whole;
  return rule;
}

//===----------------------------------------------------------------------===//
// Contraction and reduction
//===----------------------------------------------------------------------===//

ShardingRule MatmulOp::getShardingRule() {
  ShardingRule rule = ShardingRule::parse(
      getEquation(), {shape(getLhs()), shape(getRhs())}, {shape(getResult())});
  rule.linear = {sums({0}), sums({1})};
  return rule;
}

ShardingRule ReduceOp::getShardingRule() {
  SmallVector<std::string> kept;
  for (int64_t i = 0, rank = shape(getOperand()).size(); i < rank; ++i)
    if (!llvm::is_contained(getDims(), i))
      kept.push_back("d" + std::to_string(i));
  ShardingRule rule = ShardingRule::parse(
      names("d", shape(getOperand()).size()) + " -> " + llvm::join(kept, " "),
      {shape(getOperand())}, {shape(getResult())});
  for (Factor &factor : rule.factors)
    factor.reduction = getReduction();
  rule.linear = {{{0}, {getReduction()}}};
  return rule;
}

//===----------------------------------------------------------------------===//
// Shape
//===----------------------------------------------------------------------===//

ShardingRule BroadcastOp::getShardingRule() {
  SmallVector<std::string> from;
  for (auto [size, dim] : llvm::zip_equal(shape(getOperand()), getDims()))
    from.push_back(size == shape(getResult())[dim] ? "d" + std::to_string(dim)
                                                   : "1");
  ShardingRule rule = ShardingRule::parse(
      llvm::join(from, " ") + " -> " + names("d", shape(getResult()).size()),
      {shape(getOperand())}, {shape(getResult())});
  rule.linear = {copies({0})};
  return rule;
}

/// Cuts both shapes into runs of equal products; each run's common factors are
/// the divisors at which both have a boundary. 12x32 -> 384 is "f0 f1 ->
/// (f0 f1)"; 6x4 -> 8x3 agrees in halves only: what is inside of them is one
/// factor, which is whole.
ShardingRule ReshapeOp::getShardingRule() {
  Shape from = shape(getOperand()), to = shape(getResult());
  ShardingRule rule;
  TensorFactors operand(from.size()), result(to.size());
  // Without elements there are no runs; nothing can be split.
  bool empty = llvm::is_contained(from, 0);
  size_t i = empty ? from.size() : 0, j = empty ? to.size() : 0;
  while (i < from.size() || j < to.size()) {
    // Dimensions of size 1 carry nothing.
    if (i < from.size() && from[i] == 1) {
      ++i;
      continue;
    }
    if (j < to.size() && to[j] == 1) {
      ++j;
      continue;
    }
    // One run: from[i..] and to[j..] until the products agree.
    int64_t restFrom = from[i], restTo = to[j];
    while (true) {
      int64_t common = std::gcd(restFrom, restTo);
      bool exact = common != 0 && common == std::min(restFrom, restTo);
      if (!exact) {
        if (common > 1) {
          unsigned major =
              rule.addFactor("f" + std::to_string(rule.factors.size()), common);
          operand[i].push_back(major);
          result[j].push_back(major);
          restFrom /= common;
          restTo /= common;
        }
        // No boundary in common: the rest of the run is one whole factor.
        unsigned factor = rule.addFactor(
            "f" + std::to_string(rule.factors.size()), 0, FactorKind::Whole);
        operand[i].push_back(factor);
        result[j].push_back(factor);
        int64_t productFrom = restFrom, productTo = restTo;
        while (productFrom != productTo) {
          if (productFrom < productTo && i + 1 < from.size()) {
            productFrom *= from[++i];
            operand[i].push_back(factor);
          } else if (productTo < productFrom && j + 1 < to.size()) {
            productTo *= to[++j];
            result[j].push_back(factor);
          } else {
            break;
          }
        }
        rule.factors[factor].size = productFrom;
        restFrom = restTo = 1;
      } else {
        // Factors go from major to minor: the smaller rest is taken whole as
        // the major part of the larger.
        unsigned factor =
            rule.addFactor("f" + std::to_string(rule.factors.size()), common);
        operand[i].push_back(factor);
        result[j].push_back(factor);
        restFrom /= common;
        restTo /= common;
      }
      if (restFrom == 1 && restTo == 1)
        break;
      if (restFrom == 1)
        restFrom = from[++i];
      else
        restTo = to[++j];
    }
    ++i;
    ++j;
  }
  rule.operands.push_back(std::move(operand));
  rule.results.push_back(std::move(result));
  rule.linear = {copies({0})};
  return rule;
}

ShardingRule TransposeOp::getShardingRule() {
  SmallVector<std::string> to;
  for (int64_t dim : getPermutation())
    to.push_back("d" + std::to_string(dim));
  ShardingRule rule = ShardingRule::parse(
      names("d", shape(getOperand()).size()) + " -> " + llvm::join(to, " "),
      {shape(getOperand())}, {shape(getResult())});
  rule.linear = {copies({0})};
  return rule;
}

/// One factor per dimension of `whole`, shared with the other tensors' where
/// the sizes agree; elements move along the others.
static ShardingRule shiftedRule(Operation *op, unsigned numTensors) {
  ShardingRule rule;
  int64_t rank = shape(op->getResult(0)).size();
  auto tensors = llvm::to_vector(op->getOperands().take_front(numTensors));
  TensorFactors factors;
  for (int64_t dim = 0; dim < rank; ++dim) {
    int64_t size = shape(op->getResult(0))[dim];
    bool moves = llvm::any_of(
        tensors, [&](Value value) { return shape(value)[dim] != size; });
    factors.push_back(
        {rule.addFactor("d" + std::to_string(dim), size,
                        moves ? FactorKind::Shifted : FactorKind::Parallel)});
  }
  rule.operands.assign(numTensors, factors);
  rule.results.push_back(factors);
  return rule;
}

ShardingRule SliceOp::getShardingRule() {
  ShardingRule rule = shiftedRule(*this, 1);
  rule.linear = {copies({0})};
  return rule;
}

/// Rule of operations with a 1-D start operand after the tensors.
static ShardingRule withStart(ShardingRule rule, int64_t rank) {
  unsigned factor = rule.addFactor("start", rank, FactorKind::Whole);
  rule.operands.push_back({{factor}});
  return rule;
}

ShardingRule DynamicSliceOp::getShardingRule() {
  ShardingRule rule =
      withStart(shiftedRule(*this, 1), shape(getOperand()).size());
  rule.linear = {copies({0})};
  return rule;
}

ShardingRule UpdateSliceOp::getShardingRule() {
  int64_t rank = shape(getOperand()).size();
  ShardingRule rule =
      withStart(shiftedRule(*this, 2), startsPerRow() ? rank - 1 : rank);
  if (startsPerRow())
    rule.operands[2].insert(rule.operands[2].begin(), rule.results[0][0]);
  rule.linear = {copies({0, 1})};
  return rule;
}

ShardingRule PadOp::getShardingRule() {
  ShardingRule rule = shiftedRule(*this, 1);
  if (getValue().isZero())
    rule.linear = {sums({0})};
  return rule;
}

ShardingRule ConcatOp::getShardingRule() {
  ShardingRule rule = shiftedRule(*this, getNumOperands());
  rule.factors[getDim()].kind = FactorKind::Shifted;
  rule.linear.push_back({{}, kAny});
  for (unsigned i = 0; i < getNumOperands(); ++i)
    rule.linear[0].operands.push_back(i);
  return rule;
}

//===----------------------------------------------------------------------===//
// Indexing
//===----------------------------------------------------------------------===//

/// "before v after, i -> before i after" for gather and its adjoint.
static std::string tableText(StringRef middle, int64_t dim, int64_t rank) {
  std::string text = names("a", dim);
  text += (text.empty() ? "" : " ") + middle.str();
  std::string after = names("c", rank - dim - 1);
  return text + (after.empty() ? "" : " " + after);
}

ShardingRule GatherOp::getShardingRule() {
  int64_t rank = shape(getTable()).size(), dim = getDim();
  std::string index = names("i", shape(getIndices()).size());
  ShardingRule rule = ShardingRule::parse(
      tableText("v", dim, rank) + "," + index + "->" +
          tableText(index, dim, rank),
      {shape(getTable()), shape(getIndices())}, {shape(getResult())});
  rule.find("v")->kind = FactorKind::Indexed;
  rule.linear = {sums({0})};
  return rule;
}

ShardingRule ScatterAddOp::getShardingRule() {
  int64_t rank = shape(getOperand()).size(), dim = getDim();
  std::string index = names("i", shape(getIndices()).size());
  std::string table = tableText("v", dim, rank);
  ShardingRule rule = ShardingRule::parse(
      table + "," + index + "," + tableText(index, dim, rank) + "->" + table,
      {shape(getOperand()), shape(getIndices()), shape(getUpdates())},
      {shape(getResult())});
  rule.find("v")->kind = FactorKind::Indexed;
  // Split updates each add a part: the operand itself counts once.
  for (Factor &factor : rule.factors)
    if (factor.kind == FactorKind::Contracted)
      factor.partialOperands = {0};
  rule.linear = {sums({0, 2})};
  return rule;
}

static ShardingRule alongLast(Operation *op) {
  ShardingRule rule;
  TensorFactors factors;
  for (auto [i, size] : llvm::enumerate(shape(op->getOperand(0))))
    factors.push_back({rule.addFactor("d" + std::to_string(i), size)});
  rule.factors.back().kind = FactorKind::Whole;
  rule.operands = {factors};
  rule.results = {factors, factors};
  return rule;
}

ShardingRule SortOp::getShardingRule() { return alongLast(*this); }
ShardingRule TopKOp::getShardingRule() { return alongLast(*this); }

//===----------------------------------------------------------------------===//
// Composites
//===----------------------------------------------------------------------===//

#define TPC_DERIVED(Op)                                                        \
  ShardingRule Op::getShardingRule() { return deriveShardingRule(*this); }
TPC_DERIVED(SoftmaxOp)
TPC_DERIVED(CrossEntropyOp)
TPC_DERIVED(LayerNormOp)
TPC_DERIVED(GeluOp)
TPC_DERIVED(RmsNormOp)
TPC_DERIVED(SiluOp)
TPC_DERIVED(RopeOp)
TPC_DERIVED(LinearOp)
#undef TPC_DERIVED

/// The derived rule of a composite to which an index outside of dimension 0 of
/// operand `table` counts as zeros: split along it, it stays one and leaves
/// partial sums, as a gather does.
static ShardingRule derivedWithTable(DecomposableOpInterface op,
                                     unsigned table) {
  ShardingRule rule = deriveShardingRule(op);
  rule.factors[rule.operands[table][0][0]].kind = FactorKind::Indexed;
  return rule;
}

ShardingRule EmbeddingOp::getShardingRule() {
  return derivedWithTable(*this, 0);
}
ShardingRule GroupedMatmulOp::getShardingRule() {
  return derivedWithTable(*this, 2);
}

ShardingRule ExpertsOp::getShardingRule() {
  // What is derived does not see that the three weights are split together:
  // then a row is computed where its expert is, and silu(0) * 0 elsewhere.
  std::string n = names("n", shape(getChoices()).size() - 1);
  ShardingRule rule = ShardingRule::parse(
      n + " d, " + n + " c, " + n + " c, e d f, e d f, e f h -> " + n + " h",
      {shape(getOperand()), shape(getChoices()), shape(getScores()),
       shape(getGate()), shape(getUp()), shape(getDown())},
      {shape(getResult())});
  rule.find("d")->kind = FactorKind::Synchronized;
  rule.find("e")->kind = FactorKind::Indexed;
  rule.linear = {sums({2}), sums({4}), sums({5})};
  return rule;
}

ShardingRule AttentionOp::getShardingRule() {
  ShardingRule rule = deriveShardingRule(*this);
  // Queries are synchronized by their positions only. They count from an offset
  // of 64 bits, which partition gives to an attention that has none.
  Factor &queries = rule.factors[rule.operands[0][1][0]];
  if (queries.kind != FactorKind::Synchronized)
    return rule;
  queries.kind = FactorKind::Positioned;
  if (getOffset() && getElementTypeOrSelf(getOffset().getType()).isInteger(64))
    queries.origin = getODSOperandIndexAndLength(5).first;
  return rule;
}
