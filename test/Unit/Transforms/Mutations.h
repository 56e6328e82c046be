//===- Mutations.h - Systematic damage to per-device programs ---*- C++ -*-===//
//
// Every mutation changes one thing: a collective becomes any other operation of
// the dialect that fits between the same types (dropped, doubled, of another
// kind, reduction, axis or dimension; permuted otherwise), a mask disappears or
// masks otherwise, a block's start is another's, operands are exchanged or
// taken from elsewhere, local operations change kind, promised shardings
// change.
//
//===----------------------------------------------------------------------===//

#ifndef TPC_TEST_UNIT_TRANSFORMS_MUTATIONS_H
#define TPC_TEST_UNIT_TRANSFORMS_MUTATIONS_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include "tpc/Dialect/Spmd/Spmd.h"
#include <functional>

namespace tpc::test {

struct Mutation {
  std::string name;
  /// Changes a clone of the module that was looked at.
  std::function<void(mlir::ModuleOp)> apply;
};

/// All mutations of the only program of `module`. Not all give legal IR.
std::vector<Mutation> mutationsOf(mlir::ModuleOp module);

/// A mutated copy, or null where it is not legal IR.
mlir::OwningOpRef<mlir::ModuleOp> mutated(mlir::ModuleOp module,
                                          const Mutation &mutation);

/// The only program of a module.
spmd::ProgramOp programOf(mlir::ModuleOp module);

} // namespace tpc::test

#endif // TPC_TEST_UNIT_TRANSFORMS_MUTATIONS_H
