//===- CudaShape.cpp - Which thread computes what -------------------------===//

#include "CudaShape.h"
#include "BlockOps.h"
#include "tpc/Codegen/CoreBuilder.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace tpc;

constexpr int64_t kFlatThreads = 256;
constexpr int64_t kVectorBytes = 16;
constexpr int64_t kMaxLanes = 8;
/// Longer rows have blocks.
constexpr int64_t kMaxWarpVectors = 64;
constexpr int64_t kWarpsPerBlock = 4;
/// With more threads each has less than 128 registers.
constexpr int64_t kRowThreads = 512, kMaxThreads = 1024;
/// Elements that a thread keeps in registers, of each value.
constexpr int64_t kKeptElements = 16;

/// By the widest of the large operands and results.
static int64_t chooseLanes(plan::KernelFuncOp function, const KernelBody &body,
                           const KernelShape &shape) {
  if (shape.scalar)
    return 1;
  int64_t points = shape.numRows() * shape.lanes.extent, widest = 1;
  auto note = [&](Value value) {
    if (4 * tensorType(value).getNumElements() >= points)
      widest = std::max(widest, elementBytes(elementOf(value)));
  };
  for (Value argument : function.getBody().getArguments())
    note(argument);
  for (Value output : body.outputs)
    note(output);
  int64_t lanes = std::min(kMaxLanes, kVectorBytes / widest);
  while (shape.lanes.extent % lanes != 0)
    lanes /= 2;
  return lanes;
}

static void shapeRows(CudaShape &result, int64_t rows, int64_t vectors) {
  if (vectors <= kMaxWarpVectors) {
    result.rowThreads = kWarp;
    result.threads = kWarp * std::min(kWarpsPerBlock, rows);
    result.rounds = llvm::divideCeil(vectors, kWarp);
    result.unrolled = true;
  } else {
    auto threadsFor = [&](int64_t rounds) -> int64_t {
      return llvm::PowerOf2Ceil(llvm::divideCeil(vectors, rounds));
    };
    while (threadsFor(result.rounds) > kRowThreads)
      ++result.rounds;
    result.unrolled = result.rounds * result.lanes <= kKeptElements;
    result.threads =
        result.unrolled ? threadsFor(result.rounds) : int64_t(kMaxThreads);
    result.rounds = llvm::divideCeil(vectors, result.threads);
    result.rowThreads = result.threads;
  }
  result.blocks = llvm::divideCeil(rows, result.rowsPerBlock());
}

CudaShape tpc::cudaShapeOf(plan::KernelFuncOp function, const KernelBody &body,
                           const KernelShape &shape) {
  CudaShape result;
  result.threads = kWarp;
  int64_t rows = shape.numRows();
  Operation *only = body.ops.size() == 1 ? body.ops.front() : nullptr;
  if (rows == 0)
    return result;
  if (only && isa<SortOp, TopKOp>(only)) {
    int64_t size = shapeOf(only->getOperand(0)).back();
    result.threads =
        std::clamp<int64_t>(llvm::PowerOf2Ceil(size), kWarp, kMaxThreads);
    result.rowThreads = result.threads;
    result.blocks = rows;
    return result;
  }
  result.lanes = chooseLanes(function, body, shape);
  int64_t vectors = shape.lanes.extent / result.lanes;
  bool hasRows = llvm::any_of(body.ops, isRowReduction) ||
                 llvm::any_of(body.outputs, [&](Value output) {
                   return !isa_and_nonnull<UpdateSliceOp, ScatterAddOp>(
                              output.getDefiningOp()) &&
                          shapeOf(output) != ArrayRef(shape.domain);
                 });
  if (hasRows) {
    shapeRows(result, rows, vectors);
    return result;
  }
  int64_t total = rows * vectors;
  result.threads =
      std::clamp<int64_t>(llvm::alignTo(total, kWarp), kWarp, kFlatThreads);
  result.blocks = llvm::divideCeil(total, result.threads);
  return result;
}
