#ifndef TPC_DIALECT_TPC_TPCATTRS_TD
#define TPC_DIALECT_TPC_TPCATTRS_TD

include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/TensorEncoding.td"
include "tpc/Dialect/Tpc/TpcDialect.td"
include "tpc/Dialect/Tpc/TpcEnums.td"

class Tpc_Attr<string name, string mnemonic_, list<Trait> traits = []>
    : AttrDef<Tpc_Dialect, name, traits> {
  let mnemonic = mnemonic_;
}

class Tpc_EnumAttr<I32EnumAttr enum, string mnemonic>
    : EnumAttr<Tpc_Dialect, enum, mnemonic>;
def Tpc_ReductionAttr : Tpc_EnumAttr<Tpc_Reduction, "reduction">;
def Tpc_PredicateAttr : Tpc_EnumAttr<Tpc_Predicate, "predicate">;
def Tpc_GeluFormAttr : Tpc_EnumAttr<Tpc_GeluForm, "gelu_form">;
def Tpc_RopeFormAttr : Tpc_EnumAttr<Tpc_RopeForm, "rope_form">;

def Tpc_MeshAttr : Tpc_Attr<"Mesh", "mesh"> {
  let summary = "Named axes of a device mesh with their sizes";
  let description = [{
    `<"dp" = 2, "tp" = 4>`: eight devices, numbered row-major, the last axis
    fastest.

    Constraints:
    - (C1) axis names are unique.
    - (C2) axis sizes are at least 1.
    - (C3) the number of devices is at most 65536.
  }];
  let parameters = (ins ArrayRefParameter<"::mlir::StringAttr">:$names,
                        ArrayRefParameter<"int64_t">:$sizes);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
}

def Tpc_AxesAttr : Tpc_Attr<"Axes", "axes"> {
  let summary = "A list of mesh axes or sub-axes, major to minor";
  let description = [{
    `@mesh{"dp", "tp":(2)4}`. Constraints:
    - (C1) no axis, or part of one, occurs twice.
  }];
  let parameters = (ins "::mlir::FlatSymbolRefAttr":$mesh,
                        ArrayRefParameter<"::tpc::AxisRef">:$axes);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
}

def Tpc_ShardingAttr : Tpc_Attr<"Sharding", "sharding",
    [DeclareAttrInterfaceMethods<VerifiableTensorEncoding>]> {
  let summary = "How a tensor lies on a mesh";
  let description = [{
    Per dimension the mesh axes that split it, major to minor; then the axes
    over which the value is partial, with their reduction. On every other axis
    the value is replicated. `"tp":(2)4` is the sub-axis of size 4 that is left
    after a more major part of size 2. `?` leaves a dimension open: a pin
    that may be split further.

    ```
    #tpc.sharding<@mesh, [{"dp"}, {"tp"} ]>
    #tpc.sharding<@mesh, [{"tp":(1)2}, {?} ], sum {"dp"}>
    ```

    Constraints:
    - (C1) one entry per dimension of the tensor.
    - (C2) no axis, or part of one, occurs twice.
    - (C3) only pins have open dimensions; a type's encoding has none.
  }];
  let parameters = (ins
    AttrOrTypeParameter<"::tpc::Sharding", "", "const ::tpc::Sharding &">:$value);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    const ::tpc::Sharding *operator->() const { return &getValue(); }
  }];
}

def Tpc_ViewStepAttr : Tpc_Attr<"ViewStep", "view_step"> {
  let summary = "One step from stored tensors to a parameter";
  let description = [{
    `reshape [sizes]`, `transpose [permutation]`, `slice [offsets] [sizes]`, or
    `stack [dim]` (the last step: several stored tensors along a new dimension).
  }];
  let parameters = (ins "::tpc::ViewKind":$kind,
                        ArrayRefParameter<"int64_t">:$values,
                        OptionalArrayRefParameter<"int64_t">:$sizes);
  let hasCustomAssemblyFormat = 1;
}

def Tpc_OriginAttr : Tpc_Attr<"Origin", "origin"> {
  let summary = "Why a reshard is there";
  let description = [{
    The value that is resharded (as the name of the operation that makes it, or
    of the argument or symbol), the consumer that asks for it, and the two
    shardings. Everything that a report says about a collective is derived from
    this and from types.
  }];
  let parameters = (ins "::mlir::StringAttr":$producer,
                        "::mlir::StringAttr":$consumer,
                        "::tpc::ShardingAttr":$from,
                        "::tpc::ShardingAttr":$to);
  let assemblyFormat = "`<` $producer `to` $consumer `,` $from `->` $to `>`";
}

// Why a collective is there: its origin; of several that became one, a list with
// the origin of each, `unit` where it is not known.
def Tpc_WhyAttr : Attr<
    CPred<"::tpc::isWhy($_self)">,
    "an origin, or a list of them"> {
  let storageType = "::mlir::Attribute";
  let returnType = "::mlir::Attribute";
  let convertFromStorage = "$_self";
}

#endif // TPC_DIALECT_TPC_TPCATTRS_TD
