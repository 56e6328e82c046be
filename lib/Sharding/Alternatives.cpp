//===- Alternatives.cpp - What else could have been decided ---------------===//

#include "tpc/Sharding/Alternatives.h"
#include "Decisions.h"
#include "Optimizer.h"
#include "PlannedCollectives.h"
#include "tpc/Sharding/Explanation.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/GlobPattern.h"
#include <chrono>
#include <map>

using namespace mlir;
using namespace tpc;

namespace {

class Explainer {
public:
  Explainer(ModuleOp module, const Mesh &mesh, const AssignOptions &options,
            const Assignment &assignment)
      : module(module), mesh(mesh), options(searchOptions(options)),
        assignment(assignment), costs(options.machine, mesh),
        optimizer(this->options) {}

  FailureOr<PlanExplanation> run(const ExplainRequest &request) {
    begin = Clock::now();
    if (failed(optimizer.open(module, mesh)))
      return failure();
    base = priceOf(module, assignment, costs, options);
    planned = collectivesOf(module, assignment, optimizer.space(),
                            optimizer.planner());
    for (const PlannedCollectives &group : planned)
      ownCollectives[nameOf(group)] += group.count();
    result.micros = base.micros;
    result.peakBytes = base.peakBytes;
    if (!request.value)
      explainCollectives();
    else if (failed(explainValues(*request.value)))
      return failure();
    result.seconds = spent();
    return std::move(result);
  }

private:
  using Clock = std::chrono::steady_clock;
  double spent() const {
    return std::chrono::duration<double>(Clock::now() - begin).count();
  }

  /// Alternatives are searched for, whatever decided the plan itself.
  static AssignOptions searchOptions(AssignOptions options) {
    options.plan.reset();
    options.mode = "auto";
    options.dumpProblem.clear();
    return options;
  }

  //===--------------------------------------------------------------------===//
  // Plans beside this one
  //===--------------------------------------------------------------------===//

  /// Every plan may take its share of the time that is left.
  AlternativePlan planUnder(const SearchDemands &demands) {
    AlternativePlan plan;
    double left = options.timeLimit - spent();
    double share = left / plansToCome--;
    if (left <= 0)
      return plan;
    ++result.plans;
    Optimizer::Answer answer = optimizer.bestUnder(demands, share, &assignment);
    plan.kind = kindOf(answer.kind);
    if (!answer.best)
      return plan;
    plan.deltaMicros = answer.best->price.micros - base.micros;
    plan.deltaBytes = answer.best->price.peakBytes - base.peakBytes;
    plan.isProven = answer.isProven;
    llvm::MapVector<std::string, int64_t, std::map<std::string, unsigned>>
        counts;
    for (const PlannedCollectives &group :
         collectivesOf(module, answer.best->assignment, optimizer.space(),
                       optimizer.planner()))
      counts[nameOf(group)] += group.count();
    for (const auto &[name, count] : counts)
      if (int64_t more = count - ownCollectives.lookup(name); more > 0)
        plan.instead.push_back(std::to_string(more) + "x " + name);
    return plan;
  }

  static AlternativePlan::Kind kindOf(Optimizer::Answer::Kind kind) {
    switch (kind) {
    case Optimizer::Answer::Found:
      return AlternativePlan::Found;
    case Optimizer::Answer::Impossible:
      return AlternativePlan::Impossible;
    case Optimizer::Answer::TooLarge:
      return AlternativePlan::TooLarge;
    case Optimizer::Answer::OutOfTime:
      return AlternativePlan::OutOfTime;
    }
    llvm_unreachable("unknown answer");
  }

  /// "all_reduce sum over tp of layers.*.down", of several entries with
  /// " in @decode".
  std::string nameOf(const PlannedCollectives &group) {
    auto entries = module.getOps<func::FuncOp>();
    bool isOne = std::next(entries.begin()) == entries.end();
    return llvm::join(llvm::map_range(group.steps, describeStep), ", ") +
           " of " + group.where + (isOne ? "" : " in @" + group.entry);
  }

  //===--------------------------------------------------------------------===//
  // Collectives
  //===--------------------------------------------------------------------===//

