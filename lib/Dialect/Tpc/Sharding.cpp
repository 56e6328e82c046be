//===- Sharding.cpp - What it means that a tensor is sharded --------------===//

#include "tpc/Dialect/Tpc/Sharding.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"

using namespace tpc;
using llvm::ArrayRef;
using llvm::SmallVector;

//===----------------------------------------------------------------------===//
// AxisRef
//===----------------------------------------------------------------------===//

bool AxisRef::overlaps(const AxisRef &other) const {
  if (name != other.name)
    return false;
  if (isWhole() || other.isWhole())
    return true;
  return pre < other.pre * other.size && other.pre < pre * size;
}

bool AxisRef::operator<(const AxisRef &o) const {
  if (name != o.name)
    return name.getValue() < o.name.getValue();
  return std::tie(pre, size) < std::tie(o.pre, o.size);
}

llvm::hash_code tpc::hash_value(const AxisRef &axis) {
  return llvm::hash_combine(axis.name.getAsOpaquePointer(), axis.pre,
                            axis.size);
}

llvm::hash_code tpc::hash_value(const PartialAxis &partial) {
  return llvm::hash_combine(partial.axis,
                            static_cast<unsigned>(partial.reduction));
}

//===----------------------------------------------------------------------===//
// Sharding
//===----------------------------------------------------------------------===//

Sharding Sharding::replicated(mlir::FlatSymbolRefAttr mesh, int64_t rank) {
  Sharding sharding;
  sharding.mesh = mesh;
  sharding.dims.resize(rank);
  return sharding;
}

std::optional<unsigned> Sharding::dimOf(const AxisRef &axis) const {
  for (auto [dim, axes] : llvm::enumerate(dims))
    if (llvm::is_contained(axes, axis))
      return dim;
  return std::nullopt;
}

std::optional<Reduction> Sharding::partialOver(const AxisRef &axis) const {
  for (const PartialAxis &p : partial)
    if (p.axis == axis)
      return p.reduction;
  return std::nullopt;
}

void Sharding::addPartial(const AxisRef &axis, Reduction reduction) {
  PartialAxis added{axis, reduction};
  partial.insert(llvm::lower_bound(partial, added), added);
}

bool Sharding::usesAxesOnce() const {
  SmallVector<AxisRef> seen;
  auto add = [&](const AxisRef &axis) {
    bool fresh = llvm::none_of(
        seen, [&](const AxisRef &other) { return axis.overlaps(other); });
    seen.push_back(axis);
    return fresh;
  };
  for (const AxisList &axes : dims)
    for (const AxisRef &axis : axes)
      if (!add(axis))
        return false;
  return llvm::all_of(partial,
                      [&](const PartialAxis &p) { return add(p.axis); });
}

llvm::hash_code tpc::hash_value(const Sharding &sharding) {
  llvm::hash_code code = llvm::hash_combine(
      sharding.mesh.getAsOpaquePointer(),
      llvm::hash_combine_range(sharding.partial.begin(),
                               sharding.partial.end()),
      llvm::hash_combine_range(sharding.open.begin(), sharding.open.end()));
  for (const AxisList &axes : sharding.dims)
    code = llvm::hash_combine(
        code, llvm::hash_combine_range(axes.begin(), axes.end()));
  return code;
}

//===----------------------------------------------------------------------===//
// Mesh
//===----------------------------------------------------------------------===//

int64_t Mesh::numDevices() const {
  int64_t product = 1;
  for (int64_t size : sizes)
    product *= size;
  return product;
}

std::optional<unsigned> Mesh::find(mlir::StringAttr name) const {
  for (auto [i, axis] : llvm::enumerate(names))
    if (axis == name)
      return i;
  return std::nullopt;
}

int64_t Mesh::size(const AxisRef &axis) const {
  return axis.isWhole() ? sizes[*find(axis.name)] : axis.size;
}

int64_t Mesh::size(ArrayRef<AxisRef> axes) const {
  int64_t product = 1;
  for (const AxisRef &axis : axes)
    product *= size(axis);
  return product;
}

