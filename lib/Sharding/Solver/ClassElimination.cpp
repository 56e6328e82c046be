//===- ClassElimination.cpp - Elimination over classes of values ----------===//

#include "ClassElimination.h"
#include "Buckets.h"
#include "Tables.h"
#include <algorithm>
#include <map>
#include <queue>
#include <set>

using namespace tpc::solver;

namespace {

/// What is left of a bucket, with nodes by their position in its scope.
struct Message {
  std::vector<unsigned> positions;
  std::vector<Partition> partitions;
  CostTable table;
  Cost least = 0;
};

/// Partitions and tables by content, and what was computed from them.
class Classes {
public:
  CostTable intern(std::vector<Cost> &&values) {
    return pool.intern(std::move(values));
  }
  size_t count(const Partition &partition) {
    auto [it, fresh] = counts.try_emplace(partition.get(), 0);
    if (fresh)
      it->second = numClasses(partition);
    return it->second;
  }
  /// The coarsest partition that is finer than both.
  Partition refine(const Partition &a, const Partition &b) {
    if (a == b)
      return a;
    Partition &result = refined[{a.get(), b.get()}];
    if (!result) {
      std::map<std::pair<Cost, Cost>, Cost> number;
      std::vector<Cost> classes;
      for (size_t v = 0; v < a->size(); ++v)
        classes.push_back(number.try_emplace({(*a)[v], (*b)[v]}, number.size())
                              .first->second);
      result = intern(std::move(classes));
    }
    return result;
  }

private:
  VectorPool pool;
  std::unordered_map<const void *, size_t> counts;
  std::map<std::pair<const void *, const void *>, Partition> refined;
};

/// A table over `sizes` with the slices of each dimension that are equal
/// merged. Returns the partition of each dimension; 1 entry where all slices
/// are equal.
std::vector<std::vector<Cost>> mergeSlices(std::vector<Cost> &table,
                                           std::vector<size_t> &sizes) {
  std::vector<std::vector<Cost>> partitions;
  for (size_t dim = 0; dim < sizes.size(); ++dim) {
    size_t size = sizes[dim], inner = 1, outer = 1;
    for (size_t i = 0; i < dim; ++i)
      outer *= sizes[i];
    for (size_t i = dim + 1; i < sizes.size(); ++i)
      inner *= sizes[i];
    std::vector<uint64_t> hashes(size, 0);
    for (size_t o = 0; o < outer; ++o)
      for (size_t s = 0; s < size; ++s)
        hashes[s] = hashes[s] * 0x9E3779B97F4A7C15u +
                    hashOf(table.data() + (o * size + s) * inner, inner);
    auto equal = [&](size_t a, size_t b) {
      for (size_t o = 0; o < outer; ++o)
        if (!std::equal(table.begin() + (o * size + a) * inner,
                        table.begin() + (o * size + a + 1) * inner,
                        table.begin() + (o * size + b) * inner))
          return false;
      return true;
    };
    std::vector<size_t> kept;
    std::vector<Cost> &partition = partitions.emplace_back();
    for (size_t s = 0; s < size; ++s) {
      size_t match = 0;
      while (match < kept.size() &&
             !(hashes[kept[match]] == hashes[s] && equal(kept[match], s)))
        ++match;
      if (match == kept.size())
        kept.push_back(s);
      partition.push_back(match);
    }
    if (kept.size() == size)
      continue;
    size_t at = 0;
    for (size_t o = 0; o < outer; ++o)
      for (size_t s : kept) {
        std::copy_n(table.begin() + (o * size + s) * inner, inner,
                    table.begin() + at);
        at += inner;
      }
    table.resize(at);
    sizes[dim] = kept.size();
  }
  return partitions;
}

class ClassEliminator {
public:
  ClassEliminator(const Problem &problem, size_t maxEntries, Deadline deadline)
      : problem(problem), maxEntries(maxEntries), deadline(deadline),
        touching(problem.nodes.size()), weights(problem.nodes.size(), 0) {}

