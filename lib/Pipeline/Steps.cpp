//===- Steps.cpp - What the plan of an entry does -------------------------===//

#include "tpc/Dialect/Plan/Plan.h"
#include "tpc/Pipeline/Report.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;
using namespace tpc;

/// The number of the layer in "model.layers.7.mlp+...", as text; empty without.
static StringRef layerOf(Operation *op) {
  auto name = op->getLoc()->findInstanceOf<NameLoc>();
  if (!name)
    return "";
  SmallVector<StringRef> words;
  name.getName().strref().split(words, '.');
  for (StringRef word : words)
    if (!word.empty() && llvm::all_of(word, llvm::isDigit))
      return word;
  return "";
}

static StepSummary stepsOf(plan::ProgramOp program) {
  StepSummary steps;
  auto implemented = SymbolTable::lookupNearestSymbolFrom<spmd::ProgramOp>(
      program, program.getImplementsAttr());
  steps.entry = implemented.getWhole().str();
  llvm::StringMap<int64_t> kernelsOfLayer;
  program.walk([&](Operation *op) {
    steps.matmuls += isa<plan::MatmulOp, plan::GroupedMatmulOp>(op);
    steps.attentions += isa<plan::AttentionOp>(op);
    if (auto collective = dyn_cast<plan::CollectiveOp>(op)) {
      ++steps.collectives;
      if (auto parts =
              dyn_cast_or_null<ArrayAttr>(collective.getOriginAttr())) {
        ++steps.groups;
        steps.grouped += parts.size();
      }
    }
    if (!isa<plan::KernelOp>(op))
      return;
    ++steps.kernels;
    if (StringRef layer = layerOf(op); !layer.empty())
      steps.kernelsPerLayer =
          std::max(steps.kernelsPerLayer, ++kernelsOfLayer[layer]);
  });
  return steps;
}

std::vector<StepSummary> tpc::summarizeSteps(ModuleOp module) {
  std::vector<StepSummary> steps;
  for (auto program : module.getOps<plan::ProgramOp>())
    steps.push_back(stepsOf(program));
  return steps;
}
