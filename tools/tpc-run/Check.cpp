//===- Check.cpp - Comparison with the unsharded program ------------------===//

#include "Check.h"
#include "mlir/Interfaces/FunctionInterfaces.h"
#include "tpc/Reference/HostTensors.h"
#include <cmath>

using namespace mlir;
using namespace tpc;

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

/// Compares one output and adds it to the summary.
static void compare(const reference::Tensor &expected,
                    const reference::Tensor &found, double tolerance,
                    CheckSummary &summary) {
  double largest = 0, difference = 0;
  for (auto [e, f] : llvm::zip_equal(expected.data, found.data)) {
    if (std::isfinite(e))
      largest = std::max(largest, std::abs(e));
    if (e == f || (std::isnan(e) && std::isnan(f)))
      continue;
    double d = std::abs(e - f);
    difference = std::max(difference, std::isnan(d) ? INFINITY : d);
  }
  summary.maxAbsDiff = std::max(summary.maxAbsDiff, difference);
  summary.maxAbsValue = std::max(summary.maxAbsValue, largest);
  summary.ok &= difference <= tolerance * largest;
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
    for (auto [e, output] : llvm::zip_equal(*expected, call.outputs))
      compare(e, reference::fromHost(output, context),
              tensorTolerance(output.type()), summary);
  }
  return summary;
}