  ClassResult run(bool withMarginals);

private:
  /// The factors of a bucket, and its scope: other nodes ascending, the node
  /// that is eliminated last, with the classes that all factors respect.
  struct Bucket {
    unsigned node;
    std::vector<unsigned> factors;
    std::vector<unsigned> scope;
    std::vector<Partition> partitions;
    unsigned message = kNone; ///< the factor that came of it
  };
  static constexpr unsigned kNone = UINT32_MAX;
  using Key = std::vector<uintptr_t>;
  /// What is outside of a bucket's messages, by factor (null for others), and
  /// the marginal of its node by class.
  struct OutsideTable {
    std::vector<Partition> partitions;
    CostTable table;
  };
  struct Outside {
    std::vector<OutsideTable> children;
    CostTable marginal;
    Partition partition; ///< of the bucket's node
  };
  /// Classes of a scope; `isFine` if they tell apart what the buckets of its
  /// messages do.
  struct FineScope {
    std::vector<Partition> partitions;
    bool isFine;
  };
  static constexpr size_t maxFineEntries = size_t(1) << 18;

  void addFactor(Factor factor, std::vector<Partition> fine = {});
  bool isMessage(unsigned factor) const {
    return !finePartitions[factor].empty();
  }
  void addFactors();
  void push(unsigned node);
  Bucket bucketOf(unsigned node);
  Message compute(const Bucket &bucket);
  const Message &messageOf(const Bucket &bucket);
  FineScope fineScope(const Bucket &bucket);
  Outside computeOutside(const Bucket &bucket, const FineScope &fine);
  std::vector<std::vector<Cost>> findMarginals(const std::vector<Bucket> &done);
  Key keyOf(const Bucket &bucket) const;
  void decide(const Bucket &bucket, Choice &choice) const;

  const Problem &problem;
  size_t maxEntries;
  Deadline deadline;
  Classes classes;
  std::vector<Factor> factors;
  /// Of factors that are messages: the classes of their buckets.
  std::vector<std::vector<Partition>> finePartitions;
  /// Factors that touch a node, and the entries of its bucket.
  std::vector<std::set<unsigned>> touching;
  std::vector<double> weights;
  using Item = std::pair<double, unsigned>;
  std::priority_queue<Item, std::vector<Item>, std::greater<>> queue;

  struct KeyHash {
    size_t operator()(const Key &key) const {
      return hashOf(reinterpret_cast<const int64_t *>(key.data()), key.size());
    }
  };
  std::unordered_map<Key, Message, KeyHash> memo;
  std::unordered_map<Key, Outside, KeyHash> outsideMemo;
  /// By factor that is a message.
  std::vector<OutsideTable> outsides;
  std::unordered_map<Key, std::pair<std::vector<Partition>, CostTable>, KeyHash>
      compressed;
};

} // namespace

//===----------------------------------------------------------------------===//
// Factors
//===----------------------------------------------------------------------===//

void ClassEliminator::addFactor(Factor factor, std::vector<Partition> fine) {
  for (unsigned node : factor.nodes)
    touching[node].insert(static_cast<unsigned>(factors.size()));
  factors.push_back(std::move(factor));
  finePartitions.push_back(std::move(fine));
}

void ClassEliminator::addFactors() {
  auto add = [&](std::vector<unsigned> nodes, const std::vector<Cost> &costs,
                 const Key &key) {
    auto [it, fresh] = compressed.try_emplace(key);
    auto &[partitions, table] = it->second;
    if (fresh) {
      std::vector<Cost> values = costs;
      std::vector<size_t> sizes;
      for (unsigned node : nodes)
        sizes.push_back(problem.numValues(node));
      for (Cost &cost : values)
        cost = std::min(cost, kForbidden);
      for (std::vector<Cost> &partition : mergeSlices(values, sizes))
        partitions.push_back(classes.intern(std::move(partition)));
      table = classes.intern(std::move(values));
    }
    addFactor({std::move(nodes), partitions, table});
  };
  for (unsigned node = 0; node < problem.nodes.size(); ++node) {
    CostTable costs =
        classes.intern(std::vector<Cost>(problem.nodes[node].costs));
    add({node}, *costs, {reinterpret_cast<uintptr_t>(costs.get())});
  }
  for (const Edge &edge : problem.edges) {
    size_t rows = problem.numValues(edge.from),
           columns = problem.numValues(edge.to);
    Key key{reinterpret_cast<uintptr_t>(edge.costs.get()), rows,
            edge.from < edge.to};
    if (edge.from < edge.to) {
      add({edge.from, edge.to}, *edge.costs, key);
      continue;
    }
    std::vector<Cost> turned(edge.costs->size());
    for (size_t r = 0; r < rows; ++r)
      for (size_t c = 0; c < columns; ++c)
        turned[c * rows + r] = (*edge.costs)[r * columns + c];
    add({edge.to, edge.from}, turned, key);
  }
}

