//===- Indexing.cpp - Gradients of operations whose positions are data ----===//
//
// Positions themselves are not differentiated: sort and top_k are gathers at
// the positions that they found.
//
//===----------------------------------------------------------------------===//

#include "../Core.h"

using namespace mlir;
using namespace tpc;

using Gradients = SmallVector<Value>;

Gradients GatherOp::buildVjp(OpBuilder &builder, ValueRange gradients) {
  Core core(builder, getLoc());
  return {core.make<ScatterAddOp>(getTable().getType(),
                                  core.constant(0, getTable()), getIndices(),
                                  gradients[0], getDimAttr()),
          Value()};
}

Gradients ScatterAddOp::buildVjp(OpBuilder &builder, ValueRange gradients) {
  Core core(builder, getLoc());
  return {gradients[0], Value(),
          core.make<GatherOp>(getUpdates().getType(), gradients[0],
                              getIndices(), getDimAttr())};
}

// Few positions per row: every one is compared with every place, so that rows
// may be split like those of any product.
//   dx[r, d] = sum over k of g[r, k] * (positions[r, k] == d)
Gradients TopKOp::buildVjp(OpBuilder &builder, ValueRange gradients) {
  if (!gradients[0])
    return {Value()};
  Core core(builder, getLoc());
  SmallVector<int64_t> shape(Core::shape(getValues()));
  shape.push_back(Core::shape(getOperand()).back());
  int64_t last = shape.size() - 1;
  Value hit = core.compare(
      Predicate::EQ,
      core.broadcastAlong(core.convert(getPositions(), builder.getI64Type()),
                          shape, last),
      core.iota(shape, last));
  Value spread = core.broadcastAlong(gradients[0], shape, last);
  return {core.reduce(Reduction::Sum,
                      core.select(hit, spread, core.constant(0, spread)),
                      last - 1)};
}

// All rows as one list of elements, where element d of row r is r * size + d.
Gradients SortOp::buildVjp(OpBuilder &builder, ValueRange gradients) {
  if (!gradients[0])
    return {Value()};
  Core core(builder, getLoc());
  ArrayRef<int64_t> shape = Core::shape(getOperand());
  int64_t size = shape.back();
  int64_t count = ShapedType::getNumElements(shape);
  if (count == 0)
    return {gradients[0]};
  int64_t rows[] = {count / size, size};
  Value row = core.binary<MulOp>(core.iota(rows, 0), double(size));
  Value at =
      core.binary<AddOp>(row, core.convert(core.reshape(getPositions(), rows),
                                           builder.getI64Type()));
  Value flat = core.reshape(gradients[0], {count});
  Value moved = core.make<ScatterAddOp>(flat.getType(), core.constant(0, flat),
                                        core.reshape(at, {count}), flat,
                                        builder.getI64IntegerAttr(0));
  return {core.reshape(moved, shape)};
}
