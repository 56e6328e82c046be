// Random graphs through code generation and the runtime: what the compiled
// program computes on virtual devices against the whole function. That every
// form before it computes the same is tested with many more of them
// (test/Unit/Transforms/RandomProgramTest.cpp).
#include "Assignments.h"
#include "CompileAndRun.h"
#include "DifferentiatedProgram.h"
#include "RandomProgram.h"
#include "TestModule.h"

using namespace tpc;
using namespace tpc::test;

namespace {

class RandomRuns : public CompileAndRun {
protected:
  static int failures() {
    auto *test = ::testing::UnitTest::GetInstance()->current_test_info();
    return test->result()->total_part_count();
  }
  /// Runs the random programs of a range of seeds; `textOf` gives the program
  /// of a seed and its type, or nothing.
  void runSeeds(unsigned first, unsigned count, Relative relative,
                llvm::function_ref<std::string(unsigned, const char *)> textOf);
};

void RandomRuns::runSeeds(
    unsigned first, unsigned count, Relative relative,
    llvm::function_ref<std::string(unsigned, const char *)> textOf) {
  std::string eager = eagerMachineFile();
  lowestInteger = 0;
  AssignPhaseOptions assign;
  assign.timeLimit = 0.2;
  planMachine = "h100";
  unsigned runs = 0, groups = 0;
  std::string wrong;
  for (unsigned seed = first; seed < first + count; ++seed) {
    const char *modes[] = {"megatron", "propagate", "auto"};
    assign.mode = modes[seed % 3];
    // On the other machine the optimizer rather leaves things whole.
    assign.machine = seed % 4 == 0 ? "" : eager;
    std::string text = textOf(seed, seed % 5 != 0 ? "f32" : "f64");
    if (text.empty())
      continue;
    ++runs;
    SCOPED_TRACE("seed " + std::to_string(seed) + ", " + assign.mode + "\n" +
                 text);
    int before = failures();
    compile(text, "", assign);
    if (failures() == before)
      groups += counts().groups;
    if (failures() == before)
      check(1e-3, Reference::Whole, relative);
    if (failures() != before)
      wrong += " " + std::to_string(seed);
  }
  std::remove(eager.c_str());
  std::cout << runs << " random graphs run with " << groups
            << " groups of collectives, wrong:"
            << (wrong.empty() ? " none" : wrong) << "\n";
  EXPECT_GT(runs, count / 2);
  EXPECT_GT(groups, 0u);
}

/// TPC_RANDOM_RUNS=FIRST,COUNT chooses the seeds.
TEST_F(RandomRuns, ComputeTheWholeFunction) {
  unsigned first = 0, count = 600;
  if (const char *range = std::getenv("TPC_RANDOM_RUNS"))
    std::sscanf(range, "%u,%u", &first, &count);
  runSeeds(first, count, Relative::ToOutput, randomProgram);
}

/// TPC_RANDOM_GRADIENT_RUNS=FIRST,COUNT chooses the seeds.
TEST_F(RandomRuns, ComputeGradients) {
  unsigned first = 0, count = 100;
  if (const char *range = std::getenv("TPC_RANDOM_GRADIENT_RUNS"))
    std::sscanf(range, "%u,%u", &first, &count);
  runSeeds(first, count, Relative::ToAllOutputs,
           [](unsigned seed, const char *element) {
             std::string text;
             mlir::OwningOpRef<mlir::ModuleOp> module =
                 parse(randomProgram(seed, element));
             if (module && addGradients(*module))
               llvm::raw_string_ostream(text) << *module;
             return text;
           });
}

} // namespace
