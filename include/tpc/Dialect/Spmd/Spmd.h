//===- Spmd.h - The spmd dialect --------------------------------*- C++ -*-===//

#ifndef TPC_DIALECT_SPMD_SPMD_H
#define TPC_DIALECT_SPMD_SPMD_H

#include "mlir/Interfaces/FunctionInterfaces.h"
#include "tpc/Dialect/Tpc/Tpc.h"

#include "tpc/Dialect/Spmd/SpmdDialect.h.inc"

#define GET_OP_CLASSES
#include "tpc/Dialect/Spmd/SpmdOps.h.inc"

#endif // TPC_DIALECT_SPMD_SPMD_H
