//===- Comparison.h - Two plans for one model side by side ------*- C++ -*-===//

#ifndef TPC_PIPELINE_COMPARISON_H
#define TPC_PIPELINE_COMPARISON_H

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace tpc {

struct Report;

/// Of this plan and of the other.
template <typename T> using Both = std::array<T, 2>;

struct ComparedEntry {
  std::string entry;
  Both<double> computeMicros{}, communicationMicros{};
  Both<int64_t> peakBytes{};
};

/// Collectives of one kind over the same axes.
struct ComparedCollectives {
  std::string entry, kind, reduction, axes;
  Both<int64_t> count{};
  Both<int64_t> sent{}; ///< by one device
};

/// Values that the plans hold differently, alike ones of all layers once.
struct ComparedValue {
  std::string name, kind, entry;
  /// In words; "" where the plan has no such value (what is expanded in one
  /// plan only).
  Both<std::string> sharding;
};

struct PlanComparison {
  Both<std::string> names; ///< modes
  /// Of all entries by their weights.
  Both<double> micros{};
  Both<int64_t> peakBytes{};
  std::vector<ComparedEntry> entries;
  std::vector<ComparedCollectives> collectives;
  /// Parameters, states, inputs, then operations.
  std::vector<ComparedValue> values;
};

/// Compares reports of the same module, which must have their values.
PlanComparison comparePlans(const Report &plan, const Report &other);

} // namespace tpc

#endif // TPC_PIPELINE_COMPARISON_H
