//===- Presolve.cpp - An equivalent, smaller problem ----------------------===//
//
// Nodes are visited from a queue; a reduction queues those whose reductions it
// may have enabled. When the queue is empty, the rows of memory are looked at
// as a whole, which may queue nodes again.
//
//===----------------------------------------------------------------------===//

#include "Presolve.h"
#include "MemoryRows.h"
#include "Tables.h"
#include <algorithm>
#include <deque>
#include <numeric>

using namespace tpc::solver;

namespace tpc::solver {

/// The values of the original problem that a node's current values are.
using Labels = CostTable;

struct Expansion {
  /// A node whose value follows from those of others: the cheapest one.
  struct Step {
    unsigned node;
    Labels labels;
    CostTable costs;
    struct Neighbour {
      unsigned node;
      Labels labels;
      /// Rows: values of the step's node.
      CostTable costs;
    };
    std::vector<Neighbour> neighbours;
  };
  /// In the order of reduction; undone from the back.
  std::vector<Step> steps;
  struct Kept {
    unsigned node;
    Labels labels;
  };
  /// By node of the reduced problem, but its last, if that holds memory alone.
  std::vector<Kept> kept;
  size_t originalNodes = 0;
  size_t reducedNodes = 0;
};

} // namespace tpc::solver

static size_t indexIn(const Labels &labels, Cost label) {
  auto found = std::find(labels->begin(), labels->end(), label);
  return static_cast<size_t>(found - labels->begin());
}

Choice Presolved::expand(const Choice &choice) const {
  std::vector<Cost> values(expansion->originalNodes, 0);
  for (size_t i = 0; i < expansion->kept.size(); ++i)
    values[expansion->kept[i].node] = (*expansion->kept[i].labels)[choice[i]];
  for (size_t i = expansion->steps.size(); i-- > 0;) {
    const Expansion::Step &step = expansion->steps[i];
    std::vector<Cost> costs = *step.costs;
    for (const auto &neighbour : step.neighbours) {
      size_t columns = neighbour.labels->size();
      size_t column = indexIn(neighbour.labels, values[neighbour.node]);
      for (size_t v = 0; v < costs.size(); ++v) {
        Cost cost = (*neighbour.costs)[v * columns + column];
        costs[v] = costs[v] >= kForbidden || cost >= kForbidden
                       ? kForbidden
                       : costs[v] + cost;
      }
    }
    auto best = std::min_element(costs.begin(), costs.end()) - costs.begin();
    values[step.node] = (*step.labels)[static_cast<size_t>(best)];
  }
  return Choice(values.begin(), values.end());
}

std::optional<unsigned> Presolved::find(unsigned original) const {
  // Kept in order of the original nodes.
  auto found =
      std::lower_bound(expansion->kept.begin(), expansion->kept.end(), original,
                       [](const Expansion::Kept &kept, unsigned node) {
                         return kept.node < node;
                       });
  if (found == expansion->kept.end() || found->node != original)
    return std::nullopt;
  return static_cast<unsigned>(found - expansion->kept.begin());
}

Choice Presolved::reduce(const Choice &original) const {
  Choice result(expansion->reducedNodes, 0);
  for (size_t i = 0; i < expansion->kept.size(); ++i) {
    const Expansion::Kept &kept = expansion->kept[i];
    size_t index = indexIn(kept.labels, original[kept.node]);
    result[i] = static_cast<unsigned>(index % kept.labels->size());
  }
  return result;
}

namespace {

struct WorkNode {
  bool alive = true;
  bool queued = false;
  std::vector<Cost> costs;
  Labels labels;
  /// Indices of edges; those that are gone or belong to others are skipped.
  std::vector<unsigned> edges;

  size_t size() const { return costs.size(); }
};

struct WorkEdge {
  unsigned from, to;
  /// Null: the edge is gone.
  CostTable costs;
};

class Presolver {
public:
  Presolver(const Problem &problem, Deadline deadline,
            const std::vector<char> &keep);
  Presolved run();

private:
  /// A product of more multiply-adds is left to the search.
  static constexpr double maxProductWork = 3e7;

  void readNodes();
  void readEdges();
  void reduceMemory();

