//===- Assignment.h - Which sharding every value has ------------*- C++ -*-===//
//
// What a mode of assignment decides: for every operation one strategy of its
// rule, for every parameter, state, argument and result the sharding in which
// it is held. A value is held as the operation that makes it leaves it; an
// operation that wants it otherwise gets it through a reshard.
//
//===----------------------------------------------------------------------===//

#ifndef TPC_SHARDING_ASSIGNMENT_H
#define TPC_SHARDING_ASSIGNMENT_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "tpc/Dialect/Tpc/Tpc.h"
#include "tpc/Sharding/Strategies.h"

namespace tpc {

struct Assignment {
  /// In which sharding each argument and operation result is held.
  llvm::DenseMap<mlir::Value, Sharding> held;
  /// In which sharding each operation takes its operands.
  llvm::DenseMap<mlir::Operation *, llvm::SmallVector<Sharding, 3>> wanted;
  /// Parameters and states.
  llvm::DenseMap<mlir::StringAttr, Sharding> symbols;
};

/// A mode of assignment. Analysis only: the module is not changed.
class Assigner {
public:
  virtual ~Assigner() = default;
  /// Emits an error at the operation that cannot be assigned.
  virtual mlir::FailureOr<Assignment> assign(mlir::ModuleOp module,
                                             const Mesh &mesh) = 0;
};

/// `megatron`: axes whose name begins with "dp" or "data" split the batch (the
/// first dimension of every argument); every other axis splits weights: the
/// vocabulary of a table, the output (column) of a matmul on a whole
/// activation, the input (row) of one on an activation that is already split
/// there, whose partial result is reduced at once.
std::unique_ptr<Assigner> createMegatronAssigner();

/// `propagate`: spreads the pins (`tpc.sharding`, `tpc.shard`) through the
/// rules, forwards and backwards; the first to reach a value decides.
std::unique_ptr<Assigner> createPropagationAssigner();

/// The assigner of a mode by name, or null.
std::unique_ptr<Assigner> createAssigner(llvm::StringRef mode);
/// "megatron, propagate"
std::string assignmentModes();

/// The pinned sharding of an argument, result, parameter or state, or null.
ShardingAttr pinnedSharding(mlir::Operation *symbol);

} // namespace tpc

#endif // TPC_SHARDING_ASSIGNMENT_H
