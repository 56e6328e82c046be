//===- Sharding.h - What it means that a tensor is sharded ------*- C++ -*-===//
//
// The semantics of shardings, as plain data and arithmetic. Everything else
// (types, rules, partition, reference evaluator) computes shapes and blocks
// with the functions of this file.
//
// On every mesh axis, or part of one, a value is in exactly one state:
//   split       along one dimension,
//   partial     its true value is the sum (max, min) over the axis,
//   replicated.
//
// A dimension of size n that is split by axes a1, ..., ar (major to minor) is
// cut one axis after the other, each cutting the block that the one before
// left into blocks of ceil(block/size). Later blocks may be short or empty:
//
//   n = 10, "dp" = 2, "tp" = 4, split {"dp", "tp"}:
//     dp cuts 10 into 5, 5; tp cuts each 5 into 2, 2, 1, 0.
//
// So gathering the minor axis gives exactly the split by the major axis. The
// local tensor has the full block size (2 here); what lies past the end is
// padding of unspecified value.
//
//===----------------------------------------------------------------------===//

#ifndef TPC_DIALECT_TPC_SHARDING_H
#define TPC_DIALECT_TPC_SHARDING_H

#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinTypes.h"
#include "llvm/ADT/Hashing.h"
#include "llvm/ADT/SmallVector.h"

#include "tpc/Dialect/Tpc/TpcEnums.h.inc"

namespace tpc {

/// A mesh axis, or a part of one: an axis of size n seen as
/// [pre, size, n / (pre * size)], major to minor; the part is the middle one.
/// `size` 0 stands for the whole axis, so that whole axes compare equal
/// without knowing the mesh.
struct AxisRef {
  mlir::StringAttr name;
  int64_t pre = 1;
  int64_t size = 0;

  bool isWhole() const { return size == 0; }
  /// Whether the two share devices' coordinates: equal, or one a part of what
  /// the other covers.
  bool overlaps(const AxisRef &other) const;

  bool operator==(const AxisRef &o) const {
    return name == o.name && pre == o.pre && size == o.size;
  }
  bool operator!=(const AxisRef &o) const { return !(*this == o); }
  /// By name, then position: the canonical order of partial axes.
  bool operator<(const AxisRef &o) const;
};
llvm::hash_code hash_value(const AxisRef &axis);

using AxisList = llvm::SmallVector<AxisRef, 1>;

/// One partial axis with the reduction that gives the true value.
struct PartialAxis {
  AxisRef axis;
  Reduction reduction = Reduction::Sum;
  bool operator==(const PartialAxis &o) const {
    return axis == o.axis && reduction == o.reduction;
  }
  bool operator<(const PartialAxis &o) const { return axis < o.axis; }
};
llvm::hash_code hash_value(const PartialAxis &partial);

/// How one tensor lies on a mesh. `partial` is kept sorted.
struct Sharding {
  mlir::FlatSymbolRefAttr mesh;
  llvm::SmallVector<AxisList, 4> dims;
  llvm::SmallVector<PartialAxis, 1> partial;
  /// Empty, or per dimension whether it is open (pins only).
  llvm::SmallVector<bool, 4> open;

  static Sharding replicated(mlir::FlatSymbolRefAttr mesh, int64_t rank);

  bool isPartial() const { return !partial.empty(); }
  bool isOpen(unsigned dim) const { return !open.empty() && open[dim]; }
  /// The dimension that `axis` splits, if it does.
  std::optional<unsigned> dimOf(const AxisRef &axis) const;
  /// The reduction over `axis`, if the value is partial over it.
  std::optional<Reduction> partialOver(const AxisRef &axis) const;
  void addPartial(const AxisRef &axis, Reduction reduction);
  /// Whether no axis, nor part of one, is used twice.
  bool usesAxesOnce() const;

