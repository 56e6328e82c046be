//===- PlanAssigner.cpp - Follows a plan file -----------------------------===//

#include "Optimizer.h"
#include "PinTable.h"
#include "PlanMatcher.h"
#include "ShardingText.h"
#include "StrategySpace.h"
#include "tpc/Sharding/PlanFile.h"
#include "tpc/Sharding/Prediction.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"

using namespace mlir;
using namespace tpc;

namespace {

class PlanAssigner : public Assigner {
public:
  explicit PlanAssigner(const AssignOptions &options) : options(options) {}

  FailureOr<Assignment> assign(ModuleOp module, const Mesh &mesh) override {
    std::string error;
    auto fail = [&]() -> LogicalResult {
      return module.emitError("plan \"")
             << options.plan->name << "\": " << error;
    };
    std::optional<PlanContent> content = readPlan(options.plan->text, error);
    if (!content)
      return fail();
    std::optional<MatchedPlan> matched =
        matchPlan(*content, module, mesh, error);
    if (!matched)
      return fail();
    if (!matched->missing.empty())
      return complete(module, mesh, *matched);
    Assignment assignment = assignmentOf(module, matched->demands);
    if (!isKept(module, mesh, assignment, error))
      return fail();
    return assignment;
  }

private:
  /// Searches for what has no line, around what has one.
  FailureOr<Assignment> complete(ModuleOp module, const Mesh &mesh,
                                 const MatchedPlan &plan) const {
    AssignOptions search = options;
    search.plan.reset();
    Optimizer optimizer(search);
    if (failed(optimizer.open(module, mesh)))
      return failure();
    Optimizer::Answer answer =
        optimizer.bestUnder(plan.demands, options.timeLimit);
    if (answer.best)
      return std::move(answer.best->assignment);
    auto error = module.emitError("plan \"")
                 << options.plan->name << "\": " << plan.missing.size()
                 << " decisions have no line (the first is "
                 << plan.missing.front() << "), and ";
    if (answer.kind == Optimizer::Answer::TooLarge)
      error << "no choice of them fits into " << *options.memoryLimit
            << " bytes on each device";
    else if (answer.kind == Optimizer::Answer::Impossible)
      error << "mode auto, which searches for them, does not know the "
               "shardings of all that have one; keep all lines";
    else
      error << "none was found in " << options.timeLimit << " seconds";
    return error;
  }

  static Assignment assignmentOf(ModuleOp module,
                                 const SearchDemands &decided) {
    Assignment result;
    result.symbols = decided.symbols;
    result.held = decided.held;
    result.again = decided.again;
    result.resentAgain = decided.resentAgain;
    for (auto function : module.getOps<func::FuncOp>())
      for (Operation &op : function.getBody().front()) {
        auto &wanted = result.wanted[&op];
        if (auto read = dyn_cast<ReadOp>(op)) {
          result.held[read.getResult()] =
              decided.symbols.lookup(read.getSymbolAttr().getAttr());
        } else if (auto write = dyn_cast<WriteOp>(op)) {
          wanted.push_back(
              decided.symbols.lookup(write.getSymbolAttr().getAttr()));
        } else if (isa<func::ReturnOp>(op)) {
          for (unsigned i = 0; i < op.getNumOperands(); ++i) {
            StringAttr like = heldLike(function, i);
            wanted.push_back(like ? decided.symbols.lookup(like)
                                  : decided.returned.lookup({&op, i}));
          }
        } else {
          const OpShardings &shardings = decided.strategies.find(&op)->second;
          wanted = shardings.operands;
          for (auto [value, sharding] :
               llvm::zip_equal(op.getResults(), shardings.results))
            result.held[value] = sharding;
        }
      }
    return result;
  }

