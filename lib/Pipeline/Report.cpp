//===- Report.cpp - What a compile and its runs amount to -----------------===//

#include "tpc/Pipeline/Report.h"
#include "Compared.h"
#include "Explained.h"
#include "tpc/Pipeline/Units.h"
#include "tpc/Sharding/CostModel.h"
#include "tpc/Sharding/Explanation.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using namespace tpc;

//===----------------------------------------------------------------------===//
// Collecting
//===----------------------------------------------------------------------===//

static std::string shapeText(ArrayRef<int64_t> shape) {
  if (shape.empty())
    return "scalar";
  return llvm::join(
      llvm::map_range(shape, [](int64_t n) { return std::to_string(n); }), "x");
}

static std::string locationText(Location location) {
  std::string text;
  llvm::raw_string_ostream os(text);
  if (auto name = location->findInstanceOf<NameLoc>())
    return name.getName().str();
  if (auto file = location->findInstanceOf<FileLineColLoc>())
    os << file.getFilename().getValue() << ':' << file.getLine();
  return text;
}

static void summarizeParameters(ModuleOp module, const Mesh &mesh,
                                Report &report) {
  std::map<std::pair<std::string, void const *>, size_t> known;
  for (auto parameter : module.getOps<ParameterOp>()) {
    RankedTensorType type = parameter.getTensorType();
    std::string pattern = layerPattern(parameter.getSymName());
    auto [it, fresh] = known.try_emplace({pattern, type.getAsOpaquePointer()},
                                         report.parameters.size());
    if (fresh)
      report.parameters.emplace_back();
    ParameterSummary &summary = report.parameters[it->second];
    ++summary.count;
    summary.pattern = pattern;
    summary.shape = shapeText(type.getShape());
    summary.local = shapeText(localType(type, mesh).getShape());
    summary.sharding = describeSharding(getSharding(type).getValue());
  }
}

/// One collective, or nothing for other operations.
static std::optional<CollectiveSummary> summarize(Operation *op,
                                                  const Mesh &mesh) {
  CollectiveSummary summary;
  std::optional<CollectiveKind> kind = collectiveKind(op);
  if (!kind)
    return std::nullopt;
  summary.kind = op->getName().stripDialect().str();
  if (auto reduction = op->getAttrOfType<ReductionAttr>("reduction"))
    summary.reduction = stringifyReduction(reduction.getValue()).str();
  auto axes = op->getAttrOfType<AxesAttr>("axes").getAxes();
  summary.axes = llvm::join(
      llvm::map_range(axes, [](const AxisRef &a) { return a.name.str(); }),
      ",");
  summary.bytes =
      std::max(tensorBytes(cast<RankedTensorType>(op->getOperand(0).getType())),
               tensorBytes(cast<RankedTensorType>(op->getResult(0).getType())));
  summary.sent = sentBytes(*kind, summary.bytes, mesh.size(axes));
  if (auto origin = op->getAttrOfType<OriginAttr>("origin"))
    summary.origin = layerPattern(explainOrigin(origin));
  summary.location = locationText(op->getLoc());
  summary.count = 1;
  return summary;
}

std::vector<CollectiveSummary>
tpc::summarizeCollectives(spmd::ProgramOp program, const Mesh &mesh) {
  std::vector<CollectiveSummary> collectives;
  program.walk([&](Operation *op) {
    std::optional<CollectiveSummary> summary = summarize(op, mesh);
    if (!summary)
      return;
    for (CollectiveSummary &known : collectives)
      if (known.kind == summary->kind &&
          known.reduction == summary->reduction &&
          known.axes == summary->axes && known.bytes == summary->bytes &&
          known.origin == summary->origin) {
        ++known.count;
        return;
      }
    collectives.push_back(std::move(*summary));
  });
  return collectives;
}

