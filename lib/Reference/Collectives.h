//===- Collectives.h - What spmd operations do to all devices ---*- C++ -*-===//

#ifndef TPC_LIB_REFERENCE_COLLECTIVES_H
#define TPC_LIB_REFERENCE_COLLECTIVES_H

#include "tpc/Reference/Simulator.h"
#include "llvm/ADT/StringMap.h"
#include <functional>

namespace tpc::reference {

/// What a collective kernel sees: the operand of every device (operations of
/// spmd have at most one), and where to put every device's result.
struct Devices {
  const Mesh &mesh;
  const SimulateOptions &options;
  llvm::ArrayRef<const Tensor *> operands; ///< by device; empty if none
  mlir::RankedTensorType resultType;
  llvm::SmallVector<Tensor> results; ///< by device
};

using CollectiveKernel = std::function<void(mlir::Operation *, Devices &)>;

/// The kernel of an operation of spmd, or null.
const CollectiveKernel *findCollective(mlir::Operation *op);

} // namespace tpc::reference

#endif // TPC_LIB_REFERENCE_COLLECTIVES_H
