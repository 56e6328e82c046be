//===- Blocks.cpp - Whole tensors and the blocks of devices ---------------===//

#include "tpc/Reference/Blocks.h"
#include "Kernels.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/raw_ostream.h"
#include <cmath>
#include <limits>

using namespace mlir;
using namespace tpc;
using namespace tpc::reference;

/// Calls `visit(local offset, whole offset)` for the elements that `device`
/// holds; what is left of the local block is padding.
static void forEachHeld(ArrayRef<int64_t> whole, const Sharding &sharding,
                        const Mesh &mesh, int64_t device,
                        llvm::function_ref<void(int64_t, int64_t)> visit) {
  Tensor wholeLayout, localLayout;
  wholeLayout.shape.assign(whole.begin(), whole.end());
  localLayout.shape = localShape(whole, sharding, mesh);
  SmallVector<int64_t> wholeStrides = wholeLayout.strides();
  SmallVector<int64_t> localStrides = localLayout.strides();
  SmallVector<int64_t> valid;
  int64_t start = 0;
  for (auto [dim, size] : llvm::enumerate(whole)) {
    DimBlock block = blockOf(size, sharding.dims[dim], mesh, device);
    valid.push_back(block.valid);
    start += block.start * wholeStrides[dim];
  }
  forEachIndex(valid, [&](ArrayRef<int64_t> index) {
    int64_t local = 0, global = start;
    for (auto [dim, i] : llvm::enumerate(index)) {
      local += i * localStrides[dim];
      global += i * wholeStrides[dim];
    }
    visit(local, global);
  });
}

Tensor tpc::reference::shardTensor(const Tensor &whole,
                                   const Sharding &sharding, const Mesh &mesh,
                                   int64_t device, bool poisonPadding) {
  Tensor local(localShape(whole.shape, sharding, mesh), whole.elementType,
               poisonPadding ? poison(whole.elementType) : 0);
  std::optional<double> elsewhere;
  for (const PartialAxis &partial : sharding.partial)
    if (mesh.coordinate(device, partial.axis) != 0)
      elsewhere = identity(partial.reduction, whole.elementType);
  forEachHeld(whole.shape, sharding, mesh, device,
              [&](int64_t to, int64_t from) {
                local.data[to] = elsewhere ? *elsewhere : whole.data[from];
              });
  return local;
}

SmallVector<Tensor> tpc::reference::shardTensor(const Tensor &whole,
                                                const Sharding &sharding,
                                                const Mesh &mesh,
                                                bool poisonPadding) {
  SmallVector<Tensor> blocks;
  for (int64_t device = 0; device < mesh.numDevices(); ++device)
    blocks.push_back(shardTensor(whole, sharding, mesh, device, poisonPadding));
  return blocks;
}

/// Whether two values are the same bits, or closer than `tolerance`.
static bool agree(double a, double b, double tolerance) {
  if (a == b)
    return std::signbit(a) == std::signbit(b) || tolerance > 0;
  return (std::isnan(a) && std::isnan(b)) || std::fabs(a - b) <= tolerance;
}

namespace {
/// Puts blocks together, one group of partial contributions after the other.
class Assembler {
public:
  Assembler(ArrayRef<Tensor> blocks, ArrayRef<int64_t> shape,
            const Sharding &sharding, const Mesh &mesh, double tolerance)
      : blocks(blocks), sharding(sharding), mesh(mesh), tolerance(tolerance),
        whole(shape, blocks[0].elementType),
        writer(whole.numElements(), int64_t(-1)) {}

  /// Combines what the group of `device` over the partial axes holds, and
  /// compares it with what other groups hold of the same elements.
  std::optional<std::string> add(int64_t device) {
    std::optional<std::string> problem;
    forEachHeld(whole.shape, sharding, mesh, device,
                [&](int64_t local, int64_t global) {
                  double value = combined(device, local);
                  if (writer[global] < 0) {
                    writer[global] = device;
                    whole.data[global] = value;
                  } else if (!problem &&
                             !agree(value, whole.data[global], tolerance)) {
                    problem = disagreement(device, global, value);
                  }
                });
    return problem;
  }

  Tensor take() { return std::move(whole); }

private:
  std::string disagreement(int64_t device, int64_t element, double value) {
    std::string text;
    llvm::raw_string_ostream(text)
        << "devices " << writer[element] << " and " << device
        << " disagree in element " << element << ": "
        << llvm::format("%.17g and %.17g", whole.data[element], value);
    return text;
  }

  double combined(int64_t device, int64_t local) {
    // One axis after the other, so that sums and maxima may be mixed.
    SmallVector<int64_t> members{device};
    SmallVector<double> values;
    for (const PartialAxis &partial : sharding.partial) {
      SmallVector<int64_t> next;
      for (int64_t member : members)
        llvm::append_range(next, mesh.group(member, {partial.axis}));
      members = std::move(next);
    }
    for (int64_t member : members)
      values.push_back(blocks[member].data[local]);
    // The last axis' members stand next to each other.
    for (const PartialAxis &partial : llvm::reverse(sharding.partial)) {
      int64_t size = mesh.size(partial.axis);
      for (int64_t i = 0, n = values.size() / size; i < n; ++i) {
        double value = values[i * size];
        for (int64_t j = 1; j < size; ++j)
          value = combine(partial.reduction, value, values[i * size + j]);
        values[i] = value;
      }
      values.resize(values.size() / size);
    }
    return roundTo(whole.elementType, values[0]);
  }

  ArrayRef<Tensor> blocks;
  const Sharding &sharding;
  const Mesh &mesh;
  double tolerance;
  Tensor whole;
  std::vector<int64_t> writer;
};
} // namespace

FailureOr<Tensor> tpc::reference::unshard(ArrayRef<Tensor> blocks,
                                          ArrayRef<int64_t> shape,
                                          const Sharding &sharding,
                                          const Mesh &mesh, double tolerance,
                                          std::string *problem) {
  AxisList partialAxes;
  for (const PartialAxis &partial : sharding.partial)
    partialAxes.push_back(partial.axis);
  Assembler assembler(blocks, shape, sharding, mesh, tolerance);
  for (int64_t device = 0; device < mesh.numDevices(); ++device) {
    if (mesh.coordinate(device, partialAxes) != 0)
      continue; // combined with the group's first member
    if (std::optional<std::string> found = assembler.add(device)) {
      if (problem)
        *problem = std::move(*found);
      return failure();
    }
  }
  return assembler.take();
}
