//===- ReshardPlanner.cpp - From one sharding to another ------------------===//
//
// Where axes are used in few parts all shardings are in reach of a graph; what
// it does not see are permutes of parts that neither sharding cuts, so these
// are tried besides. Where the parts are many the search is for one pair.
//
//===----------------------------------------------------------------------===//

#include "tpc/Sharding/ReshardPlanner.h"
#include "PartSearch.h"
#include "ReshardGraph.h"
#include "llvm/ADT/STLExtras.h"
#include <limits>
#include <map>
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

//===----------------------------------------------------------------------===//
// Whether to look for permutes
//===----------------------------------------------------------------------===//

namespace {

/// With more parts of axes than this there are too many shardings for a graph.
constexpr size_t kGraphParts = 4;
/// Shardings whose neighbours are looked at where there is no graph.
constexpr size_t kSearchEffort = 2000;

/// A part of an axis that splits `dim`, each block of what is more major into
/// so many.
struct Cut {
  AxisRef part;
  unsigned dim;
  int64_t before;
};

SmallVector<Cut> cutsOf(const Sharding &sharding, ArrayRef<AxisRef> parts,
                        const Mesh &mesh) {
  SmallVector<Cut> cuts;
  for (auto [dim, axes] : llvm::enumerate(sharding.dims)) {
    int64_t before = 1;
    for (const AxisRef &axis : axes)
      for (const AxisRef &part : parts)
        if (part.overlaps(axis)) {
          cuts.push_back({part, unsigned(dim), before});
          before *= mesh.size(part);
        }
  }
  return cuts;
}

/// Whether a part that stays split does so elsewhere, or takes another's place:
/// without that a permute has nothing to move.
bool mayPermute(const ReshardQuery &query, ArrayRef<AxisRef> parts,
                const Mesh &mesh) {
  SmallVector<Cut> before = cutsOf(query.from, parts, mesh);
  SmallVector<Cut> after = cutsOf(query.to, parts, mesh);
  return llvm::any_of(before, [&](const Cut &a) {
    return llvm::any_of(after, [&](const Cut &b) {
      bool isPlace = a.dim == b.dim && a.before == b.before;
      return (a.part == b.part) != isPlace;
    });
  });
}

struct PairHash {
  size_t operator()(const std::pair<Sharding, Sharding> &pair) const {
    return llvm::hash_combine(pair.first, pair.second);
  }
};

} // namespace

//===----------------------------------------------------------------------===//
// ReshardPlanner
//===----------------------------------------------------------------------===//

namespace {

/// What is known of tensors of one shape.
class ShapePlans {
public:
  ShapePlans(ArrayRef<int64_t> shape, int64_t elementBytes,
             const CostModel &costs)
      : shape(shape), elementBytes(elementBytes), costs(costs) {}

  double micros(const Sharding &from, const Sharding &to) {
    if (from == to)
      return 0;
    GraphKind kind = GraphKind::of(from, to);
    if (!isForGraph(kind))
      return searched(from, to).micros;
    double micros = graph(kind).micros(from, to);
    // Whole axes are taken apart where a plan is made, not in every price: the
    // optimizer asks for very many.
    if (kind.cuts.empty() ||
        !permutesFurther({from, to, shape, elementBytes}, kind, micros))
      return micros;
    return searched(from, to).micros;
  }

  ReshardPlan plan(const Sharding &from, const Sharding &to) {
    if (from == to)
      return ReshardPlan();
    GraphKind kind = GraphKind::of(from, to);
    if (isForGraph(kind) &&
        !permutesFurther({from, to, shape, elementBytes}, kind,
                         graph(kind).micros(from, to)))
      return graph(kind).plan(from, to);
    return searched(from, to);
  }

private:
  bool isForGraph(const GraphKind &kind) const {
    return kind.numParts(costs.getMesh()) <= kGraphParts;
  }

  ReshardGraph &graph(const GraphKind &kind) {
    for (const auto &graph : graphs)
      if (graph->kind() == kind)
        return *graph;
    return *graphs.emplace_back(
        std::make_unique<ReshardGraph>(kind, shape, elementBytes, costs));
  }

  /// Whether permutes of parts that the graph does not have may take less than
  /// its plan.
  bool permutesFurther(const ReshardQuery &query, const GraphKind &kind,
                       double micros) {
    const Mesh &mesh = costs.getMesh();
    BlockCounts &blocks = counts(query);
    const auto &places = blocks.permutePlaces(blocks.nodeOf(query.from, mesh),
                                              blocks.nodeOf(query.to, mesh));
    if (places.front().first >= micros)
      return false;
    auto parts = primeParts(query, mesh);
    return parts && parts->size() > kind.numParts(mesh) &&
           mayPermute(query, *parts, mesh);
  }

