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
#include <vector>

namespace tpc::test {

/// A machine on which time is bytes, at one byte per nanosecond: computation
/// and copies on a device cost next to nothing.
Machine bytesMachine();
/// The same, but computation takes so long that all of it is split; among plans
/// that split it alike, those that send least are best, and of these the ones
/// in fewest collectives.
Machine splittingMachine();

struct Collective {
  std::string kind; ///< "all_reduce"
  /// Of the larger side on one device.
  int64_t elements = 0;
};

struct Plan {
  std::vector<Collective> collectives;
  /// Bytes that one device sends in them, on rings.
  double bytes = 0;
  PricedAssignment priced;
  /// The partitioned module.
  mlir::OwningOpRef<mlir::ModuleOp> module;

  /// How many collectives have at least so many elements.
  int count(int64_t elements = 0) const;
  /// A line for each collective: "all_reduce 4096".
  std::string str() const;
  /// The sharding in which a parameter or state is held: "[{}, {\"tp\"}]".
  std::string stored(llvm::StringRef name) const;
};

/// A module that also returns the gradients of all parameters of its result
/// "loss".
mlir::OwningOpRef<mlir::ModuleOp> trained(const std::string &text);

/// Assigns a module, partitions and proves it; a test failure where that is not
/// possible.
Plan planOf(const std::string &text, const AssignOptions &options);
Plan planOf(mlir::OwningOpRef<mlir::ModuleOp> module,
            const AssignOptions &options);
/// The same under a given assignment of `module`.
Plan planOf(mlir::OwningOpRef<mlir::ModuleOp> module, PricedAssignment priced,
            const Machine &machine);

} // namespace tpc::test

#endif // TPC_TEST_EXTERNAL_PLANS_H
