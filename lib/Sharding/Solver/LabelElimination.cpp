//===- LabelElimination.cpp - Elimination under a memory limit ------------===//

#include "LabelElimination.h"
#include <algorithm>
#include <map>
#include <numeric>

using namespace tpc::solver;

namespace {

/// A row of memory, or several of them of which a message holds the maximum.
struct Row {
  int64_t slack;
  /// A row of the problem to which all nodes outside such messages add the
  /// same as to this one.
  unsigned original;
  /// The sum of hashes of what adds to it.
  uint64_t contents;
  /// The most that everything together adds.
  WideCost most;
  bool needed = true;
};

/// What a subtree adds to a row.
struct Inside {
  uint64_t contents = 0;
  WideCost most = 0;
  /// The dimension of the message that holds it; -1: nothing is added.
  int dimension = -1;
};

/// Labels of fixed width, one after the other.
struct Labels {
  unsigned dimensions = 0, sources = 0;
  /// By label: priced cost over the priced minimum, cost, dimensions.
  std::vector<int64_t> numbers;
  /// By label: the node's value and the label of each message that it is from.
  std::vector<uint32_t> from;

  size_t width() const { return 2 + dimensions; }
  size_t size() const { return numbers.size() / width(); }
  const int64_t *label(size_t i) const { return &numbers[i * width()]; }
  const uint32_t *source(size_t i) const { return &from[i * sources]; }
  void clear() {
    numbers.clear();
    from.clear();
  }
};

/// The labels by entry of the separator, one entry after the other.
struct LabelMessage {
  unsigned node = EliminationTree::none;
  std::vector<unsigned> separator;
  std::vector<unsigned> sources; // messages
  Labels labels;
  std::vector<size_t> begin;  // by entry, and the end
  std::vector<Inside> inside; // by row
};

/// Rows with the same sum of dimensions of the messages so far.
struct Groups {
  struct Group {
    int before;    // group of the stage before, -1: none
    int dimension; // of the message that is added, -1: none
    int64_t most;  // more violates a row
  };
  std::vector<Group> groups;
  std::vector<int> ofRow; // -1: nothing is added
};

/// How the groups of a bucket become the dimensions of its message.
struct Dimension {
  /// The maximum over groups of their value + offset.
  std::vector<std::pair<int, int64_t>> groups;
  /// Values up to this can violate no row.
  int64_t least;
};

class LabelElimination {
public:
  LabelElimination(const Problem &problem, const EliminationTree &tree,
                   const Pricing &pricing, const LabelOptions &options,
                   Deadline deadline);
  LabelOutcome run(Choice &choice);
  size_t workLeft() const { return work; }

private:
  bool processBucket(unsigned bucket);
  bool combineRoots(unsigned a, unsigned b);
  void addUp(LabelMessage &message);
  Groups startGroups(unsigned node) const;
  Groups addToGroups(const Groups &groups, const LabelMessage &message) const;
  void setLimits(Groups &groups) const;
  std::vector<Dimension> makeDimensions(LabelMessage &message,
                                        const Groups &groups);
  int64_t harmless(const LabelMessage &message, unsigned row) const;
  void mergeRows(LabelMessage &message, const std::vector<unsigned> &merged,
                 int dimension);
  bool extend(const Labels &labels, const LabelMessage &source, size_t entry,
              const Groups &groups, int64_t margin, Labels &result);
  void project(const Labels &labels, const std::vector<Dimension> &dimensions,
               LabelMessage &message);
  void finishEntry(LabelMessage &message, size_t begin);
  void prune(Labels &labels, size_t begin);
  void close(const std::vector<unsigned> &consumed);
  void forget(const std::vector<unsigned> &consumed);
  Cost ownCost(unsigned bucket) const;
  const Segment *segmentAt(unsigned node, unsigned row) const;
  bool spend(size_t count);

