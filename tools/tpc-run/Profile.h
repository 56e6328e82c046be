//===- Profile.h - Where a run spends its time ------------------*- C++ -*-===//

#ifndef TPC_TOOLS_TPCRUN_PROFILE_H
#define TPC_TOOLS_TPCRUN_PROFILE_H

#include "tpcrt/Runtime.h"
#include "llvm/Support/raw_ostream.h"

namespace tpc {

/// A table of steps of device 0, per program: those that differ in numbers of
/// layers only are one row, the longest first.
void printProfile(const std::vector<tpcrt::StepTime> &steps,
                  llvm::raw_ostream &os);

} // namespace tpc

#endif // TPC_TOOLS_TPCRUN_PROFILE_H
