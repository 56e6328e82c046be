//===- Placement.cpp - Types and shardings in the artifact ----------------===//

#include "Placement.h"

using namespace mlir;
using namespace tpc;

artifact::ElementType tpc::toArtifact(Type type) {
  using E = artifact::ElementType;
  if (type.isF32())
    return E::F32;
  if (type.isF64())
    return E::F64;
  if (type.isBF16())
    return E::BF16;
  if (type.isF16())
    return E::F16;
  if (type.isInteger(32))
    return E::I32;
  return type.isInteger(64) ? E::I64 : E::Bool;
}

artifact::Reduction tpc::toArtifact(Reduction reduction) {
  switch (reduction) {
  case Reduction::Sum:
    return artifact::Reduction::Sum;
  case Reduction::Max:
    return artifact::Reduction::Max;
  case Reduction::Min:
    return artifact::Reduction::Min;
  }
  llvm_unreachable("unknown reduction");
}

std::vector<uint64_t> tpc::toSizes(ArrayRef<int64_t> shape) {
  return std::vector<uint64_t>(shape.begin(), shape.end());
}

std::unique_ptr<artifact::MeshT> tpc::toArtifact(const Mesh &mesh) {
  auto result = std::make_unique<artifact::MeshT>();
  result->name = mesh.symbol.getValue().str();
  for (auto [name, size] : llvm::zip_equal(mesh.names, mesh.sizes)) {
    auto axis = std::make_unique<artifact::AxisT>();
    axis->name = name.str();
    axis->size = size;
    result->axes.push_back(std::move(axis));
  }
  return result;
}

std::vector<std::unique_ptr<artifact::AxisPartT>>
tpc::toArtifact(ArrayRef<AxisRef> axes, const Mesh &mesh) {
  std::vector<std::unique_ptr<artifact::AxisPartT>> parts;
  for (const AxisRef &axis : axes) {
    auto part = std::make_unique<artifact::AxisPartT>();
    part->axis = *mesh.find(axis.name);
    part->pre = axis.pre;
    part->size = mesh.size(axis);
    parts.push_back(std::move(part));
  }
  return parts;
}

std::unique_ptr<artifact::PlacementT>
tpc::toArtifact(ShardingAttr sharding, int64_t rank, const Mesh &mesh) {
  auto result = std::make_unique<artifact::PlacementT>();
  for (int64_t dim = 0; dim < rank; ++dim) {
    auto placement = std::make_unique<artifact::DimPlacementT>();
    if (sharding)
      placement->parts = toArtifact(ArrayRef(sharding->dims[dim]), mesh);
    result->dims.push_back(std::move(placement));
  }
  return result;
}

std::string tpc::fileLine(Location location) {
  auto line = location->findInstanceOf<FileLineColLoc>();
  if (!line)
    return "";
  return line.getFilename().str() + ":" + std::to_string(line.getLine());
}
