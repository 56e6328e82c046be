// Kernels for CUDA in the simulator: the cases of the CPU's kernels.
#include "CudaSteps.h"
#include "OperationCases.h"

using namespace tpc::test;

namespace {

class CudaOperations : public CudaSteps {
protected:
  void runAll(const std::vector<OperationCase> &cases) {
    for (const OperationCase &c : cases) {
      SCOPED_TRACE(c.name);
      planAndRun(programOf(c), c.tolerance);
      if (HasFatalFailure())
        return;
    }
  }
};

TEST_F(CudaOperations, Elementwise) { runAll(elementwiseCases()); }
TEST_F(CudaOperations, Conversion) { runAll(conversionCases()); }
TEST_F(CudaOperations, Reduction) { runAll(reductionCases()); }
TEST_F(CudaOperations, Movement) { runAll(movementCases()); }
TEST_F(CudaOperations, Composite) { runAll(compositeCases()); }

} // namespace
