//===- AttentionLayout.cpp - Attention as one step ------------------------===//

#include "tpc/Codegen/AttentionLayout.h"
#include "tpc/Codegen/CoreBuilder.h"

using namespace mlir;
using namespace tpc;

bool tpc::hasStep(AttentionOp op) {
  Type type = elementOf(op.getQuery());
  return elementOf(op.getKey()) == type && elementOf(op.getValue()) == type;
}

/// Through views while the last dimension stays contiguous.
static StridedValue withContiguousRows(Value value) {
  StridedValue view = throughViews(value);
  return view.strides.back() == 1 || shapeOf(value).back() <= 1
             ? view
             : asStored(value);
}

AttentionLayout tpc::layoutOf(AttentionOp op) {
  AttentionLayout layout{withContiguousRows(op.getQuery()),
                         withContiguousRows(op.getKey()),
                         withContiguousRows(op.getValue()),
                         {}};
  if (Value bias = op.getBias()) {
    layout.bias = throughViews(bias);
    // Repeated along dimensions of which it has one element.
    for (auto [size, stride] :
         llvm::zip_equal(shapeOf(bias), layout.bias->strides))
      if (size == 1)
        stride = 0;
  }
  return layout;
}