  const Problem &problem;
  const EliminationTree &tree;
  const Pricing &pricing;
  const Elimination &elimination;
  LabelOptions options;
  int64_t margin;
  size_t work;
  Deadline deadline;
  std::vector<Row> rows;
  /// By bucket, then those that combine roots.
  std::vector<LabelMessage> messages;
  /// Messages that are not consumed yet.
  std::vector<unsigned> open;
  /// Of the entry that is looked at.
  Choice values;
  uint64_t nextMarker = 1;
};

} // namespace

static uint64_t mix(uint64_t a, uint64_t b) {
  int64_t pair[] = {static_cast<int64_t>(a), static_cast<int64_t>(b)};
  return hashOf(pair, 2);
}

static uint64_t contentsOf(unsigned node, const Segment &segment) {
  return mix(node, hashOf(segment.bytes->data(), segment.bytes->size()));
}

static int64_t mostOf(const Segment &segment) {
  return *std::max_element(segment.bytes->begin(), segment.bytes->end());
}

LabelElimination::LabelElimination(const Problem &problem,
                                   const EliminationTree &tree,
                                   const Pricing &pricing,
                                   const LabelOptions &options,
                                   Deadline deadline)
    : problem(problem), tree(tree), pricing(pricing),
      elimination(pricing.elimination()), options(options),
      margin(static_cast<int64_t>(std::min<WideCost>(
          pricing.margin(options.limit), TableOps::largest))),
      work(options.work), deadline(deadline), messages(tree.buckets.size()),
      values(problem.nodes.size()) {
  const MemoryRows &memory = pricing.memoryRows();
  for (unsigned row = 0; row < memory.count(); ++row)
    rows.push_back({static_cast<int64_t>(memory.slackOf(row)), row, 0, 0});
  for (unsigned node = 0; node < problem.nodes.size(); ++node)
    for (const Segment &segment : memory.of(node))
      for (unsigned row = segment.begin; row < segment.end; ++row) {
        rows[row].contents += contentsOf(node, segment);
        rows[row].most += mostOf(segment);
      }
}

const Segment *LabelElimination::segmentAt(unsigned node, unsigned row) const {
  const std::vector<Segment> &segments = pricing.memoryRows().of(node);
  auto next = std::upper_bound(
      segments.begin(), segments.end(), row,
      [](unsigned r, const Segment &segment) { return r < segment.begin; });
  if (next == segments.begin() || (next - 1)->end <= row)
    return nullptr;
  return &*(next - 1);
}

bool LabelElimination::spend(size_t count) {
  constexpr size_t between = 1 << 14;
  if (count >= work)
    return false;
  bool look = work / between != (work - count) / between;
  work -= count;
  return !look || !isOver(deadline);
}

//===----------------------------------------------------------------------===//
// Dimensions
//===----------------------------------------------------------------------===//

/// What the sources of a message and its node add to each row.
void LabelElimination::addUp(LabelMessage &message) {
  message.inside.assign(rows.size(), Inside());
  for (unsigned row = 0; row < rows.size(); ++row) {
    if (!rows[row].needed)
      continue;
    Inside &sum = message.inside[row];
    for (unsigned source : message.sources) {
      sum.contents += messages[source].inside[row].contents;
      sum.most += messages[source].inside[row].most;
    }
    if (message.node == EliminationTree::none)
      continue;
    if (const Segment *segment = segmentAt(message.node, rows[row].original)) {
      sum.contents += contentsOf(message.node, *segment);
      sum.most += mostOf(*segment);
    }
  }
}

/// The rows of each segment of a node are a group. No node: no groups.
Groups LabelElimination::startGroups(unsigned node) const {
  Groups result;
  result.ofRow.assign(rows.size(), -1);
  if (node == EliminationTree::none)
    return result;
  const std::vector<Segment> &segments = pricing.memoryRows().of(node);
  result.groups.resize(segments.size(), {-1, -1, INT64_MAX});
  for (unsigned row = 0; row < rows.size(); ++row)
    if (const Segment *segment = segmentAt(node, rows[row].original))
      if (rows[row].needed)
        result.ofRow[row] = static_cast<int>(segment - segments.data());
  setLimits(result);
  return result;
}

