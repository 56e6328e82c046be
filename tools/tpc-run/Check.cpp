//===- Check.cpp - Comparison with the unsharded program ------------------===//

#include "Check.h"
#include "mlir/Interfaces/FunctionInterfaces.h"
#include "tpc/Dialect/Tpc/Tpc.h"
#include "tpc/Interfaces/Decomposable.h"
#include "tpc/Reference/HostTensors.h"
#include "tpcrt/AvailableMemory.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/MathExtras.h"
#include <cmath>

using namespace mlir;
using namespace tpc;

/// Bytes of tensors in the reference evaluator; the most that 64 bits hold
/// where it is more.
static uint64_t referenceBytes(TypeRange types) {
  uint64_t elements = 0;
  for (Type type : types)
    elements = llvm::SaturatingAdd(
        elements, uint64_t(cast<RankedTensorType>(type).getNumElements()));
  return llvm::SaturatingMultiply(elements, uint64_t(sizeof(double)));
}

/// What an operation holds at once at least, inside composites as well.
static uint64_t referenceBytes(Operation &op) {
  uint64_t bytes = llvm::SaturatingAdd(referenceBytes(op.getOperandTypes()),
                                       referenceBytes(op.getResultTypes()));
  if (auto composite = dyn_cast<DecomposableOpInterface>(op)) {
    Decomposition body(composite);
    for (Operation &inner : body.block())
      bytes = std::max(bytes, referenceBytes(inner));
  }
  return bytes;
}

/// What an evaluation holds at least.
static uint64_t referenceBytes(ModuleOp module) {
  SmallVector<Type> symbols;
  for (auto parameter : module.getOps<ParameterOp>())
    symbols.push_back(parameter.getTensorType());
  for (auto state : module.getOps<StateOp>())
    symbols.push_back(state.getTensorType());
  uint64_t largest = 0;
  for (auto function : module.getOps<FunctionOpInterface>())
    for (Operation &op : function.getFunctionBody().front())
      largest = std::max(largest, referenceBytes(op));
  return llvm::SaturatingAdd(referenceBytes(symbols), largest);
}

tpcrt::Result<void>
tpc::checkComparable(ModuleOp module,
                     const std::vector<tpcrt::NamedTensor> &inputs) {
  for (const tpcrt::NamedTensor &input : inputs) {
    reference::Tensor values =
        reference::fromHost(input.value, module.getContext());
    auto nan = llvm::find_if(values.data, [](double x) { return x != x; });
    if (nan != values.data.end())
      return tpcrt::makeError(llvm::formatv(
          "--check: input '{0}': expected numbers, found NaN at element {1}; "
          "give a number there, or leave --check out",
          input.name, nan - values.data.begin()));
  }
  uint64_t need = referenceBytes(module);
  auto available = tpcrt::availableMemory();
  if (available && need > *available)
    return tpcrt::makeError(llvm::formatv(
        "--check: the reference evaluator holds every element in 8 bytes: "
        "expected at least {0:f1} GiB of memory, found {1:f1} GiB available; "
        "leave --check out, or check a smaller model",
        double(need) / (1 << 30), double(*available) / (1 << 30)));
  return {};
}

/// Relative to the largest magnitude: rounding of many summed terms in the
/// type, far below what a wrong program would show.
static double tensorTolerance(tpcrt::ElementType type) {
  switch (type) {
  case tpcrt::ElementType::F64:
  case tpcrt::ElementType::F32:
    return 1e-4;
  case tpcrt::ElementType::F16:
    return 1e-2;
  case tpcrt::ElementType::BF16:
    return 4e-2;
  default:
    return 0;
  }
}

static double largestMagnitude(const reference::Tensor &tensor) {
  double largest = 0;
  for (double value : tensor.data)
    if (std::isfinite(value))
      largest = std::max(largest, std::abs(value));
  return largest;
}

/// Gradients are sums whose terms may cancel, and then nothing but rounding is
/// left, such as of the bias of attention's keys. So one that is small beside
/// the largest gradient counts as this part of it.
static constexpr double kSmallGradient = 1e-3;

static double largestGradient(FunctionOpInterface function,
                              ArrayRef<reference::Tensor> results) {
  double largest = 0;
  for (auto [i, result] : llvm::enumerate(results))
    if (isGradient(function, i))
      largest = std::max(largest, largestMagnitude(result));
  return largest;
}

/// Compares one output, whose magnitude is at least `scale`, and adds it to the
/// summary.
static void compare(const reference::Tensor &expected,
                    const reference::Tensor &found, double tolerance,
                    double scale, CheckSummary &summary) {
  double largest = largestMagnitude(expected), difference = 0;
  for (auto [e, f] : llvm::zip_equal(expected.data, found.data)) {
    if (e == f || (std::isnan(e) && std::isnan(f)))
      continue;
    double d = std::abs(e - f);
    difference = std::max(difference, std::isnan(d) ? INFINITY : d);
  }
  summary.maxAbsDiff = std::max(summary.maxAbsDiff, difference);
  summary.maxAbsValue = std::max(summary.maxAbsValue, largest);
  summary.ok &= difference <= tolerance * std::max(largest, scale);
}

FailureOr<CheckSummary> tpc::checkCalls(ModuleOp module,
                                        const std::vector<Call> &calls,
                                        const tpcrt::WeightSource &weights) {
  MLIRContext *context = module.getContext();
  reference::SymbolStore symbols(reference::storedParameters(weights));
  CheckSummary summary;
  summary.ok = true;
  for (const Call &call : calls) {
    SmallVector<reference::Tensor> arguments;
    for (const tpcrt::HostTensor &input : call.inputs)
      arguments.push_back(reference::fromHost(input, context));
    auto function = module.lookupSymbol<FunctionOpInterface>(call.entry);
    auto expected = reference::evaluate(function, arguments, symbols);
    if (failed(expected))
      return failure();
    double smallest = kSmallGradient * largestGradient(function, *expected);
    for (auto [i, output] : llvm::enumerate(call.outputs)) {
      compare((*expected)[i], reference::fromHost(output, context),
              tensorTolerance(output.type()),
              isGradient(function, i) ? smallest : 0, summary);
    }
  }
  return summary;
}
