//===- tpc-shard.cpp - A file of weights for each device ------------------===//

#include "tpc/Driver/Compilation.h"
#include "tpc/Driver/Diagnostics.h"
#include "tpc/Driver/WeightSplit.h"
#include "tpc/Import/HuggingFace.h"
#include "tpc/Pipeline/Pipeline.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/InitLLVM.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using namespace tpc;
namespace cl = llvm::cl;

static cl::OptionCategory category("tpc-shard options");
static cl::opt<std::string> model(cl::Positional, cl::Required,
                                  cl::desc("Hugging Face directory"),
                                  cl::cat(category));
static cl::opt<std::string> out("o", cl::Required,
                                cl::desc("new or empty folder to write to"),
                                cl::value_desc("OUT"), cl::cat(category));
static cl::opt<unsigned> degree("tp", cl::desc("devices that split the model"),
                                cl::value_desc("N"), cl::init(1),
                                cl::cat(category));
static cl::opt<std::string> meshText("mesh",
                                     cl::desc("mesh of devices, in place of "
                                              "--tp"),
                                     cl::value_desc("dp=2,tp=4"),
                                     cl::cat(category));
static cl::opt<std::string> mode("mode",
                                 cl::desc("how shardings are decided: auto "
                                          "(default), megatron, propagate"),
                                 cl::init("auto"), cl::cat(category));
static cl::opt<int64_t> length("length",
                               cl::desc("tokens that the split is decided for "
                                        "(default 128)"),
                               cl::init(128), cl::cat(category));
static cl::list<std::string> pins("pin", cl::desc("a sharding that must hold"),
                                  cl::value_desc("PIN"), cl::cat(category));
static cl::opt<double> searchTime("search-time",
                                  cl::desc("seconds that mode auto may search "
                                           "(default 20)"),
                                  cl::init(20), cl::cat(category));

static int fail(const std::string &message) {
  llvm::errs() << "tpc-shard: error: " << message << "\n";
  return 1;
}

namespace {
struct Split {
  uint64_t devices;
  std::vector<tpcrt::SplitTensor> tensors;
};
} // namespace

/// How the model's weights are split, decided for all of its entries.
static FailureOr<Split> decideSplit(MLIRContext &context,
                                    const tpcrt::WeightSource &weights,
                                    const std::string &mesh) {
  ImportOptions import;
  import.element = "stored";
  import.length = length;
  import.weights = &weights;
  OwningOpRef<ModuleOp> module = importHuggingFace(&context, model, import);
  if (!module)
    return failure();
  CompileOptions options;
  options.mesh = mesh;
  options.assign.mode = mode;
  options.assign.pins.assign(pins.begin(), pins.end());
  options.assign.timeLimit = searchTime;
  Compilation compilation(std::move(module), std::move(options));
  if (failed(compilation.setMesh()) || failed(compilation.assign()))
    return failure();
  ModuleOp assigned = compilation.module();
  Mesh devices = toMesh(*assigned.getOps<MeshOp>().begin());
  return Split{static_cast<uint64_t>(devices.numDevices()),
               splitStoredTensors(assigned, weights)};
}

int main(int argc, char **argv) {
  llvm::InitLLVM init(argc, argv);
  cl::HideUnrelatedOptions(category);
  cl::ParseCommandLineOptions(
      argc, argv,
      "tpc-shard: writes the weights of a model as one file per device\n");
  if (!isHuggingFaceDirectory(model))
    return fail(model + ": expected a directory with a config.json");
  auto weights = tpcrt::WeightSource::open(model);
  if (!weights)
    return fail(weights.error().message);
  CompilerContext context;
  printDiagnostics(context, "tpc-shard");
  std::string mesh =
      meshText.empty() ? "tp=" + std::to_string(degree) : meshText.getValue();
  auto split = decideSplit(context, *weights, mesh);
  if (failed(split))
    return 1;
  auto written = tpcrt::writeShards(model, split->devices, split->tensors, out);
  if (!written)
    return fail(written.error().message);
  llvm::outs() << llvm::formatv(
      "{0}: {1} devices, {2} of {3} tensors split\n", out.getValue(),
      split->devices, split->tensors.size(), weights->tensors().size());
  return 0;
}
