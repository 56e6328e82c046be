//===- Compared.h - Two plans side by side, to read -------------*- C++ -*-===//

#ifndef TPC_LIB_PIPELINE_COMPARED_H
#define TPC_LIB_PIPELINE_COMPARED_H

#include "tpc/Pipeline/Comparison.h"
#include "llvm/Support/JSON.h"

namespace tpc {

llvm::json::Object comparisonJson(const PlanComparison &comparison);
void printComparison(llvm::raw_ostream &os, const PlanComparison &comparison);

} // namespace tpc

#endif // TPC_LIB_PIPELINE_COMPARED_H
