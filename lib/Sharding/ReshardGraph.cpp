//===- ReshardGraph.cpp - The shardings of a tensor and moves -------------===//

#include "ReshardGraph.h"
#include "Rearrangement.h"
#include "llvm/ADT/STLExtras.h"
#include <limits>
#include <queue>
#include <unordered_map>

using namespace tpc;
using llvm::ArrayRef;
using llvm::SmallVector;

GraphKind GraphKind::of(const Sharding &from, const Sharding &to) {
  GraphKind kind;
  auto note = [&](const AxisRef &axis) {
    if (!axis.isWhole())
      kind.cuts.push_back(axis);
  };
  forEachAxis(from, note);
  forEachAxis(to, note);
  llvm::sort(kind.cuts);
  kind.cuts.erase(llvm::unique(kind.cuts), kind.cuts.end());
  if (from.isPartial())
    kind.reduction = from.partial[0].reduction;
  if (to.isPartial())
    kind.reduction = to.partial[0].reduction;
  return kind;
}

size_t GraphKind::numParts(const Mesh &mesh) const {
  AxisParts parts(mesh);
  for (const AxisRef &axis : mesh.axes())
    if (mesh.size(axis) > 1)
      parts.cut(axis);
  for (const AxisRef &axis : cuts)
    parts.cut(axis);
  return parts.all().size();
}

namespace {
struct ShardingHash {
  size_t operator()(const Sharding &s) const { return hash_value(s); }
};
} // namespace

/// The shardings of tensors of one shape and the moves between them.
class ReshardGraph::Impl {
public:
  Impl(GraphKind kind, ArrayRef<int64_t> shape, int64_t elementBytes,
       const CostModel &costs)
      : kind(std::move(kind)), shape(shape), elementBytes(elementBytes),
        mesh(costs.getMesh()), costs(costs), parts(mesh) {
    for (const AxisRef &axis : mesh.axes())
      if (mesh.size(axis) > 1) {
        parts.cut(axis);
        units.push_back(axis);
      }
    for (const AxisRef &axis : this->kind.cuts) {
      parts.cut(axis);
      units.push_back(axis);
    }
  }
  const GraphKind kind;

  /// The time of the cheapest plan between canonical shardings.
  double micros(const Sharding &from, const Sharding &to) {
    Search &search = searchFrom(from);
    return search.cost[reach(search, to)];
  }

  ReshardPlan plan(const Sharding &from, const Sharding &to) {
    Search &search = searchFrom(from);
    size_t last = reach(search, to);
    ReshardPlan plan;
    plan.micros = plan.bound = search.cost[last];
    for (size_t id = last; id != search.start; id = search.previous[id]) {
      const Node &before = *nodes[search.previous[id]];
      ReshardStep step = before.moves[search.move[id]].step;
      if (step.kind == ReshardStep::Permute)
        step.sources =
            rearrange(before.sharding, nodes[id]->sharding, shape, mesh)
                .sources;
      step.result = *meanings[nodes[id]->meaning];
      plan.steps.push_back(std::move(step));
    }
    std::reverse(plan.steps.begin(), plan.steps.end());
    return plan;
  }

private:
  struct Move {
    ReshardStep step;
    size_t to;
  };
  struct Node {
    Sharding sharding; ///< in parts
    size_t meaning;    ///< number of the canonical form
    bool expanded = false;
    std::vector<Move> moves;
  };

  //===--------------------------------------------------------------------===//
  // Searches
  //===--------------------------------------------------------------------===//

  static constexpr size_t kNone = ~size_t(0);
  using Entry = std::pair<double, size_t>;
  /// Dijkstra's algorithm from one node, as far as it was needed.
  struct Search {
    size_t start;
    std::vector<double> cost;
    std::vector<size_t> previous, move;
    std::vector<char> done;
    /// The cheapest node of each meaning that was reached, or kNone.
    std::vector<size_t> found;
    std::priority_queue<Entry, std::vector<Entry>, std::greater<Entry>> queue;

    void offer(size_t node, double newCost, size_t from, size_t by) {
      if (node >= cost.size()) {
        cost.resize(node + 1, std::numeric_limits<double>::infinity());
        previous.resize(node + 1);
        move.resize(node + 1);
        done.resize(node + 1, 0);
      }
      if (newCost >= cost[node])
        return;
      cost[node] = newCost;
      previous[node] = from;
      move[node] = by;
      queue.push({newCost, node});
    }
  };

  Search &searchFrom(const Sharding &from) {
    size_t start = nodeOf(refined(from));
    std::unique_ptr<Search> &search = searches[start];
    if (!search) {
      search = std::make_unique<Search>();
      search->start = start;
      search->offer(start, 0, start, 0);
    }
    return *search;
  }

