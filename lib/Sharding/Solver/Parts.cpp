//===- Parts.cpp - Problems that hang together by few nodes ---------------===//

#include "Parts.h"
#include "ClassElimination.h"
#include "Presolve.h"
#include <algorithm>
#include <atomic>
#include <thread>

using namespace tpc::solver;

namespace {

/// Buckets with more entries are left to others.
constexpr size_t maxEntries = size_t(1) << 29;
/// Rounds in which costs move.
constexpr unsigned maxRounds = 40;

/// One part with its copies of shared nodes.
struct Part {
  Problem problem;
  /// By node of the part, the node of the whole, and back.
  std::vector<unsigned> whole;
  std::vector<unsigned> own;
  Choice choice;
  WideCost cost = 0;
  /// What the reductions left of it.
  ProblemSize size;
  /// Reduced around the shared nodes, whose costs move there.
  std::optional<Presolved> reduced;
};

class PartsSolver {
public:
  PartsSolver(const Problem &problem, Deadline deadline)
      : problem(problem), deadline(deadline) {}

  std::optional<ExactResult> run(ProblemSize &size);

private:
  static constexpr unsigned kNone = UINT32_MAX;

  template <typename Fn> bool forEachPart(Fn fn);
  void split();
  bool solveAlone(Part &part);
  /// By shared node and value.
  using Marginals = std::vector<std::vector<Cost>>;
  bool reduce(Part &part);
  std::optional<std::vector<Marginals>> solveMoved();
  bool moveCosts(const std::vector<Marginals> &marginals, Cost share);
  void step(WideCost distance);
  /// Where the ascent of the bound stands.
  struct Ascent {
    WideCost bound;
    std::vector<Marginals> marginals;
    std::vector<std::vector<std::vector<Cost>>> costs; ///< sharedCosts()
    std::vector<Choice> choices;
  };
  std::vector<std::vector<std::vector<Cost>>> sharedCosts() const;
  void restore(const Ascent &ascent);
  bool agree() const;
  bool agreeOn(unsigned node) const;
  void offer(const Part &leader, ExactResult &result);
  void follow(const Part &leader, ExactResult &result);

  const Problem &problem;
  Deadline deadline;
  std::vector<Part> parts;
  std::vector<unsigned> shared;
};

} // namespace

/// Calls `fn` with every part, on as many threads as there are cores; whether
/// all calls returned true. Parts have nothing in common.
template <typename Fn> bool PartsSolver::forEachPart(Fn fn) {
  std::atomic<size_t> next = 0;
  std::atomic<bool> ok = true;
  auto work = [&] {
    for (size_t i = next++; i < parts.size(); i = next++)
      if (!fn(i))
        ok = false;
  };
  size_t cores = std::max(1u, std::thread::hardware_concurrency());
  std::vector<std::thread> threads(std::min(cores, parts.size()) - 1);
  for (std::thread &thread : threads)
    thread = std::thread(work);
  work();
  for (std::thread &thread : threads)
    thread.join();
  return ok;
}

void PartsSolver::split() {
  unsigned count = 1;
  auto partOf = [&](unsigned node) {
    return problem.parts.empty() ? 0 : problem.parts[node];
  };
  for (unsigned node = 0; node < problem.nodes.size(); ++node)
    if (partOf(node) == Problem::kShared)
      shared.push_back(node);
    else
      count = std::max(count, partOf(node) + 1);
  parts.resize(count);
  for (Part &part : parts)
    part.own.assign(problem.nodes.size(), kNone);
  auto ownOf = [&](Part &part, unsigned node) {
    if (part.own[node] == kNone) {
      part.own[node] = static_cast<unsigned>(part.whole.size());
      part.whole.push_back(node);
      Node copy;
      copy.costs = problem.nodes[node].costs;
      part.problem.nodes.push_back(std::move(copy));
    }
    return part.own[node];
  };
  for (unsigned node = 0; node < problem.nodes.size(); ++node)
    if (partOf(node) != Problem::kShared)
      ownOf(parts[partOf(node)], node);
  for (const Edge &edge : problem.edges) {
    unsigned part = std::min(partOf(edge.from), partOf(edge.to));
    // Two shared nodes belong to the first part.
    Part &into = parts[part == Problem::kShared ? 0 : part];
    unsigned from = ownOf(into, edge.from), to = ownOf(into, edge.to);
    into.problem.edges.push_back({from, to, edge.costs});
  }
  // A shared node's own costs count in the first part that has it.
  for (unsigned node : shared) {
    bool counted = false;
    for (Part &part : parts) {
      if (&part == &parts.back() && !counted)
        ownOf(part, node);
      if (part.own[node] == kNone)
        continue;
      if (counted)
        for (Cost &cost : part.problem.nodes[part.own[node]].costs)
          cost = cost >= kForbidden ? kForbidden : 0;
      counted = true;
    }
  }
}

