//===- tpc-run.cpp - Compiles a model for a mesh and runs it --------------===//

#include "Calibrate.h"
#include "Check.h"
#include "Generate.h"
#include "Inputs.h"
#include "Options.h"
#include "Profile.h"
#include "mlir/IR/Verifier.h"
#include "tpc/Dialect/Plan/Plan.h"
#include "tpc/Import/HuggingFace.h"
#include "tpc/Pipeline/Compiler.h"
#include "tpc/Pipeline/Pipeline.h"
#include "tpc/Pipeline/Report.h"
#include "tpc/Target/Artifact.h"
#include "tpcrt/Artifact.h"
#include "tpcrt/Npy.h"
#include "tpcrt/OutputFile.h"
#include "tpcrt/Runtime.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/InitLLVM.h"
#include "llvm/Support/raw_ostream.h"
#include <chrono>
#include <new>

using namespace mlir;
using namespace tpc;

namespace {

/// One run of the tool: the phases in order, and what they amount to.
class Session {
public:
  Session(MLIRContext &context, const RunOptions &options)
      : context(context), options(options) {
    report.mode = options.mode;
  }

  int run() {
    if (!checkOptions() || !readInputs() || !importModel() ||
        emitted("whole") || !chooseEntry() || !measureUnsharded() ||
        !assign() || emitted("assigned") || !partition() ||
        emitted("program") || !summarize() || !verify())
      return code;
    if (plansMemory() && (!plan() || emitted("plan")))
      return code;
    if (!options.quiet)
      llvm::outs() << planText(report)
                   << "Proved: the per-device program computes the whole model"
                   << (plansMemory()
                           ? ", and in its memory plan every read sees\nthe "
                             "value that it means.\n\n"
                           : ".\n");
    if (!options.dryRun || options.save)
      if (!emitKernels())
        return code;
    if (!options.dryRun)
      if (!comparable() || !load() || !execute() || !check())
        return code;
    if (!writeFiles())
      return code;
    return report.check && !report.check->ok ? 1 : 0;
  }

private:
  bool fail(const Twine &message) {
    llvm::errs() << "tpc-run: error: " << message << "\n";
    code = 1;
    return false;
  }
  bool failQuietly() {
    code = 1;
    return false;
  }

  /// Prints the module and ends the run if the user wants to see this form.
  bool emitted(StringRef form) {
    if (options.emit != form)
      return false;
    module->print(llvm::outs());
    llvm::outs() << "\n";
    return true;
  }

  template <typename Fn> bool timed(StringRef phase, Fn fn) {
    auto begin = std::chrono::steady_clock::now();
    bool ok = fn();
    std::chrono::duration<double> elapsed =
        std::chrono::steady_clock::now() - begin;
    report.seconds.push_back({phase.str(), elapsed.count()});
    return ok;
  }

  bool checkOptions() {
    static constexpr StringRef forms[] = {"whole", "assigned", "program",
                                          "plan"};
    if (!options.emit.empty() && !llvm::is_contained(forms, options.emit))
      return fail(
          "--emit: expected one of: " + llvm::join(ArrayRef(forms), ", ") +
          "; found \"" + options.emit + "\"");
    if (options.logits != "last" && options.logits != "all")
      return fail("--logits: expected last or all; found \"" + options.logits +
                  "\"");
    if (options.repeat < 1)
      return fail("--repeat: expected a number of at least 1, found 0");
    if (options.generate && options.entry)
      return fail("--generate runs the entries prefill and decode; leave "
                  "--entry out");
    if (options.generate && options.logits != "last")
      return fail("--generate needs the logits of the last tokens; leave "
                  "--logits out");
    return true;
  }

  bool readInputs() {
    auto result = readGiven(options);
    if (!result)
      return fail(result.error().message);
    given = std::move(*result);
    return true;
  }

  bool importModel() {
    return timed("import", [&] {
      module = loadModel(&context, options, given);
      if (!module)
        return failQuietly();
      std::string error;
      bool hasMesh = !module->getOps<MeshOp>().empty();
      if (options.mesh || !hasMesh)
        if (failed(setMesh(*module, options.mesh.value_or("tp=1"), error)))
          return fail(error);
      if (failed(mlir::verify(*module)))
        return failQuietly();
      // What is compared with is the module as it came.
      if (options.check)
        unsharded = module->clone();
      return true;
    });
  }

  bool phase(StringRef name, llvm::function_ref<void(OpPassManager &)> build) {
    return timed(name, [&] {
      return succeeded(runPhase(*module, build)) || failQuietly();
    });
  }

