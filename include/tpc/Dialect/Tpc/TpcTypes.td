#ifndef TPC_DIALECT_TPC_TPCTYPES_TD
#define TPC_DIALECT_TPC_TPCTYPES_TD

include "mlir/IR/CommonTypeConstraints.td"
include "tpc/Dialect/Tpc/TpcAttrs.td"

// (T1), the constraint of every tensor: its shape is static, the product of its
// sizes (zeros counted as one) is at most 2^48, so that no size in bytes or
// elements overflows.
class Tpc_TensorOf<list<Type> types>
    : ConfinedType<StaticShapeTensorOf<types>,
                   [CPred<"::tpc::hasCountableElements($_self)">],
                   StaticShapeTensorOf<types>.summary #
                       " and at most 2^48 elements (T1)",
                   "::mlir::RankedTensorType">;

def Tpc_Tensor : Tpc_TensorOf<[F32, F64, BF16, F16, I1, I32, I64]>;
def Tpc_FloatTensor : Tpc_TensorOf<[F32, F64, BF16, F16]>;
def Tpc_NumberTensor : Tpc_TensorOf<[F32, F64, BF16, F16, I32, I64]>;
def Tpc_IntTensor : Tpc_TensorOf<[I32, I64]>;
def Tpc_BoolTensor : Tpc_TensorOf<[I1]>;

#endif // TPC_DIALECT_TPC_TPCTYPES_TD