bool PartsSolver::solveAlone(Part &part) {
  Presolved presolved = presolve(part.problem, deadline);
  if (presolved.infeasible)
    return false;
  part.size = {presolved.problem.nodes.size(), presolved.problem.numValues()};
  ClassResult result =
      eliminateByClasses(presolved.problem, maxEntries, deadline);
  if (result.outcome != ClassResult::Solved)
    return false;
  part.choice = presolved.expand(result.choice);
  part.cost = price(part.problem, part.choice).cost;
  return true;
}

bool PartsSolver::agreeOn(unsigned node) const {
  std::optional<unsigned> value;
  for (const Part &part : parts) {
    if (part.own[node] == kNone)
      continue;
    unsigned chosen = part.choice[part.own[node]];
    if (value.value_or(chosen) != chosen)
      return false;
    value = chosen;
  }
  return true;
}

bool PartsSolver::agree() const {
  return std::all_of(shared.begin(), shared.end(),
                     [&](unsigned node) { return agreeOn(node); });
}

/// The choice in which `leader` decides about what is shared.
void PartsSolver::offer(const Part &leader, ExactResult &result) {
  Choice choice(problem.nodes.size(), 0);
  auto copy = [&](const Part &part) {
    for (unsigned node = 0; node < part.whole.size(); ++node)
      choice[part.whole[node]] = part.choice[node];
  };
  for (const Part &part : parts)
    copy(part);
  copy(leader);
  Price offered = price(problem, choice);
  if (offered.feasible &&
      (result.choice.empty() || offered.cost < result.cost)) {
    result.choice = std::move(choice);
    result.cost = offered.cost;
  }
}

/// The others make the best of what `leader` decided.
void PartsSolver::follow(const Part &leader, ExactResult &result) {
  std::vector<Part> before = parts;
  for (size_t i = 0; i < parts.size(); ++i) {
    Part &part = parts[i];
    if (&part == &leader)
      continue;
    for (unsigned node : shared)
      if (part.own[node] != kNone && leader.own[node] != kNone) {
        std::vector<Cost> &costs = part.problem.nodes[part.own[node]].costs;
        unsigned kept = leader.choice[leader.own[node]];
        for (unsigned v = 0; v < costs.size(); ++v)
          if (v != kept)
            costs[v] = kForbidden;
      }
    if (!solveAlone(part)) {
      parts = std::move(before);
      return;
    }
  }
  offer(leader, result);
  parts = std::move(before);
}

/// Reduces a part, but for the shared nodes.
bool PartsSolver::reduce(Part &part) {
  std::vector<char> keep(part.whole.size(), 0);
  for (unsigned node : shared)
    if (part.own[node] != kNone)
      keep[part.own[node]] = 1;
  part.reduced = presolve(part.problem, deadline, keep);
  return !part.reduced->infeasible;
}

/// Solves the parts with costs as they have moved; returns the marginals of
/// the shared nodes by part, node and value, or nothing if the time is up.
std::optional<std::vector<PartsSolver::Marginals>> PartsSolver::solveMoved() {
  std::vector<Marginals> marginals(parts.size());
  bool solved = forEachPart([&](size_t index) {
    Part &part = parts[index];
    if (!part.reduced && !reduce(part))
      return false;
    const Problem &reduced = part.reduced->problem;
    ClassResult result = eliminateByClasses(reduced, maxEntries, deadline,
                                            /*withMarginals=*/true);
    if (result.outcome != ClassResult::Solved)
      return false;
    part.cost = part.reduced->constant + price(reduced, result.choice).cost;
    part.choice = part.reduced->expand(result.choice);
    Marginals &own = marginals[index];
    own.resize(problem.nodes.size());
    for (unsigned node : shared)
      if (part.own[node] != kNone)
        own[node] =
            std::move(result.marginals[*part.reduced->find(part.own[node])]);
    return true;
  });
  if (!solved)
    return std::nullopt;
  return marginals;
}

/// Moves a share (one over `share`) of what the marginals differ by between the
/// copies of the nodes that the parts disagree on: to move all would be to pay
/// for one disagreement many times over.
bool PartsSolver::moveCosts(const std::vector<Marginals> &marginals,
                            Cost share) {
  bool anyMoved = false;
  for (unsigned node : shared) {
    if (agreeOn(node))
      continue;
    std::vector<size_t> owners;
    for (size_t i = 0; i < parts.size(); ++i)
      if (parts[i].own[node] != kNone)
        owners.push_back(i);
    auto count = static_cast<Cost>(owners.size());
    for (unsigned v = 0; v < problem.numValues(node); ++v) {
      Cost sum = 0;
      bool allowed = true;
      for (size_t i : owners) {
        Cost marginal = marginals[i][node][v];
        allowed &= marginal < kForbidden;
        sum += allowed ? marginal : 0;
      }
      Cost left = 0;
      for (size_t i : owners) {
        Presolved &reduced = *parts[i].reduced;
        Cost &cost =
            reduced.problem.nodes[*reduced.find(parts[i].own[node])].costs[v];
        if (!allowed) {
          cost = kForbidden;
          continue;
        }
        Cost moved = (sum / count - marginals[i][node][v]) / share;
        // What rounding leaves goes to the last.
        if (i == owners.back())
          moved = -left;
        anyMoved |= moved != 0;
        left += moved;
        cost += moved;
      }
    }
  }
  return anyMoved;
}

