// Where the blocks of a whole tensor lie on a mesh of devices.
//
// Devices are numbered row-major over the mesh axes, the last axis fastest. A
// dimension of size n is cut by its axis parts one after the other, major to
// minor. Each cuts the full block that the one before left into blocks of
// ceil(block / size); what lies past the end of the dimension is padding, so
// later blocks may be short or empty. Example: n = 10 over dp=2, tp=4.
//
//   dp cuts 10 into blocks of 5:       [0..5)         [5..10)
//   tp cuts 5 into blocks of 2:    0-1 2-3 4. ..   5-6 7-8 9. ..
//   valid elements per device:      2   2  1  0     2   2  1  0
#ifndef TPCRT_PLACEMENT_H
#define TPCRT_PLACEMENT_H

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace tpcrt {

struct MeshAxis {
  std::string name;
  uint32_t size = 1;

  friend bool operator==(const MeshAxis &a, const MeshAxis &b) {
    return a.name == b.name && a.size == b.size;
  }
};

/// A part of a mesh axis: an axis of size n seen as [pre, size, n/(pre*size)],
/// major to minor; the part is the middle one.
struct AxisPart {
  uint32_t axis = 0;
  uint32_t pre = 1;
  uint32_t size = 1;

  friend bool operator==(const AxisPart &a, const AxisPart &b) {
    return a.axis == b.axis && a.pre == b.pre && a.size == b.size;
  }
};

struct Mesh {
  std::string name;
  std::vector<MeshAxis> axes;

  friend bool operator==(const Mesh &a, const Mesh &b) {
    return a.name == b.name && a.axes == b.axes;
  }

  uint64_t numDevices() const {
    uint64_t count = 1;
    for (const MeshAxis &axis : axes)
      count *= axis.size;
    return count;
  }

  /// How many device numbers lie between neighbours along `axis`.
  uint64_t stride(uint32_t axis) const {
    uint64_t result = 1;
    for (size_t i = axis + 1; i < axes.size(); ++i)
      result *= axes[i].size;
    return result;
  }

  /// How many device numbers lie between neighbours along `part`.
  uint64_t stride(const AxisPart &part) const {
    return stride(part.axis) *
           (axes[part.axis].size / (uint64_t(part.pre) * part.size));
  }

  /// The position of `device` along `part`, in [0, part.size).
  uint64_t coordinate(const AxisPart &part, uint64_t device) const {
    return device / stride(part) % part.size;
  }
};

/// Per dimension the axis parts that cut it, major to minor.
using Placement = std::vector<std::vector<AxisPart>>;

/// One dimension of a block: `block` elements are stored, of which the first
/// `length` are elements [start, start + length) of the whole dimension.
struct BlockDim {
  uint64_t block = 0;
  uint64_t start = 0;
  uint64_t length = 0;
};

/// The size of every device's block of a dimension of `size` elements.
inline uint64_t blockSize(uint64_t size, const std::vector<AxisPart> &parts) {
  for (const AxisPart &part : parts)
    size = size / part.size + (size % part.size != 0);
  return size;
}

/// The block of a dimension of `size` elements that `device` holds.
inline BlockDim blockDim(uint64_t size, const std::vector<AxisPart> &parts,
                         const Mesh &mesh, uint64_t device) {
  BlockDim result{size, 0, size};
  for (const AxisPart &part : parts) {
    result.block = result.block / part.size + (result.block % part.size != 0);
    uint64_t skipped =
        std::min(result.length, mesh.coordinate(part, device) * result.block);
    result.start += skipped;
    result.length = std::min(result.length - skipped, result.block);
  }
  return result;
}

/// The block of a tensor of `shape` that `device` holds, one BlockDim per
/// dimension. `placement` has as many dimensions as `shape`.
inline std::vector<BlockDim> blockOf(const std::vector<uint64_t> &shape,
                                     const Placement &placement,
                                     const Mesh &mesh, uint64_t device) {
  std::vector<BlockDim> result;
  result.reserve(shape.size());
  for (size_t d = 0; d < shape.size(); ++d)
    result.push_back(blockDim(shape[d], placement[d], mesh, device));
  return result;
}

/// The lowest-numbered device that holds the same block as `device`: along
/// everything that cuts no dimension its coordinate is 0.
inline uint64_t firstHolder(const Placement &placement, const Mesh &mesh,
                            uint64_t device) {
  uint64_t result = 0;
  for (const auto &parts : placement)
    for (const AxisPart &part : parts)
      result += mesh.coordinate(part, device) * mesh.stride(part);
  return result;
}

/// The position of `device` in the group that `parts` span: row-major over the
/// parts, the first part major.
inline uint64_t memberIndex(const std::vector<AxisPart> &parts,
                            const Mesh &mesh, uint64_t device) {
  uint64_t result = 0;
  for (const AxisPart &part : parts)
    result = result * part.size + mesh.coordinate(part, device);
  return result;
}

/// The devices of the group that `parts` span around `device`, by memberIndex.
inline std::vector<uint64_t> groupOf(const std::vector<AxisPart> &parts,
                                     const Mesh &mesh, uint64_t device) {
  uint64_t base = device;
  for (const AxisPart &part : parts)
    base -= mesh.coordinate(part, device) * mesh.stride(part);
  std::vector<uint64_t> group{base};
  for (const AxisPart &part : parts) {
    std::vector<uint64_t> next;
    next.reserve(group.size() * part.size);
    for (uint64_t first : group)
      for (uint32_t c = 0; c < part.size; ++c)
        next.push_back(first + c * mesh.stride(part));
    group = std::move(next);
  }
  return group;
}

} // namespace tpcrt

#endif // TPCRT_PLACEMENT_H
