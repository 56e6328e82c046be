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
//===----------------------------------------------------------------------===//

#ifndef TPC_SHARDING_EXPANSION_H
#define TPC_SHARDING_EXPANSION_H

#include "mlir/IR/OwningOpRef.h"
#include "tpc/Interfaces/Decomposable.h"
#include "tpc/Sharding/Assignment.h"

namespace tpc {

/// The decomposition of a composite as the only function of a module.
class Expansion {
public:
  /// `op` may carry shardings in its types; they are ignored.
  Expansion(DecomposableOpInterface op, const Mesh &mesh);

  /// Assigns the body between these shardings. The module is not changed
  /// beyond its pins. Emits an error if an operation cannot be assigned.
  mlir::FailureOr<Assignment> assign(const OpShardings &shardings);

  mlir::ModuleOp getModule() { return *module; }
  mlir::func::FuncOp getFunction() { return function; }

private:
  mlir::OwningOpRef<mlir::ModuleOp> module;
  mlir::func::FuncOp function;
  const Mesh &mesh;
};

} // namespace tpc

#endif // TPC_SHARDING_EXPANSION_H
