//===- SearchDemands.h - What a search must keep or avoid -------*- C++ -*-===//
//
// Demands beside the user's pins, of anything that the optimizer's problem has
// a choice for: "what if this were held so?", "what if this collective did not
// stand?", and the lines of a plan file that leaves some out.
//
//===----------------------------------------------------------------------===//

#ifndef TPC_LIB_SHARDING_SEARCHDEMANDS_H
#define TPC_LIB_SHARDING_SEARCHDEMANDS_H

#include "mlir/IR/Operation.h"
#include "tpc/Sharding/Strategies.h"
#include "llvm/ADT/DenseSet.h"

namespace tpc {

struct SearchDemands {
  /// How parameters and states are stored.
  llvm::DenseMap<mlir::StringAttr, Sharding> symbols;
  /// How arguments are given, and results of operations made.
  llvm::DenseMap<mlir::Value, Sharding> held;
  /// How results of entries, by return operation and number, are returned.
  llvm::DenseMap<std::pair<mlir::Operation *, unsigned>, Sharding> returned;
  /// How operations are computed.
  llvm::DenseMap<mlir::Operation *, OpShardings> strategies;

  /// Of a plan: what is computed and sent again, as in Assignment.
  llvm::DenseSet<mlir::Operation *> again;
  llvm::DenseMap<mlir::Value, llvm::SmallVector<Sharding, 1>> resentAgain;

  /// A reshard that does not stand.
  struct Reshard {
    mlir::Value value;
    Sharding from, to;
  };
  std::vector<Reshard> without;
  /// Composites that do not communicate inside.
  llvm::DenseSet<mlir::Operation *> silent;
};

} // namespace tpc

#endif // TPC_LIB_SHARDING_SEARCHDEMANDS_H
