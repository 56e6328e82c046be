//===- SpmdDialect.cpp - The spmd dialect ---------------------------------===//

#include "tpc/Dialect/Spmd/Spmd.h"

using namespace mlir;
using namespace tpc::spmd;

#include "tpc/Dialect/Spmd/SpmdDialect.cpp.inc"

void SpmdDialect::initialize() {
  addOperations<
#define GET_OP_LIST
#include "tpc/Dialect/Spmd/SpmdOps.cpp.inc"
      >();
}