Groups LabelElimination::addToGroups(const Groups &groups,
                                     const LabelMessage &message) const {
  Groups result;
  result.ofRow.assign(rows.size(), -1);
  std::unordered_map<uint64_t, int> indices;
  for (unsigned row = 0; row < rows.size(); ++row) {
    std::pair<int, int> parts(groups.ofRow[row], message.inside[row].dimension);
    if (!rows[row].needed || parts == std::pair(-1, -1))
      continue;
    auto [found, isNew] =
        indices.try_emplace(uint64_t(static_cast<uint32_t>(parts.first)) << 32 |
                                static_cast<uint32_t>(parts.second),
                            static_cast<int>(result.groups.size()));
    if (isNew)
      result.groups.push_back({parts.first, parts.second, INT64_MAX});
    result.ofRow[row] = found->second;
  }
  setLimits(result);
  return result;
}

void LabelElimination::setLimits(Groups &groups) const {
  for (unsigned row = 0; row < rows.size(); ++row)
    if (groups.ofRow[row] >= 0) {
      int64_t &most =
          groups.groups[static_cast<size_t>(groups.ofRow[row])].most;
      most = std::min(most, rows[row].slack);
    }
}

namespace {

/// A smallest set of left and right vertices that touches all edges of a
/// bipartite graph: by Koenig's theorem, from a largest matching.
class VertexCover {
public:
  VertexCover(const std::vector<std::vector<unsigned>> &edges, size_t rights)
      : edges(edges), leftOf(rights, none), rightOf(edges.size(), none),
        left(edges.size(), true), right(rights, false) {
    for (unsigned i = 0; i < edges.size(); ++i) {
      std::vector<bool> seen(rights, false);
      augment(i, seen);
    }
    for (unsigned i = 0; i < edges.size(); ++i)
      if (rightOf[i] == none)
        reach(i);
  }

  bool hasLeft(size_t i) const { return left[i]; }
  bool hasRight(size_t i) const { return right[i]; }

private:
  static constexpr unsigned none = UINT32_MAX;

  bool augment(unsigned from, std::vector<bool> &seen) {
    for (unsigned to : edges[from]) {
      if (seen[to])
        continue;
      seen[to] = true;
      if (leftOf[to] == none || augment(leftOf[to], seen)) {
        leftOf[to] = from;
        rightOf[from] = to;
        return true;
      }
    }
    return false;
  }

  void reach(unsigned from) {
    if (!left[from])
      return;
    left[from] = false;
    for (unsigned to : edges[from])
      if (!right[to]) {
        right[to] = true;
        reach(leftOf[to]);
      }
  }

  const std::vector<std::vector<unsigned>> &edges;
  std::vector<unsigned> leftOf, rightOf;
  std::vector<bool> left, right;
};

} // namespace

static int64_t atLeastZero(WideCost bytes) {
  return static_cast<int64_t>(std::max<WideCost>(bytes, 0));
}

/// Up to here, what a message adds to a row cannot violate it.
int64_t LabelElimination::harmless(const LabelMessage &message,
                                   unsigned row) const {
  return atLeastZero(rows[row].slack -
                     (rows[row].most - message.inside[row].most));
}