int64_t Mesh::coordinate(int64_t device, const AxisRef &axis) const {
  unsigned index = *find(axis.name);
  for (int64_t size : ArrayRef(sizes).drop_front(index + 1))
    device /= size;
  int64_t whole = device % sizes[index];
  if (axis.isWhole())
    return whole;
  return whole / (sizes[index] / (axis.pre * axis.size)) % axis.size;
}

int64_t Mesh::coordinate(int64_t device, ArrayRef<AxisRef> axes) const {
  int64_t position = 0;
  for (const AxisRef &axis : axes)
    position = position * size(axis) + coordinate(device, axis);
  return position;
}

SmallVector<int64_t> Mesh::group(int64_t device, ArrayRef<AxisRef> axes) const {
  // The stride of a part in device numbers: everything more minor.
  auto stride = [&](const AxisRef &axis) {
    unsigned index = *find(axis.name);
    int64_t stride = 1;
    for (int64_t size : ArrayRef(sizes).drop_front(index + 1))
      stride *= size;
    return axis.isWhole() ? stride
                          : stride * (sizes[index] / (axis.pre * axis.size));
  };
  int64_t base = device;
  for (const AxisRef &axis : axes)
    base -= coordinate(device, axis) * stride(axis);
  SmallVector<int64_t> members{base};
  for (const AxisRef &axis : axes) {
    SmallVector<int64_t> next;
    for (int64_t member : members)
      for (int64_t i = 0; i < size(axis); ++i)
        next.push_back(member + i * stride(axis));
    members = std::move(next);
  }
  return members;
}

SmallVector<SmallVector<int64_t>> Mesh::groups(ArrayRef<AxisRef> axes) const {
  SmallVector<SmallVector<int64_t>> result;
  for (int64_t device = 0; device < numDevices(); ++device)
    if (coordinate(device, axes) == 0)
      result.push_back(group(device, axes));
  return result;
}

AxisList Mesh::axes() const {
  AxisList result;
  for (mlir::StringAttr name : names)
    result.push_back({name});
  return result;
}

AxisRef Mesh::canonical(AxisRef axis) const {
  if (!axis.isWhole() && axis.size == sizes[*find(axis.name)])
    return {axis.name};
  return axis;
}

std::optional<std::string> Mesh::check(const AxisRef &axis) const {
  std::optional<unsigned> index = find(axis.name);
  if (!index) {
    std::string known = llvm::join(
        llvm::map_range(names, [](auto n) { return n.str(); }), ", ");
    return llvm::formatv("unknown mesh axis \"{0}\"; the mesh has: {1}",
                         axis.name.getValue(), known)
        .str();
  }
  if (axis.isWhole())
    return std::nullopt;
  if (axis.pre < 1 || axis.size < 1 || axis.pre > sizes[*index] / axis.size ||
      sizes[*index] % (axis.pre * axis.size) != 0)
    return llvm::formatv("sub-axis \"{0}\":({1}){2} does not divide the axis "
                         "of size {3}",
                         axis.name.getValue(), axis.pre, axis.size,
                         sizes[*index])
        .str();
  return std::nullopt;
}

std::optional<std::string> Mesh::check(const Sharding &sharding) const {
  if (sharding.mesh != symbol)
    return ("expected mesh @" + symbol.getValue() + ", found @" +
            sharding.mesh.getValue())
        .str();
  for (const AxisList &axes : sharding.dims)
    for (const AxisRef &axis : axes)
      if (auto problem = check(axis))
        return problem;
  for (const PartialAxis &p : sharding.partial)
    if (auto problem = check(p.axis))
      return problem;
  return std::nullopt;
}

//===----------------------------------------------------------------------===//
// Blocks
//===----------------------------------------------------------------------===//

int64_t tpc::blockSize(int64_t n, ArrayRef<AxisRef> axes, const Mesh &mesh) {
  for (const AxisRef &axis : axes)
    n = ceilDiv(n, mesh.size(axis));
  return n;
}

DimBlock tpc::blockOf(int64_t n, ArrayRef<AxisRef> axes, const Mesh &mesh,
                      int64_t device) {
  DimBlock block{0, n};
  int64_t size = n;
  for (const AxisRef &axis : axes) {
    size = ceilDiv(size, mesh.size(axis));
    int64_t offset = size * mesh.coordinate(device, axis);
    block.start += offset;
    block.valid = std::clamp<int64_t>(block.valid - offset, 0, size);
  }
  return block;
}

