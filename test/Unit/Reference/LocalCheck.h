//===- LocalCheck.h - A strategy without partition --------------*- C++ -*-===//
//
// Whether an operation on blocks gives the blocks of its result: the meaning
// of a sharding rule, checked with nothing in between. Only for strategies that
// need no help of partition: evenly split, no factor indexed or synchronized.
// The rule is an argument, so that wrong ones can be shown to fail.
//
//===----------------------------------------------------------------------===//

#ifndef TPC_TEST_UNIT_REFERENCE_LOCALCHECK_H
#define TPC_TEST_UNIT_REFERENCE_LOCALCHECK_H

#include "OpCases.h"
#include "tpc/Sharding/Strategies.h"

namespace tpc::reference {

/// Whether checkLocal can tell anything about the strategy.
bool isPlainlyLocal(const RuledOp &ruled, const Strategy &strategy,
                    const OpShardings &shardings, const Mesh &mesh);

/// What is wrong, or nothing.
std::optional<std::string> checkLocal(const OpCase &opCase, const Mesh &mesh,
                                      const OpShardings &shardings,
                                      std::mt19937 &random);

} // namespace tpc::reference

#endif // TPC_TEST_UNIT_REFERENCE_LOCALCHECK_H
