//===- Decisions.h - What a plan decides, by name ---------------*- C++ -*-===//
//
// Every place where a plan has a choice, with a name that is the same whenever
// the same model is built: what plan files list. The name of an operation is
// that of its location and its kind, with a number from the second on:
//
//   "model.layers.3.mlp.down_proj matmul"    "matmul"    "matmul 2"
//
// Reads and writes of symbols, and results that are held like one, are decided
// with the symbol, returns with the results.
//
//===----------------------------------------------------------------------===//

#ifndef TPC_LIB_SHARDING_DECISIONS_H
#define TPC_LIB_SHARDING_DECISIONS_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "tpc/Dialect/Tpc/Tpc.h"

namespace tpc {

struct Decision {
  std::string name;
  /// The name with "*" for the number of a layer.
  std::string pattern;
  /// Of a tensor that is stored, given or returned; null of an operation.
  mlir::RankedTensorType type;
  /// Symbol, function or operation.
  mlir::Operation *op;
  unsigned index = 0; ///< of an argument or result
};

struct EntryDecisions {
  std::string name;
  mlir::func::FuncOp function;
  std::vector<Decision> inputs, operations, outputs;
};

struct ModuleDecisions {
  std::vector<Decision> parameters, states;
  std::vector<EntryDecisions> entries;

  static ModuleDecisions of(mlir::ModuleOp module);
};

/// "dp=2,tp=4"
std::string meshText(const Mesh &mesh);

/// "256x64xf32"
std::string tensorText(mlir::RankedTensorType type);

/// What a plan must agree with beyond names: operations with their attributes
/// and types, and what is computed from what, as "12 operations,
/// 9c47fbd1aa0be05d". The same on every machine; neither weights nor pins nor
/// locations are in it.
std::string fingerprint(mlir::func::FuncOp function);

} // namespace tpc

#endif // TPC_LIB_SHARDING_DECISIONS_H
