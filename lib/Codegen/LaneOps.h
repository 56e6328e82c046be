//===- LaneOps.h - Elements in registers and in memory ----------*- C++ -*-===//
//
// Loads, stores and elementwise operations of one kernel. A value in registers
// is a scalar or a vector of `lanes` elements; where the two meet, the scalar
// is spread.
//
//   tensor element   in memory   in registers
//   f32, f64         itself      itself
//   bf16             i16         f32, rounded to bf16 after every operation
//   f16              i16         f32, rounded to f16 after every operation
//   i32, i64         itself      itself
//   i1               i8, 0 or 1  i1
//
// A bf16 type appears in the generated code only where the target rounds to it:
// without AVX512-BF16 the backend would call a function for every element. (The
// CPU's instruction gives zero for denormal numbers.)
//
//===----------------------------------------------------------------------===//

#ifndef TPC_LIB_CODEGEN_LANEOPS_H
#define TPC_LIB_CODEGEN_LANEOPS_H

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Builders.h"
#include "tpc/Dialect/Tpc/Tpc.h"

namespace tpc {

/// What the generated code depends on.
struct LaneTarget {
  int64_t lanes = 1;         ///< 1 for a kernel of scalars
  bool roundsToBf16 = false; ///< has instructions that convert f32 to bf16
  bool masksMemory = true;   ///< accesses some lanes of a vector at once
  bool hasExp2 = false;      ///< has an instruction that approximates 2^x

  static LaneTarget gpu(int64_t lanes) { return {lanes, true, false, true}; }
};

class LaneOps {
public:
  /// Integer constants are made once, in the function's entry block.
  LaneOps(mlir::OpBuilder &builder, mlir::Location loc,
          const LaneTarget &target, mlir::Block *entry)
      : builder(builder), loc(loc), lanes(target.lanes), target(target),
        entry(entry) {}

  mlir::OpBuilder &builder;
  mlir::Location loc;
  const int64_t lanes;
  const LaneTarget target;

  mlir::Type storageType(mlir::Type element);
  mlir::Type registerType(mlir::Type element);
  mlir::Type vectorOf(mlir::Type type);

  mlir::Value i64(int64_t value);
  mlir::Value add(mlir::Value a, mlir::Value b);
  mlir::Value mul(mlir::Value a, int64_t factor);
  mlir::Value addressOf(mlir::Value pointer, mlir::Value index,
                        mlir::Type element);

  /// Loads one element, or `lanes` of them where `mask` (if any) is true;
  /// masked lanes are zero and their memory is not touched. The address is a
  /// multiple of `alignment` bytes; 0: of an element's size.
  mlir::Value load(mlir::Value pointer, mlir::Value index, mlir::Type element,
                   bool vector, mlir::Value mask, int64_t alignment = 0);
  void store(mlir::Value value, mlir::Value pointer, mlir::Value index,
             mlir::Type element, mlir::Value mask, int64_t alignment = 0);

  /// Base + [0, 1, ...] as i64 lanes.
  mlir::Value laneIndices(mlir::Value base);
  /// Lanes 0 to count - 1.
  mlir::Value firstLanes(int64_t count);
  mlir::Value spread(mlir::Value scalar);
  mlir::Value zero(mlir::Type registerType);
  bool isVector(mlir::Value value);
  /// An element of a vector, or the scalar that stands for all.
  mlir::Value lane(mlir::Value value, int64_t number);
  /// Spreads those that are scalars if any is a vector.
  void unify(llvm::MutableArrayRef<mlir::Value> values);

  /// The element of a splat constant, in registers.
  mlir::Value splat(mlir::DenseElementsAttr value);
  /// An integer in registers as a tensor element.
  mlir::Value fromIndex(mlir::Value index, mlir::Type element);
  /// A tensor index element as i64.
  mlir::Value toIndex(mlir::Value value);
  mlir::Value compareIndex(mlir::arith::CmpIPredicate predicate, mlir::Value a,
                           mlir::Value b);
  mlir::Value both(mlir::Value a, mlir::Value b);
  mlir::Value select(mlir::Value condition, mlir::Value a, mlir::Value b);

  /// Result of an elementwise operation; failure with an error when it has no
  /// code for this element type.
  mlir::FailureOr<mlir::Value>
  elementwise(mlir::Operation *op, llvm::ArrayRef<mlir::Value> operands);

  /// One step of a reduction, before any rounding.
  mlir::Value combine(Reduction reduction, mlir::Value a, mlir::Value b);
  mlir::Value identity(Reduction reduction, mlir::Type registerType);
  /// A vector reduced to a scalar.
  mlir::Value acrossLanes(Reduction reduction, mlir::Value vector);
  /// Rounds a register value to what `element` can hold.
  mlir::Value rounded(mlir::Value value, mlir::Type element);

private:
  mlir::Value toRegister(mlir::Value stored, mlir::Type element);
  mlir::Value toStorage(mlir::Value value, mlir::Type element);
  mlir::Value bf16Bits(mlir::Value f32);
  mlir::Value convert(mlir::Value value, mlir::Type from, mlir::Type to);
  mlir::Value compare(Predicate predicate, mlir::Value a, mlir::Value b);
  mlir::Value divideIntegers(mlir::Value a, mlir::Value b);
  mlir::FailureOr<mlir::Value>
  floatFunction(mlir::Operation *op, llvm::ArrayRef<mlir::Value> operands);
  mlir::Value like(mlir::Value value, int64_t constant);

  mlir::Block *entry;
  llvm::DenseMap<int64_t, mlir::Value> integers;
};

} // namespace tpc

#endif // TPC_LIB_CODEGEN_LANEOPS_H