//===----------------------------------------------------------------------===//
// Buckets
//===----------------------------------------------------------------------===//

ClassEliminator::Bucket ClassEliminator::bucketOf(unsigned node) {
  Bucket bucket{node, {touching[node].begin(), touching[node].end()}, {}, {}};
  std::map<unsigned, Partition> partitions;
  for (unsigned factor : bucket.factors)
    for (size_t i = 0; i < factors[factor].nodes.size(); ++i) {
      Partition &known = partitions[factors[factor].nodes[i]];
      const Partition &own = factors[factor].partitions[i];
      known = known ? classes.refine(known, own) : own;
    }
  for (const auto &[other, partition] : partitions)
    if (other != node) {
      bucket.scope.push_back(other);
      bucket.partitions.push_back(partition);
    }
  bucket.scope.push_back(node);
  bucket.partitions.push_back(partitions[node]);
  return bucket;
}

void ClassEliminator::push(unsigned node) {
  double entries = 1;
  for (const Partition &partition : bucketOf(node).partitions)
    entries *= static_cast<double>(classes.count(partition));
  weights[node] = entries;
  queue.emplace(entries, node);
}

Message ClassEliminator::compute(const Bucket &bucket) {
  BucketLoop loop(bucket.scope, bucket.partitions);
  for (unsigned index : bucket.factors)
    loop.add(factors[index]);
  std::vector<Cost> best = leastSums(loop);
  Message message;
  message.least = *std::min_element(best.begin(), best.end());
  if (message.least >= kForbidden)
    return message;
  for (Cost &cost : best)
    cost = cost >= kForbidden ? kForbidden : cost - message.least;
  std::vector<size_t> sizes = loop.sizes;
  std::vector<std::vector<Cost>> merged = mergeSlices(best, sizes);
  for (size_t i = 0; i < sizes.size(); ++i) {
    if (sizes[i] == 1)
      continue; // does not matter any more
    std::vector<Cost> partition;
    for (Cost old : *bucket.partitions[i])
      partition.push_back(merged[i][old]);
    message.positions.push_back(static_cast<unsigned>(i));
    message.partitions.push_back(classes.intern(std::move(partition)));
  }
  message.table = classes.intern(std::move(best));
  return message;
}

/// The classes over which costs outside of the messages to a bucket are kept.
/// What a message does not tell apart its bucket may: the values of one class
/// of the message can cost differently outside, and only with a dear choice
/// inside. So the bucket's own classes are used, unless that is too much.
ClassEliminator::FineScope ClassEliminator::fineScope(const Bucket &bucket) {
  FineScope coarse{bucket.partitions, false};
  auto refineBy = [&](FineScope &scope, const std::vector<unsigned> &nodes,
                      const std::vector<Partition> &partitions) {
    for (size_t k = 0; k < nodes.size(); ++k) {
      size_t position =
          std::find(bucket.scope.begin(), bucket.scope.end(), nodes[k]) -
          bucket.scope.begin();
      Partition &partition = scope.partitions[position];
      partition = classes.refine(partition, partitions[k]);
    }
  };
  if (bucket.message != kNone)
    refineBy(coarse, factors[bucket.message].nodes,
             outsides[bucket.message].partitions);
  FineScope fine{coarse.partitions, true};
  for (unsigned index : bucket.factors)
    if (isMessage(index))
      refineBy(fine, factors[index].nodes, finePartitions[index]);
  double entries = 1;
  for (const Partition &partition : fine.partitions)
    entries *= static_cast<double>(classes.count(partition));
  return entries > static_cast<double>(maxFineEntries) ? coarse : fine;
}

