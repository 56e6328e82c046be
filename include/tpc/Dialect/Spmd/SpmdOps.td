#ifndef TPC_DIALECT_SPMD_SPMDOPS_TD
#define TPC_DIALECT_SPMD_SPMDOPS_TD

include "mlir/IR/CommonAttrConstraints.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/FunctionInterfaces.td"
include "mlir/Interfaces/SideEffectInterfaces.td"
include "tpc/Dialect/Spmd/SpmdDialect.td"
include "tpc/Dialect/Tpc/TpcTypes.td"

class Spmd_Op<string mnemonic, list<Trait> traits = []>
    : Op<Spmd_Dialect, mnemonic, traits>;

def Spmd_ProgramOp : Spmd_Op<"program",
    [FunctionOpInterface, IsolatedFromAbove, AutomaticAllocationScope]> {
  let summary = "The program of one device";
  let description = [{
    Stands beside the whole function that it implements. `arg_shardings` and
    `result_shardings` say which block of the whole function's arguments and
    results the local ones are; parameters and states carry theirs in their
    type.

    ```
    spmd.program @mlp.spmd of @mlp(%x: tensor<2x64xf32>) -> tensor<2x64xf32>
        args [#tpc.sharding<@mesh, [{"dp"}, {} ]>]
        results [#tpc.sharding<@mesh, [{"dp"}, {} ]>] { ... }
    ```

    Constraints:
    - (C1) the whole function exists, with as many arguments and results.
    - (C2) every local type is the local type of the whole one.
    - (C3) no argument and no result is partial.
    - (C4) the body has one block.
  }];
  let arguments = (ins SymbolNameAttr:$sym_name,
                       TypeAttrOf<FunctionType>:$function_type,
                       FlatSymbolRefAttr:$whole,
                       ArrayAttr:$arg_shardings, ArrayAttr:$result_shardings,
                       OptionalAttr<DictArrayAttr>:$arg_attrs,
                       OptionalAttr<DictArrayAttr>:$res_attrs);
  let regions = (region AnyRegion:$body);
  let hasCustomAssemblyFormat = 1;
  let hasRegionVerifier = 1;
  let extraClassDeclaration = [{
    ::llvm::ArrayRef<::mlir::Type> getArgumentTypes() { return getFunctionType().getInputs(); }
    ::llvm::ArrayRef<::mlir::Type> getResultTypes() { return getFunctionType().getResults(); }
    ::mlir::Region *getCallableRegion() { return &getBody(); }
    ::tpc::ShardingAttr getArgSharding(unsigned i) {
      return ::llvm::cast<::tpc::ShardingAttr>(getArgShardings()[i]);
    }
    ::tpc::ShardingAttr getResultSharding(unsigned i) {
      return ::llvm::cast<::tpc::ShardingAttr>(getResultShardings()[i]);
    }
  }];
}

