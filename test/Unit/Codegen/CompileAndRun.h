//===- CompileAndRun.h - Compiled against reference programs ----*- C++ -*-===//
//
// Compiles a module with the whole pipeline, loads the artifact with the
// runtime, runs it on random inputs and weights, and compares every output with
// the reference evaluator.
//
//===----------------------------------------------------------------------===//

#ifndef TPC_TEST_UNIT_CODEGEN_COMPILEANDRUN_H
#define TPC_TEST_UNIT_CODEGEN_COMPILEANDRUN_H

#include "TestPrograms.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/OwningOpRef.h"
#include "tpc/Pipeline/Compiler.h"
#include "tpc/Reference/Evaluator.h"
#include "tpcrt/Runtime.h"
#include <gtest/gtest.h>

namespace tpc::test {

/// Fails the test where elements differ by more than `tolerance`, relative to
/// the largest magnitude, or to `scale` where that is more; NaN is expected
/// where NaN is.
void expectClose(const reference::Tensor &expected,
                 const reference::Tensor &found, double tolerance,
                 double scale = 0);

/// The sizes of a module's plans.
struct PlanCounts {
  int kernels = 0, matmuls = 0, attentions = 0, collectives = 0;
  int groups = 0; // collectives that stand for several
};

class CompileAndRun : public ::testing::Test {
protected:
  CompileAndRun();
  ~CompileAndRun() override;

  /// Parses `text`; where it has no spmd.program, assigns and partitions it.
  /// Then generates its plans.
  void plan(llvm::StringRef text,
            const AssignPhaseOptions &assign = megatron());
  void planModule(mlir::OwningOpRef<mlir::ModuleOp> module,
                  const AssignPhaseOptions &assign = megatron());
  /// Plans `text`, compiles it for `isa` (empty: this machine) and loads it.
  void compile(llvm::StringRef text, std::string isa = "",
               const AssignPhaseOptions &assign = megatron());
  void compile(const TestProgram &program);
  /// What to compare with: the simulated per-device program, or the whole
  /// function that it implements.
  enum class Reference { Program, Whole };
  /// Differences are relative to the largest magnitude in each output, or in
  /// all of them: where outputs may be sums that cancel.
  enum class Relative { ToOutput, ToAllOutputs };
  /// Runs program @main once with random inputs and states and compares its
  /// outputs, and the states after it, with the reference.
  void check(double tolerance, Reference against = Reference::Program,
             Relative relative = Relative::ToOutput);
  void compileAndCheck(llvm::StringRef text, double tolerance = 1e-5) {
    compile(text);
    if (!HasFatalFailure())
      check(tolerance);
  }
  /// Runs program @main on the given whole inputs.
  std::vector<reference::Tensor>
  run(const std::vector<reference::Tensor> &inputs);
  reference::Tensor randomTensor(mlir::RankedTensorType type);
  reference::Tensor tensor(llvm::ArrayRef<int64_t> shape, mlir::Type type,
                           std::vector<double> data);
  PlanCounts counts();

  mlir::MLIRContext context;
  /// What is planned for: "cpu" or "cuda".
  std::string device = "cpu";
  /// The machine that plans are made for; empty: the one of the assignment. On
  /// "h100" copies are cheap and latencies long: what may be grouped is.
  std::string planMachine;
  /// Integers are drawn from [lowest, highest].
  int64_t lowestInteger = -2, highestInteger = 5;
  mlir::OwningOpRef<mlir::ModuleOp> source;  // before code generation
  mlir::OwningOpRef<mlir::ModuleOp> planned; // after it
  std::unique_ptr<tpcrt::Executable> executable;

  /// Loads an artifact with the weights of the module compiled last, or those
  /// of a file or folder.
  std::string weights;
  void load(const std::vector<uint8_t> &payload);

private:
  static AssignPhaseOptions megatron();
  void fillStates();
  void checkStates(double tolerance);
  uint64_t nextRandom();

  llvm::StringMap<reference::Tensor> randomWeights;
  reference::SymbolStore symbols;
  uint64_t state = 88172645463325252ull;
};

} // namespace tpc::test

#endif // TPC_TEST_UNIT_CODEGEN_COMPILEANDRUN_H
