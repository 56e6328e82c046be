//===- Fit.cpp - On how many devices a model belongs ----------------------===//
//
// One import, then one assignment per mesh of a clone of the module. Times and
// memory are those that the cost model predicts for the assignment; no program
// is made of it.
//
//===----------------------------------------------------------------------===//

#include "Fit.h"
#include "FitTable.h"
#include "Inputs.h"
#include "tpc/Driver/Compilation.h"
#include "tpc/Driver/Diagnostics.h"
#include "tpc/Pipeline/Units.h"
#include "tpcrt/OutputFile.h"
#include "llvm/ADT/SmallVectorExtras.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using namespace tpc;

static tpcrt::Result<void> writeText(const std::string &path,
                                     const std::string &text) {
  auto file = tpcrt::prepareText(path, text);
  if (!file)
    return tl::unexpected(file.error());
  return file->commit();
}

//===----------------------------------------------------------------------===//
// Meshes
//===----------------------------------------------------------------------===//

/// 1, 2, 4, ... and `most`.
static std::vector<int64_t> deviceCounts(int64_t most) {
  std::vector<int64_t> counts;
  for (int64_t count = 1; count < most; count *= 2)
    counts.push_back(count);
  counts.push_back(most);
  return counts;
}

/// The meshes of `count` devices. In mode auto an axis splits whatever it
/// should whatever its name, so that dp=N is tp=N, and among devices that one
/// link joins dp=A,tp=B is dp=B,tp=A.
static std::vector<std::string> meshesOf(int64_t count, const Machine &machine,
                                         StringRef mode) {
  std::vector<std::string> meshes{llvm::formatv("tp={0}", count)};
  int64_t near = machine.links.empty() ? 0 : machine.links.front().devices;
  bool isOneLink = near == 0 || near >= count;
  for (int64_t dp = 2; dp < count; ++dp)
    if (count % dp == 0 && (mode != "auto" || !isOneLink || dp * dp <= count))
      meshes.push_back(llvm::formatv("dp={0},tp={1}", dp, count / dp));
  if (mode != "auto" && count > 1)
    meshes.push_back(llvm::formatv("dp={0}", count));
  return meshes;
}

//===----------------------------------------------------------------------===//
// What is counted
//===----------------------------------------------------------------------===//

/// What one call handles: its token inputs, or rows of its first input.
static double unitsOf(func::FuncOp function, bool tokens) {
  for (unsigned i = 0; i < function.getNumArguments(); ++i) {
    auto type = cast<RankedTensorType>(function.getArgumentTypes()[i]);
    if (tokens && argumentName(function, i) == "input_ids")
      return static_cast<double>(type.getNumElements());
    if (!tokens && type.getRank() > 0)
      return static_cast<double>(type.getDimSize(0));
  }
  return 1;
}

static bool hasTokens(func::FuncOp function) {
  for (unsigned i = 0; i < function.getNumArguments(); ++i)
    if (argumentName(function, i) == "input_ids")
      return true;
  return false;
}

/// The two moments of AdamW in f32, split like their parameters.
static constexpr int64_t kMomentBytes = 8;

static int64_t momentBytes(ModuleOp module) {
  llvm::DenseSet<StringAttr> trained = trainedParameters(module);
  Mesh mesh = toMesh(*module.getOps<MeshOp>().begin());
  int64_t sum = 0;
  for (auto parameter : module.getOps<ParameterOp>())
    if (trained.contains(parameter.getSymNameAttr()))
      sum += kMomentBytes *
             localType(parameter.getTensorType(), mesh).getNumElements();
  return sum;
}

//===----------------------------------------------------------------------===//
// Trying
//===----------------------------------------------------------------------===//

namespace {
class Fit {
public:
  Fit(MLIRContext &context, const RunOptions &options)
      : context(context), options(options) {}

  tpcrt::Result<FitTable> run() {
    std::string error;
    auto machine = machineByNameOrFile(options.machine, error);
    if (failed(machine))
      return tpcrt::makeError("--fit: " + error);
    if (auto imported = importModel(); !imported)
      return tl::unexpected(imported.error());
    table.model = options.model;
    table.machine = machine->name;
    table.memoryLimit = options.memoryLimit;
    table.maxDevices = *options.fitDevices;
    for (int64_t count : deviceCounts(table.maxDevices))
      for (const std::string &mesh : meshesOf(count, *machine, options.mode)) {
        auto row = tryMesh(mesh);
        if (!row)
          return tl::unexpected(row.error());
        table.rows.push_back(std::move(*row));
      }
    return std::move(table);
  }

private:
  tpcrt::Result<void> importModel() {
    auto given = readGiven(options);
    if (!given)
      return tl::unexpected(given.error());
    DiagnosticCollector said(&context);
    module = loadModel(&context, options, *given);
    if (!module)
      return said.error();
    auto functions = llvm::to_vector(module->getOps<func::FuncOp>());
    if (functions.empty())
      return tpcrt::makeError(options.model +
                              ": expected a function, found none");
    if (auto kept = keepEntry(functions); !kept)
      return kept;
    auto counted = module->getOps<func::FuncOp>();
    table.unit = llvm::all_of(counted, hasTokens) ? "tokens" : "rows";
    table.trains = !trainedParameters(*module).empty();
    return {};
  }

