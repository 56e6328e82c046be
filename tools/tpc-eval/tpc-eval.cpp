//===- tpc-eval.cpp - Evaluates programs with the reference evaluator -----===//
//
//   tpc-eval model.mlir --input x.npy --parameters weights/ --output-dir out/
//
// computes the whole function `main`; with `--form program` the spmd.program
// that implements it, all devices simulated. The oracle for tests: slow and
// plain.
//
//===----------------------------------------------------------------------===//

#include "mlir/IR/AsmState.h"
#include "mlir/AsmParser/AsmParser.h"
#include "mlir/Parser/Parser.h"
#include "tpc/Pipeline/Pipeline.h"
#include "tpc/Reference/Simulator.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/InitLLVM.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/SourceMgr.h"

using namespace mlir;
using namespace tpc;
using namespace tpc::reference;
namespace cl = llvm::cl;

static cl::opt<std::string> file(cl::Positional, cl::Required,
                                 cl::desc("FILE.mlir"));
static cl::opt<std::string> entry("entry", cl::init("main"),
                                  cl::desc("The function to evaluate"));
enum class Form { Whole, Program };
static cl::opt<Form> form(
    "form", cl::desc("What to evaluate"), cl::init(Form::Whole),
    cl::values(clEnumValN(Form::Whole, "whole", "the function on whole tensors"),
               clEnumValN(Form::Program, "program",
                          "the spmd.program that implements it")));
static cl::list<std::string>
    inputs("input", cl::desc("One input: FILE.npy, or text such as "
                             "'dense<[1, 2]> : tensor<2xi32>'"));
static cl::list<std::string>
    parameters("parameter", cl::desc("One parameter or state: NAME=INPUT"));
static cl::opt<std::string>
    parameterDir("parameters", cl::desc("Directory of NAME.npy files"));
static cl::opt<std::string>
    outputDir("output-dir", cl::desc("Write results here as 0.npy, 1.npy, ..., "
                                     "written states as NAME.npy"));
static cl::opt<bool>
    poisonPadding("poison", cl::desc("Unspecified padding becomes NaN"));