/// Chooses the dimensions of a message, merges rows where that saves some, and
/// drops the rows that nothing outside adds to.
std::vector<Dimension> LabelElimination::makeDimensions(LabelMessage &message,
                                                        const Groups &groups) {
  std::unordered_map<uint64_t, unsigned>
      outsides; // what the outside adds -> class
  std::vector<std::vector<unsigned>> edges(groups.groups.size());
  std::vector<unsigned> outsideOf(rows.size());
  for (unsigned row = 0; row < rows.size(); ++row) {
    if (groups.ofRow[row] < 0)
      continue;
    uint64_t outside = rows[row].contents - message.inside[row].contents;
    // Checked by the group's limit, once and for all; or never violated.
    if (outside == 0 || rows[row].most <= rows[row].slack) {
      rows[row].needed = false;
      continue;
    }
    outsideOf[row] =
        outsides.try_emplace(outside, static_cast<unsigned>(outsides.size()))
            .first->second;
    edges[static_cast<size_t>(groups.ofRow[row])].push_back(outsideOf[row]);
  }
  for (std::vector<unsigned> &to : edges) {
    std::sort(to.begin(), to.end());
    to.erase(std::unique(to.begin(), to.end()), to.end());
  }
  VertexCover cover(edges, outsides.size());
  std::vector<Dimension> dimensions;
  std::vector<int> dimensionOf(groups.groups.size(), -1);
  std::vector<std::vector<unsigned>> merged(outsides.size());
  size_t rowsBefore = rows.size();
  for (unsigned row = 0; row < rowsBefore; ++row) {
    if (groups.ofRow[row] < 0 || !rows[row].needed)
      continue;
    auto group = static_cast<size_t>(groups.ofRow[row]);
    if (!cover.hasLeft(group)) {
      merged[outsideOf[row]].push_back(row);
      continue;
    }
    if (dimensionOf[group] < 0) {
      dimensionOf[group] = static_cast<int>(dimensions.size());
      dimensions.push_back({{{groups.ofRow[row], 0}}, INT64_MAX});
    }
    message.inside[row].dimension = dimensionOf[group];
    Dimension &dimension = dimensions[static_cast<size_t>(dimensionOf[group])];
    dimension.least = std::min(dimension.least, harmless(message, row));
  }
  for (const std::vector<unsigned> &these : merged) {
    if (these.empty())
      continue;
    int64_t slack = 0;
    for (unsigned row : these)
      slack = std::max(slack, rows[row].slack);
    WideCost outsideMost = rows[these[0]].most - message.inside[these[0]].most;
    Dimension &dimension = dimensions.emplace_back();
    dimension.least = atLeastZero(slack - outsideMost);
    for (unsigned row : these)
      dimension.groups.emplace_back(groups.ofRow[row], slack - rows[row].slack);
    mergeRows(message, these, static_cast<int>(dimensions.size()) - 1);
  }
  return dimensions;
}

/// One new row stands for several from here on: what the message adds to it
/// is the dimension, and everything outside adds to it what it adds to each.
void LabelElimination::mergeRows(LabelMessage &message,
                                 const std::vector<unsigned> &merged,
                                 int dimension) {
  unsigned first = merged[0];
  Row row = rows[first];
  Inside inside;
  inside.contents = mix(UINT64_MAX, nextMarker++);
  inside.dimension = dimension;
  row.slack = 0;
  for (unsigned each : merged)
    row.slack = std::max(row.slack, rows[each].slack);
  for (unsigned each : merged) {
    inside.most = std::max<WideCost>(
        inside.most, message.inside[each].most + row.slack - rows[each].slack);
    rows[each].needed = false;
  }
  row.contents += inside.contents - message.inside[first].contents;
  row.most += inside.most - message.inside[first].most;
  rows.push_back(row);
  for (unsigned other : open) {
    Inside same = messages[other].inside[first];
    messages[other].inside.push_back(same);
  }
  message.inside.push_back(inside);
}

//===----------------------------------------------------------------------===//
// Labels
//===----------------------------------------------------------------------===//

/// Every label with every one of a message's entry. False if that is too much
/// work.
bool LabelElimination::extend(const Labels &labels, const LabelMessage &source,
                              size_t entry, const Groups &groups,
                              int64_t allowed, Labels &result) {
  result.clear();
  result.dimensions = static_cast<unsigned>(groups.groups.size());
  result.sources = labels.sources + 1;
  size_t begin = source.begin[entry], end = source.begin[entry + 1];
  if (!spend(labels.size() * (end - begin)))
    return false;
  for (size_t i = 0; i < labels.size(); ++i) {
    const int64_t *a = labels.label(i);
    for (size_t j = begin; j < end; ++j) {
      const int64_t *b = source.labels.label(j);
      if (a[0] + b[0] > allowed)
        continue;
      size_t start = result.numbers.size();
      result.numbers.push_back(a[0] + b[0]);
      result.numbers.push_back(a[1] + b[1]);
      bool kept = true;
      for (const Groups::Group &group : groups.groups) {
        int64_t bytes = (group.before >= 0 ? a[2 + group.before] : 0) +
                        (group.dimension >= 0 ? b[2 + group.dimension] : 0);
        kept &= bytes <= group.most;
        result.numbers.push_back(bytes);
      }
      if (!kept) {
        result.numbers.resize(start);
        continue;
      }
      result.from.insert(result.from.end(), labels.source(i),
                         labels.source(i) + labels.sources);
      result.from.push_back(static_cast<uint32_t>(j));
    }
  }
  prune(result, 0);
  return true;
}