  bool operator==(const Sharding &o) const {
    return mesh == o.mesh && dims == o.dims && partial == o.partial &&
           open == o.open;
  }
  bool operator!=(const Sharding &o) const { return !(*this == o); }
};
llvm::hash_code hash_value(const Sharding &sharding);

/// A block of one dimension on one device: local index j holds whole index
/// start + j while j < valid; the rest, up to the block size, is padding.
struct DimBlock {
  int64_t start = 0;
  int64_t valid = 0;
};

/// A mesh as data: axes with sizes; devices are numbered row-major, the last
/// axis fastest.
struct Mesh {
  mlir::FlatSymbolRefAttr symbol;
  llvm::SmallVector<mlir::StringAttr, 3> names;
  llvm::SmallVector<int64_t, 3> sizes;

  int64_t numDevices() const;
  /// Index of the named axis, if the mesh has it.
  std::optional<unsigned> find(mlir::StringAttr name) const;
  /// Number of members along `axis`. The axis must be valid.
  int64_t size(const AxisRef &axis) const;
  int64_t size(llvm::ArrayRef<AxisRef> axes) const;
  /// Position of `device` along `axis`, or row-major over several.
  int64_t coordinate(int64_t device, const AxisRef &axis) const;
  int64_t coordinate(int64_t device, llvm::ArrayRef<AxisRef> axes) const;
  /// The devices that differ from `device` only along `axes`, by coordinate.
  llvm::SmallVector<int64_t> group(int64_t device,
                                   llvm::ArrayRef<AxisRef> axes) const;
  /// All groups over `axes`, each by coordinate; ordered by first member.
  llvm::SmallVector<llvm::SmallVector<int64_t>>
  groups(llvm::ArrayRef<AxisRef> axes) const;
  /// The whole axes, in mesh order.
  AxisList axes() const;
  /// An axis reference in canonical form (a part that is everything is the
  /// whole axis).
  AxisRef canonical(AxisRef axis) const;

  /// Why `axis` is not one of this mesh, or nothing.
  std::optional<std::string> check(const AxisRef &axis) const;
  /// Why `sharding` is not one on this mesh, or nothing.
  std::optional<std::string> check(const Sharding &sharding) const;
};

/// ceil(n / k) for n >= 0, k >= 1.
inline int64_t ceilDiv(int64_t n, int64_t k) { return (n + k - 1) / k; }

/// Size of the local block of a dimension of size `n` split by `axes`.
int64_t blockSize(int64_t n, llvm::ArrayRef<AxisRef> axes, const Mesh &mesh);
/// The block of `device`.
DimBlock blockOf(int64_t n, llvm::ArrayRef<AxisRef> axes, const Mesh &mesh,
                 int64_t device);
/// Whether some device's block has padding.
bool hasPadding(int64_t n, llvm::ArrayRef<AxisRef> axes, const Mesh &mesh);

/// Local shape of a tensor of `shape`.
llvm::SmallVector<int64_t> localShape(llvm::ArrayRef<int64_t> shape,
                                      const Sharding &sharding,
                                      const Mesh &mesh);

/// Merges neighbouring sub-axes within a dimension where that denotes the same
/// blocks, and writes whole axes as whole: equal meaning, equal data.
Sharding canonical(Sharding sharding, llvm::ArrayRef<int64_t> shape,
                   const Mesh &mesh);

/// Whether two shardings of `shape` put the same elements on every device
/// (`a == b`, or they differ in notation only).
bool sameLayout(const Sharding &a, const Sharding &b,
                llvm::ArrayRef<int64_t> shape, const Mesh &mesh);

/// Whether the product of a tensor type's sizes, zeros counted as one, is at
/// most 2^48: then no arithmetic on sizes overflows (constraint T1).
bool hasCountableElements(mlir::Type tensor);
/// Whether every index below `size` is a value of the element type: bf16 holds
/// those up to 256. Else shifting an iota by the start of a block would round.
bool holdsIndices(mlir::Type elementType, int64_t size);
/// Bytes of one element as stored (i1 takes a byte).
int64_t elementBytes(mlir::Type elementType);
/// Bytes of a tensor of this shape and element type, without encoding.
int64_t tensorBytes(mlir::RankedTensorType type);

} // namespace tpc

#endif // TPC_DIALECT_TPC_SHARDING_H
