//===- Rearrangement.h - The same blocks on other devices -------*- C++ -*-===//
//
// Two shardings that cut every dimension into the same blocks, and have as many
// contributions to a partial value, differ only in which device has which
// block: one permute leads from one to the other. On "x" = 4, "y" = 2 and 16x8
//
//   [{"x"}, {"y"}]  ->  [{"y", "x":(2)2}, {"x":(1)2}]
//
// has 4 blocks of rows and 2 of columns on either side. The minor half of "x"
// keeps its place; blocks move over "x":(1)2 and "y".
//
//===----------------------------------------------------------------------===//

#ifndef TPC_LIB_SHARDING_REARRANGEMENT_H
#define TPC_LIB_SHARDING_REARRANGEMENT_H

#include "tpc/Dialect/Tpc/Sharding.h"

namespace tpc {

/// A permute: member i over `axes` receives from sources[i].
struct Rearrangement {
  AxisList axes;
  llvm::SmallVector<int64_t> sources;
};

/// The axes over which blocks move, as few as possible and in mesh order;
/// nothing where the blocks are not the same. The shardings use axes in the
/// same parts: two of them are equal or do not overlap.
std::optional<AxisList> rearrangedAxes(const Sharding &from, const Sharding &to,
                                       llvm::ArrayRef<int64_t> shape,
                                       const Mesh &mesh);

/// The permute from one to the other, which have the same blocks.
Rearrangement rearrange(const Sharding &from, const Sharding &to,
                        llvm::ArrayRef<int64_t> shape, const Mesh &mesh);

} // namespace tpc

#endif // TPC_LIB_SHARDING_REARRANGEMENT_H
