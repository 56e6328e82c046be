//===- Fusion.h - Which operations form a kernel ----------------*- C++ -*-===//
//
// The rule, in order:
//
// 1. What costs nothing is computed again wherever it is needed: splat
//    constants, iotas, broadcasts and slices of values in memory, and cheap
//    elementwise operations on nothing but these (attention masks).
// 2. Every other operation that a kernel can compute starts as its own group.
//    Along each edge from a producer to a consumer, in program order, the two
//    groups become one if
//      - one kernel can compute both (KernelShape.h): one row loop, outputs of
//        the domain's or the row's shape;
//      - no path leaves the group and comes back (the plan stays acyclic);
//      - nothing costly is recomputed per row, and vectors stay vectors;
//      - an operation that reads elements from elsewhere (slice, gather,
//        transpose) feeds nothing else, and what it reads is needed only there;
//      - a buffer that is updated in place is not read otherwise;
//      - there are at most 64 operations and 24 operands and results.
// 3. What brings together the operands of a collective (a concat) reads them
//    from memory: they are made early, and what they are made of may be larger.
// 4. scatter_add, sort and top_k stay alone. Matmuls, collectives and views
//    are no kernels and bound the groups.
//
//===----------------------------------------------------------------------===//

#ifndef TPC_CODEGEN_FUSION_H
#define TPC_CODEGEN_FUSION_H

#include "tpc/Codegen/KernelShape.h"

namespace tpc {

/// The element at which a slice starts if it is a contiguous part of its
/// operand.
std::optional<int64_t> contiguousOffset(tpc::SliceOp op);

/// Whether the operation is a view of its operand: no step, no kernel.
bool isView(mlir::Operation *op);

/// The values that the step of an operation reads (a matmul's may lie behind
/// views).
using ReadsFn =
    llvm::function_ref<llvm::ArrayRef<mlir::Value>(mlir::Operation *)>;

/// Partitions the operations of `needed` (in program order) that kernels
/// compute. Operations of rule 1 may be in several bodies.
std::vector<KernelBody> formGroups(llvm::ArrayRef<mlir::Operation *> needed,
                                   ReadsFn reads);

} // namespace tpc

#endif // TPC_CODEGEN_FUSION_H
