//===- PartSearch.cpp - One reshard, in parts of axes ---------------------===//

#include "PartSearch.h"
#include "AxisParts.h"
#include "Rearrangement.h"
#include "llvm/ADT/STLExtras.h"
#include <limits>
#include <map>
#include <queue>
#include <unordered_map>

using namespace tpc;
using llvm::ArrayRef;
using llvm::SmallVector;

//===----------------------------------------------------------------------===//
// Parts
//===----------------------------------------------------------------------===//

/// The axes that cut a dimension unevenly.
static SmallVector<AxisRef> unevenAxes(const Sharding &sharding,
                                       ArrayRef<int64_t> shape,
                                       const Mesh &mesh) {
  SmallVector<AxisRef> uneven;
  for (auto [n, axes] : llvm::zip_equal(shape, sharding.dims)) {
    int64_t block = n;
    for (const AxisRef &axis : axes) {
      if (block % mesh.size(axis) != 0)
        uneven.push_back(axis);
      block = ceilDiv(block, mesh.size(axis));
    }
  }
  return uneven;
}

static std::optional<AxisList> partsOf(const ReshardQuery &query,
                                       const Mesh &mesh, bool prime) {
  // A search knows one reduction.
  if (query.from.isPartial() && query.to.isPartial() &&
      query.from.partial[0].reduction != query.to.partial[0].reduction)
    return std::nullopt;
  AxisList parts;
  SmallVector<AxisRef> used;
  auto note = [&](const AxisRef &axis) { used.push_back(axis); };
  forEachAxis(query.from, note);
  forEachAxis(query.to, note);
  SmallVector<AxisRef> uneven = unevenAxes(query.from, query.shape, mesh);
  llvm::append_range(uneven, unevenAxes(query.to, query.shape, mesh));
  for (const AxisRef &axis : mesh.axes()) {
    SmallVector<int64_t> points{1, mesh.size(axis)};
    for (const AxisRef &part : used)
      if (part.name == axis.name && !part.isWhole())
        points.append({part.pre, part.pre * part.size});
    llvm::sort(points);
    points.erase(llvm::unique(points), points.end());
    for (auto [begin, end] : llvm::zip(points, ArrayRef(points).drop_front())) {
      if (end % begin != 0)
        return std::nullopt;
      bool isWhole = llvm::any_of(uneven, [&, b = begin, e = end](auto &cut) {
        return cut.overlaps({axis.name, b, e / b});
      });
      int64_t pre = begin, rest = end / begin;
      for (int64_t size = isWhole || !prime ? rest : 2; rest > 1; ++size)
        for (; rest % size == 0 && rest > 1; rest /= size, pre *= size)
          parts.push_back({axis.name, pre, size});
    }
  }
  for (const AxisRef &cut : uneven)
    if (!llvm::is_contained(parts, AxisRef{cut.name, cut.pre, mesh.size(cut)}))
      return std::nullopt; // the other sharding cuts it
  return parts;
}

std::optional<AxisList> tpc::namedParts(const ReshardQuery &query,
                                        const Mesh &mesh) {
  return partsOf(query, mesh, /*prime=*/false);
}

std::optional<AxisList> tpc::primeParts(const ReshardQuery &query,
                                        const Mesh &mesh) {
  return partsOf(query, mesh, /*prime=*/true);
}

namespace {

/// Numbers of parts, from major to minor.
using PartList = SmallVector<uint8_t, 6>;

/// A sharding: where every part is. The lists of partial parts and of copies
/// are sorted.
struct State {
  SmallVector<PartList, 5> places;
  bool operator==(const State &o) const { return places == o.places; }
};
struct StateHash {
  size_t operator()(const State &state) const {
    llvm::hash_code hash = 0;
    for (const PartList &list : state.places)
      hash = llvm::hash_combine(
          hash, llvm::hash_combine_range(list.begin(), list.end()),
          list.size());
    return hash;
  }
};

/// Parts that go from one place to another.
struct Transfer {
  unsigned from = 0, to = 0;
  PartList parts;
};

class Search {
public:
  Search(const ReshardQuery &query, ArrayRef<AxisRef> parts,
         BlockCounts &counts, const CostModel &costs, double limit)
      : query(query), parts(parts), counts(counts), costs(costs),
        mesh(costs.getMesh()), rank(query.shape.size()), best(limit) {
    const Sharding &partial = query.from.isPartial() ? query.from : query.to;
    if (partial.isPartial())
      reduction = partial.partial[0].reduction;
    for (const AxisRef &part : parts)
      sizes.push_back(part.size);
    start = stateOf(query.from);
    target = stateOf(query.to);
    startCounts = nodeOf(start);
    targetCounts = nodeOf(target);
  }