  void explainCollectives() {
    for (const PlannedCollectives &group : planned)
      plansToCome += group.reshards.empty() ? 1 : 2;
    for (const PlannedCollectives &group : planned) {
      ExplainedCollective explained;
      explained.entry = group.entry;
      explained.where = group.where;
      explained.steps = group.steps;
      explained.because = group.because;
      explained.count = group.count();
      explained.micros = group.micros;
      SearchDemands none;
      none.without = group.reshards;
      none.silent.insert_range(group.composites);
      explained.without = planUnder(none);
      if (!group.reshards.empty()) {
        SearchDemands asWanted;
        for (const SearchDemands::Reshard &reshard : group.reshards)
          hold(reshard.value, reshard.to, asWanted);
        explained.local = planUnder(asWanted);
        explained.wanted = describeSharding(group.reshards.front().to);
      }
      result.collectives.push_back(std::move(explained));
    }
  }

  static void hold(Value value, const Sharding &sharding,
                   SearchDemands &demands) {
    if (auto read = value.getDefiningOp<ReadOp>())
      demands.symbols[read.getSymbolAttr().getAttr()] = sharding;
    else
      demands.held[value] = sharding;
  }

  //===--------------------------------------------------------------------===//
  // Values
  //===--------------------------------------------------------------------===//

  /// Values that are alike in all layers.
  struct Group {
    ExplainedValue value;
    RankedTensorType type;
    std::vector<Sharding> choices;
    Sharding chosen;
    /// Demands one of the choices of all of them.
    std::vector<std::function<void(SearchDemands &, const Sharding &)>> force;
  };

  LogicalResult explainValues(StringRef name) {
    auto pattern = llvm::GlobPattern::create(name);
    if (!pattern)
      return module.emitError("explain: malformed pattern \"")
             << name << "\": " << llvm::toString(pattern.takeError());
    ModuleDecisions decisions = ModuleDecisions::of(module);
    for (const Decision *decision : allOf(decisions)) {
      known.insert(decision->pattern);
      if (isMeant(*decision, name, *pattern))
        asked.insert(decision->pattern);
    }
    collectGroups(decisions);
    if (groups.empty())
      return module.emitError("explain: expected the name of a parameter, "
                              "state, input, output or operation, found \"")
             << name << "\"; there are, for example: " << nearNames(name);
    for (Group &group : groups) {
      if (!llvm::is_contained(group.choices, group.chosen))
        group.choices.push_back(group.chosen); // of another mode
      plansToCome += group.choices.size() - 1;
    }
    for (Group &group : groups)
      result.values.push_back(explain(group));
    return success();
  }

  static std::vector<const Decision *> allOf(const ModuleDecisions &decisions) {
    std::vector<const Decision *> all;
    auto add = [&](ArrayRef<Decision> list) {
      for (const Decision &decision : list)
        all.push_back(&decision);
    };
    add(decisions.parameters);
    add(decisions.states);
    for (const EntryDecisions &entry : decisions.entries) {
      add(entry.inputs);
      add(entry.operations);
      add(entry.outputs);
    }
    return all;
  }

  /// Operations are also named by their place alone.
  static bool isMeant(const Decision &decision, StringRef name,
                      const llvm::GlobPattern &pattern) {
    auto is = [&](StringRef own, StringRef ownPattern) {
      return own == name || ownPattern == name || pattern.match(own);
    };
    if (is(decision.name, decision.pattern))
      return true;
    if (decision.type)
      return false;
    auto place = decision.op->getLoc()->findInstanceOf<NameLoc>();
    return place && is(place.getName(), layerPattern(place.getName()));
  }

  /// All that one of the patterns is of which some were asked for.
  void collectGroups(ModuleDecisions &decisions) {
    auto forAsked = [&](ArrayRef<Decision> list, auto add) {
      for (const Decision &decision : list)
        if (asked.contains(decision.pattern))
          add(decision);
    };
    forAsked(decisions.parameters,
             [&](const Decision &d) { addSymbol(d, "parameter"); });
    forAsked(decisions.states,
             [&](const Decision &d) { addSymbol(d, "state"); });
    for (EntryDecisions &entry : decisions.entries) {
      Block &body = entry.function.getBody().front();
      forAsked(entry.inputs, [&](const Decision &d) {
        addValue(d.pattern, "input", entry.name, body.getArgument(d.index));
      });
      forAsked(entry.operations,
               [&](const Decision &d) { addOperation(d, entry.name); });
      forAsked(entry.outputs, [&](const Decision &d) {
        addOutput(d, entry.name, body.getTerminator());
      });
    }
  }