/// Where marginals tell nothing (ties): a step along the subgradient, after
/// Polyak as long as the distance between bound and best choice says. What the
/// one chose becomes dearer for it and cheaper for the other.
void PartsSolver::step(WideCost distance) {
  size_t disagreements = 0;
  for (unsigned node : shared)
    disagreements += !agreeOn(node);
  if (disagreements == 0)
    return;
  auto length = std::max<Cost>(
      1, static_cast<Cost>(distance / static_cast<Cost>(2 * disagreements)));
  auto costOf = [&](Part &part, unsigned node) -> std::vector<Cost> & {
    unsigned index = *part.reduced->find(part.own[node]);
    return part.reduced->problem.nodes[index].costs;
  };
  for (unsigned node : shared) {
    if (agreeOn(node))
      continue;
    Part *first = nullptr;
    for (Part &part : parts) {
      if (part.own[node] == kNone)
        continue;
      if (!first) {
        first = &part;
        continue;
      }
      unsigned a = first->choice[first->own[node]],
               b = part.choice[part.own[node]];
      if (a == b || costOf(*first, node)[b] >= kForbidden ||
          costOf(part, node)[a] >= kForbidden)
        continue;
      costOf(*first, node)[a] += length;
      costOf(part, node)[a] -= length;
      costOf(*first, node)[b] -= length;
      costOf(part, node)[b] += length;
    }
  }
}

std::optional<ExactResult> PartsSolver::run(ProblemSize &size) {
  ExactResult result;
  split();
  if (!forEachPart([&](size_t i) { return solveAlone(parts[i]); }))
    return std::nullopt;
  for (const Part &part : parts) {
    size.nodes += part.size.nodes;
    size.values += part.size.values;
  }
  auto bound = [&] {
    WideCost sum = 0;
    for (const Part &part : parts)
      sum += part.cost;
    return sum;
  };
  auto consider = [&] {
    result.bound = std::max(result.bound, bound());
    if (agree())
      offer(parts[0], result);
    result.proven = !result.choice.empty() && result.cost <= result.bound;
    return result.proven;
  };
  result.bound = bound();
  if (consider())
    return result;
  for (size_t i = 0; i < parts.size(); ++i)
    follow(parts[i], result);
  // Moves are tried from the costs that gave the best bound: by marginals in
  // full, along the subgradient, and both again half as far, until one helps.
  // What helped last comes first.
  std::optional<Ascent> best;
  bool byStep = false, stepsFirst = false;
  for (unsigned round = 0, tries = 0; round < maxRounds; ++round, ++tries) {
    auto marginals = solveMoved();
    if (!marginals || consider())
      return result;
    if (!best || bound() > best->bound) {
      best = {bound(), std::move(*marginals), sharedCosts(), {}};
      for (const Part &part : parts)
        best->choices.push_back(part.choice);
      tries = 0;
      stepsFirst = byStep;
      for (size_t i = 0; i < parts.size(); ++i)
        follow(parts[i], result);
      if (consider())
        return result;
    }
    restore(*best);
    Cost share = Cost(1) << (tries / 2);
    byStep = (tries % 2 == 1) != stepsFirst;
    if (!byStep)
      byStep = !moveCosts(best->marginals, share);
    if (byStep && !result.choice.empty())
      step((result.cost - best->bound) / share);
  }
  return result;
}

std::vector<std::vector<std::vector<Cost>>> PartsSolver::sharedCosts() const {
  std::vector<std::vector<std::vector<Cost>>> costs;
  for (const Part &part : parts) {
    auto &own = costs.emplace_back();
    for (unsigned node : shared)
      own.push_back(
          part.own[node] == kNone
              ? std::vector<Cost>()
              : part.reduced->problem.nodes[*part.reduced->find(part.own[node])]
                    .costs);
  }
  return costs;
}

void PartsSolver::restore(const Ascent &ascent) {
  for (size_t i = 0; i < parts.size(); ++i) {
    Part &part = parts[i];
    part.choice = ascent.choices[i];
    for (size_t k = 0; k < shared.size(); ++k)
      if (part.own[shared[k]] != kNone)
        part.reduced->problem.nodes[*part.reduced->find(part.own[shared[k]])]
            .costs = ascent.costs[i][k];
  }
}

std::optional<ExactResult> tpc::solver::solveParts(const Problem &problem,
                                                   Deadline deadline,
                                                   ProblemSize &size) {
  return PartsSolver(problem, deadline).run(size);
}
