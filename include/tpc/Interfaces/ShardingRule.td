#ifndef TPC_INTERFACES_SHARDINGRULE_TD
#define TPC_INTERFACES_SHARDINGRULE_TD

include "mlir/IR/OpBase.td"

def ShardingRuleOpInterface : OpInterface<"ShardingRuleOpInterface"> {
  let cppNamespace = "::tpc";
  let description = [{
    The operation can say how it may be split. The rule is of the whole
    operation: shapes are those of the types, encodings are ignored.
  }];
  let methods = [
    InterfaceMethod<"The sharding rule.", "::tpc::ShardingRule", "getShardingRule">
  ];
}

#endif // TPC_INTERFACES_SHARDINGRULE_TD
