//===- Communication.cpp - What collectives make of claims ----------------===//

#include "Communication.h"
#include "tpc/Dialect/Spmd/Spmd.h"
#include "llvm/ADT/TypeSwitch.h"
#include <array>

using namespace mlir;
using namespace tpc;
using namespace tpc::proof;

namespace {

constexpr std::array kReductions{Reduction::Sum, Reduction::Max,
                                 Reduction::Min};

class Mover {
public:
  Mover(const Claim &operand, RankedTensorType whole, const Mesh &mesh,
        std::string &problem)
      : claim(operand), whole(whole), mesh(mesh), problem(problem) {}

  Claims run(Operation *op) {
    if (claim.kind != Claim::Block)
      return fail("the operand is not a block of a whole value");
    return llvm::TypeSwitch<Operation *, Claims>(op)
        .Case([&](spmd::AllReduceOp op) {
          if (!reduce(op.getAxes().getAxes(), op.getReduction()))
            return Claims();
          // Reducing zeros gives zeros; other padding is not followed.
          for (auto &fill : claim.fill)
            if (fill != 0.0 || op.getReduction() != Reduction::Sum)
              fill = std::nullopt;
          return done();
        })
        .Case([&](spmd::ReduceScatterOp op) {
          claim.fill.clear();
          return reduce(op.getAxes().getAxes(), op.getReduction()) &&
                         split(op.getDim(), op.getAxes().getAxes())
                     ? done()
                     : Claims();
        })
        .Case([&](spmd::AllGatherOp op) {
          return gather(op.getDim(), op.getAxes().getAxes()) ? done()
                                                             : Claims();
        })
        .Case([&](spmd::AllToAllOp op) {
          claim.fill.clear();
          ArrayRef<AxisRef> axes = op.getAxes().getAxes();
          return gather(op.getConcatDim(), axes) &&
                         split(op.getSplitDim(), axes)
                     ? done()
                     : Claims();
        })
        .Case([&](spmd::SliceOp op) {
          if (!split(op.getDim(), op.getAxes().getAxes()))
            return Claims();
          if (!claim.fill.empty())
            claim.fill[op.getDim()] = std::nullopt;
          return done();
        })
        .Case([&](spmd::ToPartialOp op) { return toPartial(op); })
        .Case([&](spmd::MaskOp op) { return mask(op); })
        .Case([&](spmd::PermuteOp op) { return permute(op); })
        .Default([&](Operation *) {
          return fail("the operation is not known to the proof");
        });
  }

private:
  Claims fail(const Twine &reason) {
    problem = reason.str();
    return {};
  }

  Claims done() {
    claim.sharding = canonical(claim.sharding, whole.getShape(), mesh);
    return {claim};
  }

  /// `axis` in the parts that the operand's sharding mentions, so that an axis
  /// and its parts can be compared.
  AxisList parts(const AxisRef &axis) const {
    SmallVector<AxisRef> mentioned;
    for (const AxisList &axes : claim.sharding.dims)
      llvm::append_range(mentioned, axes);
    for (const PartialAxis &p : claim.sharding.partial)
      mentioned.push_back(p.axis);
    return refine(axis, mentioned);
  }

  /// `axis` cut where one of `others` begins or ends.
  AxisList refine(const AxisRef &axis, ArrayRef<AxisRef> others) const {
    int64_t begin = axis.pre;
    int64_t end = axis.isWhole() ? mesh.size(axis) : axis.pre * axis.size;
    SmallVector<int64_t> points{begin, end};
    for (const AxisRef &other : others)
      if (other.name == axis.name && !other.isWhole())
        for (int64_t point : {other.pre, other.pre * other.size})
          if (point > begin && point < end)
            points.push_back(point);
    llvm::sort(points);
    points.erase(llvm::unique(points), points.end());
    AxisList result;
    for (auto [from, to] : llvm::zip(points, ArrayRef(points).drop_front()))
      result.push_back(mesh.canonical({axis.name, from, to / from}));
    return result;
  }

  /// A partial axis of the operand, in the parts of the axes being reduced.
  bool reduce(ArrayRef<AxisRef> axes, Reduction reduction) {
    for (const AxisRef &axis : axes)
      splitPartial(axis);
    for (const AxisRef &axis : axes)
      for (const AxisRef &part : parts(axis)) {
        if (claim.sharding.partialOver(part) != reduction) {
          fail("the operand is not partial (" + stringifyReduction(reduction) +
               ") over " + axis.name.getValue());
          return false;
        }
        llvm::erase_if(claim.sharding.partial,
                       [&](const PartialAxis &p) { return p.axis == part; });
      }
    return true;
  }