  bool assign() {
    AssignPhaseOptions assign;
    assign.mode = options.mode;
    assign.machine = options.machine;
    assign.memoryLimit = options.memoryLimit;
    assign.weights = options.mix;
    assign.pins = options.pins;
    assign.timeLimit = options.searchTime;
    if (!phase("assign",
               [&](OpPassManager &pm) { buildAssignPhase(pm, assign); }))
      return false;
    report.machine = options.machine;
    report.search = searchSummary(*module);
    for (func::FuncOp function : module->getOps<func::FuncOp>())
      if (auto prediction = predictionOf(*module, function.getName()))
        report.predicted.push_back(std::move(*prediction));
    return true;
  }

  /// Kernels and memory are planned for the CPU, on which programs run. A plan
  /// for another machine that is not run goes without.
  bool plansMemory() const {
    return !options.dryRun || options.save || options.machine == "cpu" ||
           options.emit == "plan";
  }

  bool partition() { return phase("partition", buildPartitionPhase); }

  //===--------------------------------------------------------------------===//
  // Memory and the plan
  //===--------------------------------------------------------------------===//

  /// Plans the same module for one device, for comparison.
  bool measureUnsharded() {
    if (!options.emit.empty() || !plansMemory())
      return true;
    OwningOpRef<ModuleOp> single = module->clone();
    // Pins may name axes, or parts of them, that one device does not have.
    removePins(*single);
    std::string error;
    if (failed(setMesh(*single, "tp=1", error)))
      return fail(error);
    bool ok = succeeded(runPhase(*single, [&](OpPassManager &pm) {
      buildAssignPhase(pm, "megatron");
      buildPartitionPhase(pm);
      buildPlanPhase(pm);
    }));
    if (!ok)
      return failQuietly();
    Mesh one = toMesh(*single->getOps<MeshOp>().begin());
    report.memory.unshardedPeak = summarizeMemory(*single, one).peak;
    return true;
  }

  Mesh mesh() { return toMesh(*module->getOps<MeshOp>().begin()); }

  /// The function that the user wants, by name or because it is the only one.
  bool chooseEntry() {
    if (!options.emit.empty())
      return true;
    SmallVector<StringRef> names;
    for (func::FuncOp function : module->getOps<func::FuncOp>())
      names.push_back(function.getName());
    if (names.empty())
      return fail(options.model + ": expected a function, found none");
    // The importer puts the entry that comes first in use first.
    bool ordered = isHuggingFaceDirectory(options.model) || options.generate;
    if (!options.entry && names.size() > 1 && !ordered)
      return fail("expected --entry with one of: " + llvm::join(names, ", "));
    entryName = options.entry.value_or(options.generate ? "prefill"
                                                        : names.front().str());
    if (options.generate && (!llvm::is_contained(names, "prefill") ||
                             !llvm::is_contained(names, "decode")))
      return fail("--generate: expected the functions prefill and decode, "
                  "found " +
                  llvm::join(names, ", "));
    if (!llvm::is_contained(names, entryName))
      return fail("--entry: there is no function \"" + entryName +
                  "\"; expected one of: " + llvm::join(names, ", "));
    return true;
  }

  bool summarize() {
    for (auto program : module->getOps<spmd::ProgramOp>())
      if (program.getWhole() == entryName)
        summarizeProgram(program, mesh(), report);
    return true;
  }

  bool verify() { return phase("verify", buildVerifyPhase); }

  bool plan() {
    if (!phase("codegen", buildPlanPhase))
      return false;
    int64_t unsharded = report.memory.unshardedPeak;
    report.memory = summarizeMemory(*module, mesh());
    report.memory.unshardedPeak = unsharded;
    auto kernels = module->getOps<plan::KernelFuncOp>();
    report.kernels = std::distance(kernels.begin(), kernels.end());
    return !options.emit.empty() || reserve();
  }

  /// What the runtime will allocate, and with it the peak of every entry.
  bool reserve() {
    EmitOptions emit;
    emit.withImages = false;
    auto payload = emitArtifact(*module, emit);
    if (failed(payload))
      return failQuietly();
    auto bytes = wrapped(*payload);
    if (!bytes)
      return fail(bytes.error().message);
    tpcrt::LoadOptions load;
    load.threads = options.threads;
    auto planned = tpcrt::Executable::planMemory(*bytes, load);
    if (!planned)
      return fail(planned.error().message);
    auto number = [](uint64_t bytes) { return static_cast<int64_t>(bytes); };
    report.memory.reserved = ReservedMemory{
        number(planned->weightBytes), number(planned->packedBytes),
        number(planned->stateBytes), number(planned->arenaBytes),
        number(planned->scratchBytes)};
    for (EntryPrediction &entry : report.predicted)
      entry.peakBytes = report.memory.reserved->total();
    return true;
  }