  void visit(unsigned node);
  void removeForbidden(unsigned node, const SlackMinimum *slack);
  void removeDominated(unsigned node);
  void keepValues(unsigned node, std::vector<Cost> &&kept);
  bool eliminate(unsigned node);
  bool fuseWithNeighbour(unsigned node);
  void fuse(unsigned gone, unsigned into, unsigned edge,
            const CostTable &valueOf);
  bool isFusionSmall(unsigned gone, unsigned into);

  void addCosts(unsigned node, const CostTable &costs);
  void addEdge(unsigned from, unsigned to, CostTable costs);
  void removeEdge(unsigned edge);
  void normalize(unsigned edge);
  void remove(unsigned node, const std::vector<unsigned> &through);
  void enqueue(unsigned node);
  /// The table of an edge with the values of `node` as its rows.
  CostTable tableFrom(unsigned edge, unsigned node);
  unsigned neighbour(unsigned edge, unsigned node) const {
    return edges[edge].from == node ? edges[edge].to : edges[edge].from;
  }
  /// Drops the indices of edges that are gone.
  const std::vector<unsigned> &edgesOf(unsigned node);
  static uint64_t pairOf(unsigned a, unsigned b) {
    return uint64_t(std::min(a, b)) << 32 | std::max(a, b);
  }

  Presolved identity() const;
  Presolved result();

  bool isKept(unsigned node) const { return !keep.empty() && keep[node]; }

  const Problem &problem;
  Deadline deadline;
  const std::vector<char> &keep;
  TableOps tables;
  MemoryRows rows;
  std::vector<WorkNode> nodes;
  std::vector<WorkEdge> edges;
  struct PairHash {
    size_t operator()(uint64_t pair) const {
      auto value = static_cast<int64_t>(pair);
      return hashOf(&value, 1);
    }
  };
  std::unordered_map<uint64_t, unsigned, PairHash> edgeBetween;
  std::deque<unsigned> queue;
  size_t visits = 0;
  WideCost constant = 0;
  bool infeasible = false;
  std::shared_ptr<Expansion> expansion = std::make_shared<Expansion>();
};

} // namespace

Presolver::Presolver(const Problem &problem, Deadline deadline,
                     const std::vector<char> &keep)
    : problem(problem), deadline(deadline), keep(keep), rows(problem, tables) {}

//===----------------------------------------------------------------------===//
// The graph
//===----------------------------------------------------------------------===//

void Presolver::readNodes() {
  nodes.resize(problem.nodes.size());
  for (unsigned i = 0; i < nodes.size(); ++i) {
    nodes[i].costs = problem.nodes[i].costs;
    for (Cost &cost : nodes[i].costs)
      cost = tables.sum(cost, 0);
    std::vector<Cost> labels(nodes[i].size());
    std::iota(labels.begin(), labels.end(), 0);
    nodes[i].labels = tables.intern(std::move(labels));
  }
}

void Presolver::readEdges() {
  for (const Edge &edge : problem.edges) {
    if (tables.overflowed())
      return;
    // Interned: a caller may hold equal tables apart.
    addEdge(edge.from, edge.to, tables.intern(std::vector<Cost>(*edge.costs)));
  }
}

const std::vector<unsigned> &Presolver::edgesOf(unsigned node) {
  std::erase_if(nodes[node].edges, [&](unsigned edge) {
    return !edges[edge].costs ||
           (edges[edge].from != node && edges[edge].to != node);
  });
  return nodes[node].edges;
}

CostTable Presolver::tableFrom(unsigned edge, unsigned node) {
  const WorkEdge &it = edges[edge];
  return it.from == node ? it.costs
                         : tables.transpose(it.costs, nodes[it.from].size());
}

void Presolver::addCosts(unsigned node, const CostTable &costs) {
  for (size_t v = 0; v < nodes[node].size(); ++v)
    nodes[node].costs[v] = tables.sum(nodes[node].costs[v], (*costs)[v]);
}

