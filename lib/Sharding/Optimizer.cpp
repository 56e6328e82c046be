//===- Optimizer.cpp - The assignment that takes the least time -----------===//

#include "Optimizer.h"
#include "AxisParts.h"
#include "PinConflicts.h"
#include "tpc/Sharding/PlanFile.h"
#include "tpc/Sharding/Prediction.h"
#include "tpc/Sharding/Solver/Json.h"
#include <chrono>
#include <limits>

using namespace mlir;
using namespace tpc;

/// The problem's costs are whole picoseconds.
static constexpr double kRounding = 1e-6;
static constexpr int kTries = 4;
static constexpr const char *kManyUsers = "values with many users";
static constexpr const char *kAnotherMode = "strategies of another mode";

//===----------------------------------------------------------------------===//
// The problem
//===----------------------------------------------------------------------===//

/// The axes and parts of axes that pins name.
static SmallVector<AxisRef> pinnedAxes(const PinTable &pins) {
  SmallVector<AxisRef> axes;
  for (const Place &place : pins.places())
    for (const Restriction &restriction : place.restrictions)
      forEachAxis(restriction.sharding,
                  [&](const AxisRef &axis) { axes.push_back(axis); });
  return axes;
}

struct Optimizer::Statement {
  Statement(ModuleOp module, const Mesh &mesh, const AssignOptions &options,
            PinTable pinTable)
      : module(module), costs(options.machine, mesh), planner(costs),
        pins(std::move(pinTable)), space(module, planner, pinnedAxes(pins)),
        problem(module, space, planner, pins, options),
        withMemory(module, space, planner, pins, options) {}

  ModuleOp module;
  CostModel costs;
  ReshardPlanner planner;
  PinTable pins;
  StrategySpace space;
  ShardingProblem problem;
  /// Built where the limit binds.
  ShardingProblem withMemory;
  bool isMemoryBuilt = false;
};

Optimizer::Optimizer(const AssignOptions &options) : options(options) {}
Optimizer::~Optimizer() = default;

/// Every axis multiplies the strategies of an operation; with more of them
/// not even the problem is stated in the time that is given.
static LogicalResult checkAxes(ModuleOp module, const Mesh &mesh) {
  constexpr unsigned maxAxes = 6;
  auto found =
      llvm::count_if(mesh.sizes, [](int64_t size) { return size > 1; });
  if (found <= maxAxes)
    return success();
  return module.emitError("mode auto: expected a mesh of at most ")
         << maxAxes << " axes of several devices, found " << found
         << "; write neighbouring axes as one, or choose mode megatron or "
            "propagate";
}

LogicalResult Optimizer::open(ModuleOp module, const Mesh &mesh) {
  if (failed(checkAxes(module, mesh)))
    return failure();
  FailureOr<PinTable> pins = PinTable::read(module, mesh, options.pins);
  if (failed(pins))
    return failure();
  stated = std::make_unique<Statement>(module, mesh, options, std::move(*pins));
  if (failed(checkPlaces(stated->pins, stated->space)))
    return failure();
  return stated->problem.build(/*memory=*/false, allPins());
}

const ShardingProblem &Optimizer::problem() const { return stated->problem; }
StrategySpace &Optimizer::space() { return stated->space; }
ReshardPlanner &Optimizer::planner() { return stated->planner; }

LogicalResult Optimizer::stateWithMemory() {
  if (stated->isMemoryBuilt)
    return success();
  stated->isMemoryBuilt = true;
  return stated->withMemory.build(/*memory=*/true, allPins());
}

llvm::BitVector Optimizer::allPins() const {
  return llvm::BitVector(stated->pins.pins().size(), true);
}

PlanPrice Optimizer::price(const Assignment &assignment) const {
  return priceOf(stated->module, assignment, stated->costs, options);
}

bool Optimizer::fits(const PlanPrice &price) const {
  return !options.memoryLimit || price.peakBytes <= *options.memoryLimit;
}

//===----------------------------------------------------------------------===//
// What else is known
//===----------------------------------------------------------------------===//