  /// Cuts partial axes where `axis` begins and ends.
  void splitPartial(const AxisRef &axis) {
    SmallVector<PartialAxis, 1> cut;
    for (const PartialAxis &p : claim.sharding.partial)
      for (const AxisRef &part : refine(p.axis, axis))
        cut.push_back({part, p.reduction});
    llvm::sort(cut);
    claim.sharding.partial = std::move(cut);
  }

  bool isFree(const AxisRef &axis) {
    auto overlaps = [&](const AxisRef &o) { return o.overlaps(axis); };
    for (const AxisList &axes : claim.sharding.dims)
      if (llvm::any_of(axes, overlaps)) {
        fail("the operand is already split over " + axis.name.getValue());
        return false;
      }
    for (const PartialAxis &p : claim.sharding.partial)
      if (overlaps(p.axis)) {
        fail("the operand is partial over " + axis.name.getValue());
        return false;
      }
    return true;
  }

  /// Cuts each device's block along `dim` and keeps its own part.
  bool split(unsigned dim, ArrayRef<AxisRef> axes) {
    AxisList &cut = claim.sharding.dims[dim];
    int64_t block = blockSize(whole.getDimSize(dim), cut, mesh);
    if (axes.size() > 1 && block % mesh.size(axes) != 0) {
      fail("cutting unevenly by several axes at once is not cutting by one "
           "after the other");
      return false;
    }
    for (const AxisRef &axis : axes) {
      if (!isFree(axis))
        return false;
      claim.sharding.dims[dim].push_back(axis);
    }
    return true;
  }

  /// The blocks along the minor-most axes of `dim` become one.
  bool gather(unsigned dim, ArrayRef<AxisRef> axes) {
    AxisList cut, wanted;
    // Taking an axis apart, or several at once, is right only where the block
    // that they cut is cut evenly. (That block may itself be a short one: its
    // parts are those of a full one, as far as they go.)
    bool even = true;
    for (const AxisRef &axis : claim.sharding.dims[dim]) {
      AxisList pieces = refine(axis, axes);
      even &=
          pieces.size() == 1 ||
          blockSize(whole.getDimSize(dim), cut, mesh) % mesh.size(axis) == 0;
      cut.append(pieces);
    }
    for (const AxisRef &axis : axes)
      wanted.append(parts(axis));
    if (wanted.size() > cut.size() ||
        ArrayRef<AxisRef>(cut).take_back(wanted.size()) !=
            ArrayRef<AxisRef>(wanted)) {
      fail("the gathered axes are not the minor-most of dimension " +
           Twine(dim));
      return false;
    }
    AxisList kept(ArrayRef<AxisRef>(cut).drop_back(wanted.size()));
    int64_t block = blockSize(whole.getDimSize(dim), kept, mesh);
    if (!even || (axes.size() > 1 && block % mesh.size(axes) != 0)) {
      fail("uneven blocks along several axes do not stand in a row");
      return false;
    }
    claim.sharding.dims[dim] = std::move(kept);
    return true;
  }

  Claims toPartial(spmd::ToPartialOp op) {
    for (const AxisRef &axis : op.getAxes().getAxes()) {
      if (!isFree(axis))
        return {};
      for (const PartialAxis &p : claim.sharding.partial)
        if (p.reduction != op.getReduction())
          return fail("a value that is partial by two reductions has no "
                      "meaning: they do not commute");
      claim.sharding.addPartial(axis, op.getReduction());
    }
    for (auto &fill : claim.fill)
      if (fill != 0.0 || op.getReduction() != Reduction::Sum)
        fill = std::nullopt;
    return done();
  }

  Claims mask(spmd::MaskOp op) {
    auto type = cast<RankedTensorType>(op.getWhole());
    const Sharding &sharding = getSharding(type).getValue();
    Sharding layout = claim.sharding;
    layout.partial.clear();
    Sharding named = sharding;
    named.partial.clear();
    if (type.getShape() != whole.getShape() ||
        !sameLayout(named, layout, whole.getShape(), mesh))
      return fail("the mask is for another block than the operand's");
    claim.fill.resize(whole.getRank());
    for (int64_t dim : op.getDims())
      claim.fill[dim] = op.getValue().convertToDouble();
    // What another dimension's padding holds is overwritten where both pad.
    for (auto [dim, fill] : llvm::enumerate(claim.fill))
      if (fill && *fill != op.getValue().convertToDouble())
        fill = std::nullopt;
    return done();
  }

  //===--------------------------------------------------------------------===//
  // Permutation: compare the blocks of every device
  //===--------------------------------------------------------------------===//

