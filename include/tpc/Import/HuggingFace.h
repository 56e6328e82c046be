//===- HuggingFace.h - Models from Hugging Face directories -----*- C++ -*-===//
//
// A model directory has a config.json and, if it is to be run, weights in
// safetensors files. The importer builds a module in the whole form: one entry
// function `main` on whole tensors, parameters as views of the stored tensors.
//
// A family of models is a row of data (Families.cpp), not a class.
//
//===----------------------------------------------------------------------===//

#ifndef TPC_IMPORT_HUGGINGFACE_H
#define TPC_IMPORT_HUGGINGFACE_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include "llvm/ADT/StringSet.h"

namespace tpcrt {
class WeightSource;
}

namespace tpc {

struct ImportOptions {
  /// Shape [batch, length] of the token inputs.
  int64_t batch = 1;
  int64_t length = 128;
  /// Optional inputs to leave out of the entry, by name: `attention_mask`
  /// (then every token counts) and `token_type_ids` (then all are 0).
  llvm::StringSet<> without;
  /// Weights to check the configuration against; null: not checked.
  const tpcrt::WeightSource *weights = nullptr;
};

/// Whether `path` is a directory with a config.json.
bool isHuggingFaceDirectory(llvm::StringRef path);

/// Builds the module of the model in `directory`, without a mesh. Errors are
/// emitted at a location in config.json: an unknown architecture, a
/// configuration value that is missing, malformed or not supported, a stored
/// tensor that is missing or has another shape.
mlir::OwningOpRef<mlir::ModuleOp>
importHuggingFace(mlir::MLIRContext *context, llvm::StringRef directory,
                  const ImportOptions &options);

} // namespace tpc

#endif // TPC_IMPORT_HUGGINGFACE_H
