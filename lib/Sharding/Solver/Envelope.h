//===- Envelope.h - The highest point below several planes ------*- C++ -*-===//

#ifndef TPC_LIB_SHARDING_SOLVER_ENVELOPE_H
#define TPC_LIB_SHARDING_SOLVER_ENVELOPE_H

#include <vector>

namespace tpc::solver {

/// height(prices) = constant + prices . slopes
struct Plane {
  double constant = 0;
  std::vector<double> slopes;
};

struct EnvelopePoint {
  std::vector<double> prices;
  double height = 0;
};

/// Where the least of all planes is highest, over prices of at least 0 whose
/// sum is at most `most`. There is a plane, and all have as many slopes. A
/// linear program, solved by the simplex method.
EnvelopePoint highestPoint(const std::vector<Plane> &planes, double most);

} // namespace tpc::solver

#endif // TPC_LIB_SHARDING_SOLVER_ENVELOPE_H
