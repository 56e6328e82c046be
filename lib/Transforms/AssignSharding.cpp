//===- AssignSharding.cpp - Decides how every tensor is split -------------===//

#include "tpc/Dialect/Tpc/Tpc.h"
#include "tpc/Sharding/Prediction.h"
#include "tpc/Transforms/Passes.h"
#include "llvm/ADT/StringSet.h"

namespace tpc {
#define GEN_PASS_DEF_ASSIGNSHARDINGPASS
#include "tpc/Transforms/Passes.h.inc"
} // namespace tpc

using namespace mlir;
using namespace tpc;

/// Whether tensors of this type can be inputs and outputs.
static bool isEntryType(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  if (!tensor || !tensor.hasStaticShape() || !hasCountableElements(tensor))
    return false;
  Type element = tensor.getElementType();
  return element.isF32() || element.isF64() || element.isBF16() ||
         element.isF16() || element.isSignlessInteger(1) ||
         element.isSignlessInteger(32) || element.isSignlessInteger(64);
}

/// What operations cannot check themselves: entry functions of one block on
/// tensors, with inputs and outputs of different names.
static LogicalResult checkEntry(func::FuncOp function) {
  if (function.isExternal() || !function.getBody().hasOneBlock())
    return function.emitError("expected a function of one block");
  auto check = [&](StringRef what, TypeRange types,
                   auto nameOf) -> LogicalResult {
    llvm::StringSet<> names;
    for (auto [i, type] : llvm::enumerate(types)) {
      if (!isEntryType(type))
        return function.emitError()
               << what << " " << i
               << ": expected a ranked tensor of static shape with at most "
                  "2^48 elements of f32, f64, bf16, f16, i1, i32 or i64; found "
               << type;
      if (!names.insert(nameOf(function, i)).second)
        return function.emitError() << what << " " << i << ": the name \""
                                    << nameOf(function, i) << "\" is taken";
    }
    return success();
  };
  if (failed(check("argument", function.getArgumentTypes(), argumentName)))
    return failure();
  return check("result", function.getResultTypes(), resultName);
}

/// Types of the whole form have no encoding: it would look like a decision that
/// is kept.
static LogicalResult checkNoEncodings(func::FuncOp function) {
  auto check = [](Value value) -> LogicalResult {
    auto tensor = dyn_cast<RankedTensorType>(value.getType());
    if (!tensor || !tensor.getEncoding())
      return success();
    return emitError(value.getLoc())
           << "expected a whole tensor " << withSharding(tensor, ShardingAttr())
           << " to assign a sharding to, found the encoding "
           << tensor.getEncoding()
           << "; pin shardings with tpc.shard, or with the attribute "
              "tpc.sharding of inputs, outputs, parameters and states";
  };
  for (BlockArgument argument : function.getArguments())
    if (failed(check(argument)))
      return failure();
  for (Operation &op : function.getBody().front())
    for (Value result : op.getResults())
      if (failed(check(result)))
        return failure();
  return success();
}

static LogicalResult checkWhole(ModuleOp module) {
  auto meshes = llvm::to_vector(module.getOps<MeshOp>());
  if (meshes.size() > 1) {
    auto error = meshes[1].emitError("a module has one mesh, found a second");
    error.attachNote(meshes[0].getLoc()) << "the first is here";
    return error;
  }
  for (auto function : module.getOps<func::FuncOp>())
    if (failed(checkEntry(function)) || failed(checkNoEncodings(function)))
      return failure();
  return success();
}

namespace {
struct AssignSharding
    : public tpc::impl::AssignShardingPassBase<AssignSharding> {
  using AssignShardingPassBase::AssignShardingPassBase;
  AssignSharding(AssignShardingPassOptions options, AssignHooks hooks)
      : AssignShardingPassBase(std::move(options)), hooks(std::move(hooks)) {}

  void runOnOperation() override {
    ModuleOp module = getOperation();
    if (!machine.empty())
      module->setAttr(kMachineAttrName,
                      StringAttr::get(module.getContext(), machine));
    FailureOr<AssignOptions> options = readOptions(module);
    if (failed(options))
      return signalPassFailure();
    FailureOr<Mesh> mesh = lookupMesh(module);
    if (failed(mesh) || failed(checkWhole(module)) ||
        failed(readPins(module, *mesh, *options)))
      return signalPassFailure();
    std::unique_ptr<Assigner> assigner = createAssigner(*options);
    if (!assigner) {
      module.emitError("unknown mode \"")
          << mode << "\"; expected one of: " << assignmentModes();
      return signalPassFailure();
    }
    FailureOr<Assignment> assignment = assigner->assign(module, *mesh);
    if (failed(assignment) ||
        (hooks.decided &&
         failed(hooks.decided(module, *mesh, *options, *assignment))))
      return signalPassFailure();
    setPredictions(module, predict(module, *assignment,
                                   CostModel(options->machine, *mesh)));
    placeRecomputation(module, *assignment);
    if (assignment->search)
      setSearchSummary(module, *assignment->search);
    applyAssignment(module, *assignment, *mesh);
  }

private:
  FailureOr<AssignOptions> readOptions(ModuleOp module) {
    AssignOptions options;
    options.mode = mode;
    options.optimizerBytes = optimizerBytes;
    options.timeLimit = timeLimit;
    options.dumpProblem = dumpProblem;
    options.plan = hooks.plan;
    FailureOr<Machine> found = machineOf(module);
    if (failed(found))
      return failure();
    options.machine = *found;
    options.memoryLimit = found->memoryBytes;
    if (memoryLimit >= 0)
      options.memoryLimit = memoryLimit;
    SmallVector<StringRef> parts;
    StringRef(weights).split(parts, ',', -1, /*KeepEmpty=*/false);
    for (StringRef part : parts) {
      auto [entry, text] = part.split('=');
      double weight;
      if (text.getAsDouble(weight) || !(weight > 0) || weight > 1e9) {
        module.emitError("weights: expected a list like "
                         "\"prefill=1,decode=100\" with numbers above 0, "
                         "found \"")
            << weights << "\"";
        return failure();
      }
      if (!module.lookupSymbol<func::FuncOp>(entry)) {
        module.emitError("weights: there is no entry \"") << entry << "\"";
        return failure();
      }
      options.weights[entry] = weight;
    }
    return options;
  }

  /// Pins for mode `auto` go into its options, those for others on the module.
  LogicalResult readPins(ModuleOp module, const Mesh &mesh,
                         AssignOptions &options) {
    if (pins.empty())
      return success();
    FailureOr<std::vector<PinRequest>> requests = parsePinRequests(
        module, mesh, std::vector<std::string>(pins.begin(), pins.end()));
    if (failed(requests))
      return failure();
    if (mode != "auto" && !options.plan)
      return setPins(module, mesh, *requests, mode);
    options.pins = std::move(*requests);
    return success();
  }

  AssignHooks hooks;
};
} // namespace

std::unique_ptr<Pass>
tpc::createAssignShardingPass(AssignShardingPassOptions options,
                              AssignHooks hooks) {
  return std::make_unique<AssignSharding>(std::move(options), std::move(hooks));
}
