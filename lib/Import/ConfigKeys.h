//===- ConfigKeys.h - Keys of config.json without effect --------*- C++ -*-===//

#ifndef TPC_LIB_IMPORT_CONFIGKEYS_H
#define TPC_LIB_IMPORT_CONFIGKEYS_H

#include "mlir/Support/LLVM.h"

namespace tpc {

/// Keys that say nothing about what a model computes, whatever its family,
/// outside of sections and in them.
llvm::ArrayRef<llvm::StringRef> keysWithoutEffect();

/// Keys, and the value (as JSON text) by which they say that a model does not
/// have something: what a family that does not know them does not have.
llvm::ArrayRef<std::pair<llvm::StringRef, llvm::StringRef>>
valuesWithoutEffect();

} // namespace tpc

#endif // TPC_LIB_IMPORT_CONFIGKEYS_H
