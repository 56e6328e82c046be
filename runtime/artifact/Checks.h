// Checks that modules, programs and other parts of the runtime share.
#ifndef TPCRT_ARTIFACT_CHECKS_H
#define TPCRT_ARTIFACT_CHECKS_H

#include "artifact/Module.h"

namespace tpcrt {

bool isElementType(ElementType type);

/// Every part exists in the mesh, and no two of them overlap.
Result<void> checkAxisParts(const Mesh &mesh, std::vector<AxisPart> parts);

/// Type, rank, shape and placement.
Result<void> checkPlacedTensor(const Mesh &mesh, const PlacedTensor &tensor);

} // namespace tpcrt

#endif // TPCRT_ARTIFACT_CHECKS_H