/// Adds to the edge that is there, or makes one.
void Presolver::addEdge(unsigned from, unsigned to, CostTable costs) {
  auto [found, isNew] = edgeBetween.try_emplace(
      pairOf(from, to), static_cast<unsigned>(edges.size()));
  unsigned edge = found->second;
  if (isNew) {
    edges.push_back({from, to, costs});
    nodes[from].edges.push_back(edge);
    nodes[to].edges.push_back(edge);
  } else {
    if (edges[edge].from != from)
      costs = tables.transpose(costs, nodes[from].size());
    edges[edge].costs = tables.add(edges[edge].costs, costs);
  }
  normalize(edge);
}

/// Moves as much of an edge as possible into its nodes. What this changes is
/// no reason to visit them: whether a value dominates stays as it was. A value
/// that has become forbidden is one.
void Presolver::normalize(unsigned edge) {
  WorkEdge &it = edges[edge];
  const TableOps::Normal &normal =
      tables.normalize(it.costs, nodes[it.from].size());
  auto forbids = [](const CostTable &offsets) {
    return std::find(offsets->begin(), offsets->end(), kForbidden) !=
           offsets->end();
  };
  addCosts(it.from, normal.rows);
  addCosts(it.to, normal.columns);
  if (forbids(normal.rows))
    enqueue(it.from);
  if (forbids(normal.columns))
    enqueue(it.to);
  it.costs = normal.rest;
  if (normal.separable) {
    // Fewer neighbours may make a node one that can be eliminated.
    enqueue(it.from);
    enqueue(it.to);
    removeEdge(edge);
  }
}

void Presolver::removeEdge(unsigned edge) {
  edges[edge].costs = nullptr;
  edgeBetween.erase(pairOf(edges[edge].from, edges[edge].to));
}

void Presolver::enqueue(unsigned node) {
  if (!nodes[node].queued && nodes[node].alive) {
    nodes[node].queued = true;
    queue.push_back(node);
  }
}

/// Takes a node out whose value follows from those that the edges lead to.
void Presolver::remove(unsigned node, const std::vector<unsigned> &through) {
  WorkNode &it = nodes[node];
  Expansion::Step step{
      node, it.labels, tables.intern(std::vector<Cost>(it.costs)), {}};
  for (unsigned edge : through) {
    unsigned other = neighbour(edge, node);
    step.neighbours.push_back(
        {other, nodes[other].labels, tableFrom(edge, node)});
  }
  expansion->steps.push_back(std::move(step));
  for (unsigned edge : edgesOf(node))
    removeEdge(edge);
  it = WorkNode();
  it.alive = false;
}

//===----------------------------------------------------------------------===//
// Values
//===----------------------------------------------------------------------===//

void Presolver::keepValues(unsigned node, std::vector<Cost> &&kept) {
  if (kept.size() == nodes[node].size())
    return;
  if (kept.empty()) {
    infeasible = true;
    return;
  }
  WorkNode &it = nodes[node];
  size_t before = it.size();
  std::vector<Cost> costs;
  for (Cost v : kept)
    costs.push_back(it.costs[static_cast<size_t>(v)]);
  CostTable which = tables.intern(std::move(kept));
  std::vector<CostTable> from;
  for (unsigned edge : edgesOf(node))
    from.push_back(tableFrom(edge, node));
  it.costs = std::move(costs);
  it.labels = tables.gather(it.labels, before, which);
  rows.gather(node, which);
  // A copy: what becomes separable leaves the list.
  std::vector<unsigned> around = edgesOf(node);
  for (size_t i = 0; i < around.size(); ++i) {
    WorkEdge &edge = edges[around[i]];
    unsigned other = neighbour(around[i], node);
    edge = {node, other, tables.gather(from[i], before, which)};
    normalize(around[i]);
    enqueue(other);
  }
}

/// Forbidden values, and those whose memory alone is too much.
void Presolver::removeForbidden(unsigned node, const SlackMinimum *slack) {
  std::vector<bool> allowed(nodes[node].size());
  for (size_t v = 0; v < allowed.size(); ++v)
    allowed[v] = nodes[node].costs[v] < kForbidden;
  if (slack)
    for (const Segment &segment : rows.of(node)) {
      WideCost least = slack->within(segment.begin, segment.end);
      for (size_t v = 0; v < allowed.size(); ++v)
        if ((*segment.bytes)[v] > least)
          allowed[v] = false;
    }
  std::vector<Cost> kept;
  for (size_t v = 0; v < allowed.size(); ++v)
    if (allowed[v])
      kept.push_back(static_cast<Cost>(v));
  if (kept.size() != allowed.size())
    enqueue(node);
  keepValues(node, std::move(kept));
}

