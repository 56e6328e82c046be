//===- PartitionCheck.h - A strategy through partition ----------*- C++ -*-===//
//
// Whether an operation, split as one strategy says, partitioned, and simulated
// with poisoned padding, gives what it gives on whole tensors.
//
//===----------------------------------------------------------------------===//

#ifndef TPC_TEST_UNIT_REFERENCE_PARTITIONCHECK_H
#define TPC_TEST_UNIT_REFERENCE_PARTITIONCHECK_H

#include "OpCases.h"
#include "tpc/Sharding/Strategies.h"

namespace tpc::reference {

enum class Held {
  /// Arguments are replicated and sliced in the program: padding is poison.
  Whole,
  /// Arguments come as blocks: padding is zero.
  Blocks
};

/// What is wrong, or nothing.
std::optional<std::string> checkPartitioned(const OpCase &opCase,
                                            const Mesh &mesh,
                                            const OpShardings &shardings,
                                            Held held, std::mt19937 &random);

} // namespace tpc::reference

#endif // TPC_TEST_UNIT_REFERENCE_PARTITIONCHECK_H
