#ifndef TPC_INTERFACES_DECOMPOSABLE_TD
#define TPC_INTERFACES_DECOMPOSABLE_TD

include "mlir/IR/OpBase.td"

def DecomposableOpInterface : OpInterface<"DecomposableOpInterface"> {
  let cppNamespace = "::tpc";
  let description = [{
    A composite operation. The decomposition is built for operands of the given
    types' shapes: whole or one device's block alike.
  }];
  let methods = [
    InterfaceMethod<[{
      Builds the decomposition on `operands` (same shapes and element types as
      the operation's own) and returns the values that replace its results.
    }], "::llvm::SmallVector<::mlir::Value>", "decompose",
    (ins "::mlir::OpBuilder &":$builder, "::mlir::ValueRange":$operands)>
  ];
}

#endif // TPC_INTERFACES_DECOMPOSABLE_TD
