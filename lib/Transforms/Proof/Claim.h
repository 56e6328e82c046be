//===- Claim.h - What a local value is known to be --------------*- C++ -*-===//
//
// The proof that a per-device program computes a whole function walks the
// program and keeps, for every local value, claims that are true of it on every
// device:
//
//   the local value is the block, under `sharding`, of the whole value `id`;
//   its padding along `filledDims` holds `fill`.
//
// A value can satisfy several claims (a block of a constant is the block under
// any axes of the right size), and an operation keeps those that follow from
// its operands' claims. Some claims are not blocks of whole values: the start
// of the device's block, and indices and positions that are moved by it.
//
//===----------------------------------------------------------------------===//

#ifndef TPC_LIB_TRANSFORMS_PROOF_CLAIM_H
#define TPC_LIB_TRANSFORMS_PROOF_CLAIM_H

#include "tpc/Dialect/Tpc/Tpc.h"

namespace tpc::proof {

/// A number for a whole value; equal computations have equal numbers.
using ValueId = int64_t;

/// A dimension of size `size` cut by `axes`.
struct Cut {
  int64_t size = 0;
  AxisList axes;
  bool operator==(const Cut &o) const {
    return size == o.size && axes == o.axes;
  }
};

struct Claim {
  enum Kind {
    Block,    ///< a block of whole value `id`
    Start,    ///< every element is the start of the device's block of `cut`
    Relative, ///< block of `id`, minus the start of the device's block of `cut`
    Advanced, ///< block of `id`, plus that start
    LocalIota ///< block of iota `id`, minus that start along its dimension
  };
  Kind kind = Block;
  ValueId id = -1;
  Sharding sharding;
  Cut cut;
  /// What the padding along each dimension holds; nothing: unknown.
  llvm::SmallVector<std::optional<double>, 4> fill;

  bool operator==(const Claim &o) const {
    return kind == o.kind && id == o.id && sharding == o.sharding &&
           cut == o.cut && fill == o.fill;
  }
};

using Claims = std::vector<Claim>;

/// Adds a claim that is not there yet.
inline void addClaim(Claims &claims, Claim claim) {
  if (!llvm::is_contained(claims, claim))
    claims.push_back(std::move(claim));
}

} // namespace tpc::proof

#endif // TPC_LIB_TRANSFORMS_PROOF_CLAIM_H
