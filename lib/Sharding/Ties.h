//===- Ties.h - Operations that are split together --------------*- C++ -*-===//
//
// What one operation splits decides what another does, in every plan that is
// worth looking at. The optimizer leaves the others out.
//
// Gradients: a product with a parameter and the two products of its gradient
//
//   y = x w "m k, k n -> m n"    dx = dy w "m n, k n -> m k"
//                                dw = x dy "m k, m n -> k n"
//
// have the same three factors. If one splits m and another something else, the
// parameter or the activations are brought into two shardings. Every known way
// to train splits one factor in all of them: n columns, k rows, m data.
// Likewise attention and its gradient.
//
// Siblings: products of one value with parameters of one shape (keys and
// values, gate and up) have the same choice, and no reason to choose
// differently.
//
//===----------------------------------------------------------------------===//

#ifndef TPC_LIB_SHARDING_TIES_H
#define TPC_LIB_SHARDING_TIES_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "tpc/Sharding/Strategies.h"

namespace tpc {

struct Tie {
  enum Kind {
    Gradient, ///< the second is of the first one's gradient
    Sibling   ///< they are alike
  } kind;
  mlir::Operation *first, *second;
};

std::vector<Tie> findTies(mlir::func::FuncOp function);

/// Whether operations that are tied may have these shardings.
bool areTied(const Tie &tie, const OpShardings &first,
             const OpShardings &second);

} // namespace tpc

#endif // TPC_LIB_SHARDING_TIES_H
