// Options of the compiler as they come from Python.
#ifndef TPC_PYTHON_OPTIONS_H
#define TPC_PYTHON_OPTIONS_H

#include "tpc/Pipeline/AssignOptions.h"

#include <tuple>

namespace tpc::python {

/// Name and text.
using PlanArgument = std::optional<std::pair<std::string, std::string>>;
/// mode, machine, memory limit, mix, pins, search time, plan to follow.
using AssignArguments =
    std::tuple<std::string, std::string, std::optional<int64_t>, std::string,
               std::vector<std::string>, double, PlanArgument>;

inline AssignPhaseOptions toOptions(const AssignArguments &arguments) {
  AssignPhaseOptions options;
  PlanArgument plan;
  std::tie(options.mode, options.machine, options.memoryLimit, options.weights,
           options.pins, options.timeLimit, plan) = arguments;
  if (plan)
    options.plan = PlanText{plan->first, plan->second};
  return options;
}

} // namespace tpc::python

#endif // TPC_PYTHON_OPTIONS_H
