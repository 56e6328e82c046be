//===- AxisParts.h - The finest parts of mesh axes --------------*- C++ -*-===//
//
// Shardings that are looked at together may cut one axis in different places:
// "a" = 8 whole in one, "a":(1)2 in another. In the finest common parts, here
// "a":(1)2 and "a":(2)4, every part is in one state everywhere.
//
//===----------------------------------------------------------------------===//

#ifndef TPC_LIB_SHARDING_AXISPARTS_H
#define TPC_LIB_SHARDING_AXISPARTS_H

#include "tpc/Dialect/Tpc/Sharding.h"
#include "llvm/ADT/MapVector.h"

namespace tpc {

/// Calls `fn` with every axis, or part of one, that `sharding` uses.
template <typename Fn> void forEachAxis(const Sharding &sharding, Fn fn) {
  for (const AxisList &axes : sharding.dims)
    llvm::for_each(axes, fn);
  for (const PartialAxis &p : sharding.partial)
    fn(p.axis);
}

class AxisParts {
public:
  explicit AxisParts(const Mesh &mesh) : mesh(mesh) {}

  /// Cuts the axis that is referred to where the reference begins and ends.
  void cut(const AxisRef &axis);
  /// Cuts the axes that `sharding` uses where it does.
  void cut(const Sharding &sharding);
  /// An axis, or part of one, that some sharding uses, in parts.
  AxisList partsOf(const AxisRef &axis) const;
  /// All parts of the axes that some sharding uses.
  AxisList all() const;
  /// `sharding` with every axis in parts. The blocks stay the same only where
  /// the cut is even.
  Sharding refine(const Sharding &sharding) const;

private:
  const Mesh &mesh;
  /// Where each axis is cut, as products of sizes: 1, ..., size.
  llvm::MapVector<mlir::StringAttr, llvm::SmallVector<int64_t, 4>> cuts;
};

} // namespace tpc

#endif // TPC_LIB_SHARDING_AXISPARTS_H
