//===- Placement.h - Types and shardings in the artifact --------*- C++ -*-===//

#ifndef TPC_LIB_TARGET_PLACEMENT_H
#define TPC_LIB_TARGET_PLACEMENT_H

#include "mlir/IR/Location.h"
#include "tpc/Dialect/Tpc/Tpc.h"
#include "tpcrt/artifact_generated.h"

namespace tpc {

namespace artifact = tpcrt::artifact;

artifact::ElementType toArtifact(mlir::Type elementType);
artifact::Reduction toArtifact(Reduction reduction);
std::vector<uint64_t> toSizes(llvm::ArrayRef<int64_t> shape);
std::unique_ptr<artifact::MeshT> toArtifact(const Mesh &mesh);
std::vector<std::unique_ptr<artifact::AxisPartT>>
toArtifact(llvm::ArrayRef<AxisRef> axes, const Mesh &mesh);
/// Null: replicated.
std::unique_ptr<artifact::PlacementT>
toArtifact(ShardingAttr sharding, int64_t rank, const Mesh &mesh);
/// "model.mlir:12" of the innermost file location, or nothing.
std::string fileLine(mlir::Location location);

} // namespace tpc

#endif // TPC_LIB_TARGET_PLACEMENT_H
