#ifndef TPC_DIALECT_TPC_TPCOPS_TD
#define TPC_DIALECT_TPC_TPCOPS_TD

include "mlir/IR/CommonAttrConstraints.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/SideEffectInterfaces.td"
include "tpc/Dialect/Tpc/TpcTypes.td"
include "tpc/Interfaces/Decomposable.td"
include "tpc/Interfaces/Differentiable.td"
include "tpc/Interfaces/ShardingRule.td"

class Tpc_Op<string mnemonic, list<Trait> traits = []>
    : Op<Tpc_Dialect, mnemonic, traits>;

//===----------------------------------------------------------------------===//
// Module-level operations
//===----------------------------------------------------------------------===//

def Tpc_MeshOp : Tpc_Op<"mesh", [Symbol]> {
  let summary = "The device mesh of a module";
  let description = [{
    `tpc.mesh @mesh <"dp" = 2, "tp" = 4>`. A module has at most one.
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, Tpc_MeshAttr:$mesh);
  let assemblyFormat = "$sym_name $mesh attr-dict";
}

def Tpc_ParameterOp : Tpc_Op<"parameter", [Symbol]> {
  let summary = "A parameter: a view of stored tensors";
  let description = [{
    The parameter's value is the stored tensor (named as the symbol where
    `from` is absent) seen through the view steps in order, then converted to
    the element type.

    ```
    tpc.parameter @up : tensor<64x256xf32> from "mlp.up.weight" :
        tensor<256x64xf32> view [transpose [1, 0]]
    ```

    Constraints:
    - (C1) every view step fits the shape that it is applied to.
    - (C2) the last shape is the parameter's.
    - (C3) `stack` comes last, and only it reads several stored tensors.
    - (C4) the view is strided: each dimension of it steps through the stored
      tensor by a constant.
  }];
  let arguments = (ins SymbolNameAttr:$sym_name,
                       TypeAttrOf<Tpc_Tensor>:$type,
                       OptionalAttr<StrArrayAttr>:$sources,
                       OptionalAttr<TypeAttrOf<Tpc_Tensor>>:$stored_type,
                       OptionalAttr<ArrayAttr>:$view);
  let assemblyFormat = [{
    $sym_name `:` $type
    (`from` custom<Sources>($sources)^ `:` $stored_type)?
    (`view` custom<View>($view)^)? attr-dict
  }];
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    ::mlir::RankedTensorType getTensorType() {
      return ::llvm::cast<::mlir::RankedTensorType>(getType());
    }
    /// Names of the stored tensors; the symbol's own where none is given.
    ::llvm::SmallVector<::llvm::StringRef> getStoredNames();
    /// Shape and element type as stored.
    ::mlir::RankedTensorType getStoredTensorType();
    /// One source of the view: the stored element under index 0, and by how
    /// many stored elements each dimension of the source's view steps.
    struct StridedSource { int64_t offset; ::llvm::SmallVector<int64_t> strides; };
    /// The view as strides (one for all sources: they have one shape), and the
    /// stacked dimension or -1. Failure when the view is not strided (C4).
    ::mlir::FailureOr<std::pair<StridedSource, int64_t>> getStridedView();
  }];
}

def Tpc_StateOp : Tpc_Op<"state", [Symbol]> {
  let summary = "Device memory that lives across calls, zero at first";
  let arguments = (ins SymbolNameAttr:$sym_name, TypeAttrOf<Tpc_Tensor>:$type);
  let assemblyFormat = "$sym_name `:` $type attr-dict";
  let extraClassDeclaration = [{
    ::mlir::RankedTensorType getTensorType() {
      return ::llvm::cast<::mlir::RankedTensorType>(getType());
    }
  }];
}

def Tpc_ReadOp : Tpc_Op<"read", [
    DeclareOpInterfaceMethods<SymbolUserOpInterface>,
    DeclareOpInterfaceMethods<MemoryEffectsOpInterface>]> {
  let summary = "The value of a parameter or state";
  let description = [{
    Constraints:
    - (C1) the symbol is a `tpc.parameter` or `tpc.state` of the module.
    - (C2) the type is the symbol's (in the whole form without its sharding), or
      inside `spmd.program` its local type.
  }];
  let arguments = (ins FlatSymbolRefAttr:$symbol);
  let results = (outs Tpc_Tensor:$result);
  let assemblyFormat = "$symbol attr-dict `:` type($result)";
}

