// Products of few rows: what takes time is reading the weights, once, as they
// lie. Included once per instruction set, with a way to multiply 4 bytes a
// column.
#ifndef TPCRT_DEVICE_CPU_BLOCKEDROWS_H
#define TPCRT_DEVICE_CPU_BLOCKEDROWS_H

#include "device/cpu/BlockedFinish.h"

namespace tpcrt {
namespace {

/// P: V, pack (rows of b in 4 bytes), broadcast(4 bytes of a row of a),
/// multiplyAdd(a, b, sums), and whether weights are asked for ahead of their
/// use with so many rows: where little is computed the CPU does that better.
template <class P> struct BlockedRows {
  using V = typename P::V;
  using Reg = typename V::Reg;
  static_assert(V::lanes == kGroupColumns);
  static constexpr int64_t maxRows = 4, maxGroups = 4;
  static constexpr int64_t ahead = 4096;

  /// `Groups` groups of one block, of which `group` is the first.
  template <int Rows, int Groups>
  static void multiplyGroups(const BlockedProduct &p, int64_t group) {
    int64_t column = group * kGroupColumns;
    const std::byte *b =
        p.b + column / p.columns * p.blockBytes + column % p.columns * 4;
    Reg sums[Rows][Groups];
    for (auto &row : sums)
      for (Reg &sum : row)
        sum = V::set1(0);
    int64_t steps = (p.k + P::pack - 1) / P::pack;
    for (int64_t i = 0; i < steps; ++i, b += p.columns * 4) {
      Reg weights[Groups];
      for (int g = 0; g < Groups; ++g) {
        const std::byte *at = b + g * kGroupColumns * 4;
        if constexpr (P::asksAhead(Rows))
          __builtin_prefetch(at + ahead);
        weights[g] = V::load(reinterpret_cast<const float *>(at));
      }
      for (int r = 0; r < Rows; ++r) {
        Reg x = P::broadcast(p.a + r * p.aRowBytes + i * 4);
        for (int g = 0; g < Groups; ++g)
          sums[r][g] = P::multiplyAdd(x, weights[g], sums[r][g]);
      }
    }
    for (int r = 0; r < Rows; ++r)
      for (int g = 0; g < Groups; ++g)
        if (column + g * kGroupColumns < p.n)
          finish<V>(p, sums[r][g], r, column + g * kGroupColumns);
  }

  template <int Rows>
  static void multiplyRows(const BlockedProduct &p, int64_t begin,
                           int64_t end) {
    constexpr void (*byGroups[maxGroups])(const BlockedProduct &, int64_t) = {
        multiplyGroups<Rows, 1>, multiplyGroups<Rows, 2>,
        multiplyGroups<Rows, 3>, multiplyGroups<Rows, 4>};
    int64_t perBlock = p.columns / kGroupColumns;
    while (begin < end) {
      int64_t count = perBlock - begin % perBlock;
      count = count < end - begin ? count : end - begin;
      byGroups[count - 1](p, begin);
      begin += count;
    }
  }

  static void multiply(const BlockedProduct &p, int64_t begin, int64_t end) {
    constexpr void (*byRows[maxRows])(const BlockedProduct &, int64_t,
                                      int64_t) = {
        multiplyRows<1>, multiplyRows<2>, multiplyRows<3>, multiplyRows<4>};
    byRows[p.m - 1](p, begin, end);
  }

  static uint64_t scratchBytes(const BlockedProduct &) { return 0; }
  static int64_t prepareTasks(const BlockedProduct &) { return 0; }

  static constexpr BlockedKernels kernels(const char *name) {
    return {name,    maxRows, /*readsOdd=*/false, scratchBytes, prepareTasks,
            nullptr, multiply};
  }
};

} // namespace
} // namespace tpcrt

#endif // TPCRT_DEVICE_CPU_BLOCKEDROWS_H
