//===- DifferentiatedProgram.cpp - Graphs with gradients ------------------===//

#include "DifferentiatedProgram.h"
#include "TestModule.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "tpc/Transforms/Passes.h"

using namespace mlir;
using namespace tpc;

bool test::addGradients(ModuleOp module) {
  auto function = module.lookupSymbol<func::FuncOp>("main");
  Operation *terminator = function.getBody().front().getTerminator();
  Value result = terminator->getOperand(0);
  auto type = cast<RankedTensorType>(result.getType());
  if (!isa<FloatType>(type.getElementType()))
    return false;
  // Weights of its own for every element: the plain sum of a softmax is
  // constant, and its gradient nothing but rounding.
  OpBuilder builder(module.getBodyRegion());
  ParameterOp::create(builder, result.getLoc(), "loss_weights", type,
                      ArrayAttr(), TypeAttr(), ArrayAttr());
  builder.setInsertionPoint(terminator);
  Value weights =
      ReadOp::create(builder, result.getLoc(), type, "loss_weights");
  result = MulOp::create(builder, result.getLoc(), type, result, weights);
  auto scalar = RankedTensorType::get({}, type.getElementType());
  auto dims = llvm::to_vector(llvm::seq<int64_t>(0, type.getRank()));
  Value sum = ReduceOp::create(builder, result.getLoc(), scalar, Reduction::Sum,
                               result, builder.getDenseI64ArrayAttr(dims));
  terminator->insertOperands(terminator->getNumOperands(), sum);
  NamedAttribute name(builder.getStringAttr(kNameAttrName),
                      builder.getStringAttr("loss"));
  if (failed(function.insertResult(function.getNumResults(), scalar,
                                   builder.getDictionaryAttr(name))))
    return false;
  DifferentiatePassOptions options;
  options.output = "loss";
  Diagnostics diagnostics;
  return succeeded(runPass(module, createDifferentiatePass(options)));
}
