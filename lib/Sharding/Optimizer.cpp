//===- Optimizer.cpp - The assignment that takes the least time -----------===//
//
// States the choice as a problem, solves it, and reads the assignment off the
// solution. Memory is left out at first: if the best assignment keeps the
// limit anyhow, it is the best of all. Only otherwise memory enters the
// problem, with the copies that resharding makes.
//
//===----------------------------------------------------------------------===//

#include "PinConflicts.h"
#include "ShardingProblem.h"
#include "tpc/Sharding/PlanFile.h"
#include "tpc/Sharding/Prediction.h"
#include "tpc/Sharding/Solver/Json.h"
#include "tpc/Sharding/Solver/Solver.h"
#include <chrono>
#include <limits>
#include <map>

using namespace mlir;
using namespace tpc;

namespace {

class Optimizer : public Assigner {
public:
  explicit Optimizer(const AssignOptions &options) : options(options) {}

  FailureOr<Assignment> assign(ModuleOp module, const Mesh &mesh) override {
    if (failed(checkAxes(module, mesh)))
      return failure();
    CostModel costs(options.machine, mesh);
    ReshardPlanner planner(costs);
    StrategySpace space(module, planner);
    FailureOr<PinTable> pins = PinTable::read(module, mesh, options.pins);
    if (failed(pins) || failed(checkPlaces(*pins, space)))
      return failure();
    ShardingProblem problem(module, space, planner, *pins, options);
    llvm::BitVector all(pins->pins().size(), true);
    if (failed(problem.build(/*withMemory=*/false, all)))
      return failure();
    if (options.memoryLimit &&
        leastStoredBytes(*pins, space, mesh) > *options.memoryLimit)
      return reportNoneFits(problem, *pins, module);
    const Known known = knownPlans(module, costs);
    FailureOr<Candidate> best =
        solve(problem, module, costs, known, /*withMemory=*/false, {});
    if (failed(best))
      return failure();
    if (fits(best->price))
      return std::move(best->assignment);

    if (failed(problem.build(/*withMemory=*/true, all)))
      return failure();
    // What fits at all is found, or not, much sooner than what is best.
    solver::SolverResult fitting =
        solveWithoutCosts(problem, options.timeLimit / 4);
    if (fitting.status == solver::Status::Infeasible)
      return reportNoneFits(problem, *pins, module);
    best = solve(problem, module, costs, known, /*withMemory=*/true,
                 std::move(fitting.choice));
    if (failed(best))
      return failure();
    return std::move(best->assignment);
  }

private:
  /// Every axis multiplies the strategies of an operation; with more of them
  /// not even the problem is stated in the time that is given.
  static constexpr unsigned maxAxes = 6;
  static LogicalResult checkAxes(ModuleOp module, const Mesh &mesh) {
    auto found =
        llvm::count_if(mesh.sizes, [](int64_t size) { return size > 1; });
    if (found <= maxAxes)
      return success();
    return module.emitError("mode auto: expected a mesh of at most ")
           << maxAxes << " axes of several devices, found " << found
           << "; write neighbouring axes as one, or choose mode megatron or "
              "propagate";
  }

  /// What an assignment takes.
  struct Predicted {
    double micros = 0; ///< of all entries, by their weights
    int64_t peakBytes = 0;
  };
  struct Candidate {
    Assignment assignment;
    Predicted price;
  };

  Predicted price(ModuleOp module, const Assignment &assignment,
                  const CostModel &costs) const {
    Predicted sum;
    for (const EntryPrediction &entry : predict(module, assignment, costs)) {
      sum.micros += options.weightOf(entry.entry) * entry.micros();
      sum.peakBytes = std::max(sum.peakBytes, entry.peakBytes);
    }
    return sum;
  }
  bool fits(const Predicted &price) const {
    return !options.memoryLimit || price.peakBytes <= *options.memoryLimit;
  }