  Claims permute(spmd::PermuteOp op) {
    ArrayRef<AxisRef> axes = op.getAxes().getAxes();
    SmallVector<int64_t> source(mesh.numDevices());
    for (int64_t device = 0; device < mesh.numDevices(); ++device) {
      auto members = mesh.group(device, axes);
      source[device] = members[op.getSources()[mesh.coordinate(device, axes)]];
    }
    Sharding candidate = rearranged(axes, source);
    if (!holdsSourceBlocks(candidate, source))
      return fail("no sharding has the blocks that the permutation brings");
    claim.sharding = std::move(candidate);
    return done();
  }

  /// The only sharding that may have the blocks of the devices `source`. Along
  /// every part of an axis the number of a device's block grows by a step of
  /// its own: 4 along "a" and 1 along "b":(1)4 is the split by {"a", "b":(1)4}.
  /// Whether that is so on every device is left to be seen.
  Sharding rearranged(ArrayRef<AxisRef> permuted, ArrayRef<int64_t> source) {
    SmallVector<AxisRef> mentioned(permuted);
    for (const AxisList &axes : claim.sharding.dims)
      llvm::append_range(mentioned, axes);
    for (const PartialAxis &p : claim.sharding.partial)
      mentioned.push_back(p.axis);
    Sharding result =
        Sharding::replicated(claim.sharding.mesh, claim.sharding.dims.size());
    std::vector<SmallVector<std::pair<int64_t, AxisRef>>> steps(
        result.dims.size());
    for (const AxisRef &axis : mesh.axes())
      for (const AxisRef &part : refine(axis, mentioned)) {
        if (mesh.size(part) == 1)
          continue;
        int64_t first = source[0], second = source[mesh.group(0, part)[1]];
        auto step = [&](ArrayRef<AxisRef> axes) {
          return mesh.coordinate(second, axes) - mesh.coordinate(first, axes);
        };
        for (auto [dim, axes] : llvm::enumerate(claim.sharding.dims))
          if (step(axes) != 0)
            steps[dim].push_back({step(axes), part});
        for (Reduction reduction : kReductions)
          if (step(partialAxes(claim.sharding, reduction)) != 0)
            result.addPartial(part, reduction);
      }
    for (auto [axes, ordered] : llvm::zip_equal(result.dims, steps)) {
      llvm::sort(ordered, [](auto &a, auto &b) { return a.first > b.first; });
      for (auto &[step, part] : ordered)
        axes.push_back(part);
    }
    return result;
  }

  bool holdsSourceBlocks(const Sharding &candidate, ArrayRef<int64_t> source) {
    if (localShape(whole.getShape(), candidate, mesh) !=
        localShape(whole.getShape(), claim.sharding, mesh))
      return false;
    for (int64_t device = 0; device < mesh.numDevices(); ++device)
      for (auto [dim, n] : llvm::enumerate(whole.getShape())) {
        DimBlock held =
            blockOf(n, claim.sharding.dims[dim], mesh, source[device]);
        DimBlock needed = blockOf(n, candidate.dims[dim], mesh, device);
        if (held.valid != needed.valid ||
            (held.valid && held.start != needed.start))
          return false;
      }
    return llvm::all_of(kReductions, [&](Reduction reduction) {
      return holdsContributions(candidate, source, reduction);
    });
  }

  static AxisList partialAxes(const Sharding &sharding, Reduction reduction,
                              bool others = false) {
    AxisList axes;
    for (const PartialAxis &p : sharding.partial)
      if ((p.reduction == reduction) != others)
        axes.push_back(p.axis);
    return axes;
  }

  /// Whether every group over the axes that `candidate` reduces so has one
  /// whole set of the contributions that were reduced so before, all alike in
  /// what is reduced otherwise.
  bool holdsContributions(const Sharding &candidate, ArrayRef<int64_t> source,
                          Reduction reduction) {
    AxisList before = partialAxes(claim.sharding, reduction);
    AxisList others = partialAxes(claim.sharding, reduction, true);
    AxisList after = partialAxes(candidate, reduction);
    for (const auto &group : mesh.groups(after)) {
      llvm::SmallDenseSet<int64_t> contributions, otherwise;
      for (int64_t device : group) {
        contributions.insert(mesh.coordinate(source[device], before));
        otherwise.insert(mesh.coordinate(source[device], others));
      }
      if (static_cast<int64_t>(contributions.size()) != mesh.size(before) ||
          static_cast<int64_t>(group.size()) != mesh.size(before) ||
          otherwise.size() != 1)
        return false;
    }
    return true;
  }

  Claim claim;
  RankedTensorType whole;
  const Mesh &mesh;
  std::string &problem;
};

} // namespace

Claims proof::concludeCommunication(Operation *op, const Claim &operand,
                                    RankedTensorType whole, const Mesh &mesh,
                                    std::string &problem) {
  return Mover(operand, whole, mesh, problem).run(op);
}
