//===- CapacityRows.cpp - The times at which memory can run out -------------===//

#include "CapacityRows.h"
#include <algorithm>

using namespace tpc::solver;

namespace {

/// A use whose bytes depend on the value.
struct VaryingUse {
  unsigned node;
  const MemoryUse *use;
  int64_t least, most;
  /// Half open range of segments; see below.
  size_t firstSegment = 0, endSegment = 0;
};

/// A segment of time during which no use begins or ends.
struct Segment {
  /// What is used in any case, and at most in addition.
  WideCost base = 0, extra = 0;
  /// Whether a varying use begins with it or ended just before it.
  bool begins = false, ends = false;
};

} // namespace

/// The segments to keep as rows, in order. A row also speaks for its neighbour
/// in time where the neighbour's live set is part of its own and the neighbour
/// has at least as much room.
static std::vector<size_t> binding(const std::vector<Segment> &segments,
                                   int64_t limit) {
  std::vector<size_t> kept;
  size_t lastBegin = 0, lastEnd = 0;
  for (size_t k = 0; k < segments.size(); ++k) {
    if (segments[k].begins)
      lastBegin = k;
    if (segments[k].ends)
      lastEnd = k;
    if (segments[k].base + segments[k].extra <= limit)
      continue;
    bool implied = false;
    while (!kept.empty()) {
      size_t top = kept.back();
      if (lastBegin <= top && segments[k].base <= segments[top].base) {
        implied = true;
        break;
      }
      if (lastEnd > top || segments[top].base > segments[k].base)
        break;
      kept.pop_back();
    }
    if (!implied)
      kept.push_back(k);
  }
  return kept;
}

CapacityRows::CapacityRows(const Problem &problem)
    : useBegin(problem.nodes.size() + 1, 0) {
  if (!problem.memoryLimit)
    return;
  std::vector<int64_t> times;
  for (const Node &node : problem.nodes)
    for (const MemoryUse &use : node.memory)
      if (use.live.begin < use.live.end) {
        times.push_back(use.live.begin);
        times.push_back(use.live.end);
      }
  std::sort(times.begin(), times.end());
  times.erase(std::unique(times.begin(), times.end()), times.end());
  auto segmentAt = [&](int64_t time) {
    return size_t(std::lower_bound(times.begin(), times.end(), time) -
                  times.begin());
  };

  // The last segment begins when nothing lives any more.
  std::vector<Segment> segments(times.size());
  std::vector<VaryingUse> varying;
  for (unsigned i = 0; i < problem.nodes.size(); ++i)
    for (const MemoryUse &use : problem.nodes[i].memory) {
      if (use.live.begin >= use.live.end)
        continue;
      auto [least, most] =
          std::minmax_element(use.bytes.begin(), use.bytes.end());
      VaryingUse entry{i, &use, *least, *most, segmentAt(use.live.begin),
                       segmentAt(use.live.end)};
      Segment &first = segments[entry.firstSegment];
      Segment &after = segments[entry.endSegment];
      first.base += entry.least;
      after.base -= entry.least;
      if (entry.least == entry.most)
        continue;
      first.extra += entry.most - entry.least;
      after.extra -= entry.most - entry.least;
      first.begins = after.ends = true;
      varying.push_back(entry);
    }
  for (size_t k = 1; k < segments.size(); ++k) {
    segments[k].base += segments[k - 1].base;
    segments[k].extra += segments[k - 1].extra;
  }

  std::vector<size_t> kept = binding(segments, *problem.memoryLimit);
  for (size_t k : kept)
    capacity.push_back(static_cast<int64_t>(std::max<WideCost>(
        *problem.memoryLimit - segments[k].base, -1)));
  auto rowAt = [&](size_t segment) {
    return unsigned(std::lower_bound(kept.begin(), kept.end(), segment) -
                    kept.begin());
  };
  for (const VaryingUse &entry : varying) {
    Use use{rowAt(entry.firstSegment), rowAt(entry.endSegment), excess.size()};
    if (use.firstRow == use.endRow)
      continue;
    // What was one interval per tensor is often the same rows for several.
    bool merged = false;
    for (size_t u = uses.size() - useBegin[entry.node + 1]; u < uses.size();
         ++u)
      if (uses[u].firstRow == use.firstRow && uses[u].endRow == use.endRow) {
        for (size_t v = 0; v < entry.use->bytes.size(); ++v)
          excess[uses[u].bytes + v] += entry.use->bytes[v] - entry.least;
        merged = true;
        break;
      }
    if (merged)
      continue;
    for (int64_t bytes : entry.use->bytes)
      excess.push_back(bytes - entry.least);
    uses.push_back(use);
    ++useBegin[entry.node + 1];
  }
  for (size_t i = 1; i < useBegin.size(); ++i)
    useBegin[i] += useBegin[i - 1];
}
