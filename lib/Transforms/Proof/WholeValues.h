//===- WholeValues.h - Numbers for the values of a function -----*- C++ -*-===//
//
// Value numbering of the whole function: equal operations on equal operands
// have equal numbers, so that the proof asks only what is computed, not by
// which of several equal operations. Reading a state gives a new number after
// every write.
//
//===----------------------------------------------------------------------===//

#ifndef TPC_LIB_TRANSFORMS_PROOF_WHOLEVALUES_H
#define TPC_LIB_TRANSFORMS_PROOF_WHOLEVALUES_H

#include "Claim.h"
#include "mlir/Interfaces/FunctionInterfaces.h"
#include <map>

namespace tpc::proof {

class WholeValues {
public:
  explicit WholeValues(mlir::FunctionOpInterface function);

  ValueId idOf(mlir::Value value) const { return ids.lookup(value); }
  ValueId argument(unsigned index) const { return index; }
  /// The type of a numbered value, without sharding.
  mlir::RankedTensorType type(ValueId id) const { return types[id]; }
  /// Where it is computed first.
  mlir::Location location(ValueId id) const { return locations[id]; }

  /// The whole operations of the name and attributes of `op` on operands of
  /// these numbers; several where they differ in their result types.
  llvm::ArrayRef<mlir::Operation *>
  find(mlir::Operation *op, llvm::ArrayRef<ValueId> operands) const;
  /// All whole operations of this name without operands.
  llvm::ArrayRef<mlir::Operation *> creators(mlir::OperationName name) const;
  /// The value of a symbol after `version` writes, or nothing if the whole
  /// function does not read it then.
  std::optional<ValueId> read(mlir::StringAttr symbol, unsigned version) const;
  /// What the write number `version` (from 0) of a state writes.
  mlir::Operation *write(mlir::StringAttr symbol, unsigned version) const;
  unsigned numWrites(mlir::StringAttr symbol) const;
  llvm::SmallVector<mlir::StringAttr> writtenSymbols() const;
  mlir::Operation *terminator() const { return end; }

private:
  using Key = std::tuple<const void *, const void *, std::vector<ValueId>,
                         std::vector<const void *>>;
  static Key keyOf(mlir::Operation *op, llvm::ArrayRef<ValueId> operands,
                   bool withTypes);
  void number(mlir::Value value, ValueId id);
  ValueId fresh(mlir::Value value);

  llvm::DenseMap<mlir::Value, ValueId> ids;
  std::vector<mlir::RankedTensorType> types;
  std::vector<mlir::Location> locations;
  std::map<Key, mlir::Operation *> operations;
  std::map<Key, llvm::SmallVector<mlir::Operation *, 1>> byOperands;
  llvm::DenseMap<mlir::OperationName, llvm::SmallVector<mlir::Operation *>>
      created;
  std::map<std::pair<const void *, unsigned>, ValueId> reads;
  llvm::DenseMap<mlir::StringAttr, llvm::SmallVector<mlir::Operation *>> writes;
  mlir::Operation *end = nullptr;
};

} // namespace tpc::proof

#endif // TPC_LIB_TRANSFORMS_PROOF_WHOLEVALUES_H
