//===- Report.h - What a compile and its runs amount to ---------*- C++ -*-===//
//
// The figures that users see, as text for people (`tpc-run` prints it) and as
// JSON (`--report`). docs/report.md describes the JSON; its "version" changes
// with any change that could break a reader.
//
//===----------------------------------------------------------------------===//

#ifndef TPC_PIPELINE_REPORT_H
#define TPC_PIPELINE_REPORT_H

#include "mlir/IR/BuiltinOps.h"
#include "tpc/Dialect/Spmd/Spmd.h"
#include "tpc/Pipeline/Comparison.h"
#include "tpc/Sharding/Alternatives.h"
#include "tpc/Sharding/Prediction.h"
#include <map>
#include <optional>

namespace tpc {

/// Collectives that are alike: in the layers of a model the same one occurs
/// once per layer.
struct CollectiveSummary {
  std::string kind;      ///< "all_reduce", ...
  std::string reduction; ///< "sum", "max", "min", or empty
  std::string axes;      ///< "tp", or "dp,tp"
  int64_t bytes = 0;     ///< of the tensor on one device, per execution
  int64_t sent = 0;      ///< sent by one device per execution (ring)
  int64_t count = 0;
  std::string origin;   ///< why it is there
  std::string location; ///< of the first
};

/// Bytes that the runtime allocates on each device.
struct ReservedMemory {
  int64_t weights = 0; ///< parameters that steps read as they lie
  int64_t packed = 0;  ///< weights in the matmul library's format
  int64_t states = 0;
  int64_t arena = 0;
  int64_t scratch = 0; ///< of steps, besides their operands

  int64_t total() const { return weights + packed + states + arena + scratch; }
};

/// Bytes on the device that holds most.
struct MemorySummary {
  int64_t weights = 0;
  int64_t states = 0;
  int64_t activations = 0;
  int64_t communication = 0;
  int64_t peak = 0;
  int64_t unshardedPeak = 0; ///< 0: not measured
  /// What the runtime will allocate, to the byte.
  std::optional<ReservedMemory> reserved;
};

/// Steps of the plan of one entry.
struct StepSummary {
  std::string entry;
  int64_t kernels = 0;
  int64_t matmuls = 0; ///< grouped ones, too
  int64_t attentions = 0;
  int64_t collectives = 0;
  /// Of the collectives those that stand for several, and for how many.
  int64_t groups = 0, grouped = 0;
  /// Kernels of the layer that has most; 0 where nothing is named by layers.
  int64_t kernelsPerLayer = 0;
};

/// How parameters that are alike are held.
struct ParameterSummary {
  std::string pattern;  ///< "encoder.layer.*.output.dense.weight"
  std::string shape;    ///< whole shape, "1536x384"
  std::string local;    ///< local shape
  std::string sharding; ///< in words
  int64_t count = 0;
};

/// Who builds a module may number values by this on the operation: an i64, the
/// number of its first result.
inline constexpr llvm::StringLiteral kValueNumberAttrName = "value_number";

/// One value of the assigned form, and what is done to it before it is used.
struct ValueSummary {
  std::string name;  ///< "mlp.down", "x", "model.embed_tokens.weight"
  std::string kind;  ///< "parameter", "state", "input", or the operation
  std::string entry; ///< of inputs and operations
  std::vector<int64_t> shape, local;
  std::string element;
  /// The axes that split each dimension, and those that it is partial over.
  std::vector<std::vector<std::string>> dims;
  std::vector<std::string> partial;
  std::string sharding; ///< in words
  /// Reshards of it: why, and to what.
  std::vector<std::string> reshards;
  /// The value's number in a Graph, from kValueNumberAttrName; -1: none.
  int64_t number = -1;
};

struct CheckSummary {
  double maxAbsDiff = 0;
  double maxAbsValue = 0;
  bool ok = false;
};

struct Report {
  std::vector<std::pair<std::string, int64_t>> mesh;
  std::string mode;
  /// What times are predicted for.
  std::string machine;
  /// Of mode auto.
  std::optional<SearchSummary> search;
  /// By entry, in the module's order.
  std::vector<EntryPrediction> predicted;
  /// How often each of these is called, relative to the others; not in the
  /// JSON.
  std::vector<double> weights;
  std::vector<ParameterSummary> parameters;
  std::vector<CollectiveSummary> collectives;
  /// Of every entry; not in the JSON.
  std::vector<std::pair<std::string, std::vector<CollectiveSummary>>>
      entryCollectives;
  /// Predicted time of all entries, by their weights.
  double weightedMicros = 0;
  MemorySummary memory;
  /// Not in the JSON: valuesToJson.
  std::vector<ValueSummary> values;
  /// Where it was asked for.
  std::optional<PlanExplanation> explanation;
  std::optional<PlanComparison> comparison;
  /// Generated kernels, after deduplication.
  int64_t kernels = 0;
  /// By entry, in the module's order.
  std::vector<StepSummary> steps;
  /// Seconds by phase, in order: import, assign, partition, verify, codegen,
  /// load.
  std::vector<std::pair<std::string, double>> seconds;
  std::vector<double> runsMs;
  /// Of the last generation: prefill and every decode.
  std::vector<double> generationMs;
  std::optional<CheckSummary> check;
  /// The runtime's own statistics, a JSON object; empty without a run.
  std::string runtimeJson;
};

/// The collectives of a per-device program, alike ones once.
std::vector<CollectiveSummary> summarizeCollectives(spmd::ProgramOp program,
                                                    const Mesh &mesh);

/// Fills in what the module around a per-device program says: mesh and
/// parameters, and the collectives of this one.
void summarizeProgram(spmd::ProgramOp program, const Mesh &mesh,
                      Report &report);

/// The values of a module in the assigned form.
std::vector<ValueSummary> summarizeValues(mlir::ModuleOp module);

/// What the plans of a module take on the device that holds most: the arena of
/// the largest program, parameters and states.
MemorySummary summarizeMemory(mlir::ModuleOp module, const Mesh &mesh);

/// What the plans of a module do.
std::vector<StepSummary> summarizeSteps(mlir::ModuleOp module);

/// The report as JSON.
std::string toJson(const Report &report);
/// A list of objects with the fields of ValueSummary.
std::string valuesToJson(const std::vector<ValueSummary> &values);
/// The plan for people: splits, collectives with reasons, memory.
std::string planText(const Report &report);

} // namespace tpc

#endif // TPC_PIPELINE_REPORT_H
