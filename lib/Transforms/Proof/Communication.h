//===- Communication.h - What collectives make of claims --------*- C++ -*-===//

#ifndef TPC_LIB_TRANSFORMS_PROOF_COMMUNICATION_H
#define TPC_LIB_TRANSFORMS_PROOF_COMMUNICATION_H

#include "Claim.h"

namespace tpc::proof {

/// Claims on the result of an spmd operation with one tensor operand, given
/// one claim on it and the whole value's shape; none (with the reason) if the
/// operation does not leave a block of the same whole value.
Claims concludeCommunication(mlir::Operation *op, const Claim &operand,
                             mlir::RankedTensorType whole, const Mesh &mesh,
                             std::string &problem);

} // namespace tpc::proof

#endif // TPC_LIB_TRANSFORMS_PROOF_COMMUNICATION_H
