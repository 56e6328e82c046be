//===- FlatCollectives.h - Collectives of contiguous chunks -----*- C++ -*-===//
//
// What tpc-flatten-collectives leaves: with n members every collective is, but
// for dimensions of size 1, one over a chunk of c elements.
//
//   all_reduce, permute   any shape
//   all_gather            1 x c     ->  n x c
//   reduce_scatter        n x c     ->  1 x c
//   all_to_all            n x 1 x c ->  1 x n x c
//
//===----------------------------------------------------------------------===//

#ifndef TPC_CODEGEN_FLATCOLLECTIVES_H
#define TPC_CODEGEN_FLATCOLLECTIVES_H

#include "mlir/IR/Operation.h"

namespace tpc {

/// Whether a collective of the spmd dialect is flat.
bool isFlat(mlir::Operation *collective, int64_t members);

} // namespace tpc

#endif // TPC_CODEGEN_FLATCOLLECTIVES_H
