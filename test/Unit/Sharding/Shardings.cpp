//===- Shardings.cpp - All shardings of a tensor --------------------------===//

#include "Shardings.h"
#include "llvm/ADT/STLExtras.h"

using namespace tpc;
using llvm::ArrayRef;

namespace {
struct Enumeration {
  ArrayRef<int64_t> shape;
  const Mesh &mesh;
  ArrayRef<AxisRef> units;
  Reduction reduction;
  std::vector<Sharding> &found;

  /// Extends `sharding` by any unused unit, as the minor-most cut of any
  /// dimension or as a partial axis.
  void extend(const Sharding &sharding) {
    Sharding canonicalForm = canonical(sharding, shape, mesh);
    if (!llvm::is_contained(found, canonicalForm))
      found.push_back(canonicalForm);
    for (const AxisRef &unit : units) {
      Sharding next = sharding;
      next.addPartial(unit, reduction);
      if (!next.usesAxesOnce())
        continue;
      extend(next);
      for (size_t dim = 0; dim < shape.size(); ++dim) {
        next = sharding;
        next.dims[dim].push_back(unit);
        extend(next);
      }
    }
  }
};
} // namespace

std::vector<Sharding> tpc::test::allShardings(ArrayRef<int64_t> shape,
                                              const Mesh &mesh,
                                              ArrayRef<AxisRef> parts,
                                              ArrayRef<Reduction> reductions) {
  AxisList units = mesh.axes();
  units.append(parts.begin(), parts.end());
  std::vector<Sharding> found;
  for (Reduction reduction : reductions)
    Enumeration{shape, mesh, units, reduction, found}.extend(
        Sharding::replicated(mesh.symbol, shape.size()));
  return found;
}
