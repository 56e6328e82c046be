//===- Kernels.h - The inner loops of bound and search ----------*- C++ -*-===//
//
// Loops over doubles are over padded arrays (FlatProblem.h): every length is a
// multiple of kLanes.
//
//===----------------------------------------------------------------------===//

#ifndef TPC_LIB_SHARDING_SOLVER_KERNELS_H
#define TPC_LIB_SHARDING_SOLVER_KERNELS_H

#include <cstddef>
#include <cstdint>

namespace tpc::solver {

/// sum[v] += each of `count` rows that lie one after the other.
void addRows(const double *rows, size_t count, unsigned slots, double *sum);

/// result[v] = a[v] - b[v].
void subtract(const double *a, const double *b, unsigned slots, double *result);

/// sum[v] += in[v] - out[v].
void exchangeRow(const double *in, const double *out, unsigned slots,
                 double *sum);

/// sum[v] += factor * row[v].
void addScaled(double factor, const double *row, unsigned slots, double *sum);

/// share[v] = (cost[v] - base) * part, rounded down; kBig where own[v] is.
void takeShares(const double *cost, double base, double part, const double *own,
                unsigned slots, double *share);

/// message[v] = min over r < rows (sent[r] + table[r][v]) less the least entry,
/// which is returned; at most kBig.
double sendMessage(const double *sent, unsigned rows, const double *table,
                   unsigned slots, double *message);

/// min over v < size of base[v] + the rows' [v].
int64_t leastSum(const int64_t *base, const int64_t *const *rows, size_t count,
                 size_t size);

} // namespace tpc::solver

#endif // TPC_LIB_SHARDING_SOLVER_KERNELS_H
