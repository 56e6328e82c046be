//===- CudaSteps.h - Kernels of a plan in the simulator ---------*- C++ -*-===//
//
// Compiles the steps of a plan for CUDA and runs each in the simulator, in both
// orders of warps, on memory that lies as the plan says: what shares memory
// there shares it here. The results are compared with the reference
// evaluator's, and nothing else may have changed.
//
//===----------------------------------------------------------------------===//

#ifndef TPC_TEST_UNIT_CODEGEN_CUDASTEPS_H
#define TPC_TEST_UNIT_CODEGEN_CUDASTEPS_H

#include "CompileAndRun.h"
#include "KernelSimulator.h"
#include "tpc/Codegen/CudaImage.h"

namespace tpc::test {

class CudaSteps : public CompileAndRun {
protected:
  /// Plans `text` and runs its steps.
  void planAndRun(llvm::StringRef text, double tolerance);
  /// Runs the steps of `planned`.
  void runSteps(double tolerance);

private:
  void runStep(mlir::Operation *step, const CudaLaunch &launch,
               simulator::KernelModule &kernels, double tolerance);
};

} // namespace tpc::test

#endif // TPC_TEST_UNIT_CODEGEN_CUDASTEPS_H