  tpcrt::Result<tpcrt::ArtifactBytes>
  wrapped(const std::vector<uint8_t> &payload) {
    std::vector<std::byte> bytes =
        tpcrt::wrapArtifact(payload.data(), payload.size());
    return tpcrt::ArtifactBytes::fromMemory(bytes.data(), bytes.size(),
                                            options.model);
  }

  bool emitKernels() {
    auto begin = std::chrono::steady_clock::now();
    auto bytes = emitArtifact(*module, EmitOptions());
    std::chrono::duration<double> elapsed =
        std::chrono::steady_clock::now() - begin;
    report.seconds.back().second += elapsed.count();
    if (failed(bytes))
      return failQuietly();
    artifact = std::move(*bytes);
    return true;
  }

  //===--------------------------------------------------------------------===//
  // Running
  //===--------------------------------------------------------------------===//

  bool comparable() {
    if (!options.check)
      return true;
    auto result = checkComparable(*unsharded, given.inputs);
    return result ? true : fail(result.error().message);
  }

  bool load() {
    return timed("load", [&] {
      auto bytes = wrapped(artifact);
      if (!bytes)
        return fail(bytes.error().message);
      tpcrt::LoadOptions load;
      load.threads = options.threads;
      load.profile = options.profile;
      auto loaded = tpcrt::Executable::load(
          *bytes, given.weights.value_or(tpcrt::WeightSource()), load);
      if (!loaded)
        return fail(loaded.error().message);
      executable = std::move(*loaded);
      program = executable->findProgram(entryName);
      if (options.generate)
        if (auto fits = checkDecoder(*executable); !fits)
          return fail(fits.error().message);
      return program ? true : fail("the artifact has no program " + entryName);
    });
  }

  static std::vector<std::string>
  names(const std::vector<tpcrt::TensorInfo> &ports) {
    std::vector<std::string> result;
    for (const tpcrt::TensorInfo &port : ports)
      result.push_back(port.name);
    return result;
  }

  bool execute() {
    auto ordered = tpcrt::orderByName("input", names(program->inputs),
                                      std::move(given.inputs));
    if (!ordered)
      return fail(ordered.error().message);
    const std::vector<tpcrt::HostTensor> &inputs = *ordered;
    outputNames = options.generate
                      ? std::vector<std::string>{"tokens", "logits"}
                      : names(program->outputs);
    if (!matchOutputs())
      return false;
    for (unsigned i = 0; i < options.repeat; ++i) {
      auto made = options.generate
                      ? generateGreedily(*executable, inputs, options.generate)
                      : runOnce(inputs);
      if (!made)
        return fail(made.error().message);
      calls = std::move(*made);
      double ms = 0;
      for (const Call &call : calls)
        ms += call.ms;
      report.runsMs.push_back(ms);
    }
    if (options.generate)
      reportGeneration();
    if (options.profile)
      printProfile(executable->profile(), llvm::outs());
    outputs = options.generate ? generatedOutputs(calls) : calls[0].outputs;
    report.runtimeJson = tpcrt::toJson(executable->statistics());
    return true;
  }

  void reportGeneration() {
    for (const Call &call : calls)
      report.generationMs.push_back(call.ms);
    if (options.quiet)
      return;
    llvm::outs() << llvm::formatv(
        "Generated {0} tokens per row: prefill {1:f1} "
        "ms",
        calls.size(), calls.front().ms);
    if (calls.size() > 1)
      llvm::outs() << llvm::formatv(", then {0:f2} ms per token",
                                    (report.runsMs.back() - calls.front().ms) /
                                        (calls.size() - 1));
    llvm::outs() << "\n";
  }

  /// Every run starts from the same states, so that --check holds for all.
  tpcrt::Result<std::vector<Call>>
  runOnce(const std::vector<tpcrt::HostTensor> &inputs) {
    executable->resetStates();
    auto call = runProgram(*executable, entryName, inputs);
    if (!call)
      return tl::unexpected(call.error());
    return std::vector<Call>{std::move(*call)};
  }

