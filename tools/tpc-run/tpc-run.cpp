//===- tpc-run.cpp - Compiles a model for a mesh and runs it --------------===//

#include "Calibrate.h"
#include "Check.h"
#include "Compare.h"
#include "Doctor.h"
#include "Fit.h"
#include "Inputs.h"
#include "Options.h"
#include "Profile.h"
#include "tpc/Driver/Compilation.h"
#include "tpc/Driver/Diagnostics.h"
#include "tpc/Import/HuggingFace.h"
#include "tpc/Pipeline/Pipeline.h"
#include "tpcrt/Diagnosis.h"
#include "tpcrt/Launched.h"
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
      : context(context), options(options) {}

  /// Beside the others, if a launcher started several processes.
  int run() {
    if (!joinProcesses())
      return code;
    runPhases();
    if (code)
      launched.giveUp("tpc-run ended with an error");
    else
      leaveProcesses();
    return code;
  }

private:
  void runPhases() {
    if (!checkOptions() || !readInputs() || !importModel() ||
        emitted("whole") || !measureUnsharded() || !assign() ||
        emitted("assigned") || !phase(&Compilation::partition) ||
        emitted("program") || !phase(&Compilation::verify))
      return;
    if (plansMemory() && (!phase(&Compilation::plan) || emitted("plan")))
      return;
    if (!compareWith())
      return;
    if (!options.quiet)
      llvm::outs() << planText(compilation->report())
                   << "Proved: the per-device program computes the whole model"
                   << (plansMemory()
                           ? ", and in its memory plan every read sees\nthe "
                             "value that it means.\n\n"
                           : ".\n");
    if (!options.dryRun || options.save)
      if (!emitKernels())
        return;
    if (!options.dryRun)
      if (!comparable() || !load() || !execute())
        return;
    // The results are the same everywhere; rank 0 goes on alone.
    if (!leaveProcesses() || !launched.isLeader() || !check() || !writeFiles())
      return;
    if (const auto &check = compilation->report().check; check && !check->ok)
      code = 1;
  }

  bool fail(const Twine &message) {
    llvm::errs() << "tpc-run: error: " << message << "\n";
    code = 1;
    return false;
  }

  //===--------------------------------------------------------------------===//
  // Processes
  //===--------------------------------------------------------------------===//

  /// All processes do the same, but one speaks and writes.
  bool joinProcesses() {
    tpcrt::GroupOptions group;
    group.startTimeout = toMilliseconds(options.startTimeout);
    group.timeout = toMilliseconds(options.timeout);
    group.fingerprint = "tpc " TPC_VERSION;
    auto joined = tpcrt::Launched::join(group, options.load.faults);
    if (!joined)
      return fail(joined.error().message);
    launched = std::move(*joined);
    if (!launched.group())
      return true;
    auto same = launched.group()->agree("options", commonOptions());
    return same ? true : fail(same.error().message);
  }

  /// What must not differ between processes; artifacts are compared as well.
  std::string commonOptions() const {
    return llvm::formatv(
        "mesh {0}, mode {1}, entry {2}, element {3}, batch {4}, length {5}, "
        "tokens {6}, repeat {7}",
        options.mesh.value_or("of the model"),
        options.plan ? "of a plan" : options.mode,
        options.entry.value_or("default"), options.element,
        options.batch.value_or(0), options.length.value_or(0),
        options.newTokens, options.repeat);
  }

  /// One process searches for all: they would not find the same plan where the
  /// time limit ends the search.
  bool sharesPlan() const {
    return launched.group() && !options.plan && options.mode == "auto";
  }

  bool assign() {
    if (sharesPlan() && !launched.isLeader()) {
      auto plans = exchangePlans("");
      if (!plans)
        return fail(plans.error().message);
      compilation->follow({"of rank 0", std::move(plans->front())});
    }
    if (!phase(&Compilation::assign))
      return false;
    if (!sharesPlan() || !launched.isLeader())
      return true;
    auto sent = exchangePlans(compilation->planFile());
    return sent ? true : fail(sent.error().message);
  }

  tpcrt::Result<std::vector<std::string>>
  exchangePlans(const std::string &own) const {
    return launched.group()->exchange("plan", own,
                                      toMilliseconds(options.startTimeout));
  }

  bool leaveProcesses() {
    auto left = launched.leave();
    return left ? true : fail(left.error().message);
  }

  bool failQuietly() {
    code = 1;
    return false;
  }

  /// Prints the module and ends the run if the user wants to see this form.
  bool emitted(StringRef form) {
    if (options.emit != form)
      return false;
    compilation->module().print(llvm::outs());
    llvm::outs() << "\n";
    return true;
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
    if (options.newTokens && options.entry)
      return fail("--max-new-tokens runs the entries prefill and decode; leave "
                  "--entry out");
    if (options.newTokens && options.logits != "last")
      return fail("--max-new-tokens needs the logits of the last tokens; leave "
                  "--logits out");
    if (auto good = options.sampling.check(); !good)
      return fail(good.error().message);
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
    auto begin = std::chrono::steady_clock::now();
    OwningOpRef<ModuleOp> module = loadModel(&context, options, given);
    if (!module)
      return failQuietly();
    if (!chooseEntry(*module))
      return false;
    compilation.emplace(std::move(module), compileOptions());
    if (failed(compilation->setMesh()))
      return failQuietly();
    // What is compared with is the module as it came.
    if (options.check)
      unsharded = compilation->module().clone();
    if (options.compare)
      undecided = compilation->module().clone();
    addSeconds("import", begin);
    return true;
  }

  CompileOptions compileOptions() const {
    CompileOptions compile;
    compile.mesh = options.mesh;
    compile.device = options.device;
    compile.assign.mode = options.mode;
    compile.assign.plan = options.plan;
    if (options.explain && launched.isLeader()) {
      compile.explain.emplace();
      if (!options.explain->empty())
        compile.explain->value = *options.explain;
    }
    compile.reportValues = options.compare.has_value();
    compile.writePlan = options.planOut || sharesPlan();
    compile.assign.machine = options.machine;
    compile.assign.memoryLimit = options.memoryLimit;
    compile.assign.weights = options.mix;
    compile.assign.pins = options.pins;
    compile.assign.timeLimit = options.searchTime;
    compile.entry = entryName;
    compile.name = options.model;
    compile.threads = options.load.threads;
    return compile;
  }

  /// Compiles the model once more, as --compare says.
  bool compareWith() {
    if (!options.compare || !launched.isLeader())
      return true;
    auto other = optionsToCompare(compileOptions(), *options.compare,
                                  compilation->report().mesh);
    if (!other)
      return fail(other.error().message);
    Compilation second(std::move(undecided), std::move(*other));
    if (failed(second.assign()) || failed(second.partition()) ||
        failed(second.verify()) || (plansMemory() && failed(second.plan())))
      return failQuietly();
    if (*options.compare == "data")
      second.report().mode = "data";
    compilation->report().comparison =
        comparePlans(compilation->report(), second.report());
    return true;
  }

  void addSeconds(StringRef phase,
                  std::chrono::steady_clock::time_point begin) {
    std::chrono::duration<double> elapsed =
        std::chrono::steady_clock::now() - begin;
    compilation->report().seconds.push_back({phase.str(), elapsed.count()});
  }

  bool phase(LogicalResult (Compilation::*run)()) {
    return succeeded((*compilation.*run)()) || failQuietly();
  }

  /// Kernels and memory are planned for the CPU, on which programs run. A plan
  /// for another machine that is not run goes without.
  bool plansMemory() const {
    return !options.dryRun || options.save || options.machine == "cpu" ||
           options.emit == "plan";
  }

  bool measureUnsharded() {
    return !options.emit.empty() || !plansMemory() ||
           phase(&Compilation::measureUnsharded);
  }

  /// The function that the user wants, by name or because it is the only one.
  bool chooseEntry(ModuleOp module) {
    if (!options.emit.empty())
      return true;
    SmallVector<StringRef> names;
    for (func::FuncOp function : module.getOps<func::FuncOp>())
      names.push_back(function.getName());
    if (names.empty())
      return fail(options.model + ": expected a function, found none");
    // The importer puts the entry that comes first in use first.
    bool ordered = isHuggingFaceDirectory(options.model) || options.newTokens;
    if (!options.entry && names.size() > 1 && !ordered)
      return fail("expected --entry with one of: " + llvm::join(names, ", "));
    entryName = options.entry.value_or(options.newTokens ? "prefill"
                                                         : names.front().str());
    if (options.newTokens && (!llvm::is_contained(names, "prefill") ||
                              !llvm::is_contained(names, "decode")))
      return fail(
          "--max-new-tokens: expected the functions prefill and decode, "
          "found " +
          llvm::join(names, ", "));
    if (!llvm::is_contained(names, entryName))
      return fail("--entry: there is no function \"" + entryName +
                  "\"; expected one of: " + llvm::join(names, ", "));
    return true;
  }

  bool emitKernels() {
    auto bytes = compilation->emit();
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
    auto begin = std::chrono::steady_clock::now();
    tpcrt::LoadOptions load = options.load;
    load.processes = launched.group();
    auto loaded = tpcrt::Executable::load(
        *artifact, given.weights.value_or(tpcrt::WeightSource()), load);
    if (!loaded)
      return fail(loaded.error().message);
    executable = std::move(*loaded);
    addSeconds("load", begin);
    program = executable->findProgram(entryName);
    if (options.newTokens)
      if (auto fits =
              DecoderPrograms{executable.get(), executable.get()}.check();
          !fits)
        return fail(fits.error().message);
    return program ? true : fail("the artifact has no program " + entryName);
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
    outputNames = options.newTokens
                      ? std::vector<std::string>{"tokens", "logits"}
                      : names(program->outputs);
    if (!matchOutputs())
      return false;
    for (unsigned i = 0; i < options.repeat; ++i) {
      calls.clear();
      auto made = options.newTokens ? generateTokens(inputs) : runOnce(inputs);
      if (!made)
        return fail(made.error().message);
      double ms = 0;
      for (const Call &call : calls)
        ms += call.ms;
      compilation->report().runsMs.push_back(ms);
    }
    if (options.newTokens)
      reportGeneration();
    if (options.load.profile)
      printProfile(executable->profile(), llvm::outs());
    outputs = calls[0].outputs;
    if (options.newTokens)
      outputs = {std::move(generated.tokens), generatedLogits()};
    compilation->report().runtimeJson = tpcrt::toJson(executable->statistics());
    return true;
  }

  void reportGeneration() {
    for (const Call &call : calls)
      compilation->report().generationMs.push_back(call.ms);
    if (options.quiet)
      return;
    llvm::outs() << llvm::formatv(
        "Generated {0} tokens per row: prefill {1:f1} ms", calls.size(),
        calls.front().ms);
    if (calls.size() > 1)
      llvm::outs() << llvm::formatv(
          ", then {0:f2} ms per token",
          (compilation->report().runsMs.back() - calls.front().ms) /
              (calls.size() - 1));
    llvm::outs() << "\n";
  }

  /// Every run starts from the same states, so that --check holds for all.
  tpcrt::Result<void> runOnce(const std::vector<tpcrt::HostTensor> &inputs) {
    if (auto reset = executable->resetStates(); !reset)
      return reset;
    auto begin = std::chrono::steady_clock::now();
    auto result = executable->run(entryName, inputs);
    std::chrono::duration<double, std::milli> elapsed =
        std::chrono::steady_clock::now() - begin;
    if (!result)
      return tl::unexpected(result.error());
    calls.push_back({entryName, inputs, std::move(*result), elapsed.count()});
    return {};
  }

  tpcrt::Result<void>
  generateTokens(const std::vector<tpcrt::HostTensor> &inputs) {
    GenerationOptions generation;
    generation.count = options.newTokens;
    generation.sampling = options.sampling;
    generation.onCall = [this](const Call &call) { calls.push_back(call); };
    auto made =
        generate({executable.get(), executable.get()}, inputs, generation);
    if (!made)
      return tl::unexpected(made.error());
    generated = std::move(*made);
    return {};
  }

  /// The logits that the tokens were chosen by: [b, count, vocabulary].
  tpcrt::HostTensor generatedLogits() const {
    const tpcrt::HostTensor &first = calls.front().outputs[0];
    uint64_t batch = first.shape()[0], count = calls.size();
    tpcrt::HostTensor logits(first.type(), {batch, count, first.shape()[1]});
    uint64_t rowBytes = first.byteSize() / batch;
    for (auto [step, made] : llvm::enumerate(calls))
      for (uint64_t row = 0; row < batch; ++row)
        std::memcpy(logits.data() + (row * count + step) * rowBytes,
                    made.outputs[0].data() + row * rowBytes, rowBytes);
    return logits;
  }

  bool check() {
    if (!options.check)
      return true;
    auto summary = checkCalls(*unsharded, calls,
                              given.weights.value_or(tpcrt::WeightSource()));
    if (failed(summary))
      return failQuietly();
    compilation->report().check = *summary;
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
    if (options.save && !add(artifact->prepareFile(*options.save)))
      return false;
    if (options.report && !add(tpcrt::prepareText(
                              *options.report, toJson(compilation->report()))))
      return false;
    if (options.planOut &&
        !add(tpcrt::prepareText(*options.planOut, compilation->planFile())))
      return false;
    if (auto committed = tpcrt::commitAll(std::move(files)); !committed)
      return fail(committed.error().message);
    if (program && outputFiles.empty() && !options.quiet)
      for (auto [name, value] : llvm::zip_equal(outputNames, outputs))
        llvm::outs() << name << " = " << tpcrt::formatTensor(value) << "\n";
    return true;
  }

  MLIRContext &context;
  const RunOptions &options;
  tpcrt::Launched launched;
  Given given;
  std::optional<Compilation> compilation;
  OwningOpRef<ModuleOp> unsharded, undecided;
  std::string entryName;
  std::optional<tpcrt::ArtifactBytes> artifact;
  std::unique_ptr<tpcrt::Executable> executable;
  const tpcrt::ProgramInfo *program = nullptr;
  std::vector<Call> calls;
  Generated generated;
  std::vector<std::string> outputNames;
  std::vector<tpcrt::HostTensor> outputs;
  std::vector<std::pair<unsigned, std::string>> outputFiles;
  int code = 0;
};

int printDiagnosis(const std::string &folder) {
  auto text = tpcrt::diagnose(folder);
  if (!text) {
    llvm::errs() << "tpc-run: error: " << text.error().message << "\n";
    return 1;
  }
  llvm::outs() << *text;
  return 0;
}

} // namespace

int main(int argc, char **argv) {
  llvm::InitLLVM init(argc, argv);
  std::set_new_handler([] {
    llvm::errs() << "tpc-run: error: out of memory\n";
    std::_Exit(1);
  });
  RunOptions options = parseOptions(argc, argv);
  if (options.calibrate)
    return calibrateMachine(*options.calibrate, options.load.threads);
  if (options.doctor)
    return examineMachine(options.machineOut);
  if (options.diagnose)
    return printDiagnosis(*options.diagnose);
  CompilerContext context;
  printDiagnostics(context, "tpc-run");
  if (options.fitDevices)
    return fitModel(context, options);
  return Session(context, options).run();
}
