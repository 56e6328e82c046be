#ifndef TPC_DIALECT_PLAN_PLANDIALECT_TD
#define TPC_DIALECT_PLAN_PLANDIALECT_TD

include "mlir/IR/OpBase.td"

def Plan_Dialect : Dialect {
  let name = "plan";
  let cppNamespace = "::tpc::plan";
  let summary = "Steps of a per-device program, and where their values live";
  let description = [{
    A `plan.program` is a flat list of steps. What a step means is SSA: every
    value is a tensor that is defined once and never changes. Where a value
    lives is its location (`plan::placeOf`): a byte range of the arena, of a
    state, a parameter, a constant or a device scalar. Kernels are functions of
    tensors (`plan.kernel_func`), so the whole form can be evaluated and
    verified as mathematics; `tpc-verify-plan` proves that locations keep that
    meaning.
  }];
  let dependentDialects = ["::tpc::TpcDialect"];
  let useDefaultAttributePrinterParser = 1;
  let extraClassDeclaration = "void registerAttributes();";
}

#endif // TPC_DIALECT_PLAN_PLANDIALECT_TD
