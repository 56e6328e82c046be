//===- Blocks.h - Whole tensors and the blocks of devices -------*- C++ -*-===//
//
// Cuts a whole tensor into the blocks that a sharding gives every device, and
// puts blocks together again. For 10 elements over "tp" = 4:
//
//   whole    0 1 2 3 4 5 6 7 8 9
//   blocks   0 1 2 | 3 4 5 | 6 7 8 | 9 p p        p: padding
//
//===----------------------------------------------------------------------===//

#ifndef TPC_REFERENCE_BLOCKS_H
#define TPC_REFERENCE_BLOCKS_H

#include "mlir/Support/LLVM.h"
#include "tpc/Dialect/Tpc/Sharding.h"
#include "tpc/Reference/Tensor.h"

namespace tpc::reference {

/// The block of `device`. Padding is zero, or poison. Where the sharding is
/// partial, the device at position 0 gets the value, all others the
/// reduction's identity.
Tensor shardTensor(const Tensor &whole, const Sharding &sharding,
                   const Mesh &mesh, int64_t device,
                   bool poisonPadding = false);

/// The blocks of all devices, by device.
llvm::SmallVector<Tensor> shardTensor(const Tensor &whole,
                                      const Sharding &sharding,
                                      const Mesh &mesh,
                                      bool poisonPadding = false);

/// The whole tensor of `shape` from the blocks of all devices, by device;
/// padding is not looked at. Contributions of partial axes are combined in
/// double and rounded once. Devices that hold the same elements must agree
/// (bitwise, or within `tolerance` of each other): else failure, and `problem`
/// says which do not.
mlir::FailureOr<Tensor> unshard(llvm::ArrayRef<Tensor> blocks,
                                llvm::ArrayRef<int64_t> shape,
                                const Sharding &sharding, const Mesh &mesh,
                                double tolerance = 0,
                                std::string *problem = nullptr);

} // namespace tpc::reference

#endif // TPC_REFERENCE_BLOCKS_H
