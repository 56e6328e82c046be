//===- Movement.cpp - Operations that make or move elements ---------------===//
//
// Each is one strided copy: broadcast reads with stride 0 along new
// dimensions, slice reads from a base offset, pad and update_slice write to
// one.
//
//===----------------------------------------------------------------------===//

#include "Kernels.h"

using namespace mlir;
using namespace tpc;
using namespace tpc::reference;

static void constant(ConstantOp op, Operands, Results results) {
  auto dense = cast<DenseElementsAttr>(op.getValue());
  results[0] = fromAttribute(dense);
}

static void iota(IotaOp op, Operands, Results results) {
  SmallVector<int64_t> strides(results[0].rank(), 0);
  strides[op.getDim()] = 1;
  forEachOffset(results[0].shape, strides, 0, [&](int64_t to, int64_t index) {
    results[0].data[to] = index;
  });
}

/// result[i] = operand[base + i . strides].
static void read(const Tensor &operand, ArrayRef<int64_t> strides, int64_t base,
                 Tensor &result) {
  forEachOffset(result.shape, strides, base, [&](int64_t to, int64_t from) {
    result.data[to] = operand.data[from];
  });
}

/// result[starts + i] = part[i].
static void writeAt(const Tensor &part, ArrayRef<int64_t> starts,
                    Tensor &result) {
  SmallVector<int64_t> strides = result.strides();
  int64_t base = 0;
  for (auto [start, stride] : llvm::zip_equal(starts, strides))
    base += start * stride;
  forEachOffset(part.shape, strides, base, [&](int64_t from, int64_t to) {
    result.data[to] = part.data[from];
  });
}

/// result[i] = operand[starts + i].
static void readAt(const Tensor &operand, ArrayRef<int64_t> starts,
                   Tensor &result) {
  SmallVector<int64_t> strides = operand.strides();
  int64_t base = 0;
  for (auto [start, stride] : llvm::zip_equal(starts, strides))
    base += start * stride;
  read(operand, strides, base, result);
}

/// The starts as integers, clamped so that `part` lies within `whole`.
static SmallVector<int64_t>
clampedStarts(const Tensor &start, const Tensor &whole, const Tensor &part) {
  SmallVector<int64_t> starts;
  for (auto [value, size, partSize] :
       llvm::zip_equal(start.data, whole.shape, part.shape))
    starts.push_back(std::clamp<double>(value, 0, size - partSize));
  return starts;
}

static void broadcast(BroadcastOp op, Operands operands, Results results) {
  SmallVector<int64_t> strides(results[0].rank(), 0);
  for (auto [dim, size, stride] : llvm::zip_equal(
           op.getDims(), operands[0]->shape, operands[0]->strides()))
    if (size != 1)
      strides[dim] = stride;
  read(*operands[0], strides, 0, results[0]);
}

/// Of reshape and again.
template <typename Op>
static void sameElements(Op, Operands operands, Results results) {
  results[0].data = operands[0]->data;
}

static void transpose(TransposeOp op, Operands operands, Results results) {
  SmallVector<int64_t> from = operands[0]->strides(), strides;
  for (int64_t dim : op.getPermutation())
    strides.push_back(from[dim]);
  read(*operands[0], strides, 0, results[0]);
}

static void slice(SliceOp op, Operands operands, Results results) {
  readAt(*operands[0], op.getOffsets(), results[0]);
}

static void dynamicSlice(DynamicSliceOp, Operands operands, Results results) {
  readAt(*operands[0], clampedStarts(*operands[1], *operands[0], results[0]),
         results[0]);
}

/// Row i of the update goes to row i of the result, from starts[i] on.
static void updateRows(const Tensor &update, const Tensor &starts,
                       Tensor &result) {
  SmallVector<int64_t> to = result.strides(), from = update.strides();
  ArrayRef<int64_t> rowShape = ArrayRef<int64_t>(update.shape).drop_front();
  for (int64_t row = 0; row < update.shape[0]; ++row) {
    int64_t base = row * to[0];
    for (auto [i, stride] : llvm::enumerate(ArrayRef(to).drop_front())) {
      double start = starts.data[row * rowShape.size() + i];
      double room = result.shape[i + 1] - update.shape[i + 1];
      base += stride * static_cast<int64_t>(std::clamp<double>(start, 0, room));
    }
    forEachOffset(rowShape, ArrayRef(to).drop_front(), base,
                  [&](int64_t index, int64_t target) {
                    result.data[target] = update.data[row * from[0] + index];
                  });
  }
}

static void updateSlice(UpdateSliceOp op, Operands operands, Results results) {
  results[0].data = operands[0]->data;
  if (op.startsPerRow())
    return updateRows(*operands[1], *operands[2], results[0]);
  writeAt(*operands[1], clampedStarts(*operands[2], *operands[0], *operands[1]),
          results[0]);
}

static void pad(PadOp op, Operands operands, Results results) {
  std::fill(results[0].data.begin(), results[0].data.end(),
            op.getValue().convertToDouble());
  writeAt(*operands[0], op.getLow(), results[0]);
}

static void concat(ConcatOp op, Operands operands, Results results) {
  SmallVector<int64_t> starts(results[0].rank(), 0);
  for (const Tensor *operand : operands) {
    writeAt(*operand, starts, results[0]);
    starts[op.getDim()] += operand->shape[op.getDim()];
  }
}

void tpc::reference::registerMovement(KernelTable &table) {
  table.add<ConstantOp>(constant);
  table.add<IotaOp>(iota);
  table.add<BroadcastOp>(broadcast);
  table.add<ReshapeOp>(sameElements<ReshapeOp>);
  table.add<AgainOp>(sameElements<AgainOp>);
  table.add<TransposeOp>(transpose);
  table.add<tpc::SliceOp>(slice);
  table.add<DynamicSliceOp>(dynamicSlice);
  table.add<UpdateSliceOp>(updateSlice);
  table.add<PadOp>(pad);
  table.add<ConcatOp>(concat);
}
