//===- Memory.cpp - What a plan takes on one device -----------------------===//

#include "tpc/Dialect/Plan/Plan.h"
#include "tpc/Pipeline/Report.h"

using namespace mlir;
using namespace tpc;

/// Bytes of the blocks of all parameters or states.
template <typename SymbolOp>
static int64_t blockBytes(ModuleOp module, const Mesh &mesh) {
  int64_t sum = 0;
  for (auto symbol : module.getOps<SymbolOp>())
    sum += tensorBytes(localType(symbol.getTensorType(), mesh));
  return sum;
}

/// The largest source and destination of one collective in the arena.
static int64_t communicationBytes(plan::ProgramOp program) {
  int64_t largest = 0;
  program.walk([&](plan::CollectiveOp op) {
    int64_t bytes = 0;
    auto to = cast<RankedTensorType>(op->getResult(0).getType());
    auto from = cast<RankedTensorType>(op->getOperand(0).getType());
    bytes += tensorBytes(to);
    // An all-reduce in place has one buffer for both.
    if (op.getKind() != plan::CollectiveKind::AllReduce)
      bytes += tensorBytes(from);
    largest = std::max(largest, bytes);
  });
  return largest;
}

MemorySummary tpc::summarizeMemory(ModuleOp module, const Mesh &mesh) {
  MemorySummary memory;
  memory.weights = blockBytes<ParameterOp>(module, mesh);
  memory.states = blockBytes<StateOp>(module, mesh);
  for (auto program : module.getOps<plan::ProgramOp>()) {
    int64_t arena = program.getArenaBytes().value_or(0);
    if (arena < memory.activations + memory.communication)
      continue;
    memory.communication = std::min(arena, communicationBytes(program));
    memory.activations = arena - memory.communication;
  }
  memory.peak = memory.weights + memory.states + memory.activations +
                memory.communication;
  return memory;
}
