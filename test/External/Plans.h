//===- Plans.h - What a plan sends ------------------------------*- C++ -*-===//
//
// Assigns a module in mode auto, partitions and proves it, and counts what its
// programs send. Counting reads the programs, not what the optimizer says.
//
//===----------------------------------------------------------------------===//

#ifndef TPC_TEST_EXTERNAL_PLANS_H
#define TPC_TEST_EXTERNAL_PLANS_H

#include "Assignments.h"
#include "mlir/IR/OwningOpRef.h"
#include <map>

namespace tpc::test {

/// A machine on which time is bytes, at one byte per nanosecond: computation
/// and copies on a device cost next to nothing.
Machine bytesMachine();
/// The same, but computation takes so long that all of it is split; among plans
/// that split it alike, those that send least are best.
Machine splittingMachine();

struct Plan {
  /// "all_reduce": how many there are.
  std::map<std::string, int> collectives;
  /// Bytes that one device sends in them, on rings.
  double bytes = 0;
  PricedAssignment priced;
  /// The partitioned module.
  mlir::OwningOpRef<mlir::ModuleOp> module;

  bool isOptimal() const;
  int count() const;
  /// "2 all_gather 1 all_reduce"
  std::string str() const;
  /// The sharding in which a parameter or state is held: "[{}, {\"tp\"}]".
  std::string stored(llvm::StringRef name) const;
};

/// Assigns a module, partitions and proves it; a test failure where that is not
/// possible.
Plan planOf(const std::string &text, const AssignOptions &options);
/// The same under a given assignment of `module`.
Plan planOf(mlir::OwningOpRef<mlir::ModuleOp> module, PricedAssignment priced,
            const Machine &machine);

} // namespace tpc::test

#endif // TPC_TEST_EXTERNAL_PLANS_H
