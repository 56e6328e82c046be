//===- Plan.h - The plan dialect --------------------------------*- C++ -*-===//

#ifndef TPC_DIALECT_PLAN_PLAN_H
#define TPC_DIALECT_PLAN_PLAN_H

#include "tpc/Dialect/Spmd/Spmd.h"

#include "tpc/Dialect/Plan/PlanEnums.h.inc"

#include "tpc/Dialect/Plan/PlanDialect.h.inc"

#define GET_ATTRDEF_CLASSES
#include "tpc/Dialect/Plan/PlanAttrs.h.inc"

namespace tpc::plan {
class ReturnOp;
class YieldOp;
} // namespace tpc::plan

#define GET_OP_CLASSES
#include "tpc/Dialect/Plan/PlanOps.h.inc"

namespace tpc::plan {

/// Where a value starts, or null when it has no location yet. A view's is its
/// operand's plus the offset. Constants and device scalars are told apart by
/// `rootOf`, not by their location.
PlaceAttr placeOf(mlir::Value value);
/// Gives result `index` of a step, or an input, a location.
void setPlace(mlir::OpResult result, PlaceAttr location);
/// The value whose memory a view is part of; the value itself otherwise.
mlir::Value rootOf(mlir::Value value);
/// Bytes of a value.
int64_t bytesOf(mlir::Value value);

} // namespace tpc::plan

#endif // TPC_DIALECT_PLAN_PLAN_H
