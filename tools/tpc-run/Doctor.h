//===- Doctor.h - This machine, and what is wrong with it -------*- C++ -*-===//

#ifndef TPC_TOOLS_TPCRUN_DOCTOR_H
#define TPC_TOOLS_TPCRUN_DOCTOR_H

#include <optional>
#include <string>

namespace tpc {

/// Prints the machine's topology and what is misconfigured, and writes its
/// description for --machine to `machineOut`. The tool's exit code: 1 if
/// nothing runs on a kind of device that is there, or the file cannot be
/// written.
int examineMachine(const std::optional<std::string> &machineOut);

} // namespace tpc

#endif // TPC_TOOLS_TPCRUN_DOCTOR_H
