//===- HostTensors.cpp - Between the runtime's tensors and ours -----------===//

#include "tpc/Reference/HostTensors.h"
#include "mlir/IR/Builders.h"
#include "tpc/Dialect/Tpc/ElementTypes.h"

using namespace mlir;
using namespace tpc;
using tpc::reference::Tensor;
using tpcrt::ElementType;
using tpcrt::HostTensor;

//===----------------------------------------------------------------------===//
// Element types
//===----------------------------------------------------------------------===//

static ElementType hostType(Type type) {
  for (unsigned i = 0; i < tpcrt::numElementTypes; ++i)
    if (toType(ElementType(i), type.getContext()) == type)
      return ElementType(i);
  llvm_unreachable("no tensor of the dialect has another type");
}

//===----------------------------------------------------------------------===//
// Elements
//===----------------------------------------------------------------------===//

template <typename T> static void load(const HostTensor &from, Tensor &to) {
  for (auto [i, value] : llvm::enumerate(to.data))
    value = from.as<T>()[i];
}
template <typename T> static void store(const Tensor &from, HostTensor &to) {
  for (auto [i, value] : llvm::enumerate(from.data))
    to.as<T>()[i] = static_cast<T>(value);
}

/// Types of 16 bits, by their bit pattern.
static void load16(const HostTensor &from, Tensor &to) {
  const auto &semantics = cast<FloatType>(to.elementType).getFloatSemantics();
  for (auto [i, value] : llvm::enumerate(to.data))
    value =
        APFloat(semantics, APInt(16, from.as<uint16_t>()[i])).convertToDouble();
}
static void store16(const Tensor &from, HostTensor &to) {
  const auto &semantics = cast<FloatType>(from.elementType).getFloatSemantics();
  for (auto [i, value] : llvm::enumerate(from.data)) {
    APFloat rounded(value);
    bool exact;
    rounded.convert(semantics, APFloat::rmNearestTiesToEven, &exact);
    to.as<uint16_t>()[i] = rounded.bitcastToAPInt().getZExtValue();
  }
}

Tensor reference::fromHost(const HostTensor &host, MLIRContext *context) {
  Tensor tensor(SmallVector<int64_t>(host.shape().begin(), host.shape().end()),
                toType(host.type(), context));
  switch (host.type()) {
  case ElementType::F32:
    load<float>(host, tensor);
    break;
  case ElementType::F64:
    load<double>(host, tensor);
    break;
  case ElementType::BF16:
  case ElementType::F16:
    load16(host, tensor);
    break;
  case ElementType::I32:
    load<int32_t>(host, tensor);
    break;
  case ElementType::I64:
    load<int64_t>(host, tensor);
    break;
  case ElementType::Bool:
    load<uint8_t>(host, tensor);
    break;
  }
  return tensor;
}

HostTensor reference::toHost(const Tensor &tensor) {
  HostTensor host(
      hostType(tensor.elementType),
      std::vector<uint64_t>(tensor.shape.begin(), tensor.shape.end()));
  switch (host.type()) {
  case ElementType::F32:
    store<float>(tensor, host);
    break;
  case ElementType::F64:
    store<double>(tensor, host);
    break;
  case ElementType::BF16:
  case ElementType::F16:
    store16(tensor, host);
    break;
  case ElementType::I32:
    store<int32_t>(tensor, host);
    break;
  case ElementType::I64:
    store<int64_t>(tensor, host);
    break;
  case ElementType::Bool:
    store<uint8_t>(tensor, host);
    break;
  }
  return host;
}

//===----------------------------------------------------------------------===//
// Stored parameters
//===----------------------------------------------------------------------===//

/// The stored tensor's elements, in f64.
static FailureOr<Tensor> readStored(ParameterOp op, StringRef name,
                                    const tpcrt::WeightSource &weights) {
  const tpcrt::StoredTensor *stored =
      weights.find(std::string_view(name.data(), name.size()));
  if (!stored)
    return op.emitOpError("needs the stored tensor \"")
           << name << "\", which the weights do not have";
  RankedTensorType expected = op.getStoredTensorType();
  SmallVector<int64_t> shape(stored->shape.begin(), stored->shape.end());
  if (!stored->type || ArrayRef<int64_t>(shape) != expected.getShape() ||
      toType(*stored->type, op.getContext()) != expected.getElementType()) {
    auto error = op.emitOpError("stored tensor \"")
                 << name << "\": expected " << expected << ", found "
                 << stored->dtype << " of shape [";
    llvm::interleaveComma(shape, error);
    return error << "]";
  }
  // The file's bytes may have any alignment: copy them first.
  HostTensor host(*stored->type, stored->shape);
  std::memcpy(host.data(), stored->data, stored->bytes);
  return reference::fromHost(host, op.getContext());
}

static FailureOr<Tensor> readParameter(ParameterOp op,
                                       const tpcrt::WeightSource &weights) {
  auto view = op.getStridedView();
  if (failed(view))
    return failure();
  const auto &[source, stackDim] = *view;
  RankedTensorType type = op.getTensorType();
  Tensor result(type.getShape(), type.getElementType());
  SmallVector<int64_t> sourceShape(type.getShape());
  SmallVector<int64_t> resultStrides = result.strides();
  int64_t stackStride = 0;
  if (stackDim >= 0) {
    stackStride = resultStrides[stackDim];
    sourceShape.erase(sourceShape.begin() + stackDim);
    resultStrides.erase(resultStrides.begin() + stackDim);
  }
  for (auto [i, name] : llvm::enumerate(op.getStoredNames())) {
    FailureOr<Tensor> stored = readStored(op, name, weights);
    if (failed(stored))
      return failure();
    std::vector<int64_t> targets(ShapedType::getNumElements(sourceShape));
    reference::forEachOffset(
        sourceShape, resultStrides, i * stackStride,
        [&](int64_t linear, int64_t offset) { targets[linear] = offset; });
    reference::forEachOffset(sourceShape, source.strides, source.offset,
                             [&](int64_t linear, int64_t offset) {
                               result.data[targets[linear]] =
                                   stored->data[offset];
                             });
  }
  reference::roundElements(result);
  return result;
}

reference::SymbolStore::ParameterSource
reference::storedParameters(tpcrt::WeightSource weights) {
  return [weights = std::move(weights)](ParameterOp op) {
    return readParameter(op, weights);
  };
}
