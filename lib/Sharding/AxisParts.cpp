//===- AxisParts.cpp - The finest parts of mesh axes ----------------------===//

#include "AxisParts.h"
#include "llvm/ADT/STLExtras.h"

using namespace tpc;
using llvm::ArrayRef;

void AxisParts::cut(const AxisRef &axis) {
  auto &points = cuts[axis.name];
  points.append({1, mesh.size(AxisRef{axis.name})});
  if (!axis.isWhole())
    points.append({axis.pre, axis.pre * axis.size});
  llvm::sort(points);
  points.erase(llvm::unique(points), points.end());
}

void AxisParts::cut(const Sharding &sharding) {
  forEachAxis(sharding, [&](const AxisRef &axis) { cut(axis); });
}

AxisList AxisParts::partsOf(const AxisRef &axis) const {
  int64_t end = axis.isWhole() ? mesh.size(axis) : axis.pre * axis.size;
  ArrayRef<int64_t> points = cuts.find(axis.name)->second;
  AxisList parts;
  for (auto [a, b] : llvm::zip(points, points.drop_front()))
    if (a >= axis.pre && b <= end)
      parts.push_back(mesh.canonical({axis.name, a, b / a}));
  return parts;
}

AxisList AxisParts::all() const {
  AxisList parts;
  for (const auto &[name, points] : cuts)
    parts.append(partsOf({name}));
  return parts;
}

Sharding AxisParts::refine(const Sharding &sharding) const {
  Sharding refined = Sharding::replicated(sharding.mesh, 0);
  for (const AxisList &axes : sharding.dims) {
    AxisList &dim = refined.dims.emplace_back();
    for (const AxisRef &axis : axes)
      dim.append(partsOf(axis));
  }
  for (const PartialAxis &p : sharding.partial)
    for (const AxisRef &part : partsOf(p.axis))
      refined.addPartial(part, p.reduction);
  return refined;
}
