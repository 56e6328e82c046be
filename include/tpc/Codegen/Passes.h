//===- Passes.h - From per-device programs to plans -------------*- C++ -*-===//

#ifndef TPC_CODEGEN_PASSES_H
#define TPC_CODEGEN_PASSES_H

#include "mlir/Pass/Pass.h"
#include "mlir/Pass/PassManager.h"

namespace tpc {

/// Factories of the passes of include/tpc/Codegen/Passes.td, and
/// registerCodegenPasses().
#define GEN_PASS_DECL
#define GEN_PASS_REGISTRATION
#include "tpc/Codegen/Passes.h.inc"

/// spmd.program -> plan.program with locations:
///
///   fuse epilogues         bias, activation, ... become part of their matmul
///   expand composites      softmax, gelu, ... become core operations
///   expand device ops      masks, slices, ... become selects on device scalars
///   flatten collectives    layout changes around collectives become kernels
///   group collectives      small ones of a kind become one
///   normalize matmuls      contractions become strided products
///   form kernels           everything else is grouped into kernels
///   allocate buffers       values get their places
///   verify plan
void buildCodegenPipeline(mlir::OpPassManager &manager,
                          llvm::StringRef device = "cpu");

} // namespace tpc

#endif // TPC_CODEGEN_PASSES_H