/// From the costs outside of a bucket to those outside of the messages that
/// went into it, and the marginal of its node.
ClassEliminator::Outside
ClassEliminator::computeOutside(const Bucket &bucket, const FineScope &fine) {
  BucketLoop loop(bucket.scope, fine.partitions);
  for (unsigned index : bucket.factors)
    loop.add(factors[index]);
  size_t own = bucket.factors.size();
  // Where the costs outside of each message go.
  BucketLoop targets(bucket.scope, fine.partitions);
  std::vector<Factor> children;
  std::vector<std::vector<Cost>> tables;
  for (unsigned index : bucket.factors) {
    if (!isMessage(index))
      continue;
    Factor &child = children.emplace_back(factors[index]);
    if (fine.isFine)
      child.partitions = finePartitions[index];
    size_t size = 1;
    for (const Partition &partition : child.partitions)
      size *= classes.count(partition);
    tables.emplace_back(size, kForbidden);
    targets.add(child);
  }
  if (bucket.message != kNone)
    loop.add({factors[bucket.message].nodes,
              outsides[bucket.message].partitions,
              outsides[bucket.message].table});
  std::vector<Cost> marginal(loop.inner, kForbidden), sums(loop.inner);
  for (size_t entry = 0; entry < loop.outer;
       ++entry, loop.next(), targets.next()) {
    loop.sum(sums);
    for (size_t v = 0; v < loop.inner; ++v)
      marginal[v] = std::min(marginal[v], sums[v]);
    for (size_t i = 0, t = 0; i < own; ++i) {
      if (!isMessage(bucket.factors[i]))
        continue;
      const BucketLoop::Operand &operand = loop.operands[i];
      const BucketLoop::Operand &target = targets.operands[t];
      std::vector<Cost> &table = tables[t++];
      for (size_t v = 0; v < loop.inner; ++v) {
        if (sums[v] >= kForbidden)
          continue;
        Cost &least = table[target.at + target.inner[v]];
        least = std::min(
            least, sums[v] - operand.table[operand.at + operand.inner[v]]);
      }
    }
  }
  Outside result;
  Cost least = *std::min_element(marginal.begin(), marginal.end());
  auto overLeast = [&](std::vector<Cost> &&table) {
    for (Cost &cost : table)
      cost = cost >= kForbidden ? kForbidden : cost - least;
    return classes.intern(std::move(table));
  };
  result.marginal = overLeast(std::move(marginal));
  result.partition = fine.partitions.back();
  for (size_t i = 0, t = 0; i < own; ++i) {
    result.children.emplace_back();
    if (!isMessage(bucket.factors[i]))
      continue;
    result.children.back() = {children[t].partitions,
                              overLeast(std::move(tables[t]))};
    ++t;
  }
  return result;
}

ClassEliminator::Key ClassEliminator::keyOf(const Bucket &bucket) const {
  Key key;
  for (const Partition &partition : bucket.partitions)
    key.push_back(reinterpret_cast<uintptr_t>(partition.get()));
  for (unsigned index : bucket.factors) {
    const Factor &factor = factors[index];
    key.push_back(reinterpret_cast<uintptr_t>(factor.table.get()));
    for (size_t i = 0; i < factor.nodes.size(); ++i) {
      key.push_back(reinterpret_cast<uintptr_t>(factor.partitions[i].get()));
      key.push_back(
          std::find(bucket.scope.begin(), bucket.scope.end(), factor.nodes[i]) -
          bucket.scope.begin());
    }
  }
  return key;
}

const Message &ClassEliminator::messageOf(const Bucket &bucket) {
  auto [it, fresh] = memo.try_emplace(keyOf(bucket));
  if (fresh)
    it->second = compute(bucket);
  return it->second;
}

