//===- Envelope.cpp - The highest point below several planes --------------===//
//
// The dual: shares of the planes that add up to 1, with the least
//
//   sum of share * constant + most * overrun,   overrun >= 0
//   such that for every price   sum of share * slope <= overrun
//
// Its multipliers are the prices.
//
//===----------------------------------------------------------------------===//

#include "Envelope.h"
#include <algorithm>
#include <cmath>
#include <cstddef>

using namespace tpc::solver;

namespace {

/// Rows: one for the sum of the shares, one per price. Columns: shares, the
/// overrun, a slack per price, the right side.
class Simplex {
public:
  Simplex(const std::vector<Plane> &planes, double most);
  EnvelopePoint run();

private:
  static constexpr double kTiny = 1e-9;
  static constexpr int kMaxPivots = 10'000;

  void pivot(size_t row, size_t column);
  bool step();
  double &at(size_t row, size_t column) { return table[row][column]; }

  size_t numPlanes, numPrices, right;
  /// Of costs and slopes, so that both are near 1.
  double costUnit = 1, slopeUnit = 1;
  /// The last row are the reduced costs.
  std::vector<std::vector<double>> table;
  std::vector<size_t> basis;
};

} // namespace

Simplex::Simplex(const std::vector<Plane> &planes, double most)
    : numPlanes(planes.size()), numPrices(planes[0].slopes.size()),
      right(numPlanes + 1 + numPrices) {
  for (const Plane &plane : planes) {
    costUnit = std::max(costUnit, std::abs(plane.constant));
    for (double slope : plane.slopes)
      slopeUnit = std::max(slopeUnit, std::abs(slope));
  }
  size_t overrun = numPlanes;
  table.assign(numPrices + 2, std::vector<double>(right + 1, 0.0));
  for (size_t k = 0; k < numPlanes; ++k) {
    at(0, k) = 1;
    for (size_t t = 0; t < numPrices; ++t)
      at(t + 1, k) = planes[k].slopes[t] / slopeUnit;
    at(numPrices + 1, k) = planes[k].constant / costUnit;
  }
  at(0, right) = 1;
  at(numPrices + 1, overrun) = most * slopeUnit / costUnit;
  for (size_t t = 0; t < numPrices; ++t) {
    at(t + 1, overrun) = -1;
    at(t + 1, overrun + 1 + t) = 1;
    basis.push_back(overrun + 1 + t);
  }
  // To begin with the first plane has the whole share, and the overrun is what
  // that takes.
  basis.insert(basis.begin(), 0);
  pivot(0, 0);
  size_t lowest = 0;
  for (size_t t = 1; t <= numPrices; ++t)
    if (at(t, right) < (lowest ? at(lowest, right) : 0))
      lowest = t;
  if (lowest)
    pivot(lowest, overrun);
}

void Simplex::pivot(size_t row, size_t column) {
  double by = at(row, column);
  for (double &entry : table[row])
    entry /= by;
  for (size_t other = 0; other < table.size(); ++other) {
    double factor = at(other, column);
    if (other == row || factor == 0)
      continue;
    for (size_t i = 0; i <= right; ++i)
      at(other, i) -= factor * at(row, i);
  }
  basis[row] = column;
}

/// Bland's rule: the first column that gains, the first of the rows that bind.
bool Simplex::step() {
  const std::vector<double> &gains = table.back();
  auto column = static_cast<size_t>(
      std::find_if(gains.begin(), gains.begin() + long(right),
                   [](double gain) { return gain < -kTiny; }) -
      gains.begin());
  if (column == right)
    return false;
  size_t best = table.size();
  double least = 0;
  for (size_t row = 0; row + 1 < table.size(); ++row) {
    if (at(row, column) <= kTiny)
      continue;
    double ratio = at(row, right) / at(row, column);
    if (best == table.size() || ratio < least - kTiny ||
        (ratio <= least + kTiny && basis[row] < basis[best])) {
      best = row;
      least = ratio;
    }
  }
  if (best == table.size())
    return false;
  pivot(best, column);
  return true;
}

EnvelopePoint Simplex::run() {
  for (int i = 0; i < kMaxPivots && step(); ++i) {
  }
  EnvelopePoint point;
  for (size_t t = 0; t < numPrices; ++t)
    point.prices.push_back(std::max(0.0, table.back()[numPlanes + 1 + t]) *
                           costUnit / slopeUnit);
  point.height = -table.back()[right] * costUnit;
  return point;
}

EnvelopePoint tpc::solver::highestPoint(const std::vector<Plane> &planes,
                                        double most) {
  return Simplex(planes, most).run();
}
