//===- Elimination.cpp - Exact minimization on narrow graphs --------------===//

#include "Elimination.h"
#include <algorithm>
#include <queue>
#include <set>

using namespace tpc::solver;

//===----------------------------------------------------------------------===//
// Order
//===----------------------------------------------------------------------===//

namespace {

/// Eliminates the node whose bucket is smallest; of equals the first, so that
/// a chain is eliminated from its begin and equal layers alike.
class OrderFinder {
public:
  explicit OrderFinder(const Problem &problem) : problem(problem) {
    around.resize(problem.nodes.size());
    for (const Edge &edge : problem.edges) {
      around[edge.from].insert(edge.to);
      around[edge.to].insert(edge.from);
    }
    for (unsigned node = 0; node < around.size(); ++node)
      push(node);
  }

  /// The next node and its neighbours, which become neighbours of each other;
  /// nothing if its bucket is too large.
  bool next(size_t maxEntries, unsigned &node, std::vector<unsigned> &others) {
    do {
      node = queue.top().second;
      if (queue.top().first > static_cast<double>(maxEntries))
        return false;
      bool current = queue.top().first == weight[node];
      queue.pop();
      if (current)
        break;
    } while (true);
    weight[node] = -1;
    others.assign(around[node].begin(), around[node].end());
    for (unsigned other : others) {
      around[other].erase(node);
      for (unsigned another : others)
        if (another != other)
          around[other].insert(another);
    }
    for (unsigned other : others)
      push(other);
    return true;
  }

private:
  void push(unsigned node) {
    auto entries = static_cast<double>(problem.numValues(node));
    for (unsigned other : around[node])
      entries *= static_cast<double>(problem.numValues(other));
    weight.resize(problem.nodes.size());
    weight[node] = entries;
    queue.emplace(entries, node);
  }

  const Problem &problem;
  std::vector<std::set<unsigned>> around;
  std::vector<double> weight;
  using Item = std::pair<double, unsigned>;
  std::priority_queue<Item, std::vector<Item>, std::greater<>> queue;
};

} // namespace

std::optional<EliminationTree> EliminationTree::build(const Problem &problem,
                                                      size_t maxEntries) {
  EliminationTree tree;
  tree.problem = &problem;
  tree.bucketOf.resize(problem.nodes.size());
  OrderFinder order(problem);
  for (unsigned i = 0; i < problem.nodes.size(); ++i) {
    Bucket &bucket = tree.buckets.emplace_back();
    if (!order.next(maxEntries, bucket.node, bucket.separator))
      return std::nullopt;
    tree.bucketOf[bucket.node] = i;
  }
  for (unsigned i = 0; i < tree.buckets.size(); ++i) {
    Bucket &bucket = tree.buckets[i];
    std::sort(bucket.separator.begin(), bucket.separator.end(),
              [&](unsigned a, unsigned b) {
                return tree.bucketOf[a] < tree.bucketOf[b];
              });
    if (!bucket.separator.empty()) {
      bucket.parent = tree.bucketOf[bucket.separator[0]];
      tree.buckets[bucket.parent].children.push_back(i);
    }
  }
  for (unsigned i = 0; i < problem.edges.size(); ++i) {
    unsigned a = tree.bucketOf[problem.edges[i].from],
             b = tree.bucketOf[problem.edges[i].to];
    tree.buckets[std::min(a, b)].edges.push_back(i);
  }
  return tree;
}

//===----------------------------------------------------------------------===//
// Messages
//===----------------------------------------------------------------------===//

EliminationCosts tpc::solver::costsOf(const Problem &problem) {
  VectorPool pool;
  EliminationCosts costs;
  for (const Node &node : problem.nodes)
    costs.nodes.push_back(pool.intern(std::vector<Cost>(node.costs)));
  std::vector<CostTable> edges;
  for (const Edge &edge : problem.edges)
    edges.push_back(edge.costs);
  costs.edges =
      std::make_shared<const std::vector<CostTable>>(std::move(edges));
  return costs;
}

Elimination::Elimination(const EliminationTree &tree, EliminationCosts costs)
    : tree(tree), costs(std::move(costs)), messages(tree.buckets.size()),
      outsides(tree.buckets.size()), marginals(tree.buckets.size()),
      leasts(tree.buckets.size()) {}

