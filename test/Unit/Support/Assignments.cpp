//===- Assignments.cpp - Assignments to compare with ----------------------===//

#include "Assignments.h"
#include "StrategySpace.h"
#include "gtest/gtest.h"
#include <fstream>

using namespace mlir;
using namespace tpc;

test::PricedAssignment test::priced(ModuleOp module, Assignment assignment,
                                    const AssignOptions &options) {
  PricedAssignment result{std::move(assignment)};
  CostModel costs(options.machine, *lookupMesh(module));
  for (const EntryPrediction &entry :
       predict(module, result.assignment, costs)) {
    double weight = options.weightOf(entry.entry);
    result.micros += weight * entry.micros();
    result.communicationMicros += weight * entry.communicationMicros;
    result.peakBytes = std::max(result.peakBytes, entry.peakBytes);
  }
  return result;
}

std::optional<test::PricedAssignment>
test::assigned(ModuleOp module, const AssignOptions &options) {
  FailureOr<Assignment> found =
      createAssigner(options)->assign(module, *lookupMesh(module));
  if (failed(found))
    return std::nullopt;
  return priced(module, std::move(*found), options);
}

std::string test::eagerMachineFile() {
  // Tests run at the same time.
  std::string path = testing::TempDir() + "eager" +
                     std::to_string(std::random_device()()) + ".json";
  std::ofstream(path) << R"({
  "name": "eager",
  "tflops": {"f64": 1e-6, "f32": 1e-6, "bf16": 1e-6},
  "memory_gb_per_s": 1e-3,
  "operation_us": 0.001,
  "links": [{"name": "wire", "algorithms": [
    {"name": "ring", "kind": "ring", "base_us": 0.01, "hop_us": 0.001,
     "gb_per_s": 0.1}]}]
})";
  return path;
}

Machine test::eagerMachine() {
  std::string path = eagerMachineFile(), error;
  FailureOr<Machine> machine = readMachine(path, error);
  EXPECT_TRUE(succeeded(machine)) << error;
  std::remove(path.c_str());
  return *machine;
}

//===----------------------------------------------------------------------===//
// AssignmentSpace
//===----------------------------------------------------------------------===//

test::AssignmentSpace::AssignmentSpace(ModuleOp module,
                                       const AssignOptions &options)
    : module(module), costs(options.machine, *lookupMesh(module)) {
  for (Operation &op : *module.getBody())
    if (isa<ParameterOp, StateOp>(op))
      addStored(&op);
  for (auto function : module.getOps<func::FuncOp>())
    addFunction(function);
}

/// All shardings of the operands and results of an operation by its rule.
static std::vector<OpShardings> allShardings(const RuledOp &op,
                                             const Mesh &mesh) {
  std::vector<OpShardings> found;
  for (const Strategy &strategy : enumerateStrategies(op, mesh.axes(), mesh))
    found.push_back(*applyStrategy(op, strategy, mesh));
  return found;
}

std::vector<Sharding> test::AssignmentSpace::stored(Type type,
                                                    ShardingAttr pin) const {
  if (pin)
    return {pin.getValue()};
  ArrayRef<int64_t> shape = cast<RankedTensorType>(type).getShape();
  RuledOp tensor;
  tensor.rule = ShardingRule::elementwise(shape, 0);
  tensor.resultShapes.push_back(SmallVector<int64_t>(shape));
  std::vector<Sharding> found;
  for (OpShardings &shardings : allShardings(tensor, costs.getMesh()))
    if (!shardings.results[0].isPartial())
      found.push_back(std::move(shardings.results[0]));
  return found;
}

void test::AssignmentSpace::addStored(Operation *op) {
  Type type = isa<ParameterOp>(op) ? cast<ParameterOp>(op).getTensorType()
                                   : cast<StateOp>(op).getTensorType();
  auto shardings = stored(type, pinnedSharding(op));
  StringAttr name = SymbolTable::getSymbolName(op);
  choices.push_back({shardings.size(), [=](Assignment &assignment, size_t i) {
                       assignment.symbols[name] = shardings[i];
                     }});
}

