//===- Kernels.cpp - The evaluator's table of operations ------------------===//

#include "Kernels.h"
#include <cmath>

using namespace tpc;
using namespace tpc::reference;

const KernelTable &tpc::reference::kernels() {
  static const KernelTable table = [] {
    KernelTable table;
    registerElementwise(table);
    registerContraction(table);
    registerMovement(table);
    registerIndexing(table);
    return table;
  }();
  return table;
}

double tpc::reference::combine(Reduction reduction, double a, double b) {
  if (reduction == Reduction::Sum)
    return a + b;
  if (std::isnan(a) || std::isnan(b))
    return std::numeric_limits<double>::quiet_NaN();
  return reduction == Reduction::Max ? std::max(a, b) : std::min(a, b);
}

double tpc::reference::identity(Reduction reduction, mlir::Type elementType) {
  switch (reduction) {
  case Reduction::Sum:
    return 0;
  case Reduction::Max:
    return lowest(elementType);
  case Reduction::Min:
    return highest(elementType);
  }
  llvm_unreachable("unknown reduction");
}