  std::optional<ReshardPlan> run(size_t effort) {
    const std::vector<double> &rest = counts.timesTo(targetCounts);
    tryPermutes();
    reach(start, 0, ~size_t(0), {}, rest[startCounts]);
    double bound = best;
    while (!queue.empty()) {
      auto [least, negatedTime, id] = queue.top();
      if (least >= best - kLeastGain)
        break;
      queue.pop();
      if (-negatedTime > nodes[id].micros)
        continue; // reached in less since
      if (effort-- == 0) {
        bound = least;
        break;
      }
      complete(id);
      expand(id, rest);
    }
    if (!plan)
      return std::nullopt;
    plan->bound = std::min(bound, plan->micros);
    return std::move(plan);
  }

private:
  /// What is less than rounding.
  static constexpr double kLeastGain = 1e-9;

  //===--------------------------------------------------------------------===//
  // States
  //===--------------------------------------------------------------------===//

  State stateOf(const Sharding &sharding) const {
    State state;
    state.places.resize(rank + kNumExtraPlaces);
    std::vector<bool> seen(parts.size(), false);
    auto add = [&](PartList &list, const AxisRef &axis) {
      for (auto [i, part] : llvm::enumerate(parts))
        if (part.overlaps(axis)) {
          list.push_back(i);
          seen[i] = true;
        }
    };
    for (auto [list, axes] : llvm::zip(state.places, sharding.dims))
      for (const AxisRef &axis : axes)
        add(list, axis);
    for (const PartialAxis &p : sharding.partial)
      add(state.places[rank + kPartial], p.axis);
    llvm::sort(state.places[rank + kPartial]);
    for (size_t i = 0; i < parts.size(); ++i)
      if (!seen[i])
        state.places[rank + kCopies].push_back(i);
    return state;
  }

  /// In parts.
  Sharding shardingOf(const State &state) const {
    Sharding sharding = Sharding::replicated(mesh.symbol, rank);
    for (unsigned dim = 0; dim < rank; ++dim)
      sharding.dims[dim] = axesOf(state.places[dim]);
    for (const AxisRef &axis : axesOf(state.places[rank + kPartial]))
      sharding.addPartial(axis, reduction);
    return sharding;
  }

  AxisList axesOf(ArrayRef<uint8_t> list) const {
    AxisList axes;
    for (uint8_t part : list)
      axes.push_back(parts[part]);
    return axes;
  }

  int64_t size(ArrayRef<uint8_t> list) const {
    int64_t product = 1;
    for (uint8_t part : list)
      product *= sizes[part];
    return product;
  }

  size_t nodeOf(const State &state) const {
    BlockCounts::Counts key;
    for (const PartList &list : ArrayRef(state.places).drop_back())
      key.push_back(size(list));
    return counts.find(key);
  }

  /// Whether several parts may cut `dim` after `before` in one step: then it is
  /// cutting by one after the other.
  bool cutsEvenly(unsigned dim, ArrayRef<uint8_t> before,
                  ArrayRef<uint8_t> list) const {
    return list.size() == 1 ||
           ceilDiv(query.shape[dim], size(before)) % size(list) == 0;
  }

  /// The state after a transfer; nothing where one step cannot do it.
  std::optional<State> moved(const State &state, const Transfer &step) const {
    State next = state;
    PartList &from = next.places[step.from], &to = next.places[step.to];
    if (step.from < rank) {
      from.truncate(from.size() - step.parts.size());
      if (!cutsEvenly(step.from, from, step.parts))
        return std::nullopt;
    } else {
      llvm::erase_if(from, [&](uint8_t part) {
        return llvm::is_contained(step.parts, part);
      });
    }
    if (step.to < rank && !cutsEvenly(step.to, to, step.parts))
      return std::nullopt;
    llvm::append_range(to, step.parts);
    if (step.to >= rank)
      llvm::sort(to);
    return next;
  }

