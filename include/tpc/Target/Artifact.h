//===- Artifact.h - A planned module as an artifact -------------*- C++ -*-===//

#ifndef TPC_TARGET_ARTIFACT_H
#define TPC_TARGET_ARTIFACT_H

#include "mlir/IR/BuiltinOps.h"
#include <string>
#include <vector>

namespace tpc {

struct EmitOptions {
  /// CPU kinds to compile kernels for ("avx2", "avx512", ...); empty: the best
  /// kind of this machine.
  std::vector<std::string> isas;
  /// Without kernel images an artifact can be planned for, but not run.
  bool withImages = true;
};

/// The payload of runtime/schema/artifact.fbs for a module whose plan.programs
/// have places. Emits errors at the operations at fault.
mlir::FailureOr<std::vector<uint8_t>> emitArtifact(mlir::ModuleOp module,
                                                   const EmitOptions &options);

} // namespace tpc

#endif // TPC_TARGET_ARTIFACT_H