namespace {

/// Pairs of which none is at most another in both numbers.
class Staircase {
public:
  /// False if one that is there is at most the new one in both.
  bool add(int64_t x, int64_t y) {
    auto next = steps.upper_bound(x);
    if (next != steps.begin() && std::prev(next)->second <= y)
      return false;
    while (next != steps.end() && next->second >= y)
      next = steps.erase(next);
    steps[x] = y;
    return true;
  }

private:
  std::map<int64_t, int64_t> steps; // y falls as x rises
};

} // namespace

namespace {

/// Tuples of which none is at most another in all numbers.
class Front {
public:
  bool dominates(const int64_t *tuple, unsigned dimensions) {
    size_t count = numbers.size() / dimensions;
    for (size_t i = 0; i < count; ++i) {
      const int64_t *other = &numbers[i * dimensions];
      unsigned d = 0;
      while (d < dimensions && other[d] <= tuple[d])
        ++d;
      if (d < dimensions)
        continue;
      // What dominates one often dominates the next: it moves to the front.
      std::swap_ranges(&numbers[i * dimensions],
                       &numbers[i * dimensions] + dimensions,
                       &numbers[(i / 2) * dimensions]);
      return true;
    }
    return false;
  }
  void add(const int64_t *tuple, unsigned dimensions) {
    numbers.insert(numbers.end(), tuple, tuple + dimensions);
  }

private:
  std::vector<int64_t> numbers;
};

} // namespace

/// Keeps those of the labels from `begin` on that no other one beats, and of
/// these only a beam where only a good choice is asked for.
void LabelElimination::prune(Labels &labels, size_t begin) {
  size_t count = labels.size() - begin, width = labels.width();
  if (count < 2)
    return;
  std::vector<uint32_t> order(count);
  std::iota(order.begin(), order.end(), 0);
  auto label = [&](uint32_t i) { return labels.label(begin + i); };
  std::sort(order.begin(), order.end(), [&](uint32_t i, uint32_t j) {
    const int64_t *a = label(i) + 1, *b = label(j) + 1;
    auto [x, y] = std::mismatch(a, a + width - 1, b);
    return x == a + width - 1 ? i < j : *x < *y;
  });
  std::vector<uint32_t> kept;
  Staircase staircase;
  Front front;
  for (uint32_t i : order) {
    const int64_t *it = label(i) + 2;
    bool dominated;
    if (labels.dimensions <= 2) {
      dominated = !staircase.add(labels.dimensions > 0 ? it[0] : 0,
                                 labels.dimensions > 1 ? it[1] : 0);
    } else {
      dominated = front.dominates(it, labels.dimensions);
      if (!dominated)
        front.add(it, labels.dimensions);
    }
    if (!dominated)
      kept.push_back(i);
  }
  if (options.beam != 0 && kept.size() > options.beam) {
    std::sort(kept.begin(), kept.end(), [&](uint32_t i, uint32_t j) {
      return std::pair(label(i)[0], i) < std::pair(label(j)[0], j);
    });
    kept.resize(options.beam);
  }
  Labels result;
  for (uint32_t i : kept) {
    result.numbers.insert(result.numbers.end(), label(i), label(i) + width);
    result.from.insert(result.from.end(), labels.source(begin + i),
                       labels.source(begin + i) + labels.sources);
  }
  labels.numbers.resize(begin * width);
  labels.from.resize(begin * labels.sources);
  labels.numbers.insert(labels.numbers.end(), result.numbers.begin(),
                        result.numbers.end());
  labels.from.insert(labels.from.end(), result.from.begin(), result.from.end());
}

