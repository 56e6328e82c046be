//===- LocalRule.h - What a local operation computes ------------*- C++ -*-===//
//
// If the operands of a local operation are known blocks of whole values, its
// result is a known block of the whole operation's result, provided the
// sharding rule allows these blocks together. This derives the result's
// shardings from the operands' (partition works the other way round, from a
// strategy): every factor gets the axes that cut it in the operands that have
// it, all of which must agree.
//
//===----------------------------------------------------------------------===//

#ifndef TPC_LIB_TRANSFORMS_PROOF_LOCALRULE_H
#define TPC_LIB_TRANSFORMS_PROOF_LOCALRULE_H

#include "Claim.h"
#include "tpc/Interfaces/ShardingRule.h"

namespace tpc::proof {

/// What is given: the whole operation, one claim per operand, and the local
/// types of the results.
struct LocalOp {
  mlir::Operation *whole;
  llvm::ArrayRef<const Claim *> operands;
  llvm::SmallVector<mlir::RankedTensorType> localResults;
};

/// Claims on each result (ids are left to the caller), or none with the reason
/// why the operation does not follow.
struct LocalConclusion {
  std::vector<Claims> results;
  std::string problem;
};

/// `units` are the axes and parts of axes that the program mentions: the
/// candidates for cutting a dimension that no operand has.
LocalConclusion concludeLocal(const LocalOp &op, const Mesh &mesh,
                              llvm::ArrayRef<AxisRef> units);

/// Shardings of a whole tensor whose local type is `local`, with the axes of
/// `used` left alone.
std::vector<Sharding> shardingsOfSize(mlir::RankedTensorType whole,
                                      mlir::RankedTensorType local,
                                      const Mesh &mesh,
                                      llvm::ArrayRef<AxisRef> units,
                                      llvm::ArrayRef<AxisRef> used);

} // namespace tpc::proof

#endif // TPC_LIB_TRANSFORMS_PROOF_LOCALRULE_H
