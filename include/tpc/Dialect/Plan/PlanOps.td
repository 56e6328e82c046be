#ifndef TPC_DIALECT_PLAN_PLANOPS_TD
#define TPC_DIALECT_PLAN_PLANOPS_TD

include "mlir/IR/CommonAttrConstraints.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/FunctionInterfaces.td"
include "mlir/Interfaces/SideEffectInterfaces.td"
include "tpc/Dialect/Plan/PlanAttrs.td"
include "tpc/Dialect/Tpc/TpcTypes.td"

class Plan_Op<string mnemonic, list<Trait> traits = []>
    : Op<Plan_Dialect, mnemonic, traits>;

//===----------------------------------------------------------------------===//
// Symbols
//===----------------------------------------------------------------------===//

def Plan_ProgramOp : Plan_Op<"program", [
    Symbol, IsolatedFromAbove, SingleBlock, NoTerminator, NoRegionArguments,
    DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "The steps of one device";
  let description = [{
    The plan of an `spmd.program`. Every device executes the same steps; what
    differs between devices is data.

    ```
    plan.program @main.plan of @main.spmd arena 4096 {
      %x = plan.input 0 at <arena + 0> : tensor<8x64xf32>
      ...
      plan.return %y : tensor<8x64xf32>
    }
    ```

    Constraints:
    - (C1) the `spmd.program` exists.
    - (C2) the last operation, and only it, is `plan.return`; its operand types
      are the program's result types.
    - (C3) the inputs are the program's arguments, each at most once, with
      their types.
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, FlatSymbolRefAttr:$implements,
                       OptionalAttr<I64Attr>:$arena_bytes);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = [{
    $sym_name `of` $implements (`arena` $arena_bytes^)? attr-dict-with-keyword $body
  }];
  let extraClassDeclaration = "::tpc::plan::ReturnOp getReturn();";
}

def Plan_KernelFuncOp : Plan_Op<"kernel_func", [
    FunctionOpInterface, IsolatedFromAbove]> {
  let summary = "A generated kernel, as a function of tensors";
  let description = [{
    The body consists of `tpc` operations and ends with `plan.yield`. The last
    `updates` arguments are buffers that the kernel updates in place: result i
    lives where update i lived. `in_place` lists pairs [result, argument] that
    may share memory: the kernel reads every element of the argument before it
    writes the same element of the result, and never reads it after.

    On a CPU work is divided into `tiles` that do not depend on each other; on a
    GPU a thread's share follows from the body.

    Constraints:
    - (C1) the body is one block of tpc operations that ends with `plan.yield`
      of the result types.
    - (C2) `updates` is at most the number of arguments and of results; update
      i has the type of result i.
    - (C3) the pairs of `in_place` name a result beyond the updates and an
      argument that is not an update, of as many bytes.
  }];
  let arguments = (ins SymbolNameAttr:$sym_name,
                       TypeAttrOf<FunctionType>:$function_type,
                       I64Attr:$tiles,
                       DefaultValuedAttr<I64Attr, "0">:$updates,
                       DefaultValuedAttr<DenseI64ArrayAttr, "{}">:$in_place,
                       OptionalAttr<DictArrayAttr>:$arg_attrs,
                       OptionalAttr<DictArrayAttr>:$res_attrs);
  let regions = (region AnyRegion:$body);
  let hasCustomAssemblyFormat = 1;
  let hasRegionVerifier = 1;
  let extraClassDeclaration = [{
    ::llvm::ArrayRef<::mlir::Type> getArgumentTypes() { return getFunctionType().getInputs(); }
    ::llvm::ArrayRef<::mlir::Type> getResultTypes() { return getFunctionType().getResults(); }
    ::mlir::Region *getCallableRegion() { return &getBody(); }
    /// How many of the arguments are only read.
    unsigned getNumInputs() { return getNumArguments() - getUpdates(); }
    bool mayShare(unsigned result, unsigned argument);
    ::tpc::plan::YieldOp getYield();
  }];
}

def Plan_YieldOp : Plan_Op<"yield", [Pure, Terminator, HasParent<"KernelFuncOp">]> {
  let summary = "The results of a kernel";
  let arguments = (ins Variadic<Tpc_Tensor>:$operands);
  let assemblyFormat = "$operands attr-dict `:` type($operands)";
}

//===----------------------------------------------------------------------===//
// Values that are there
//===----------------------------------------------------------------------===//

class Plan_Value<string mnemonic, list<Trait> traits = []>
    : Plan_Op<mnemonic, !listconcat([Pure], traits)> {
  let results = (outs Tpc_Tensor:$result);
}

def Plan_InputOp : Plan_Value<"input"> {
  let summary = "The device's block of an input";
  let arguments = (ins I64Attr:$index, OptionalAttr<Plan_PlaceAttr>:$at);
  let assemblyFormat = "$index (`at` $at^)? attr-dict `:` type($result)";
}

def Plan_ParameterOp : Plan_Value<"parameter",
    [DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "The device's block of a parameter";
  let description = [{
    Constraints:
    - (C1) the symbol is a `tpc.parameter`, the type is its local type.
  }];
  let arguments = (ins FlatSymbolRefAttr:$symbol);
  let assemblyFormat = "$symbol attr-dict `:` type($result)";
}

def Plan_StateOp : Plan_Value<"state",
    [DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "The device's block of a state, as it is when the call starts";
  let description = [{
    Constraints:
    - (C1) the symbol is a `tpc.state`, the type is its local type.
  }];
  let arguments = (ins FlatSymbolRefAttr:$symbol);
  let assemblyFormat = "$symbol attr-dict `:` type($result)";
}

def Plan_ConstantOp : Plan_Value<"constant"> {
  let summary = "A constant in memory";
  let description = [{
    Constraints:
    - (C1) the value has the type of the result.
  }];
  let arguments = (ins ElementsAttr:$value);
  let assemblyFormat = "$value attr-dict `:` type($result)";
  let hasVerifier = 1;
}

def Plan_DeviceScalarOp : Plan_Value<"device_scalar",
    [DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "A number that differs between devices";
  let description = [{
    `plan.device_scalar [0, 16]` is values[d] on device d. It may also stand in
    an `spmd.program`. Constraints:
    - (C1) the result is tensor<i64>.
    - (C2) there is one value per device of the mesh.
  }];
  let arguments = (ins DenseI64ArrayAttr:$values);
  let assemblyFormat = "$values attr-dict `:` type($result)";
}

def Plan_ViewOp : Plan_Value<"view"> {
  let summary = "A contiguous part of a value's memory, seen under a shape";
  let description = [{
    The elements [offset, offset + size) of the operand in row-major order; the
    result lies in the operand's memory. Constraints:
    - (C1) operand and result have the same element type.
    - (C2) the range is within the operand.
  }];
  let arguments = (ins Tpc_Tensor:$operand, I64Attr:$offset);
  let assemblyFormat = "$operand `from` $offset attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// Steps
//===----------------------------------------------------------------------===//

def Plan_KernelOp : Plan_Op<"kernel", [
    AttrSizedOperandSegments,
    DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "Runs a generated kernel";
  let description = [{
    `%s1, %y = plan.kernel @k(%x) updates(%s) at [<state @s + 0>, <arena + 64>]`.
    Result i lives where update i lived; an updated value is not read after.

    Constraints:
    - (C1) the symbol is a `plan.kernel_func` of these operand and result types
      with as many updates.
    - (C2) there is one location per result.
  }];
  let arguments = (ins FlatSymbolRefAttr:$kernel, Variadic<Tpc_Tensor>:$inputs,
                       Variadic<Tpc_Tensor>:$updates,
                       OptionalAttr<TypedArrayAttrBase<Plan_PlaceAttr, "places">>:$at);
  let results = (outs Variadic<Tpc_Tensor>:$results);
  let assemblyFormat = [{
    $kernel `(` $inputs `)` (`updates` `(` $updates^ `)`)?
    (`at` custom<Places>($at)^)? attr-dict `:` functional-type(operands, results)
  }];
}

def Plan_ContractOp : Plan_Op<"contract", [Pure]> {
  let summary = "tpc.matmul, and what is done to its result";
  let description = [{
    result = activation(matmul(lhs, rhs) + bias), rounded once; bias and
    activation are optional. It stands in an `spmd.program` until
    `tpc-form-kernels` makes it a `plan.matmul`:

    ```
    %h = plan.contract %x, %w "b s e, e f -> b s f" bias %b activation gelu_erf : ...
    ```

    Constraints:
    - (C1) the equation is one of `tpc.matmul` (C1-C3 there).
    - (C2) the result has the batch dimensions, the free ones of the left
      operand and those of the right, in the operands' order.
    - (C3) all element types are the same: f32, bf16 or f16.
    - (C4) the bias has as many elements as the right operand's free dimensions.
  }];
  let arguments = (ins Tpc_FloatTensor:$lhs, Tpc_FloatTensor:$rhs,
                       StrAttr:$equation, Optional<Tpc_FloatTensor>:$bias,
                       OptionalAttr<Plan_ActivationAttr>:$activation);
  let results = (outs Tpc_FloatTensor:$result);
  let assemblyFormat = [{
    $lhs `,` $rhs $equation (`bias` $bias^)?
    (`activation` custom<Keyword>($activation)^)? attr-dict `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

def Plan_MatmulOp : Plan_Op<"matmul", [Pure]> {
  let summary = "Matrix product of strided operands";
  let description = [{
    c = activation(product + bias[n]), where
    product[batch..., m, n] = sum_k a[batch..., m, k] * b[batch..., k, n]; bias
    and activation may be absent. `sizes` is
    [m, n, k]; strides are in elements: `a` is [offset, m, k], `b` is
    [offset, k, n], `c` is [m, n]. Each batch dimension has a size and a stride
    in every tensor.

    ```
    %c = plan.matmul %a, %b sizes [8, 256, 64] a [0, 64, 1] b [0, 256, 1]
        c [256, 1] batch [] strides [] [] [] : ...
    ```

    Constraints:
    - (C1) `sizes` and `a` and `b` have three entries, `c` has two; the batch
      lists have equal lengths.
    - (C2) every element is within its tensor.
    - (C3) the element types are f32, bf16 and f16 in any mix, or all the same.
    - (C4) `pack_b` is given only for a whole parameter.
    - (C5) with a bias or an activation c is f32, bf16 or f16; the bias has n
      elements of c's type.
  }];
  let arguments = (ins Tpc_NumberTensor:$lhs, Tpc_NumberTensor:$rhs,
                       DenseI64ArrayAttr:$sizes, DenseI64ArrayAttr:$a,
                       DenseI64ArrayAttr:$b, DenseI64ArrayAttr:$c,
                       DenseI64ArrayAttr:$batch, DenseI64ArrayAttr:$batch_a,
                       DenseI64ArrayAttr:$batch_b, DenseI64ArrayAttr:$batch_c,
                       UnitAttr:$pack_b, Optional<Tpc_FloatTensor>:$bias,
                       OptionalAttr<Plan_ActivationAttr>:$activation,
                       OptionalAttr<Plan_PlaceAttr>:$at);
  let results = (outs Tpc_NumberTensor:$result);
  let assemblyFormat = [{
    $lhs `,` $rhs `sizes` $sizes `a` $a `b` $b `c` $c
    `batch` $batch `strides` $batch_a $batch_b $batch_c (`pack_b` $pack_b^)?
    (`bias` $bias^)? (`activation` custom<Keyword>($activation)^)? (`at` $at^)? attr-dict `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

def Plan_GroupedMatmulOp : Plan_Op<"grouped_matmul", [Pure]> {
  let summary = "Rows times the matrices that they choose";
  let description = [{
    `tpc.grouped_matmul`. `sizes` is [n, c, e, d, f]: n rows with c choices each
    between e matrices of [d, f]. rows has a row of d elements for each of n, or
    for each of n and c. `view` says where the matrices lie in weights: [offset,
    e, d, f], in elements. rows, choices and result lie as they are.

    ```
    %y = plan.grouped_matmul %x, %i, %w [0, 48, 6, 1] sizes [4, 2, 5, 8, 6]
        pack : ...
    ```

    Constraints:
    - (C1) there are five sizes, none negative, and four numbers in `view`.
    - (C2) rows has n * d or n * c * d elements, choices n * c, the result
      n * c * f.
    - (C3) every element of the matrices is within weights.
    - (C4) rows, weights and result have the same element type.
    - (C5) `pack` is given only for a parameter.
  }];
  let arguments = (ins Tpc_FloatTensor:$rows, Tpc_IntTensor:$choices,
                       Tpc_FloatTensor:$weights, DenseI64ArrayAttr:$view,
                       DenseI64ArrayAttr:$sizes, UnitAttr:$pack,
                       OptionalAttr<Plan_PlaceAttr>:$at);
  let results = (outs Tpc_FloatTensor:$result);
  let assemblyFormat = [{
    $rows `,` $choices `,` $weights $view `sizes` $sizes (`pack` $pack^)?
    (`at` $at^)? attr-dict `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

def Plan_AttentionOp : Plan_Op<"attention", [Pure, AttrSizedOperandSegments]> {
  let summary = "Scaled dot-product attention of strided operands";
  let description = [{
    `tpc.attention`, without the matrix of scores in memory. `sizes` is
    [b, s, t, k, g, d, v]. Behind each operand stands where its elements lie, as
    an offset and a stride per dimension, in elements: query [offset, b, s, k, g],
    key and value [offset, b, t, k]; their last dimension is contiguous; bias
    [offset, b, k, g, s, t]. The others lie as they are.

    ```
    %r = plan.attention %q [0, 64, 16, 8, 4], %k [0, 128, 8, 4],
        %v [0, 128, 8, 4] offset %o sizes [1, 4, 16, 2, 2, 4, 4] scale 0.5
        causal : ...
    ```

    Constraints:
    - (C1) there are seven sizes, none negative, and as many strides as above;
      bias has strides.
    - (C2) the result is [b, s, k, g, v].
    - (C3) every element is within its tensor.
    - (C4) query, key, value and result have the same element type.
    - (C5) lengths has b elements, offset one or b, sinks k * g.
    - (C6) window and softcap are positive.
  }];
  let arguments = (ins Tpc_FloatTensor:$query, Tpc_FloatTensor:$key,
                       Tpc_FloatTensor:$value,
                       Optional<Tpc_FloatTensor>:$bias,
                       Optional<Tpc_IntTensor>:$lengths,
                       Optional<Tpc_IntTensor>:$offset,
                       Optional<Tpc_FloatTensor>:$sinks,
                       DenseI64ArrayAttr:$query_view,
                       DenseI64ArrayAttr:$key_view,
                       DenseI64ArrayAttr:$value_view,
                       OptionalAttr<DenseI64ArrayAttr>:$bias_view,
                       DenseI64ArrayAttr:$sizes, F64Attr:$scale,
                       UnitAttr:$causal, OptionalAttr<I64Attr>:$window,
                       OptionalAttr<F64Attr>:$softcap,
                       OptionalAttr<Plan_PlaceAttr>:$at);
  let results = (outs Tpc_FloatTensor:$result);
  let assemblyFormat = [{
    $query $query_view `,` $key $key_view `,` $value $value_view
    (`bias` $bias^ $bias_view)? (`lengths` $lengths^)? (`offset` $offset^)?
    (`sinks` $sinks^)? `sizes` $sizes `scale` $scale (`causal` $causal^)?
    (`window` $window^)? (`softcap` $softcap^)? (`at` $at^)?
    attr-dict `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

def Plan_CollectiveOp : Plan_Op<"collective", [Pure,
    DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "Flat communication within the groups that the axes span";
  let description = [{
    With n members, numbered row-major over the axes:

    - all_reduce: result = reduction over the members' operands
    - all_gather: result = the members' operands one after the other
    - reduce_scatter: result = own n-th part of the reduced operand
    - all_to_all: chunk j of member i becomes chunk i of member j
    - permute: result = operand of member sources[own number]

    Constraints:
    - (C1) the axes are axes of the module's mesh.
    - (C2) operand and result have the same element type, and element counts
      as above: the result's is n times the operand's (all_gather), the operand's
      n times the result's (reduce_scatter), equal otherwise, and for all_to_all
      a multiple of n.
    - (C3) sources is a permutation of the members for permute, absent for others.
  }];
  let arguments = (ins Plan_CollectiveKindAttr:$kind, Tpc_ReductionAttr:$reduction,
                       Tpc_Tensor:$operand, Tpc_AxesAttr:$axes,
                       OptionalAttr<DenseI64ArrayAttr>:$sources,
                       OptionalAttr<Tpc_WhyAttr>:$origin,
                       OptionalAttr<Plan_PlaceAttr>:$at);
  let results = (outs Tpc_Tensor:$result);
  let assemblyFormat = [{
    custom<Keyword>($kind) custom<Keyword>($reduction) $operand `over` custom<Axes>($axes)
    (`sources` $sources^)? (`why` custom<Why>($origin)^)? (`at` $at^)?
    attr-dict `:` functional-type(operands, results)
  }];
}

//===----------------------------------------------------------------------===//
// What is left behind
//===----------------------------------------------------------------------===//

def Plan_WriteOp : Plan_Op<"write",
    [DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "What a state holds when the call ends";
  let description = [{
    No step of its own: the value lives in the state's memory. Constraints:
    - (C1) the symbol is a `tpc.state`, the type is its local type.
  }];
  let arguments = (ins FlatSymbolRefAttr:$symbol, Tpc_Tensor:$value);
  let assemblyFormat = "$symbol `,` $value attr-dict `:` type($value)";
}

def Plan_ReturnOp : Plan_Op<"return", [HasParent<"ProgramOp">]> {
  let summary = "The outputs";
  let arguments = (ins Variadic<Tpc_Tensor>:$operands);
  let assemblyFormat = "($operands^ `:` type($operands))? attr-dict";
}

#endif // TPC_DIALECT_PLAN_PLANOPS_TD