  /// Goes on until a node that means `target` is done.
  size_t reach(Search &search, const Sharding &target) {
    size_t wanted = meaningOf(target);
    while (true) {
      if (wanted < search.found.size() && search.found[wanted] != kNone)
        return search.found[wanted];
      auto [cost, id] = search.queue.top();
      search.queue.pop();
      if (search.done[id])
        continue;
      search.done[id] = 1;
      if (search.found.size() < meanings.size())
        search.found.resize(meanings.size(), kNone);
      size_t &found = search.found[nodes[id]->meaning];
      if (found == kNone)
        found = id;
      expand(id);
      for (auto [i, move] : llvm::enumerate(nodes[id]->moves))
        search.offer(move.to, cost + move.step.micros, id, i);
    }
  }

  size_t nodeOf(const Sharding &sharding) {
    auto [it, fresh] = index.try_emplace(sharding, nodes.size());
    if (fresh) {
      nodes.push_back(std::make_unique<Node>());
      nodes.back()->sharding = sharding;
      nodes.back()->meaning = meaningOf(canonical(sharding, shape, mesh));
    }
    return it->second;
  }

  size_t meaningOf(const Sharding &canonicalForm) {
    auto [it, fresh] = meaningIndex.try_emplace(canonicalForm, meanings.size());
    if (fresh)
      meanings.push_back(&it->first);
    return it->second;
  }

  //===--------------------------------------------------------------------===//
  // Parts of axes
  //===--------------------------------------------------------------------===//

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

