//===- Optimizer.cpp - The assignment that takes the least time -----------===//
//
// States the choice as a problem, solves it, and reads the assignment off the
// solution. Memory is left out at first: if the best assignment keeps the
// limit anyhow, it is the best of all. Only otherwise memory enters the
// problem, with the copies that resharding makes.
//
//===----------------------------------------------------------------------===//

#include "ShardingProblem.h"
#include "tpc/Sharding/Prediction.h"
#include "tpc/Sharding/Solver/Json.h"
#include "tpc/Sharding/Solver/Solver.h"

using namespace mlir;
using namespace tpc;

namespace {

class Optimizer : public Assigner {
public:
  explicit Optimizer(const AssignOptions &options) : options(options) {}

  FailureOr<Assignment> assign(ModuleOp module, const Mesh &mesh) override {
    CostModel costs(options.machine, mesh);
    ReshardPlanner planner(costs);
    StrategySpace space(module, planner);
    ShardingProblem problem(module, space, planner, options);
    FailureOr<Assignment> best =
        solve(problem, module, costs, /*withMemory=*/false);
    if (failed(best) || fits(price(module, *best, costs)))
      return best;
    return solve(problem, module, costs, /*withMemory=*/true);
  }

private:
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

  /// The best that the other modes find within the limit, if they find any.
  std::optional<Candidate> ruleBased(ModuleOp module, const CostModel &costs,
                                     bool withinLimit) const {
    ScopedDiagnosticHandler ignore(module->getContext(),
                                   [](Diagnostic &) { return success(); });
    std::optional<Candidate> best;
    for (auto create : {createMegatronAssigner, createPropagationAssigner}) {
      FailureOr<Assignment> known = create()->assign(module, costs.getMesh());
      if (failed(known))
        continue;
      Predicted taken = price(module, *known, costs);
      if (withinLimit && !fits(taken))
        continue;
      if (!best || taken.micros < best->price.micros)
        best = Candidate{std::move(*known), taken};
    }
    return best;
  }

  /// The best assignment; that of another mode where it is better: the search
  /// was cut off, or it is outside of the space.
  FailureOr<Assignment> solve(ShardingProblem &problem, ModuleOp module,
                              const CostModel &costs, bool withMemory) {
    if (failed(problem.build(withMemory)))
      return failure();
    if (!options.dumpProblem.empty())
      if (auto error =
              solver::writeProblem(problem.problem(), options.dumpProblem))
        return module.emitError("dump-problem: ") << *error;
    solver::SolverOptions solverOptions;
    solverOptions.timeLimit = options.timeLimit;
    solver::SolverResult result =
        solver::solve(problem.problem(), solverOptions);
    if (withMemory)
      keepLimit(problem, module, costs, solverOptions, result);
    std::optional<Candidate> best = ruleBased(module, costs, withMemory);
    if (result.choice.empty() && !best)
      return nothingFound(module, result);
    if (!result.choice.empty()) {
      Assignment found = problem.assignment(result.choice);
      Predicted taken = price(module, found, costs);
      if (!best || taken.micros <= best->price.micros * (1 + kRounding))
        best = Candidate{std::move(found), taken};
    }
    best->assignment.search = summary(result, best->price.micros);
    return std::move(best->assignment);
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

  LogicalResult nothingFound(ModuleOp module,
                             const solver::SolverResult &result) const {
    auto error = module.emitError("no assignment found that fits into ");
    if (options.memoryLimit)
      error << *options.memoryLimit << " bytes on each device";
    else
      error << "the time limit";
    if (result.status == solver::Status::Infeasible)
      error << ", and there is none; use more devices, or allow more memory";
    else
      error << " within " << options.timeLimit
            << " seconds; allow more time or memory";
    return failure();
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
