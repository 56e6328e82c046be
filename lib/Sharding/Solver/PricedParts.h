//===- PricedParts.h - Memory of graphs that are wide --------------------===//
//
// Where a graph with a memory limit is too wide for exact elimination, memory
// is given a price: every byte in use at the fullest times costs something,
// and the rest is a problem without memory (Parts.h). Whatever the price,
//
//   optimum of the priced problem - price * limit  <=  optimum
//
// A higher price gives smaller choices. Every choice that was found is a line
// over the price, and the next price is where the lower envelope of all lines
// is highest; when nothing new is found there, the bound is the best that one
// price gives. At that price choices that fit and such that do not are equally
// good: mixed (Mixing.h), they give one that just fits. What is left to the
// bound is about one step of the trade: one of eighty layers whose values are
// kept or not.
//
//===----------------------------------------------------------------------===//

#ifndef TPC_LIB_SHARDING_SOLVER_PRICEDPARTS_H
#define TPC_LIB_SHARDING_SOLVER_PRICEDPARTS_H

#include "Exact.h"

namespace tpc::solver {

/// The best choice and bound that prices of memory give; nothing if the parts
/// cannot be solved. The problem has a memory limit; `unlimited` is its optimum
/// without, or empty.
std::optional<ExactResult> solvePricedParts(const Problem &problem,
                                            const Choice &unlimited,
                                            Deadline deadline);

} // namespace tpc::solver

#endif // TPC_LIB_SHARDING_SOLVER_PRICEDPARTS_H