void tpc::summarizeProgram(spmd::ProgramOp program, const Mesh &mesh,
                           Report &report) {
  for (auto [name, size] : llvm::zip_equal(mesh.names, mesh.sizes))
    report.mesh.push_back({name.str(), size});
  summarizeParameters(program->getParentOfType<ModuleOp>(), mesh, report);
  report.collectives = summarizeCollectives(program, mesh);
}

//===----------------------------------------------------------------------===//
// JSON
//===----------------------------------------------------------------------===//

/// By entry: the whole of it, and its parts.
static llvm::json::Object predictedJson(const Report &report) {
  llvm::json::Object entries;
  for (const EntryPrediction &entry : report.predicted) {
    llvm::json::Array parts;
    for (const PartPrediction &part : entry.parts)
      parts.push_back(
          llvm::json::Object{{"part", part.part},
                             {"operations", part.operations},
                             {"reshards", part.reshards},
                             {"compute_us", part.computeMicros},
                             {"communication_us", part.communicationMicros}});
    llvm::json::Array again;
    for (const RecomputedPart &part : entry.again)
      again.push_back(llvm::json::Object{
          {"what", part.what}, {"count", part.count}, {"us", part.micros}});
    entries[entry.entry] =
        llvm::json::Object{{"compute_us", entry.computeMicros},
                           {"communication_us", entry.communicationMicros},
                           {"peak_bytes", entry.peakBytes},
                           {"parts", std::move(parts)},
                           {"again", std::move(again)}};
  }
  return entries;
}

static llvm::json::Object stepsJson(ArrayRef<StepSummary> entries) {
  llvm::json::Object object;
  for (const StepSummary &steps : entries)
    object[steps.entry] =
        llvm::json::Object{{"kernels", steps.kernels},
                           {"matmuls", steps.matmuls},
                           {"attentions", steps.attentions},
                           {"collectives", steps.collectives},
                           {"groups", steps.groups},
                           {"grouped", steps.grouped},
                           {"kernels_per_layer", steps.kernelsPerLayer}};
  return object;
}

static llvm::json::Object memoryJson(const MemorySummary &memory) {
  llvm::json::Object object{{"weights", memory.weights},
                            {"states", memory.states},
                            {"activations", memory.activations},
                            {"communication", memory.communication},
                            {"peak", memory.peak},
                            {"unsharded_peak", memory.unshardedPeak}};
  if (const auto &reserved = memory.reserved)
    object["reserved"] = llvm::json::Object{
        {"weights", reserved->weights}, {"packed", reserved->packed},
        {"states", reserved->states},   {"arena", reserved->arena},
        {"scratch", reserved->scratch}, {"total", reserved->total()}};
  return object;
}

