//===- Compilation.cpp - A module on its way to an artifact ---------------===//

#include "tpc/Driver/Compilation.h"
#include "mlir/IR/Verifier.h"
#include "tpc/Dialect/Plan/Plan.h"
#include "tpc/Sharding/PlanFile.h"
#include "tpc/Target/Artifact.h"
#include "tpcrt/Runtime.h"
#include <chrono>

using namespace mlir;
using namespace tpc;

Compilation::Compilation(OwningOpRef<ModuleOp> module, CompileOptions options)
    : owned(std::move(module)), options(std::move(options)) {
  const AssignPhaseOptions &assign = this->options.assign;
  summary.mode = assign.plan ? "plan " + assign.plan->name : assign.mode;
  summary.machine = this->options.assign.machine;
}

Mesh Compilation::mesh() { return toMesh(*module().getOps<MeshOp>().begin()); }

LogicalResult Compilation::phase(StringRef name,
                                 llvm::function_ref<LogicalResult()> run) {
  auto begin = std::chrono::steady_clock::now();
  LogicalResult result = run();
  std::chrono::duration<double> elapsed =
      std::chrono::steady_clock::now() - begin;
  // A phase in two steps is one line of the report.
  if (summary.seconds.empty() || summary.seconds.back().first != name)
    summary.seconds.push_back({name.str(), 0});
  summary.seconds.back().second += elapsed.count();
  return result;
}

LogicalResult
Compilation::phase(StringRef name,
                   llvm::function_ref<void(OpPassManager &)> build) {
  return phase(name, [&] { return runPhase(module(), build); });
}

LogicalResult Compilation::setMesh() {
  std::string error;
  bool hasMesh = !module().getOps<MeshOp>().empty();
  if (options.mesh || !hasMesh)
    if (failed(tpc::setMesh(module(), options.mesh.value_or("tp=1"), error)))
      return emitError(UnknownLoc::get(module().getContext())) << error;
  return mlir::verify(module());
}

LogicalResult Compilation::measureUnsharded() {
  OwningOpRef<ModuleOp> single = module().clone();
  // Pins may name axes, or parts of them, that one device does not have.
  removePins(*single);
  std::string error;
  if (failed(tpc::setMesh(*single, "tp=1", error)))
    return emitError(single->getLoc()) << error;
  if (failed(runPhase(*single, [&](OpPassManager &pm) {
        buildAssignPhase(pm, "megatron");
        buildPartitionPhase(pm);
        buildPlanPhase(pm, options.device);
      })))
    return failure();
  Mesh one = toMesh(*single->getOps<MeshOp>().begin());
  summary.memory.unshardedPeak = summarizeMemory(*single, one).peak;
  return success();
}

/// What is said about a plan in terms of the whole module.
LogicalResult Compilation::onDecided(ModuleOp whole, const Mesh &mesh,
                                     const AssignOptions &assign,
                                     const Assignment &assignment) {
  if (options.writePlan) {
    auto text = planFileText(whole, mesh, assignment, assign);
    if (failed(text))
      return failure();
    planText = std::move(*text);
  }
  if (options.explain) {
    auto explanation =
        explain(whole, mesh, assign, assignment, *options.explain);
    if (failed(explanation))
      return failure();
    summary.explanation = std::move(*explanation);
  }
  return success();
}

LogicalResult Compilation::assign() {
  AssignOptions used;
  if (failed(phase("assign", [&](OpPassManager &pm) {
        buildAssignPhase(pm, options.assign,
                         [&](ModuleOp whole, const Mesh &mesh,
                             const AssignOptions &assign,
                             const Assignment &assignment) {
                           used = assign;
                           return onDecided(whole, mesh, assign, assignment);
                         });
      })))
    return failure();
  if (summary.explanation) {
    summary.seconds.back().second -= summary.explanation->seconds;
    summary.seconds.push_back({"explain", summary.explanation->seconds});
  }
  summary.search = searchSummary(module());
  if (options.reportValues)
    summary.values = summarizeValues(module());
  for (func::FuncOp function : module().getOps<func::FuncOp>())
    if (auto prediction = predictionOf(module(), function.getName())) {
      summary.weightedMicros +=
          used.weightOf(function.getName()) * prediction->micros();
      summary.predicted.push_back(std::move(*prediction));
    }
  return success();
}

