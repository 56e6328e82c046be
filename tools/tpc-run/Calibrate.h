//===- Calibrate.h - This machine as a machine description ------*- C++ -*-===//

#ifndef TPC_TOOLS_TPCRUN_CALIBRATE_H
#define TPC_TOOLS_TPCRUN_CALIBRATE_H

#include <string>

namespace tpc {

/// Measures this machine, prints what was found and writes its description to
/// `path`. Returns the exit code of the tool.
int calibrateMachine(const std::string &path, unsigned threads);

} // namespace tpc

#endif // TPC_TOOLS_TPCRUN_CALIBRATE_H
