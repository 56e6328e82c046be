// Options of the compiler as they come from Python.
#ifndef TPC_PYTHON_OPTIONS_H
#define TPC_PYTHON_OPTIONS_H

#include "tpc/Pipeline/AssignOptions.h"

#include <tuple>

namespace tpc::python {

/// mode, machine, memory limit, mix, pins, search time.
using AssignArguments =
    std::tuple<std::string, std::string, std::optional<int64_t>, std::string,
               std::vector<std::string>, double>;

inline AssignPhaseOptions toOptions(const AssignArguments &arguments) {
  AssignPhaseOptions options;
  std::tie(options.mode, options.machine, options.memoryLimit, options.weights,
           options.pins, options.timeLimit) = arguments;
  return options;
}

} // namespace tpc::python

#endif // TPC_PYTHON_OPTIONS_H
