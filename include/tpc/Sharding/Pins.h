//===- Pins.h - What the user asks of shardings -----------------*- C++ -*-===//
//
// Pins stand in a module (`tpc.sharding` on parameters, states, arguments and
// results; `tpc.shard` at any value) or are requested from outside it:
//
//   *.down_proj.weight=[{"tp"}, {}]   parameters and states by name, or by the
//                                     names of the stored tensors
//   *.q_proj.weight=colwise           a dimension that uses keep is split over
//                                     every axis without a rule
//   *.o_proj.weight=rowwise:tp        one that uses contract, over "tp"
//   *norm*=replicated
//   @input_ids=[{"dp"}, {?}]          arguments and results of all entries
//   decode@logits=[{}, {"tp"}]        of one entry
//   dp=batch                          the axis splits batch dimensions only
//
// Names are glob patterns.
//
//===----------------------------------------------------------------------===//

#ifndef TPC_SHARDING_PINS_H
#define TPC_SHARDING_PINS_H

#include "mlir/IR/BuiltinOps.h"
#include "tpc/Dialect/Tpc/Sharding.h"

namespace tpc {

/// One pin that is requested from outside a module.
struct PinRequest {
  enum Kind {
    Exact,  ///< this sharding
    Column, ///< split along dimensions that no use contracts
    Row,    ///< split along dimensions that uses contract
    Batch   ///< the axis splits batch dimensions only, of all tensors
  };
  /// As the user wrote it.
  std::string text;
  Kind kind = Exact;
  /// Of arguments and results: a pattern of entries. Of parameters and states:
  /// nothing.
  std::optional<std::string> entry;
  std::string name;
  /// Exact; nothing: replicated, of any rank.
  std::optional<Sharding> sharding;
  /// Column and Row, empty for every axis without a rule; Batch.
  AxisList axes;

  /// `--pin "dp=batch"`
  std::string str() const;
};

/// Reads requests. Emits an error at the module that names the request.
mlir::FailureOr<std::vector<PinRequest>>
parsePinRequests(mlir::ModuleOp module, const Mesh &mesh,
                 llvm::ArrayRef<std::string> texts);

/// Puts requests on the module as `tpc.sharding`, for modes that know no other
/// pins. Emits an error where that is not possible.
mlir::LogicalResult setPins(mlir::ModuleOp module, const Mesh &mesh,
                            llvm::ArrayRef<PinRequest> requests,
                            llvm::StringRef mode);

} // namespace tpc

#endif // TPC_SHARDING_PINS_H
