//===- Compare.h - The plan that --compare means ----------------*- C++ -*-===//

#ifndef TPC_TOOLS_TPCRUN_COMPARE_H
#define TPC_TOOLS_TPCRUN_COMPARE_H

#include "tpc/Driver/Compilation.h"
#include "tpcrt/Error.h"

namespace tpc {

/// `options` with the plan in place of their own: of a mode, of data
/// parallelism (every axis of the mesh splits the batch only), or of a file.
tpcrt::Result<CompileOptions>
optionsToCompare(CompileOptions options, const std::string &plan,
                 llvm::ArrayRef<std::pair<std::string, int64_t>> mesh);

} // namespace tpc

#endif // TPC_TOOLS_TPCRUN_COMPARE_H