  /// The parts, and the undivided axes, over which
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
    step.micros = costs.collectiveMicros(kind, bytes, step.axes);
    add(std::move(step));
  }
  void copyLocally(ReshardStep step, double bytes) {
    step.micros = costs.copyMicros(bytes);
    add(std::move(step));
  }
  void add(ReshardStep step) {
    size_t to = nodeOf(step.result);
    step.result = Sharding(); // the node has it
    current->moves.push_back({std::move(step), to});
  }

  static Sharding withoutPartial(Sharding s, const AxisRef &axis) {
    llvm::erase_if(s.partial,
                   [&](const PartialAxis &p) { return p.axis == axis; });
    return s;
  }

  void expand(size_t id) {
    if (nodes[id]->expanded)
      return;
    nodes[id]->expanded = true;
    current = nodes[id].get();
    const Sharding &s = current->sharding;
    double bytes = localBytes(s);
    reducePartials(s, bytes);
    gatherSplits(s, bytes);
    AxisList free = freeAxes(s);
    useFreeAxes(s, free, {});
    rearrangeBlocks(s, free, bytes);
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
    step.reduction = kind.reduction;
    if (!s.partial.empty() && s.partial[0].reduction != step.reduction)
      return;
    for (const AxisRef &axis : axes)
      for (const AxisRef &part : parts.partsOf(axis))
        step.result.addPartial(part, step.reduction);
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
    AxisList partial;
    for (const PartialAxis &p : s.partial)
      partial.push_back(p.axis);
    reduceAndCut(s, partial, {}, bytes);
    for (const AxisRef &unit : units) {
      AxisList own = parts.partsOf(unit);
      if (own.size() > 1 && llvm::all_of(own, [&](const AxisRef &part) {
            return llvm::is_contained(partial, part);
          }))
        reduceScatter(s, {unit}, bytes);
    }
  }

  /// reduce_scatters over every list of partial axes that begins with `list`.
  void reduceAndCut(const Sharding &s, ArrayRef<AxisRef> partial,
                    const AxisList &list, double bytes) {
    for (const AxisRef &axis : partial) {
      if (llvm::is_contained(list, axis))
        continue;
      AxisList longer = list;
      longer.push_back(axis);
      reduceScatter(s, longer, bytes);
      reduceAndCut(s, partial, longer, bytes);
    }
  }

  void reduceScatter(const Sharding &s, const AxisList &axes, double bytes) {
    for (unsigned dim = 0; dim < shape.size(); ++dim) {
      int64_t block = blockSize(shape[dim], s.dims[dim], mesh);
      if (axes.size() > 1 && block % mesh.size(axes) != 0)
        continue;
      ReshardStep step{ReshardStep::ReduceScatter, axes, dim};
      step.reduction = s.partial[0].reduction;
      step.result = s;
      for (const AxisRef &axis : axes)
        for (const AxisRef &part : parts.partsOf(axis))
          step.result = withoutPartial(step.result, part);
      cutBy(step.result.dims[dim], shape[dim], axes);
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
        // Several axes at once only where that undoes one even cut.
        ArrayRef<AxisRef> moved = axes.drop_front(keep);
        if (moved.size() > 1 && block % mesh.size(moved) != 0)
          continue;
        for (const AxisList &over : asOneCut(moved, block)) {
          ReshardStep step{ReshardStep::AllGather, over, dim};
          step.result = gathered;
          communicate(step, CollectiveKind::AllGather, localBytes(gathered));
        }
        // A step that moves blocks may cut the other dimension in other parts.
        moveSplit(s, gathered, dim, moved, bytes);
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

  //===--------------------------------------------------------------------===//
  // Permutes
  //===--------------------------------------------------------------------===//

  /// One permute to every sharding with the same blocks.
  void rearrangeBlocks(const Sharding &s, ArrayRef<AxisRef> free,
                       double bytes) {
    SmallVector<AxisRef> all(free);
    forEachAxis(s, [&](const AxisRef &axis) { all.push_back(axis); });
    llvm::sort(all);
    fillDim(s, all, Sharding::replicated(s.mesh, s.dims.size()), 0, bytes);
  }

  /// Tries every list of `free` axes that goes on with dimension `dim` of
  /// `filled` and has as many members as that of `s`.
  void fillDim(const Sharding &s, ArrayRef<AxisRef> free,
               const Sharding &filled, unsigned dim, double bytes) {
    if (dim == s.dims.size()) {
      fillPartial(s, free, filled, bytes);
      return;
    }
    int64_t count = mesh.size(s.dims[dim]);
    int64_t now = mesh.size(filled.dims[dim]);
    if (now == count) {
      fillDim(s, free, filled, dim + 1, bytes);
      return;
    }
    for (const AxisRef &axis : free) {
      if (count % (now * mesh.size(axis)) != 0)
        continue;
      Sharding longer = filled;
      cutBy(longer.dims[dim], shape[dim], axis);
      // An axis that has parts stands in parts where it cuts evenly.
      if (longer.dims[dim].back() == axis)
        fillDim(s, without(free, axis), longer, dim, bytes);
    }
  }

  void fillPartial(const Sharding &s, ArrayRef<AxisRef> free,
                   const Sharding &filled, double bytes) {
    if (contributions(filled) == contributions(s)) {
      auto axes = rearrangedAxes(s, filled, shape, mesh);
      if (!axes || axes->empty())
        return;
      ReshardStep step{ReshardStep::Permute, std::move(*axes)};
      step.result = filled;
      communicate(step, CollectiveKind::Permute, bytes);
      return;
    }
    // In the order of the axes, so that each set is met once.
    for (const AxisRef &axis : free)
      if (filled.partial.empty() || filled.partial.back().axis < axis) {
        Sharding longer = filled;
        longer.addPartial(axis, s.partial[0].reduction);
        fillPartial(s, without(free, axis), longer, bytes);
      }
  }

  int64_t contributions(const Sharding &sharding) const {
    int64_t count = 1;
    for (const PartialAxis &p : sharding.partial)
      count *= mesh.size(p.axis);
    return count;
  }

  static SmallVector<AxisRef> without(ArrayRef<AxisRef> axes,
                                      const AxisRef &taken) {
    SmallVector<AxisRef> rest;
    for (const AxisRef &axis : axes)
      if (!axis.overlaps(taken))
        rest.push_back(axis);
    return rest;
  }

  SmallVector<int64_t> shape;
  int64_t elementBytes;
  const Mesh &mesh;
  const CostModel &costs;
  AxisParts parts;
  SmallVector<AxisRef> units;
  std::vector<std::unique_ptr<Node>> nodes;
  std::unordered_map<Sharding, size_t, ShardingHash> index, meaningIndex;
  std::vector<const Sharding *> meanings;
  std::unordered_map<size_t, std::unique_ptr<Search>> searches;
  Node *current = nullptr;
};

ReshardGraph::ReshardGraph(GraphKind kind, ArrayRef<int64_t> shape,
                           int64_t elementBytes, const CostModel &costs)
    : impl(std::make_unique<Impl>(std::move(kind), shape, elementBytes,
                                  costs)) {}
ReshardGraph::~ReshardGraph() = default;

const GraphKind &ReshardGraph::kind() const { return impl->kind; }

double ReshardGraph::micros(const Sharding &from, const Sharding &to) {
  return impl->micros(from, to);
}

ReshardPlan ReshardGraph::plan(const Sharding &from, const Sharding &to) {
  return impl->plan(from, to);
}
