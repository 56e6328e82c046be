//===- TensorIO.cpp - Tensors on tpc-eval's command line ------------------===//

#include "TensorIO.h"
#include "mlir/AsmParser/AsmParser.h"
#include "llvm/Support/WithColor.h"

using namespace mlir;
using tpc::reference::Tensor;

FailureOr<Tensor> readTensor(StringRef text, MLIRContext &context) {
  auto dense =
      dyn_cast_or_null<DenseElementsAttr>(parseAttribute(text, &context));
  if (!dense || !isa<RankedTensorType>(dense.getType())) {
    llvm::WithColor::error() << "expected a tensor like 'dense<[1, 2]> : "
                                "tensor<2xi32>', found '"
                             << text << "'\n";
    return failure();
  }
  return tpc::reference::fromAttribute(dense);
}