  void addSymbol(const Decision &symbol, StringRef kind) {
    StringAttr name = SymbolTable::getSymbolName(symbol.op);
    Group &group = groupOf(symbol.pattern, kind, "", symbol.type,
                           assignment.symbols.lookup(name));
    if (group.force.empty())
      group.choices = optimizer.problem().choicesFor(name);
    group.force.push_back([name](SearchDemands &demands, const Sharding &s) {
      demands.symbols[name] = s;
    });
  }

  void addOutput(const Decision &output, StringRef entry, Operation *ret) {
    unsigned index = output.index;
    Group &group = groupOf(output.pattern, "output", entry, output.type,
                           assignment.wanted.find(ret)->second[index]);
    if (group.force.empty())
      group.choices = optimizer.problem().choicesFor(ret, index);
    group.force.push_back([=](SearchDemands &demands, const Sharding &s) {
      demands.returned[{ret, index}] = s;
    });
  }

  void addOperation(const Decision &operation, StringRef entry) {
    for (OpResult made : operation.op->getResults()) {
      std::string name = operation.pattern;
      if (operation.op->getNumResults() > 1)
        name += ", result " + std::to_string(made.getResultNumber());
      addValue(name, operation.op->getName().stripDialect(), entry, made);
    }
  }

  void addValue(StringRef pattern, StringRef kind, StringRef entry,
                Value value) {
    Group &group =
        groupOf(pattern, kind, entry, cast<RankedTensorType>(value.getType()),
                assignment.held.lookup(value));
    if (group.force.empty())
      group.choices = optimizer.problem().choicesFor(value);
    group.force.push_back([value](SearchDemands &demands, const Sharding &s) {
      demands.held[value] = s;
    });
  }

  Group &groupOf(StringRef pattern, StringRef kind, StringRef entry,
                 RankedTensorType type, const Sharding &chosen) {
    Sharding own = canonical(chosen, type.getShape(), mesh);
    for (Group &group : groups)
      if (group.value.name == pattern && group.value.kind == kind &&
          group.value.entry == entry && group.type == type &&
          group.chosen == own)
        return group;
    Group &group = groups.emplace_back();
    group.value.name = pattern.str();
    group.value.kind = kind.str();
    group.value.entry = entry.str();
    group.value.type = tensorText(type);
    group.type = type;
    group.chosen = own;
    return group;
  }

  ExplainedValue explain(Group &group) {
    ExplainedValue explained = std::move(group.value);
    explained.count = group.force.size();
    for (const Sharding &sharding : group.choices) {
      ExplainedChoice &choice = explained.choices.emplace_back();
      choice.sharding = describeSharding(sharding);
      choice.isChosen = sharding == group.chosen;
      choice.bytes =
          tensorBytes(localType(withSharding(group.type, sharding), mesh));
      if (choice.isChosen) {
        choice.plan.kind = AlternativePlan::Found;
        continue;
      }
      SearchDemands demands;
      for (const auto &force : group.force)
        force(demands, sharding);
      choice.plan = planUnder(demands);
    }
    llvm::sort(explained.choices, [](const ExplainedChoice &a,
                                     const ExplainedChoice &b) {
      return std::tie(b.isChosen, a.plan.kind, a.plan.deltaMicros, a.sharding) <
             std::tie(a.isChosen, b.plan.kind, b.plan.deltaMicros, b.sharding);
    });
    return explained;
  }

  /// Up to eight names that are like this one.
  std::string nearNames(StringRef name) const {
    constexpr size_t kMost = 8;
    std::vector<std::pair<unsigned, StringRef>> near;
    std::string pattern = layerPattern(name);
    for (const auto &own : known)
      near.push_back({own.first().edit_distance(pattern), own.first()});
    llvm::sort(near);
    near.resize(std::min(near.size(), kMost));
    return llvm::join(llvm::make_second_range(near), ", ");
  }

  ModuleOp module;
  const Mesh &mesh;
  AssignOptions options;
  const Assignment &assignment;
  CostModel costs;
  Optimizer optimizer;
  PlanPrice base;
  std::vector<PlannedCollectives> planned;
  llvm::StringMap<int64_t> ownCollectives;
  llvm::StringSet<> known, asked;
  std::vector<Group> groups;
  PlanExplanation result;
  size_t plansToCome = 0;
  Clock::time_point begin;
};

} // namespace

FailureOr<PlanExplanation> tpc::explain(ModuleOp module, const Mesh &mesh,
                                        const AssignOptions &options,
                                        const Assignment &assignment,
                                        const ExplainRequest &request) {
  return Explainer(module, mesh, options, assignment).run(request);
}
