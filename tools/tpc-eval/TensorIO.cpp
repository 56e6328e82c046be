//===- TensorIO.cpp - Tensors in and out of tpc-eval ----------------------===//

#include "TensorIO.h"
#include "mlir/AsmParser/AsmParser.h"
#include "mlir/IR/Builders.h"
#include "tpcrt/Npy.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/WithColor.h"

using namespace mlir;
using tpc::reference::Tensor;
using tpcrt::ElementType;
using tpcrt::HostTensor;

static LogicalResult error(const Twine &message) {
  llvm::WithColor::error() << message << '\n';
  return failure();
}

//===----------------------------------------------------------------------===//
// Element types
//===----------------------------------------------------------------------===//

static Type fromHost(ElementType type, MLIRContext &context) {
  Builder builder(&context);
  switch (type) {
  case ElementType::F32:
    return builder.getF32Type();
  case ElementType::F64:
    return builder.getF64Type();
  case ElementType::BF16:
    return builder.getBF16Type();
  case ElementType::F16:
    return builder.getF16Type();
  case ElementType::I32:
    return builder.getI32Type();
  case ElementType::I64:
    return builder.getI64Type();
  case ElementType::Bool:
    return builder.getI1Type();
  }
  llvm_unreachable("unknown element type");
}

static ElementType toHost(Type type) {
  for (unsigned i = 0; i < tpcrt::numElementTypes; ++i)
    if (fromHost(ElementType(i), *type.getContext()) == type)
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
    value = APFloat(semantics, APInt(16, from.as<uint16_t>()[i]))
                .convertToDouble();
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

static Tensor fromHost(const HostTensor &host, MLIRContext &context) {
  Tensor tensor(SmallVector<int64_t>(host.shape().begin(), host.shape().end()),
                fromHost(host.type(), context));
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

static HostTensor toHost(const Tensor &tensor) {
  HostTensor host(toHost(tensor.elementType),
                  std::vector<uint64_t>(tensor.shape.begin(),
                                        tensor.shape.end()));
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
// Files
//===----------------------------------------------------------------------===//

FailureOr<Tensor> readTensor(StringRef text, MLIRContext &context) {
  if (text.ends_with(".npy")) {
    auto host = tpcrt::readNpy(text.str());
    if (!host)
      return error(host.error().message);
    return fromHost(*host, context);
  }
  auto dense =
      dyn_cast_or_null<DenseElementsAttr>(parseAttribute(text, &context));
  if (!dense || !isa<RankedTensorType>(dense.getType()))
    return error("expected FILE.npy or a tensor like 'dense<[1, 2]> : "
                 "tensor<2xi32>', found '" +
                 text + "'");
  return tpc::reference::fromAttribute(dense);
}

LogicalResult writeTensors(StringRef dir, ArrayRef<std::string> names,
                           ArrayRef<Tensor> tensors) {
  if (std::error_code code = llvm::sys::fs::create_directories(dir))
    return error("cannot make directory " + dir + ": " + code.message());
  std::vector<HostTensor> hosts;
  for (const Tensor &tensor : tensors)
    hosts.push_back(toHost(tensor));
  std::vector<tpcrt::NpyOutput> outputs;
  for (auto [name, host] : llvm::zip_equal(names, hosts)) {
    SmallString<128> path(dir);
    llvm::sys::path::append(path, name + ".npy");
    outputs.push_back({path.str().str(), &host});
  }
  if (auto written = tpcrt::writeNpyFiles(outputs); !written)
    return error(written.error().message);
  return success();
}