Optimizer::Known Optimizer::knownPlans() const {
  ModuleOp module = stated->module;
  ScopedDiagnosticHandler ignore(module->getContext(),
                                 [](Diagnostic &) { return success(); });
  auto plan = [&](std::unique_ptr<Assigner> mode) -> std::optional<Candidate> {
    FailureOr<Assignment> found = mode->assign(module, stated->costs.getMesh());
    if (failed(found))
      return std::nullopt;
    PlanPrice taken = price(*found);
    return Candidate{std::move(*found), taken};
  };
  return {plan(createMegatronAssigner()), plan(createPropagationAssigner())};
}

/// The best of them; within the limit, if that counts.
std::optional<Optimizer::Candidate>
Optimizer::bestKnown(const Known &known, bool withinLimit) const {
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

//===----------------------------------------------------------------------===//
// Problems and answers
//===----------------------------------------------------------------------===//

/// The choice if there is one and it is feasible, else an empty one.
static solver::Choice feasible(const solver::Problem &problem,
                               std::optional<solver::Choice> choice) {
  if (!choice || !solver::price(problem, *choice).feasible)
    return {};
  return std::move(*choice);
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

/// Copies of values with very many users are not in the problem. Where they
/// exceed the limit, a lower one makes room for them; the bound stays.
void Optimizer::keepLimit(const ShardingProblem &problem,
                          solver::Problem tighter,
                          const solver::SolverOptions &solverOptions,
                          solver::SolverResult &result) const {
  for (int tries = 0; !result.choice.empty(); ++tries) {
    PlanPrice taken = price(problem.assignment(result.choice));
    if (fits(taken))
      return;
    *tighter.memoryLimit -= taken.peakBytes - *options.memoryLimit;
    result.choice.clear();
    result.status = solver::Status::Unknown;
    result.limitedBy = kManyUsers;
    if (tries < kTries && *tighter.memoryLimit >= 0)
      result.choice = solver::solve(tighter, solverOptions).choice;
  }
}

/// Solves the problem as it is built; `unlimited` is what was found without
/// memory. Where another mode is better, that is returned: the search was cut
/// off, or what it found is outside of the space.
FailureOr<Optimizer::Candidate> Optimizer::solve(const ShardingProblem &problem,
                                                 const Known &known,
                                                 bool withMemory,
                                                 const Assignment *unlimited) {
  if (!options.dumpProblem.empty())
    if (auto error =
            solver::writeProblem(problem.problem(), options.dumpProblem))
      return stated->module.emitError("dump-problem: ") << *error;
  solver::SolverOptions search;
  search.timeLimit = options.timeLimit;
  std::optional<solver::Choice> megatron;
  if (known.megatron)
    megatron = problem.choice(known.megatron->assignment);
  search.start = bestOf(problem, {problem.replicated(), std::move(megatron)});
  if (unlimited && unlimited->search->gap == 0)
    if (std::optional<solver::Choice> choice = problem.choice(*unlimited))
      search.unlimited = std::move(*choice);
  solver::SolverResult result = solver::solve(problem.problem(), search);
  if (withMemory)
    keepLimit(problem, problem.problem(), search, result);
  if (withMemory && result.status == solver::Status::Infeasible)
    return reportNoneFits();
  std::optional<Candidate> best = bestKnown(known, withMemory);
  if (result.choice.empty() && !best)
    return reportNoneFound(result.status == solver::Status::Infeasible);
  if (!result.choice.empty()) {
    Assignment found = problem.assignment(result.choice);
    PlanPrice taken = price(found);
    if (!best || taken.micros <= best->price.micros * (1 + kRounding))
      best = Candidate{std::move(found), taken};
  }
  best->assignment.search = summary(result, best->price.micros);
  return std::move(*best);
}

FailureOr<Assignment> Optimizer::assign(ModuleOp module, const Mesh &mesh) {
  if (failed(open(module, mesh)))
    return failure();
  if (options.memoryLimit && leastStoredBytes() > *options.memoryLimit)
    return reportNoneFits();
  const Known known = knownPlans();
  FailureOr<Candidate> best =
      solve(stated->problem, known, /*withMemory=*/false);
  if (failed(best))
    return failure();
  if (fits(best->price))
    return std::move(best->assignment);

  if (failed(stateWithMemory()))
    return failure();
  best =
      solve(stated->withMemory, known, /*withMemory=*/true, &best->assignment);
  if (failed(best))
    return failure();
  return std::move(best->assignment);
}

Optimizer::Answer Optimizer::bestUnder(const SearchDemands &demands,
                                       double timeLimit,
                                       const Assignment *near) {
  solver::SolverOptions search;
  search.timeLimit = timeLimit;
  auto answer = [&](const ShardingProblem &problem,
                    const solver::SolverResult &result,
                    Answer::Kind infeasible) -> Answer {
    if (result.status == solver::Status::Infeasible)
      return {infeasible};
    if (result.choice.empty())
      return {Answer::OutOfTime};
    Assignment found = problem.assignment(result.choice);
    PlanPrice taken = price(found);
    found.search = summary(result, taken.micros);
    bool isProven = found.search->gap == 0;
    return {Answer::Found, Candidate{std::move(found), taken}, isProven};
  };
  auto problem = stated->problem.under(demands);
  if (!problem)
    return {Answer::Impossible};
  if (near)
    search.start = feasible(*problem, stated->problem.nearest(*problem, *near));
  Answer unlimited = answer(stated->problem, solver::solve(*problem, search),
                            Answer::Impossible);
  if (unlimited.kind != Answer::Found || fits(unlimited.best->price))
    return unlimited;

  if (failed(stateWithMemory()))
    return {Answer::OutOfTime};
  problem = stated->withMemory.under(demands);
  if (near)
    search.start =
        feasible(*problem, stated->withMemory.nearest(*problem, *near));
  solver::SolverResult result = solver::solve(*problem, search);
  keepLimit(stated->withMemory, std::move(*problem), search, result);
  return answer(stated->withMemory, result, Answer::TooLarge);
}

//===----------------------------------------------------------------------===//
// What cannot be assigned
//===----------------------------------------------------------------------===//

LogicalResult Optimizer::reportNoneFound(bool isProven) const {
  auto error = stated->module.emitError("no assignment found that fits into ");
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

LogicalResult Optimizer::reportNoneFits() {
  llvm::BitVector conflict = memoryConflict(allPins());
  if (conflict.none())
    return reportNoneFound(/*isProven=*/true);
  return reportMemoryConflict(stated->module, stated->pins, conflict,
                              *options.memoryLimit);
}

/// What parameters and states take on one device at least, as pinned.
int64_t Optimizer::leastStoredBytes() const {
  const PinTable &pins = stated->pins;
  const Mesh &mesh = stated->costs.getMesh();
  llvm::BitVector all = allPins();
  int64_t sum = 0;
  for (const Place &place : pins.places()) {
    if (place.kind != Place::Parameter && place.kind != Place::State)
      continue;
    ArrayRef<int64_t> shape = place.type.getShape();
    int64_t least = std::numeric_limits<int64_t>::max();
    for (const Sharding &sharding :
         pins.candidates(place, stated->space.storedShardings(shape)))
      if (pins.allows(place, sharding, all))
        least = std::min(least, tensorBytes(localType(
                                    withSharding(place.type, sharding), mesh)));
    sum += least;
  }
  return sum;
}

/// The pins that leave no assignment within the memory limit, fewest; none if
/// there is none without pins either. `all` must leave none. Searches no
/// longer than the optimizer may.
llvm::BitVector Optimizer::memoryConflict(const llvm::BitVector &all) {
  using Clock = std::chrono::steady_clock;
  auto begin = Clock::now();
  ShardingProblem &problem = stated->withMemory;
  return smallestConflict(all, [&](const llvm::BitVector &active) {
    std::chrono::duration<double> spent = Clock::now() - begin;
    // What contradicts shows soon; that nothing does may take long.
    return spent.count() < options.timeLimit &&
           succeeded(problem.build(/*memory=*/true, active)) &&
           solver::findFeasible(problem.problem(), options.timeLimit / 20)
                   .status == solver::Status::Infeasible;
  });
}

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