LogicalResult Compilation::partition() {
  if (failed(phase("partition", buildPartitionPhase)))
    return failure();
  for (auto program : module().getOps<spmd::ProgramOp>())
    summary.entryCollectives.push_back(
        {program.getWhole().str(), summarizeCollectives(program, mesh())});
  for (auto program : module().getOps<spmd::ProgramOp>())
    if (options.entry.empty() || program.getWhole() == options.entry) {
      summarizeProgram(program, mesh(), summary);
      break;
    }
  return success();
}

LogicalResult Compilation::verify() {
  return phase("verify", buildVerifyPhase);
}

LogicalResult Compilation::plan() {
  if (failed(phase("codegen", [&](OpPassManager &pm) {
        buildPlanPhase(pm, options.device);
      })))
    return failure();
  int64_t unsharded = summary.memory.unshardedPeak;
  summary.memory = summarizeMemory(module(), mesh());
  summary.memory.unshardedPeak = unsharded;
  auto kernels = module().getOps<plan::KernelFuncOp>();
  summary.kernels = std::distance(kernels.begin(), kernels.end());
  summary.steps = summarizeSteps(module());
  return reserve();
}

static FailureOr<tpcrt::ArtifactBytes>
artifact(ModuleOp module, const EmitOptions &options, const std::string &name) {
  auto payload = emitArtifact(module, options);
  if (failed(payload))
    return failure();
  std::vector<std::byte> bytes =
      tpcrt::wrapArtifact(payload->data(), payload->size());
  auto result =
      tpcrt::ArtifactBytes::fromMemory(bytes.data(), bytes.size(), name);
  if (!result)
    return emitError(module.getLoc()) << result.error().message;
  return *result;
}

FailureOr<EmitOptions> Compilation::emitOptions() {
  std::optional<DeviceKind> device = findDeviceKind(options.device);
  if (!device)
    return module().emitError("unknown kind of device '")
           << options.device << "'; expected cpu or cuda";
  EmitOptions emit;
  emit.device = *device;
  emit.isas = options.isas;
  return emit;
}

/// What the runtime will allocate, and with it the peak of every entry.
LogicalResult Compilation::reserve() {
  FailureOr<EmitOptions> emit = emitOptions();
  if (failed(emit))
    return failure();
  if (emit->device == DeviceKind::Cuda && !tpcrt::hasCuda())
    return success(); // known where it is loaded
  emit->withImages = false;
  auto bytes = artifact(module(), *emit, options.name);
  if (failed(bytes))
    return failure();
  tpcrt::LoadOptions load;
  load.threads = options.threads;
  auto planned = tpcrt::Executable::planMemory(*bytes, load);
  if (!planned)
    return emitError(module().getLoc()) << planned.error().message;
  auto number = [](uint64_t bytes) { return static_cast<int64_t>(bytes); };
  summary.memory.reserved =
      ReservedMemory{number(planned->weightBytes), number(planned->packedBytes),
                     number(planned->stateBytes), number(planned->arenaBytes),
                     number(planned->scratchBytes)};
  for (EntryPrediction &entry : summary.predicted)
    entry.peakBytes = summary.memory.reserved->total();
  return success();
}

FailureOr<tpcrt::ArtifactBytes> Compilation::emit() {
  FailureOr<EmitOptions> emit = emitOptions();
  if (failed(emit))
    return failure();
  FailureOr<tpcrt::ArtifactBytes> result = failure();
  if (failed(phase("codegen", [&] {
        result = artifact(module(), *emit, options.name);
        return success(succeeded(result));
      })))
    return failure();
  return result;
}

FailureOr<tpcrt::ArtifactBytes> Compilation::compile() {
  if (failed(setMesh()) || failed(assign()) || failed(partition()) ||
      failed(verify()) || failed(plan()))
    return failure();
  return emit();
}
