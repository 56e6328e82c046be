//===- Alternatives.h - What else could have been decided -------*- C++ -*-===//
//
// Why a plan is as it is: for every collective its reason and the best plan
// without it, for every sharding of a value the best plan that has it. Each
// answer is a plan of its own: the optimizer solves its problem once more with
// the demand, everything else free. So what is said of a choice includes what
// it does everywhere else, and is proven where the solver proves it.
//
// What is alike in all layers is asked about at once: "layers.*.down" is held
// so in every layer, or in none.
//
//===----------------------------------------------------------------------===//

#ifndef TPC_SHARDING_ALTERNATIVES_H
#define TPC_SHARDING_ALTERNATIVES_H

#include "tpc/Sharding/Assignment.h"

namespace tpc {

struct CollectiveStep {
  std::string kind;      ///< "all_reduce"
  std::string reduction; ///< "sum", or empty
  std::string axes;      ///< "dp,tp"
  int64_t bytes = 0;     ///< of the tensor on one device, per execution
};

/// "all_reduce sum over tp"
std::string describeStep(const CollectiveStep &step);

/// A plan beside the one that is explained.
struct AlternativePlan {
  enum Kind {
    Found,
    Impossible, ///< proven: there is none
    TooLarge,   ///< proven: there is none within the memory limit
    OutOfTime   ///< not known
  } kind = OutOfTime;
  /// Against the plan: time of all entries by their weights, the most bytes on
  /// one device.
  double deltaMicros = 0;
  int64_t deltaBytes = 0;
  /// Whether no better one is possible.
  bool isProven = false;
  /// Its collectives that the plan has not, or fewer of: "4x all_gather over tp
  /// of layers.*.norm".
  std::vector<std::string> instead;
};

/// Reshards that communicate and are alike in all layers, or what composites
/// that are alike communicate inside.
struct ExplainedCollective {
  std::string entry;
  std::string where; ///< the value, or the composite: "layers.*.down"
  std::vector<CollectiveStep> steps;
  std::string because;
  int64_t count = 0;
  double micros = 0; ///< each
  /// The best plan that has none of these.
  AlternativePlan without;
  /// The best plan in which the value is held as it is wanted from the start;
  /// of reshards. `wanted` says how.
  std::optional<AlternativePlan> local;
  std::string wanted;
};

struct ExplainedChoice {
  std::string sharding; ///< in words
  bool isChosen = false;
  int64_t bytes = 0; ///< of one such value on one device
  AlternativePlan plan;
};

struct ExplainedValue {
  std::string name; ///< a pattern
  std::string kind; ///< "parameter", "state", "input", "output", or operation
  std::string entry;
  std::string type; ///< "256x64xf32"
  int64_t count = 0;
  /// The chosen one, then by time; what there is no plan for last.
  std::vector<ExplainedChoice> choices;
};

struct PlanExplanation {
  double micros = 0; ///< of all entries, by their weights
  int64_t peakBytes = 0;
  std::vector<ExplainedCollective> collectives;
  std::vector<ExplainedValue> values;
  /// How many plans were searched for, and for how long.
  int64_t plans = 0;
  double seconds = 0;
};

/// What is to be explained.
struct ExplainRequest {
  /// A name or a glob pattern of parameters, states, inputs, outputs or places
  /// of operations; nothing: all collectives.
  std::optional<std::string> value;
};

/// Explains an assignment of a module in the whole form that was made with
/// these options, in no more than about `options.timeLimit` seconds. Emits an
/// error if nothing has the name.
mlir::FailureOr<PlanExplanation>
explain(mlir::ModuleOp module, const Mesh &mesh, const AssignOptions &options,
        const Assignment &assignment, const ExplainRequest &request);

} // namespace tpc

#endif // TPC_SHARDING_ALTERNATIVES_H