std::vector<unsigned> Elimination::scopeOf(unsigned bucket) const {
  std::vector<unsigned> scope = tree.buckets[bucket].separator;
  scope.push_back(tree.buckets[bucket].node);
  return scope;
}

std::vector<Elimination::Factor> Elimination::factorsOf(unsigned bucket) const {
  const EliminationTree::Bucket &it = tree.buckets[bucket];
  std::vector<unsigned> scope = scopeOf(bucket);
  auto position = [&](unsigned node) {
    return static_cast<unsigned>(std::find(scope.begin(), scope.end(), node) -
                                 scope.begin());
  };
  std::vector<Factor> factors;
  factors.push_back({costs.nodes[it.node], {position(it.node)}});
  for (unsigned edge : it.edges)
    factors.push_back({(*costs.edges)[edge],
                       {position(tree.problem->edges[edge].from),
                        position(tree.problem->edges[edge].to)}});
  for (unsigned child : it.children) {
    Factor &factor = factors.emplace_back();
    factor.table = messages[child];
    for (unsigned node : tree.buckets[child].separator)
      factor.positions.push_back(position(node));
  }
  return factors;
}

/// Sizes and factors in full; equal keys mean equal results.
Elimination::Key Elimination::keyOf(unsigned bucket,
                                    const std::vector<Factor> &factors) const {
  Key key;
  for (unsigned node : scopeOf(bucket))
    key.push_back(tree.problem->numValues(node));
  for (const Factor &factor : factors) {
    key.push_back(reinterpret_cast<uintptr_t>(factor.table.get()));
    key.insert(key.end(), factor.positions.begin(), factor.positions.end());
  }
  return key;
}

/// The sum of the factors over the scope, row-major.
std::vector<Cost>
Elimination::jointOf(unsigned bucket,
                     const std::vector<Factor> &factors) const {
  std::vector<size_t> sizes;
  size_t entries = 1;
  for (unsigned node : scopeOf(bucket)) {
    sizes.push_back(tree.problem->numValues(node));
    entries *= sizes.back();
  }
  size_t inner = sizes.back(), rank = sizes.size();
  std::vector<Cost> joint(entries, 0);
  for (const Factor &factor : factors) {
    std::vector<size_t> strides(rank, 0), at(rank, 0);
    size_t stride = 1;
    for (size_t i = factor.positions.size(); i-- > 0;) {
      strides[factor.positions[i]] = stride;
      stride *= sizes[factor.positions[i]];
    }
    const Cost *table = factor.table->data();
    size_t offset = 0, step = strides[rank - 1];
    for (size_t entry = 0; entry < entries; entry += inner) {
      Cost *out = joint.data() + entry;
      for (size_t v = 0; v < inner; ++v) {
        Cost cost = table[offset + v * step];
        out[v] = out[v] >= kForbidden || cost >= kForbidden ? kForbidden
                                                            : out[v] + cost;
      }
      for (size_t i = rank - 1; i-- > 0;) { // counts like an odometer
        offset += strides[i];
        if (++at[i] < sizes[i])
          break;
        offset -= sizes[i] * strides[i];
        at[i] = 0;
      }
    }
  }
  return joint;
}

bool Elimination::run(Deadline deadline) {
  for (unsigned bucket = 0; bucket < tree.buckets.size(); ++bucket) {
    std::vector<Factor> factors = factorsOf(bucket);
    auto [entry, isNew] = messageMemo.try_emplace(keyOf(bucket, factors));
    Message &message = entry->second;
    if (isNew) {
      if (isOver(deadline))
        return false;
      std::vector<Cost> joint = jointOf(bucket, factors);
      size_t inner = tree.problem->numValues(tree.buckets[bucket].node);
      std::vector<Cost> best(joint.size() / inner);
      for (size_t i = 0; i < best.size(); ++i) {
        auto row = joint.begin() + static_cast<Cost>(i * inner);
        best[i] = *std::min_element(row, row + static_cast<Cost>(inner));
      }
      message.least = *std::min_element(best.begin(), best.end());
      if (message.least < kForbidden)
        for (Cost &cost : best)
          cost = cost >= kForbidden ? kForbidden : cost - message.least;
      message.table = pool.intern(std::move(best));
    }
    messages[bucket] = message.table;
    if (message.least >= kForbidden) {
      total = kForbidden;
      return true;
    }
    leasts[bucket] = message.least;
    total += message.least;
  }
  return true;
}

