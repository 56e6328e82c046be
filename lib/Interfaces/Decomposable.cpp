//===- Decomposable.cpp - Rules of composites -----------------------------===//
//
// The rule of a composite follows from its decomposition. Example, softmax
// over the last dimension of [b, d]:
//
//   m = reduce max x     "b d -> b"     d contracted
//   mb = broadcast m     "b -> b d1"
//   e = exp(x - mb)      "b d, b d -> b d"      ties d1 to d
//   ...
//
// Dimensions tied together by inner operations become one factor: b is
// parallel, d was contracted inside and its partial result is used by
// operations that are not linear, so d is synchronized.
//
//===----------------------------------------------------------------------===//

#include "tpc/Interfaces/Decomposable.h"
#include "llvm/ADT/EquivalenceClasses.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace tpc;

#include "tpc/Interfaces/Decomposable.cpp.inc"

//===----------------------------------------------------------------------===//
// Decomposition
//===----------------------------------------------------------------------===//

static Type withoutEncoding(Type type) {
  auto tensor = cast<RankedTensorType>(type);
  return RankedTensorType::get(tensor.getShape(), tensor.getElementType());
}

OpBuilder Decomposition::begin(DecomposableOpInterface op, TypeRange operands) {
  module = ModuleOp::create(op->getLoc());
  for (Type type : operands)
    block().addArgument(withoutEncoding(type), op->getLoc());
  return OpBuilder::atBlockBegin(&block());
}

Decomposition::Decomposition(DecomposableOpInterface op)
    : Decomposition(op, op->getOperandTypes()) {}

Decomposition::Decomposition(DecomposableOpInterface op, TypeRange operands) {
  OpBuilder builder = begin(op, operands);
  values = op.decompose(builder, block().getArguments());
}

Decomposition::Decomposition(DecomposableOpInterface op, int64_t blocks) {
  OpBuilder builder = begin(op, op->getOperandTypes());
  values =
      op.decomposeBlockwise(builder, block().getArguments(), blocks).results;
}

Decomposition::~Decomposition() {
  // The module has no terminator to keep it well-formed: drop uses first.
  for (Operation &op : block())
    op.dropAllReferences();
  while (!block().empty())
    block().back().erase();
  block().eraseArguments(0, block().getNumArguments());
}

//===----------------------------------------------------------------------===//
// Derived rules
//===----------------------------------------------------------------------===//

namespace {

/// Ties the dimensions of the body's values into factors.
class FactorDeriver {
public:
  explicit FactorDeriver(Decomposition &body) : body(body) {
    for (Operation &inner : body.block())
      addInner(inner);
  }

  ShardingRule derive() {
    ShardingRule rule;
    for (Value argument : body.block().getArguments())
      rule.operands.push_back(tensorFactors(argument, rule));
    for (Value result : body.results())
      rule.results.push_back(tensorFactors(result, rule));
    for (auto &[node, factor] : factorOf)
      classify(node, rule.factors[factor], rule);
    // An operand that nothing reads has shapes that must fit, and no more.
    for (auto [argument, factors] :
         llvm::zip_equal(body.block().getArguments(), rule.operands))
      if (argument.use_empty())
        for (const auto &dim : factors)
          for (unsigned factor : dim)
            rule.factors[factor].kind = FactorKind::Whole;
    findLinear(rule);
    return rule;
  }

private:
  /// A node stands for a dimension of a value or a factor of an inner
  /// operation; nodes of one equivalence class are one factor.
  using Node = int64_t;

  struct Inner {
    Operation *op;
    ShardingRule rule;
    SmallVector<Node> factorNodes;
  };

