//===- Decomposable.h - Composite operations --------------------*- C++ -*-===//
//
// A composite (softmax, attention, ...) is defined by its decomposition into
// core operations. Its value, sharding rule and gradient follow from it.
//
//===----------------------------------------------------------------------===//

#ifndef TPC_INTERFACES_DECOMPOSABLE_H
#define TPC_INTERFACES_DECOMPOSABLE_H

#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OwningOpRef.h"
#include "tpc/Interfaces/ShardingRule.h"

namespace tpc {

/// A composite in terms of core operations that says what its blocks tell each
/// other: `summary` is [..., blocks, k] where operand 0 is [..., d], k numbers
/// of each block; the results follow from it and from the operands' blocks.
struct BlockwiseDecomposition {
  llvm::SmallVector<mlir::Value> results;
  mlir::Value summary;
};

} // namespace tpc

#include "tpc/Interfaces/Decomposable.h.inc"

namespace tpc {

/// A decomposition in a block of its own, for those who analyze or evaluate
/// it: the operands are the block's arguments, without encodings.
class Decomposition {
public:
  explicit Decomposition(DecomposableOpInterface op);
  /// For operands of other sizes, those of one device's blocks.
  Decomposition(DecomposableOpInterface op, mlir::TypeRange operands);
  /// Its blockwise form; without results where it has none.
  Decomposition(DecomposableOpInterface op, int64_t blocks);
  ~Decomposition();
  Decomposition(const Decomposition &) = delete;
  Decomposition &operator=(const Decomposition &) = delete;

  mlir::Block &block() { return *module->getBody(); }
  mlir::ValueRange results() { return values; }

private:
  mlir::OpBuilder begin(DecomposableOpInterface op, mlir::TypeRange operands);

  mlir::OwningOpRef<mlir::ModuleOp> module;
  llvm::SmallVector<mlir::Value> values;
};

/// The rule of a composite, derived from its decomposition: factors that the
/// inner operations tie together are one; a factor that is contracted inside
/// is contracted outside if everything after is linear, else synchronized.
ShardingRule deriveShardingRule(DecomposableOpInterface op);
/// The rule of any function of a block's arguments.
ShardingRule deriveShardingRule(Decomposition &body);

} // namespace tpc

#endif // TPC_INTERFACES_DECOMPOSABLE_H