/// By node, from the last bucket to the first.
std::vector<std::vector<Cost>>
ClassEliminator::findMarginals(const std::vector<Bucket> &done) {
  std::vector<std::vector<Cost>> marginals(problem.nodes.size());
  outsides.resize(factors.size());
  for (size_t i = done.size(); i-- > 0;) {
    const Bucket &bucket = done[i];
    FineScope fine = fineScope(bucket);
    Key key = keyOf(bucket);
    auto addPointer = [&](const CostTable &table) {
      key.push_back(reinterpret_cast<uintptr_t>(table.get()));
    };
    for (const Partition &partition : fine.partitions)
      addPointer(partition);
    key.push_back(fine.isFine);
    for (unsigned index : bucket.factors) {
      key.push_back(isMessage(index));
      if (isMessage(index))
        for (const Partition &partition : finePartitions[index])
          addPointer(partition);
    }
    if (bucket.message != kNone) {
      addPointer(outsides[bucket.message].table);
      for (const Partition &partition : outsides[bucket.message].partitions)
        addPointer(partition);
    }
    auto [it, fresh] = outsideMemo.try_emplace(std::move(key));
    if (fresh)
      it->second = computeOutside(bucket, fine);
    for (size_t f = 0; f < bucket.factors.size(); ++f)
      if (isMessage(bucket.factors[f]))
        outsides[bucket.factors[f]] = it->second.children[f];
    for (Cost of : *it->second.partition)
      marginals[bucket.node].push_back((*it->second.marginal)[of]);
  }
  return marginals;
}

/// The best value of the bucket's node, given the others'.
void ClassEliminator::decide(const Bucket &bucket, Choice &choice) const {
  Cost best = 0;
  std::optional<unsigned> chosen;
  for (unsigned v = 0; v < problem.numValues(bucket.node); ++v) {
    choice[bucket.node] = v;
    Cost sum = 0;
    for (unsigned index : bucket.factors) {
      const Factor &factor = factors[index];
      size_t entry = 0;
      for (size_t i = 0; i < factor.nodes.size(); ++i)
        entry = entry * numClasses(factor.partitions[i]) +
                (*factor.partitions[i])[choice[factor.nodes[i]]];
      Cost cost = (*factor.table)[entry];
      sum = sum >= kForbidden || cost >= kForbidden ? kForbidden : sum + cost;
    }
    if (!chosen || sum < best) {
      best = sum;
      chosen = v;
    }
  }
  choice[bucket.node] = *chosen;
}

ClassResult ClassEliminator::run(bool withMarginals) {
  addFactors();
  for (unsigned node = 0; node < problem.nodes.size(); ++node)
    push(node);
  std::vector<Bucket> done;
  std::vector<char> gone(problem.nodes.size(), 0);
  while (!queue.empty()) {
    auto [weight, node] = queue.top();
    queue.pop();
    if (gone[node] || weight != weights[node])
      continue;
    if (weight > static_cast<double>(maxEntries) || isOver(deadline))
      return {};
    gone[node] = 1;
    Bucket bucket = bucketOf(node);
    const Message &message = messageOf(bucket);
    if (message.least >= kForbidden)
      return {ClassResult::Infeasible, {}, {}};
    for (unsigned index : bucket.factors)
      for (unsigned other : factors[index].nodes)
        touching[other].erase(index);
    if (!message.positions.empty()) {
      Factor factor{{}, message.partitions, message.table};
      std::vector<Partition> fine;
      for (unsigned position : message.positions) {
        factor.nodes.push_back(bucket.scope[position]);
        fine.push_back(bucket.partitions[position]);
      }
      bucket.message = static_cast<unsigned>(factors.size());
      addFactor(std::move(factor), std::move(fine));
    }
    for (unsigned other : bucket.scope)
      if (other != node)
        push(other);
    done.push_back(std::move(bucket));
  }
  ClassResult result{ClassResult::Solved, Choice(problem.nodes.size(), 0), {}};
  for (size_t i = done.size(); i-- > 0;)
    decide(done[i], result.choice);
  if (withMarginals)
    result.marginals = findMarginals(done);
  return result;
}

ClassResult tpc::solver::eliminateByClasses(const Problem &problem,
                                            size_t maxEntries,
                                            Deadline deadline,
                                            bool withMarginals) {
  return ClassEliminator(problem, maxEntries, deadline).run(withMarginals);
}
