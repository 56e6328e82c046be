//===- WeightDims.h - Columns and rows of a parameter -----------*- C++ -*-===//
//
// What "colwise" and "rowwise" mean for a parameter, from the sharding rules of
// the operations that read it:
//
//   matmul %x, @w "m k, k n -> m n"    n is a column dimension: a split goes on
//                                      in the result; k is a row dimension: a
//                                      split leaves a partial result
//   embedding @table, %ids             rows are tokens, columns features
//
// Operations on the parameter alone (transpose, reshape, convert) are looked
// through. A parameter with several uses may have dimensions that are both.
//
//===----------------------------------------------------------------------===//

#ifndef TPC_LIB_SHARDING_WEIGHTDIMS_H
#define TPC_LIB_SHARDING_WEIGHTDIMS_H

#include "tpc/Dialect/Tpc/Tpc.h"

namespace tpc {

struct WeightDims {
  /// By dimension of the parameter.
  llvm::SmallVector<bool> column, row;
};
/// By name.
llvm::DenseMap<mlir::StringAttr, WeightDims> weightDims(mlir::ModuleOp module);

/// The factor that the outermost cut of a dimension splits, if any: the first
/// one of more than one element.
std::optional<unsigned> majorFactor(const ShardingRule &rule,
                                    llvm::ArrayRef<unsigned> dim);

} // namespace tpc

#endif // TPC_LIB_SHARDING_WEIGHTDIMS_H
