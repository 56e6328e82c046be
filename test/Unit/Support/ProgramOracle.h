//===- ProgramOracle.h - Does a program compute its function? ---*- C++ -*-===//
//
// Random whole inputs and states with the results of the whole function and the
// states after it, against which any number of per-device programs can be
// simulated.
//
//===----------------------------------------------------------------------===//

#ifndef TPC_TEST_UNIT_SUPPORT_PROGRAMORACLE_H
#define TPC_TEST_UNIT_SUPPORT_PROGRAMORACLE_H

#include "mlir/Interfaces/FunctionInterfaces.h"
#include "tpc/Reference/Simulator.h"
#include <random>

namespace tpc::test {

/// Floats in [-1, 1), integers in [0, 7).
reference::Tensor randomTensor(mlir::RankedTensorType type,
                               std::mt19937 &random);

class ProgramOracle {
public:
  /// Draws inputs and parameters of `function` and evaluates it. Results may
  /// differ by `tolerance` (relative for values above 1): composites compute in
  /// f32, whatever the program's type.
  ProgramOracle(mlir::FunctionOpInterface function, unsigned seed,
                double tolerance = 1e-4);

  /// How `program`, simulated with poisoned padding, differs from the
  /// function, or nothing.
  std::optional<std::string> difference(spmd::ProgramOp program) const;

private:
  void appendStates(reference::SymbolStore &store,
                    llvm::SmallVectorImpl<reference::Tensor> &results) const;

  mlir::FunctionOpInterface function;
  double tolerance;
  llvm::SmallVector<reference::Tensor> inputs;
  llvm::SmallVector<std::pair<std::string, reference::Tensor>> symbols;
  llvm::SmallVector<reference::Tensor> expected; // results, then states
};

} // namespace tpc::test

#endif // TPC_TEST_UNIT_SUPPORT_PROGRAMORACLE_H
