//===- ModelPrograms.cpp - The programs of one model ----------------------===//

#include "ModelPrograms.h"
#include "tpc/Driver/Diagnostics.h"
#include "tpc/Pipeline/Pipeline.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;
using namespace tpc;
using tpcrt::Result;

int64_t tpc::bucketOf(int64_t length) {
  int64_t bucket = 16;
  while (bucket < length)
    // 16, 24, 32, 48, ...: a power of two, then halfway to the next.
    bucket += llvm::isPowerOf2_64(bucket) ? bucket / 2 : bucket / 3;
  return bucket;
}

ModelPrograms::ModelPrograms(std::string directory, ModelOptions options)
    : directory(std::move(directory)), options(std::move(options)),
      storage(tpcrt::createSharedStorage()) {}

Result<void> ModelPrograms::open() {
  if (!isHuggingFaceDirectory(directory))
    return tpcrt::makeError(directory +
                            ": expected a directory with a config.json");
  auto opened = tpcrt::WeightSource::open(directory);
  if (!opened)
    return tl::unexpected(opened.error());
  weights = std::move(*opened);
  return {};
}

Result<OwningOpRef<ModuleOp>>
ModelPrograms::import(const ImportOptions &wanted) {
  ImportOptions import = wanted;
  import.element = options.element;
  import.weights = &weights;
  DiagnosticCollector diagnostics(&context);
  OwningOpRef<ModuleOp> module = importHuggingFace(&context, directory, import);
  if (!module)
    return diagnostics.error();
  return module;
}

ImportOptions ModelPrograms::rounded(const ImportOptions &exact) {
  ImportOptions wide = exact;
  wide.length = bucketOf(exact.length);
  if (exact.context)
    wide.context = std::max(bucketOf(*exact.context), wide.length);
  else
    wide.decoderLength = bucketOf(exact.decoderLength);
  // A table of positions may end before the bucket does.
  return import(wide) ? wide : exact;
}

static std::string keyOf(const ImportOptions &options) {
  std::string key = llvm::formatv(
      "{0} {1} {2} {3} {4} {5}", options.entry, options.batch, options.length,
      options.decoderLength, options.context.value_or(0),
      static_cast<int>(options.logits));
  SmallVector<StringRef> without(options.without.keys());
  llvm::sort(without);
  return key + " " + llvm::join(without, " ");
}

void ModelPrograms::recordSymbols(ModuleOp module) {
  for (auto parameter : module.getOps<ParameterOp>())
    shardings.insert(
        {parameter.getSymName().str(), getSharding(parameter.getTensorType())});
  for (auto state : module.getOps<StateOp>())
    shardings.insert(
        {state.getSymName().str(), getSharding(state.getTensorType())});
}

void ModelPrograms::pinSymbols(ModuleOp module) const {
  auto pin = [&](auto symbol) {
    auto found = shardings.find(symbol.getSymName().str());
    if (found != shardings.end() && found->second)
      symbol->setAttr(kShardingAttrName, found->second);
  };
  llvm::for_each(module.getOps<ParameterOp>(), pin);
  llvm::for_each(module.getOps<StateOp>(), pin);
}

Result<ModelPrograms::Executable>
ModelPrograms::program(const ImportOptions &wanted) {
  std::string key = keyOf(wanted);
  auto found = llvm::find_if(programs, [&](const Program &program) {
    return llvm::is_contained(program.keys, key);
  });
  if (found == programs.end())
    return compile(wanted, {key});
  programs.splice(programs.begin(), programs, found);
  return programs.front().executable;
}

Result<ModelPrograms::Executable>
ModelPrograms::compile(const ImportOptions &wanted,
                       std::vector<std::string> keys) {
  auto module = import(wanted);
  if (!module)
    return tl::unexpected(module.error());
  pinSymbols(**module);
  CompileOptions compile;
  compile.mesh = options.mesh;
  compile.assign = options.assign;
  if (!wanted.entry.empty())
    compile.assign.weights.clear(); // of several entries
  compile.reportValues = !first;    // the only report that is kept
  compile.name = directory;
  compile.device = options.device;
  compile.threads = options.load.threads;
  DiagnosticCollector diagnostics(&context);
  Compilation compilation(std::move(*module), std::move(compile));
  if (failed(compilation.setMesh()) || failed(compilation.assign()))
    return diagnostics.error();
  recordSymbols(compilation.module());
  if (failed(compilation.partition()) || failed(compilation.verify()) ||
      failed(compilation.plan()))
    return diagnostics.error();
  auto artifact = compilation.emit();
  if (failed(artifact))
    return diagnostics.error();
  tpcrt::LoadOptions load = options.load;
  load.storage = storage;
  auto executable = tpcrt::Executable::load(*artifact, weights, load);
  if (!executable)
    return tl::unexpected(executable.error());
  if (!first)
    first = std::move(compilation.report());
  programs.push_front({std::move(keys), std::move(*executable)});
  if (programs.size() > Model::kMaxPrograms)
    programs.pop_back();
  return programs.front().executable;
}

Result<ModelPrograms::Executable>
ModelPrograms::compileTogether(const ImportOptions &wanted,
                               ArrayRef<ImportOptions> entries) {
  std::vector<std::string> keys;
  for (const ImportOptions &entry : entries)
    keys.push_back(keyOf(entry));
  return compile(wanted, std::move(keys));
}

static std::vector<uint64_t> shapeOf(Type type) {
  ArrayRef<int64_t> shape = cast<RankedTensorType>(type).getShape();
  return {shape.begin(), shape.end()};
}

/// Built for exact shapes, a module says which shapes the outputs have.
Result<const ModelPrograms::Signature *>
ModelPrograms::signature(const ImportOptions &exact) {
  auto [found, isNew] = signatures.try_emplace(keyOf(exact));
  Signature &result = found->second;
  if (!isNew)
    return &result;
  auto module = import(exact);
  if (!module) {
    signatures.erase(found);
    return tl::unexpected(module.error());
  }
  auto function = *(*module)->getOps<func::FuncOp>().begin();
  result.entry = function.getName().str();
  for (Type type : function.getArgumentTypes())
    result.inputs.push_back(shapeOf(type));
  for (Type type : function.getResultTypes())
    result.outputs.push_back(shapeOf(type));
  result.compiled = rounded(exact);
  return &result;
}