  const ReshardPlan &searched(const Sharding &from, const Sharding &to) {
    auto it = known.find({from, to});
    if (it == known.end())
      it =
          known.try_emplace({from, to}, search({from, to, shape, elementBytes}))
              .first;
    return it->second;
  }

  ReshardPlan search(const ReshardQuery &query) {
    GraphKind kind = GraphKind::of(query.from, query.to);
    const Mesh &mesh = costs.getMesh();
    auto named = namedParts(query, mesh), prime = primeParts(query, mesh);
    if (!isForGraph(kind) && !named)
      return inEvenBlocks(query);
    std::optional<ReshardPlan> best;
    if (!isForGraph(kind))
      best =
          searchParts(query, *named, counts(query), costs,
                      std::numeric_limits<double>::infinity(), kSearchEffort);
    if (!best)
      best = graph(kind).plan(query.from, query.to);
    if (!prime || prime->size() == kind.numParts(mesh))
      return std::move(*best);
    auto permuted = searchParts(query, *prime, counts(query), costs,
                                best->micros, /*effort=*/0);
    if (!permuted)
      return std::move(*best);
    // Whether it can be told that nothing is better does not change by it.
    permuted->bound = best->bound < best->micros
                          ? std::min(best->bound, permuted->micros)
                          : permuted->micros;
    return std::move(*permuted);
  }

  /// Where the parts of the two shardings do not fit into each other: what is
  /// cut unevenly is gathered first and cut last. Nothing is known of what else
  /// there is.
  ReshardPlan inEvenBlocks(const ReshardQuery &query) {
    Sharding from = evenPart(query.from), to = evenPart(query.to);
    if (from == query.from && to == query.to)
      from = to = Sharding::replicated(costs.getMesh().symbol, shape.size());
    ReshardPlan all = plan(query.from, from);
    for (const ReshardPlan &next : {plan(from, to), plan(to, query.to)}) {
      llvm::append_range(all.steps, next.steps);
      all.micros += next.micros;
    }
    all.bound = 0;
    return all;
  }

  /// Every dimension up to where it is cut unevenly.
  Sharding evenPart(Sharding sharding) const {
    const Mesh &mesh = costs.getMesh();
    for (auto [n, axes] : llvm::zip_equal(shape, sharding.dims)) {
      size_t even = 0;
      for (int64_t block = n;
           even < axes.size() && block % mesh.size(axes[even]) == 0; ++even)
        block /= mesh.size(axes[even]);
      axes.truncate(even);
    }
    return sharding;
  }

  BlockCounts &counts(const ReshardQuery &query) {
    bool mayBePartial = query.from.isPartial() || query.to.isPartial();
    std::unique_ptr<BlockCounts> &known = blockCounts[mayBePartial];
    if (!known)
      known = std::make_unique<BlockCounts>(shape, elementBytes, mayBePartial,
                                            costs);
    return *known;
  }

  SmallVector<int64_t> shape;
  int64_t elementBytes;
  const CostModel &costs;
  /// Few: looked up one by one.
  std::vector<std::unique_ptr<ReshardGraph>> graphs;
  std::unique_ptr<BlockCounts> blockCounts[2];
  std::unordered_map<std::pair<Sharding, Sharding>, ReshardPlan, PairHash>
      known;
};

} // namespace

struct ReshardPlanner::Cache {
  std::map<std::pair<std::vector<int64_t>, int64_t>, ShapePlans> shapes;

  ShapePlans &of(ArrayRef<int64_t> shape, int64_t elementBytes,
                 const CostModel &costs) {
    return shapes
        .try_emplace({shape.vec(), elementBytes}, shape, elementBytes, costs)
        .first->second;
  }
};

ReshardPlan tpc::planReshard(const Sharding &from, const Sharding &to,
                             ArrayRef<int64_t> shape, int64_t elementBytes,
                             const CostModel &costs) {
  const Mesh &mesh = costs.getMesh();
  return ShapePlans(shape, elementBytes, costs)
      .plan(canonical(from, shape, mesh), canonical(to, shape, mesh));
}

ReshardPlanner::ReshardPlanner(CostModel costs)
    : costs(std::move(costs)), cache(std::make_unique<Cache>()) {}
ReshardPlanner::~ReshardPlanner() = default;

ReshardPlan ReshardPlanner::plan(const Sharding &from, const Sharding &to,
                                 ArrayRef<int64_t> shape,
                                 int64_t elementBytes) {
  const Mesh &mesh = costs.getMesh();
  return cache->of(shape, elementBytes, costs)
      .plan(canonical(from, shape, mesh), canonical(to, shape, mesh));
}

double ReshardPlanner::micros(const Sharding &from, const Sharding &to,
                              ArrayRef<int64_t> shape, int64_t elementBytes) {
  return from == to ? 0
                    : cache->of(shape, elementBytes, costs).micros(from, to);
}
