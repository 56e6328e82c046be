//===- AssignedReshards.h - What an assignment reshards ---------*- C++ -*-===//

#ifndef TPC_LIB_SHARDING_ASSIGNEDRESHARDS_H
#define TPC_LIB_SHARDING_ASSIGNEDRESHARDS_H

#include "tpc/Sharding/Assignment.h"

namespace tpc {

/// A value that is brought from one sharding (canonical) to another, once, for
/// all who want it so.
struct AssignedReshard {
  mlir::Value value;
  Sharding from, to;
  mlir::Operation *user; ///< the first
};

/// The reshards of a function in order; what can be made anew in any sharding
/// is not resharded.
std::vector<AssignedReshard> reshardsOf(mlir::func::FuncOp function,
                                        const Assignment &assignment,
                                        const Mesh &mesh);

} // namespace tpc

#endif // TPC_LIB_SHARDING_ASSIGNEDRESHARDS_H
