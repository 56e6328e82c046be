//===- Blockwise.cpp - Proof of blockwise decompositions ------------------===//
//
// A blockwise form is trusted no more than any other program: its values are
// numbered together with those of the plain form, and every value in which the
// blocks stand apart is kept as what it is of a value x [..., d] of the plain
// form, whose last dimension is cut into n blocks of w:
//
//   Cut x         [..., n, w]  x itself
//   Max x, Sum x  [..., n]     maximum or sum of every block
//   Shift x       [..., n]     that maximum, 0 where it is -inf
//   Exp x         [..., n, w]  e^(x - Shift x)
//   SumExp x      [..., n]     its sum over every block
//
// Blocks become one by three lemmas; m is the maximum of x over all blocks, and
// shift(m) is m, or 0 where it is -inf:
//
//   maximum of maxima   max over n of Max x  = max x
//   sum of sums         sum over n of Sum x  = sum x
//   online softmax      sum over n of SumExp x * e^(Max x - shift(m))
//                                            = sum e^(x - shift(m))
//
// The last holds for rows of -inf, too: both sides are 0. (Milakov and
// Gimelshein, "Online normalizer calculation for softmax", arXiv:1805.02867.)
//
//===----------------------------------------------------------------------===//

#include "Blockwise.h"
#include "tpc/Dialect/Tpc/Tpc.h"
#include <limits>
#include <map>

using namespace mlir;
using namespace tpc;
using namespace tpc::proof;

using Shape = ArrayRef<int64_t>;

namespace {

/// What a value is known to be.
struct Term {
  enum Kind {
    Plain, ///< value `id` of the plain form
    Cut,
    Max,
    Sum,
    NoMax, ///< whether Max x is -inf
    Shift,
    WideShift, ///< Shift x along w
    Less,      ///< x - Shift x
    Exp,
    SumExp,
    LessTotal, ///< Max x - shift(m)
    Scale,     ///< e^(Max x - shift(m))
    Rescaled,  ///< SumExp x * Scale x
    Summary,   ///< `columns` side by side
    Unknown
  };
  Kind kind = Unknown;
  int id = -1;
  std::vector<Term> columns;

  bool operator==(const Term &o) const {
    return kind == o.kind && id == o.id && columns == o.columns;
  }
  bool is(Kind other) const { return kind == other; }
};

class Prover {
public:
  std::optional<std::string> run(Body plain, Body blockwise) {
    for (Body *body : {&plain, &blockwise}) {
      mayCut = body == &blockwise;
      for (BlockArgument argument : body->block.getArguments())
        terms[argument] = {Term::Plain, argumentId(argument), {}};
      for (Operation &op : body->block)
        if (!op.hasTrait<OpTrait::IsTerminator>())
          number(&op);
    }
    for (auto [p, b] : llvm::zip_equal(plain.results, blockwise.results))
      if (!(terms[p] == terms[b]) || terms[p].is(Term::Unknown))
        return problem.empty() ? "the results are different values" : problem;
    return std::nullopt;
  }

private:
  //===--------------------------------------------------------------------===//
  // Numbers
  //===--------------------------------------------------------------------===//

  struct Node {
    Operation *op; // null for an argument
    SmallVector<int> operands;
  };
  using Key =
      std::tuple<const void *, const void *, std::vector<int>, const void *>;

  int argumentId(BlockArgument argument) {
    if (argument.getArgNumber() == nodes.size())
      nodes.push_back({nullptr, {}});
    return argument.getArgNumber();
  }

  void number(Operation *op) {
    Term term = conclude(op);
    if (term.is(Term::Unknown) && problem.empty())
      problem = "no lemma for '" + op->getName().getStringRef().str() +
                "' on what its operands are known to be";
    terms[op->getResult(0)] = std::move(term);
  }

  Term conclude(Operation *op) {
    SmallVector<Term> operands;
    for (Value operand : op->getOperands())
      operands.push_back(terms[operand]);
    if (mayCut)
      if (Term term = concludeBlocks(op, operands); !term.is(Term::Unknown))
        return term;
    std::vector<int> ids;
    for (const Term &operand : operands) {
      if (!operand.is(Term::Plain))
        return {};
      ids.push_back(operand.id);
    }
    Key key{op->getName().getAsOpaquePointer(),
            op->getAttrDictionary().getAsOpaquePointer(), ids,
            op->getResult(0).getType().getAsOpaquePointer()};
    auto [it, isNew] = numbers.try_emplace(key, nodes.size());
    if (isNew)
      nodes.push_back({op, SmallVector<int>(ids.begin(), ids.end())});
    return {Term::Plain, it->second, {}};
  }

  //===--------------------------------------------------------------------===//
  // Shapes and constants
  //===--------------------------------------------------------------------===//

