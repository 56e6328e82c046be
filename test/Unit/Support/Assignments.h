//===- Assignments.h - Assignments to compare with ---------------*- C++
//-*-===//
//
// What a mode finds with what it is predicted to take, and every assignment
// that there is: the choices of a module by the rules of its operations alone.
// The optimizer's problem is not asked, so that it can be compared.
//
//===----------------------------------------------------------------------===//

#ifndef TPC_TEST_UNIT_SUPPORT_ASSIGNMENTS_H
#define TPC_TEST_UNIT_SUPPORT_ASSIGNMENTS_H

#include "tpc/Sharding/Prediction.h"
#include <functional>
#include <random>

namespace tpc::test {

/// An assignment and what it takes.
struct PricedAssignment {
  Assignment assignment;
  /// Of all entries, by their weights.
  double micros = 0;
  double communicationMicros = 0;
  int64_t peakBytes = 0;
};

PricedAssignment priced(mlir::ModuleOp module, Assignment assignment,
                        const AssignOptions &options);

/// What the mode finds, or nothing after an error.
std::optional<PricedAssignment> assigned(mlir::ModuleOp module,
                                         const AssignOptions &options);

/// A machine on which splitting nearly always pays: computation is slow,
/// communication fast and without latency.
Machine eagerMachine();
/// The same as a machine file.
std::string eagerMachineFile();

/// Every assignment of a module: each operation takes each strategy of its
/// rule, each stored, given or returned tensor each sharding that its pin
/// allows. Axes are used whole.
class AssignmentSpace {
public:
  AssignmentSpace(mlir::ModuleOp module, const AssignOptions &options);

  double count() const;
  Assignment any(std::mt19937 &random) const;
  /// Calls `fn` with each; count() must be small.
  void forEach(llvm::function_ref<void(Assignment)> fn) const;

private:
  struct Choice {
    size_t size;
    std::function<void(Assignment &, size_t)> choose;
  };
  void addStored(mlir::Operation *op);
  void addFunction(mlir::func::FuncOp function);
  void addRuled(mlir::Operation *op);
  std::vector<Sharding> stored(mlir::Type type, ShardingAttr pin) const;
  Assignment make(llvm::ArrayRef<size_t> choice) const;

  mlir::ModuleOp module;
  CostModel costs;
  std::vector<Choice> choices;
};

} // namespace tpc::test

#endif // TPC_TEST_UNIT_SUPPORT_ASSIGNMENTS_H
