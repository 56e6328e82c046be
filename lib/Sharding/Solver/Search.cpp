//===- Search.cpp - What is too large to be solved exactly ----------------===//

#include "Search.h"
#include "ForestMoves.h"
#include "BranchAndBound.h"
#include "Presolve.h"
#include "PriceAscent.h"
#include <algorithm>
#include <thread>

using namespace tpc::solver;

/// The work of the search in the first round and in any; some milliseconds and
/// some tenths of a second.
static constexpr size_t kFirstWork = 1 << 21, kMostWork = 1 << 27;
/// Passes touch an entry in half the time that moves take.
static constexpr size_t kPassesPerMove = 2;

namespace {

/// The best choice so far, of the problem that search() was given.
struct Best {
  const Problem &problem;
  SearchResult result;

  bool found() const { return !result.choice.empty(); }

  /// Takes the choice if it is feasible and better.
  void offer(const Choice &choice) {
    Price priced = price(problem, choice);
    if (!priced.feasible || (found() && priced.cost >= result.cost))
      return;
    result.choice = choice;
    result.cost = priced.cost;
  }
};

} // namespace

/// Without the values that the bound has excluded.
static Problem withoutForbidden(const Problem &problem, const Bound &bound) {
  Problem result = problem;
  for (unsigned i = 0; i < result.nodes.size(); ++i)
    for (unsigned v = 0; v < result.nodes[i].costs.size(); ++v)
      if (bound.isForbidden(i, v))
        result.nodes[i].costs[v] = kForbidden;
  return result;
}

namespace {

/// One problem of those that follow from each other by presolving.
class Stage {
public:
  Stage(const Problem &problem, WideCost constant)
      : problem(problem), constant(constant), flat(problem), ascent(flat),
        moves(flat, /*seed=*/1) {}

  /// Searches on until the deadline, or the bound meets the cost, or there is
  /// much less to search than at the beginning.
  template <typename Expand>
  void run(Best &best, const Choice &start, const Expand &expand,
           Deadline deadline, unsigned &rounds) {
    if (!start.empty())
      moves.start(start);
    ascent.run(20, deadline);
    for (size_t work = kFirstWork; rounds > 0 && !isOver(deadline); --rounds) {
      setTarget(best);
      moves.offer(tree&&!tree->candidate().empty()?tree->candidate():ascent.round());
      moves.setPrices(ascent.prices());
      std::thread other(
          [&] { if(tree) tree->run(work*kPassesPerMove,deadline); else ascent.run(std::max<size_t>(1, work * kPassesPerMove / ascent.workOfStep()), deadline); });
      moves.run(work, deadline);
      other.join();
      work = std::min(work + work / 4, kMostWork);

      if (moves.found())
        best.offer(expand(moves.best()));
      setTarget(best);
      if(tree) tree->setTarget(flat.scale(best.result.cost - constant));
      WideCost bound = flat.unscaleBound(tree?tree->bound():ascent.bound()) + constant;
      if (best.found())
        bound = std::min(bound, best.result.cost);
      best.result.bound = std::max(best.result.bound, bound);
      if(getenv("TR")) fprintf(stderr,"%.2f round %u cost %s bound %s gap %.3f%% steps %u/%zu fixed %zu of %zu\n",secondsSince(t0),rounds,toString(best.result.cost).c_str(),toString(best.result.bound).c_str(),best.found()?100*(1-double(best.result.bound)/double(best.result.cost)):100.0,ascent.steps,moves.steps,numFixed,problem.numValues());
      if (best.found() && best.result.bound >= best.result.cost)
        return;
      if(tree) { if(getenv("TR")) fprintf(stderr,"tree nodes %zu open %zu\n",tree->nodes,tree->open.size()); continue; }
      numFixed += ascent.fix();
      if (numFixed * 4 > problem.numValues())
        return;
      // no progress
      if(best.found()&&problem.numValues()-numFixed<4000 && double(bound-last)<0.01*double(best.result.cost-bound)){ if(++stuck>=8) tree.emplace(flat,ascent),tree->setTarget(flat.scale(best.result.cost - constant)); } else stuck=0,last=bound;
    }
  }
  WideCost last=-(WideCost(1)<<100);int stuck=0;
  std::optional<BranchAndBound> tree;

  Problem rest() const { return withoutForbidden(problem, ascent.messages()); }
  static inline Clock::time_point t0=Clock::now();

private:
  void setTarget(const Best &best) {
    if (best.found())
      ascent.setTarget(flat.scale(best.result.cost - constant));
  }

  const Problem &problem;
  WideCost constant;
  FlatProblem flat;
  PriceAscent ascent;
  ForestMoves moves;
  size_t numFixed = 0;
};

} // namespace

SearchResult tpc::solver::search(const Problem &problem, const Choice &start,
                                 Deadline deadline, unsigned maxRounds) {
  Best best{problem, {}};
  best.result.bound = -(WideCost(1) << 100);
  std::vector<Presolved> reductions;
  auto expand = [&](Choice choice) {
    for (size_t r = reductions.size(); r-- > 0;)
      choice = reductions[r].expand(choice);
    return choice;
  };
  Problem rest = problem;
  WideCost constant = 0;
  Choice from = start;
  while (true) {
    Stage stage(rest, constant);
    stage.run(best, from, expand, deadline, maxRounds);
    if ((best.found() && best.result.bound >= best.result.cost) ||
        isOver(deadline) || maxRounds == 0)
      return best.result;
    reductions.push_back(presolve(stage.rest(), deadline));
    const Presolved &last = reductions.back();
    if (last.infeasible) {
      // Nothing better is left.
      best.result.bound = best.result.cost;
      return best.result;
    }
    constant += last.constant;
    rest = last.problem;
    if(getenv("TR")) fprintf(stderr,"presolved again: %zu nodes %zu values\n",rest.nodes.size(),rest.numValues());
    from = best.result.choice;
    for (const Presolved &reduction : reductions)
      if (!from.empty())
        from = reduction.reduce(from);
  }
}
