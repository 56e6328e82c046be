//===- Kernels.cpp - The inner loops of bound and search ------------------===//

#include "Kernels.h"
#include "FlatProblem.h"
#include <algorithm>
#include <cmath>

// Two versions of every loop, chosen when the program starts. Both give the
// same results: sums and minima are exact, and neither fuses a product with a
// sum.
#if defined(__x86_64__) && defined(__linux__)
#define TPC_VERSIONS __attribute__((target_clones("avx2", "default")))
#else
#define TPC_VERSIONS
#endif

using namespace tpc::solver;

/// Doubles of this size have no fraction: adding it and taking it off rounds.
static constexpr double kNoFraction = 0x1p52;

TPC_VERSIONS void tpc::solver::addRows(const double *rows, size_t count,
                                       unsigned slots, double *sum) {
  for (unsigned v = 0; v < slots; v += kLanes) {
    Vector total = *reinterpret_cast<const Vector *>(sum + v);
    for (size_t r = 0; r < count; ++r)
      total += *reinterpret_cast<const Vector *>(rows + r * slots + v);
    *reinterpret_cast<Vector *>(sum + v) = total;
  }
}

TPC_VERSIONS void tpc::solver::subtract(const double *a, const double *b,
                                        unsigned slots, double *result) {
  for (unsigned v = 0; v < slots; v += kLanes)
    *reinterpret_cast<Vector *>(result + v) =
        *reinterpret_cast<const Vector *>(a + v) -
        *reinterpret_cast<const Vector *>(b + v);
}

TPC_VERSIONS void tpc::solver::exchangeRow(const double *in, const double *out,
                                           unsigned slots, double *sum) {
  for (unsigned v = 0; v < slots; v += kLanes)
    *reinterpret_cast<Vector *>(sum + v) +=
        *reinterpret_cast<const Vector *>(in + v) -
        *reinterpret_cast<const Vector *>(out + v);
}

TPC_VERSIONS void tpc::solver::addScaled(double factor, const double *row,
                                         unsigned slots, double *sum) {
  for (unsigned v = 0; v < slots; v += kLanes) {
    Vector product = *reinterpret_cast<const Vector *>(row + v) * factor;
    *reinterpret_cast<Vector *>(sum + v) += product;
  }
}

TPC_VERSIONS void tpc::solver::takeShares(const double *cost, double base,
                                          double part, const double *own,
                                          unsigned slots, double *share) {
  for (unsigned v = 0; v < slots; ++v) {
    double exact = std::min(cost[v] - base, FlatProblem::kBig) * part;
    double rounded = (exact + kNoFraction) - kNoFraction;
    rounded = rounded > exact ? rounded - 1 : rounded;
    share[v] = own[v] >= FlatProblem::kBig ? FlatProblem::kBig : rounded;
  }
}

TPC_VERSIONS double tpc::solver::sendMessage(const double *sent, unsigned rows,
                                             const double *table,
                                             unsigned slots, double *message) {
  Vector least = Vector{} + FlatProblem::kBig * 4;
  for (unsigned v = 0; v < slots; v += kLanes) {
    Vector best = *reinterpret_cast<const Vector *>(table + v) + sent[0];
    for (unsigned r = 1; r < rows; ++r) {
      Vector next =
          *reinterpret_cast<const Vector *>(table + size_t(r) * slots + v) +
          sent[r];
      best = next < best ? next : best;
    }
    *reinterpret_cast<Vector *>(message + v) = best;
    least = best < least ? best : least;
  }
  double low =
      std::min(std::min(least[0], least[1]), std::min(least[2], least[3]));
  Vector most = Vector{} + FlatProblem::kBig;
  for (unsigned v = 0; v < slots; v += kLanes) {
    Vector *entry = reinterpret_cast<Vector *>(message + v);
    Vector less = *entry - low;
    *entry = less < most ? less : most;
  }
  return low;
}

TPC_VERSIONS int64_t tpc::solver::leastSum(const int64_t *base,
                                           const int64_t *const *rows,
                                           size_t count, size_t size) {
  int64_t least = INT64_MAX;
  const int64_t *a = count > 0 ? rows[0] : nullptr;
  const int64_t *b = count > 1 ? rows[1] : nullptr;
  if (count == 1) {
    for (size_t v = 0; v < size; ++v)
      least = std::min(least, base[v] + a[v]);
    return least;
  }
  if (count == 2) {
    for (size_t v = 0; v < size; ++v)
      least = std::min(least, base[v] + a[v] + b[v]);
    return least;
  }
  for (size_t v = 0; v < size; ++v) {
    int64_t sum = base[v];
    for (size_t r = 0; r < count; ++r)
      sum += rows[r][v];
    least = std::min(least, sum);
  }
  return least;
}
