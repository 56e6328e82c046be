//===- Blockwise.h - Proof of blockwise decompositions ----------*- C++ -*-===//

#ifndef TPC_LIB_TRANSFORMS_PROOF_BLOCKWISE_H
#define TPC_LIB_TRANSFORMS_PROOF_BLOCKWISE_H

#include "mlir/IR/Block.h"
#include "mlir/IR/ValueRange.h"
#include <optional>
#include <string>

namespace tpc::proof {

/// Core operations on the arguments of a block.
struct Body {
  mlir::Block &block;
  mlir::ValueRange results;
};

/// Why `blockwise` is not proved to compute what `plain` computes of the same
/// arguments, or nothing.
std::optional<std::string> proveBlockwise(Body plain, Body blockwise);

} // namespace tpc::proof

#endif // TPC_LIB_TRANSFORMS_PROOF_BLOCKWISE_H
