//===- Positions.h - Proof of positions counted from an operand -*- C++ -*-===//

#ifndef TPC_LIB_TRANSFORMS_PROOF_POSITIONS_H
#define TPC_LIB_TRANSFORMS_PROOF_POSITIONS_H

#include "tpc/Interfaces/Decomposable.h"
#include <optional>
#include <string>

namespace tpc::proof {

/// Why a block of `op` along dimension `dim` of its operand `operand` is not
/// proved to be `op` on blocks of the operands, with the start of the block
/// added to operand `origin`; or nothing.
std::optional<std::string> provePositions(DecomposableOpInterface op,
                                          unsigned operand, unsigned dim,
                                          unsigned origin);

} // namespace tpc::proof

#endif // TPC_LIB_TRANSFORMS_PROOF_POSITIONS_H
