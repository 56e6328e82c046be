//===- Explanation.h - What a plan says for people --------------*- C++ -*-===//
//
// Sentences derived from shardings and from the origins of reshards; nothing
// here knows an operation by name.
//
//===----------------------------------------------------------------------===//

#ifndef TPC_SHARDING_EXPLANATION_H
#define TPC_SHARDING_EXPLANATION_H

#include "tpc/Dialect/Tpc/Tpc.h"

namespace tpc {

/// "split along dimension 1 over tp", "partial (sum) over tp", "replicated".
std::string describeSharding(const Sharding &sharding);

/// "mlp.down is partial (sum) over tp; mlp.norm wants it replicated".
std::string explainReshard(llvm::StringRef producer, const Sharding &from,
                           llvm::StringRef consumer, const Sharding &to);
std::string explainOrigin(OriginAttr origin);
/// Of a collective: its origin, or of several in one their origins, each with
/// how often it occurs in the layers of a model:
/// "3 in one: 2x mlp.*.norm is partial (sum) over tp; func.return wants it
/// replicated / 1x ...".
std::string explainCollective(mlir::Attribute why);

/// The name with every number replaced by "*", so that the layers of a model
/// read as one: "layer.3.query" and "layer.4.query" are "layer.*.query".
std::string layerPattern(llvm::StringRef name);

} // namespace tpc

#endif // TPC_SHARDING_EXPLANATION_H
