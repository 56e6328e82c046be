//===- ModelConfig.h - Reading config.json ----------------------*- C++ -*-===//

#ifndef TPC_LIB_IMPORT_MODELCONFIG_H
#define TPC_LIB_IMPORT_MODELCONFIG_H

#include "mlir/IR/Location.h"
#include "mlir/Support/LLVM.h"
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace tpc {

/// The values of a config.json. Getters emit an error that names the key, what
/// was expected and what was found. They also note which keys were asked for:
/// one that nobody asks for may say something about the model that the graph
/// then lacks, so it is an error (`checkAllKeysAreKnown`).
class ModelConfig {
public:
  /// Reads DIRECTORY/config.json; emits an error if that fails.
  static mlir::FailureOr<ModelConfig> read(mlir::MLIRContext *context,
                                           llvm::StringRef directory);
  /// Null and absent are the same: not there. So for the getters: a fallback
  /// stands for both.
  bool has(llvm::StringRef key) const;
  /// There, and null.
  bool isNull(llvm::StringRef key) const;
  mlir::FailureOr<int64_t> integer(llvm::StringRef key,
                                   std::optional<int64_t> fallback = {}) const;
  /// An integer from 1 to `limit`.
  mlir::FailureOr<int64_t> size(llvm::StringRef key,
                                std::optional<int64_t> fallback = {},
                                int64_t limit = int64_t(1) << 31) const;
  mlir::FailureOr<double> number(llvm::StringRef key,
                                 std::optional<double> fallback = {}) const;
  mlir::FailureOr<bool> flag(llvm::StringRef key, bool fallback) const;
  mlir::FailureOr<std::string>
  text(llvm::StringRef key, std::optional<std::string> fallback = {}) const;
  /// The first element of a list of strings.
  mlir::FailureOr<std::string> firstText(llvm::StringRef key) const;
  /// A list of strings; empty if it is not there.
  mlir::FailureOr<std::vector<std::string>> texts(llvm::StringRef key) const;
  /// A list of numbers.
  mlir::FailureOr<std::vector<double>> numbers(llvm::StringRef key) const;
  /// A list of `count` sizes, or one size for all of them.
  mlir::FailureOr<std::vector<int64_t>>
  sizes(llvm::StringRef key, size_t count,
        std::optional<int64_t> fallback = {}) const;
  /// How many entries the object under `key` has.
  mlir::FailureOr<int64_t> entries(llvm::StringRef key) const;
  /// The object under `key`; empty if it is not there. Errors of its getters
  /// name "key.inner".
  mlir::FailureOr<ModelConfig> section(llvm::StringRef key) const;

  /// Emits an error unless `key` is absent, null, or `value` as JSON text: for
  /// what would change the result and is not supported.
  mlir::LogicalResult expect(llvm::StringRef key, llvm::StringRef value) const;
  /// Emits an error for a key, of this object or a section of it, that is not
  /// null, that nobody asked for, and that is neither in the lists of what has
  /// no effect on any model (ConfigKeys.cpp) nor in `ignored`.
  mlir::LogicalResult
  checkAllKeysAreKnown(llvm::StringRef architecture,
                       llvm::ArrayRef<llvm::StringRef> ignored = {}) const;

  mlir::Location location() const;
  mlir::InFlightDiagnostic error() const;

private:
  struct Document;
  struct Object;
  ModelConfig(std::shared_ptr<Document> document,
              std::shared_ptr<Object> object, std::string prefix);
  mlir::LogicalResult
  checkKeysOf(const Object &section, llvm::StringRef architecture,
              llvm::ArrayRef<llvm::StringRef> ignored) const;
  std::shared_ptr<Document> document;
  std::shared_ptr<Object> object;
  std::string prefix;
};

} // namespace tpc

#endif // TPC_LIB_IMPORT_MODELCONFIG_H
