//===- Ties.cpp - Operations that are split together ----------------------===//

#include "Ties.h"
#include "tpc/Dialect/Tpc/Einsum.h"
#include "tpc/Dialect/Tpc/Tpc.h"
#include "llvm/ADT/MapVector.h"
#include <map>

using namespace mlir;
using namespace tpc;

//===----------------------------------------------------------------------===//
// Finding them
//===----------------------------------------------------------------------===//

using Products = SmallVector<MatmulOp, 3>;

/// The names of dimensions of both operands and the result, whichever is which.
static SmallVector<SmallVector<std::string, 5>, 3> tensorsOf(MatmulOp op) {
  Einsum einsum = *Einsum::parse(op.getEquation());
  SmallVector<SmallVector<std::string, 5>, 3> tensors{einsum.lhs, einsum.rhs,
                                                      einsum.result};
  llvm::sort(tensors);
  return tensors;
}

/// The products of each parameter, in the order of the program: those that read
/// it, and that whose result is held like it.
static llvm::MapVector<StringAttr, Products>
productsOfParameters(func::FuncOp function) {
  Block &body = function.getBody().front();
  llvm::DenseMap<Operation *, StringAttr> made;
  for (auto [i, value] : llvm::enumerate(body.getTerminator()->getOperands()))
    if (StringAttr like = heldLike(function, i))
      if (auto product = value.getDefiningOp<MatmulOp>())
        made[product] = like;
  llvm::MapVector<StringAttr, Products> products;
  for (auto product : body.getOps<MatmulOp>()) {
    if (StringAttr symbol = made.lookup(product))
      products[symbol].push_back(product);
    for (Value operand : product->getOperands())
      if (auto read = operand.getDefiningOp<ReadOp>())
        products[read.getSymbolAttr().getAttr()].push_back(product);
  }
  return products;
}

static void findGradients(func::FuncOp function, std::vector<Tie> &ties) {
  for (auto &[symbol, products] : productsOfParameters(function))
    for (MatmulOp product : ArrayRef(products).drop_front())
      if (product != products[0] &&
          tensorsOf(product) == tensorsOf(products[0]))
        ties.push_back({Tie::Gradient, products[0], product});
  llvm::DenseMap<Value, SmallVector<AttentionOp, 1>> attentions;
  for (Operation &op : function.getBody().front()) {
    if (auto attention = dyn_cast<AttentionOp>(op))
      attentions[attention.getQuery()].push_back(attention);
    auto vjp = dyn_cast<VjpOp>(op);
    if (!vjp || vjp.getForward() != AttentionOp::getOperationName())
      continue;
    for (AttentionOp attention : attentions.lookup(vjp.getValues()[0]))
      if (attention->getOperands() == vjp.getValues().drop_back())
        ties.push_back({Tie::Gradient, attention, vjp});
  }
}

static void findSiblings(func::FuncOp function, std::vector<Tie> &ties) {
  using Key = std::tuple<Value, Type, Type, StringAttr>;
  llvm::MapVector<Key, MatmulOp> first;
  for (auto product : function.getBody().front().getOps<MatmulOp>()) {
    if (!product.getRhs().getDefiningOp<ReadOp>())
      continue;
    Key key{product.getLhs(), product.getRhs().getType(), product.getType(),
            product.getEquationAttr()};
    auto [it, fresh] = first.try_emplace(key, product);
    if (!fresh)
      ties.push_back({Tie::Sibling, it->second, product});
  }
}

std::vector<Tie> tpc::findTies(func::FuncOp function) {
  std::vector<Tie> ties;
  findGradients(function, ties);
  findSiblings(function, ties);
  return ties;
}

//===----------------------------------------------------------------------===//
// Comparing strategies
//===----------------------------------------------------------------------===//

/// The axes that split each dimension of a product, by name.
static std::map<std::string, AxisList> splitsOf(MatmulOp op,
                                                const OpShardings &shardings) {
  std::map<std::string, AxisList> splits;
  Einsum einsum = *Einsum::parse(op.getEquation());
  auto add = [&](ArrayRef<std::string> names, const Sharding &sharding) {
    for (auto [name, axes] : llvm::zip_equal(names, sharding.dims))
      splits[name] = axes;
  };
  add(einsum.lhs, shardings.operands[0]);
  add(einsum.rhs, shardings.operands[1]);
  return splits;
}

bool tpc::areTied(const Tie &tie, const OpShardings &first,
                  const OpShardings &second) {
  if (tie.kind == Tie::Sibling)
    return first.operands == second.operands && first.results == second.results;
  // A gradient takes no partial values: they are reduced where they are made.
  if (llvm::any_of(second.operands, [](const Sharding &sharding) {
        return sharding.isPartial();
      }))
    return false;
  if (auto product = dyn_cast<MatmulOp>(tie.first))
    return splitsOf(product, first) ==
           splitsOf(cast<MatmulOp>(tie.second), second);
  return llvm::all_of(llvm::zip(first.operands, second.operands),
                      [](auto pair) {
                        auto &[a, b] = pair;
                        return a.dims == b.dims;
                      });
}
