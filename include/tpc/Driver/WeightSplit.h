//===- WeightSplit.h - Which parts of stored tensors devices hold -*- C++
//-*-===//

#ifndef TPC_DRIVER_WEIGHTSPLIT_H
#define TPC_DRIVER_WEIGHTSPLIT_H

#include "mlir/IR/BuiltinOps.h"
#include "tpcrt/WeightShards.h"

namespace tpc {

/// The stored tensors that the parameters of a module in the assigned form
/// split, with the part of each device. A tensor that several parameters view
/// is split where their parts together are a grid of indices; every other one,
/// and those that no parameter views, are left out: they stay whole.
std::vector<tpcrt::SplitTensor>
splitStoredTensors(mlir::ModuleOp module, const tpcrt::WeightSource &weights);

} // namespace tpc

#endif // TPC_DRIVER_WEIGHTSPLIT_H