  static Shape shapeOf(Value value) {
    return cast<RankedTensorType>(value.getType()).getShape();
  }
  /// Along the last dimension only.
  static bool isAlongLast(ReduceOp op) {
    return op.getDims() == Shape(int64_t(shapeOf(op.getOperand()).size()) - 1);
  }
  /// Repeats along a new last dimension.
  static bool addsLast(BroadcastOp op) {
    Shape from = shapeOf(op.getOperand()), to = shapeOf(op.getResult());
    return to.drop_back() == from &&
           op.getDims() ==
               ArrayRef(llvm::to_vector(llvm::seq<int64_t>(0, from.size())));
  }
  static bool isConstant(Operation *op, double value) {
    auto constant = dyn_cast_or_null<ConstantOp>(op);
    auto splat =
        constant ? dyn_cast<SplatElementsAttr>(constant.getValue()) : nullptr;
    return splat && isa<FloatType>(splat.getElementType()) &&
           splat.getSplatValue<APFloat>().convertToDouble() == value;
  }
  static bool isConstant(Value value, double number) {
    return isConstant(value.getDefiningOp(), number);
  }
  static constexpr double kLowest = -std::numeric_limits<double>::infinity();

  //===--------------------------------------------------------------------===//
  // The plain form
  //===--------------------------------------------------------------------===//

  template <typename OpT> OpT definition(int id) {
    return dyn_cast_or_null<OpT>(nodes[id].op);
  }

  /// The number of x reduced along its last dimension, or -1.
  int findReduced(Reduction reduction, int x) {
    for (auto [id, node] : llvm::enumerate(nodes))
      if (auto reduce = dyn_cast_or_null<ReduceOp>(node.op))
        if (reduce.getReduction() == reduction && isAlongLast(reduce) &&
            node.operands[0] == x)
          return id;
    return -1;
  }

  /// Whether value `id` is shift(max x).
  bool isShift(int id, int x) {
    int peak = findReduced(Reduction::Max, x);
    if (peak < 0 || !definition<SelectOp>(id))
      return false;
    auto [condition, zero, otherwise] = std::tuple(
        nodes[id].operands[0], nodes[id].operands[1], nodes[id].operands[2]);
    auto compare = definition<CompareOp>(condition);
    return otherwise == peak && isConstant(nodes[zero].op, 0) && compare &&
           compare.getPredicate() == Predicate::EQ &&
           nodes[condition].operands[0] == peak &&
           isConstant(nodes[nodes[condition].operands[1]].op, kLowest);
  }

  /// The number of the sum of e^(x - shift(max x)), or -1.
  int findSumExp(int x) {
    for (auto [id, node] : llvm::enumerate(nodes)) {
      auto reduce = dyn_cast_or_null<ReduceOp>(node.op);
      if (!reduce || reduce.getReduction() != Reduction::Sum ||
          !isAlongLast(reduce) || !definition<ExpOp>(node.operands[0]))
        continue;
      int less = nodes[node.operands[0]].operands[0];
      if (!definition<SubOp>(less) || nodes[less].operands[0] != x)
        continue;
      int wide = nodes[less].operands[1];
      auto broadcast = definition<BroadcastOp>(wide);
      if (broadcast && addsLast(broadcast) &&
          isShift(nodes[wide].operands[0], x))
        return id;
    }
    return -1;
  }

  static Term plain(int id) {
    return id < 0 ? Term() : Term{Term::Plain, id, {}};
  }

  //===--------------------------------------------------------------------===//
  // The blockwise form
  //===--------------------------------------------------------------------===//

  /// Values of [..., n], which keep their meaning with one more dimension of 1.
  static bool isPerBlock(const Term &term) {
    switch (term.kind) {
    case Term::Max:
    case Term::Sum:
    case Term::SumExp:
      return true;
    default:
      return false;
    }
  }

  Term concludeBlocks(Operation *op, ArrayRef<Term> operands) {
    if (auto reshape = dyn_cast<ReshapeOp>(op))
      return concludeReshape(reshape, operands[0]);
    if (auto reduce = dyn_cast<ReduceOp>(op))
      return concludeReduce(reduce, operands[0]);
    if (auto broadcast = dyn_cast<BroadcastOp>(op))
      return addsLast(broadcast) && operands[0].is(Term::Shift)
                 ? Term{Term::WideShift, operands[0].id, {}}
                 : Term();
    if (auto concat = dyn_cast<ConcatOp>(op))
      return concludeConcat(concat, operands);
    if (auto slice = dyn_cast<tpc::SliceOp>(op))
      return concludeSlice(slice, operands[0]);
    return concludeElementwise(op, operands);
  }