std::string tpc::toJson(const Report &report) {
  using llvm::json::Array;
  using llvm::json::Object;
  Object mesh;
  for (const auto &[name, size] : report.mesh)
    mesh[name] = size;
  Array parameters;
  for (const ParameterSummary &p : report.parameters)
    parameters.push_back(Object{{"pattern", p.pattern},
                                {"shape", p.shape},
                                {"local", p.local},
                                {"sharding", p.sharding},
                                {"count", p.count}});
  Array collectives;
  for (const CollectiveSummary &c : report.collectives)
    collectives.push_back(Object{{"kind", c.kind},
                                 {"reduction", c.reduction},
                                 {"axes", c.axes},
                                 {"bytes", c.bytes},
                                 {"sent", c.sent},
                                 {"count", c.count},
                                 {"origin", c.origin},
                                 {"location", c.location}});
  Object seconds;
  for (const auto &[phase, value] : report.seconds)
    seconds[phase] = value;
  Object root{{"version", 1},
              {"mesh", std::move(mesh)},
              {"mode", report.mode},
              {"parameters", std::move(parameters)},
              {"collectives", std::move(collectives)},
              {"memory", memoryJson(report.memory)},
              {"machine", report.machine},
              {"predicted", predictedJson(report)},
              {"kernels", report.kernels},
              {"steps", stepsJson(report.steps)},
              {"seconds", std::move(seconds)},
              {"runs_ms", Array(report.runsMs)}};
  if (!report.generationMs.empty())
    root["generation"] = Object{
        {"prefill_ms", report.generationMs.front()},
        {"decode_ms", Array(ArrayRef(report.generationMs).drop_front())}};
  if (report.search) {
    double seconds = 0;
    for (const auto &[phase, value] : report.seconds)
      if (phase == "assign")
        seconds = value;
    const SearchSummary &search = *report.search;
    root["search"] = Object{{"cost_us", search.costMicros},
                            {"lower_bound_us", search.lowerBoundMicros},
                            {"gap", search.gap},
                            {"nodes", search.nodes},
                            {"strategies", search.strategies},
                            {"reduced_nodes", search.reducedNodes},
                            {"reduced_strategies", search.reducedStrategies},
                            {"limited_by", search.limitedBy},
                            {"seconds", seconds}};
  }
  if (report.explanation)
    root["explanation"] = explanationJson(*report.explanation);
  if (report.comparison)
    root["comparison"] = comparisonJson(*report.comparison);
  if (report.check)
    root["check"] = Object{{"max_abs_diff", report.check->maxAbsDiff},
                           {"max_abs_value", report.check->maxAbsValue},
                           {"ok", report.check->ok}};
  if (!report.runtimeJson.empty()) {
    llvm::Expected<llvm::json::Value> runtime =
        llvm::json::parse(report.runtimeJson);
    if (runtime)
      root["runtime"] = std::move(*runtime);
    else
      llvm::consumeError(runtime.takeError());
  }
  return llvm::formatv("{0:2}\n", llvm::json::Value(std::move(root))).str();
}

//===----------------------------------------------------------------------===//
// Text
//===----------------------------------------------------------------------===//

/// Words separated by commas, broken into lines of at most 100 characters.
static void printWrapped(llvm::raw_ostream &os, ArrayRef<std::string> words,
                         StringRef indent) {
  constexpr size_t width = 100;
  size_t column = 0;
  for (auto [i, word] : llvm::enumerate(words)) {
    std::string text = word + (i + 1 < words.size() ? "," : "");
    if (column == 0 || column + 1 + text.size() > width) {
      os << (column ? "\n" : "") << indent << text;
      column = indent.size() + text.size();
    } else {
      os << ' ' << text;
      column += 1 + text.size();
    }
  }
  os << '\n';
}

static void printParameters(llvm::raw_ostream &os, const Report &report) {
  os << "Parameters: whole shape -> what one device holds\n";
  int64_t replicated = 0;
  std::vector<std::string> names;
  for (const ParameterSummary &p : report.parameters) {
    if (p.sharding == "replicated") {
      replicated += p.count;
      names.push_back(p.pattern);
      continue;
    }
    os << llvm::formatv("  {0,3}x {1,-52} {2,14} -> {3,-14} {4}\n", p.count,
                        p.pattern, p.shape, p.local, p.sharding);
  }
  if (names.empty())
    return;
  os << llvm::formatv("  {0,3}x whole on every device:\n", replicated);
  printWrapped(os, names, "       ");
}

static void printCollectives(llvm::raw_ostream &os, const Report &report) {
  int64_t count = 0, sent = 0;
  for (const CollectiveSummary &c : report.collectives) {
    count += c.count;
    sent += c.count * c.sent;
  }
  os << llvm::formatv("Communication: {0} collectives, {1} sent per device and "
                      "run\n",
                      count, bytesText(sent));
  for (const CollectiveSummary &c : report.collectives) {
    os << llvm::formatv("  {0,3}x {1} over {2}, {3} each\n", c.count,
                        c.kind + (c.reduction.empty() ? "" : " " + c.reduction),
                        c.axes, bytesText(c.bytes));
    if (!c.origin.empty())
      os << "       because " << c.origin << "\n";
  }
}

