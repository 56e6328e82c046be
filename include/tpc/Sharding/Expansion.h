//===- Expansion.h - Composites that communicate inside ---------*- C++ -*-===//
//
// A composite that is split along a synchronized factor is replaced by its
// decomposition, which is assigned by propagation between the composite's own
// operands and results. Example, softmax of tensor<8x64> split along its last
// dimension:
//
//   %m = tpc.reduce max %x dims [1]      partial: max {"tp"}
//   ...                                  wants it replicated: all_reduce max
//
// Where the composite has a blockwise form and the blocks are equal, that is
// taken instead: the devices exchange one summary.
//
//   %p = tpc.reshape %x                  tensor<8x64> to <8x4x16>, split by tp
//   ...                                  maximum and sum of every block
//   %s = tpc.concat %m, %e dim 2         tensor<8x4x2>, split by tp
//   ...                                  wants it replicated: all_gather
//
//===----------------------------------------------------------------------===//

#ifndef TPC_SHARDING_EXPANSION_H
#define TPC_SHARDING_EXPANSION_H

#include "mlir/IR/OwningOpRef.h"
#include "tpc/Interfaces/Decomposable.h"
#include "tpc/Sharding/Assignment.h"
#include <map>
#include <optional>

namespace tpc {

/// The decomposition of a composite as the only function of a module.
class Expansion {
public:
  /// `op` may carry shardings in its types; they are ignored. It must outlive
  /// the expansion.
  Expansion(DecomposableOpInterface op, const Mesh &mesh);

  /// Assigns the body between these shardings. The module is not changed
  /// beyond its pins. Emits an error if an operation cannot be assigned.
  mlir::FailureOr<Assignment> assign(const OpShardings &shardings);

  // Of the last assignment.
  mlir::ModuleOp getModule() { return *current->module; }
  mlir::func::FuncOp getFunction() { return current->function; }
  /// The blocks of the form that was assigned; 0: the plain decomposition.
  int64_t getBlocks() const { return blocks; }

private:
  struct Form {
    mlir::OwningOpRef<mlir::ModuleOp> module;
    mlir::func::FuncOp function;
    /// Where a blockwise form has its summary pinned.
    ShardOp summary;
  };
  int64_t equalBlocks(const OpShardings &shardings) const;
  const Form *formOf(int64_t blocks);
  std::optional<Form> build(int64_t blocks);

  DecomposableOpInterface op;
  const Mesh &mesh;
  /// By the number of blocks; nothing where the composite has no such form.
  std::map<int64_t, std::optional<Form>> forms;
  const Form *current = nullptr;
  int64_t blocks = 0;
};

} // namespace tpc

#endif // TPC_SHARDING_EXPANSION_H