Choice Elimination::choice() const {
  Choice choice(tree.buckets.size());
  for (unsigned bucket = static_cast<unsigned>(tree.buckets.size());
       bucket-- > 0;) {
    std::vector<unsigned> scope = scopeOf(bucket);
    std::vector<Cost> sums(tree.problem->numValues(scope.back()), 0);
    for (const Factor &factor : factorsOf(bucket))
      for (unsigned v = 0; v < sums.size(); ++v) {
        choice[scope.back()] = v;
        size_t entry = 0;
        for (unsigned position : factor.positions)
          entry = entry * tree.problem->numValues(scope[position]) +
                  choice[scope[position]];
        Cost cost = (*factor.table)[entry];
        sums[v] = sums[v] >= kForbidden || cost >= kForbidden ? kForbidden
                                                              : sums[v] + cost;
      }
    choice[scope.back()] = static_cast<unsigned>(
        std::min_element(sums.begin(), sums.end()) - sums.begin());
  }
  return choice;
}

bool Elimination::runOutside(Deadline deadline) {
  for (unsigned bucket = static_cast<unsigned>(tree.buckets.size());
       bucket-- > 0;) {
    const EliminationTree::Bucket &it = tree.buckets[bucket];
    if (it.separator.empty())
      outsides[bucket] = pool.intern({0});
    std::vector<Factor> factors = factorsOf(bucket);
    // What is outside is a factor of the separator.
    Factor &outside = factors.emplace_back();
    outside.table = outsides[bucket];
    for (unsigned i = 0; i < it.separator.size(); ++i)
      outside.positions.push_back(i);
    auto [entry, isNew] = outsideMemo.try_emplace(keyOf(bucket, factors));
    Outside &result = entry->second;
    if (isNew) {
      if (isOver(deadline))
        return false;
      std::vector<Cost> joint = jointOf(bucket, factors);
      std::vector<unsigned> scope = scopeOf(bucket);
      // Every bucket's minimum is that of all; set aside, messages to the
      // outside repeat as those to the inside do.
      Cost overall = *std::min_element(joint.begin(), joint.end());
      /// The minimum over all but some dimensions, less a table of theirs.
      auto project = [&](const std::vector<unsigned> &positions,
                         const CostTable &less) {
        size_t size = 1;
        std::vector<size_t> strides(scope.size(), 0), at(scope.size(), 0);
        for (size_t i = positions.size(); i-- > 0;) {
          strides[positions[i]] = size;
          size *= tree.problem->numValues(scope[positions[i]]);
        }
        std::vector<Cost> least(size, kForbidden);
        size_t offset = 0;
        for (Cost cost : joint) {
          least[offset] = std::min(least[offset], cost);
          for (size_t i = scope.size(); i-- > 0;) {
            offset += strides[i];
            size_t values = tree.problem->numValues(scope[i]);
            if (++at[i] < values)
              break;
            offset -= values * strides[i];
            at[i] = 0;
          }
        }
        for (size_t i = 0; i < size; ++i)
          if (least[i] < kForbidden)
            least[i] -= overall + (less ? (*less)[i] : 0);
        return pool.intern(std::move(least));
      };
      result.marginal =
          project({static_cast<unsigned>(scope.size() - 1)}, nullptr);
      size_t first = factors.size() - 1 - it.children.size();
      for (size_t i = 0; i < it.children.size(); ++i)
        result.children.push_back(
            project(factors[first + i].positions, factors[first + i].table));
    }
    marginals[bucket] = result.marginal;
    for (size_t i = 0; i < it.children.size(); ++i)
      outsides[it.children[i]] = result.children[i];
  }
  return true;
}

std::vector<Cost> Elimination::joint(unsigned bucket) const {
  std::vector<Cost> joint = jointOf(bucket, factorsOf(bucket));
  for (Cost &cost : joint)
    if (cost < kForbidden)
      cost -= leasts[bucket];
  return joint;
}
