//===- Evaluator.h - The meaning of a program, computed plainly -*- C++ -*-===//
//
// Evaluates functions of the whole and the assigned form, where tpc.shard and
// tpc.reshard are identities. The oracle of all tests and of `--check`: written
// for being obviously right, one operation after the other, no fusion, no
// threads. Per-device programs: Simulator.h.
//
//===----------------------------------------------------------------------===//

#ifndef TPC_REFERENCE_EVALUATOR_H
#define TPC_REFERENCE_EVALUATOR_H

#include "mlir/Interfaces/FunctionInterfaces.h"
#include "tpc/Dialect/Tpc/Tpc.h"
#include "tpc/Reference/Tensor.h"
#include "llvm/ADT/StringMap.h"
#include <functional>

namespace tpc::reference {

/// Whole values of a module's parameters and states. Parameters are what the
/// symbol denotes (after its view), asked for once; states are zero at first
/// and keep what was written across evaluations.
class SymbolStore {
public:
  /// Called for a parameter's value; emits an error when it has none.
  using ParameterSource = std::function<mlir::FailureOr<Tensor>(ParameterOp)>;

  SymbolStore() = default;
  explicit SymbolStore(ParameterSource source) : source(std::move(source)) {}

  /// Gives a parameter or state a value.
  void set(llvm::StringRef name, Tensor value);
  /// The value of a `tpc.parameter` or `tpc.state`. Emits an error at it when
  /// a parameter has no value or one of another type.
  mlir::FailureOr<const Tensor *> get(mlir::Operation *symbol);

private:
  ParameterSource source;
  llvm::StringMap<Tensor> values;
};

/// Runs `function` on whole inputs and returns its results. Emits an error
/// when inputs do not fit or an operation is unknown.
mlir::FailureOr<llvm::SmallVector<Tensor>>
evaluate(mlir::FunctionOpInterface function, llvm::ArrayRef<Tensor> inputs,
         SymbolStore &symbols);

/// Computes one operation without symbols or communication: core operations by
/// their kernel, composites through their decomposition. Emits an error when
/// it is neither.
mlir::FailureOr<llvm::SmallVector<Tensor>>
evaluateOperation(mlir::Operation *op, llvm::ArrayRef<const Tensor *> operands);

/// Emits an error at `op` unless `inputs` have the types `expected`, but for
/// encodings.
mlir::LogicalResult checkInputs(mlir::Operation *op, mlir::TypeRange expected,
                                llvm::ArrayRef<Tensor> inputs);

} // namespace tpc::reference

#endif // TPC_REFERENCE_EVALUATOR_H
