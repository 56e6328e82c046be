//===- PlanFile.h - Assignments as files ------------------------*- C++ -*-===//
//
// A plan is written in a form that reviews and version control like: sorted,
// one decision a line, and what is alike in all layers said once.
//
//   {
//     "tpc_plan": 1,
//     "mode": "auto",
//     "machine": "h100",
//     "mesh": "tp=4",
//     "parameters": {
//       "layers.*.down": "256x64xf32 [{tp}, {}]",
//       "layers.*.up": "64x256xf32 [{}, {tp}]"
//     },
//     "states": {},
//     "entries": {
//       "main": {
//         "model": "5 operations, 9c47fbd1aa0be05d",
//         "inputs": {
//           "x": "8x64xf32 [{}, {}]"
//         },
//         "operations": {
//           "layers.*.down matmul": "[{}, {tp}], [{tp}, {}] -> [{}, {}] sum
//           {tp}", "layers.7.down matmul": "[{}, {}], [{}, {}] -> [{}, {}]",
//           ...
//
// A name with "*" for the number of a layer is of all that have no line of
// their own. Reading it back gives the same assignment, without a search.
// docs/explain.md says when a plan is refused.
//
//===----------------------------------------------------------------------===//

#ifndef TPC_SHARDING_PLANFILE_H
#define TPC_SHARDING_PLANFILE_H

#include "tpc/Sharding/Assignment.h"

namespace tpc {

/// The assignment of a module in the whole form, made with these options, as
/// the text of a file. What follows a plan is written as that plan. Emits an
/// error where it cannot be written.
mlir::FailureOr<std::string> planFileText(mlir::ModuleOp module,
                                          const Mesh &mesh,
                                          const Assignment &assignment,
                                          const AssignOptions &options);

/// Reads a file of at most 64 MiB; `error` says what is wrong with it.
mlir::FailureOr<PlanText> readPlanFile(llvm::StringRef path,
                                       std::string &error);

/// Follows `options.plan`. Emits an error if the plan is not of this module
/// and mesh, or not kept by its pins and memory limit. Decisions that have no
/// line are searched for, as mode `auto` does.
std::unique_ptr<Assigner> createPlanAssigner(const AssignOptions &options);

} // namespace tpc

#endif // TPC_SHARDING_PLANFILE_H
