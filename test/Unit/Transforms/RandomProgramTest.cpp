//===- RandomProgramTest.cpp - Random graphs through the whole compiler ---===//
//
// Every random graph is assigned in both modes, expanded, verified,
// partitioned, proved, simulated with poisoned padding and compared. No
// assignment may be one that partition cannot lower or the proof rejects.
//
//===----------------------------------------------------------------------===//

#include "RandomProgram.h"
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
std::optional<std::string> problemOf(ModuleOp whole, StringRef mode,
                                     unsigned seed) {
  OwningOpRef<ModuleOp> module = whole.clone();
  test::Diagnostics diagnostics;
  auto print = [&]() {
    std::string text;
    llvm::raw_string_ostream os(text);
    module->print(os);
    return "\n" + text;
  };
  if (failed(runPhase(*module,
                      [&](OpPassManager &pm) { buildAssignPhase(pm, mode); })))
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

TEST(RandomPrograms, AssignedPartitionedProvedSimulated) {
  unsigned first = 0, count = 1200;
  if (const char *range = std::getenv("TPC_RANDOM_PROGRAMS"))
    std::sscanf(range, "%u,%u", &first, &count);
  unsigned cases = 0, wrong = 0;
  for (unsigned seed = first; seed < first + count; ++seed) {
    std::string text = test::randomProgram(seed);
    OwningOpRef<ModuleOp> module = test::parse(text);
    ASSERT_TRUE(module) << "seed " << seed;
    for (const char *mode : {"megatron", "propagate"}) {
      ++cases;
      auto problem = problemOf(*module, mode, seed);
      if (problem && ++wrong <= 5)
        ADD_FAILURE() << "seed " << seed << ", " << mode << ": " << *problem
                      << "\nof\n"
                      << text;
      else if (problem)
        std::cout << "seed " << seed << ", " << mode << ": "
                  << problem->substr(0, 200) << "\n";
    }
  }
  std::cout << cases << " random cases, " << wrong << " wrong\n";
}

} // namespace
