//===- Explained.h - What else could have been decided, to read -*- C++ -*-===//

#ifndef TPC_LIB_PIPELINE_EXPLAINED_H
#define TPC_LIB_PIPELINE_EXPLAINED_H

#include "tpc/Sharding/Alternatives.h"
#include "llvm/Support/JSON.h"

namespace tpc {

llvm::json::Object explanationJson(const PlanExplanation &explanation);
void printExplanation(llvm::raw_ostream &os,
                      const PlanExplanation &explanation);

} // namespace tpc

#endif // TPC_LIB_PIPELINE_EXPLAINED_H