  /// Whether operations are local under the plan, and pins and limit kept.
  bool isKept(ModuleOp module, const Mesh &mesh, const Assignment &assignment,
              std::string &error) const {
    CostModel costs(options.machine, mesh);
    ReshardPlanner planner(costs);
    StrategySpace space(module, planner);
    for (auto function : module.getOps<func::FuncOp>())
      for (Operation &op : function.getBody().front())
        if (!isLocal(&op, assignment, space, error))
          return false;
    FailureOr<PinTable> pins = PinTable::read(module, mesh, options.pins);
    if (failed(pins)) {
      error = "the pins cannot be compared with it";
      return false;
    }
    return keepsPins(*pins, assignment, error) &&
           keepsLimit(module, assignment, costs, error);
  }

  static bool isLocal(Operation *op, const Assignment &assignment,
                      StrategySpace &space, std::string &error) {
    if (isa<ReadOp, WriteOp, func::ReturnOp>(op))
      return true;
    OpShardings shardings;
    shardings.operands = assignment.wanted.lookup(op);
    for (Value result : op->getResults())
      shardings.results.push_back(assignment.held.lookup(result));
    bool isGood = isa<ShardOp>(op)
                      ? shardings.operands[0] == shardings.results[0]
                      : isa<ShardingRuleOpInterface>(op) &&
                            space.price(op, std::move(shardings)).has_value();
    if (!isGood)
      error = "operation " + describe(op) + " (" +
              op->getName().getStringRef().str() +
              ") cannot be computed on blocks of these shardings";
    return isGood;
  }

  static bool keepsPins(const PinTable &pins, const Assignment &assignment,
                        std::string &error) {
    for (const Place &place : pins.places()) {
      Sharding held = heldAt(place, assignment);
      for (const Restriction &restriction : place.restrictions) {
        llvm::BitVector one(pins.pins().size());
        one.set(restriction.pin);
        if (pins.allows(place, held, one))
          continue;
        error = "it holds " + place.text + " as " + shardingText(held) +
                ", which " + pins.pins()[restriction.pin].text +
                " does not allow";
        return false;
      }
    }
    return true;
  }

  static Sharding heldAt(const Place &place, const Assignment &assignment) {
    auto function = dyn_cast<func::FuncOp>(place.op);
    switch (place.kind) {
    case Place::Parameter:
    case Place::State:
      return assignment.symbols.lookup(SymbolTable::getSymbolName(place.op));
    case Place::Argument:
      return assignment.held.lookup(function.getArgument(place.index));
    case Place::Result:
      return assignment.wanted.find(function.getBody().front().getTerminator())
          ->second[place.index];
    case Place::Shard:
      return assignment.held.lookup(place.op->getResult(0));
    }
    llvm_unreachable("unknown place");
  }

  bool keepsLimit(ModuleOp module, const Assignment &assignment,
                  const CostModel &costs, std::string &error) const {
    if (!options.memoryLimit)
      return true;
    for (const EntryPrediction &entry : predict(module, assignment, costs))
      if (entry.peakBytes > *options.memoryLimit) {
        error = "entry @" + entry.entry + " takes " +
                std::to_string(entry.peakBytes) +
                " bytes on each device, the limit is " +
                std::to_string(*options.memoryLimit);
        return false;
      }
    return true;
  }

  AssignOptions options;
};

} // namespace

FailureOr<PlanText> tpc::readPlanFile(StringRef path, std::string &error) {
  constexpr uint64_t kMostBytes = uint64_t(64) << 20;
  llvm::sys::fs::file_status status;
  auto fail = [&](const Twine &message) {
    error = ("plan \"" + path + "\": " + message).str();
    return failure();
  };
  if (std::error_code code = llvm::sys::fs::status(path, status))
    return fail("cannot be read: " + code.message());
  if (status.type() != llvm::sys::fs::file_type::regular_file)
    return fail("expected a file");
  if (status.getSize() > kMostBytes)
    return fail("expected a file of at most 64 MiB, found " +
                Twine(status.getSize()) + " bytes");
  auto buffer = llvm::MemoryBuffer::getFile(path);
  if (!buffer)
    return fail("cannot be read: " + buffer.getError().message());
  return PlanText{path.str(), (*buffer)->getBuffer().str()};
}

std::unique_ptr<Assigner>
tpc::createPlanAssigner(const AssignOptions &options) {
  return std::make_unique<PlanAssigner>(options);
}