/// Appends labels to a message, in its dimensions.
void LabelElimination::project(const Labels &labels,
                               const std::vector<Dimension> &dimensions,
                               LabelMessage &message) {
  for (size_t i = 0; i < labels.size(); ++i) {
    const int64_t *label = labels.label(i);
    Labels &result = message.labels;
    result.numbers.insert(result.numbers.end(), label, label + 2);
    for (const Dimension &dimension : dimensions) {
      int64_t most = dimension.least;
      for (auto [group, offset] : dimension.groups)
        most = std::max(most, label[2 + group] + offset);
      result.numbers.push_back(most);
    }
    result.from.insert(result.from.end(), labels.source(i),
                       labels.source(i) + labels.sources);
  }
}

void LabelElimination::close(const std::vector<unsigned> &consumed) {
  for (unsigned message : consumed)
    std::erase(open, message);
}

/// Of a consumed message, only where its labels are from matters.
void LabelElimination::forget(const std::vector<unsigned> &consumed) {
  for (unsigned message : consumed) {
    messages[message].inside = {};
    messages[message].labels.numbers = {};
  }
}

/// Node and edges of a bucket, for values of its scope.
Cost LabelElimination::ownCost(unsigned bucket) const {
  const EliminationTree::Bucket &it = tree.buckets[bucket];
  Cost cost = problem.nodes[it.node].costs[values[it.node]];
  for (unsigned index : it.edges) {
    const Edge &edge = problem.edges[index];
    cost += (*edge.costs)[values[edge.from] * problem.numValues(edge.to) +
                          values[edge.to]];
  }
  return cost;
}

bool LabelElimination::processBucket(unsigned bucket) {
  const EliminationTree::Bucket &it = tree.buckets[bucket];
  LabelMessage message;
  message.node = it.node;
  message.separator = it.separator;
  message.sources = it.children;
  addUp(message);
  std::vector<Groups> stages = {startGroups(it.node)};
  for (unsigned child : it.children)
    stages.push_back(addToGroups(stages.back(), messages[child]));
  close(it.children);
  std::vector<Dimension> dimensions = makeDimensions(message, stages.back());
  message.labels.dimensions = static_cast<unsigned>(dimensions.size());
  message.labels.sources = 1 + static_cast<unsigned>(it.children.size());

  const std::vector<Segment> &segments = pricing.memoryRows().of(it.node);
  const std::vector<Cost> joint = elimination.joint(bucket);
  const std::vector<Cost> &inside = elimination.inside(bucket);
  const std::vector<Cost> &outside = elimination.outside(bucket);
  Labels labels, extended;
  size_t numValues = problem.numValues(it.node);
  for (size_t entry = 0; entry < inside.size(); ++entry) {
    message.begin.push_back(message.labels.size());
    if (inside[entry] >= kForbidden || outside[entry] >= kForbidden ||
        inside[entry] + outside[entry] > margin)
      continue;
    size_t rest = entry;
    for (size_t i = it.separator.size(); i-- > 0;) {
      size_t size = problem.numValues(it.separator[i]);
      values[it.separator[i]] = static_cast<unsigned>(rest % size);
      rest /= size;
    }
    for (unsigned v = 0; v < numValues; ++v) {
      Cost least = joint[entry * numValues + v];
      if (least >= kForbidden || least + outside[entry] > margin)
        continue;
      values[it.node] = v;
      // From here on, the first number of a label is what it costs over the
      // minimum of this entry and value.
      int64_t allowed = margin - least - outside[entry];
      labels.clear();
      labels.dimensions = static_cast<unsigned>(segments.size());
      labels.sources = 1;
      labels.numbers = {0, ownCost(bucket)};
      labels.from = {v};
      bool kept = true;
      for (size_t s = 0; s < segments.size(); ++s) {
        labels.numbers.push_back((*segments[s].bytes)[v]);
        kept &= labels.numbers.back() <= stages[0].groups[s].most;
      }
      if (!kept)
        continue;
      for (size_t i = 0; i < it.children.size(); ++i) {
        const LabelMessage &child = messages[it.children[i]];
        size_t at = 0;
        for (unsigned node : child.separator)
          at = at * problem.numValues(node) + values[node];
        if (!extend(labels, child, at, stages[i + 1], allowed, extended))
          return false;
        std::swap(labels, extended);
      }
      for (size_t i = 0; i < labels.size(); ++i)
        labels.numbers[i * labels.width()] += least - inside[entry];
      project(labels, dimensions, message);
    }
    prune(message.labels, message.begin.back());
    if (!spend(1))
      return false;
  }
  message.begin.push_back(message.labels.size());
  messages[bucket] = std::move(message);
  forget(it.children);
  open.push_back(bucket);
  return true;
}

