// Random graphs through code generation and the runtime: what the compiled
// program computes on virtual devices against the whole function. That every
// form before it computes the same is tested with many more of them
// (test/Unit/Transforms/RandomProgramTest.cpp).
#include "Assignments.h"
#include "CompileAndRun.h"
#include "RandomProgram.h"

using namespace tpc;
using namespace tpc::test;

namespace {

class RandomRuns : public CompileAndRun {};

/// TPC_RANDOM_RUNS=FIRST,COUNT chooses the seeds.
TEST_F(RandomRuns, ComputeTheWholeFunction) {
  unsigned first = 0, count = 160;
  if (const char *range = std::getenv("TPC_RANDOM_RUNS"))
    std::sscanf(range, "%u,%u", &first, &count);
  std::string eager = eagerMachineFile();
  lowestInteger = 0;
  AssignPhaseOptions assign;
  assign.timeLimit = 0.2;
  for (unsigned seed = first; seed < first + count; ++seed) {
    const char *modes[] = {"megatron", "propagate", "auto"};
    assign.mode = modes[seed % 3];
    // On the other machine the optimizer rather leaves things whole.
    assign.machine = seed % 4 == 0 ? "" : eager;
    bool isF32 = seed % 5 != 0;
    std::string text = randomProgram(seed, isF32 ? "f32" : "f64");
    SCOPED_TRACE("seed " + std::to_string(seed) + ", " + assign.mode + "\n" +
                 text);
    compile(text, "", assign);
    if (!HasFatalFailure())
      check(1e-3, Reference::Whole);
    if (HasFailure())
      break;
  }
  std::remove(eager.c_str());
  std::cout << count << " random graphs run\n";
}

} // namespace
