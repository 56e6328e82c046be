//===- Graph.cpp - Modules built by a program -----------------------------===//

#include "tpc/Driver/Graph.h"
#include "mlir/AsmParser/AsmParser.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/Verifier.h"
#include "tpc/Dialect/Tpc/ElementTypes.h"
#include "tpc/Driver/Compilation.h"
#include "tpc/Driver/Diagnostics.h"
#include "tpc/Pipeline/ModuleText.h"
#include "tpc/Pipeline/Pipeline.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/MemoryBuffer.h"

using namespace mlir;
using namespace tpc;
using tpcrt::Result;

class Graph::Impl {
public:
  struct Entry {
    func::FuncOp function;
    SmallVector<mlir::Value> results;
  };

  Impl() : builder(&context) {
    module = ModuleOp::create(UnknownLoc::get(&context));
  }

  Location at(const SourcePlace &place);
  Result<RankedTensorType> typeOf(const ValueType &type,
                                  const SourcePlace &place);
  /// Runs `fn`; an error if it emitted one.
  template <typename Fn> Result<void> checked(Fn fn) {
    DiagnosticCollector diagnostics(&context);
    if (failed(fn()))
      return diagnostics.error();
    return {};
  }
  /// Adds a symbol before the functions.
  Result<void> declare(Operation *symbol, const std::string &name);
  /// The entry that operations go to; the builder is at its end.
  Entry &current();
  Value add(mlir::Value value) {
    values.push_back(value);
    return values.size() - 1;
  }
  Result<mlir::Value> value(Value number, const SourcePlace &place);
  /// Ends the functions with what their outputs are now.
  Result<void> finish();
  CompileOptions compileOptions(const std::optional<std::string> &mesh,
                                const AssignPhaseOptions &options) const;
  OwningOpRef<ModuleOp> numbered();

  CompilerContext context;
  OwningOpRef<ModuleOp> module;
  OpBuilder builder;
  std::vector<mlir::Value> values;
  std::vector<Entry> entries;
  std::string entryName = "main";
  std::vector<std::string> pins;
  /// Whether it was parsed: then there is nothing to finish.
  bool isParsed = false;
};

Graph::Graph() : impl(std::make_unique<Impl>()) {}
Graph::~Graph() = default;

//===----------------------------------------------------------------------===//
// Parts
//===----------------------------------------------------------------------===//

Location Graph::Impl::at(const SourcePlace &place) {
  Location location = UnknownLoc::get(&context);
  if (!place.file.empty())
    location = FileLineColLoc::get(&context, place.file, place.line, 1);
  if (!place.scope.empty())
    location = NameLoc::get(StringAttr::get(&context, place.scope), location);
  return location;
}

Result<RankedTensorType> Graph::Impl::typeOf(const ValueType &type,
                                             const SourcePlace &place) {
  for (int64_t size : type.shape)
    if (size < 1)
      return tpcrt::makeError(llvm::formatv(
          "{0}:{1}: expected a shape of sizes of at least 1, found {2}",
          place.file, place.line, size));
  return RankedTensorType::get(type.shape, toType(type.element, &context));
}

Graph::Impl::Entry &Graph::Impl::current() {
  auto found = llvm::find_if(entries, [&](Entry &entry) {
    return entry.function.getName() == entryName;
  });
  if (found == entries.end()) {
    builder.setInsertionPointToEnd(module->getBody());
    auto function = func::FuncOp::create(builder, module->getLoc(), entryName,
                                         builder.getFunctionType({}, {}));
    function.addEntryBlock();
    entries.push_back({function, {}});
    found = std::prev(entries.end());
  }
  builder.setInsertionPointToEnd(&found->function.getBody().front());
  return *found;
}

Result<mlir::Value> Graph::Impl::value(Value number, const SourcePlace &place) {
  if (number >= values.size() ||
      values[number].getParentRegion() != &current().function.getBody())
    return tpcrt::makeError(llvm::formatv(
        "{0}:{1}: a value of another entry is not there in '{2}'; make it in "
        "this entry, or pass it through a state",
        place.file, place.line, entryName));
  return values[number];
}

Result<void> Graph::Impl::declare(Operation *symbol, const std::string &name) {
  if (module->lookupSymbol(name)) {
    symbol->destroy();
    return tpcrt::makeError("'" + name +
                            "' is declared already; read it again instead");
  }
  module->getBody()->push_front(symbol);
  auto good = checked([&] { return mlir::verify(symbol); });
  if (!good)
    symbol->erase();
  return good;
}

//===----------------------------------------------------------------------===//
// Graph
//===----------------------------------------------------------------------===//

Result<std::unique_ptr<Graph>> Graph::parse(const std::string &text,
                                            const std::string &name) {
  auto graph = std::make_unique<Graph>();
  Impl &impl = *graph->impl;
  auto parsed = impl.checked([&] {
    impl.module = parseModule(llvm::MemoryBuffer::getMemBuffer(text, name),
                              &impl.context);
    return success(bool(impl.module));
  });
  if (!parsed)
    return tl::unexpected(parsed.error());
  impl.isParsed = true;
  return graph;
}

