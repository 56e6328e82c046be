//===- ModelPrograms.h - The programs of one model --------------*- C++ -*-===//
//
// Imports, compiles and keeps programs of a Hugging Face directory. What the
// first one decides about the weights holds for all.
//
//===----------------------------------------------------------------------===//

#ifndef TPC_LIB_DRIVER_MODELPROGRAMS_H
#define TPC_LIB_DRIVER_MODELPROGRAMS_H

#include "tpc/Driver/Compilation.h"
#include "tpc/Driver/Model.h"
#include "tpc/Import/HuggingFace.h"
#include "tpc/Pipeline/Pipeline.h"
#include <list>
#include <map>

namespace tpc {

class ModelPrograms {
public:
  using Executable = std::shared_ptr<tpcrt::Executable>;

  ModelPrograms(std::string directory, ModelOptions options);

  /// Opens the weights.
  tpcrt::Result<void> open();

  /// The module for these shapes. The model's element type and weights are
  /// filled in.
  tpcrt::Result<mlir::OwningOpRef<mlir::ModuleOp>>
  import(const ImportOptions &options);

  /// The program of one entry; compiles it if it is not there.
  tpcrt::Result<Executable> program(const ImportOptions &options);
  /// Compiles all entries in one, to be found under the options of each.
  tpcrt::Result<Executable>
  compileTogether(const ImportOptions &options,
                  llvm::ArrayRef<ImportOptions> entries);
  /// Whether the weights are split already.
  bool areSplit() const { return !shardings.empty(); }

  /// The first entry for exact shapes, and the options to compile it with: the
  /// lengths are rounded up where the model allows it.
  struct Signature {
    std::string entry;
    std::vector<std::vector<uint64_t>> inputs, outputs;
    ImportOptions compiled;
  };
  tpcrt::Result<const Signature *> signature(const ImportOptions &options);
  ImportOptions rounded(const ImportOptions &options);

  /// Of the first program; null before it is there.
  const Report *report() const { return first ? &*first : nullptr; }
  /// The program that was used last; null before the first.
  const tpcrt::Executable *latest() const {
    return programs.empty() ? nullptr : programs.front().executable.get();
  }

private:
  /// Entries that were compiled together, under the keys of their options.
  struct Program {
    std::vector<std::string> keys;
    Executable executable;
  };

  tpcrt::Result<Executable> compile(const ImportOptions &options,
                                    std::vector<std::string> keys);
  /// Pins parameters and states as earlier programs hold them.
  void pinSymbols(mlir::ModuleOp module) const;
  void recordSymbols(mlir::ModuleOp module);

  std::string directory;
  ModelOptions options;
  CompilerContext context;
  tpcrt::WeightSource weights;
  std::shared_ptr<tpcrt::SharedStorage> storage;
  /// The one that was used last first.
  std::list<Program> programs;
  std::map<std::string, Signature> signatures;
  /// How parameters and states lie, by symbol.
  std::map<std::string, ShardingAttr> shardings;
  std::optional<Report> first;
};

} // namespace tpc

#endif // TPC_LIB_DRIVER_MODELPROGRAMS_H
