//===- Frame.h - Values of one straight-line block --------------*- C++ -*-===//
//
// Holds the tensors of a block's values while it is evaluated, each until its
// last use.
//
//===----------------------------------------------------------------------===//

#ifndef TPC_LIB_REFERENCE_FRAME_H
#define TPC_LIB_REFERENCE_FRAME_H

#include "mlir/IR/ValueRange.h"
#include "tpc/Reference/Tensor.h"
#include "llvm/ADT/DenseMap.h"

namespace tpc::reference {

class Frame {
public:
  /// `kept` are values that outlive their uses in the block.
  explicit Frame(mlir::ValueRange kept = {}) : kept(kept) {}

  void set(mlir::Value value, Tensor tensor) {
    unsigned uses = std::distance(value.use_begin(), value.use_end()) +
                    llvm::count(kept, value);
    if (uses > 0)
      entries[value] = {std::make_unique<Tensor>(std::move(tensor)), uses};
  }
  const Tensor &get(mlir::Value value) {
    return *entries.find(value)->second.tensor;
  }
  llvm::SmallVector<const Tensor *> get(mlir::ValueRange values) {
    llvm::SmallVector<const Tensor *> tensors;
    for (mlir::Value value : values)
      tensors.push_back(&get(value));
    return tensors;
  }
  /// Called after an operation: forgets operands that nobody uses any more.
  void release(mlir::ValueRange operands) {
    for (mlir::Value operand : operands) {
      auto it = entries.find(operand);
      if (--it->second.uses == 0)
        entries.erase(it);
    }
  }

private:
  struct Entry {
    std::unique_ptr<Tensor> tensor;
    unsigned uses = 0;
  };
  mlir::ValueRange kept;
  llvm::DenseMap<mlir::Value, Entry> entries;
};

} // namespace tpc::reference

#endif // TPC_LIB_REFERENCE_FRAME_H