def Tpc_WriteOp : Tpc_Op<"write", [
    DeclareOpInterfaceMethods<SymbolUserOpInterface>,
    DeclareOpInterfaceMethods<MemoryEffectsOpInterface>]> {
  let summary = "Replaces the value of a state";
  let description = [{
    Constraints:
    - (C1) the symbol is a `tpc.state` of the module.
    - (C2) the type is the symbol's (in the whole form without its sharding), or
      inside `spmd.program` its local type.
  }];
  let arguments = (ins FlatSymbolRefAttr:$symbol, Tpc_Tensor:$value);
  let assemblyFormat = "$symbol `,` $value attr-dict `:` type($value)";
}

//===----------------------------------------------------------------------===//
// Sharding
//===----------------------------------------------------------------------===//

// A gradient of its own.
defvar OwnGradient =
    DeclareOpInterfaceMethods<DifferentiableOpInterface, ["buildVjp"]>;

def Tpc_ShardOp : Tpc_Op<"shard", [Pure, OwnGradient]> {
  let summary = "Pins the sharding of a value";
  let description = [{
    The value itself is unchanged. Assignment honours the pin and removes the
    operation. Constraints:
    - (C1) operand and result have the same shape and element type.
    - (C2) the sharding has one entry per dimension.
  }];
  let arguments = (ins Tpc_Tensor:$operand, Tpc_ShardingAttr:$sharding);
  let results = (outs Tpc_Tensor:$result);
  let assemblyFormat = "$operand $sharding attr-dict `:` functional-type($operand, $result)";
  let hasVerifier = 1;
}

