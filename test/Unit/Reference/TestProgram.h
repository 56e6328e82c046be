//===- TestProgram.h - What the reference tests share -----------*- C++ -*-===//

#ifndef TPC_TEST_UNIT_REFERENCE_TESTPROGRAM_H
#define TPC_TEST_UNIT_REFERENCE_TESTPROGRAM_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/OwningOpRef.h"
#include "tpc/Dialect/Tpc/Tpc.h"
#include "tpc/Reference/Tensor.h"
#include <random>

namespace tpc::reference {

/// The context of all tests, with the dialects loaded.
mlir::MLIRContext &testContext();

/// The module that `text` spells out; fails the test if it is not legal.
mlir::OwningOpRef<mlir::ModuleOp> parseModule(const std::string &text);

/// The mesh @mesh <"x" = 2, "y" = 3>.
Mesh testMesh(llvm::ArrayRef<std::pair<const char *, int64_t>> axes);
/// `#tpc.sharding` text as data: `<@mesh, [{"x"}, {}]>`.
Sharding parseSharding(const std::string &text);
/// A tensor from its values, row-major.
Tensor tensor(llvm::ArrayRef<int64_t> shape, std::vector<double> values,
              mlir::Type elementType = {});

/// Collects diagnostics while it lives.
class Diagnostics {
public:
  Diagnostics();
  std::string text;

private:
  mlir::ScopedDiagnosticHandler handler;
};

/// Integers between low and high, so that sums are exact in every type.
struct Range {
  double low = -3, high = 3;
};
Tensor randomTensor(mlir::RankedTensorType type, Range range,
                    std::mt19937 &random);

/// Where two tensors differ by more than `tolerance` (relative for values above
/// 1), or nothing.
std::optional<std::string> difference(const Tensor &found,
                                      const Tensor &expected, double tolerance);

} // namespace tpc::reference

#endif // TPC_TEST_UNIT_REFERENCE_TESTPROGRAM_H
