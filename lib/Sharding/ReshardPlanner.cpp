//===- ReshardPlanner.cpp - From one sharding to another ------------------===//
//
// Dijkstra over shardings. The axes are taken in parts: the finest common
// refinement of how the two shardings cut each axis, because a part may move
// on its own. An axis that splits a dimension unevenly cannot be taken apart
// (cutting by 4 is not cutting by 2 twice); it moves as a whole. An axis that
// both use whole is never taken apart: under a ring's latency two collectives
// over 2 devices look cheaper than one over 4, but libraries do better than a
// ring.
//
//===----------------------------------------------------------------------===//

#include "tpc/Sharding/ReshardPlanner.h"
#include "AxisParts.h"
#include "llvm/ADT/STLExtras.h"
#include <queue>
#include <unordered_map>

using namespace tpc;
using llvm::ArrayRef;
using llvm::SmallVector;

namespace {

struct ShardingHash {
  size_t operator()(const Sharding &s) const { return hash_value(s); }
};

class Search {
public:
  Search(const Sharding &from, const Sharding &to, ArrayRef<int64_t> shape,
         int64_t elementBytes, const Mesh &mesh, const LinkCost &link)
      : shape(shape), elementBytes(elementBytes), mesh(mesh), link(link),
        target(canonical(to, shape, mesh)), parts(mesh) {
    cutAxes(canonical(from, shape, mesh));
    cutAxes(target);
    start = refined(canonical(from, shape, mesh));
  }

  ReshardPlan run() {
    push(start, 0, {}, nullptr);
    while (true) {
      auto [cost, id] = queue.top();
      queue.pop();
      Node &node = *nodes[id];
      if (node.done)
        continue;
      node.done = true;
      if (canonical(node.sharding, shape, mesh) == target)
        return trace(node);
      current = &node;
      expand(node.sharding);
    }
  }

private:
  struct Node {
    Sharding sharding;
    double cost;
    bool done = false;
    const Node *previous = nullptr;
    ReshardStep step; // from previous to here
  };

  //===--------------------------------------------------------------------===//
  // Parts of axes
  //===--------------------------------------------------------------------===//

  void cutAxes(const Sharding &sharding) {
    parts.cut(sharding);
    forEachAxis(sharding, [&](const AxisRef &axis) {
      if (!llvm::is_contained(units, axis))
        units.push_back(axis);
    });
  }

  /// Cuts a dimension of size `n` further by `axes`: in parts where that gives
  /// the same blocks.
  void cutBy(AxisList &dim, int64_t n, ArrayRef<AxisRef> axes) const {
    for (const AxisRef &axis : axes) {
      bool even = blockSize(n, dim, mesh) % mesh.size(axis) == 0;
      if (even)
        dim.append(parts.partsOf(axis));
      else
        dim.push_back(axis);
    }
  }

  /// The lists of axes over which one step can cut or gather a dimension held
  /// in blocks of `block`: one axis, the parts of one, or several that cut the
  /// block evenly.
  SmallVector<AxisList, 2> asOneCut(ArrayRef<AxisRef> axes,
                                    int64_t block) const {
    SmallVector<AxisList, 2> lists;
    if (axes.size() == 1 || block % mesh.size(axes) == 0)
      lists.push_back(AxisList(axes));
    if (axes.size() > 1)
      for (const AxisRef &unit : units)
        if (ArrayRef(parts.partsOf(unit)) == axes)
          lists.push_back({unit});
    return lists;
  }

  /// The sharding in parts, where that leaves the blocks as they are.
  Sharding refined(const Sharding &sharding) const {
    Sharding result = Sharding::replicated(sharding.mesh, 0);
    for (auto [n, axes] : llvm::zip_equal(shape, sharding.dims)) {
      AxisList &dim = result.dims.emplace_back();
      cutBy(dim, n, axes);
    }
    for (const PartialAxis &p : sharding.partial)
      for (const AxisRef &part : parts.partsOf(p.axis))
        result.addPartial(part, p.reduction);
    return result;
  }

  /// The parts, and the undivided axes of the two shardings, over which
  /// `sharding` is replicated.
  AxisList freeAxes(const Sharding &sharding) const {
    AxisList candidates = parts.all();
    for (const AxisRef &unit : units)
      if (!llvm::is_contained(candidates, unit))
        candidates.push_back(unit);
    forEachAxis(sharding, [&](const AxisRef &used) {
      llvm::erase_if(candidates,
                     [&](const AxisRef &axis) { return axis.overlaps(used); });
    });
    llvm::sort(candidates);
    return candidates;
  }