bool tpc::hasPadding(int64_t n, ArrayRef<AxisRef> axes, const Mesh &mesh) {
  return blockSize(n, axes, mesh) * mesh.size(axes) != n;
}

SmallVector<int64_t> tpc::localShape(ArrayRef<int64_t> shape,
                                     const Sharding &sharding,
                                     const Mesh &mesh) {
  SmallVector<int64_t> local;
  for (auto [n, axes] : llvm::zip_equal(shape, sharding.dims))
    local.push_back(blockSize(n, axes, mesh));
  return local;
}

/// Splits `axes` into parts from major to minor so that neighbouring parts of
/// one axis become one where the blocks stay the same. Cutting n by a and then
/// by b gives the blocks of cutting by a*b at once exactly when a divides n
/// into blocks that b divides, or when no block is cut unevenly.
static AxisList mergeNeighbours(int64_t n, ArrayRef<AxisRef> axes,
                                const Mesh &mesh) {
  AxisList merged;
  int64_t before = n; // block size before the last axis in `merged`
  int64_t block = n;
  for (AxisRef axis : axes) {
    int64_t size = mesh.size(axis);
    if (!merged.empty()) {
      AxisRef &last = merged.back();
      int64_t lastSize = mesh.size(last);
      bool neighbours = last.name == axis.name && !last.isWhole() &&
                        !axis.isWhole() && last.pre * last.size == axis.pre;
      if (neighbours && before % (lastSize * size) == 0) {
        last.size *= size;
        block = before / (lastSize * size);
        continue;
      }
    }
    before = block;
    block = ceilDiv(block, size);
    merged.push_back(axis);
  }
  for (AxisRef &axis : merged)
    axis = mesh.canonical(axis);
  return merged;
}

Sharding tpc::canonical(Sharding sharding, ArrayRef<int64_t> shape,
                        const Mesh &mesh) {
  for (auto [n, axes] : llvm::zip_equal(shape, sharding.dims)) {
    llvm::erase_if(axes, [&](const AxisRef &a) { return mesh.size(a) == 1; });
    axes = mergeNeighbours(n, axes, mesh);
  }
  SmallVector<PartialAxis, 1> partial;
  for (PartialAxis p : sharding.partial) {
    if (mesh.size(p.axis) == 1)
      continue;
    PartialAxis *last = partial.empty() ? nullptr : &partial.back();
    if (last && last->reduction == p.reduction &&
        last->axis.name == p.axis.name && !last->axis.isWhole() &&
        last->axis.pre * last->axis.size == p.axis.pre)
      last->axis.size *= p.axis.size;
    else
      partial.push_back(p);
  }
  for (PartialAxis &p : partial)
    p.axis = mesh.canonical(p.axis);
  llvm::sort(partial);
  sharding.partial = std::move(partial);
  return sharding;
}

bool tpc::sameLayout(const Sharding &a, const Sharding &b,
                     ArrayRef<int64_t> shape, const Mesh &mesh) {
  Sharding ca = canonical(a, shape, mesh), cb = canonical(b, shape, mesh);
  return ca.dims == cb.dims && ca.partial == cb.partial;
}

bool tpc::hasCountableElements(mlir::Type tensor) {
  int64_t rest = int64_t(1) << 48;
  for (int64_t size : mlir::cast<mlir::ShapedType>(tensor).getShape())
    if ((rest /= std::max<int64_t>(size, 1)) == 0)
      return false;
  return true;
}

bool tpc::holdsIndices(mlir::Type elementType, int64_t size) {
  int64_t bits = elementType.getIntOrFloatBitWidth() - 1;
  if (auto floating = mlir::dyn_cast<mlir::FloatType>(elementType))
    bits = floating.getFPMantissaWidth();
  return bits >= 63 || size <= int64_t(1) << bits;
}

int64_t tpc::elementBytes(mlir::Type elementType) {
  return ceilDiv(elementType.getIntOrFloatBitWidth(), 8);
}

int64_t tpc::tensorBytes(mlir::RankedTensorType type) {
  return type.getNumElements() * elementBytes(type.getElementType());
}
