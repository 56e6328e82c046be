#ifndef TPC_INTERFACES_DIFFERENTIABLE_TD
#define TPC_INTERFACES_DIFFERENTIABLE_TD

include "mlir/IR/OpBase.td"

def DifferentiableOpInterface : OpInterface<"DifferentiableOpInterface"> {
  let cppNamespace = "::tpc";
  let description = [{
    The operation can build its vector-Jacobian product: how much each operand
    moves a scalar, given how much each result does. A composite has it from its
    decomposition; it overrides that for something better only.
  }];
  let methods = [
    InterfaceMethod<[{
      Builds the gradient that every operand gets from this operation, given
      those of the results. A null value is a gradient of zeros; operands that
      are not floating-point numbers have none. A gradient has the shape and
      element type of its operand.
    }], "::llvm::SmallVector<::mlir::Value>", "buildVjp",
    (ins "::mlir::OpBuilder &":$builder, "::mlir::ValueRange":$gradients), "",
    [{ return ::tpc::buildDecomposedVjp($_op, builder, gradients); }]>
  ];
}

#endif // TPC_INTERFACES_DIFFERENTIABLE_TD