  //===--------------------------------------------------------------------===//
  // Moves
  //===--------------------------------------------------------------------===//

  double localBytes(const Sharding &sharding) const {
    double bytes = elementBytes;
    for (int64_t n : localShape(shape, sharding, mesh))
      bytes *= n;
    return bytes;
  }

  void communicate(ReshardStep step, CollectiveKind kind, double bytes) {
    step.micros = collectiveMicros(kind, bytes, mesh.size(step.axes), link);
    reach(std::move(step));
  }
  void copyLocally(ReshardStep step, double bytes) {
    // A small constant keeps plans without needless steps.
    step.micros = 0.1 * link.stepMicros + bytes / link.copyBytesPerMicro;
    reach(std::move(step));
  }

  static Sharding withoutPartial(Sharding s, const AxisRef &axis) {
    llvm::erase_if(s.partial,
                   [&](const PartialAxis &p) { return p.axis == axis; });
    return s;
  }

  void expand(const Sharding &s) {
    double bytes = localBytes(s);
    reducePartials(s, bytes);
    gatherSplits(s, bytes);
    AxisList free = freeAxes(s);
    useFreeAxes(s, free, {});
    exchangeRoles(s, free, bytes);
    reorderDims(s, bytes);
  }

  /// Slices and makes partial over every list of free axes that begins with
  /// `list`.
  void useFreeAxes(const Sharding &s, ArrayRef<AxisRef> free, AxisList list) {
    for (const AxisRef &axis : free) {
      if (llvm::any_of(list, [&](auto &o) { return o.overlaps(axis); }))
        continue;
      AxisList longer = list;
      longer.push_back(axis);
      for (unsigned dim = 0; dim < shape.size(); ++dim)
        slice(s, dim, longer);
      if (list.empty() || list.back() < axis)
        makePartial(s, longer);
      useFreeAxes(s, free, std::move(longer));
    }
  }

  void slice(const Sharding &s, unsigned dim, const AxisList &axes) {
    // Several axes at once only where that is cutting by one after the other.
    int64_t block = blockSize(shape[dim], s.dims[dim], mesh);
    if (axes.size() > 1 && block % mesh.size(axes) != 0)
      return;
    ReshardStep step{ReshardStep::Slice, axes, dim};
    step.result = s;
    cutBy(step.result.dims[dim], shape[dim], axes);
    copyLocally(step, localBytes(step.result));
  }

  /// As the target is partial over these axes, or as the value is over others:
  /// then one reduce_scatter over all may be cheaper than reducing and slicing.
  void makePartial(const Sharding &s, const AxisList &axes) {
    ReshardStep step{ReshardStep::ToPartial, axes};
    step.result = s;
    // Two reductions do not commute: never both in one value.
    std::optional<Reduction> reduction;
    if (!s.partial.empty())
      reduction = s.partial[0].reduction;
    for (const AxisRef &axis : axes) {
      auto wanted = llvm::find_if(target.partial, [&](const PartialAxis &p) {
        return p.axis.overlaps(axis);
      });
      if (wanted != target.partial.end()) {
        if (reduction && reduction != wanted->reduction)
          return;
        reduction = wanted->reduction;
      }
      if (!reduction)
        return;
      for (const AxisRef &part : parts.partsOf(axis))
        step.result.addPartial(part, *reduction);
    }
    step.reduction = *reduction;
    copyLocally(step, localBytes(s));
  }

  void reducePartials(const Sharding &s, double bytes) {
    // Any set of partial axes with one reduction can be reduced at once.
    unsigned n = s.partial.size();
    for (unsigned mask = 1; mask < (1u << n); ++mask) {
      ReshardStep step{ReshardStep::AllReduce, {}};
      step.result = s;
      bool sameReduction = true;
      std::optional<Reduction> reduction;
      for (unsigned i = 0; i < n; ++i) {
        if (!(mask >> i & 1))
          continue;
        const PartialAxis &p = s.partial[i];
        sameReduction &= !reduction || *reduction == p.reduction;
        reduction = p.reduction;
        step.axes.push_back(p.axis);
        step.result = withoutPartial(step.result, p.axis);
      }
      if (!sameReduction)
        continue;
      step.reduction = *reduction;
      communicate(step, CollectiveKind::AllReduce, bytes);
    }
    for (const PartialAxis &p : s.partial)
      reduceScatter(s, p.axis, p.reduction, bytes);
    for (const AxisRef &unit : units) {
      AxisList own = parts.partsOf(unit);
      std::optional<Reduction> reduction = s.partialOver(own[0]);
      if (own.size() > 1 && reduction &&
          llvm::all_of(own, [&](const AxisRef &part) {
            return s.partialOver(part) == reduction;
          }))
        reduceScatter(s, unit, *reduction, bytes);
    }
  }