  /// Whether the term is shift(max x), repeated for every block.
  bool isRepeatedShift(const Term &term, int x) {
    if (!term.is(Term::Plain))
      return false;
    auto broadcast = definition<BroadcastOp>(term.id);
    return broadcast && addsLast(broadcast) &&
           isShift(nodes[term.id].operands[0], x);
  }

  Term concludeReshape(ReshapeOp op, const Term &from) {
    Shape before = shapeOf(op.getOperand()), after = shapeOf(op.getResult());
    bool dropsOne = after == before.drop_back() && before.back() == 1;
    bool addsOne =
        !after.empty() && after.drop_back() == before && after.back() == 1;
    if (isPerBlock(from) && (dropsOne || addsOne))
      return from;
    // [..., d] to [..., n, w]
    if (!from.is(Term::Plain) || before.empty() ||
        after.size() != before.size() + 1 ||
        after.drop_back(2) != before.drop_back() ||
        after.back() * after.drop_back().back() != before.back())
      return {};
    int64_t count = after.drop_back().back();
    if (blocks != 0 && blocks != count)
      return {};
    blocks = count;
    return {Term::Cut, from.id, {}};
  }

  Term concludeReduce(ReduceOp op, const Term &from) {
    if (!isAlongLast(op))
      return {};
    bool isMax = op.getReduction() == Reduction::Max;
    bool isSum = op.getReduction() == Reduction::Sum;
    if (from.is(Term::Cut) && isMax)
      return {Term::Max, from.id, {}};
    if (from.is(Term::Cut) && isSum)
      return {Term::Sum, from.id, {}};
    if (from.is(Term::Exp) && isSum)
      return {Term::SumExp, from.id, {}};
    // The lemmas. A value with a dimension of 1 behind the blocks is not meant.
    if (shapeOf(op.getOperand()).back() != blocks)
      return {};
    if (from.is(Term::Max) && isMax)
      return plain(findReduced(Reduction::Max, from.id));
    if (from.is(Term::Sum) && isSum)
      return plain(findReduced(Reduction::Sum, from.id));
    if (from.is(Term::Rescaled) && isSum)
      return plain(findSumExp(from.id));
    return {};
  }

  Term concludeConcat(ConcatOp op, ArrayRef<Term> operands) {
    int64_t last = shapeOf(op.getResult()).size() - 1;
    if (int64_t(op.getDim()) != last)
      return {};
    for (auto [operand, term] : llvm::zip_equal(op.getOperands(), operands))
      if (!isPerBlock(term) || shapeOf(operand).back() != 1)
        return {};
    return {Term::Summary, -1, {operands.begin(), operands.end()}};
  }

  Term concludeSlice(tpc::SliceOp op, const Term &from) {
    if (!from.is(Term::Summary))
      return {};
    Shape before = shapeOf(op.getOperand()), after = shapeOf(op.getResult());
    if (after.drop_back() != before.drop_back() || after.back() != 1)
      return {};
    return from.columns[op.getOffsets().back()];
  }

  Term concludeElementwise(Operation *op, ArrayRef<Term> t) {
    auto kind = [&](Term::Kind result) { return Term{result, t[0].id, {}}; };
    auto both = [&](Term::Kind a, Term::Kind b) {
      return t[0].is(a) && t[1].is(b) && t[0].id == t[1].id;
    };
    if (auto compare = dyn_cast<CompareOp>(op))
      if (compare.getPredicate() == Predicate::EQ && t[0].is(Term::Max) &&
          isConstant(compare.getRhs(), kLowest))
        return kind(Term::NoMax);
    if (auto select = dyn_cast<SelectOp>(op))
      if (t[0].is(Term::NoMax) && t[2].is(Term::Max) && t[0].id == t[2].id &&
          isConstant(select.getOnTrue(), 0))
        return kind(Term::Shift);
    if (isa<SubOp>(op) && both(Term::Cut, Term::WideShift))
      return kind(Term::Less);
    if (isa<SubOp>(op) && t[0].is(Term::Max) && isRepeatedShift(t[1], t[0].id))
      return kind(Term::LessTotal);
    if (isa<ExpOp>(op) && t[0].is(Term::Less))
      return kind(Term::Exp);
    if (isa<ExpOp>(op) && t[0].is(Term::LessTotal))
      return kind(Term::Scale);
    if (isa<MulOp>(op) && both(Term::SumExp, Term::Scale))
      return kind(Term::Rescaled);
    return {};
  }

  /// The blockwise form is being numbered; before, everything is plain.
  bool mayCut = false;
  int64_t blocks = 0;
  DenseMap<Value, Term> terms;
  std::vector<Node> nodes;
  std::map<Key, int> numbers;
  std::string problem;
};

} // namespace

std::optional<std::string> proof::proveBlockwise(Body plain, Body blockwise) {
  return Prover().run(plain, blockwise);
}