static void printMemory(llvm::raw_ostream &os, const Report &report) {
  const MemorySummary &m = report.memory;
  os << llvm::formatv(
      "Memory per device: {0} (weights {1}, activations {2}, communication "
      "{3}{4}){5}\n",
      bytesText(m.peak), bytesText(m.weights), bytesText(m.activations),
      bytesText(m.communication),
      m.states ? ", states " + bytesText(m.states) : "",
      m.unshardedPeak ? "; on one device: " + bytesText(m.unshardedPeak) : "");
  if (m.reserved)
    os << llvm::formatv(
        "Reserved per device: {0} (packed weights {1}, other "
        "weights {2}, states {3}, arena {4}, scratch {5})\n",
        bytesText(m.reserved->total()), bytesText(m.reserved->packed),
        bytesText(m.reserved->weights), bytesText(m.reserved->states),
        bytesText(m.reserved->arena), bytesText(m.reserved->scratch));
}

/// By entry the time per part of the model; layers are added up.
static void printPredictions(llvm::raw_ostream &os, const Report &report) {
  for (const EntryPrediction &entry : report.predicted) {
    os << llvm::formatv(
        "Predicted on {0}, {1}: {2} a call (compute {3}, communication {4}), "
        "at most {5} per device\n",
        report.machine, entry.entry, microsText(entry.micros()),
        microsText(entry.computeMicros), microsText(entry.communicationMicros),
        bytesText(entry.peakBytes));
    for (const PartPrediction &part : entry.parts)
      if (entry.parts.size() > 1)
        os << llvm::formatv(
            "  {0,-44} {1,5} operations {2,10}  {3,4} reshards {4,10}\n",
            part.part.empty() ? "(unnamed)" : part.part, part.operations,
            microsText(part.computeMicros), part.reshards,
            microsText(part.communicationMicros));
    if (!entry.again.empty())
      os << "  computed or sent again for gradients, to need less memory:\n";
    for (const RecomputedPart &part : entry.again)
      os << llvm::formatv("  {0,4}x {1,-60} {2,10}\n", part.count, part.what,
                          microsText(part.micros));
  }
}

static void printSearch(llvm::raw_ostream &os, const Report &report) {
  if (!report.search)
    return;
  const SearchSummary &search = *report.search;
  double seconds = 0;
  for (const auto &[phase, value] : report.seconds)
    if (phase == "assign")
      seconds = value;
  if (search.gap == 0)
    os << "Search: proven optimal";
  else
    os << llvm::formatv("Search: gap to the proven bound {0:f2} % (limited by: "
                        "{1})",
                        100 * search.gap, search.limitedBy);
  os << llvm::formatv(
      " under the model in {0:f2} s; {1} choices of {2} strategies, after "
      "reductions {3} of {4}\n",
      seconds, search.nodes, search.strategies, search.reducedNodes,
      search.reducedStrategies);
}

std::string tpc::planText(const Report &report) {
  std::string text;
  llvm::raw_string_ostream os(text);
  os << "Plan for mesh ";
  llvm::interleaveComma(report.mesh, os, [&](const auto &axis) {
    os << axis.first << "=" << axis.second;
  });
  os << ", mode " << report.mode << "\n";
  printParameters(os, report);
  printCollectives(os, report);
  printPredictions(os, report);
  printSearch(os, report);
  if (report.memory.peak)
    printMemory(os, report);
  if (report.kernels)
    os << "Kernels: " << report.kernels << " generated; layers share them\n";
  for (const StepSummary &steps : report.steps)
    os << llvm::formatv("Steps of {0}: {1} kernels ({2} per layer), {3} "
                        "matmuls, {4} attentions, {5} collectives{6}\n",
                        steps.entry, steps.kernels, steps.kernelsPerLayer,
                        steps.matmuls, steps.attentions, steps.collectives,
                        steps.groups
                            ? llvm::formatv(" ({0} in place of {1})",
                                            steps.groups, steps.grouped)
                                  .str()
                            : "");
  if (report.explanation)
    printExplanation(os, *report.explanation);
  if (report.comparison)
    printComparison(os, *report.comparison);
  return text;
}
