//===- tpc-eval.cpp - Evaluates programs with the reference evaluator -----===//
//
//   tpc-eval mlp.mlir --input x.npy --parameters weights/ --output-dir out/
//
// computes the whole function `main`, with weights/NAME.npy as the value of
// parameter @NAME, and writes out/result0.npy (or under the result's
// `tpc.name`); without --output-dir it prints the results. With `--form
// program` it runs the spmd.program that implements the function, all devices
// simulated. The oracle for tests: slow and plain.
//
//===----------------------------------------------------------------------===//

#include "TensorIO.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Support/FileUtilities.h"
#include "tpc/Pipeline/ModuleText.h"
#include "tpc/Pipeline/Pipeline.h"
#include "tpc/Reference/Simulator.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/InitLLVM.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/SourceMgr.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using namespace tpc;
using namespace tpc::reference;
namespace cl = llvm::cl;

static cl::OptionCategory category("tpc-eval options");
static cl::opt<std::string> file(cl::Positional, cl::Required,
                                 cl::desc("FILE.mlir"), cl::cat(category));
static cl::opt<std::string> entry("entry", cl::init("main"), cl::cat(category),
                                  cl::desc("The function to evaluate"));
enum class Form { Whole, Program };
static cl::opt<Form>
    form("form", cl::desc("What to evaluate"), cl::init(Form::Whole),
         cl::values(clEnumValN(Form::Whole, "whole",
                               "the function on whole tensors"),
                    clEnumValN(Form::Program, "program",
                               "the spmd.program that implements it")),
         cl::cat(category));
static cl::list<std::string>
    inputs("input", cl::desc("One input"),
           cl::value_desc("FILE.npy or dense<...> : type"), cl::cat(category));
static cl::list<std::string>
    parameters("parameter", cl::desc("Value of a parameter or state"),
               cl::value_desc("NAME=input"), cl::cat(category));
static cl::opt<std::string>
    parameterDir("parameters", cl::desc("Directory of parameters, as NAME.npy"),
                 cl::value_desc("DIR"), cl::cat(category));
static cl::opt<std::string>
    outputDir("output-dir", cl::desc("Write results here, as NAME.npy"),
              cl::value_desc("DIR"), cl::cat(category));
static cl::opt<bool>
    poisonPadding("poison",
                  cl::desc("Unspecified padding becomes NaN (program form)"),
                  cl::cat(category));

/// The program that implements the entry, or null after an error.
static spmd::ProgramOp findProgram(ModuleOp module) {
  for (auto program : module.getOps<spmd::ProgramOp>())
    if (program.getWhole() == entry)
      return program;
  module.emitError("no spmd.program implements @")
      << entry << "; run the partition phase first, or use --form whole";
  return {};
}

static FailureOr<SmallVector<Tensor>> run(ModuleOp module,
                                          FunctionOpInterface function,
                                          ArrayRef<Tensor> wholeInputs,
                                          SymbolStore &symbols) {
  if (form == Form::Program) {
    spmd::ProgramOp program = findProgram(module);
    if (!program)
      return failure();
    SimulateOptions options;
    options.poisonPadding = poisonPadding;
    return simulate(program, wholeInputs, symbols, options);
  }
  return evaluate(function, wholeInputs, symbols);
}

/// Reads --input and --parameter values; prints an error when one is wrong.
static LogicalResult readTensors(MLIRContext &context,
                                 SmallVectorImpl<Tensor> &wholeInputs,
                                 SymbolStore &symbols) {
  for (StringRef input : inputs) {
    FailureOr<Tensor> tensor = readTensor(input, context);
    if (failed(tensor))
      return failure();
    wholeInputs.push_back(std::move(*tensor));
  }
  for (StringRef parameter : parameters) {
    auto [name, text] = parameter.split('=');
    FailureOr<Tensor> tensor = readTensor(text, context);
    if (failed(tensor))
      return failure();
    symbols.set(name, std::move(*tensor));
  }
  return success();
}

/// The file of a parameter below --parameters.
static FailureOr<Tensor> parameterFromFile(ParameterOp parameter) {
  if (parameterDir.empty())
    return parameter.emitError("no value was given for parameter @")
           << parameter.getSymName()
           << "; pass --parameters DIR or --parameter "
           << parameter.getSymName() << "=...";
  SmallString<128> path(parameterDir.getValue());
  llvm::sys::path::append(path, parameter.getSymName() + ".npy");
  return readTensor(path, *parameter->getContext());
}

int main(int argc, char **argv) {
  llvm::InitLLVM init(argc, argv);
  cl::HideUnrelatedOptions(category);
  cl::ParseCommandLineOptions(
      argc, argv, "Evaluates a tpc program with the reference evaluator\n");

  DialectRegistry registry;
  registerDialects(registry);
  MLIRContext context(registry);
  llvm::SourceMgr sourceMgr;
  SourceMgrDiagnosticHandler handler(sourceMgr, &context);
  std::string error;
  auto text = openInputFile(file, &error);
  if (!text) {
    llvm::errs() << "tpc-eval: error: " << error << "\n";
    return 1;
  }
  llvm::MemoryBufferRef unparsed = *text;
  sourceMgr.AddNewSourceBuffer(std::move(text), SMLoc());
  if (failed(checkModuleText(unparsed, &context)))
    return 1;
  auto module = parseSourceFile<ModuleOp>(sourceMgr, &context);
  if (!module)
    return 1;

  auto function = module->lookupSymbol<FunctionOpInterface>(entry);
  if (!function) {
    module->emitError("no function @") << entry << "; choose with --entry";
    return 1;
  }
  SmallVector<Tensor> wholeInputs;
  SymbolStore symbols(parameterFromFile);
  if (failed(readTensors(context, wholeInputs, symbols)))
    return 1;
  auto results = run(*module, function, wholeInputs, symbols);
  if (failed(results))
    return 1;
  if (!outputDir.empty()) {
    SmallVector<std::string> names;
    for (unsigned i = 0; i < results->size(); ++i)
      names.push_back(resultName(function, i));
    return succeeded(writeTensors(outputDir, names, *results)) ? 0 : 1;
  }
  for (const Tensor &result : *results)
    llvm::outs() << toString(result) << '\n';
  return 0;
}