  /// What the other modes find, if they find anything.
  struct Known {
    std::optional<Candidate> megatron, propagation;
  };
  Known knownPlans(ModuleOp module, const CostModel &costs) const {
    ScopedDiagnosticHandler ignore(module->getContext(),
                                   [](Diagnostic &) { return success(); });
    auto plan =
        [&](std::unique_ptr<Assigner> mode) -> std::optional<Candidate> {
      FailureOr<Assignment> found = mode->assign(module, costs.getMesh());
      if (failed(found))
        return std::nullopt;
      Predicted taken = price(module, *found, costs);
      return Candidate{std::move(*found), taken};
    };
    return {plan(createMegatronAssigner()), plan(createPropagationAssigner())};
  }

  /// The best of them; within the limit, if that counts.
  std::optional<Candidate> bestKnown(const Known &known,
                                     bool withinLimit) const {
    // Pins from outside are not theirs to keep.
    if (!options.pins.empty())
      return std::nullopt;
    std::optional<Candidate> best;
    for (const auto *plan : {&known.megatron, &known.propagation})
      if (*plan && (!withinLimit || fits((*plan)->price)) &&
          (!best || (*plan)->price.micros < best->price.micros))
        best = *plan;
    return best;
  }

  /// Solves the problem as it is built; `start` may be empty. Where another
  /// mode is better, that is returned: the search was cut off, or what it found
  /// is outside of the space.
  FailureOr<Candidate> solve(const ShardingProblem &problem, ModuleOp module,
                             const CostModel &costs, const Known &known,
                             bool withMemory, solver::Choice start) {
    if (!options.dumpProblem.empty())
      if (auto error =
              solver::writeProblem(problem.problem(), options.dumpProblem))
        return module.emitError("dump-problem: ") << *error;
    solver::SolverOptions search;
    search.timeLimit = options.timeLimit;
    std::optional<solver::Choice> megatron;
    if (known.megatron)
      megatron = problem.choice(known.megatron->assignment);
    search.start = bestOf(
        problem, {std::move(start), problem.replicated(), std::move(megatron)});
    solver::SolverResult result = solver::solve(problem.problem(), search);
    if (withMemory)
      keepLimit(problem, module, costs, search, result);
    std::optional<Candidate> best = bestKnown(known, withMemory);
    if (result.choice.empty() && !best)
      return reportNoneFound(module,
                             result.status == solver::Status::Infeasible);
    if (!result.choice.empty()) {
      Assignment found = problem.assignment(result.choice);
      Predicted taken = price(module, found, costs);
      if (!best || taken.micros <= best->price.micros * (1 + kRounding))
        best = Candidate{std::move(found), taken};
    }
    best->assignment.search = summary(result, best->price.micros);
    return std::move(*best);
  }

  /// Copies of values with very many users are not in the problem. Where they
  /// exceed the limit, a lower one makes room for them; the bound stays.
  void keepLimit(const ShardingProblem &problem, ModuleOp module,
                 const CostModel &costs,
                 const solver::SolverOptions &solverOptions,
                 solver::SolverResult &result) const {
    solver::Problem tighter;
    for (int tries = 0; !result.choice.empty(); ++tries) {
      Predicted taken = price(module, problem.assignment(result.choice), costs);
      if (fits(taken))
        return;
      if (tries == 0)
        tighter = problem.problem();
      *tighter.memoryLimit -= taken.peakBytes - *options.memoryLimit;
      result.choice.clear();
      result.status = solver::Status::Unknown;
      result.limitedBy = kManyUsers;
      if (tries < kTries && *tighter.memoryLimit >= 0)
        result.choice = solver::solve(tighter, solverOptions).choice;
    }
  }

  /// The cheapest feasible one of some choices; empty if there is none.
  static solver::Choice
  bestOf(const ShardingProblem &problem,
         std::vector<std::optional<solver::Choice>> choices) {
    solver::Choice best;
    solver::WideCost cost = 0;
    for (std::optional<solver::Choice> &choice : choices) {
      if (!choice || choice->size() != problem.problem().nodes.size())
        continue;
      solver::Price price = solver::price(problem.problem(), *choice);
      if (!price.feasible || (!best.empty() && price.cost >= cost))
        continue;
      best = std::move(*choice);
      cost = price.cost;
    }
    return best;
  }

