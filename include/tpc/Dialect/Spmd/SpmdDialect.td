#ifndef TPC_DIALECT_SPMD_SPMDDIALECT_TD
#define TPC_DIALECT_SPMD_SPMDDIALECT_TD

include "mlir/IR/OpBase.td"

def Spmd_Dialect : Dialect {
  let name = "spmd";
  let cppNamespace = "::tpc::spmd";
  let summary = "Per-device programs: local blocks and communication";
  let description = [{
    A `spmd.program` is what every device of the mesh executes, on the local
    blocks of its values. `tpc` operations inside it are local computation; the
    operations of this dialect communicate, or depend on which device runs.
  }];
  let dependentDialects = ["::tpc::TpcDialect"];
}

#endif // TPC_DIALECT_SPMD_SPMDDIALECT_TD
