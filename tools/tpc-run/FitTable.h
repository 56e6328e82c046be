//===- FitTable.h - A model on several meshes, and which to use -*- C++ -*-===//

#ifndef TPC_TOOLS_TPCRUN_FITTABLE_H
#define TPC_TOOLS_TPCRUN_FITTABLE_H

#include "tpc/Sharding/Prediction.h"
#include <optional>
#include <string>
#include <vector>

namespace tpc {

/// What a model takes on one mesh.
struct FitRow {
  std::string mesh; ///< "dp=2,tp=4"
  int64_t devices = 1;
  /// Why it does not fit; empty: it does.
  std::string reason;
  std::vector<EntryPrediction> entries;
  double micros = 0; ///< of all entries, by how often they are called
  /// Of the search; nothing in modes that do not search.
  std::optional<double> gap;
  int64_t peakBytes = 0; ///< what the program holds on one device
  /// What the moments of AdamW take on one device beside the program.
  int64_t momentBytes = 0;

  bool fits() const { return reason.empty(); }
  int64_t bytes() const { return peakBytes + momentBytes; }
};

struct FitTable {
  std::string model, machine;
  std::optional<int64_t> memoryLimit;
  int64_t maxDevices = 1;
  /// What is counted, "tokens" or "rows", and how many of them the calls of
  /// `micros` handle.
  std::string unit;
  double units = 0;
  /// Whether an entry gives gradients of parameters.
  bool trains = false;
  std::vector<FitRow> rows;

  /// 0 where there is nothing to do.
  double perSecond(const FitRow &row) const {
    return row.micros > 0 ? units / row.micros * 1e6 : 0;
  }
  double perDevice(const FitRow &row) const {
    return perSecond(row) / static_cast<double>(row.devices);
  }
  /// Of those that fit the one with most units per second and device, within 2
  /// % the one with fewest devices; null: none fits.
  const FitRow *recommended() const;
  /// Of those that fit the one whose calls take least time, within 2 % the one
  /// with fewest devices.
  const FitRow *fastest() const;
};

/// The recommendation in words.
std::string adviceOf(const FitTable &table);
/// The table and the recommendation for people.
std::string fitText(const FitTable &table);
/// The same as JSON.
std::string toJson(const FitTable &table);

} // namespace tpc

#endif // TPC_TOOLS_TPCRUN_FITTABLE_H
