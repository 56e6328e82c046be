//===- PlannedCollectives.cpp - The collectives of an assignment ----------===//

#include "PlannedCollectives.h"
#include "tpc/Sharding/Explanation.h"

using namespace mlir;
using namespace tpc;

std::string tpc::describeStep(const CollectiveStep &step) {
  return step.kind + (step.reduction.empty() ? "" : " " + step.reduction) +
         " over " + step.axes;
}

namespace {

class Collector {
public:
  Collector(const Assignment &assignment, StrategySpace &space,
            ReshardPlanner &planner)
      : assignment(assignment), space(space), planner(planner),
        mesh(planner.getCosts().getMesh()) {}

  std::vector<PlannedCollectives> run(ModuleOp module) {
    for (auto function : module.getOps<func::FuncOp>()) {
      for (AssignedReshard &reshard : reshardsOf(function, assignment, mesh))
        addReshard(function.getName().str(), reshard);
      for (Operation &op : function.getBody().front())
        if (isa<DecomposableOpInterface>(op))
          addComposite(function.getName().str(), &op);
    }
    return std::move(groups);
  }

private:
  void addReshard(std::string entry, const AssignedReshard &reshard) {
    PlannedCollectives made;
    if (!addSteps(reshard, made))
      return;
    made.entry = std::move(entry);
    made.where = layerPattern(describe(reshard.value));
    made.because =
        layerPattern(explainReshard(describe(reshard.value), reshard.from,
                                    describe(reshard.user), reshard.to));
    made.reshards.push_back({reshard.value, reshard.from, reshard.to});
    add(std::move(made));
  }

  void addComposite(std::string entry, Operation *op) {
    OpShardings shardings;
    for (auto [operand, sharding] :
         llvm::zip_equal(op->getOperands(), assignment.wanted.find(op)->second))
      shardings.operands.push_back(canonicalOf(sharding, operand));
    for (Value result : op->getResults())
      shardings.results.push_back(
          canonicalOf(assignment.held.lookup(result), result));
    PlannedCollectives made;
    bool communicates = false;
    for (const AssignedReshard &reshard : space.inside(op, shardings))
      communicates |= addSteps(reshard, made);
    if (!communicates)
      return;
    made.entry = std::move(entry);
    made.where = layerPattern(describe(op));
    made.because = made.where + " is computed in parts: its operands are " +
                   describeSharding(shardings.operands[0]);
    made.composites.push_back(op);
    add(std::move(made));
  }

  Sharding canonicalOf(const Sharding &sharding, Value value) const {
    return canonical(sharding,
                     cast<RankedTensorType>(value.getType()).getShape(), mesh);
  }

  /// Adds the steps and the time of a reshard; whether any communicates.
  bool addSteps(const AssignedReshard &reshard, PlannedCollectives &made) {
    auto type = cast<RankedTensorType>(reshard.value.getType());
    ReshardPlan plan = planner.plan(reshard.from, reshard.to, type.getShape(),
                                    elementBytes(type.getElementType()));
    made.micros += plan.micros;
    bool communicates = false;
    int64_t held = localBytes(type, reshard.from);
    for (const ReshardStep &step : plan.steps) {
      int64_t operand = std::exchange(held, localBytes(type, step.result));
      if (!step.communicates())
        continue;
      bool reduces = step.kind == ReshardStep::AllReduce ||
                     step.kind == ReshardStep::ReduceScatter;
      made.steps.push_back(
          {stringify(step.kind).str(),
           reduces ? stringifyReduction(step.reduction).str() : "",
           llvm::join(llvm::map_range(
                          step.axes,
                          [](const AxisRef &axis) { return axis.name.str(); }),
                      ","),
           std::max(operand, held)});
      communicates = true;
    }
    return communicates;
  }

  int64_t localBytes(RankedTensorType type, const Sharding &sharding) const {
    return tensorBytes(localType(withSharding(type, sharding), mesh));
  }

  void add(PlannedCollectives made) {
    auto key = [](const PlannedCollectives &group) {
      std::string text = group.entry + "\n" + group.where + "\n" +
                         group.because + "\n" + std::to_string(group.micros);
      for (const CollectiveStep &step : group.steps)
        text += "\n" + describeStep(step) + " " + std::to_string(step.bytes);
      return text;
    };
    auto [it, fresh] = index.try_emplace(key(made), groups.size());
    if (fresh) {
      groups.push_back(std::move(made));
      return;
    }
    PlannedCollectives &group = groups[it->second];
    llvm::append_range(group.reshards, made.reshards);
    llvm::append_range(group.composites, made.composites);
  }

  const Assignment &assignment;
  StrategySpace &space;
  ReshardPlanner &planner;
  const Mesh &mesh;
  std::vector<PlannedCollectives> groups;
  llvm::StringMap<size_t> index;
};

} // namespace

std::vector<PlannedCollectives> tpc::collectivesOf(ModuleOp module,
                                                   const Assignment &assignment,
                                                   StrategySpace &space,
                                                   ReshardPlanner &planner) {
  return Collector(assignment, space, planner).run(module);
}