Result<void> Graph::setMesh(const std::string &mesh) {
  std::string error;
  if (failed(tpc::setMesh(*impl->module, mesh, error)))
    return tpcrt::makeError(error);
  return {};
}

Result<void> Graph::enter(const std::string &name) {
  Operation *symbol = impl->module->lookupSymbol(name);
  if (symbol && !isa<func::FuncOp>(symbol))
    return tpcrt::makeError("'" + name +
                            "' is a parameter or state; give the entry "
                            "another name");
  impl->entryName = name;
  return {};
}

Result<Graph::Value> Graph::input(const std::string &name,
                                  const ValueType &type,
                                  const SourcePlace &place) {
  auto tensor = impl->typeOf(type, place);
  if (!tensor)
    return tl::unexpected(tensor.error());
  func::FuncOp function = impl->current().function;
  for (unsigned i = 0; i < function.getNumArguments(); ++i)
    if (argumentName(function, i) == name)
      return tpcrt::makeError(
          llvm::formatv("{0}:{1}: there is an input '{2}' already", place.file,
                        place.line, name));
  unsigned index = function.getNumArguments();
  NamedAttrList attributes;
  attributes.set(kNameAttrName, impl->builder.getStringAttr(name));
  if (failed(function.insertArgument(index, *tensor,
                                     attributes.getDictionary(&impl->context),
                                     impl->at(place))))
    return tpcrt::makeError("cannot add the input '" + name + "'");
  return impl->add(function.getArgument(index));
}

Result<void> Graph::parameter(const std::string &name, const ValueType &type,
                              const std::vector<std::string> &sources,
                              const ValueType &stored, const std::string &view,
                              const SourcePlace &place) {
  auto tensor = impl->typeOf(type, place);
  if (!tensor)
    return tl::unexpected(tensor.error());
  auto storedTensor = impl->typeOf(stored, place);
  if (!storedTensor)
    return tl::unexpected(storedTensor.error());
  Builder &builder = impl->builder;
  ArrayAttr steps;
  if (!view.empty()) {
    auto parsed = impl->checked([&] {
      steps = dyn_cast_or_null<ArrayAttr>(parseAttribute(view, &impl->context));
      return success(steps != nullptr);
    });
    if (!parsed)
      return parsed;
  }
  SmallVector<StringRef> names(sources.begin(), sources.end());
  OpBuilder detached(&impl->context);
  auto op = ParameterOp::create(
      detached, impl->at(place), builder.getStringAttr(name),
      TypeAttr::get(*tensor), builder.getStrArrayAttr(names),
      TypeAttr::get(*storedTensor), steps);
  return impl->declare(op, name);
}

Result<void> Graph::state(const std::string &name, const ValueType &type,
                          const SourcePlace &place) {
  auto tensor = impl->typeOf(type, place);
  if (!tensor)
    return tl::unexpected(tensor.error());
  OpBuilder detached(&impl->context);
  return impl->declare(StateOp::create(detached, impl->at(place),
                                       detached.getStringAttr(name),
                                       TypeAttr::get(*tensor)),
                       name);
}

Result<Graph::Value> Graph::read(const std::string &name,
                                 const SourcePlace &place) {
  Operation *symbol = impl->module->lookupSymbol(name);
  RankedTensorType type;
  if (auto parameter = dyn_cast_or_null<ParameterOp>(symbol))
    type = parameter.getTensorType();
  else if (auto state = dyn_cast_or_null<StateOp>(symbol))
    type = state.getTensorType();
  else
    return tpcrt::makeError("there is no parameter or state '" + name + "'");
  impl->current();
  return impl->add(ReadOp::create(impl->builder, impl->at(place), type, name));
}

Result<void> Graph::write(const std::string &name, Value number,
                          const SourcePlace &place) {
  auto value = impl->value(number, place);
  if (!value)
    return tl::unexpected(value.error());
  if (!isa_and_nonnull<StateOp>(impl->module->lookupSymbol(name)))
    return tpcrt::makeError("there is no state '" + name + "'");
  auto op = WriteOp::create(impl->builder, impl->at(place), name, *value);
  auto good = impl->checked([&] { return mlir::verify(op); });
  if (!good)
    op->erase();
  return good;
}

Result<std::vector<Graph::Value>>
Graph::op(const std::string &operation, const std::vector<Value> &operands,
          const Attributes &attributes, const std::vector<ValueType> &results,
          const SourcePlace &place) {
  OperationState state(impl->at(place), operation);
  if (!state.name.isRegistered())
    return tpcrt::makeError("there is no operation '" + operation + "'");
  for (Value number : operands) {
    auto value = impl->value(number, place);
    if (!value)
      return tl::unexpected(value.error());
    state.operands.push_back(*value);
  }
  for (const ValueType &type : results) {
    auto tensor = impl->typeOf(type, place);
    if (!tensor)
      return tl::unexpected(tensor.error());
    state.types.push_back(*tensor);
  }
  Operation *op = nullptr;
  auto made = impl->checked([&] {
    for (const auto &[name, text] : attributes) {
      Attribute attribute = parseAttribute(text, &impl->context);
      if (!attribute)
        return failure();
      state.addAttribute(name, attribute);
    }
    impl->current();
    op = impl->builder.create(state);
    return mlir::verify(op);
  });
  if (!made) {
    if (op)
      op->erase();
    return tl::unexpected(made.error());
  }
  std::vector<Value> numbers;
  for (mlir::Value result : op->getResults())
    numbers.push_back(impl->add(result));
  return numbers;
}

