//===- Tensor.cpp - Tensors of the reference evaluator --------------------===//

#include "tpc/Reference/Tensor.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/raw_ostream.h"
#include <cmath>
#include <limits>

using namespace mlir;
using namespace tpc::reference;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

Tensor::Tensor(ArrayRef<int64_t> shape, Type elementType, double value)
    : shape(shape), elementType(elementType),
      data(ShapedType::getNumElements(shape), value) {}

static SmallVector<int64_t> rowMajorStrides(ArrayRef<int64_t> shape) {
  SmallVector<int64_t> strides(shape.size());
  int64_t stride = 1;
  for (size_t dim = shape.size(); dim-- > 0; stride *= shape[dim])
    strides[dim] = stride;
  return strides;
}

SmallVector<int64_t> Tensor::strides() const { return rowMajorStrides(shape); }

//===----------------------------------------------------------------------===//
// Values of an element type
//===----------------------------------------------------------------------===//

/// Nearest value, ties to even, of a binary format with `precision` bits of
/// significand (the leading one included), smallest normal 2^minExponent and
/// largest finite value `largest`.
static double roundToFormat(double value, int precision, int minExponent,
                            double largest) {
  if (value == 0 || !std::isfinite(value))
    return value;
  int exponent;
  std::frexp(value, &exponent); // |value| in [2^(exponent-1), 2^exponent)
  int quantum = std::max(exponent - 1, minExponent) - (precision - 1);
  double rounded =
      std::ldexp(std::nearbyint(std::ldexp(value, -quantum)), quantum);
  return std::fabs(rounded) > largest ? std::copysign(kInfinity, value)
                                      : rounded;
}

double tpc::reference::roundTo(Type elementType, double value) {
  if (elementType.isF32())
    return static_cast<float>(value);
  if (elementType.isBF16())
    return roundToFormat(value, 8, -126, 0x1.FEp127);
  if (elementType.isF16())
    return roundToFormat(value, 11, -14, 65504);
  if (elementType.isF64())
    return value;
  if (elementType.isInteger(1))
    return value != 0;
  if (std::isnan(value))
    return 0;
  value = std::trunc(value);
  if (elementType.isInteger(32) && (value < -0x1p31 || value >= 0x1p31)) {
    double wrapped = std::fmod(value + 0x1p31, 0x1p32);
    return wrapped < 0 ? wrapped + 0x1p31 : wrapped - 0x1p31;
  }
  return value;
}

void tpc::reference::roundElements(Tensor &tensor) {
  if (tensor.elementType.isF64())
    return;
  if (tensor.elementType.isF32()) {
    for (double &value : tensor.data)
      value = static_cast<float>(value);
    return;
  }
  for (double &value : tensor.data)
    value = roundTo(tensor.elementType, value);
}

double tpc::reference::lowest(Type elementType) {
  if (isa<FloatType>(elementType))
    return -kInfinity;
  return elementType.isInteger(32)  ? -0x1p31
         : elementType.isInteger(1) ? 0
                                    : -0x1p63;
}

double tpc::reference::highest(Type elementType) {
  if (isa<FloatType>(elementType))
    return kInfinity;
  // 2^63 stands for 2^63 - 1, which no double is.
  return elementType.isInteger(32)  ? 0x1p31 - 1
         : elementType.isInteger(1) ? 1
                                    : 0x1p63;
}

double tpc::reference::poison(Type elementType) {
  if (isa<FloatType>(elementType))
    return std::numeric_limits<double>::quiet_NaN();
  return elementType.isInteger(32)  ? 0x1p31 - 1
         : elementType.isInteger(1) ? 1
                                    : 0x1p53;
}

//===----------------------------------------------------------------------===//
// Attributes and text
//===----------------------------------------------------------------------===//

Tensor tpc::reference::fromAttribute(DenseElementsAttr attribute) {
  auto type = cast<ShapedType>(attribute.getType());
  Tensor tensor(type.getShape(), type.getElementType());
  if (isa<FloatType>(type.getElementType())) {
    for (auto [to, from] :
         llvm::zip_equal(tensor.data, attribute.getValues<APFloat>()))
      to = from.convertToDouble();
    return tensor;
  }
  bool isBool = type.getElementType().isInteger(1);
  for (auto [to, from] :
       llvm::zip_equal(tensor.data, attribute.getValues<APInt>()))
    to = isBool ? from.getBoolValue() : from.getSExtValue();
  return tensor;
}

static void printElements(llvm::raw_ostream &os, const Tensor &tensor,
                          int64_t dim, int64_t offset,
                          ArrayRef<int64_t> strides) {
  if (dim == tensor.rank()) {
    double value = tensor.data[offset];
    if (isa<FloatType>(tensor.elementType))
      os << llvm::format(tensor.elementType.isF64() ? "%.17g" : "%.9g", value);
    else
      os << static_cast<int64_t>(value);
    return;
  }
  os << '[';
  for (int64_t i = 0; i < tensor.shape[dim]; ++i) {
    os << (i ? ", " : "");
    printElements(os, tensor, dim + 1, offset + i * strides[dim], strides);
  }
  os << ']';
}

std::string tpc::reference::toString(const Tensor &tensor) {
  std::string text;
  llvm::raw_string_ostream os(text);
  os << tensor.type() << ' ';
  printElements(os, tensor, 0, 0, tensor.strides());
  return text;
}

//===----------------------------------------------------------------------===//
// Loops
//===----------------------------------------------------------------------===//

void tpc::reference::forEachIndex(
    ArrayRef<int64_t> shape,
    llvm::function_ref<void(ArrayRef<int64_t>)> visit) {
  if (llvm::is_contained(shape, 0))
    return;
  SmallVector<int64_t> index(shape.size(), 0);
  while (true) {
    visit(index);
    size_t dim = shape.size();
    while (dim > 0 && ++index[dim - 1] == shape[dim - 1])
      index[--dim] = 0;
    if (dim == 0)
      return;
  }
}

void tpc::reference::forEachOffset(
    ArrayRef<int64_t> shape, ArrayRef<int64_t> strides, int64_t base,
    llvm::function_ref<void(int64_t, int64_t)> visit) {
  if (shape.empty())
    return visit(0, base);
  int64_t linear = 0;
  forEachIndex(shape.drop_back(), [&](ArrayRef<int64_t> index) {
    int64_t offset = base;
    for (auto [i, stride] : llvm::zip_equal(index, strides.drop_back()))
      offset += i * stride;
    for (int64_t i = 0; i < shape.back(); ++i, offset += strides.back())
      visit(linear++, offset);
  });
}
