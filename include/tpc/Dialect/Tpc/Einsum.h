//===- Einsum.h - Equations of tensor contractions --------------*- C++ -*-===//

#ifndef TPC_DIALECT_TPC_EINSUM_H
#define TPC_DIALECT_TPC_EINSUM_H

#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringRef.h"
#include <optional>
#include <string>

namespace tpc {

/// "b s e, e h d -> b s h d": the names of the dimensions of two operands and
/// the result of a contraction.
struct Einsum {
  llvm::SmallVector<std::string, 5> lhs, rhs, result;

  /// Nothing when `text` is malformed or names a dimension of one tensor
  /// twice; then `problem`, if given, says why.
  static std::optional<Einsum> parse(llvm::StringRef text,
                                     std::string *problem = nullptr);
  std::string str() const;

  /// Why a name does not occur as often as it must, or nothing: every result
  /// name occurs in an operand, every name of only one operand in the result.
  std::optional<std::string> checkOccurrences() const;

  /// Names in both operands and the result; in both operands only; in the left
  /// or right operand and the result. In the order of the operand they are of
  /// (batch and contracted: the left one).
  llvm::SmallVector<std::string> batch() const;
  llvm::SmallVector<std::string> contracted() const;
  llvm::SmallVector<std::string> freeOfLhs() const;
  llvm::SmallVector<std::string> freeOfRhs() const;
};

/// Position of `name` in a list of names, or -1.
int64_t indexOf(llvm::ArrayRef<std::string> names, llvm::StringRef name);

} // namespace tpc

#endif // TPC_DIALECT_TPC_EINSUM_H
