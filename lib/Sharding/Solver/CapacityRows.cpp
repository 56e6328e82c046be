//===- CapacityRows.cpp - The times at which memory can run out
//-------------===//

#include "CapacityRows.h"
#include <algorithm>

using namespace tpc::solver;

namespace {

/// A use during segments [first, end); see below.
struct TimedUse {
  unsigned node;
  const MemoryUse *use;
  int64_t least, most;
  size_t first, end;
};

/// A segment of time during which no use begins or ends.
struct Segment {
  /// What is used in any case, and at most in addition.
  WideCost base = 0, extra = 0;
  /// By how much any choice's use can rise, and fall, from the segment before.
  WideCost rise = 0, fall = 0;
};

} // namespace

/// Fills in rise and fall. A node whose memory changes from one use to another
/// counts by value: 5 or 8 bytes to 6 or 7 bytes rise by at most 1 byte, not by
/// 2.
static void findSteps(const Problem &problem, const std::vector<TimedUse> &uses,
                      std::vector<Segment> &segments) {
  struct Event {
    size_t segment;
    unsigned node;
    const MemoryUse *use;
    int sign;
  };
  std::vector<Event> events;
  for (const TimedUse &use : uses) {
    events.push_back({use.first, use.node, use.use, 1});
    events.push_back({use.end, use.node, use.use, -1});
  }
  std::sort(events.begin(), events.end(), [](const Event &a, const Event &b) {
    return std::pair(a.segment, a.node) < std::pair(b.segment, b.node);
  });
  std::vector<WideCost> change;
  for (size_t e = 0; e < events.size();) {
    const Event &first = events[e];
    change.assign(problem.numValues(first.node), 0);
    for (; e < events.size() && events[e].segment == first.segment &&
           events[e].node == first.node;
         ++e)
      for (size_t v = 0; v < change.size(); ++v)
        change[v] += events[e].sign * WideCost(events[e].use->bytes[v]);
    auto [least, most] = std::minmax_element(change.begin(), change.end());
    segments[first.segment].rise += *most;
    segments[first.segment].fall -= *least;
  }
}

/// The segments to keep as rows, in order: those where the limit can be
/// exceeded, unless it then is in another one that is kept.
static std::vector<size_t> binding(const std::vector<Segment> &segments,
                                   int64_t limit) {
  std::vector<size_t> kept;
  // From the first segment on.
  std::vector<WideCost> rise(1, 0), fall(1, 0);
  for (size_t k = 0; k < segments.size(); ++k) {
    rise.push_back(rise.back() + segments[k].rise);
    fall.push_back(fall.back() + segments[k].fall);
    if (segments[k].base + segments[k].extra <= limit)
      continue;
    bool implied = false;
    while (!kept.empty() && !implied) {
      size_t top = kept.back() + 1;
      implied = rise[k + 1] - rise[top] <= 0;
      if (implied || fall[k + 1] - fall[top] > 0)
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
  std::vector<TimedUse> timed;
  for (unsigned i = 0; i < problem.nodes.size(); ++i)
    for (const MemoryUse &use : problem.nodes[i].memory) {
      if (use.live.begin >= use.live.end)
        continue;
      auto [least, most] =
          std::minmax_element(use.bytes.begin(), use.bytes.end());
      timed.push_back({i, &use, *least, *most, segmentAt(use.live.begin),
                       segmentAt(use.live.end)});
      Segment &first = segments[timed.back().first];
      Segment &after = segments[timed.back().end];
      first.base += *least;
      after.base -= *least;
      first.extra += *most - *least;
      after.extra -= *most - *least;
    }
  for (size_t k = 1; k < segments.size(); ++k) {
    segments[k].base += segments[k - 1].base;
    segments[k].extra += segments[k - 1].extra;
  }

  findSteps(problem, timed, segments);
  std::vector<size_t> kept = binding(segments, *problem.memoryLimit);
  for (size_t k : kept)
    capacity.push_back(static_cast<int64_t>(
        std::max<WideCost>(*problem.memoryLimit - segments[k].base, -1)));
  auto rowAt = [&](size_t segment) {
    return unsigned(std::lower_bound(kept.begin(), kept.end(), segment) -
                    kept.begin());
  };
  for (const TimedUse &entry : timed) {
    Use use{rowAt(entry.first), rowAt(entry.end), excess.size()};
    if (use.firstRow == use.endRow || entry.least == entry.most)
      continue;
    // Several intervals of a node are often the same rows.
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
