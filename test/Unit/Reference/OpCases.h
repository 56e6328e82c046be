//===- OpCases.h - Every operation on small tensors -------------*- C++ -*-===//

#ifndef TPC_TEST_UNIT_REFERENCE_OPCASES_H
#define TPC_TEST_UNIT_REFERENCE_OPCASES_H

#include "TestProgram.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace tpc::reference {

/// One operation with attributes and shapes.
struct OpCase {
  std::string name;
  /// `tpc.matmul %0, %1 "m k, k n -> m n"`: the operation without its types.
  std::string text;
  /// `4x6xf32` and so on.
  std::vector<std::string> operands, results;
  /// Values of operands, [-3, 3] where the list ends.
  std::vector<Range> ranges = {};
  /// How far results may be apart; 0 where all arithmetic is exact.
  double tolerance = 0;

  Range range(unsigned operand) const {
    return operand < ranges.size() ? ranges[operand] : Range();
  }
};
void PrintTo(const OpCase &opCase, std::ostream *os);

/// At least one case for every operation with a sharding rule, with sizes that
/// the tested axes divide and sizes that they do not.
std::vector<OpCase> opCases();

/// A module with `mesh` and the case as @main.
mlir::OwningOpRef<mlir::ModuleOp> moduleOf(const OpCase &opCase,
                                           const Mesh &mesh);
/// The case's operation.
mlir::Operation *operationOf(mlir::ModuleOp module);

} // namespace tpc::reference

#endif // TPC_TEST_UNIT_REFERENCE_OPCASES_H
