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
#include <functional>

namespace tpc::test {

class CudaSteps : public CompileAndRun {
protected:
  /// Plans `text` and runs its kernels.
  void planAndRun(llvm::StringRef text, double tolerance);
  /// Runs the kernels of `planned`.
  void runKernels(double tolerance);
  using Change = std::function<void(llvm::MutableArrayRef<reference::Tensor>)>;
  /// What the step finds in its arguments though the reference does not, and
  /// what that makes of the reference's results.
  struct Poison {
    Change arguments, results;
  };
  /// Plans `text`, whose function @main is one attention, grouped matmul or
  /// product that cuBLASLt does not compute, of its arguments and views of
  /// them, and runs the kernel of that step.
  /// `change` may set the arguments' values.
  void planAndRunLibraryStep(llvm::StringRef text, double tolerance,
                             const Change &change = {},
                             const Poison &poison = {});

private:
  using Tensors = llvm::SmallVector<reference::Tensor>;
  struct Step {
    mlir::Operation *op;
    CudaLaunch launch;
    /// What is written before, by value, and what the results are then.
    llvm::SmallVector<std::pair<mlir::Value, reference::Tensor>> given;
    llvm::function_ref<mlir::FailureOr<Tensors>(
        llvm::ArrayRef<reference::Tensor>)>
        evaluate;
  };
  std::unique_ptr<simulator::KernelModule> load(CudaModule &module);
  void run(const Step &step, simulator::KernelModule &kernels,
           double tolerance);
};

} // namespace tpc::test

#endif // TPC_TEST_UNIT_CODEGEN_CUDASTEPS_H
