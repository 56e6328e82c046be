//===- Kernels.h - The evaluator's table of operations ----------*- C++ -*-===//
//
// One evaluate function per core operation, registered by name. Nothing else
// of the evaluator enumerates operations: adding one is adding it to the file
// of its kind (Elementwise.cpp, Contraction.cpp, ...). Composites need no
// entry: they are evaluated through their decomposition.
//
//===----------------------------------------------------------------------===//

#ifndef TPC_LIB_REFERENCE_KERNELS_H
#define TPC_LIB_REFERENCE_KERNELS_H

#include "tpc/Dialect/Tpc/Tpc.h"
#include "tpc/Reference/Tensor.h"
#include "llvm/ADT/StringMap.h"
#include <functional>

namespace tpc::reference {

using Operands = llvm::ArrayRef<const Tensor *>;
using Results = llvm::MutableArrayRef<Tensor>;

/// Computes an operation's results, which come with their shape and element
/// type and all zero. Values need not be rounded: the evaluator does that.
using Kernel = std::function<void(mlir::Operation *, Operands, Results)>;

class KernelTable {
public:
  /// Registers `kernel(OpT, Operands, Results)`.
  template <typename OpT, typename KernelT> void add(KernelT kernel) {
    kernels[OpT::getOperationName()] =
        [kernel](mlir::Operation *op, Operands operands, Results results) {
          kernel(llvm::cast<OpT>(op), operands, results);
        };
  }
  /// The kernel of `op`, or null.
  const Kernel *find(mlir::Operation *op) const {
    auto it = kernels.find(op->getName().getStringRef());
    return it == kernels.end() ? nullptr : &it->second;
  }

private:
  llvm::StringMap<Kernel> kernels;
};

/// All kernels.
const KernelTable &kernels();

void registerElementwise(KernelTable &table);
void registerContraction(KernelTable &table);
void registerMovement(KernelTable &table);
void registerIndexing(KernelTable &table);

/// Combines two contributions; NaN if either is.
double combine(Reduction reduction, double a, double b);
/// The value that `combine` leaves the other unchanged with.
double identity(Reduction reduction, mlir::Type elementType);

} // namespace tpc::reference

#endif // TPC_LIB_REFERENCE_KERNELS_H
