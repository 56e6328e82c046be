//===- Compare.cpp - The plan that --compare means ------------------------===//

#include "Compare.h"
#include "tpc/Sharding/PlanFile.h"
#include "llvm/Support/FileSystem.h"

using namespace tpc;

tpcrt::Result<CompileOptions>
tpc::optionsToCompare(CompileOptions options, const std::string &plan,
                      llvm::ArrayRef<std::pair<std::string, int64_t>> mesh) {
  AssignPhaseOptions &assign = options.assign;
  assign.plan.reset();
  assign.mode = plan;
  options.writePlan = false;
  options.explain.reset();
  AssignOptions named;
  named.mode = plan;
  if (createAssigner(named))
    return options;
  assign.mode = "auto";
  if (plan == "data") {
    for (const auto &[axis, size] : mesh)
      assign.pins.push_back(axis + "=batch");
    return options;
  }
  if (!llvm::sys::fs::exists(plan))
    return tpcrt::makeError("--compare: expected one of " + assignmentModes() +
                            ", data, or a plan file; found \"" + plan + "\"");
  std::string error;
  auto text = readPlanFile(plan, error);
  if (mlir::failed(text))
    return tpcrt::makeError("--compare: " + error);
  assign.plan = std::move(*text);
  return options;
}
