//===- ModuleText.h - Is a module's text safe to parse? ---------*- C++ -*-===//
//
// MLIR's parser, and all that walks types and attributes, calls itself for what
// is nested, without a limit: a file of brackets overflows the stack. So a
// module's text is measured before it is parsed.
//
//===----------------------------------------------------------------------===//

#ifndef TPC_PIPELINE_MODULETEXT_H
#define TPC_PIPELINE_MODULETEXT_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include "llvm/Support/MemoryBuffer.h"

namespace tpc {

/// How deep types, attributes, locations and regions may be nested, and how
/// many operators an affine expression may chain. What the compiler prints
/// stays below 20.
inline constexpr unsigned kMaxNesting = 200;

/// Emits an error at the place where `text` is nested more deeply than
/// kMaxNesting, through aliases too (`#b = [#a]`), or where it is not text but
/// MLIR's bytecode, whose nesting cannot be seen beforehand. Text that passes
/// need not be legal.
mlir::LogicalResult checkModuleText(llvm::MemoryBufferRef text,
                                    mlir::MLIRContext *context);

/// The module of a text that passes checkModuleText; emits an error and returns
/// null otherwise.
mlir::OwningOpRef<mlir::ModuleOp>
parseModule(std::unique_ptr<llvm::MemoryBuffer> text,
            mlir::MLIRContext *context);

} // namespace tpc

#endif // TPC_PIPELINE_MODULETEXT_H