  LogicalResult reportNoneFound(ModuleOp module, bool isProven) const {
    auto error = module.emitError("no assignment found that fits into ");
    if (options.memoryLimit)
      error << *options.memoryLimit << " bytes on each device";
    else
      error << "the time limit";
    if (isProven)
      error << ", and there is none; use more devices, or allow more memory";
    else
      error << " within " << options.timeLimit
            << " seconds; allow more time or memory";
    return error;
  }

  LogicalResult reportNoneFits(ShardingProblem &problem, const PinTable &pins,
                               ModuleOp module) const {
    llvm::BitVector conflict =
        memoryConflict(problem, llvm::BitVector(pins.pins().size(), true));
    if (conflict.none())
      return reportNoneFound(module, /*isProven=*/true);
    return reportMemoryConflict(module, pins, conflict, *options.memoryLimit);
  }

  /// What parameters and states take on one device at least, as pinned.
  static int64_t leastStoredBytes(const PinTable &pins,
                                  const StrategySpace &space,
                                  const Mesh &mesh) {
    llvm::BitVector all(pins.pins().size(), true);
    int64_t sum = 0;
    for (const Place &place : pins.places()) {
      if (place.kind != Place::Parameter && place.kind != Place::State)
        continue;
      ArrayRef<int64_t> shape = place.type.getShape();
      int64_t least = std::numeric_limits<int64_t>::max();
      for (const Sharding &sharding :
           pins.candidates(place, space.storedShardings(shape)))
        if (pins.allows(place, sharding, all))
          least = std::min(
              least,
              tensorBytes(localType(withSharding(place.type, sharding), mesh)));
      sum += least;
    }
    return sum;
  }

  /// The pins that leave no assignment within the memory limit, fewest; none if
  /// there is none without pins either. `all` must leave none. Searches no
  /// longer than the optimizer may.
  llvm::BitVector memoryConflict(ShardingProblem &problem,
                                 const llvm::BitVector &all) const {
    using Clock = std::chrono::steady_clock;
    auto begin = Clock::now();
    return smallestConflict(all, [&](const llvm::BitVector &active) {
      std::chrono::duration<double> spent = Clock::now() - begin;
      // What contradicts shows soon; that nothing does may take long.
      return spent.count() < options.timeLimit &&
             succeeded(problem.build(/*withMemory=*/true, active)) &&
             solveWithoutCosts(problem, options.timeLimit / 20).status ==
                 solver::Status::Infeasible;
    });
  }

  /// Whether any choice is feasible, and one that is.
  static solver::SolverResult solveWithoutCosts(const ShardingProblem &problem,
                                                double timeLimit) {
    solver::SolverOptions search;
    search.timeLimit = timeLimit;
    return solver::solve(withoutCosts(problem.problem()), search);
  }

  /// Every choice that is not forbidden costs nothing.
  static solver::Problem withoutCosts(solver::Problem problem) {
    auto strip = [](std::vector<solver::Cost> costs) {
      for (solver::Cost &cost : costs)
        cost = cost < solver::kForbidden ? 0 : solver::kForbidden;
      return costs;
    };
    std::map<const std::vector<solver::Cost> *, solver::CostTable> stripped;
    for (solver::Node &node : problem.nodes)
      node.costs = strip(std::move(node.costs));
    for (solver::Edge &edge : problem.edges) {
      solver::CostTable &table = stripped[edge.costs.get()];
      if (!table)
        table = std::make_shared<std::vector<solver::Cost>>(strip(*edge.costs));
      edge.costs = table;
    }
    return problem;
  }

