//===- DifferentiatedProgram.h - Graphs with gradients ----------*- C++ -*-===//

#ifndef TPC_TEST_UNIT_SUPPORT_DIFFERENTIATEDPROGRAM_H
#define TPC_TEST_UNIT_SUPPORT_DIFFERENTIATEDPROGRAM_H

#include "mlir/IR/BuiltinOps.h"

namespace tpc::test {

/// Makes the weighted sum of @main's first result a result of its own and adds
/// the gradients of all parameters that it depends on. False where that result
/// is no floating-point tensor or the gradients cannot be built.
bool addGradients(mlir::ModuleOp module);

} // namespace tpc::test

#endif // TPC_TEST_UNIT_SUPPORT_DIFFERENTIATEDPROGRAM_H
