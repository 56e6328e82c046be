#ifndef TPC_DIALECT_PLAN_PLANATTRS_TD
#define TPC_DIALECT_PLAN_PLANATTRS_TD

include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/EnumAttr.td"
include "tpc/Dialect/Plan/PlanDialect.td"

class Plan_Enum<string name, string summary, list<I32EnumAttrCase> cases>
    : I32EnumAttr<name, summary, cases> {
  let cppNamespace = "::tpc::plan";
  let genSpecializedAttr = 0;
}

def Plan_Space : Plan_Enum<"Space", "a memory space of a device", [
  I32EnumAttrCase<"Arena", 0, "arena">,
  I32EnumAttrCase<"Parameter", 1, "parameter">,
  I32EnumAttrCase<"State", 2, "state">,
  I32EnumAttrCase<"Constant", 3, "constant">,
  I32EnumAttrCase<"DeviceScalar", 4, "device_scalar">]>;

def Plan_CollectiveKind : Plan_Enum<"CollectiveKind", "what a collective does", [
  I32EnumAttrCase<"AllReduce", 0, "all_reduce">,
  I32EnumAttrCase<"AllGather", 1, "all_gather">,
  I32EnumAttrCase<"ReduceScatter", 2, "reduce_scatter">,
  I32EnumAttrCase<"AllToAll", 3, "all_to_all">,
  I32EnumAttrCase<"Permute", 4, "permute">]>;
def Plan_CollectiveKindAttr
    : EnumAttr<Plan_Dialect, Plan_CollectiveKind, "collective_kind">;

// Numbered as in the artifact, where 0 is none.
def Plan_Activation : Plan_Enum<"Activation", "a function of one element", [
  I32EnumAttrCase<"GeluErf", 1, "gelu_erf">,
  I32EnumAttrCase<"GeluTanh", 2, "gelu_tanh">,
  I32EnumAttrCase<"Silu", 3, "silu">,
  I32EnumAttrCase<"Tanh", 4, "tanh">]>;
def Plan_ActivationAttr : EnumAttr<Plan_Dialect, Plan_Activation, "activation">;

def Plan_PlaceAttr : AttrDef<Plan_Dialect, "Place"> {
  let mnemonic = "place";
  let summary = "Where a value starts";
  let description = [{
    `<arena + 128>`, `<state @kv + 0>`: a byte offset in a memory space; states
    and parameters are named.

    Constraints:
    - (C1) the offset is not negative.
    - (C2) states and parameters are named, nothing else is.
  }];
  let parameters = (ins "::tpc::plan::Space":$space,
                        OptionalParameter<"::mlir::FlatSymbolRefAttr">:$symbol,
                        "int64_t":$offset);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
}

#endif // TPC_DIALECT_PLAN_PLANATTRS_TD