  //===--------------------------------------------------------------------===//
  // Prices
  //===--------------------------------------------------------------------===//

  /// Neighbouring parts as one axis, where they are in order.
  AxisList asAxes(ArrayRef<uint8_t> list) const {
    AxisList axes;
    for (uint8_t part : list) {
      const AxisRef &next = parts[part];
      if (!axes.empty() && axes.back().name == next.name &&
          axes.back().pre * axes.back().size == next.pre)
        axes.back().size *= next.size;
      else
        axes.push_back(next);
    }
    for (AxisRef &axis : axes)
      axis = mesh.canonical(axis);
    return axes;
  }

  ReshardStep stepOf(const Transfer &transfer, double before,
                     double after) const {
    ReshardStep step{stepBetween(transfer.from, transfer.to, rank),
                     asAxes(transfer.parts)};
    step.dim = transfer.to < rank ? transfer.to : transfer.from;
    if (transfer.from < rank)
      step.fromDim = transfer.from;
    step.reduction = reduction;
    auto collective = [&](CollectiveKind kind, double bytes) {
      return costs.collectiveMicros(kind, bytes, step.axes);
    };
    switch (step.kind) {
    case ReshardStep::AllReduce:
      step.micros = collective(CollectiveKind::AllReduce, before);
      break;
    case ReshardStep::ReduceScatter:
      step.micros = collective(CollectiveKind::ReduceScatter, before);
      break;
    case ReshardStep::AllGather:
      step.micros = collective(CollectiveKind::AllGather, after);
      break;
    case ReshardStep::AllToAll:
      step.micros =
          collective(CollectiveKind::AllToAll, std::max(before, after));
      break;
    case ReshardStep::Slice:
    case ReshardStep::ToPartial:
      step.micros = costs.copyMicros(after);
      break;
    case ReshardStep::Permute:
      llvm_unreachable("not a transfer");
    }
    return step;
  }

  //===--------------------------------------------------------------------===//
  // Moves
  //===--------------------------------------------------------------------===//

  struct Node {
    State state;
    size_t counts;
    double micros;
    size_t previous;
    Transfer step;
  };

  void reach(State state, double micros, size_t previous, Transfer step,
             double least) {
    auto [it, fresh] = index.try_emplace(state, nodes.size());
    if (fresh)
      nodes.push_back({std::move(state), 0, micros, previous, std::move(step)});
    else if (micros >= nodes[it->second].micros)
      return;
    Node &node = nodes[it->second];
    if (fresh)
      node.counts = nodeOf(node.state);
    else
      node = {std::move(state), node.counts, micros, previous, std::move(step)};
    queue.push({least, -micros, it->second});
  }

  void expand(size_t id, const std::vector<double> &rest) {
    for (const BlockCounts::Move &move : counts.moves(nodes[id].counts)) {
      double least = nodes[id].micros + move.micros + rest[move.node];
      if (least < best - kLeastGain)
        take(id, move, {}, rest);
    }
  }

  /// Every list of parts from one place that begins with `list` and has the
  /// members of the move.
  void take(size_t id, const BlockCounts::Move &move, PartList list,
            const std::vector<double> &rest) {
    int64_t taken = size(list);
    PartList place = nodes[id].state.places[move.from];
    if (taken == move.members) {
      follow(id, {move.from, move.to, list}, move.node, rest);
      return;
    }
    if (move.from < rank) { // the minor-most ones
      for (size_t n = 1; n <= place.size(); ++n)
        if (ArrayRef<uint8_t> last = ArrayRef(place).take_back(n);
            size(last) == move.members)
          follow(id, {move.from, move.to, PartList(last)}, move.node, rest);
      return;
    }
    // Where they go to a dimension every order is another result.
    for (uint8_t part : place)
      if (move.members % (taken * sizes[part]) == 0 &&
          !llvm::is_contained(list, part) &&
          (move.to < rank || list.empty() || list.back() < part)) {
        PartList longer = list;
        longer.push_back(part);
        take(id, move, std::move(longer), rest);
      }
  }

