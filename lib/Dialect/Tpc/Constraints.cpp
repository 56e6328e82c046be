//===- Constraints.cpp - Checks that several operations share -------------===//

#include "Constraints.h"
#include "tpc/Dialect/Tpc/Einsum.h"
#include "llvm/ADT/StringMap.h"

using namespace mlir;
using namespace tpc;
using namespace tpc::constraints;

std::string constraints::text(Shape sizes) {
  return sizes.empty() ? "scalar"
                       : llvm::join(llvm::map_range(sizes,
                                                    [](int64_t n) {
                                                      return std::to_string(n);
                                                    }),
                                    "x");
}

/// Fails with the constraint's label unless the condition holds.
LogicalResult constraints::require(Operation *op, bool condition,
                                   StringRef label, const Twine &message) {
  if (condition)
    return success();
  return op->emitOpError() << label << ": " << message;
}

LogicalResult constraints::requireShape(Operation *op, StringRef label,
                                        StringRef what, Shape found,
                                        Shape expected) {
  return require(op, found == expected, label,
                 "expected " + what + " of shape " + text(expected) +
                     ", found " + text(found));
}

LogicalResult constraints::requireElement(Operation *op, StringRef label,
                                          Value a, Value b) {
  if (element(a) == element(b))
    return success();
  return op->emitOpError() << label << ": expected equal element types, found "
                           << element(a) << " and " << element(b);
}

/// All operands and the result have the result's shape (C1).
LogicalResult constraints::sameShapes(Operation *op) {
  for (Value operand : op->getOperands())
    if (failed(requireShape(op, "C1", "operand", shape(operand),
                            shape(op->getResult(0)))))
      return failure();
  return success();
}

LogicalResult constraints::requireDim(Operation *op, int64_t dim,
                                      int64_t rank) {
  return require(op, dim >= 0 && dim < rank, "C1",
                 "expected a dimension below " + Twine(rank) + ", found " +
                     Twine(dim));
}

LogicalResult constraints::requireAscending(Operation *op,
                                            ArrayRef<int64_t> dims,
                                            int64_t rank) {
  for (auto [i, dim] : llvm::enumerate(dims)) {
    if (failed(requireDim(op, dim, rank)))
      return failure();
    if (i > 0 && dim <= dims[i - 1])
      return op->emitOpError("C1: expected ascending dimensions");
  }
  return success();
}

/// Checks an equation "a b, b c -> a c" (C1-C3 of tpc.matmul).
LogicalResult constraints::verifyEquation(Operation *op, StringRef text,
                                          Value lhs, Value rhs, Value result) {
  std::string problem;
  std::optional<Einsum> einsum = Einsum::parse(text, &problem);
  if (!einsum)
    return op->emitOpError("C1: ") << problem;
  llvm::StringMap<int64_t> sizes;
  auto check = [&](ArrayRef<std::string> names, Value value,
                   StringRef what) -> LogicalResult {
    if (names.size() != shape(value).size())
      return op->emitOpError("C1: expected ")
             << names.size() << " dimensions of the " << what << ", found "
             << shape(value).size();
    for (auto [name, size] : llvm::zip_equal(names, shape(value))) {
      int64_t known = sizes.try_emplace(name, size).first->second;
      if (known != size)
        return op->emitOpError("C3: dimension ")
               << name << " has sizes " << known << " and " << size;
    }
    return success();
  };
  if (failed(check(einsum->lhs, lhs, "left operand")) ||
      failed(check(einsum->rhs, rhs, "right operand")) ||
      failed(check(einsum->result, result, "result")))
    return failure();
  if (std::optional<std::string> problem = einsum->checkOccurrences())
    return op->emitOpError("C2: ") << *problem;
  return success();
}

/// `table` with dimension `dim` replaced by the dimensions of `indices`.
SmallVector<int64_t> constraints::gatheredShape(Shape table, Shape indices,
                                                int64_t dim) {
  SmallVector<int64_t> result(table.take_front(dim));
  llvm::append_range(result, indices);
  llvm::append_range(result, table.drop_front(dim + 1));
  return result;
}
