//===- Positions.cpp - Proof of positions counted from an operand ---------===//
//
// The decomposition of attention uses its offset o only in positions:
//
//   %i = tpc.iota dim 3              the queries' numbers
//   %o = tpc.broadcast %offset
//   %p = tpc.add %i, %o
//
// Taken as a function of the positions instead, it must be parallel along the
// queries, %p being split like them. Then a block of queries that starts at c
// needs the block of %p, which is
//
//   (iota of the block + c) + o = iota of the block + (o + c)
//
// and that is what the operation computes of o + c. Sums of integers wrap
// around, so that holds for every o.
//
//===----------------------------------------------------------------------===//

#include "Positions.h"
#include "tpc/Dialect/Tpc/Tpc.h"

using namespace mlir;
using namespace tpc;

namespace {
/// iota + broadcast of an argument.
struct Positions {
  AddOp sum;
  IotaOp iota;
};
} // namespace

static std::optional<Positions> matchPositions(Operation *op, Value origin) {
  auto sum = dyn_cast<AddOp>(op);
  if (!sum)
    return std::nullopt;
  auto iota = sum.getLhs().getDefiningOp<IotaOp>();
  auto spread = sum.getRhs().getDefiningOp<BroadcastOp>();
  if (!iota || !spread || spread.getOperand() != origin)
    return std::nullopt;
  return Positions{sum, iota};
}

std::optional<std::string> proof::provePositions(DecomposableOpInterface op,
                                                 unsigned operand, unsigned dim,
                                                 unsigned origin) {
  Decomposition body(op);
  Value from = body.block().getArgument(origin);
  SmallVector<std::pair<unsigned, unsigned>> split; // argument, dimension
  for (Operation &inner : llvm::make_early_inc_range(body.block())) {
    std::optional<Positions> found = matchPositions(&inner, from);
    if (!found || llvm::is_contained(body.results(), found->sum.getResult()))
      continue;
    Value positions =
        body.block().addArgument(found->sum.getType(), inner.getLoc());
    split.push_back(
        {cast<BlockArgument>(positions).getArgNumber(), found->iota.getDim()});
    found->sum.getResult().replaceAllUsesWith(positions);
    inner.erase();
  }
  for (Operation &inner :
       llvm::make_early_inc_range(llvm::reverse(body.block())))
    if (inner.use_empty() &&
        !llvm::is_contained(body.results(), inner.getResult(0)))
      inner.erase();
  if (split.empty() || !from.use_empty())
    return "operand " + std::to_string(origin) +
           " is used for more than positions";
  ShardingRule rule = deriveShardingRule(body);
  const auto &along = rule.operands[operand][dim];
  if (along.size() != 1 || rule.factors[along[0]].kind != FactorKind::Parallel)
    return "more than positions depends on where a block starts";
  for (auto [argument, iotaDim] : split)
    for (auto [d, factors] : llvm::enumerate(rule.operands[argument]))
      if ((factors == along) != (d == iotaDim))
        return "positions are counted along another dimension";
  return std::nullopt;
}
