//===- Search.cpp - What is too large to be solved exactly ----------------===//

#include "Search.h"
#include "BranchAndBound.h"
#include "ForestMoves.h"
#include "Presolve.h"
#include <algorithm>
#include <thread>
#include <tuple>

using namespace tpc::solver;

/// The work of the search in the first round, and in any: some milliseconds,
/// some tenths of a second.
static constexpr size_t kFirstWork = 1 << 21, kMostWork = 1 << 27;
/// Passes touch an entry in half the time that moves take.
static constexpr size_t kPassesPerMove = 2;
/// Steps of the ascent before the first choice is sought.
static constexpr unsigned kFirstSteps = 20;
/// Rounds without an improvement of the bound by a part of the gap after which
/// branch and bound takes over, if at most so many values are left.
static constexpr unsigned kPatience = 8;
static constexpr double kImprovement = 0.01;
static constexpr size_t kBranchable = 4000;

namespace {

/// What is known about the problem that search() was given.
struct Known {
  const Problem &problem;
  /// From there to the problem at hand.
  std::vector<Presolved> reductions;
  SearchResult result;

  bool found() const { return !result.choice.empty(); }
  bool closed() const { return found() && result.bound >= result.cost; }

  /// Takes a choice of the problem at hand if it is feasible and better.
  void offer(Choice choice) {
    for (size_t r = reductions.size(); r-- > 0;)
      choice = reductions[r].expand(choice);
    Price priced = price(problem, choice);
    if (!priced.feasible || (found() && priced.cost >= result.cost))
      return;
    result.choice = choice;
    result.cost = priced.cost;
  }

  /// No choice costs less than both `bound` and the best one.
  void raiseBound(WideCost bound) {
    if (found())
      bound = std::min(bound, result.cost);
    result.bound = std::max(result.bound, bound);
  }

  /// The best choice in terms of the problem at hand, as far as possible.
  Choice reduced() const {
    Choice choice = result.choice;
    if (found())
      for (const Presolved &reduction : reductions)
        choice = reduction.reduce(choice);
    return choice;
  }
};

/// One of the problems that follow from each other by presolving.
class Stage {
public:
  /// Costs here are by `constant` lower than those of the first problem.
  Stage(const Problem &problem, WideCost constant, Known &known)
      : problem(problem), constant(constant), known(known),
        flat(problem, target()), ascent(flat), moves(flat, /*seed=*/1) {}

  /// Searches on until bound and cost meet, the time or the rounds are over, or
  /// there is much less to search than at the beginning. A stage `mayBranch` if
  /// presolving again would not help.
  void run(const Choice &start, bool mayBranch, Deadline deadline,
           unsigned &rounds);

  /// The problem without the values that are excluded.
  Problem rest() const;

private:
  std::optional<WideCost> target() const {
    if (!known.found())
      return std::nullopt;
    return known.result.cost - constant;
  }
  void exchange(Deadline deadline);
  void work(size_t amount, Deadline deadline);
  bool isStuck();

  const Problem &problem;
  WideCost constant;
  Known &known;
  FlatProblem flat;
  PriceAscent ascent;
  ForestMoves moves;
  /// In place of the ascent once that is stuck.
  std::optional<BranchAndBound> tree;
  size_t numFixed = 0;
  WideCost lastBound = 0;
  unsigned staleRounds = 0;
};

} // namespace

/// Every node takes the allowed value with the least memory, times its
/// duration.
static Choice leastMemory(const Problem &problem) {
  Choice choice;
  for (const Node &node : problem.nodes) {
    // Forbidden, memory, cost.
    std::vector<std::tuple<bool, WideCost, Cost>> values;
    for (Cost cost : node.costs)
      values.push_back({cost >= kForbidden, 0, cost});
    for (const MemoryUse &use : node.memory)
      if (use.live.begin < use.live.end)
        for (size_t v = 0; v < values.size(); ++v)
          std::get<1>(values[v]) +=
              WideCost(use.bytes[v]) * (use.live.end - use.live.begin);
    choice.push_back(unsigned(std::min_element(values.begin(), values.end()) -
                              values.begin()));
  }
  return choice;
}

