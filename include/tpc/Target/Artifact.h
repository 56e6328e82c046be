//===- Artifact.h - A planned module as an artifact -------------*- C++ -*-===//

#ifndef TPC_TARGET_ARTIFACT_H
#define TPC_TARGET_ARTIFACT_H

#include "mlir/IR/BuiltinOps.h"
#include <optional>
#include <string>
#include <vector>

namespace tpc {

/// The kind of the mesh's devices.
enum class DeviceKind { Cpu, Cuda };
/// "cpu" or "cuda".
std::optional<DeviceKind> findDeviceKind(llvm::StringRef name);

struct EmitOptions {
  DeviceKind device = DeviceKind::Cpu;
  /// What to compile kernels for. CPU: "avx2", "avx512", ...; empty: the best
  /// kind of this machine. CUDA: "sm_80", ...; empty: sm_80, which newer GPUs
  /// run too.
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