def Tpc_ReshardOp : Tpc_Op<"reshard", [Pure]> {
  let summary = "The same value under another sharding";
  let description = [{
    Only in the assigned form. Constraints:
    - (C1) operand and result have the same shape and element type.
    - (C2) both types carry a sharding.
  }];
  let arguments = (ins Tpc_Tensor:$operand, OptionalAttr<Tpc_OriginAttr>:$origin);
  let results = (outs Tpc_Tensor:$result);
  let assemblyFormat = "$operand (`why` $origin^)? attr-dict `:` functional-type($operand, $result)";
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// Core operations
//===----------------------------------------------------------------------===//

class Tpc_Core<string mnemonic, list<Trait> traits = []>
    : Tpc_Op<mnemonic, !listconcat([Pure, OwnGradient,
        DeclareOpInterfaceMethods<ShardingRuleOpInterface>], traits)>;

def Tpc_ConstantOp : Tpc_Core<"constant", [ConstantLike]> {
  let summary = "A constant tensor";
  let description = [{
    Constraints:
    - (C1) the value has the shape and element type of the result.
    - (C2) the value is spelled out: `dense<...>`.
  }];
  let arguments = (ins ElementsAttr:$value);
  let results = (outs Tpc_Tensor:$result);
  let assemblyFormat = "$value attr-dict `:` type($result)";
  let hasVerifier = 1;
  let hasFolder = 1;
}

def Tpc_IotaOp : Tpc_Core<"iota"> {
  let summary = "Index along one dimension";
  let description = [{
    result[i0, ..., ir] = i_dim. Constraints:
    - (C1) `dim` is a dimension of the result.
  }];
  let arguments = (ins I64Attr:$dim);
  let results = (outs Tpc_NumberTensor:$result);
  let assemblyFormat = "`dim` $dim attr-dict `:` type($result)";
  let hasVerifier = 1;
}

def Tpc_MatmulOp : Tpc_Core<"matmul"> {
  let summary = "Tensor contraction";
  let description = [{
    `tpc.matmul %x, %w "b s e, e h d -> b s h d"`. Dimensions in both operands
    and the result are batch dimensions, those in both operands only are
    contracted, those in one operand and the result are free. Accumulates in at
    least f32 and rounds once to the result type.

    Constraints:
    - (C1) the equation names every dimension of operands and result once.
    - (C2) every result dimension occurs in an operand, and every dimension of
      only one operand occurs in the result.
    - (C3) a dimension has one size everywhere.
  }];
  let arguments = (ins Tpc_NumberTensor:$lhs, Tpc_NumberTensor:$rhs,
                       StrAttr:$equation);
  let results = (outs Tpc_NumberTensor:$result);
  let assemblyFormat = "$lhs `,` $rhs $equation attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

// Marks operations that compute every element from the same element of the
// operands.
def Elementwise_ : NativeOpTrait<"Elementwise"> { let cppNamespace = "::tpc"; }

class Tpc_Unary<string mnemonic, string formula, Type type, list<Trait> traits = []>
    : Tpc_Core<mnemonic, !listconcat([Elementwise_], traits)> {
  let summary = "Elementwise " # formula;
  let description = "Constraints:\n- (C1) operand and result have the same shape.";
  let arguments = (ins type:$operand);
  let results = (outs type:$result);
  let assemblyFormat = "$operand attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}
class Tpc_Binary<string mnemonic, string formula, Type type>
    : Tpc_Core<mnemonic, [Elementwise_]> {
  let summary = "Elementwise " # formula;
  let description = "Constraints:\n- (C1) operands and result have the same shape.\n"
                    "- (C2) operands and result have the same element type.";
  let arguments = (ins type:$lhs, type:$rhs);
  let results = (outs type:$result);
  let assemblyFormat = "$lhs `,` $rhs attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Tpc_NegOp : Tpc_Unary<"neg", "-x", Tpc_NumberTensor>;
def Tpc_AbsOp : Tpc_Unary<"abs", "|x|", Tpc_NumberTensor>;
def Tpc_ExpOp : Tpc_Unary<"exp", "e^x", Tpc_FloatTensor>;
def Tpc_LogOp : Tpc_Unary<"log", "ln x", Tpc_FloatTensor>;
def Tpc_SqrtOp : Tpc_Unary<"sqrt", "square root", Tpc_FloatTensor>;
def Tpc_RsqrtOp : Tpc_Unary<"rsqrt", "1 / square root", Tpc_FloatTensor>;
def Tpc_SinOp : Tpc_Unary<"sin", "sine", Tpc_FloatTensor>;
def Tpc_CosOp : Tpc_Unary<"cos", "cosine", Tpc_FloatTensor>;
def Tpc_TanhOp : Tpc_Unary<"tanh", "hyperbolic tangent", Tpc_FloatTensor>;
def Tpc_ErfOp : Tpc_Unary<"erf", "Gaussian error function", Tpc_FloatTensor>;
def Tpc_NotOp : Tpc_Unary<"not", "logical not", Tpc_BoolTensor>;

def Tpc_AddOp : Tpc_Binary<"add", "x + y", Tpc_NumberTensor>;
def Tpc_SubOp : Tpc_Binary<"sub", "x - y", Tpc_NumberTensor>;
def Tpc_MulOp : Tpc_Binary<"mul", "x * y", Tpc_NumberTensor>;
def Tpc_DivOp : Tpc_Binary<"div", "x / y (integers: towards zero)", Tpc_NumberTensor>;
def Tpc_MaxOp : Tpc_Binary<"max", "maximum", Tpc_NumberTensor>;
def Tpc_MinOp : Tpc_Binary<"min", "minimum", Tpc_NumberTensor>;
def Tpc_PowOp : Tpc_Binary<"pow", "x^y", Tpc_FloatTensor>;
def Tpc_AndOp : Tpc_Binary<"and", "logical and", Tpc_BoolTensor>;
def Tpc_OrOp : Tpc_Binary<"or", "logical or", Tpc_BoolTensor>;

def Tpc_CompareOp : Tpc_Core<"compare", [Elementwise_]> {
  let summary = "Elementwise comparison";
  let description = [{
    Constraints:
    - (C1) operands and result have the same shape.
    - (C2) the operands have the same element type.
  }];
  let arguments = (ins Tpc_PredicateAttr:$predicate, Tpc_Tensor:$lhs, Tpc_Tensor:$rhs);
  let results = (outs Tpc_BoolTensor:$result);
  let assemblyFormat = "custom<Keyword>($predicate) $lhs `,` $rhs attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Tpc_SelectOp : Tpc_Core<"select", [Elementwise_]> {
  let summary = "Elementwise choice";
  let description = [{
    result = condition ? on_true : on_false. Constraints:
    - (C1) operands and result have the same shape.
    - (C2) both choices and the result have the same element type.
  }];
  let arguments = (ins Tpc_BoolTensor:$condition, Tpc_Tensor:$on_true, Tpc_Tensor:$on_false);
  let results = (outs Tpc_Tensor:$result);
  let assemblyFormat = "$condition `,` $on_true `,` $on_false attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Tpc_ConvertOp : Tpc_Core<"convert", [Elementwise_]> {
  let summary = "Conversion of the element type";
  let description = [{
    Float to narrower float rounds to nearest even, float to integer towards
    zero, number to bool is x != 0. Constraints:
    - (C1) operand and result have the same shape.
  }];
  let arguments = (ins Tpc_Tensor:$operand);
  let results = (outs Tpc_Tensor:$result);
  let extraClassDeclaration = [{
    /// Whether every value of the operand's type is one of the result's.
    bool widens();
  }];
  let assemblyFormat = "$operand attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
  let hasFolder = 1;
}

def Tpc_ReduceOp : Tpc_Core<"reduce"> {
  let summary = "Reduction over dimensions";
  let description = [{
    `tpc.reduce sum %x dims [1]`. Sums accumulate in at least f32. Constraints:
    - (C1) dims are dimensions of the operand, ascending, each once.
    - (C2) the result has the remaining dimensions.
    - (C3) operand and result have the same element type.
  }];
  let arguments = (ins Tpc_ReductionAttr:$reduction, Tpc_NumberTensor:$operand,
                       DenseI64ArrayAttr:$dims);
  let results = (outs Tpc_NumberTensor:$result);
  let assemblyFormat = "custom<Keyword>($reduction) $operand `dims` $dims attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Tpc_BroadcastOp : Tpc_Core<"broadcast"> {
  let summary = "Repetition along new dimensions";
  let description = [{
    Dimension i of the operand becomes dimension dims[i] of the result.
    `tpc.broadcast %bias dims [1] : (tensor<384xf32>) -> tensor<8x384xf32>`.
    Constraints:
    - (C1) dims has one entry per operand dimension, ascending, within the result.
    - (C2) the sizes agree, or the operand's is 1.
    - (C3) operand and result have the same element type.
  }];
  let arguments = (ins Tpc_Tensor:$operand, DenseI64ArrayAttr:$dims);
  let results = (outs Tpc_Tensor:$result);
  let assemblyFormat = "$operand `dims` $dims attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Tpc_ReshapeOp : Tpc_Core<"reshape"> {
  let summary = "The same elements in row-major order under another shape";
  let description = [{
    Constraints:
    - (C1) operand and result have equally many elements.
    - (C2) operand and result have the same element type.
  }];
  let arguments = (ins Tpc_Tensor:$operand);
  let results = (outs Tpc_Tensor:$result);
  let assemblyFormat = "$operand attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Tpc_AgainOp : Tpc_Core<"again"> {
  let summary = "The same value, to compute something from it again";
  let description = [{
    What reads the result is not the same computation as what reads the operand,
    though it gives the same values: it is repeated where it stands, so that its
    result need not be kept.

    ```
    %h = tpc.rms_norm %x, %w           // for the forward
    %x1 = tpc.again %x
    %h1 = tpc.rms_norm %x1, %w         // for the gradient of what reads %h
    ```

    Constraints:
    - (C1) operand and result have the same shape and element type.
  }];
  let arguments = (ins Tpc_Tensor:$operand);
  let results = (outs Tpc_Tensor:$result);
  let assemblyFormat = "$operand attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Tpc_TransposeOp : Tpc_Core<"transpose"> {
  let summary = "Permutation of dimensions";
  let description = [{
    Dimension i of the result is dimension permutation[i] of the operand.
    Constraints:
    - (C1) permutation is one of the operand's dimensions.
    - (C2) the result's shape is the permuted shape.
    - (C3) operand and result have the same element type.
  }];
  let arguments = (ins Tpc_Tensor:$operand, DenseI64ArrayAttr:$permutation);
  let results = (outs Tpc_Tensor:$result);
  let assemblyFormat = "$operand $permutation attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Tpc_SliceOp : Tpc_Core<"slice"> {
  let summary = "A rectangular part";
  let description = [{
    The result starts at `offsets`; its size is its type's. Constraints:
    - (C1) one offset per dimension, not negative.
    - (C2) offset + size is within the operand.
    - (C3) operand and result have the same rank and element type.
  }];
  let arguments = (ins Tpc_Tensor:$operand, DenseI64ArrayAttr:$offsets);
  let results = (outs Tpc_Tensor:$result);
  let assemblyFormat = "$operand $offsets attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Tpc_DynamicSliceOp : Tpc_Core<"dynamic_slice"> {
  let summary = "A rectangular part whose start is data";
  let description = [{
    `start` has one index per dimension; it is clamped so that the result lies
    within the operand. Constraints:
    - (C1) start has shape [rank of the operand].
    - (C2) operand and result have the same rank and element type.
    - (C3) no dimension of the result is larger than the operand's.
  }];
  let arguments = (ins Tpc_Tensor:$operand, Tpc_IntTensor:$start);
  let results = (outs Tpc_Tensor:$result);
  let assemblyFormat = "$operand `,` $start attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Tpc_UpdateSliceOp : Tpc_Core<"update_slice"> {
  let summary = "The operand with a rectangular part replaced";
  let description = [{
    `start` has one index per dimension; it is clamped so that the update lies
    within the operand. A start of rank 2 has a row for every index of dimension
    0, which says where its part goes along the other dimensions: how each
    sequence of a batch adds to its own end of a cache.

    Constraints:
    - (C1) start has shape [rank of the operand], or [n, rank - 1] where n is
      dimension 0 of operand and update.
    - (C2) operand and update have the same rank and element type.
    - (C3) no dimension of the update is larger than the operand's.
    - (C4) the result has the operand's shape and element type.
  }];
  let arguments = (ins Tpc_Tensor:$operand, Tpc_Tensor:$update, Tpc_IntTensor:$start);
  let results = (outs Tpc_Tensor:$result);
  let assemblyFormat = "$operand `,` $update `,` $start attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    /// Whether every index of dimension 0 has its own start.
    bool startsPerRow() {
      return ::llvm::cast<::mlir::RankedTensorType>(getStart().getType())
                 .getRank() == 2;
    }
  }];
}

def Tpc_PadOp : Tpc_Core<"pad"> {
  let summary = "The operand surrounded by a constant";
  let description = [{
    Constraints:
    - (C1) `low` has one entry per dimension, not negative.
    - (C2) low + the operand's size is within the result.
    - (C3) operand and result have the same rank and element type.
  }];
  let arguments = (ins Tpc_Tensor:$operand, DenseI64ArrayAttr:$low, F64Attr:$value);
  let results = (outs Tpc_Tensor:$result);
  let assemblyFormat = "$operand `low` $low `with` $value attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Tpc_ConcatOp : Tpc_Core<"concat"> {
  let summary = "Tensors one after the other along a dimension";
  let description = [{
    Constraints:
    - (C1) `dim` is a dimension of the result.
    - (C2) operands and result have the same rank and element type.
    - (C3) sizes agree, and along `dim` the operands' sum is the result's.
  }];
  let arguments = (ins Variadic<Tpc_Tensor>:$operands, I64Attr:$dim);
  let results = (outs Tpc_Tensor:$result);
  let assemblyFormat = "$operands `dim` $dim attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Tpc_GatherOp : Tpc_Core<"gather"> {
  let summary = "Slices of a table by index";
  let description = [{
    result[before, i, after] = table[before, indices[i], after], where `i` runs
    over all dimensions of indices and stands in the place of dimension `dim`
    of the table. An index outside the table gives zeros. Constraints:
    - (C1) `dim` is a dimension of the table.
    - (C2) the result's shape is the table's with `dim` replaced by the shape
      of indices.
    - (C3) table and result have the same element type.
  }];
  let arguments = (ins Tpc_Tensor:$table, Tpc_IntTensor:$indices, I64Attr:$dim);
  let results = (outs Tpc_Tensor:$result);
  let assemblyFormat = "$table `,` $indices `dim` $dim attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Tpc_ScatterAddOp : Tpc_Core<"scatter_add"> {
  let summary = "The operand with slices added by index";
  let description = [{
    result = operand; then for every i in order
    result[before, indices[i], after] += updates[before, i, after]. An index
    outside the operand is dropped. The adjoint of `tpc.gather`. Constraints:
    - (C1) `dim` is a dimension of the operand.
    - (C2) the shape of updates is the operand's with `dim` replaced by the
      shape of indices.
    - (C3) operand, updates and result have the same element type, operand and
      result the same shape.
  }];
  let arguments = (ins Tpc_NumberTensor:$operand, Tpc_IntTensor:$indices,
                       Tpc_NumberTensor:$updates, I64Attr:$dim);
  let results = (outs Tpc_NumberTensor:$result);
  let assemblyFormat = "$operand `,` $indices `,` $updates `dim` $dim attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Tpc_SortOp : Tpc_Core<"sort"> {
  let summary = "Sorted values and their positions along the last dimension";
  let description = [{
    Stable: equal values keep their order; NaN comes last. Constraints:
    - (C1) the rank is at least 1, and operand and values have the same type.
    - (C2) positions have the operand's shape.
  }];
  let arguments = (ins Tpc_NumberTensor:$operand, UnitAttr:$descending);
  let results = (outs Tpc_NumberTensor:$values, Tpc_IntTensor:$positions);
  let assemblyFormat = "$operand (`descending` $descending^)? attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Tpc_TopKOp : Tpc_Core<"top_k"> {
  let summary = "The largest values and their positions along the last dimension";
  let description = [{
    Descending; of equal values the first position comes first. Constraints:
    - (C1) the rank is at least 1, and 1 <= k <= last dimension, where k is the
      last dimension of both results.
    - (C2) the other dimensions agree; operand and values have the same element
      type.
  }];
  let arguments = (ins Tpc_NumberTensor:$operand);
  let results = (outs Tpc_NumberTensor:$values, Tpc_IntTensor:$positions);
  let assemblyFormat = "$operand attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// Composite operations
//===----------------------------------------------------------------------===//

// The gradient that follows from the decomposition.
defvar DerivedGradient = DifferentiableOpInterface;

// The gradients of its operands are one operation as well, tpc.vjp: a reshard
// between their parts would never pay.
def GradientStep : NativeOpTrait<"GradientStep"> { let cppNamespace = "::tpc"; }

class Tpc_Composite<string mnemonic, list<Trait> traits = []>
    : Tpc_Op<mnemonic, !listconcat([Pure,
        DeclareOpInterfaceMethods<ShardingRuleOpInterface>,
        DeclareOpInterfaceMethods<DecomposableOpInterface>], traits)>;

// Composites of which the blocks of a split dimension exchange one summary.
class Tpc_BlockwiseComposite<string mnemonic>
    : Tpc_Op<mnemonic, [Pure, OwnGradient, GradientStep,
        DeclareOpInterfaceMethods<ShardingRuleOpInterface>,
        DeclareOpInterfaceMethods<DecomposableOpInterface,
                                  ["decomposeBlockwise"]>]>;

def Tpc_SoftmaxOp : Tpc_BlockwiseComposite<"softmax"> {
  let summary = "exp(x) normalized over the last dimension";
  let description = [{
    Computed in f32 after subtracting the maximum. A row of nothing but -inf
    gives zeros. Constraints:
    - (C1) the rank is at least 1.
    - (C2) operand and result have the same shape and element type.
  }];
  let arguments = (ins Tpc_FloatTensor:$operand);
  let results = (outs Tpc_FloatTensor:$result);
  let assemblyFormat = "$operand attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Tpc_CrossEntropyOp : Tpc_BlockwiseComposite<"cross_entropy"> {
  let summary = "-ln softmax(logits)[label] for every label";
  let description = [{
    logits [..., v] and labels [...] give [...]: ln(sum of e^logit) minus the
    label's logit, computed in f32. A label outside of the v logits gives 0: such
    tokens do not count. Constraints:
    - (C1) logits have the shape of labels and one more dimension.
    - (C2) the result has the shape of labels.
  }];
  let arguments = (ins Tpc_FloatTensor:$logits, Tpc_IntTensor:$labels);
  let results = (outs Tpc_FloatTensor:$result);
  let assemblyFormat = "$logits `,` $labels attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Tpc_LayerNormOp : Tpc_Composite<"layer_norm", [OwnGradient, GradientStep]> {
  let summary = "(x - mean) / sqrt(variance + epsilon) * weight + bias over the last dimension";
  let description = [{
    Computed in f32. Constraints:
    - (C1) the rank is at least 1; weight and bias have the last dimension.
    - (C2) operand and result have the same shape and element type.
  }];
  let arguments = (ins Tpc_FloatTensor:$operand, Tpc_FloatTensor:$weight,
                       Tpc_FloatTensor:$bias, F64Attr:$epsilon);
  let results = (outs Tpc_FloatTensor:$result);
  let assemblyFormat = "$operand `,` $weight `,` $bias `epsilon` $epsilon attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Tpc_GeluOp : Tpc_Composite<"gelu", [OwnGradient, GradientStep]> {
  let summary = "Gaussian error linear unit";
  let description = [{
    erf: x/2 * (1 + erf(x / sqrt 2)); tanh: x/2 * (1 + tanh(sqrt(2/pi) *
    (x + 0.044715 x^3))). Computed in f32. Constraints:
    - (C1) operand and result have the same shape and element type.
  }];
  let arguments = (ins Tpc_GeluFormAttr:$form, Tpc_FloatTensor:$operand);
  let results = (outs Tpc_FloatTensor:$result);
  let assemblyFormat = "custom<Keyword>($form) $operand attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Tpc_RmsNormOp : Tpc_Composite<"rms_norm", [OwnGradient, GradientStep]> {
  let summary = "x / sqrt(mean(x^2) + epsilon) * weight over the last dimension";
  let description = [{
    Computed in f32. Constraints:
    - (C1) the rank is at least 1; weight has the last dimension.
    - (C2) operand and result have the same shape and element type.
  }];
  let arguments = (ins Tpc_FloatTensor:$operand, Tpc_FloatTensor:$weight,
                       F64Attr:$epsilon);
  let results = (outs Tpc_FloatTensor:$result);
  let assemblyFormat = "$operand `,` $weight `epsilon` $epsilon attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Tpc_SiluOp : Tpc_Composite<"silu", [OwnGradient, GradientStep]> {
  let summary = "x / (1 + e^-x)";
  let description = [{
    Computed in f32. Constraints:
    - (C1) operand and result have the same shape and element type.
  }];
  let arguments = (ins Tpc_FloatTensor:$operand);
  let results = (outs Tpc_FloatTensor:$result);
  let assemblyFormat = "$operand attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Tpc_RopeOp : Tpc_Composite<"rope", [OwnGradient]> {
  let summary = "Rotary position embedding of the last dimension";
  let description = [{
    operand [p..., m..., d], positions [p...], frequencies [r/2]. The first r of
    the d elements are r/2 pairs, the others stay as they are. Pair i at
    position p turns by the angle a = p * frequencies[i]:

    ```
    (x, y) -> (x cos a - y sin a, y cos a + x sin a) * scale
    ```

    halves: elements i and r/2 + i are a pair; pairs: elements 2i and 2i + 1.
    `scale` is 1, or the attention factor of a frequency scaling. Computed in
    f32.

    `tpc.rope halves %q, %positions, %frequencies scale 1.0 :
    (tensor<1x8x2x4x64xf32>, tensor<1x8xi64>, tensor<32xf32>) -> ...`

    Constraints:
    - (C1) frequencies has rank 1, and the operand's last dimension is at least
      twice as large.
    - (C2) positions has the operand's first dimensions, and not its last.
    - (C3) operand and result have the same shape and element type.
  }];
  let arguments = (ins Tpc_RopeFormAttr:$form, Tpc_FloatTensor:$operand,
                       Tpc_IntTensor:$positions, Tpc_FloatTensor:$frequencies,
                       F64Attr:$scale);
  let results = (outs Tpc_FloatTensor:$result);
  let assemblyFormat = "custom<Keyword>($form) $operand `,` $positions `,` $frequencies `scale` $scale attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Tpc_LinearOp : Tpc_Composite<"linear", [DerivedGradient]> {
  let summary = "matmul plus bias";
  let description = [{
    `tpc.linear %x, %w, %b "b s e, e h d -> b s h d"`. Constraints:
    - (C1) the equation is one of `tpc.matmul` (C1-C3 there).
    - (C2) the bias has the free dimensions of the right operand, in their
      order, which are the last dimensions of the result.
    - (C3) bias and result have the same element type.
  }];
  let arguments = (ins Tpc_FloatTensor:$lhs, Tpc_FloatTensor:$rhs,
                       Tpc_FloatTensor:$bias, StrAttr:$equation);
  let results = (outs Tpc_FloatTensor:$result);
  let assemblyFormat = "$lhs `,` $rhs `,` $bias $equation attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Tpc_EmbeddingOp : Tpc_Composite<"embedding", [DerivedGradient]> {
  let summary = "Rows of a table by token";
  let description = [{
    result[i, e] = table[tokens[i], e]; a token outside the table gives zeros.
    Constraints:
    - (C1) the table has rank 2.
    - (C2) the result's shape is that of tokens followed by the table's last
      dimension.
    - (C3) table and result have the same element type.
  }];
  let arguments = (ins Tpc_FloatTensor:$table, Tpc_IntTensor:$tokens);
  let results = (outs Tpc_FloatTensor:$result);
  let assemblyFormat = "$table `,` $tokens attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Tpc_GroupedMatmulOp : Tpc_Composite<"grouped_matmul", [OwnGradient]> {
  let summary = "Rows times the matrices that they choose";
  let description = [{
    rows [n..., d] or [n..., c, d], choices [n..., c] and weights [e, d, f] give
    [n..., c, f]: every row of rows, for each of its c choices, times the matrix
    of that number.

    ```
    result[n, c, f] = sum_d rows[n, d] * weights[choices[n, c], d, f]
    ```

    A choice outside of the e matrices gives zeros. Accumulates in at least f32
    and rounds once. Constraints:
    - (C1) choices has rank at least 1, weights has rank 3.
    - (C2) rows is [n..., d] or [n..., c, d].
    - (C3) the result is [n..., c, f].
    - (C4) rows, weights and result have the same element type.
  }];
  let arguments = (ins Tpc_FloatTensor:$rows, Tpc_IntTensor:$choices,
                       Tpc_FloatTensor:$weights);
  let results = (outs Tpc_FloatTensor:$result);
  let assemblyFormat = "$rows `,` $choices `,` $weights attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    /// Whether every choice has a row of its own: rows is [n..., c, d].
    bool hasRowPerChoice() {
      auto rank = [](::mlir::Value value) {
        return ::llvm::cast<::mlir::RankedTensorType>(value.getType()).getRank();
      };
      return rank(getRows()) > rank(getChoices());
    }
  }];
}

def Tpc_ExpertsOp : Tpc_Composite<"experts", [OwnGradient]> {
  let summary = "Gated MLPs of which every row chooses some";
  let description = [{
    operand [n..., d], choices and scores [n..., c], gate and up [e, d, f], down
    [e, f, h] give [n..., h]:

    ```
    result[n] = sum_c scores[n, c] * (silu(x gate[i]) * (x up[i])) down[i]
        where x = operand[n], i = choices[n, c]
    ```

    A choice outside of the e experts counts as zeros: when experts are split,
    every device adds what its own say. Constraints:
    - (C1) choices has rank at least 1, and scores has its shape.
    - (C2) operand is [n..., d], gate and up are [e, d, f], down is [e, f, h].
    - (C3) the result is [n..., h].
    - (C4) all but choices have the same element type.
  }];
  let arguments = (ins Tpc_FloatTensor:$operand, Tpc_IntTensor:$choices,
                       Tpc_FloatTensor:$scores, Tpc_FloatTensor:$gate,
                       Tpc_FloatTensor:$up, Tpc_FloatTensor:$down);
  let results = (outs Tpc_FloatTensor:$result);
  let assemblyFormat = "$operand `,` $choices `,` $scores `,` $gate `,` $up `,` $down attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Tpc_AttentionOp : Tpc_Composite<"attention",
    [AttrSizedOperandSegments, OwnGradient, GradientStep]> {
  let summary = "Scaled dot-product attention with grouped heads";
  let description = [{
    query [b, s, k, g, d], key [b, t, k, d], value [b, t, k, v] give
    [b, s, k, g, v]: k key/value heads, g query heads for each.

    score[b, k, g, s, t] = scale * query . key, then softcap * tanh(score /
    softcap) if given, then + bias. A key t is visible to query s when all of
    the following that are given hold: t < lengths[b]; causal: t <= p with
    p = s + offset[b]; window: p - window < t (and without causal t < p + window).
    Weights are the softmax over visible t; `sinks` [k, g] adds one more
    logit whose weight is dropped. A query that sees nothing gives zeros.
    Computed in f32; weights are rounded to the query's type before the
    product with value.

    Constraints:
    - (C1) query has rank 5, key and value rank 4, with agreeing dimensions.
    - (C2) the result is [b, s, k, g, v] of the query's element type.
    - (C3) bias has rank 5, each dimension 1 or that of [b, k, g, s, t].
    - (C4) lengths is [b], offset a scalar or [b], sinks [k, g].
    - (C5) window and softcap are positive.
    - (C6) offset is given only with causal or window.
  }];
  let arguments = (ins Tpc_FloatTensor:$query, Tpc_FloatTensor:$key,
                       Tpc_FloatTensor:$value,
                       Optional<Tpc_FloatTensor>:$bias,
                       Optional<Tpc_IntTensor>:$lengths,
                       Optional<Tpc_IntTensor>:$offset,
                       Optional<Tpc_FloatTensor>:$sinks,
                       F64Attr:$scale, UnitAttr:$causal,
                       OptionalAttr<I64Attr>:$window,
                       OptionalAttr<F64Attr>:$softcap);
  let results = (outs Tpc_FloatTensor:$result);
  let assemblyFormat = [{
    $query `,` $key `,` $value (`bias` $bias^)? (`lengths` $lengths^)?
    (`offset` $offset^)? (`sinks` $sinks^)? `scale` $scale (`causal` $causal^)?
    (`window` $window^)? (`softcap` $softcap^)?
    attr-dict `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

def Tpc_VjpOp : Tpc_Composite<"vjp", [DerivedGradient]> {
  let summary = "The gradients of a composite's operands";
  let description = [{
    How much each of the operands `of` moves a scalar, given how much the result
    of the composite `forward` does: its vector-Jacobian product. The values are
    the composite's operands and the gradient of its result; `settings` are
    the composite's attributes. It computes again what it needs of the forward.

    `%dx, %dw = tpc.vjp "tpc.rms_norm" {epsilon = 1.0e-5} of [0, 1] %x, %w, %dy
    : (tensor<2x8xf32>, tensor<8xf32>, tensor<2x8xf32>) -> ...`

    Constraints:
    - (C1) `forward` is a composite with one result and such a gradient, and
      valid with these operands and settings and the gradient's type.
    - (C2) `of` are its floating-point operands, ascending.
    - (C3) each result has the type of its operand.
  }];
  let arguments = (ins StrAttr:$forward, DictionaryAttr:$settings,
                       DenseI64ArrayAttr:$of, Variadic<Tpc_Tensor>:$values);
  let results = (outs Variadic<Tpc_FloatTensor>:$gradients);
  let assemblyFormat = "$forward $settings `of` $of $values attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

#endif // TPC_DIALECT_TPC_TPCOPS_TD
