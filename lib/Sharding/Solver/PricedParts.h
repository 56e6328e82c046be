//===- PricedParts.h - Memory of graphs that only classes get through -------===//
//
// Where a graph with a memory limit is too wide for exact elimination, memory
// is given a price: every byte in use at the fullest times costs something,
// and the rest is a problem without memory (Parts.h). Whatever the price,
//
//   optimum of the priced problem - price * limit  <=  optimum
//
// A higher price gives smaller choices. The price is bisected until the choice
// just fits: that one is offered, and the best bound of all prices is kept.
// What is left between them is about one step of the trade: one of eighty
// layers whose parameters are split or not.
//
//===----------------------------------------------------------------------===//

#ifndef TPC_LIB_SHARDING_SOLVER_PRICEDPARTS_H
#define TPC_LIB_SHARDING_SOLVER_PRICEDPARTS_H

#include "Exact.h"

namespace tpc::solver {

/// The best choice and bound that prices of memory give; nothing if the parts
/// cannot be solved. The problem has a memory limit.
std::optional<ExactResult> solvePricedParts(const Problem &problem,
                                            Deadline deadline);

} // namespace tpc::solver

#endif // TPC_LIB_SHARDING_SOLVER_PRICEDPARTS_H