void test::AssignmentSpace::addFunction(func::FuncOp function) {
  for (BlockArgument argument : function.getArguments()) {
    auto shardings = stored(argument.getType(),
                            function.getArgAttrOfType<ShardingAttr>(
                                argument.getArgNumber(), kShardingAttrName));
    choices.push_back({shardings.size(), [=](Assignment &assignment, size_t i) {
                         assignment.held[argument] = shardings[i];
                       }});
  }
  for (Operation &op : function.getBody().front()) {
    Operation *key = &op;
    if (auto shard = dyn_cast<ShardOp>(op)) {
      Sharding pin = shard.getSharding().getValue();
      Value result = shard.getResult();
      choices.push_back({1, [=](Assignment &assignment, size_t) {
                           assignment.wanted[key] = {pin};
                           assignment.held[result] = pin;
                         }});
    } else if (isa<func::ReturnOp>(op)) {
      for (auto [index, type] : llvm::enumerate(op.getOperandTypes())) {
        auto shardings =
            stored(type, function.getResultAttrOfType<ShardingAttr>(
                             index, kShardingAttrName));
        choices.push_back(
            {shardings.size(), [=](Assignment &assignment, size_t i) {
               assignment.wanted[key].push_back(shardings[i]);
             }});
      }
    } else if (isa<ShardingRuleOpInterface>(op)) {
      addRuled(&op);
    }
  }
}

void test::AssignmentSpace::addRuled(Operation *op) {
  // What cannot be expanded is no choice.
  ReshardPlanner planner(costs);
  StrategySpace space(module, planner);
  std::vector<OpShardings> found;
  for (OpShardings &shardings : allShardings(RuledOp::of(op), costs.getMesh()))
    if (space.price(op, shardings))
      found.push_back(std::move(shardings));
  choices.push_back({found.size(), [=](Assignment &assignment, size_t i) {
                       auto &wanted = assignment.wanted[op];
                       wanted.assign(found[i].operands.begin(),
                                     found[i].operands.end());
                       for (auto [value, sharding] :
                            llvm::zip_equal(op->getResults(), found[i].results))
                         assignment.held[value] = sharding;
                     }});
}

Assignment test::AssignmentSpace::make(ArrayRef<size_t> choice) const {
  Assignment assignment;
  for (auto [own, index] : llvm::zip_equal(choices, choice))
    own.choose(assignment, index);
  for (auto function : ModuleOp(module).getOps<func::FuncOp>())
    for (Operation &op : function.getBody().front()) {
      if (auto read = dyn_cast<ReadOp>(op))
        assignment.held[read.getResult()] =
            assignment.symbols.lookup(read.getSymbolAttr().getAttr());
      if (auto write = dyn_cast<WriteOp>(op))
        assignment.wanted[write] = {
            assignment.symbols.lookup(write.getSymbolAttr().getAttr())};
      if (isa<func::ReturnOp>(op))
        assignment.wanted.try_emplace(&op);
    }
  return assignment;
}

double test::AssignmentSpace::count() const {
  double product = 1;
  for (const Choice &choice : choices)
    product *= choice.size;
  return product;
}

Assignment test::AssignmentSpace::any(std::mt19937 &random) const {
  std::vector<size_t> choice;
  for (const Choice &own : choices)
    choice.push_back(random() % own.size);
  return make(choice);
}

void test::AssignmentSpace::forEach(
    llvm::function_ref<void(Assignment)> fn) const {
  std::vector<size_t> choice(choices.size(), 0);
  while (true) {
    fn(make(choice));
    size_t i = 0;
    while (i < choice.size() && ++choice[i] == choices[i].size)
      choice[i++] = 0;
    if (i == choice.size())
      return;
  }
}
