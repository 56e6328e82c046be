//===- PlannedCollectives.h - The collectives of an assignment --*- C++ -*-===//

#ifndef TPC_LIB_SHARDING_PLANNEDCOLLECTIVES_H
#define TPC_LIB_SHARDING_PLANNEDCOLLECTIVES_H

#include "SearchDemands.h"
#include "StrategySpace.h"
#include "tpc/Sharding/Alternatives.h"

namespace tpc {

/// Collectives that are alike in all layers.
struct PlannedCollectives {
  std::string entry, where, because;
  std::vector<CollectiveStep> steps;
  double micros = 0; ///< each
  /// What makes them: reshards, or composites that communicate inside.
  std::vector<SearchDemands::Reshard> reshards;
  std::vector<mlir::Operation *> composites;

  size_t count() const { return reshards.size() + composites.size(); }
};

/// In order of first appearance.
std::vector<PlannedCollectives> collectivesOf(mlir::ModuleOp module,
                                              const Assignment &assignment,
                                              StrategySpace &space,
                                              ReshardPlanner &planner);

} // namespace tpc

#endif // TPC_LIB_SHARDING_PLANNEDCOLLECTIVES_H