  bool check() {
    if (!options.check)
      return true;
    auto summary = checkCalls(*unsharded, calls,
                              given.weights.value_or(tpcrt::WeightSource()));
    if (failed(summary))
      return failQuietly();
    report.check = *summary;
    llvm::outs() << llvm::formatv(
        "Check against the unsharded reference: largest difference {0:e2}, "
        "values up to {1:f3}: {2}\n",
        summary->maxAbsDiff, summary->maxAbsValue,
        summary->ok ? "ok" : "WRONG");
    return true;
  }

  //===--------------------------------------------------------------------===//
  // Results
  //===--------------------------------------------------------------------===//

  /// Which output goes to which file; checked before anything runs.
  bool matchOutputs() {
    for (const tpcrt::OutputSpec &spec : given.outputs) {
      auto found = llvm::find(outputNames, spec.name);
      if (found == outputNames.end())
        return fail("--output: there is no output \"" + spec.name +
                    "\"; expected one of: " + llvm::join(outputNames, ", "));
      outputFiles.push_back({unsigned(found - outputNames.begin()), spec.path});
    }
    return true;
  }

  /// Writes all files that were asked for, or none; prints the outputs if they
  /// go to no file.
  bool writeFiles() {
    std::vector<tpcrt::OutputFile> files;
    auto add = [&](tpcrt::Result<tpcrt::OutputFile> file) {
      if (!file)
        return fail(file.error().message);
      files.push_back(std::move(*file));
      return true;
    };
    for (const auto &[index, path] : outputFiles)
      if (!add(tpcrt::prepareNpy(path, outputs[index])))
        return false;
    if (options.save && !add(tpcrt::prepareArtifactFile(
                            *options.save, artifact.data(), artifact.size())))
      return false;
    if (options.report && !add(prepareReport()))
      return false;
    if (auto committed = tpcrt::commitAll(std::move(files)); !committed)
      return fail(committed.error().message);
    if (program && outputFiles.empty() && !options.quiet)
      for (auto [name, value] : llvm::zip_equal(outputNames, outputs))
        llvm::outs() << name << " = " << tpcrt::formatTensor(value) << "\n";
    return true;
  }

  tpcrt::Result<tpcrt::OutputFile> prepareReport() {
    auto file = tpcrt::OutputFile::create(*options.report);
    if (!file)
      return file;
    std::string json = toJson(report);
    if (auto written = file->write(json.data(), json.size()); !written)
      return tl::unexpected(written.error());
    return file;
  }

  MLIRContext &context;
  const RunOptions &options;
  Given given;
  OwningOpRef<ModuleOp> module, unsharded;
  Report report;
  std::string entryName;
  std::vector<uint8_t> artifact;
  std::unique_ptr<tpcrt::Executable> executable;
  const tpcrt::ProgramInfo *program = nullptr;
  std::vector<Call> calls;
  std::vector<std::string> outputNames;
  std::vector<tpcrt::HostTensor> outputs;
  std::vector<std::pair<unsigned, std::string>> outputFiles;
  int code = 0;
};

} // namespace

/// "mlp.mlir:4:9: ", with the name of the part of the model if there is one;
/// the tool's name where nothing is known.
static std::string place(Location location) {
  std::string text;
  if (auto file = location->findInstanceOf<FileLineColLoc>())
    text = llvm::formatv("{0}:{1}:{2}: ", file.getFilename().getValue(),
                         file.getLine(), file.getColumn());
  if (auto name = location->findInstanceOf<NameLoc>())
    text += name.getName().str() + ": ";
  return text.empty() ? "tpc-run: " : text;
}

static void printDiagnostic(Diagnostic &diagnostic) {
  StringRef kind =
      diagnostic.getSeverity() == DiagnosticSeverity::Error ? "error" : "note";
  llvm::errs() << place(diagnostic.getLocation()) << kind << ": " << diagnostic
               << "\n";
  for (Diagnostic &note : diagnostic.getNotes())
    printDiagnostic(note);
}

int main(int argc, char **argv) {
  llvm::InitLLVM init(argc, argv);
  std::set_new_handler([] {
    llvm::errs() << "tpc-run: error: out of memory\n";
    std::_Exit(1);
  });
  RunOptions options = parseOptions(argc, argv);
  if (options.calibrate)
    return calibrateMachine(*options.calibrate, options.threads);
  DialectRegistry registry;
  registerDialects(registry);
  MLIRContext context(registry, MLIRContext::Threading::DISABLED);
  context.loadAllAvailableDialects();
  context.printOpOnDiagnostic(false);
  context.getDiagEngine().registerHandler(printDiagnostic);
  return Session(context, options).run();
}
