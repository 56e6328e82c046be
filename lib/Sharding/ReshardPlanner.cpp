//===- ReshardPlanner.cpp - From one sharding to another ------------------===//
//
// Dijkstra over shardings. The axes are taken in parts: the finest common
// refinement of how the two shardings cut each axis, because a part may move
// on its own. An axis that splits a dimension unevenly cannot be taken apart
// (cutting by 4 is not cutting by 2 twice); it moves as a whole.
//
//===----------------------------------------------------------------------===//

#include "tpc/Sharding/ReshardPlanner.h"
#include "llvm/ADT/STLExtras.h"
#include <map>
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
        target(canonical(to, shape, mesh)) {
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
    auto cut = [&](const AxisRef &axis) {
      auto &points = cuts[axis.name];
      points.append({1, mesh.size(AxisRef{axis.name})});
      if (!axis.isWhole())
        points.append({axis.pre, axis.pre * axis.size});
      llvm::sort(points);
      points.erase(llvm::unique(points), points.end());
      if (!llvm::is_contained(units, axis))
        units.push_back(axis);
    };
    for (const AxisList &axes : sharding.dims)
      llvm::for_each(axes, cut);
    for (const PartialAxis &p : sharding.partial)
      cut(p.axis);
  }

  AxisList partsOf(const AxisRef &axis) const {
    int64_t end = axis.isWhole() ? mesh.size(axis) : axis.pre * axis.size;
    AxisList parts;
    ArrayRef<int64_t> points = cuts.find(axis.name)->second;
    for (auto [a, b] : llvm::zip(points, points.drop_front()))
      if (a >= axis.pre && b <= end)
        parts.push_back(mesh.canonical({axis.name, a, b / a}));
    return parts;
  }

  /// The sharding in parts, where that leaves the blocks as they are.
  Sharding refined(const Sharding &sharding) const {
    Sharding result = Sharding::replicated(sharding.mesh, 0);
    for (auto [n, axes] : llvm::zip_equal(shape, sharding.dims)) {
      AxisList &dim = result.dims.emplace_back();
      for (const AxisRef &axis : axes) {
        AxisList parts = partsOf(axis);
        int64_t before = blockSize(n, dim, mesh);
        bool even = before % mesh.size(axis) == 0;
        if (even)
          dim.append(parts);
        else
          dim.push_back(axis);
      }
    }
    for (const PartialAxis &p : sharding.partial)
      for (const AxisRef &part : partsOf(p.axis))
        result.addPartial(part, p.reduction);
    return result;
  }

  /// The parts, and the undivided axes of the two shardings, over which
  /// `sharding` is replicated.
  SmallVector<AxisRef> freeAxes(const Sharding &sharding) const {
    SmallVector<AxisRef> candidates;
    for (const auto &[name, points] : cuts)
      llvm::append_range(candidates, partsOf({name}));
    for (const AxisRef &unit : units)
      if (!llvm::is_contained(candidates, unit))
        candidates.push_back(unit);
    auto used = [&](const AxisRef &axis) {
      auto overlaps = [&](const AxisRef &o) { return o.overlaps(axis); };
      return llvm::any_of(sharding.dims,
                          [&](const AxisList &axes) {
                            return llvm::any_of(axes, overlaps);
                          }) ||
             llvm::any_of(sharding.partial, [&](const PartialAxis &p) {
               return overlaps(p.axis);
             });
    };
    llvm::erase_if(candidates, used);
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
    SmallVector<AxisRef> free = freeAxes(s);
    for (const AxisRef &axis : free) {
      for (unsigned dim = 0; dim < shape.size(); ++dim) {
        ReshardStep step{ReshardStep::Slice, {axis}, dim};
        step.result = s;
        step.result.dims[dim].push_back(axis);
        copyLocally(step, bytes / mesh.size(axis));
      }
      for (const PartialAxis &wanted : target.partial) {
        if (!wanted.axis.overlaps(axis))
          continue;
        ReshardStep step{ReshardStep::ToPartial, {axis}};
        step.reduction = wanted.reduction;
        step.result = s;
        step.result.addPartial(axis, wanted.reduction);
        copyLocally(step, bytes);
      }
    }
    exchangeRoles(s, free, bytes);
    reorderDims(s, bytes);
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
      for (unsigned dim = 0; dim < shape.size(); ++dim) {
        ReshardStep step{ReshardStep::ReduceScatter, {p.axis}, dim};
        step.reduction = p.reduction;
        step.result = withoutPartial(s, p.axis);
        step.result.dims[dim].push_back(p.axis);
        communicate(step, CollectiveKind::ReduceScatter, bytes);
      }
  }

  void gatherSplits(const Sharding &s, double bytes) {
    for (unsigned dim = 0; dim < shape.size(); ++dim) {
      const AxisList &axes = s.dims[dim];
      for (size_t keep = axes.size(); keep-- > 0;) {
        AxisList gathered(axes.begin() + keep, axes.end());
        int64_t block =
            blockSize(shape[dim], ArrayRef(axes).take_front(keep), mesh);
        // Several axes at once only where their blocks are one row of equals.
        if (gathered.size() > 1 && block % mesh.size(gathered) != 0)
          continue;
        ReshardStep step{ReshardStep::AllGather, gathered, dim};
        step.result = s;
        step.result.dims[dim].truncate(keep);
        communicate(step, CollectiveKind::AllGather, localBytes(step.result));
      }
      if (axes.empty())
        continue;
      for (unsigned to = 0; to < shape.size(); ++to) {
        if (to == dim)
          continue;
        ReshardStep step{ReshardStep::AllToAll, {axes.back()}, to, dim};
        step.result = s;
        step.result.dims[dim].pop_back();
        step.result.dims[to].push_back(axes.back());
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
    push(std::move(sharding), current->cost + step.micros, std::move(step),
         current);
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
  std::map<mlir::StringAttr, SmallVector<int64_t, 4>,
           bool (*)(mlir::StringAttr, mlir::StringAttr)>
      cuts{[](mlir::StringAttr a, mlir::StringAttr b) {
        return a.getValue() < b.getValue();
      }};
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
             .emplace(key, planReshard(from, to, shape, elementBytes, mesh, link))
             .first;
  return it->second;
}
