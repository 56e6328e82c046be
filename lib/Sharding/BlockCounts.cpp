//===- BlockCounts.cpp - Reshards as numbers of blocks --------------------===//

#include "BlockCounts.h"
#include "llvm/ADT/STLExtras.h"
#include <limits>
#include <queue>

using namespace tpc;
using llvm::ArrayRef;

ReshardStep::Kind tpc::stepBetween(unsigned from, unsigned to, unsigned rank) {
  if (to == rank + kPartial)
    return ReshardStep::ToPartial;
  if (from == rank + kPartial)
    return to < rank ? ReshardStep::ReduceScatter : ReshardStep::AllReduce;
  if (from == rank + kCopies)
    return ReshardStep::Slice;
  return to < rank ? ReshardStep::AllToAll : ReshardStep::AllGather;
}

BlockCounts::BlockCounts(ArrayRef<int64_t> shape, int64_t elementBytes,
                         bool mayBePartial, const CostModel &costs)
    : shape(shape), devices(costs.getMesh().numDevices()),
      mayBePartial(mayBePartial) {
  Counts counts;
  enumerate(counts, devices);
  for (ArrayRef<int64_t> node : nodes) {
    double bytes = elementBytes;
    // Cutting by one axis after the other gives blocks of ceil(n / count).
    for (auto [n, count] : llvm::zip(shape, node))
      bytes *= ceilDiv(n, count);
    localBytes.push_back(bytes);
    permuteMicros.push_back(
        costs.leastCollectiveMicros(CollectiveKind::Permute, bytes, 2));
  }
  forward.resize(nodes.size());
  backward.resize(nodes.size());
  knownTo.resize(nodes.size());
  knownFrom.resize(nodes.size());
  for (size_t node = 0; node < nodes.size(); ++node)
    addMoves(node, costs);
}

size_t BlockCounts::nodeOf(const Sharding &sharding, const Mesh &mesh) const {
  Counts key;
  for (const AxisList &axes : sharding.dims)
    key.push_back(mesh.size(axes));
  key.push_back(1);
  for (const PartialAxis &p : sharding.partial)
    key.back() *= mesh.size(p.axis);
  return find(key);
}

/// Lists all counts that begin with `counts`; `left` devices differ otherwise.
void BlockCounts::enumerate(Counts &counts, int64_t left) {
  if (counts.size() == shape.size() + 1) {
    index[counts] = nodes.size();
    nodes.push_back(counts);
    return;
  }
  bool isPartial = counts.size() == shape.size();
  for (int64_t count = 1; count <= (isPartial && !mayBePartial ? 1 : left);
       ++count)
    if (left % count == 0) {
      counts.push_back(count);
      enumerate(counts, left / count);
      counts.pop_back();
    }
}

/// The least time of a step over so many members.
static double leastMicros(ReshardStep::Kind kind, double before, double after,
                          int64_t members, const CostModel &costs) {
  auto collective = [&](CollectiveKind kind, double bytes) {
    return costs.leastCollectiveMicros(kind, bytes, members);
  };
  switch (kind) {
  case ReshardStep::AllReduce:
    return collective(CollectiveKind::AllReduce, before);
  case ReshardStep::ReduceScatter:
    return collective(CollectiveKind::ReduceScatter, before);
  case ReshardStep::AllGather:
    return collective(CollectiveKind::AllGather, after);
  case ReshardStep::AllToAll:
    return collective(CollectiveKind::AllToAll, std::max(before, after));
  case ReshardStep::Permute:
    return collective(CollectiveKind::Permute, before);
  case ReshardStep::Slice:
  case ReshardStep::ToPartial:
    return costs.copyMicros(after);
  }
  llvm_unreachable("unknown step");
}

void BlockCounts::addMoves(size_t node, const CostModel &costs) {
  unsigned rank = shape.size(), copies = rank + kCopies;
  Counts counts = nodes[node];
  int64_t used = 1;
  for (int64_t count : counts)
    used *= count;
  counts.push_back(devices / used);
  for (unsigned from = 0; from <= copies; ++from)
    for (unsigned to = 0; to <= copies; ++to) {
      if (from == to || (to == rank + kPartial && from != copies) ||
          (to == rank + kPartial && !mayBePartial))
        continue;
      ReshardStep::Kind kind = stepBetween(from, to, rank);
      for (int64_t members = 2; members <= counts[from]; ++members) {
        if (counts[from] % members != 0)
          continue;
        Counts moved = counts;
        moved[from] /= members;
        moved[to] *= members;
        moved.pop_back();
        size_t other = index.at(moved);
        // Never nothing, also of empty tensors: a way comes to an end.
        double micros = std::max(leastMicros(kind, localBytes[node],
                                             localBytes[other], members, costs),
                                 1e-12);
        forward[node].push_back({other, from, to, members, micros});
        backward[other].push_back({node, from, to, members, micros});
      }
    }
}

std::vector<double>
BlockCounts::times(size_t start,
                   const std::vector<std::vector<Move>> &moves) const {
  std::vector<double> best(nodes.size(),
                           std::numeric_limits<double>::infinity());
  using Entry = std::pair<double, size_t>;
  std::priority_queue<Entry, std::vector<Entry>, std::greater<Entry>> queue;
  best[start] = 0;
  queue.push({0, start});
  while (!queue.empty()) {
    auto [time, node] = queue.top();
    queue.pop();
    if (time > best[node])
      continue;
    for (const Move &move : moves[node])
      if (time + move.micros < best[move.node]) {
        best[move.node] = time + move.micros;
        queue.push({best[move.node], move.node});
      }
  }
  return best;
}

const std::vector<double> &BlockCounts::timesTo(size_t node) {
  std::vector<double> &known = knownTo[node];
  if (known.empty())
    known = times(node, backward);
  return known;
}

const std::vector<double> &BlockCounts::timesFrom(size_t node) {
  std::vector<double> &known = knownFrom[node];
  if (known.empty())
    known = times(node, forward);
  return known;
}

std::vector<BlockCounts::Move> BlockCounts::way(size_t from, size_t to) {
  const std::vector<double> &rest = timesTo(to);
  std::vector<Move> way;
  while (from != to) {
    const Move *next = nullptr;
    double least = std::numeric_limits<double>::infinity();
    for (const Move &move : forward[from])
      if (move.micros + rest[move.node] < least) {
        least = move.micros + rest[move.node];
        next = &move;
      }
    way.push_back(*next);
    from = next->node;
  }
  return way;
}

const BlockCounts::PermutePlaces &BlockCounts::permutePlaces(size_t from,
                                                             size_t to) {
  constexpr size_t kMost = 16;
  auto [it, fresh] = knownPlaces.try_emplace({from, to});
  PermutePlaces &places = it->second;
  if (!fresh)
    return places;
  const std::vector<double> &before = timesFrom(from), &after = timesTo(to);
  std::vector<std::pair<double, size_t>> all;
  for (size_t node = 0; node < nodes.size(); ++node)
    all.push_back({before[node] + permuteMicros[node] + after[node], node});
  auto end = all.begin() + std::min(all.size(), kMost);
  std::partial_sort(all.begin(), end, all.end());
  places.assign(all.begin(), end);
  return places;
}