  void reduceScatter(const Sharding &s, const AxisRef &axis,
                     Reduction reduction, double bytes) {
    for (unsigned dim = 0; dim < shape.size(); ++dim) {
      ReshardStep step{ReshardStep::ReduceScatter, {axis}, dim};
      step.reduction = reduction;
      step.result = s;
      for (const AxisRef &part : parts.partsOf(axis))
        step.result = withoutPartial(step.result, part);
      cutBy(step.result.dims[dim], shape[dim], axis);
      communicate(step, CollectiveKind::ReduceScatter, bytes);
    }
  }

  void gatherSplits(const Sharding &s, double bytes) {
    for (unsigned dim = 0; dim < shape.size(); ++dim) {
      ArrayRef<AxisRef> axes = s.dims[dim];
      for (size_t keep = axes.size(); keep-- > 0;) {
        int64_t block = blockSize(shape[dim], axes.take_front(keep), mesh);
        Sharding gathered = s;
        gathered.dims[dim].truncate(keep);
        for (const AxisList &moved : asOneCut(axes.drop_front(keep), block)) {
          ReshardStep step{ReshardStep::AllGather, moved, dim};
          step.result = gathered;
          communicate(step, CollectiveKind::AllGather, localBytes(gathered));
        }
        // A step that moves blocks may cut the other dimension in other parts.
        if (axes.size() - keep == 1 ||
            block % mesh.size(axes.drop_front(keep)) == 0)
          moveSplit(s, gathered, dim, axes.drop_front(keep), bytes);
      }
    }
  }

  /// all_to_all of the minor-most axes `moved` of `dim` to every dimension.
  void moveSplit(const Sharding &s, const Sharding &gathered, unsigned dim,
                 ArrayRef<AxisRef> moved, double bytes) {
    for (unsigned to = 0; to < shape.size(); ++to) {
      if (to == dim)
        continue;
      int64_t block = blockSize(shape[to], s.dims[to], mesh);
      for (const AxisList &axes : asOneCut(moved, block)) {
        ReshardStep step{ReshardStep::AllToAll, axes, to, dim};
        step.result = gathered;
        cutBy(step.result.dims[to], shape[to], axes);
        communicate(step, CollectiveKind::AllToAll,
                    std::max(bytes, localBytes(step.result)));
      }
    }
  }

  /// Two axes of one size exchange their roles: the device at (i, j) gets the
  /// block of the device at (j, i).
  void exchangeRoles(const Sharding &s, ArrayRef<AxisRef> free, double bytes) {
    SmallVector<AxisRef> all(free);
    for (const AxisList &axes : s.dims)
      llvm::append_range(all, axes);
    for (const PartialAxis &p : s.partial)
      all.push_back(p.axis);
    for (auto [i, a] : llvm::enumerate(all))
      for (const AxisRef &b : ArrayRef(all).drop_front(i + 1)) {
        int64_t size = mesh.size(a);
        if (size != mesh.size(b) || a.overlaps(b))
          continue;
        if (llvm::is_contained(free, a) && llvm::is_contained(free, b))
          continue;
        ReshardStep step{ReshardStep::Permute, {a, b}};
        step.result = exchanged(s, a, b);
        for (int64_t p = 0; p < size * size; ++p)
          step.sources.push_back(p % size * size + p / size);
        communicate(step, CollectiveKind::Permute, bytes);
      }
  }

  static Sharding exchanged(Sharding s, const AxisRef &a, const AxisRef &b) {
    auto swap = [&](AxisRef &axis) {
      if (axis == a)
        axis = b;
      else if (axis == b)
        axis = a;
    };
    for (AxisList &axes : s.dims)
      llvm::for_each(axes, swap);
    for (PartialAxis &p : s.partial)
      swap(p.axis);
    llvm::sort(s.partial);
    return s;
  }

