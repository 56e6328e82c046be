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
    (ins "::mlir::OpBuilder &":$builder, "::mlir::ValueRange":$operands)>,
    InterfaceMethod<[{
      The same function of `operands`, built for a last dimension of operand 0
      that is split into `blocks` equal blocks: what a device needs of the
      other blocks is one value, the summary. No results where the operation
      has no such form.
    }], "::tpc::BlockwiseDecomposition", "decomposeBlockwise",
    (ins "::mlir::OpBuilder &":$builder, "::mlir::ValueRange":$operands,
         "int64_t":$blocks), "", "return {};">
  ];
}

#endif // TPC_INTERFACES_DECOMPOSABLE_TD