  void follow(size_t id, Transfer transfer, size_t to,
              const std::vector<double> &rest) {
    std::optional<State> next = moved(nodes[id].state, transfer);
    if (!next)
      return;
    double micros =
        nodes[id].micros +
        stepOf(transfer, counts.bytes(nodes[id].counts), counts.bytes(to))
            .micros;
    double least = micros + rest[to];
    if (least >= best - kLeastGain)
      return;
    if (*next == target)
      offer(micros, stepsTo(id, transfer));
    reach(std::move(*next), micros, id, std::move(transfer), least);
  }

  //===--------------------------------------------------------------------===//
  // Ways over counts, with parts
  //===--------------------------------------------------------------------===//

  /// Transfers that follow a way over counts from `begin`, or, backwards, the
  /// ones that lead to it; where parts may be chosen, those that `wished` has
  /// in that place come first.
  struct Path {
    State end; ///< where it leads, or backwards where it begins
    SmallVector<Transfer, 4> transfers;
    double micros = 0;
  };
  std::optional<Path> realize(size_t first, size_t last, const State &begin,
                              const State &wished, bool isBackward) const {
    std::vector<BlockCounts::Move> way = counts.way(first, last);
    Path path{begin, {}, 0};
    for (size_t step = 0; step < way.size(); ++step) {
      size_t i = isBackward ? way.size() - 1 - step : step;
      const BlockCounts::Move &move = way[i];
      unsigned from = isBackward ? move.to : move.from;
      unsigned to = isBackward ? move.from : move.to;
      std::optional<PartList> list =
          choose(path.end, from, to, move.members, wished);
      if (!list)
        return std::nullopt;
      std::optional<State> next = moved(path.end, {from, to, *list});
      if (!next)
        return std::nullopt;
      Transfer transfer{move.from, move.to, std::move(*list)};
      double before = counts.bytes(i ? way[i - 1].node : first);
      path.micros += stepOf(transfer, before, counts.bytes(move.node)).micros;
      path.transfers.push_back(std::move(transfer));
      path.end = std::move(*next);
    }
    if (isBackward)
      std::reverse(path.transfers.begin(), path.transfers.end());
    return path;
  }

  double bytesOf(const State &state) const {
    return counts.bytes(nodeOf(state));
  }

  /// Parts of so many members that can be taken from a place.
  std::optional<PartList> choose(const State &state, unsigned from, unsigned to,
                                 int64_t members, const State &wished) const {
    const PartList &place = state.places[from];
    if (from < rank) {
      for (size_t n = 1; n <= place.size(); ++n)
        if (ArrayRef<uint8_t> last = ArrayRef(place).take_back(n);
            size(last) == members)
          return PartList(last);
      return std::nullopt;
    }
    PartList candidates;
    for (uint8_t part : wished.places[to])
      if (llvm::is_contained(place, part))
        candidates.push_back(part);
    for (uint8_t part : place)
      if (!llvm::is_contained(candidates, part))
        candidates.push_back(part);
    PartList list;
    if (!chooseFrom(candidates, members, list))
      return std::nullopt;
    if (to >= rank)
      llvm::sort(list);
    return list;
  }

  bool chooseFrom(ArrayRef<uint8_t> candidates, int64_t members,
                  PartList &list) const {
    if (members == 1)
      return true;
    for (auto [i, part] : llvm::enumerate(candidates)) {
      if (members % sizes[part] != 0)
        continue;
      list.push_back(part);
      if (chooseFrom(candidates.drop_front(i + 1), members / sizes[part], list))
        return true;
      list.pop_back();
    }
    return false;
  }

  //===--------------------------------------------------------------------===//
  // Plans
  //===--------------------------------------------------------------------===//

  /// The way from these counts to the target, and where it begins.
  const std::optional<Path> &completionFrom(size_t node) {
    auto known = completions.find(node);
    if (known == completions.end())
      known = completions
                  .try_emplace(node, realize(node, targetCounts, target, start,
                                             /*isBackward=*/true))
                  .first;
    return known->second;
  }

  /// One permute, and a way over counts, from a state that was met.
  void complete(size_t id) {
    const std::optional<Path> &rest = completionFrom(nodes[id].counts);
    if (rest)
      complete(nodes[id].state, nodes[id].counts, nodes[id].micros,
               stepsTo(id, {}), *rest);
  }