namespace {

/// Compares two values of one node against everything that its neighbours can
/// do. Needs normalized edges: as each row then has a zero, an edge can only
/// speak against the value that dominates.
class Dominance {
public:
  Dominance(const std::vector<Cost> &costs, const std::vector<Segment> &memory)
      : costs(costs), memory(memory) {}

  void addEdge(const CostTable &table) {
    Side side{table->data(), table->size() / costs.size(), table, {}};
    for (size_t v = 0; v < costs.size(); ++v) {
      const Cost *row = side.costs + v * side.columns;
      side.cheapest.push_back(std::min_element(row, row + side.columns) - row);
    }
    sides.push_back(std::move(side));
  }

  /// Whether t can replace s.
  bool dominates(size_t t, size_t s) const {
    Cost lead = costs[s] - costs[t];
    if (lead < 0)
      return false;
    for (const Segment &segment : memory)
      if ((*segment.bytes)[t] > (*segment.bytes)[s])
        return false;
    // What s does best against, t does not lose more than its lead.
    Cost left = lead;
    for (const Side &side : sides) {
      left -=
          side.costs[t * side.columns + static_cast<size_t>(side.cheapest[s])];
      if (left < 0)
        return false;
    }
    for (const Side &side : sides) {
      lead += leastDifference(side, s, t, lead);
      if (lead < 0)
        return false;
    }
    return true;
  }

private:
  struct Side {
    const Cost *costs;
    size_t columns;
    CostTable owner;
    std::vector<Cost> cheapest; // the column, by row
  };

  /// The minimum over columns of s's cost less t's, or anything below -lead.
  /// Columns that forbid s say nothing, whether they forbid t or not.
  static Cost leastDifference(const Side &side, size_t s, size_t t, Cost lead) {
    const Cost *ofS = side.costs + s * side.columns;
    const Cost *ofT = side.costs + t * side.columns;
    Cost least = 0;
    for (size_t c = 0; c < side.columns; ++c)
      if (ofS[c] < kForbidden && ofS[c] - ofT[c] < least) {
        least = ofS[c] - ofT[c];
        if (least < -lead)
          break;
      }
    return least;
  }

  const std::vector<Cost> &costs;
  const std::vector<Segment> &memory;
  std::vector<Side> sides;
};

} // namespace

void Presolver::removeDominated(unsigned node) {
  const WorkNode &it = nodes[node];
  Dominance dominance(it.costs, rows.of(node));
  for (unsigned edge : edgesOf(node))
    dominance.addEdge(tableFrom(edge, node));
  // Cheapest first; what dominates a value comes before it. Of equals the
  // first is kept.
  std::vector<Cost> kept;
  std::vector<size_t> order(it.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return std::pair(it.costs[a], a) < std::pair(it.costs[b], b);
  });
  for (size_t i = 0; i < order.size(); ++i) {
    bool dominated = false;
    for (size_t k = 0; k < kept.size() && !dominated; ++k)
      dominated = dominance.dominates(static_cast<size_t>(kept[k]), order[i]);
    // Of equal cost, also one that comes after.
    for (size_t k = i + 1; k < order.size() && !dominated &&
                           it.costs[order[k]] == it.costs[order[i]];
         ++k)
      dominated = dominance.dominates(order[k], order[i]) &&
                  !dominance.dominates(order[i], order[k]);
    if (!dominated)
      kept.push_back(static_cast<Cost>(order[i]));
  }
  std::sort(kept.begin(), kept.end());
  keepValues(node, std::move(kept));
}

//===----------------------------------------------------------------------===//
// Nodes
//===----------------------------------------------------------------------===//

