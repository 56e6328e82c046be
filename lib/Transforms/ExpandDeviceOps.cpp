//===- ExpandDeviceOps.cpp - What depends on the device becomes data ------===//
//
//   %m = spmd.mask %x with 0 dims [1] of tensor<8x10xf32, ... {"tp"}>
// becomes (tp = 4: blocks of 3, the last one has 1 valid column)
//   %valid = plan.device_scalar [3, 3, 3, 1]
//   %i = tpc.iota dim 1      %v = tpc.broadcast %valid dims []
//   %c = tpc.compare lt %i, %v
//   %m = tpc.select %c, %x, %zero
//
//===----------------------------------------------------------------------===//

#include "tpc/Codegen/CoreBuilder.h"
#include "tpc/Codegen/Passes.h"
#include "tpc/Dialect/Plan/Plan.h"
#include <limits>

namespace tpc {
#define GEN_PASS_DEF_EXPANDDEVICEOPS
#include "tpc/Codegen/Passes.h.inc"
} // namespace tpc

using namespace mlir;
using namespace tpc;

namespace {

class Expander {
public:
  Expander(const Mesh &mesh, Operation *op)
      : mesh(mesh), builder(op), loc(op->getLoc()), core(builder, loc) {}

  /// A device scalar of value(d) on device d.
  Value scalar(llvm::function_ref<int64_t(int64_t)> value) {
    SmallVector<int64_t> values;
    for (int64_t d = 0, e = mesh.numDevices(); d < e; ++d)
      values.push_back(value(d));
    return plan::DeviceScalarOp::create(
        builder, loc, RankedTensorType::get({}, builder.getI64Type()),
        builder.getDenseI64ArrayAttr(values));
  }

  Value position(AxesAttr axes) {
    return scalar(
        [&](int64_t d) { return mesh.coordinate(d, axes.getAxes()); });
  }

  Value expand(spmd::BlockStartOp op) {
    return scalar([&](int64_t d) {
      return blockOf(op.getSize(), op.getAxes().getAxes(), mesh, d).start;
    });
  }

  Value expand(spmd::MaskOp op) {
    auto whole = cast<RankedTensorType>(op.getWhole());
    ArrayRef<int64_t> shape = shapeOf(op.getOperand());
    Value keep;
    for (int64_t dim : op.getDims()) {
      const AxisList &axes = tpc::getSharding(whole)->dims[dim];
      int64_t size = whole.getDimSize(dim);
      if (!hasPadding(size, axes, mesh))
        continue;
      Value valid =
          scalar([&](int64_t d) { return blockOf(size, axes, mesh, d).valid; });
      Value inside = core.compare(Predicate::LT, core.iota(shape, dim),
                                  core.spread(valid, shape));
      keep = keep ? core.both(keep, inside) : inside;
    }
    if (!keep)
      return op.getOperand();
    double value = op.getValue().convertToDouble();
    return core.select(keep, op.getOperand(),
                       core.splat(value, shape, elementOf(op.getOperand())));
  }

  Value expand(spmd::ToPartialOp op) {
    ArrayRef<int64_t> shape = shapeOf(op.getOperand());
    Type element = elementOf(op.getOperand());
    Value first = core.compare(Predicate::EQ, position(op.getAxes()),
                               core.splat(0, {}, builder.getI64Type()));
    return core.select(core.spread(first, shape), op.getOperand(),
                       identity(op.getReduction(), shape, element));
  }

  /// Pads to full blocks, then cuts at position * block.
  Value expand(spmd::SliceOp op) {
    int64_t dim = op.getDim(), members = mesh.size(op.getAxes().getAxes());
    auto type = cast<RankedTensorType>(op.getType());
    int64_t block = type.getDimSize(dim);
    Value padded = core.padTo(op.getOperand(), dim, block * members);
    Value offset = scalar([&](int64_t d) {
      return mesh.coordinate(d, op.getAxes().getAxes()) * block;
    });
    int64_t rank = type.getRank();
    Type i64 = builder.getI64Type();
    Value here = core.compare(Predicate::EQ, core.iota({rank}, 0),
                              core.splat(dim, {rank}, i64));
    Value start = core.select(here, core.spread(offset, {rank}),
                              core.splat(0, {rank}, i64));
    return DynamicSliceOp::create(builder, loc, type, padded, start);
  }

  Value identity(Reduction reduction, ArrayRef<int64_t> shape, Type element) {
    if (reduction == Reduction::Sum)
      return core.splat(0, shape, element);
    bool lowest = reduction == Reduction::Max;
    if (isa<FloatType>(element)) {
      double infinity = std::numeric_limits<double>::infinity();
      return core.splat(lowest ? -infinity : infinity, shape, element);
    }
    unsigned bits = element.getIntOrFloatBitWidth();
    auto type = RankedTensorType::get(shape, element);
    return ConstantOp::create(
        builder, loc, type,
        DenseElementsAttr::get(type, lowest ? APInt::getSignedMinValue(bits)
                                            : APInt::getSignedMaxValue(bits)));
  }

private:
  const Mesh &mesh;
  OpBuilder builder;
  Location loc;
  CoreBuilder core;
};

struct ExpandDeviceOps : tpc::impl::ExpandDeviceOpsBase<ExpandDeviceOps> {
  void runOnOperation() override {
    FailureOr<Mesh> mesh = lookupMesh(getOperation());
    if (failed(mesh))
      return signalPassFailure();
    getOperation()->walk([&](Operation *op) {
      Expander expander(*mesh, op);
      Value replacement =
          TypeSwitch<Operation *, Value>(op)
              .Case<spmd::BlockStartOp, spmd::MaskOp, spmd::ToPartialOp,
                    spmd::SliceOp>([&](auto op) { return expander.expand(op); })
              .Case([&](spmd::DeviceIndexOp op) {
                return expander.position(op.getAxes());
              })
              .Default([](Operation *) { return Value(); });
      if (!replacement)
        return;
      op->getResult(0).replaceAllUsesWith(replacement);
      op->erase();
    });
  }
};

} // namespace
