//===- PlanMatcher.h - A plan's lines and a model's decisions ---*- C++ -*-===//
//
// Every line of a plan file is matched with the decision of the same name, or
// with all that its pattern means and that have no line of their own. What does
// not match is why the plan is refused: a plan of another model would at best
// be slow and at worst fail far from here.
//
//===----------------------------------------------------------------------===//

#ifndef TPC_LIB_SHARDING_PLANMATCHER_H
#define TPC_LIB_SHARDING_PLANMATCHER_H

#include "PlanReader.h"
#include "SearchDemands.h"
#include "mlir/IR/BuiltinOps.h"

namespace tpc {

struct MatchedPlan {
  /// What the lines decide.
  SearchDemands demands;
  /// Decisions without a line: `parameters: "down"`.
  std::vector<std::string> missing;
};

/// Nothing, and an error that says what differs first, for a plan that is not
/// of this module and mesh.
std::optional<MatchedPlan> matchPlan(const PlanContent &plan,
                                     mlir::ModuleOp module, const Mesh &mesh,
                                     std::string &error);

} // namespace tpc

#endif // TPC_LIB_SHARDING_PLANMATCHER_H