  void addInner(Operation &inner) {
    auto interface = cast<ShardingRuleOpInterface>(inner);
    Inner entry{&inner, interface.getShardingRule(), {}};
    for (const Factor &factor : entry.rule.factors) {
      entry.factorNodes.push_back(newNode());
      noteKind(entry.factorNodes.back(), factor.kind);
    }
    auto tie = [&](Value value, const TensorFactors &factors) {
      for (auto [dim, names] : llvm::enumerate(factors)) {
        Node node = dimNode(value, dim);
        if (names.size() == 1) {
          classes.unionSets(node, entry.factorNodes[names[0]]);
          continue;
        }
        // Dimensions of several factors or of none cannot be followed through
        // the composite: a single element that is repeated, or that a reshape
        // adds or drops, is needed by every device.
        noteKind(node, FactorKind::Whole);
        for (unsigned name : names)
          noteKind(entry.factorNodes[name], FactorKind::Whole);
      }
    };
    for (auto [value, factors] :
         llvm::zip_equal(inner.getOperands(), entry.rule.operands))
      tie(value, factors);
    for (auto [value, factors] :
         llvm::zip_equal(inner.getResults(), entry.rule.results))
      tie(value, factors);
    inners.push_back(std::move(entry));
  }

  Node newNode() {
    classes.insert(nextNode);
    return nextNode++;
  }

  Node dimNode(Value value, unsigned dim) {
    auto [it, fresh] = dimNodes.try_emplace({value, dim}, 0);
    if (fresh)
      it->second = newNode();
    return it->second;
  }

  void noteKind(Node node, FactorKind kind) { kinds.push_back({node, kind}); }

  Node leader(Node node) { return classes.getLeaderValue(node); }

  TensorFactors tensorFactors(Value value, ShardingRule &rule) {
    TensorFactors factors;
    auto type = cast<RankedTensorType>(value.getType());
    for (int64_t dim = 0; dim < type.getRank(); ++dim) {
      auto &entry = factors.emplace_back();
      if (type.getDimSize(dim) == 1 && broadcasts(value, dim))
        continue;
      Node node = leader(dimNode(value, dim));
      auto it = factorOf.find(node);
      if (it == factorOf.end()) {
        std::string name = "f" + std::to_string(rule.factors.size());
        unsigned index = rule.addFactor(name, type.getDimSize(dim));
        it = factorOf.insert({node, index}).first;
      }
      entry.push_back(it->second);
    }
    return factors;
  }

  /// Whether a dimension of size 1 has no factor anywhere it is used: it is
  /// repeated by a broadcast.
  bool broadcasts(Value value, unsigned dim) {
    for (const Inner &inner : inners)
      for (auto [operand, factors] :
           llvm::zip_equal(inner.op->getOperands(), inner.rule.operands))
        if (operand == value && factors[dim].empty())
          return true;
    return false;
  }

  void classify(Node node, Factor &factor, const ShardingRule &rule) {
    bool contracted = false, indexed = false;
    for (auto [noted, kind] : kinds) {
      if (leader(noted) != node)
        continue;
      if (kind == FactorKind::Whole || kind == FactorKind::Shifted) {
        factor.kind = kind;
        return;
      }
      contracted |= kind == FactorKind::Contracted;
      indexed |=
          kind == FactorKind::Indexed || kind == FactorKind::Synchronized;
    }
    if (!contracted && !indexed)
      return;
    factor.kind = FactorKind::Synchronized;
    if (indexed)
      return;
    // Contracted if the partial result stays partial to the end, possibly with
    // one other operand partial as well. A result that has the factor itself is
    // not affected.
    SmallVector<SmallVector<unsigned, 1>> tries = {{}};
    for (unsigned i = 0, n = rule.operands.size(); i < n; ++i)
      if (!hasFactor(rule.operands[i], node))
        tries.push_back({i});
    for (const auto &partial : tries) {
      if (auto reduction = flow(rule, partial, node)) {
        factor.kind = FactorKind::Contracted;
        factor.reduction = *reduction;
        factor.partialOperands.assign(partial.begin(), partial.end());
        return;
      }
    }
  }

