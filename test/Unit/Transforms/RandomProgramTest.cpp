//===- RandomProgramTest.cpp - Random graphs through the whole compiler ---===//
//
// Every random graph is assigned in every mode, expanded, verified,
// partitioned, proved, simulated with poisoned padding and compared. No
// assignment may be one that partition cannot lower or the proof rejects.
//
//===----------------------------------------------------------------------===//

#include "RandomProgram.h"
#include "Assignments.h"
#include "DifferentiatedProgram.h"
#include "ProgramOracle.h"
#include "TestModule.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "tpc/Pipeline/Compiler.h"
#include "tpc/Transforms/Passes.h"
#include <gtest/gtest.h>

using namespace mlir;
using namespace tpc;

namespace {

/// What is wrong with the program that a mode makes, or nothing.
std::optional<std::string>
problemOf(ModuleOp whole, const AssignPhaseOptions &options, unsigned seed) {
  OwningOpRef<ModuleOp> module = whole.clone();
  test::Diagnostics diagnostics;
  auto print = [&]() {
    std::string text;
    llvm::raw_string_ostream os(text);
    module->print(os);
    return "\n" + text;
  };
  if (failed(runPhase(
          *module, [&](OpPassManager &pm) { buildAssignPhase(pm, options); })))
    return "not assigned: " + diagnostics.text + print();
  if (failed(runPhase(*module, buildPartitionPhase)))
    return "not partitioned: " + diagnostics.text + print();
  if (failed(runPhase(*module, buildVerifyPhase)))
    return "not proved: " + diagnostics.text + print();
  test::ProgramOracle oracle(module->lookupSymbol<func::FuncOp>("main"), seed);
  auto difference =
      oracle.difference(*module->getOps<spmd::ProgramOp>().begin());
  if (difference)
    return "wrong: " + *difference + print();
  return std::nullopt;
}

/// Runs the random programs of a range of seeds, changed by `prepare`, which
/// says whether to take them.
void runSeeds(unsigned first, unsigned count,
              llvm::function_ref<bool(ModuleOp)> prepare) {
  std::string eager = test::eagerMachineFile();
  unsigned cases = 0, wrong = 0;
  for (unsigned seed = first; seed < first + count; ++seed) {
    std::string text = test::randomProgram(seed);
    OwningOpRef<ModuleOp> module = test::parse(text);
    ASSERT_TRUE(module) << "seed " << seed;
    if (!prepare(*module))
      continue;
    for (const char *mode : {"megatron", "propagate", "auto"}) {
      AssignPhaseOptions options;
      options.mode = mode;
      options.timeLimit = 0.2;
      if (options.mode == "auto" && seed % 8 != 0)
        continue; // dearer than the others
      ++cases;
      // On the other machine the optimizer rather leaves things whole.
      if (seed % 16 != 0)
        options.machine = eager;
      auto problem = problemOf(*module, options, seed);
      if (problem && ++wrong <= 5)
        ADD_FAILURE() << "seed " << seed << ", " << mode << ": " << *problem
                      << "\nof\n"
                      << text;
      else if (problem)
        std::cout << "seed " << seed << ", " << mode << ": "
                  << problem->substr(0, 200) << "\n";
    }
  }
  std::remove(eager.c_str());
  std::cout << cases << " random cases, " << wrong << " wrong\n";
  EXPECT_GT(cases, count / 2);
}

TEST(RandomPrograms, AssignedPartitionedProvedSimulated) {
  unsigned first = 0, count = 2000;
  if (const char *range = std::getenv("TPC_RANDOM_PROGRAMS"))
    std::sscanf(range, "%u,%u", &first, &count);
  runSeeds(first, count, [](ModuleOp) { return true; });
}

/// TPC_RANDOM_GRADIENTS=FIRST,COUNT chooses the seeds.
TEST(RandomPrograms, DifferentiatedAssignedPartitionedProvedSimulated) {
  unsigned first = 0, count = 200;
  if (const char *range = std::getenv("TPC_RANDOM_GRADIENTS"))
    std::sscanf(range, "%u,%u", &first, &count);
  runSeeds(first, count, test::addGradients);
}

} // namespace