def Spmd_ReturnOp : Spmd_Op<"return", [Pure, Terminator, HasParent<"ProgramOp">]> {
  let summary = "Ends a program";
  let description = [{
    Constraints:
    - (C1) operand types are the program's result types.
  }];
  let arguments = (ins Variadic<Tpc_Tensor>:$operands);
  let assemblyFormat = "($operands^ `:` type($operands))? attr-dict";
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// Communication
//===----------------------------------------------------------------------===//

// Collectives must be executed by every member in the same order, so they are
// not free to disappear on one device; removing an unused one on all is fine.
class Spmd_Collective<string mnemonic, list<Trait> traits = []>
    : Spmd_Op<mnemonic, !listconcat([Pure,
        DeclareOpInterfaceMethods<SymbolUserOpInterface>], traits)> {
  let results = (outs Tpc_Tensor:$result);
}

def Spmd_AllReduceOp : Spmd_Collective<"all_reduce"> {
  let summary = "Combines every member's tensor; all get the result";
  let description = [{
    `spmd.all_reduce sum %p over @mesh{"tp"}`. Accumulates in at least f32 and
    rounds once. Constraints:
    - (C1) the axes are axes of the module's mesh.
    - (C2) operand and result have the same type.
  }];
  let arguments = (ins Tpc_ReductionAttr:$reduction, Tpc_Tensor:$operand,
                       Tpc_AxesAttr:$axes, OptionalAttr<Tpc_WhyAttr>:$origin);
  let assemblyFormat = "custom<Keyword>($reduction) $operand `over` custom<Axes>($axes) (`why` custom<Why>($origin)^)? attr-dict `:` functional-type(operands, results)";
}

def Spmd_AllGatherOp : Spmd_Collective<"all_gather"> {
  let summary = "The members' blocks one after the other along a dimension";
  let description = [{
    The concatenation, by position over the axes, cut to the result's size.
    Constraints:
    - (C1) the axes are axes of the module's mesh.
    - (C2) operand and result have the same element type and, but for `dim`,
      the same shape.
    - (C3) along `dim` the operand is ceil(result / members).
  }];
  let arguments = (ins Tpc_Tensor:$operand, I64Attr:$dim, Tpc_AxesAttr:$axes,
                       OptionalAttr<Tpc_WhyAttr>:$origin);
  let assemblyFormat = "$operand `dim` $dim `over` custom<Axes>($axes) (`why` custom<Why>($origin)^)? attr-dict `:` functional-type(operands, results)";
}

def Spmd_ReduceScatterOp : Spmd_Collective<"reduce_scatter"> {
  let summary = "Each member gets its block of the combined tensor";
  let description = [{
    An `all_reduce` followed by `spmd.slice` along `dim` over the same axes.
    Constraints:
    - (C1) the axes are axes of the module's mesh.
    - (C2) operand and result have the same element type and, but for `dim`,
      the same shape.
    - (C3) along `dim` the result is ceil(operand / members).
  }];
  let arguments = (ins Tpc_ReductionAttr:$reduction, Tpc_Tensor:$operand,
                       I64Attr:$dim, Tpc_AxesAttr:$axes,
                       OptionalAttr<Tpc_WhyAttr>:$origin);
  let assemblyFormat = "custom<Keyword>($reduction) $operand `dim` $dim `over` custom<Axes>($axes) (`why` custom<Why>($origin)^)? attr-dict `:` functional-type(operands, results)";
}

def Spmd_AllToAllOp : Spmd_Collective<"all_to_all"> {
  let summary = "Moves a split from one dimension to another";
  let description = [{
    The operand is split along `concat_dim`, the result along `split_dim`: an
    `all_gather` along concat_dim followed by `spmd.slice` along split_dim.
    Constraints:
    - (C1) the axes are axes of the module's mesh.
    - (C2) the two dimensions differ; operand and result have the same element
      type and, but for them, the same shape.
    - (C3) along concat_dim the operand is ceil(result / members), along
      split_dim the result is ceil(operand / members).
  }];
  let arguments = (ins Tpc_Tensor:$operand, I64Attr:$split_dim,
                       I64Attr:$concat_dim, Tpc_AxesAttr:$axes,
                       OptionalAttr<Tpc_WhyAttr>:$origin);
  let assemblyFormat = "$operand `split` $split_dim `concat` $concat_dim `over` custom<Axes>($axes) (`why` custom<Why>($origin)^)? attr-dict `:` functional-type(operands, results)";
}

def Spmd_PermuteOp : Spmd_Collective<"permute"> {
  let summary = "Each member gets one member's tensor";
  let description = [{
    Member i over the axes gets the operand of member sources[i]. Constraints:
    - (C1) the axes are axes of the module's mesh.
    - (C2) operand and result have the same type.
    - (C3) sources is a permutation of the members.
  }];
  let arguments = (ins Tpc_Tensor:$operand, DenseI64ArrayAttr:$sources,
                       Tpc_AxesAttr:$axes, OptionalAttr<Tpc_WhyAttr>:$origin);
  let assemblyFormat = "$operand `sources` $sources `over` custom<Axes>($axes) (`why` custom<Why>($origin)^)? attr-dict `:` functional-type(operands, results)";
}

//===----------------------------------------------------------------------===//
// What depends on the device
//===----------------------------------------------------------------------===//

def Spmd_DeviceIndexOp : Spmd_Op<"device_index", [Pure,
    DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "The device's position over axes, row-major";
  let description = [{
    Constraints:
    - (C1) the axes are axes of the module's mesh.
    - (C2) the result is tensor<i64>.
  }];
  let arguments = (ins Tpc_AxesAttr:$axes);
  let results = (outs Tpc_IntTensor:$result);
  let assemblyFormat = "`over` custom<Axes>($axes) attr-dict `:` type($result)";
}

def Spmd_BlockStartOp : Spmd_Op<"block_start", [Pure,
    DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "Where the device's block of a dimension starts";
  let description = [{
    The whole index of local index 0 of a dimension of size `size` split by the
    axes. Constraints:
    - (C1) the axes are axes of the module's mesh.
    - (C2) the result is tensor<i64>, the size is not negative.
  }];
  let arguments = (ins I64Attr:$size, Tpc_AxesAttr:$axes);
  let results = (outs Tpc_IntTensor:$result);
  let assemblyFormat = "`of` $size `over` custom<Axes>($axes) attr-dict `:` type($result)";
}

def Spmd_SliceOp : Spmd_Op<"slice", [Pure,
    DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "The device's own block along a dimension";
  let description = [{
    Cuts the operand into blocks of the result's size along `dim` and keeps the
    one at the device's position; what lies past the operand's end is
    unspecified. Constraints:
    - (C1) the axes are axes of the module's mesh.
    - (C2) operand and result have the same element type and, but for `dim`,
      the same shape.
    - (C3) along `dim` the result is ceil(operand / members).
  }];
  let arguments = (ins Tpc_Tensor:$operand, I64Attr:$dim, Tpc_AxesAttr:$axes);
  let results = (outs Tpc_Tensor:$result);
  let assemblyFormat = "$operand `dim` $dim `over` custom<Axes>($axes) attr-dict `:` functional-type(operands, results)";
}

def Spmd_MaskOp : Spmd_Op<"mask", [Pure,
    DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "Replaces the padding of a block";
  let description = [{
    The operand is a block of a tensor of type `whole` (which carries the
    sharding); its padding along `dims` becomes `value` (integers: truncated and
    saturated) by select, everything else is kept. Constraints:
    - (C1) the operand's and result's type is the local type of `whole`.
    - (C2) dims are dimensions of the operand, ascending, each once.
  }];
  let arguments = (ins Tpc_Tensor:$operand, F64Attr:$value,
                       DenseI64ArrayAttr:$dims, TypeAttrOf<Tpc_Tensor>:$whole);
  let results = (outs Tpc_Tensor:$result);
  let assemblyFormat = "$operand `with` $value `dims` $dims `of` $whole attr-dict `:` functional-type(operands, results)";
}

def Spmd_ToPartialOp : Spmd_Op<"to_partial", [Pure,
    DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "A replicated value as a partial one";
  let description = [{
    Kept at position 0 over the axes; elsewhere the reduction's identity (zero,
    or for max and min the type's lowest and highest value). Constraints:
    - (C1) the axes are axes of the module's mesh.
    - (C2) operand and result have the same type.
  }];
  let arguments = (ins Tpc_ReductionAttr:$reduction, Tpc_Tensor:$operand,
                       Tpc_AxesAttr:$axes);
  let results = (outs Tpc_Tensor:$result);
  let assemblyFormat = "custom<Keyword>($reduction) $operand `over` custom<Axes>($axes) attr-dict `:` functional-type(operands, results)";
}

#endif // TPC_DIALECT_SPMD_SPMDOPS_TD