  void complete(const State &state, size_t node, double micros,
                SmallVector<Transfer, 4> before, const Path &rest) {
    if (micros + rest.micros >= best - kLeastGain)
      return;
    Sharding held = shardingOf(state), needed = shardingOf(rest.end);
    if (state == rest.end) {
      llvm::append_range(before, rest.transfers);
      offer(micros + rest.micros, before);
      return;
    }
    auto axes = rearrangedAxes(held, needed, query.shape, mesh);
    if (!axes)
      return;
    double permute = costs.collectiveMicros(CollectiveKind::Permute,
                                            counts.bytes(node), *axes);
    double total = micros + permute + rest.micros;
    if (total >= best - kLeastGain)
      return;
    best = total;
    plan = ReshardPlan();
    State at = start;
    addSteps(at, before);
    addPermute(held, needed, permute);
    at = rest.end;
    addSteps(at, rest.transfers);
    plan->micros = total;
  }

  /// Ways to a permute and from it, in the order of what counts say of them.
  void tryPermutes() {
    for (auto [least, node] : counts.permutePlaces(startCounts, targetCounts)) {
      if (least >= best - kLeastGain)
        return;
      const std::optional<Path> &after = completionFrom(node);
      if (!after)
        continue;
      if (auto way = realize(startCounts, node, start, after->end,
                             /*isBackward=*/false))
        complete(way->end, node, way->micros, way->transfers, *after);
    }
  }

  SmallVector<Transfer, 4> stepsTo(size_t id, Transfer last) const {
    SmallVector<Transfer, 4> transfers;
    if (!last.parts.empty())
      transfers.push_back(std::move(last));
    for (; nodes[id].previous != ~size_t(0); id = nodes[id].previous)
      transfers.push_back(nodes[id].step);
    std::reverse(transfers.begin(), transfers.end());
    return transfers;
  }

  void offer(double micros, ArrayRef<Transfer> transfers) {
    if (micros >= best - kLeastGain)
      return;
    best = micros;
    plan = ReshardPlan();
    State at = start;
    addSteps(at, transfers);
    plan->micros = micros;
  }

  void addSteps(State &at, ArrayRef<Transfer> transfers) {
    for (const Transfer &transfer : transfers) {
      State next = *moved(at, transfer);
      ReshardStep step = stepOf(transfer, bytesOf(at), bytesOf(next));
      at = std::move(next);
      step.result = canonical(shardingOf(at), query.shape, mesh);
      plan->steps.push_back(std::move(step));
    }
  }

  void addPermute(const Sharding &held, const Sharding &needed, double micros) {
    Rearrangement moved = rearrange(held, needed, query.shape, mesh);
    ReshardStep step{ReshardStep::Permute, std::move(moved.axes)};
    step.sources = std::move(moved.sources);
    step.result = canonical(needed, query.shape, mesh);
    step.micros = micros;
    plan->steps.push_back(std::move(step));
  }

  const ReshardQuery &query;
  ArrayRef<AxisRef> parts;
  BlockCounts &counts;
  const CostModel &costs;
  const Mesh &mesh;
  unsigned rank;
  Reduction reduction = Reduction::Sum;
  SmallVector<int64_t> sizes;
  State start, target;
  size_t startCounts = 0, targetCounts = 0;
  std::vector<Node> nodes;
  std::unordered_map<State, size_t, StateHash> index;
  /// The least that a plan through a state takes, then the state that took
  /// longest to reach: it is nearest to the target.
  using Entry = std::tuple<double, double, size_t>;
  std::priority_queue<Entry, std::vector<Entry>, std::greater<Entry>> queue;
  std::map<size_t, std::optional<Path>> completions;
  /// The time of the best plan, or the limit.
  double best;
  std::optional<ReshardPlan> plan;
};

} // namespace

std::optional<ReshardPlan> tpc::searchParts(const ReshardQuery &query,
                                            ArrayRef<AxisRef> parts,
                                            BlockCounts &counts,
                                            const CostModel &costs,
                                            double limit, size_t effort) {
  return Search(query, parts, counts, costs, limit).run(effort);
}
