//===- BatchDims.h - Where the batch is -------------------------*- C++ -*-===//
//
// Which dimensions of which values count independent rows. Those are dimension
// 0 of every argument and what follows from it through the factors of the
// sharding rules, forwards and backwards:
//
//   %x : tensor<8x64xf32>                     dimension 0, an argument
//   %y = matmul %x, %w "b e, e f -> b f"      dimension 0, by factor b
//   @cache written with [b, s, k, d]          dimension 0 of the state
//
// A gradient has none: there b is contracted. Neither have parameters.
//
//===----------------------------------------------------------------------===//

#ifndef TPC_LIB_SHARDING_BATCHDIMS_H
#define TPC_LIB_SHARDING_BATCHDIMS_H

#include "tpc/Dialect/Tpc/Tpc.h"

namespace tpc {

class BatchDims {
public:
  explicit BatchDims(mlir::ModuleOp module);

  /// By dimension; all false for what has no batch.
  llvm::SmallVector<bool> of(mlir::Value value) const;
  llvm::SmallVector<bool> ofSymbol(mlir::StringAttr name, int64_t rank) const;

private:
  struct Ruled {
    mlir::Operation *op;
    ShardingRule rule;
  };
  bool spread(const Ruled &ruled);
  bool spread(mlir::Operation *op);
  /// Whether no batch reaches the value's dimensions.
  bool isParameter(mlir::Value value) const;
  bool mark(mlir::Value value, unsigned dim);
  /// Marks in each what is marked in the other.
  bool unite(mlir::Value value, llvm::SmallVector<bool> &other);

  llvm::DenseMap<mlir::Value, llvm::SmallVector<bool>> values;
  llvm::DenseMap<mlir::StringAttr, llvm::SmallVector<bool>> states;
};

} // namespace tpc

#endif // TPC_LIB_SHARDING_BATCHDIMS_H
