//===- StrategySpace.h - What the optimizer chooses from --------*- C++ -*-===//
//
// For every operation the strategies that the optimizer considers, with the
// time that each takes inside the operation: computation by the roofline of
// the local shapes, and for composites that are split along a synchronized
// factor the collectives of their expansion.
//
// Axes are used whole. Only where a parameter or argument has a dimension that
// is smaller than an axis (8 key/value heads on "tp" = 16) the axis is cut in
// two parts, here (8) and (2), and the parts may do different things at an
// operation whose one part splits such a small factor:
//
//   heads "k" = 8 by tp:(1)8, groups "g" = 4 by tp:(8)2
//
// Where a pin names a part of an axis the axis is cut there as well, and the
// parts may do different things at every operation: somebody wants to use them
// so, and what is next to the pinned tensor had better use them alike. Each
// part counts like an axis, so this is done only for operations that do not
// have too many strategies then.
//
// Left out is what only wastes: splitting a factor into more blocks than it
// has elements, where parts of the axis can do it.
//
//===----------------------------------------------------------------------===//

#ifndef TPC_LIB_SHARDING_STRATEGYSPACE_H
#define TPC_LIB_SHARDING_STRATEGYSPACE_H

#include "AssignedReshards.h"
#include "tpc/Sharding/ReshardPlanner.h"
#include "tpc/Sharding/Strategies.h"

namespace tpc {

/// A strategy of an operation and what it takes.
struct PricedStrategy {
  OpShardings shardings;
  double computeMicros = 0;
  double communicationMicros = 0; ///< inside a composite
  /// What it needs besides operands and results, as long as it runs.
  int64_t workspaceBytes = 0;
};

class StrategySpace {
public:
  /// `pinned`: axes and parts of axes that pins name.
  StrategySpace(mlir::ModuleOp module, ReshardPlanner &planner,
                llvm::ArrayRef<AxisRef> pinned = {});
  ~StrategySpace();

  /// The strategies of an operation with a sharding rule; operations that are
  /// alike share one list.
  using Strategies = std::vector<PricedStrategy>;
  const Strategies &of(mlir::Operation *op);
  /// Whether it computes every element of its results from the same element of
  /// its operands.
  bool isPointwise(mlir::Operation *op);

  /// Every sharding without partial axes in which a tensor of this shape may
  /// be stored.
  std::vector<Sharding> storedShardings(llvm::ArrayRef<int64_t> shape) const;

  /// The reshards inside an operation that is expanded under these shardings;
  /// none where it is not. The values are of the expansion.
  std::vector<AssignedReshard> inside(mlir::Operation *op,
                                      const OpShardings &shardings);

  /// What an operation takes inside under shardings that are a strategy of its
  /// rule; nothing if it cannot be expanded under them.
  std::optional<PricedStrategy> price(mlir::Operation *op,
                                      OpShardings shardings);

private:
  struct OpClass;
  OpClass &classOf(mlir::Operation *op);
  mlir::FailureOr<Assignment> expand(OpClass &opClass,
                                     const OpShardings &shardings);
  bool priceInside(OpClass &opClass, const Strategy &strategy,
                   PricedStrategy &priced);

  /// A mesh axis of more than one device.
  struct Axis {
    /// Itself, or its parts.
    llvm::SmallVector<AxisRef, 2> parts;
    bool isPinned = false; ///< a pin names one of the parts
  };
  class Enumeration;

  const Mesh &mesh;
  ReshardPlanner &planner;
  llvm::SmallVector<Axis, 3> axes;
  struct Classes;
  std::unique_ptr<Classes> classes;
};

} // namespace tpc

#endif // TPC_LIB_SHARDING_STRATEGYSPACE_H
