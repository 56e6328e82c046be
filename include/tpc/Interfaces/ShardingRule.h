//===- ShardingRule.h - How an operation may be split -----------*- C++ -*-===//
//
// A sharding rule names the *factors* of an operation, as an einsum does, and
// says for every dimension of every operand and result which factors it is
// made of. Splitting a factor over a mesh axis splits every dimension that
// has it. For matmul "b m k, b k n -> b m n":
//
//   split b, m or n   every operand and the result that has it is split, the
//                     others are replicated: no communication (parallel)
//   split k           both operands are split, the result is partial
//                     (contracted)
//
// A dimension of a reshape has several factors, major to minor:
// tensor<12x32> -> tensor<384> is "h d -> (h d)"; splitting h by a divisor of
// its size splits the dimension of 384.
//
//===----------------------------------------------------------------------===//

#ifndef TPC_INTERFACES_SHARDINGRULE_H
#define TPC_INTERFACES_SHARDINGRULE_H

#include "mlir/IR/OpDefinition.h"
#include "tpc/Dialect/Tpc/Sharding.h"

namespace tpc {

enum class FactorKind {
  Parallel,     ///< a split needs nothing
  Contracted,   ///< a split leaves a partial result
  Synchronized, ///< needed inside: the operation is expanded before partition
  Indexed,      ///< positions along it are data: indices are shifted by the
                ///< block's start; where the result lacks it, partial
  Positioned,   ///< positions along it count from an operand, which is moved by
                ///< the block's start
  Shifted,      ///< elements move along it (slice, pad, concat): not split yet
  Whole         ///< may not be split
};
llvm::StringRef stringify(FactorKind kind);

/// The indices of every operation with operands that has an indexed factor.
constexpr unsigned kIndexOperand = 1;

struct Factor {
  std::string name;
  int64_t size = 0;
  FactorKind kind = FactorKind::Parallel;
  /// How contributions combine when a split leaves a partial result.
  Reduction reduction = Reduction::Sum;
  /// Operands without this factor that must be partial themselves when it is
  /// contracted: the bias of a linear layer (kept on one coordinate).
  llvm::SmallVector<unsigned, 1> partialOperands;
  /// The operand that positions count from, if the operation has one already.
  std::optional<unsigned> origin;
};

/// The operation is linear in these operands together: if exactly they are
/// partial (and the others replicated), so are the results.
struct LinearSet {
  llvm::SmallVector<unsigned, 2> operands;
  /// Reductions for which that holds.
  llvm::SmallVector<Reduction, 3> reductions = {Reduction::Sum};
};

/// Factor indices per dimension, major to minor. Size-1 dimensions that
/// broadcast have none.
using TensorFactors = llvm::SmallVector<llvm::SmallVector<unsigned, 1>, 4>;

struct ShardingRule {
  llvm::SmallVector<Factor, 4> factors;
  llvm::SmallVector<TensorFactors, 3> operands;
  llvm::SmallVector<TensorFactors, 1> results;
  llvm::SmallVector<LinearSet, 2> linear;

  /// Reads "b m k, b k n -> b m n" for these shapes; "(h d)" groups factors of
  /// one dimension (all but one of their sizes must follow from elsewhere),
  /// "1" is a dimension without factor. Factors missing from the results are
  /// contracted. Asserts on malformed text: it stands in op definitions.
  static ShardingRule parse(llvm::StringRef text,
                            llvm::ArrayRef<llvm::ArrayRef<int64_t>> operands,
                            llvm::ArrayRef<llvm::ArrayRef<int64_t>> results);
  /// One factor per dimension, shared by all operands and results of `shape`.
  static ShardingRule elementwise(llvm::ArrayRef<int64_t> shape,
                                  unsigned numOperands,
                                  unsigned numResults = 1);

  unsigned addFactor(std::string name, int64_t size,
                     FactorKind kind = FactorKind::Parallel);
  Factor *find(llvm::StringRef name);
  std::string str() const;
};

} // namespace tpc

#include "tpc/Interfaces/ShardingRule.h.inc"

#endif // TPC_INTERFACES_SHARDINGRULE_H
