//===- Rearrangement.cpp - The same blocks on other devices ---------------===//

#include "Rearrangement.h"
#include "AxisParts.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/STLExtras.h"
#include <array>
#include <map>

using namespace tpc;
using llvm::ArrayRef;
using llvm::SmallVector;

namespace {

/// What an axis, or part of one, does in a sharding: the number of a device's
/// block of dimension `dim` grows by `step` along it. Partial axes have the
/// rank as `dim` and no step.
struct Role {
  unsigned dim = 0;
  int64_t step = 0;
  bool operator==(const Role &o) const {
    return dim == o.dim && step == o.step;
  }
};

std::optional<Role> roleOf(const AxisRef &axis, const Sharding &sharding,
                           const Mesh &mesh) {
  for (auto [dim, axes] : llvm::enumerate(sharding.dims)) {
    auto found = llvm::find(axes, axis);
    if (found != axes.end())
      return Role{unsigned(dim), mesh.size(ArrayRef(found + 1, axes.end()))};
  }
  if (sharding.partialOver(axis))
    return Role{unsigned(sharding.dims.size()), 0};
  return std::nullopt;
}

bool sameBlocks(const Sharding &from, const Sharding &to,
                ArrayRef<int64_t> shape, const Mesh &mesh) {
  for (auto [n, a, b] : llvm::zip_equal(shape, from.dims, to.dims)) {
    bool alike = llvm::equal(a, b, [&](const AxisRef &x, const AxisRef &y) {
      return mesh.size(x) == mesh.size(y);
    });
    int64_t count = mesh.size(a);
    if (!alike && (count != mesh.size(b) || n % count != 0))
      return false;
  }
  auto contributions = [&](const Sharding &sharding) {
    std::map<Reduction, int64_t> counts;
    for (const PartialAxis &p : sharding.partial)
      counts.try_emplace(p.reduction, 1).first->second *= mesh.size(p.axis);
    return counts;
  };
  return contributions(from) == contributions(to);
}

/// The axes whose roles change, in mesh order, from major to minor.
AxisList changedAxes(const Sharding &from, const Sharding &to,
                     const Mesh &mesh) {
  AxisList changed;
  auto add = [&](const AxisRef &axis) {
    if (!(roleOf(axis, from, mesh) == roleOf(axis, to, mesh)) &&
        !llvm::is_contained(changed, axis))
      changed.push_back(axis);
  };
  forEachAxis(from, add);
  forEachAxis(to, add);
  llvm::sort(changed, [&](const AxisRef &a, const AxisRef &b) {
    return std::pair(mesh.find(a.name), a.pre) <
           std::pair(mesh.find(b.name), b.pre);
  });
  return changed;
}

/// Neighbouring parts of an axis that act as one in both shardings, as one.
AxisList merged(ArrayRef<AxisRef> axes, const Sharding &from,
                const Sharding &to, const Mesh &mesh) {
  auto actAsOne = [&](const AxisRef &major, const AxisRef &minor) {
    if (major.name != minor.name || major.pre * major.size != minor.pre)
      return false;
    return llvm::all_of(std::array{&from, &to}, [&](const Sharding *sharding) {
      std::optional<Role> a = roleOf(major, *sharding, mesh);
      std::optional<Role> b = roleOf(minor, *sharding, mesh);
      return a && b ? a->dim == b->dim && a->step == b->step * minor.size
                    : !a && !b;
    });
  };
  AxisList result;
  AxisRef last; // the part at the end of the last one in `result`
  for (const AxisRef &axis : axes) {
    if (!result.empty() && actAsOne(last, axis))
      result.back().size *= axis.size;
    else
      result.push_back(axis);
    last = axis;
  }
  for (AxisRef &axis : result)
    axis = mesh.canonical(axis);
  return result;
}

} // namespace

std::optional<AxisList> tpc::rearrangedAxes(const Sharding &from,
                                            const Sharding &to,
                                            ArrayRef<int64_t> shape,
                                            const Mesh &mesh) {
  if (!sameBlocks(from, to, shape, mesh))
    return std::nullopt;
  return merged(changedAxes(from, to, mesh), from, to, mesh);
}

/// What each member over `axes` holds, as a number: by dimension the block,
/// counted along `axes` only, and the contribution.
static SmallVector<int64_t>
holdings(ArrayRef<AxisRef> axes, const Sharding &sharding, const Mesh &mesh) {
  // The number grows by a step along each axis, if at all: first contributions,
  // then blocks of one dimension after the other.
  SmallVector<int64_t> steps(axes.size(), 0);
  int64_t base = 1;
  for (auto [step, axis] : llvm::zip_equal(steps, axes))
    if (sharding.partialOver(axis)) {
      step = base;
      base *= mesh.size(axis);
    }
  for (unsigned dim = 0; dim < sharding.dims.size(); ++dim) {
    int64_t blocks = mesh.size(sharding.dims[dim]);
    for (auto [step, axis] : llvm::zip_equal(steps, axes))
      if (std::optional<Role> role = roleOf(axis, sharding, mesh);
          role && role->dim == dim)
        step = base * role->step;
    base *= blocks;
  }
  SmallVector<int64_t> held{0};
  for (auto [step, axis] : llvm::zip_equal(steps, axes)) {
    SmallVector<int64_t> longer;
    for (int64_t before : held)
      for (int64_t i = 0; i < mesh.size(axis); ++i)
        longer.push_back(before + i * step);
    held = std::move(longer);
  }
  return held;
}

Rearrangement tpc::rearrange(const Sharding &from, const Sharding &to,
                             ArrayRef<int64_t> shape, const Mesh &mesh) {
  AxisList parts = changedAxes(from, to, mesh);
  Rearrangement result{merged(parts, from, to, mesh), {}};
  // Of members that hold the same one sends to one that needs it, in order.
  llvm::DenseMap<int64_t, SmallVector<int64_t, 2>> holders;
  for (auto [member, held] : llvm::enumerate(holdings(parts, from, mesh)))
    holders[held].push_back(member);
  for (auto &[held, members] : holders)
    std::reverse(members.begin(), members.end());
  for (int64_t needed : holdings(parts, to, mesh))
    result.sources.push_back(holders.find(needed)->second.pop_back_val());
  return result;
}
