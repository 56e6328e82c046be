//===- ReshardPlanner.cpp - From one sharding to another ------------------===//
//
// Dijkstra over shardings. The axes are taken in parts: the finest common
// refinement of how the two shardings cut each axis, because a part may move
// on its own. An axis that splits a dimension unevenly cannot be taken apart
// (cutting by 4 is not cutting by 2 twice); it moves as a whole. An axis that
// both use whole is never taken apart: libraries know better how to communicate
// over it.
//
// What can be reached from a sharding does not depend on where one wants to go,
// but for the parts and the reduction of partial values. So pairs that agree in
// these share a graph, whose moves are found once, and the search from one
// sharding goes on where it stopped for an earlier target: the optimizer asks
// for all pairs of a tensor's shardings.
//
//===----------------------------------------------------------------------===//

#include "tpc/Sharding/ReshardPlanner.h"
#include "AxisParts.h"
#include "llvm/ADT/STLExtras.h"
#include <limits>
#include <map>
#include <queue>
#include <unordered_map>

using namespace tpc;
using llvm::ArrayRef;
using llvm::SmallVector;

llvm::StringRef tpc::stringify(ReshardStep::Kind kind) {
  switch (kind) {
  case ReshardStep::AllReduce:
    return "all_reduce";
  case ReshardStep::ReduceScatter:
    return "reduce_scatter";
  case ReshardStep::AllGather:
    return "all_gather";
  case ReshardStep::AllToAll:
    return "all_to_all";
  case ReshardStep::Permute:
    return "permute";
  case ReshardStep::Slice:
    return "slice";
  case ReshardStep::ToPartial:
    return "to_partial";
  }
  llvm_unreachable("unknown step");
}

namespace {

struct ShardingHash {
  size_t operator()(const Sharding &s) const { return hash_value(s); }
};

/// Where the axes of a mesh are cut, and by what a value may become partial.
struct GraphKind {
  /// Parts of axes besides the whole ones.
  SmallVector<AxisRef, 2> cuts;
  /// By which values are partial, where they are.
  Reduction reduction = Reduction::Sum;

  /// The kind of graph in which the way between two canonical shardings lies.
  static GraphKind of(const Sharding &from, const Sharding &to) {
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
  bool operator==(const GraphKind &o) const {
    return cuts == o.cuts && reduction == o.reduction;
  }
};

/// The shardings of tensors of one shape and the moves between them.
class Graph {
public:
  Graph(GraphKind kind, ArrayRef<int64_t> shape, int64_t elementBytes,
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
    plan.micros = search.cost[last];
    for (size_t id = last; id != search.start; id = search.previous[id]) {
      const Node &before = *nodes[search.previous[id]];
      plan.steps.push_back(before.moves[search.move[id]].step);
      plan.steps.back().result = *meanings[nodes[id]->meaning];
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

} // namespace

ReshardPlan tpc::planReshard(const Sharding &from, const Sharding &to,
                             ArrayRef<int64_t> shape, int64_t elementBytes,
                             const CostModel &costs) {
  const Mesh &mesh = costs.getMesh();
  Sharding start = canonical(from, shape, mesh);
  Sharding target = canonical(to, shape, mesh);
  return Graph(GraphKind::of(start, target), shape, elementBytes, costs)
      .plan(start, target);
}

//===----------------------------------------------------------------------===//
// ReshardPlanner
//===----------------------------------------------------------------------===//

struct ReshardPlanner::Cache {
  /// Few per shape: looked up one by one.
  std::map<std::pair<std::vector<int64_t>, int64_t>,
           std::vector<std::unique_ptr<Graph>>>
      graphs;

  Graph &graph(const Sharding &from, const Sharding &to,
               ArrayRef<int64_t> shape, int64_t elementBytes,
               const CostModel &costs) {
    GraphKind kind = GraphKind::of(from, to);
    auto &known = graphs[{shape.vec(), elementBytes}];
    for (const auto &graph : known)
      if (graph->kind == kind)
        return *graph;
    return *known.emplace_back(
        std::make_unique<Graph>(kind, shape, elementBytes, costs));
  }
};

ReshardPlanner::ReshardPlanner(CostModel costs)
    : costs(std::move(costs)), cache(std::make_unique<Cache>()) {}
ReshardPlanner::~ReshardPlanner() = default;

ReshardPlan ReshardPlanner::plan(const Sharding &from, const Sharding &to,
                                 ArrayRef<int64_t> shape,
                                 int64_t elementBytes) {
  const Mesh &mesh = costs.getMesh();
  Sharding start = canonical(from, shape, mesh);
  Sharding target = canonical(to, shape, mesh);
  return cache->graph(start, target, shape, elementBytes, costs)
      .plan(start, target);
}

double ReshardPlanner::micros(const Sharding &from, const Sharding &to,
                              ArrayRef<int64_t> shape, int64_t elementBytes) {
  if (from == to)
    return 0;
  return cache->graph(from, to, shape, elementBytes, costs).micros(from, to);
}