  /// `micros` is what the returned assignment takes, which is the problem's
  /// cost up to rounding but where a value has very many users.
  static SearchSummary summary(const solver::SolverResult &result,
                               double micros) {
    SearchSummary search;
    bool isInfeasible = result.status == solver::Status::Infeasible;
    double bound = isInfeasible ? 0 : double(result.bound) / 1e6;
    search.costMicros = micros;
    search.lowerBoundMicros = std::min(bound, micros);
    search.limitedBy = isInfeasible ? kAnotherMode : result.limitedBy;
    if (result.status == solver::Status::Optimal) {
      double rounding = kRounding * std::max(micros, 1.0);
      if (micros < bound - rounding)
        search.limitedBy = kAnotherMode;
      else if (micros <= bound + rounding)
        search.lowerBoundMicros = micros;
      else
        search.limitedBy = kManyUsers;
    }
    search.gap = micros > 0 ? (micros - search.lowerBoundMicros) / micros : 0;
    search.nodes = result.before.nodes;
    search.strategies = result.before.values;
    search.reducedNodes = result.after.nodes;
    search.reducedStrategies = result.after.values;
    return search;
  }

  /// The problem's costs are whole picoseconds.
  static constexpr double kRounding = 1e-6;
  static constexpr int kTries = 4;
  static constexpr const char *kManyUsers = "values with many users";
  static constexpr const char *kAnotherMode = "strategies of another mode";

  AssignOptions options;
};

} // namespace

std::unique_ptr<Assigner> tpc::createOptimizer(const AssignOptions &options) {
  return std::make_unique<Optimizer>(options);
}

std::unique_ptr<Assigner> tpc::createAssigner(const AssignOptions &options) {
  if (options.plan)
    return createPlanAssigner(options);
  if (options.mode == "auto")
    return createOptimizer(options);
  if (options.mode == "megatron")
    return createMegatronAssigner();
  if (options.mode == "propagate")
    return createPropagationAssigner();
  return nullptr;
}

std::string tpc::assignmentModes() { return "auto, megatron, propagate"; }

//===----------------------------------------------------------------------===//
// The summary as an attribute
//===----------------------------------------------------------------------===//

/// Calls `fn` with the name of every number of a summary and the number.
template <typename Summary, typename Fn>
static void forEachNumber(Summary &summary, Fn fn) {
  fn("cost_us", summary.costMicros);
  fn("lower_bound_us", summary.lowerBoundMicros);
  fn("gap", summary.gap);
  fn("nodes", summary.nodes);
  fn("strategies", summary.strategies);
  fn("reduced_nodes", summary.reducedNodes);
  fn("reduced_strategies", summary.reducedStrategies);
}

void tpc::setSearchSummary(ModuleOp module, const SearchSummary &summary) {
  Builder builder(module.getContext());
  NamedAttrList attributes;
  forEachNumber(summary, [&](StringRef name, auto number) {
    if constexpr (std::is_integral_v<decltype(number)>)
      attributes.set(name, builder.getI64IntegerAttr(number));
    else
      attributes.set(name, builder.getF64FloatAttr(number));
  });
  attributes.set("limited_by", builder.getStringAttr(summary.limitedBy));
  module->setAttr(kSearchAttrName,
                  attributes.getDictionary(builder.getContext()));
}

std::optional<SearchSummary> tpc::searchSummary(ModuleOp module) {
  auto attributes = module->getAttrOfType<DictionaryAttr>(kSearchAttrName);
  if (!attributes)
    return std::nullopt;
  SearchSummary summary;
  forEachNumber(summary, [&](StringRef name, auto &number) {
    if constexpr (std::is_integral_v<std::decay_t<decltype(number)>>) {
      if (auto value = attributes.getAs<IntegerAttr>(name))
        number = value.getInt();
    } else if (auto value = attributes.getAs<FloatAttr>(name)) {
      number = value.getValueAsDouble();
    }
  });
  if (auto text = attributes.getAs<StringAttr>("limited_by"))
    summary.limitedBy = text.str();
  return summary;
}
