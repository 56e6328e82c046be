//===- HostTensors.h - Between the runtime's tensors and ours ---*- C++ -*-===//

#ifndef TPC_REFERENCE_HOSTTENSORS_H
#define TPC_REFERENCE_HOSTTENSORS_H

#include "tpc/Reference/Evaluator.h"
#include "tpcrt/HostTensor.h"
#include "tpcrt/Safetensors.h"

namespace tpc::reference {

Tensor fromHost(const tpcrt::HostTensor &host, mlir::MLIRContext *context);
tpcrt::HostTensor toHost(const Tensor &tensor);

/// Parameters from stored tensors, through their views. Emits an error at the
/// parameter whose stored tensor is missing or has another type.
SymbolStore::ParameterSource storedParameters(tpcrt::WeightSource weights);

} // namespace tpc::reference

#endif // TPC_REFERENCE_HOSTTENSORS_H