/// Parts that no edge joins still share memory.
bool LabelElimination::combineRoots(unsigned a, unsigned b) {
  LabelMessage message;
  message.sources = {a, b};
  addUp(message);
  std::vector<Groups> stages = {startGroups(EliminationTree::none)};
  for (unsigned source : message.sources)
    stages.push_back(addToGroups(stages.back(), messages[source]));
  close(message.sources);
  std::vector<Dimension> dimensions = makeDimensions(message, stages.back());
  message.labels.dimensions = static_cast<unsigned>(dimensions.size());
  message.labels.sources = 3;
  Labels labels, extended;
  labels.sources = 1;
  labels.numbers = {0, 0};
  labels.from = {0};
  for (size_t i = 0; i < 2; ++i) {
    if (!extend(labels, messages[message.sources[i]], 0, stages[i + 1], margin,
                extended))
      return false;
    std::swap(labels, extended);
  }
  project(labels, dimensions, message);
  prune(message.labels, 0);
  message.begin = {0, message.labels.size()};
  open.push_back(static_cast<unsigned>(messages.size()));
  messages.push_back(std::move(message));
  forget({a, b});
  return true;
}

LabelOutcome LabelElimination::run(Choice &choice) {
  unsigned root = EliminationTree::none;
  for (unsigned bucket = 0; bucket < tree.buckets.size(); ++bucket) {
    if (!processBucket(bucket))
      return LabelOutcome::GaveUp;
    if (messages[bucket].labels.size() == 0)
      return LabelOutcome::None;
    if (!tree.buckets[bucket].separator.empty())
      continue;
    if (root != EliminationTree::none) {
      if (!combineRoots(root, bucket))
        return LabelOutcome::GaveUp;
      root = static_cast<unsigned>(messages.size()) - 1;
      if (messages[root].labels.size() == 0)
        return LabelOutcome::None;
    } else {
      root = bucket;
    }
  }
  // No dimension is left, so this is the cheapest. Where it costs more than the
  // limit it need not be the best, for others like it were dropped.
  if (options.beam == 0 && messages[root].labels.label(0)[1] > options.limit)
    return LabelOutcome::None;
  choice.assign(problem.nodes.size(), 0);
  std::vector<std::pair<unsigned, size_t>> stack = {{root, 0}};
  while (!stack.empty()) {
    auto [index, label] = stack.back();
    stack.pop_back();
    const LabelMessage &message = messages[index];
    const uint32_t *from = message.labels.source(label);
    if (message.node != EliminationTree::none)
      choice[message.node] = from[0];
    for (size_t i = 0; i < message.sources.size(); ++i)
      stack.emplace_back(message.sources[i], from[1 + i]);
  }
  return LabelOutcome::Found;
}

LabelOutcome tpc::solver::eliminateWithLabels(const Problem &problem,
                                              const EliminationTree &tree,
                                              const Pricing &pricing,
                                              const LabelOptions &options,
                                              Deadline deadline, Choice &choice,
                                              size_t &labelsMade) {
  LabelElimination elimination(problem, tree, pricing, options, deadline);
  LabelOutcome outcome = elimination.run(choice);
  labelsMade += options.work - elimination.workLeft();
  return outcome;
}