/// Minimizes out a node with at most two neighbours and no memory that varies.
/// A node with a single value is one, whatever its neighbours.
bool Presolver::eliminate(unsigned node) {
  WorkNode &it = nodes[node];
  std::vector<unsigned> around = edgesOf(node);
  if (!rows.of(node).empty() || around.size() > 2)
    return false;
  if (around.size() == 2) {
    unsigned a = neighbour(around[0], node), b = neighbour(around[1], node);
    double work = static_cast<double>(nodes[a].size()) *
                  static_cast<double>(nodes[b].size()) *
                  static_cast<double>(it.size());
    if (work > maxProductWork)
      return false;
    CostTable message =
        tables.minPlus(tables.intern(std::vector<Cost>(it.costs)),
                       tableFrom(around[0], node), tableFrom(around[1], node));
    remove(node, around);
    addEdge(a, b, message);
    enqueue(a);
    enqueue(b);
    return true;
  }
  std::vector<Cost> best(
      around.empty() ? 1 : nodes[neighbour(around[0], node)].size(),
      kForbidden);
  CostTable table = around.empty() ? nullptr : tableFrom(around[0], node);
  for (size_t v = 0; v < it.size(); ++v)
    for (size_t c = 0; c < best.size(); ++c) {
      Cost pair = table ? (*table)[v * best.size() + c] : 0;
      best[c] = std::min(best[c], tables.sum(it.costs[v], pair));
    }
  if (around.empty()) {
    constant += best[0];
    remove(node, around);
    return true;
  }
  unsigned other = neighbour(around[0], node);
  remove(node, around);
  addCosts(other, tables.intern(std::move(best)));
  enqueue(other);
  return true;
}

/// Fusing into a node with more values makes tables grow; where they grow too
/// much, elimination would be the better way.
bool Presolver::isFusionSmall(unsigned gone, unsigned into) {
  size_t entries = 0, more = 0;
  for (unsigned edge : edgesOf(gone)) {
    size_t columns = nodes[neighbour(edge, gone)].size();
    entries += nodes[gone].size() * columns;
    more += nodes[into].size() * columns;
  }
  return more <= 4 * entries || more <= 4096;
}

/// Where each value of a node leaves a neighbour one value, the neighbour
/// becomes a part of it.
bool Presolver::fuseWithNeighbour(unsigned node) {
  for (unsigned edge : edgesOf(node)) {
    unsigned other = neighbour(edge, node);
    CostTable column =
        tables.onlyColumns(tableFrom(edge, node), nodes[node].size());
    CostTable row =
        tables.onlyColumns(tableFrom(edge, other), nodes[other].size());
    // Of two that determine each other the one with fewer edges goes: a node
    // with thousands stays where it is.
    if (row && (!column || edgesOf(node).size() < edgesOf(other).size()) &&
        isFusionSmall(node, other)) {
      fuse(node, other, edge, row);
      return true;
    }
    if (column && !isKept(other) && isFusionSmall(other, node)) {
      fuse(other, node, edge, column);
      return true;
    }
  }
  return false;
}

void Presolver::fuse(unsigned gone, unsigned into, unsigned edge,
                     const CostTable &valueOf) {
  CostTable pair = tableFrom(edge, into);
  size_t columns = nodes[gone].size();
  std::vector<Cost> added;
  for (size_t v = 0; v < nodes[into].size(); ++v) {
    auto value = static_cast<size_t>((*valueOf)[v]);
    added.push_back(
        tables.sum(nodes[gone].costs[value], (*pair)[v * columns + value]));
  }
  addCosts(into, tables.intern(std::move(added)));
  rows.merge(gone, into, valueOf);
  std::vector<std::pair<unsigned, CostTable>> moved;
  for (unsigned other : edgesOf(gone))
    if (other != edge)
      moved.emplace_back(
          neighbour(other, gone),
          tables.gather(tableFrom(other, gone), columns, valueOf));
  remove(gone, {edge});
  for (auto &[other, table] : moved) {
    addEdge(into, other, table);
    enqueue(other);
  }
  enqueue(into);
}

void Presolver::visit(unsigned node) {
  nodes[node].queued = false;
  if (!nodes[node].alive || isKept(node))
    return;
  removeForbidden(node, nullptr);
  if (infeasible)
    return;
  if (eliminate(node))
    return;
  removeDominated(node);
  if (infeasible || eliminate(node) || tables.overflowed())
    return;
  fuseWithNeighbour(node);
}

