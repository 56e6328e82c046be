//===- ShardingText.h - Shardings in plan files -----------------*- C++ -*-===//
//
// The notation of pins without quotes, so that it reads well inside JSON:
//
//   [{}, {tp}]               dimension 1 is split over tp
//   [{dp, tp:(2)4}, {}]      dimension 0 over dp, then a part of tp
//   [{}, {}] sum {tp}        partial over tp
//   []                       a scalar
//
//===----------------------------------------------------------------------===//

#ifndef TPC_LIB_SHARDING_SHARDINGTEXT_H
#define TPC_LIB_SHARDING_SHARDINGTEXT_H

#include "tpc/Dialect/Tpc/Sharding.h"

namespace tpc {

/// Whether the notation can name every axis of the mesh: letters, digits, "_",
/// "-" and "." only.
bool canName(const Mesh &mesh);

std::string shardingText(const Sharding &sharding);

/// Takes a sharding of `shape` off the front of `text`. Nothing, and an error,
/// where there is none that is valid on the mesh.
std::optional<Sharding> takeSharding(llvm::StringRef &text,
                                     llvm::ArrayRef<int64_t> shape,
                                     const Mesh &mesh, std::string &error);

} // namespace tpc

#endif // TPC_LIB_SHARDING_SHARDINGTEXT_H
