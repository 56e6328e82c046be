//===- Random.h - Random numbers, the same everywhere -----------*- C++ -*-===//

#ifndef TPC_LIB_SHARDING_SOLVER_RANDOM_H
#define TPC_LIB_SHARDING_SOLVER_RANDOM_H

#include <cstdint>

namespace tpc::solver {

/// Splitmix64. The standard library's distributions differ between libraries;
/// answers must not.
class Random {
public:
  explicit Random(uint64_t seed) : state(seed) {}

  uint64_t next() {
    uint64_t bits = state += 0x9E3779B97F4A7C15u;
    bits = (bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9u;
    bits = (bits ^ (bits >> 27)) * 0x94D049BB133111EBu;
    return bits ^ (bits >> 31);
  }
  /// From 0 to count - 1.
  unsigned below(unsigned count) {
    return unsigned((uint64_t(uint32_t(next())) * count) >> 32);
  }
  /// From 0 to below 1.
  double unit() { return double(next() >> 11) * 0x1p-53; }

private:
  uint64_t state;
};

} // namespace tpc::solver

#endif // TPC_LIB_SHARDING_SOLVER_RANDOM_H
