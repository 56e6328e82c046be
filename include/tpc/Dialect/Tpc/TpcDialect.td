#ifndef TPC_DIALECT_TPC_TPCDIALECT_TD
#define TPC_DIALECT_TPC_TPCDIALECT_TD

include "mlir/IR/OpBase.td"

def Tpc_Dialect : Dialect {
  let name = "tpc";
  let cppNamespace = "::tpc";
  let summary = "Computation graphs on whole tensors, and how they lie on a mesh";
  let description = [{
    A module holds one mesh, named parameters and states, and entry functions.
    In the *whole* form tensor types carry no encoding. In the *assigned* form
    every tensor type carries a `#tpc.sharding` encoding, every operation is
    local under its operand and result shardings, and `tpc.reshard` stands
    wherever a sharding changes. Operations inside `spmd.program` work on the
    local blocks of one device.

    Every tensor has a static shape of at most 2^48 elements (T1).

    A discardable attribute `tpc.sharding` on a parameter, a state, a function
    argument or a result pins its sharding; `tpc.shard` pins any other value.
    `tpc.name` on an argument or a result is the name that users know it by.
  }];
  let useDefaultAttributePrinterParser = 1;
  let hasOperationAttrVerify = 1;
  let hasRegionArgAttrVerify = 1;
  let hasRegionResultAttrVerify = 1;
  let extraClassDeclaration = "void registerAttributes();";
}

#endif // TPC_DIALECT_TPC_TPCDIALECT_TD
