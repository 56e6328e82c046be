//===- PlanReader.h - What stands in a plan file ----------------*- C++ -*-===//
//
// The file as lists of lines, before any of it is compared with a model. The
// text may come from anywhere.
//
//===----------------------------------------------------------------------===//

#ifndef TPC_LIB_SHARDING_PLANREADER_H
#define TPC_LIB_SHARDING_PLANREADER_H

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tpc {

/// The version of the format that is written and read.
inline constexpr int kPlanVersion = 1;

struct PlanSection {
  std::string name; ///< "parameters", "operations of @main"
  /// What is decided, by name or pattern.
  std::map<std::string, std::string> lines;
};

struct PlanEntry {
  std::string name;
  std::string model; ///< fingerprint
  PlanSection inputs, operations, outputs;
};

struct PlanContent {
  std::string mode, machine, mesh;
  PlanSection parameters, states;
  std::vector<PlanEntry> entries;
};

/// Nothing, and an error that says what was expected and where, for text that
/// is no plan of this version.
std::optional<PlanContent> readPlan(std::string_view text, std::string &error);

} // namespace tpc

#endif // TPC_LIB_SHARDING_PLANREADER_H
