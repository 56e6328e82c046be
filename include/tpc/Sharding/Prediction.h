//===- Prediction.h - Time and memory of an assignment ----------*- C++ -*-===//
//
// What the cost model says about an assignment, whichever mode made it: time
// per call of every entry, time per part of the model, and the most memory
// that one device holds at any time. It shares nothing with the optimizer's
// problem but the prices, so it also tells whether the optimizer's cost is
// that of what it returned.
//
// Memory: parameters and states always; arguments during their entry; every
// result from where it is made to its last use, and what the gradient of
// attention holds inside. Kernels that are fused later hold less.
//
//===----------------------------------------------------------------------===//

#ifndef TPC_SHARDING_PREDICTION_H
#define TPC_SHARDING_PREDICTION_H

#include "tpc/Sharding/Assignment.h"
#include "tpc/Sharding/CostModel.h"
#include <vector>

namespace tpc {

/// Operations that belong together, the same in all layers:
/// "model.layers.*.mlp".
struct PartPrediction {
  std::string part;
  int64_t operations = 0;
  int64_t reshards = 0;
  double computeMicros = 0;
  double communicationMicros = 0;
};

/// What is computed or sent again for gradients, the same in all layers.
struct RecomputedPart {
  std::string what; ///< "model.layers.*.mlp.up_proj matmul"
  int64_t count = 0;
  double micros = 0; ///< of all, the second time
};

struct EntryPrediction {
  std::string entry;
  double computeMicros = 0;
  double communicationMicros = 0;
  int64_t peakBytes = 0;
  /// In order of first appearance.
  std::vector<PartPrediction> parts;
  std::vector<RecomputedPart> again;

  double micros() const { return computeMicros + communicationMicros; }
};

/// Predicts every entry of a module in the whole form.
std::vector<EntryPrediction> predict(mlir::ModuleOp module,
                                     const Assignment &assignment,
                                     const CostModel &costs);

/// What all entries take.
struct PlanPrice {
  double micros = 0; ///< of all entries, by their weights
  /// The most of any, and what the optimizer keeps.
  int64_t peakBytes = 0;
};
PlanPrice priceOf(mlir::ModuleOp module, const Assignment &assignment,
                  const CostModel &costs, const AssignOptions &options);

/// What an optimizer keeps on one device (AssignOptions::optimizerBytes).
int64_t optimizerBytesOf(mlir::ModuleOp module, const Assignment &assignment,
                         const Mesh &mesh, const AssignOptions &options);

/// Leaves predictions on the module as the attribute `tpc.predicted`.
void setPredictions(mlir::ModuleOp module,
                    llvm::ArrayRef<EntryPrediction> predictions);
/// The prediction of an entry that a module carries, or nothing.
std::optional<EntryPrediction> predictionOf(mlir::ModuleOp module,
                                            llvm::StringRef entry);

} // namespace tpc

#endif // TPC_SHARDING_PREDICTION_H