  bool hasFactor(const TensorFactors &tensor, Node node) {
    return llvm::any_of(tensor, [&](const auto &dim) {
      return llvm::any_of(dim, [&](unsigned f) {
        auto it = factorOf.find(node);
        return it != factorOf.end() && it->second == f;
      });
    });
  }

  /// Follows partial values through the body. `partialOperands` start partial;
  /// with a `contracted` class, operations that contract it make a partial
  /// result. Returns the reduction if every result without that class ends
  /// partial, none with it, and nothing used a partial value that is not linear
  /// in it.
  std::optional<Reduction> flow(const ShardingRule &rule,
                                ArrayRef<unsigned> partialOperands,
                                std::optional<Node> contracted,
                                Reduction initial = Reduction::Sum) {
    llvm::DenseMap<Value, Reduction> partial;
    for (unsigned operand : partialOperands)
      partial[body.block().getArgument(operand)] = initial;
    for (const Inner &inner : inners) {
      SmallVector<unsigned, 2> used;
      std::optional<Reduction> reduction;
      for (auto [i, operand] : llvm::enumerate(inner.op->getOperands()))
        if (auto it = partial.find(operand); it != partial.end()) {
          if (reduction && *reduction != it->second)
            return std::nullopt;
          reduction = it->second;
          used.push_back(i);
        }
      const Factor *summed = nullptr;
      if (contracted)
        for (auto [factor, node] :
             llvm::zip_equal(inner.rule.factors, inner.factorNodes))
          if (leader(node) == *contracted &&
              factor.kind == FactorKind::Contracted)
            summed = &factor;
      if (summed) {
        if (!used.empty())
          return std::nullopt;
        reduction = summed->reduction;
      } else if (used.empty()) {
        continue;
      } else if (llvm::none_of(inner.rule.linear, [&](const LinearSet &set) {
                   return ArrayRef(set.operands) == ArrayRef(used) &&
                          llvm::is_contained(set.reductions, *reduction);
                 })) {
        return std::nullopt;
      }
      for (Value result : inner.op->getResults())
        partial[result] = *reduction;
    }
    std::optional<Reduction> reduction;
    for (auto [result, factors] :
         llvm::zip_equal(body.results(), rule.results)) {
      auto it = partial.find(result);
      bool isPartial = it != partial.end();
      bool isCut = contracted && hasFactor(factors, *contracted);
      if (isPartial == isCut ||
          (isPartial && reduction.value_or(it->second) != it->second))
        return std::nullopt;
      if (isPartial)
        reduction = it->second;
    }
    return reduction;
  }

  void findLinear(ShardingRule &rule) {
    unsigned n = rule.operands.size();
    SmallVector<SmallVector<unsigned, 2>> sets;
    for (unsigned i = 0; i < n; ++i) {
      sets.push_back({i});
      for (unsigned j = i + 1; j < n; ++j)
        sets.push_back({i, j});
    }
    for (auto &set : sets) {
      LinearSet linear;
      linear.operands = set;
      linear.reductions.clear();
      for (Reduction reduction :
           {Reduction::Sum, Reduction::Max, Reduction::Min})
        if (flow(rule, set, std::nullopt, reduction) == reduction)
          linear.reductions.push_back(reduction);
      if (!linear.reductions.empty())
        rule.linear.push_back(std::move(linear));
    }
  }

  Decomposition &body;
  std::vector<Inner> inners;
  llvm::EquivalenceClasses<Node> classes;
  llvm::DenseMap<std::pair<Value, unsigned>, Node> dimNodes;
  SmallVector<std::pair<Node, FactorKind>> kinds;
  llvm::MapVector<Node, unsigned> factorOf;
  Node nextNode = 0;
};

} // namespace

ShardingRule tpc::deriveShardingRule(DecomposableOpInterface op) {
  Decomposition body(op);
  return deriveShardingRule(body);
}

ShardingRule tpc::deriveShardingRule(Decomposition &body) {
  return FactorDeriver(body).derive();
}
