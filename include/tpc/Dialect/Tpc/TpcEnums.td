#ifndef TPC_DIALECT_TPC_TPCENUMS_TD
#define TPC_DIALECT_TPC_TPCENUMS_TD

include "mlir/IR/EnumAttr.td"

class Tpc_Enum<string name, string summary, list<I32EnumAttrCase> cases>
    : I32EnumAttr<name, summary, cases> {
  let cppNamespace = "::tpc";
  let genSpecializedAttr = 0;
}

def Tpc_Reduction : Tpc_Enum<"Reduction", "how several contributions combine", [
  I32EnumAttrCase<"Sum", 0, "sum">,
  I32EnumAttrCase<"Max", 1, "max">,
  I32EnumAttrCase<"Min", 2, "min">]>;

def Tpc_Predicate : Tpc_Enum<"Predicate", "comparison", [
  I32EnumAttrCase<"EQ", 0, "eq">,
  I32EnumAttrCase<"NE", 1, "ne">,
  I32EnumAttrCase<"LT", 2, "lt">,
  I32EnumAttrCase<"LE", 3, "le">,
  I32EnumAttrCase<"GT", 4, "gt">,
  I32EnumAttrCase<"GE", 5, "ge">]>;

def Tpc_GeluForm : Tpc_Enum<"GeluForm", "exact or approximated Gaussian error", [
  I32EnumAttrCase<"Erf", 0, "erf">,
  I32EnumAttrCase<"Tanh", 1, "tanh">]>;

def Tpc_RopeForm : Tpc_Enum<"RopeForm", "which elements turn together", [
  I32EnumAttrCase<"Halves", 0, "halves">,
  I32EnumAttrCase<"Pairs", 1, "pairs">]>;

def Tpc_ViewKind : Tpc_Enum<"ViewKind", "one step of a parameter's view", [
  I32EnumAttrCase<"Reshape", 0, "reshape">,
  I32EnumAttrCase<"Transpose", 1, "transpose">,
  I32EnumAttrCase<"Slice", 2, "slice">,
  I32EnumAttrCase<"Stack", 3, "stack">]>;

#endif // TPC_DIALECT_TPC_TPCENUMS_TD
