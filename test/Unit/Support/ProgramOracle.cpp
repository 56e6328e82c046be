//===- ProgramOracle.cpp - Does a program compute its function? -----------===//

#include "ProgramOracle.h"
#include "TestModule.h"
#include "gtest/gtest.h"
#include <cmath>

using namespace mlir;
using namespace tpc;
using namespace tpc::reference;

Tensor test::randomTensor(RankedTensorType type, std::mt19937 &random) {
  Tensor tensor(type.getShape(), type.getElementType());
  std::uniform_real_distribution<double> reals(-1, 1);
  std::uniform_int_distribution<int> integers(0, 6);
  bool isFloat = isa<FloatType>(type.getElementType());
  for (double &value : tensor.data)
    value = isFloat ? reals(random) : integers(random);
  roundElements(tensor);
  return tensor;
}

test::ProgramOracle::ProgramOracle(FunctionOpInterface function, unsigned seed,
                                   double tolerance)
    : function(function), tolerance(tolerance) {
  std::mt19937 random(seed);
  for (Type type : function.getArgumentTypes())
    inputs.push_back(randomTensor(cast<RankedTensorType>(type), random));
  SymbolStore store;
  for (Operation &op : *function->getParentOfType<ModuleOp>().getBody()) {
    if (!isa<ParameterOp, StateOp>(op))
      continue;
    auto type =
        cast<RankedTensorType>(cast<TypeAttr>(op.getAttr("type")).getValue());
    std::string name = SymbolTable::getSymbolName(&op).str();
    symbols.push_back({name, randomTensor(type, random)});
    store.set(name, symbols.back().second);
  }
  auto results = evaluate(function, inputs, store);
  if (failed(results)) {
    ADD_FAILURE() << "the whole function cannot be evaluated";
    return;
  }
  expected = std::move(*results);
  appendStates(store, expected);
}

/// The states' contents follow the results.
void test::ProgramOracle::appendStates(SymbolStore &store,
                                       SmallVectorImpl<Tensor> &results) const {
  for (auto state : function->getParentOfType<ModuleOp>().getOps<StateOp>())
    results.push_back(**store.get(state));
}

std::optional<std::string>
test::ProgramOracle::difference(spmd::ProgramOp program) const {
  SymbolStore store;
  for (const auto &[name, value] : symbols)
    store.set(name, value);
  Diagnostics diagnostics;
  SimulateOptions options;
  options.poisonPadding = true;
  options.tolerance = tolerance;
  auto results = simulate(program, inputs, store, options);
  if (failed(results))
    return "the simulation fails: " + diagnostics.text;
  appendStates(store, *results);
  for (auto [r, found] : llvm::enumerate(*results)) {
    const Tensor &wanted = expected[r];
    for (auto [i, value] : llvm::enumerate(found.data)) {
      double difference = std::fabs(value - wanted.data[i]);
      double allowed = tolerance * std::max(1.0, std::fabs(wanted.data[i]));
      // Written so that NaN is a difference.
      if (!(value == wanted.data[i] || difference <= allowed))
        return "result " + std::to_string(r) + ", element " +
               std::to_string(i) + ": found " + std::to_string(value) +
               ", expected " + std::to_string(wanted.data[i]);
    }
  }
  return std::nullopt;
}
