//===- ParameterView.cpp - Parameters as views of stored tensors ----------===//
//
// A view is applied to strides, not to data: a transposed [out, in] weight
// seen as [in, heads, head_dim] is
//
//   stored 384x384           strides [384, 1]
//   transpose [1, 0]         strides [1, 384]
//   reshape [384, 12, 32]    strides [1, 384*32, 384]
//
//===----------------------------------------------------------------------===//

#include "mlir/Dialect/Utils/IndexingUtils.h"
#include "tpc/Dialect/Tpc/Tpc.h"

using namespace mlir;
using namespace tpc;

SmallVector<StringRef> ParameterOp::getStoredNames() {
  if (!getSources())
    return {getSymName()};
  return llvm::to_vector(
      llvm::map_range(getSourcesAttr().getAsValueRange<StringAttr>(),
                      [](StringRef s) { return s; }));
}

RankedTensorType ParameterOp::getStoredTensorType() {
  return getStoredType() ? cast<RankedTensorType>(*getStoredType())
                         : withSharding(getTensorType(), ShardingAttr());
}

namespace {
struct View {
  SmallVector<int64_t> shape;
  int64_t offset = 0;
  SmallVector<int64_t> strides;
};
} // namespace

static View contiguous(ArrayRef<int64_t> shape) {
  View view;
  view.shape.assign(shape.begin(), shape.end());
  view.strides.resize(shape.size());
  int64_t stride = 1;
  for (int64_t i = shape.size(); i-- > 0; stride *= shape[i])
    view.strides[i] = stride;
  return view;
}

/// Strides of `view` under another shape with as many elements, or nothing
/// when a new dimension would not have one stride. Runs of old and new
/// dimensions with equal products correspond; within a run the old dimensions
/// must be nested.
static std::optional<View> reshaped(const View &view, ArrayRef<int64_t> shape) {
  View result;
  result.offset = view.offset;
  result.shape.assign(shape.begin(), shape.end());
  result.strides.assign(shape.size(), 0);
  size_t from = 0, to = 0;
  while (from < view.shape.size() || to < shape.size()) {
    size_t fromBegin = from, toBegin = to;
    int64_t oldSize = 1, newSize = 1;
    if (from < view.shape.size())
      oldSize = view.shape[from++];
    if (to < shape.size())
      newSize = shape[to++];
    while (oldSize != newSize) {
      if (oldSize < newSize && from < view.shape.size())
        oldSize *= view.shape[from++];
      else if (newSize < oldSize && to < shape.size())
        newSize *= shape[to++];
      else
        return std::nullopt;
    }
    // The run's old dimensions of more than one element must be nested.
    int64_t inner = 1;
    bool first = true;
    for (size_t i = from; i-- > fromBegin;) {
      if (view.shape[i] == 1)
        continue;
      if (first)
        inner = view.strides[i];
      else if (view.strides[i] != inner)
        return std::nullopt;
      inner = view.strides[i] * view.shape[i];
      first = false;
    }
    int64_t stride = 1;
    for (size_t i = from; i-- > fromBegin;)
      if (view.shape[i] != 1) {
        stride = view.strides[i];
        break;
      }
    for (size_t i = to; i-- > toBegin; stride *= shape[i])
      result.strides[i] = stride;
  }
  return result;
}

/// Applies the view of `op`; emits C1-C4 errors.
static FailureOr<std::pair<View, int64_t>> applyView(ParameterOp op) {
  RankedTensorType stored = op.getStoredTensorType();
  View view = contiguous(stored.getShape());
  int64_t stackDim = -1;
  unsigned numSources = op.getStoredNames().size();
  auto error = [&](unsigned step, StringRef label) {
    return op.emitOpError() << label << ": view step " << step << ": ";
  };
  auto steps =
      op.getView()
          ? llvm::to_vector(op.getViewAttr().getAsRange<ViewStepAttr>())
          : SmallVector<ViewStepAttr>();
  for (auto [i, step] : llvm::enumerate(steps)) {
    ArrayRef<int64_t> values = step.getValues();
    switch (step.getKind()) {
    case ViewKind::Transpose: {
      if (values.size() != view.shape.size() || !isPermutationVector(values))
        return error(i, "C1") << "expected a permutation of "
                              << view.shape.size() << " dimensions";
      View next;
      next.offset = view.offset;
      for (int64_t dim : values) {
        next.shape.push_back(view.shape[dim]);
        next.strides.push_back(view.strides[dim]);
      }
      view = std::move(next);
      break;
    }
    case ViewKind::Reshape: {
      for (int64_t size : values)
        if (size < 0)
          return error(i, "C1") << "negative size " << size;
      auto type = RankedTensorType::get(values, stored.getElementType());
      if (!hasCountableElements(type))
        return error(i, "C1") << "more than 2^48 elements";
      int64_t elements = type.getNumElements();
      if (elements != ShapedType::getNumElements(view.shape))
        return error(i, "C1") << "expected a shape of "
                              << ShapedType::getNumElements(view.shape)
                              << " elements, found " << elements;
      std::optional<View> next = reshaped(view, values);
      if (!next)
        return error(i, "C4") << "reshape of a permuted tensor is not strided";
      view = std::move(*next);
      break;
    }
    case ViewKind::Slice: {
      ArrayRef<int64_t> sizes = step.getSizes();
      if (values.size() != view.shape.size() || sizes.size() != values.size())
        return error(i, "C1") << "expected an offset and a size for each of "
                              << view.shape.size() << " dimensions";
      for (auto [dim, offset] : llvm::enumerate(values)) {
        if (offset < 0 || sizes[dim] < 0 ||
            offset > view.shape[dim] - sizes[dim])
          return error(i, "C1") << "[" << offset << ", " << offset + sizes[dim]
                                << ") is not within dimension " << dim
                                << " of size " << view.shape[dim];
        view.offset += offset * view.strides[dim];
        view.shape[dim] = sizes[dim];
      }
      break;
    }
    case ViewKind::Stack:
      if (i + 1 != steps.size())
        return error(i, "C3") << "stack must come last";
      if (values.size() != 1 || values[0] < 0 ||
          values[0] > static_cast<int64_t>(view.shape.size()))
        return error(i, "C1") << "expected one dimension to stack along";
      stackDim = values[0];
      view.shape.insert(view.shape.begin() + stackDim, numSources);
      break;
    }
  }
  if (numSources != 1 && stackDim < 0)
    return op.emitOpError("C3: expected one stored tensor, or a stack step; "
                          "found ")
           << numSources;
  if (ArrayRef<int64_t>(view.shape) != op.getTensorType().getShape()) {
    auto diagnostic = op.emitOpError("C2: the view has shape [");
    llvm::interleaveComma(view.shape, diagnostic);
    diagnostic << "], the parameter has [";
    llvm::interleaveComma(op.getTensorType().getShape(), diagnostic);
    return diagnostic << "]";
  }
  return std::make_pair(std::move(view), stackDim);
}

LogicalResult ParameterOp::verify() { return applyView(*this); }

FailureOr<std::pair<ParameterOp::StridedSource, int64_t>>
ParameterOp::getStridedView() {
  auto view = applyView(*this);
  if (failed(view))
    return failure();
  return std::make_pair(StridedSource{view->first.offset, view->first.strides},
                        view->second);
}
