//===- TestProgram.cpp - What the reference tests share -------------------===//

#include "TestProgram.h"
#include "mlir/AsmParser/AsmParser.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Parser/Parser.h"
#include "tpc/Dialect/Spmd/Spmd.h"
#include "llvm/Support/FormatVariadic.h"
#include <cmath>
#include <gtest/gtest.h>

using namespace mlir;
using namespace tpc;
using namespace tpc::reference;

MLIRContext &tpc::reference::testContext() {
  static MLIRContext *context = [] {
    auto *context = new MLIRContext(MLIRContext::Threading::DISABLED);
    context->loadDialect<TpcDialect, spmd::SpmdDialect, func::FuncDialect>();
    return context;
  }();
  return *context;
}

OwningOpRef<ModuleOp> tpc::reference::parseModule(const std::string &text) {
  auto module = parseSourceString<ModuleOp>(text, &testContext());
  if (!module)
    ADD_FAILURE() << "not a legal module:\n" << text;
  return module;
}

Mesh tpc::reference::testMesh(ArrayRef<std::pair<const char *, int64_t>> axes) {
  Mesh mesh;
  mesh.symbol = FlatSymbolRefAttr::get(&testContext(), "mesh");
  for (auto [name, size] : axes) {
    mesh.names.push_back(StringAttr::get(&testContext(), name));
    mesh.sizes.push_back(size);
  }
  return mesh;
}

Sharding tpc::reference::parseSharding(const std::string &text) {
  auto attribute = dyn_cast_or_null<ShardingAttr>(
      parseAttribute("#tpc.sharding" + text, &testContext()));
  if (attribute)
    return attribute.getValue();
  ADD_FAILURE() << "not a sharding: " << text;
  return {};
}

Tensor tpc::reference::tensor(ArrayRef<int64_t> shape,
                              std::vector<double> values, Type elementType) {
  Tensor result(shape,
                elementType ? elementType : Float32Type::get(&testContext()));
  EXPECT_EQ(result.data.size(), values.size());
  result.data = std::move(values);
  return result;
}

Diagnostics::Diagnostics()
    : handler(&testContext(), [this](Diagnostic &diagnostic) {
        text += diagnostic.str() + "\n";
        return success();
      }) {}

Tensor tpc::reference::randomTensor(RankedTensorType type, Range range,
                                    std::mt19937 &random) {
  Tensor result(type.getShape(), type.getElementType());
  std::uniform_int_distribution<int> values(range.low, range.high);
  for (double &value : result.data)
    value = roundTo(type.getElementType(), values(random));
  return result;
}

std::optional<std::string> tpc::reference::difference(const Tensor &found,
                                                      const Tensor &expected,
                                                      double tolerance) {
  if (found.shape != expected.shape)
    return "shapes differ";
  for (auto [i, pair] :
       llvm::enumerate(llvm::zip_equal(found.data, expected.data))) {
    auto [a, b] = pair;
    bool same = a == b || (std::isnan(a) && std::isnan(b)) ||
                std::fabs(a - b) <= tolerance * std::max(1.0, std::fabs(b));
    if (!same)
      return llvm::formatv("element {0} is {1:F6}, expected {2:F6}", i, a, b);
  }
  return std::nullopt;
}