//===----------------------------------------------------------------------===//
// All of it
//===----------------------------------------------------------------------===//

void Presolver::reduceMemory() {
  for (unsigned node : rows.dropRows())
    enqueue(node);
  for (size_t row = 0; row < rows.count(); ++row)
    infeasible |= rows.slackOf(row) < 0;
  if (infeasible)
    return;
  SlackMinimum slack(rows);
  for (unsigned node = 0; node < nodes.size() && !infeasible; ++node)
    if (!rows.of(node).empty())
      removeForbidden(node, &slack);
}

Presolved Presolver::run() {
  readNodes();
  readEdges();
  reduceMemory();
  for (unsigned node = 0; node < nodes.size(); ++node)
    enqueue(node);
  while (!infeasible && !queue.empty() && !tables.overflowed() &&
         !isOver(deadline)) {
    while (!infeasible && !queue.empty() && !tables.overflowed()) {
      unsigned node = queue.front();
      queue.pop_front();
      visit(node);
      if (++visits % 64 == 0 && isOver(deadline))
        break;
    }
    if (!infeasible)
      reduceMemory();
  }
  return tables.overflowed() ? identity() : result();
}

/// The problem as it is, for costs that do not fit the reductions.
Presolved Presolver::identity() const {
  Presolved presolved;
  presolved.problem = problem;
  auto same = std::make_shared<Expansion>();
  same->originalNodes = same->reducedNodes = problem.nodes.size();
  for (unsigned i = 0; i < problem.nodes.size(); ++i) {
    std::vector<Cost> labels(problem.numValues(i));
    std::iota(labels.begin(), labels.end(), 0);
    same->kept.push_back(
        {i, std::make_shared<const std::vector<Cost>>(std::move(labels))});
  }
  presolved.expansion = std::move(same);
  return presolved;
}

Presolved Presolver::result() {
  Presolved presolved;
  expansion->originalNodes = problem.nodes.size();
  presolved.expansion = expansion;
  presolved.constant = constant;
  presolved.infeasible = infeasible;
  if (infeasible)
    return presolved;
  Problem &reduced = presolved.problem;
  reduced.name = problem.name;
  std::vector<unsigned> index(nodes.size());
  for (unsigned i = 0; i < nodes.size(); ++i) {
    if (!nodes[i].alive)
      continue;
    index[i] = static_cast<unsigned>(reduced.nodes.size());
    Node &node = reduced.nodes.emplace_back();
    Cost least =
        *std::min_element(nodes[i].costs.begin(), nodes[i].costs.end());
    for (Cost cost : nodes[i].costs)
      node.costs.push_back(cost >= kForbidden ? kForbidden : cost - least);
    presolved.constant += least;
    for (const Segment &segment : rows.of(i))
      node.memory.push_back({{segment.begin, segment.end}, *segment.bytes});
    expansion->kept.push_back({i, nodes[i].labels});
  }
  for (const WorkEdge &edge : edges)
    if (edge.costs)
      reduced.edges.push_back({index[edge.from], index[edge.to], edge.costs});
  if (rows.count() != 0) {
    WideCost limit = rows.slackOf(0);
    for (size_t row = 1; row < rows.count(); ++row)
      limit = std::max(limit, rows.slackOf(row));
    reduced.memoryLimit = static_cast<int64_t>(limit);
    Node &fixed = reduced.nodes.emplace_back();
    fixed.costs = {0};
    for (size_t row = 0; row < rows.count(); ++row)
      if (rows.slackOf(row) != limit)
        fixed.memory.push_back(
            {{static_cast<int64_t>(row), static_cast<int64_t>(row) + 1},
             {static_cast<int64_t>(limit - rows.slackOf(row))}});
  }
  expansion->reducedNodes = reduced.nodes.size();
  return presolved;
}

Presolved tpc::solver::presolve(const Problem &problem, Deadline deadline,
                                const std::vector<char> &keep) {
  return Presolver(problem, deadline, keep).run();
}