/// Tells either side what the other has found.
void Stage::exchange(Deadline deadline) {
  if (moves.found())
    known.offer(moves.best());
  if (tree && !tree->found().empty())
    known.offer(tree->found());
  known.raiseBound(constant +
                   flat.unscaleBound(tree ? tree->bound() : ascent.bound()));
  if (isOver(deadline))
    return;
  if (auto cost = target()) {
    ascent.setTarget(flat.target(*cost));
    if (tree)
      tree->setTarget(flat.target(*cost));
  }
  Choice candidate = tree ? tree->candidate() : ascent.round();
  if (!candidate.empty())
    moves.offer(candidate);
  moves.setPrices(ascent.prices());
}

void Stage::work(size_t amount, Deadline deadline) {
  std::thread other([&] {
    if (tree)
      tree->run(amount * kPassesPerMove, deadline);
    else
      ascent.run(1 + amount * kPassesPerMove / ascent.workOfStep(), deadline);
  });
  moves.run(amount, deadline);
  other.join();
}

/// Whether the bound has not improved for some rounds.
bool Stage::isStuck() {
  WideCost bound = known.result.bound;
  if (!known.found() || problem.numValues() - numFixed > kBranchable)
    return false;
  if (double(bound - lastBound) >
      kImprovement * double(known.result.cost - bound)) {
    lastBound = bound;
    staleRounds = 0;
  }
  return ++staleRounds > kPatience;
}

void Stage::run(const Choice &start, bool mayBranch, Deadline deadline,
                unsigned &rounds) {
  moves.start(start);
  lastBound = known.result.bound;
  ascent.run(kFirstSteps, deadline);
  exchange(deadline);
  for (size_t amount = kFirstWork;
       rounds > 0 && !known.closed() && !isOver(deadline); --rounds) {
    work(amount, deadline);
    exchange(deadline);
    amount = std::min(amount + amount / 4, kMostWork);
    if (tree || known.closed() || isOver(deadline))
      continue;
    numFixed += ascent.fix();
    if (numFixed * 4 > problem.numValues())
      return;
    if (!isStuck())
      continue;
    if (!mayBranch)
      return;
    tree.emplace(problem, flat, ascent);
    tree->setTarget(flat.target(*target()));
  }
}

Problem Stage::rest() const {
  Problem result = problem;
  for (unsigned i = 0; i < result.nodes.size(); ++i)
    for (unsigned v = 0; v < result.nodes[i].costs.size(); ++v)
      if (ascent.messages().isForbidden(i, v))
        result.nodes[i].costs[v] = kForbidden;
  return result;
}

SearchResult tpc::solver::search(const Problem &problem, const Choice &start,
                                 Deadline deadline, unsigned maxRounds) {
  Known known{problem, {}, {}};
  known.result.bound = -(WideCost(1) << 100);
  Choice from = start.empty() ? leastMemory(problem) : start;
  known.offer(from);
  Problem rest = problem;
  WideCost constant = 0;
  bool mayBranch = false;
  while (true) {
    if (isOver(deadline))
      return known.result;
    if (rest.nodes.empty()) {
      // The one choice that is left.
      known.offer({});
      known.raiseBound(constant);
      return known.result;
    }
    Stage stage(rest, constant, known);
    stage.run(from, mayBranch, deadline, maxRounds);
    if (known.closed() || maxRounds == 0)
      return known.result;
    size_t before = rest.numValues();
    Presolved reduced = presolve(stage.rest(), deadline);
    if (reduced.infeasible) {
      // Nothing better is left.
      known.raiseBound(known.result.cost);
      return known.result;
    }
    rest = reduced.problem;
    constant += reduced.constant;
    mayBranch = rest.numValues() * 4 > before * 3;
    known.reductions.push_back(std::move(reduced));
    from = known.reduced();
  }
}
