//===- Link.h - An object becomes a shared object ---------------*- C++ -*-===//

#ifndef TPC_LIB_CODEGEN_LINK_H
#define TPC_LIB_CODEGEN_LINK_H

#include "mlir/IR/Diagnostics.h"
#include "mlir/Support/LLVM.h"
#include <vector>

namespace tpc {

/// Links an x86-64 ELF object by lld, in process. An undefined symbol is an
/// error at `loc` that names it.
mlir::FailureOr<std::vector<uint8_t>>
linkSharedObject(llvm::ArrayRef<char> object, mlir::Location loc);

} // namespace tpc

#endif // TPC_LIB_CODEGEN_LINK_H