  /// Neighbouring axes a, b of an evenly split dimension change order: the
  /// device at (i, j) holds block i*|b| + j and needs block j*|a| + i.
  void reorderDims(const Sharding &s, double bytes) {
    for (unsigned dim = 0; dim < shape.size(); ++dim) {
      const AxisList &axes = s.dims[dim];
      if (axes.size() < 2 || shape[dim] % mesh.size(axes) != 0)
        continue;
      for (size_t i = 0; i + 1 < axes.size(); ++i) {
        ReshardStep step{ReshardStep::Permute, {axes[i], axes[i + 1]}};
        int64_t sizeA = mesh.size(axes[i]), sizeB = mesh.size(axes[i + 1]);
        step.result = s;
        std::swap(step.result.dims[dim][i], step.result.dims[dim][i + 1]);
        // Member (i, j) at i*|b| + j needs block j*|a| + i, held by the member
        // at that same position.
        for (int64_t x = 0; x < sizeA; ++x)
          for (int64_t y = 0; y < sizeB; ++y)
            step.sources.push_back(y * sizeA + x);
        communicate(step, CollectiveKind::Permute, bytes);
      }
    }
  }

  //===--------------------------------------------------------------------===//
  // The queue
  //===--------------------------------------------------------------------===//

  void reach(ReshardStep step) {
    Sharding sharding = step.result;
    double cost = current->cost + step.micros;
    push(std::move(sharding), cost, std::move(step), current);
  }

  void push(Sharding sharding, double cost, ReshardStep step,
            const Node *previous) {
    auto [it, fresh] = index.try_emplace(sharding, nodes.size());
    if (fresh)
      nodes.push_back(std::make_unique<Node>());
    else if (nodes[it->second]->done || nodes[it->second]->cost <= cost)
      return;
    Node &node = *nodes[it->second];
    node.sharding = std::move(sharding);
    node.cost = cost;
    node.step = std::move(step);
    node.previous = previous;
    queue.push({cost, it->second});
  }

  ReshardPlan trace(const Node &last) const {
    ReshardPlan plan;
    plan.micros = last.cost;
    for (const Node *node = &last; node->previous; node = node->previous) {
      plan.steps.push_back(node->step);
      plan.steps.back().result = canonical(node->sharding, shape, mesh);
    }
    std::reverse(plan.steps.begin(), plan.steps.end());
    return plan;
  }

  ArrayRef<int64_t> shape;
  int64_t elementBytes;
  const Mesh &mesh;
  const LinkCost &link;
  Sharding start, target;
  AxisParts parts;
  SmallVector<AxisRef> units;
  std::vector<std::unique_ptr<Node>> nodes;
  std::unordered_map<Sharding, size_t, ShardingHash> index;
  using Entry = std::pair<double, size_t>;
  std::priority_queue<Entry, std::vector<Entry>, std::greater<Entry>> queue;
  const Node *current = nullptr;
};

} // namespace

ReshardPlan tpc::planReshard(const Sharding &from, const Sharding &to,
                             ArrayRef<int64_t> shape, int64_t elementBytes,
                             const Mesh &mesh, const LinkCost &link) {
  return Search(from, to, shape, elementBytes, mesh, link).run();
}

//===----------------------------------------------------------------------===//
// ReshardPlanner
//===----------------------------------------------------------------------===//

namespace {
struct Key {
  Sharding from, to;
  SmallVector<int64_t> shape;
  int64_t elementBytes;
  bool operator==(const Key &o) const {
    return from == o.from && to == o.to && shape == o.shape &&
           elementBytes == o.elementBytes;
  }
};
struct KeyHash {
  size_t operator()(const Key &k) const {
    return llvm::hash_combine(
        k.from, k.to, llvm::hash_combine_range(k.shape.begin(), k.shape.end()),
        k.elementBytes);
  }
};
} // namespace

struct ReshardPlanner::Cache {
  std::unordered_map<Key, ReshardPlan, KeyHash> plans;
};

ReshardPlanner::ReshardPlanner(Mesh mesh, LinkCost link)
    : mesh(std::move(mesh)), link(link), cache(std::make_unique<Cache>()) {}
ReshardPlanner::~ReshardPlanner() = default;

const ReshardPlan &ReshardPlanner::plan(const Sharding &from,
                                        const Sharding &to,
                                        ArrayRef<int64_t> shape,
                                        int64_t elementBytes) {
  Key key{from, to, SmallVector<int64_t>(shape), elementBytes};
  auto it = cache->plans.find(key);
  if (it == cache->plans.end())
    it = cache->plans
             .emplace(key,
                      planReshard(from, to, shape, elementBytes, mesh, link))
             .first;
  return it->second;
}