  /// Of the functions of a .mlir file --entry names one.
  tpcrt::Result<void> keepEntry(ArrayRef<func::FuncOp> functions) {
    if (!options.entry)
      return {};
    auto names = llvm::map_to_vector(
        functions, [](func::FuncOp function) { return function.getName(); });
    if (!llvm::is_contained(names, *options.entry))
      return tpcrt::makeError(
          "--entry: there is no function \"" + *options.entry +
          "\"; expected one of: " + llvm::join(names, ", "));
    for (func::FuncOp function : functions)
      if (function.getName() != *options.entry)
        function.erase();
    return {};
  }

  /// The plan of a mode within `limit`, whether it fits or not.
  FailureOr<FitRow> plan(const std::string &mesh, const std::string &mode,
                         std::optional<int64_t> limit) {
    CompileOptions compile;
    compile.mesh = mesh;
    compile.assign.mode = mode;
    compile.assign.machine = options.machine;
    compile.assign.memoryLimit = limit;
    compile.assign.optimizerBytes = kMomentBytes;
    compile.assign.weights = options.mix;
    compile.assign.timeLimit = options.searchTime;
    compile.name = options.model;
    Compilation compilation(module->clone(), compile);
    if (failed(compilation.setMesh()) || failed(compilation.assign()))
      return failure();
    const Report &report = compilation.report();
    FitRow row;
    row.mesh = mesh;
    row.devices =
        toMesh(*compilation.module().getOps<MeshOp>().begin()).numDevices();
    row.entries = report.predicted;
    row.micros = report.weightedMicros;
    if (report.search)
      row.gap = report.search->gap;
    for (const EntryPrediction &entry : row.entries)
      row.peakBytes = std::max(row.peakBytes, entry.peakBytes);
    row.momentBytes = momentBytes(compilation.module());
    countUnits(report);
    return row;
  }

  /// What the calls of FitRow::micros handle; the same on every mesh.
  void countUnits(const Report &report) {
    table.units = 0;
    for (auto [entry, weight] :
         llvm::zip_equal(report.predicted, report.weights))
      table.units +=
          weight * unitsOf(module->lookupSymbol<func::FuncOp>(entry.entry),
                           table.unit == "tokens");
  }

  std::string tooMuch(const FitRow &row) const {
    return "it takes " + bytesText(row.bytes()) + " of " +
           bytesText(*options.memoryLimit) + " per device";
  }

  bool fits(const FitRow &row) const {
    return !options.memoryLimit || row.bytes() <= *options.memoryLimit;
  }

  tpcrt::Result<FitRow> tryMesh(const std::string &mesh) {
    DiagnosticCollector said(&context);
    FailureOr<FitRow> row = plan(mesh, options.mode, options.memoryLimit);
    if (failed(row))
      return planByHand(mesh, said.error().value());
    if (!fits(*row))
      row->reason = tooMuch(*row);
    return std::move(*row);
  }

  /// Where the search ended with an error: the plan of mode megatron, which
  /// splits what it can, to see how much that takes. Where there is none,
  /// either, memory is not what is wrong.
  tpcrt::Result<FitRow> planByHand(const std::string &mesh,
                                   const tpcrt::Error &error) {
    if (!options.memoryLimit || options.mode != "auto")
      return tl::unexpected(error);
    DiagnosticCollector ignored(&context);
    FailureOr<FitRow> row = plan(mesh, "megatron", std::nullopt);
    if (failed(row))
      return tl::unexpected(error);
    // Of what comes on top the message says nothing.
    if (!fits(*row))
      row->reason = row->peakBytes <= *options.memoryLimit
                        ? tooMuch(*row)
                        : withoutPlace(error.message);
    return std::move(*row);
  }

  /// "config.json:1:1: error: what is wrong" -> "what is wrong"
  static std::string withoutPlace(StringRef message) {
    auto [place, rest] = message.split("error: ");
    return (rest.empty() ? place : rest).str();
  }

  MLIRContext &context;
  const RunOptions &options;
  OwningOpRef<ModuleOp> module;
  FitTable table;
};
} // namespace

int tpc::fitModel(MLIRContext &context, const RunOptions &options) {
  auto fail = [](const tpcrt::Error &error) {
    llvm::errs() << "tpc-run: error: " << error.message << "\n";
    return 1;
  };
  auto table = Fit(context, options).run();
  if (!table)
    return fail(table.error());
  if (options.report)
    if (auto written = writeText(*options.report, toJson(*table)); !written)
      return fail(written.error());
  llvm::outs() << fitText(*table);
  return 0;
}
