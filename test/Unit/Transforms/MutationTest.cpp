//===- MutationTest.cpp - The proof rejects damaged programs --------------===//
//
// Every mutant (Mutations.h) that the simulator tells apart from the whole
// function must be rejected by tpc-verify-partition, with an error in the
// program and a note in the whole function; the programs themselves must be
// accepted. Mutants that compute the same may be rejected: a proof does not
// follow every coincidence (a maximum over equal contributions).
//
//===----------------------------------------------------------------------===//

#include "Assignments.h"
#include "Mutations.h"
#include "ProgramOracle.h"
#include "RandomProgram.h"
#include "TestModule.h"
#include "TestPrograms.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "tpc/Pipeline/Compiler.h"
#include "tpc/Transforms/Passes.h"
#include <gtest/gtest.h>

using namespace mlir;
using namespace tpc;

namespace {

struct Counts {
  unsigned mutants = 0, toldApart = 0, rejected = 0, equalRejected = 0;
  void operator+=(const Counts &o) {
    mutants += o.mutants;
    toldApart += o.toldApart;
    rejected += o.rejected;
    equalRejected += o.equalRejected;
  }
  std::string str() const {
    return std::to_string(mutants) + " mutants, " + std::to_string(toldApart) +
           " told apart, " + std::to_string(rejected) +
           " of them rejected; of the equal ones " +
           std::to_string(equalRejected) + " rejected";
  }
};

OwningOpRef<ModuleOp> partitioned(const std::string &text, StringRef mode,
                                  const std::string &machine = "") {
  OwningOpRef<ModuleOp> module = test::parse(text);
  AssignPhaseOptions options;
  options.mode = mode.str();
  options.machine = machine;
  options.timeLimit = 0.2;
  EXPECT_TRUE(module && succeeded(runPhase(*module, [&](OpPassManager &pm) {
                buildAssignPhase(pm, options);
                buildPartitionPhase(pm);
              })));
  return module;
}

/// Runs every mutation, or each `step`th.
Counts testMutants(ModuleOp module, unsigned step = 1) {
  Counts counts;
  auto function = *module.getOps<func::FuncOp>().begin();
  test::ProgramOracle oracles[] = {{function, 1}, {function, 2}};
  EXPECT_FALSE(oracles[0].difference(test::programOf(module)));
  EXPECT_TRUE(succeeded(test::runPass(module, createVerifyPartitionPass())));
  std::vector<test::Mutation> mutations = test::mutationsOf(module);
  for (size_t i = 0; i < mutations.size(); i += step) {
    OwningOpRef<ModuleOp> mutant = test::mutated(module, mutations[i]);
    if (!mutant)
      continue;
    test::Diagnostics diagnostics;
    bool proved =
        succeeded(test::runPass(*mutant, createVerifyPartitionPass()));
    std::optional<std::string> difference;
    for (test::ProgramOracle &oracle : oracles)
      if (!difference)
        difference = oracle.difference(test::programOf(*mutant));
    ++counts.mutants;
    counts.toldApart += difference.has_value();
    counts.rejected += difference && !proved;
    counts.equalRejected += !difference && !proved;
    if (difference && proved)
      ADD_FAILURE() << "proved though wrong: " << mutations[i].name << "\n"
                    << *difference;
    EXPECT_TRUE(proved || diagnostics.located > 0)
        << mutations[i].name
        << "\nerror without a location or note: " << diagnostics.text;
  }
  return counts;
}

class MutationTest : public testing::TestWithParam<test::TestProgram> {};

TEST_P(MutationTest, WrongMutantsAreRejected) {
  OwningOpRef<ModuleOp> module = partitioned(GetParam().text, GetParam().mode);
  ASSERT_FALSE(HasFailure());
  Counts counts = testMutants(*module);
  // Of a program with little to damage few mutants differ.
  EXPECT_GE(counts.toldApart, std::min(20u, counts.mutants / 3));
  std::cout << GetParam().name << ": " << counts.str() << "\n";
}

INSTANTIATE_TEST_SUITE_P(Programs, MutationTest,
                         testing::ValuesIn(test::testPrograms("f64")),
                         [](const auto &info) { return info.param.name; });

TEST(RandomMutationTest, WrongMutantsAreRejected) {
  unsigned first = 0, count = 120;
  if (const char *range = std::getenv("TPC_RANDOM_PROGRAMS"))
    std::sscanf(range, "%u,%u", &first, &count);
  Counts counts;
  std::string eager = test::eagerMachineFile();
  for (unsigned seed = first; seed < first + count; ++seed) {
    const char *modes[] = {"megatron", "propagate", "auto"};
    const char *mode = modes[seed % 3];
    OwningOpRef<ModuleOp> module =
        partitioned(test::randomProgram(seed), mode, eager);
    Counts own = testMutants(*module, /*step=*/7);
    counts += own;
    ASSERT_FALSE(HasFailure()) << "seed " << seed << ", " << mode;
  }
  std::remove(eager.c_str());
  std::cout << "random programs: " << counts.str() << "\n";
}

} // namespace
