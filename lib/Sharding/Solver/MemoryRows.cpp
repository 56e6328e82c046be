//===- MemoryRows.cpp - The times at which memory can run out -------------===//

#include "MemoryRows.h"
#include <algorithm>
#include <bit>
#include <numeric>

using namespace tpc::solver;

MemoryRows::MemoryRows(const Problem &problem, TableOps &tables)
    : tables(tables), memory(problem.nodes.size()) {
  if (!problem.memoryLimit)
    return;
  // A set of live nodes that is maximal has just gained one.
  std::vector<int64_t> times;
  for (const Node &node : problem.nodes)
    for (const MemoryUse &use : node.memory)
      if (use.live.begin < use.live.end)
        times.push_back(use.live.begin);
  std::sort(times.begin(), times.end());
  times.erase(std::unique(times.begin(), times.end()), times.end());
  slack.assign(times.size(), *problem.memoryLimit);
  change.assign(times.size() + 1, 0);
  for (unsigned i = 0; i < problem.nodes.size(); ++i)
    read(problem.nodes[i].memory, i, times);
}

void MemoryRows::read(const std::vector<MemoryUse> &uses, unsigned node,
                      const std::vector<int64_t> &times) {
  struct Use {
    unsigned begin, end;
    const std::vector<int64_t> *bytes;
  };
  auto rowAt = [&](int64_t time) {
    return static_cast<unsigned>(
        std::lower_bound(times.begin(), times.end(), time) - times.begin());
  };
  std::vector<Use> live;
  std::vector<unsigned> ends;
  for (const MemoryUse &use : uses)
    if (use.live.begin < use.live.end) {
      live.push_back({rowAt(use.live.begin), rowAt(use.live.end), &use.bytes});
      ends.insert(ends.end(), {live.back().begin, live.back().end});
    }
  std::sort(live.begin(), live.end(), [](const Use &a, const Use &b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  std::sort(ends.begin(), ends.end());
  ends.erase(std::unique(ends.begin(), ends.end()), ends.end());
  std::vector<Use> current;
  size_t next = 0;
  for (size_t i = 0; i + 1 < ends.size(); ++i) {
    std::erase_if(current, [&](const Use &use) { return use.end <= ends[i]; });
    for (; next < live.size() && live[next].begin <= ends[i]; ++next)
      current.push_back(live[next]);
    std::vector<int64_t> bytes;
    for (const Use &use : current) {
      bytes.resize(use.bytes->size(), 0);
      // Saturates far above any limit that a value could keep.
      for (size_t v = 0; v < bytes.size(); ++v)
        bytes[v] = static_cast<int64_t>(std::min<WideCost>(
            WideCost(bytes[v]) + (*use.bytes)[v], INT64_MAX));
    }
    if (!bytes.empty())
      append(node, ends[i], ends[i + 1], tables.intern(std::move(bytes)));
  }
}

void MemoryRows::takeFromSlack(unsigned begin, unsigned end, int64_t bytes) {
  change[begin] -= bytes;
  change[end] += bytes;
}

void MemoryRows::append(unsigned node, unsigned begin, unsigned end,
                        const CostTable &bytes) {
  CostTable rest = bytes;
  int64_t least = *std::min_element(bytes->begin(), bytes->end());
  if (least != 0) {
    takeFromSlack(begin, end, least);
    std::vector<int64_t> over = *bytes;
    for (int64_t &value : over)
      value -= least;
    rest = tables.intern(std::move(over));
  }
  if (*std::max_element(rest->begin(), rest->end()) == 0)
    return;
  std::vector<Segment> &segments = memory[node];
  if (!segments.empty() && segments.back().end == begin &&
      segments.back().bytes == rest)
    segments.back().end = end;
  else
    segments.push_back({begin, end, rest});
}

void MemoryRows::gather(unsigned node, const CostTable &which) {
  std::vector<Segment> old;
  old.swap(memory[node]);
  for (const Segment &segment : old)
    append(node, segment.begin, segment.end,
           tables.gather(segment.bytes, segment.bytes->size(), which));
}

void MemoryRows::merge(unsigned gone, unsigned into, const CostTable &valueOf) {
  std::vector<Segment> added, old;
  added.swap(memory[gone]);
  if (added.empty())
    return;
  for (Segment &segment : added)
    segment.bytes =
        tables.gather(segment.bytes, segment.bytes->size(), valueOf);
  old.swap(memory[into]);
  auto a = old.begin(), b = added.begin();
  unsigned at = 0;
  while (a != old.end() || b != added.end()) {
    unsigned beginA = a != old.end() ? std::max(a->begin, at) : UINT32_MAX;
    unsigned beginB = b != added.end() ? std::max(b->begin, at) : UINT32_MAX;
    unsigned begin = std::min(beginA, beginB), end;
    if (beginA != beginB) {
      // One of them alone, until it ends or the other one begins.
      const Segment &one = beginA < beginB ? *a : *b;
      end = std::min(one.end, std::max(beginA, beginB));
      append(into, begin, end, one.bytes);
    } else {
      end = std::min(a->end, b->end);
      append(into, begin, end, tables.add(a->bytes, b->bytes));
    }
    if (a != old.end() && a->end == end)
      ++a;
    if (b != added.end() && b->end == end)
      ++b;
    at = end;
  }
}

/// Whether no value takes less in b than in a.
static bool isAtMost(const CostTable &a, const CostTable &b) {
  return std::equal(a->begin(), a->end(), b->begin(),
                    [](int64_t x, int64_t y) { return x <= y; });
}

std::vector<bool> MemoryRows::keepMaximal() const {
  // What is gained and lost at the begin of a row, and the most that the nodes
  // of a row can take over their minimum.
  std::vector<unsigned> gains(count() + 1), losses(count() + 1);
  std::vector<WideCost> most(count() + 1);
  for (const std::vector<Segment> &segments : memory)
    for (size_t i = 0; i < segments.size(); ++i) {
      const Segment &segment = segments[i];
      int64_t largest =
          *std::max_element(segment.bytes->begin(), segment.bytes->end());
      most[segment.begin] += largest;
      most[segment.end] -= largest;
      const Segment *next =
          i + 1 < segments.size() ? &segments[i + 1] : nullptr;
      bool continues = next && next->begin == segment.end;
      if (i == 0 || segments[i - 1].end != segment.begin)
        ++gains[segment.begin];
      if (!continues || !isAtMost(segment.bytes, next->bytes))
        ++losses[segment.end];
      if (continues && !isAtMost(next->bytes, segment.bytes))
        ++gains[segment.end];
    }
  struct Row {
    size_t row;
    unsigned gains, losses; // since the row below on the stack
  };
  std::vector<Row> stack;
  unsigned gained = 0, lost = 0;
  WideCost inUse = 0;
  for (size_t row = 0; row < count(); ++row) {
    gained += gains[row];
    lost += losses[row];
    inUse += most[row];
    if (inUse <= slack[row])
      continue;
    bool needed = true;
    while (!stack.empty()) {
      Row &top = stack.back();
      if (gained == 0 && slack[row] >= slack[top.row]) {
        needed = false; // all that is live now was live then
        break;
      }
      if (lost != 0 || slack[top.row] < slack[row])
        break;
      gained += top.gains;
      lost += top.losses;
      stack.pop_back();
    }
    if (!needed)
      continue;
    stack.push_back({row, gained, lost});
    gained = lost = 0;
  }
  std::vector<bool> kept(count(), false);
  for (const Row &row : stack)
    kept[row.row] = true;
  return kept;
}

/// A tight row bounds what it shares with another one: what the other one has
/// for itself must then fit into the difference of their slack. Parameters that
/// are always live make one row imply most.
void MemoryRows::dropImplied(std::vector<bool> &kept) const {
  constexpr size_t tightRows = 16;
  auto addTo = [](std::vector<WideCost> &changes, const Segment &segment) {
    int64_t largest =
        *std::max_element(segment.bytes->begin(), segment.bytes->end());
    changes[segment.begin] += largest;
    changes[segment.end] -= largest;
  };
  std::vector<WideCost> most(count() + 1);
  for (const std::vector<Segment> &segments : memory)
    for (const Segment &segment : segments)
      addTo(most, segment);
  std::partial_sum(most.begin(), most.end(), most.begin());
  std::vector<unsigned> tight;
  for (unsigned row = 0; row < count(); ++row)
    if (kept[row])
      tight.push_back(row);
  std::sort(tight.begin(), tight.end(), [&](unsigned a, unsigned b) {
    return std::pair(slack[a], a) < std::pair(slack[b], b);
  });
  size_t tried = 0;
  for (unsigned row : tight) {
    if (!kept[row])
      continue;
    if (++tried > tightRows)
      break;
    std::vector<WideCost> shared(count() + 1);
    for (const std::vector<Segment> &segments : memory)
      for (const Segment &segment : segments)
        if (segment.begin <= row && row < segment.end)
          addTo(shared, segment);
    std::partial_sum(shared.begin(), shared.end(), shared.begin());
    for (unsigned other = 0; other < count(); ++other)
      if (other != row && kept[other] &&
          most[other] - shared[other] <= slack[other] - slack[row])
        kept[other] = false;
  }
}

std::vector<unsigned> MemoryRows::dropRows() {
  WideCost sum = 0;
  for (size_t row = 0; row < count(); ++row) {
    sum += change[row];
    slack[row] += sum;
  }
  std::vector<bool> kept = keepMaximal();
  dropImplied(kept);
  std::vector<unsigned> before(count() + 1, 0); // kept rows before this one
  for (size_t row = 0; row < count(); ++row)
    before[row + 1] = before[row] + kept[row];
  std::vector<unsigned> changed;
  for (unsigned node = 0; node < memory.size(); ++node) {
    if (memory[node].empty())
      continue;
    std::vector<Segment> old;
    old.swap(memory[node]);
    size_t length = 0;
    for (const Segment &segment : old)
      if (before[segment.begin] != before[segment.end]) {
        append(node, before[segment.begin], before[segment.end], segment.bytes);
        ++length;
      }
    if (length != old.size() || memory[node].size() != length)
      changed.push_back(node);
  }
  size_t next = 0;
  for (size_t row = 0; row < kept.size(); ++row)
    if (kept[row])
      slack[next++] = slack[row];
  slack.resize(next);
  change.assign(next + 1, 0);
  return changed;
}

SlackMinimum::SlackMinimum(const MemoryRows &rows) : levels(1) {
  for (size_t row = 0; row < rows.count(); ++row)
    levels[0].push_back(rows.slackOf(row));
  for (size_t width = 1; 2 * width <= rows.count(); width *= 2) {
    const std::vector<WideCost> &half = levels.back();
    std::vector<WideCost> level(rows.count() - 2 * width + 1);
    for (size_t i = 0; i < level.size(); ++i)
      level[i] = std::min(half[i], half[i + width]);
    levels.push_back(std::move(level));
  }
}

WideCost SlackMinimum::within(unsigned begin, unsigned end) const {
  auto level = static_cast<size_t>(std::bit_width(end - begin) - 1);
  return std::min(levels[level][begin], levels[level][end - (1u << level)]);
}
