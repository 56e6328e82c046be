#ifndef TPC_DIALECT_TPC_TPCTYPES_TD
#define TPC_DIALECT_TPC_TPCTYPES_TD

include "mlir/IR/CommonTypeConstraints.td"
include "tpc/Dialect/Tpc/TpcAttrs.td"

def Tpc_Tensor : StaticShapeTensorOf<[F32, F64, BF16, F16, I1, I32, I64]>;
def Tpc_FloatTensor : StaticShapeTensorOf<[F32, F64, BF16, F16]>;
def Tpc_NumberTensor : StaticShapeTensorOf<[F32, F64, BF16, F16, I32, I64]>;
def Tpc_IntTensor : StaticShapeTensorOf<[I32, I64]>;
def Tpc_BoolTensor : StaticShapeTensorOf<[I1]>;

#endif // TPC_DIALECT_TPC_TPCTYPES_TD