Result<void> Graph::output(const std::string &name, Value number,
                           const SourcePlace &place) {
  auto value = impl->value(number, place);
  if (!value)
    return tl::unexpected(value.error());
  Impl::Entry &entry = impl->current();
  func::FuncOp function = entry.function;
  for (unsigned i = 0; i < function.getNumResults(); ++i)
    if (resultName(function, i) == name)
      return tpcrt::makeError(
          llvm::formatv("{0}:{1}: there is an output '{2}' already", place.file,
                        place.line, name));
  unsigned index = function.getNumResults();
  if (failed(function.insertResult(index, value->getType(), {})))
    return tpcrt::makeError("cannot add the output '" + name + "'");
  function.setResultAttr(index, kNameAttrName,
                         impl->builder.getStringAttr(name));
  entry.results.push_back(*value);
  return {};
}

void Graph::pin(const std::string &request) { impl->pins.push_back(request); }

Result<void> Graph::Impl::finish() {
  if (isParsed)
    return {};
  for (Entry &entry : entries) {
    Block &body = entry.function.getBody().front();
    if (!body.empty() && isa<func::ReturnOp>(body.back()))
      body.back().erase();
    if (entry.results.empty())
      return tpcrt::makeError("the entry '" + entry.function.getName().str() +
                              "' has no output; name one with output()");
    builder.setInsertionPointToEnd(&body);
    func::ReturnOp::create(builder, entry.function.getLoc(), entry.results);
  }
  return checked([&] { return mlir::verify(*module); });
}

Result<std::string> Graph::text() {
  if (auto finished = impl->finish(); !finished)
    return tl::unexpected(finished.error());
  std::string text;
  llvm::raw_string_ostream os(text);
  impl->module->print(os);
  return text + "\n";
}

CompileOptions
Graph::Impl::compileOptions(const std::optional<std::string> &mesh,
                            const AssignPhaseOptions &options) const {
  CompileOptions compile;
  compile.mesh = mesh;
  compile.assign = options;
  llvm::append_range(compile.assign.pins, pins);
  compile.name = "graph";
  return compile;
}

/// The module with the numbers of its values on the operations.
OwningOpRef<ModuleOp> Graph::Impl::numbered() {
  IRMapping mapping;
  OwningOpRef<ModuleOp> copy = cast<ModuleOp>((*module)->clone(mapping));
  for (auto [number, value] : llvm::enumerate(values))
    if (auto result = dyn_cast<OpResult>(mapping.lookup(value)))
      result.getOwner()->setAttr(
          kValueNumberAttrName,
          builder.getI64IntegerAttr(number - result.getResultNumber()));
  return copy;
}

Result<CompiledModule> Graph::compile(const std::optional<std::string> &mesh,
                                      const AssignPhaseOptions &options,
                                      const std::string &device,
                                      unsigned threads) {
  if (auto finished = impl->finish(); !finished)
    return tl::unexpected(finished.error());
  CompileOptions compile = impl->compileOptions(mesh, options);
  compile.reportValues = true;
  compile.writePlan = true;
  compile.device = device;
  compile.threads = threads;
  DiagnosticCollector diagnostics(&impl->context);
  Compilation compilation(impl->numbered(), std::move(compile));
  auto artifact = compilation.compile();
  if (failed(artifact))
    return diagnostics.error();
  return CompiledModule{std::move(*artifact), toJson(compilation.report()),
                        planText(compilation.report()),
                        valuesToJson(compilation.report().values),
                        compilation.planFile()};
}

Result<std::string> Graph::explain(const std::optional<std::string> &mesh,
                                   const AssignPhaseOptions &options,
                                   const std::optional<std::string> &value) {
  if (auto finished = impl->finish(); !finished)
    return tl::unexpected(finished.error());
  CompileOptions compile = impl->compileOptions(mesh, options);
  compile.explain = ExplainRequest{value};
  DiagnosticCollector diagnostics(&impl->context);
  Compilation compilation(impl->module->clone(), std::move(compile));
  if (failed(compilation.setMesh()) || failed(compilation.assign()))
    return diagnostics.error();
  return toJson(compilation.report());
}

std::vector<std::string> tpc::graphOperations() {
  CompilerContext context;
  std::vector<std::string> names;
  for (RegisteredOperationName name : context.getRegisteredOperations())
    if (name.getDialectNamespace() == "tpc")
      names.push_back(name.getStringRef().str());
  return names;
}
