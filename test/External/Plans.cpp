//===- Plans.cpp - What a plan sends --------------------------------------===//

#include "Plans.h"
#include "TestModule.h"
#include "tpc/Dialect/Spmd/Spmd.h"
#include "tpc/Pipeline/Compiler.h"
#include "tpc/Transforms/Passes.h"
#include <fstream>
#include <gtest/gtest.h>
#include <random>

using namespace mlir;
using namespace tpc;

Machine test::bytesMachine() {
  Machine machine;
  machine.name = "bytes";
  machine.flopsF64 = machine.flopsF32 = machine.flops16 = 1e12;
  machine.memoryBytesPerMicro = 1e12;
  machine.links = {{"wire", 0, {{"ring", LinkAlgorithm::Ring, 0, 0, 1000}}}};
  return machine;
}

Machine test::splittingMachine() {
  Machine machine = bytesMachine();
  machine.name = "splitting";
  machine.links[0].algorithms[0].baseMicros = 0.02;
  machine.flopsF64 = machine.flopsF32 = machine.flops16 = 1e4;
  return machine;
}

int test::Plan::count(int64_t elements) const {
  return llvm::count_if(
      collectives, [&](const Collective &c) { return c.elements >= elements; });
}

std::string test::Plan::str() const {
  std::string text;
  for (const Collective &c : collectives)
    text += c.kind + " " + std::to_string(c.elements) + "\n";
  return text;
}

std::string test::Plan::stored(StringRef name) const {
  for (const auto &[symbol, sharding] : priced.assignment.symbols)
    if (symbol.getValue() == name)
      return toString(sharding);
  return "none";
}

static double bytesOf(Type type) {
  return tensorBytes(cast<RankedTensorType>(type));
}

namespace {
/// A machine as a file, as long as this lives: later phases read the one that
/// the module names.
class MachineFile {
public:
  explicit MachineFile(const Machine &machine)
      : path(testing::TempDir() + machine.name +
             std::to_string(std::random_device()()) + ".json") {
    std::ofstream(path) << machineText(machine);
  }
  ~MachineFile() { std::remove(path.c_str()); }
  MachineFile(const MachineFile &) = delete;

  const std::string path;
};
} // namespace

/// Bytes that a device sends in `op`, or nothing where it is no collective.
static std::optional<double> sentBy(Operation *op, const Mesh &mesh) {
  auto sent = [&](CollectiveKind kind, auto collective) {
    double bytes = std::max(bytesOf(collective.getOperand().getType()),
                            bytesOf(collective.getResult().getType()));
    return sentBytes(kind, bytes, mesh.size(collective.getAxes().getAxes()));
  };
  if (auto reduce = dyn_cast<spmd::AllReduceOp>(op))
    return sent(CollectiveKind::AllReduce, reduce);
  if (auto gather = dyn_cast<spmd::AllGatherOp>(op))
    return sent(CollectiveKind::AllGather, gather);
  if (auto scatter = dyn_cast<spmd::ReduceScatterOp>(op))
    return sent(CollectiveKind::ReduceScatter, scatter);
  if (auto move = dyn_cast<spmd::AllToAllOp>(op))
    return sent(CollectiveKind::AllToAll, move);
  if (auto permute = dyn_cast<spmd::PermuteOp>(op))
    return sent(CollectiveKind::Permute, permute);
  return std::nullopt;
}

test::Plan test::planOf(OwningOpRef<ModuleOp> module, PricedAssignment priced,
                        const Machine &machine) {
  Plan plan;
  plan.priced = std::move(priced);
  plan.module = std::move(module);
  MachineFile file(machine);
  (*plan.module)
      ->setAttr(kMachineAttrName, StringAttr::get(&context(), file.path));
  Mesh mesh = *lookupMesh(*plan.module);
  applyAssignment(*plan.module, plan.priced.assignment, mesh);
  EXPECT_TRUE(succeeded(runPhase(*plan.module, [](OpPassManager &pm) {
    pm.addPass(createExpandSynchronizedPass());
    pm.addPass(createVerifyAssignedPass());
    buildPartitionPhase(pm);
    buildVerifyPhase(pm);
  })));
  plan.module->walk([&](Operation *op) {
    std::optional<double> bytes = sentBy(op, mesh);
    if (!bytes)
      return;
    plan.bytes += *bytes;
    auto count = [](Type type) {
      return cast<RankedTensorType>(type).getNumElements();
    };
    plan.collectives.push_back({op->getName().stripDialect().str(),
                                std::max(count(op->getOperand(0).getType()),
                                         count(op->getResult(0).getType()))});
  });
  return plan;
}

OwningOpRef<ModuleOp> test::trained(const std::string &text) {
  OwningOpRef<ModuleOp> module = parse(text);
  DifferentiatePassOptions options;
  options.output = "loss";
  if (!module || failed(runPass(*module, createDifferentiatePass(options)))) {
    ADD_FAILURE() << "not differentiated";
    return {};
  }
  return module;
}

test::Plan test::planOf(const std::string &text, const AssignOptions &options) {
  return planOf(parse(text), options);
}

test::Plan test::planOf(OwningOpRef<ModuleOp> module,
                        const AssignOptions &options) {
  if (!module)
    return Plan();
  std::optional<PricedAssignment> priced = assigned(*module, options);
  if (!priced) {
    ADD_FAILURE() << "not assigned";
    return Plan();
  }
  return planOf(std::move(module), std::move(*priced), options.machine);
}
