//===- Options.cpp - The command line of tpc-run --------------------------===//

#include "Options.h"
#include "tpc/Sharding/Assignment.h"
#include "llvm/Support/CommandLine.h"

using namespace tpc;
namespace cl = llvm::cl;

namespace {

cl::OptionCategory category("tpc-run options");

cl::opt<std::string> model(cl::Positional, cl::Required,
                           cl::desc("MODEL.mlir or Hugging Face directory"),
                           cl::cat(category));
cl::opt<std::string> mesh("mesh", cl::desc("mesh of devices"),
                          cl::value_desc("dp=2,tp=4"), cl::cat(category));
cl::opt<std::string> mode("mode",
                          cl::desc("how shardings are decided (default "
                                   "megatron): megatron, propagate"),
                          cl::init("megatron"), cl::cat(category));
cl::opt<std::string> entry("entry",
                           cl::desc("function to run; optional if a module has "
                                    "one only (default of a decoder: "
                                    "prefill)"),
                           cl::cat(category));
cl::list<std::string> inputs("input",
                             cl::desc("an input: NAME=@FILE.npy, or "
                                      "NAME=2x8xi64=1,2,... (one value fills "
                                      "all of it)"),
                             cl::value_desc("spec"), cl::cat(category));
cl::list<std::string> outputs("output",
                              cl::desc("writes an output: NAME=@FILE.npy"),
                              cl::value_desc("spec"), cl::cat(category));
cl::opt<std::string> weights("weights",
                             cl::desc("safetensors file or directory (default: "
                                      "the model's directory)"),
                             cl::value_desc("path"), cl::cat(category));
cl::opt<bool> check("check",
                    cl::desc("compares the outputs with the unsharded "
                             "reference evaluation; exit code 1 if they "
                             "differ by more than the type's tolerance"),
                    cl::cat(category));
cl::opt<bool> dryRun("dry-run",
                     cl::desc("compiles and prints the plan; needs no weights"),
                     cl::cat(category));
cl::opt<std::string> save("save", cl::desc("writes the artifact"),
                          cl::value_desc("FILE.tpcx"), cl::cat(category));
cl::opt<std::string> report("report", cl::desc("writes the report as JSON"),
                            cl::value_desc("FILE.json"), cl::cat(category));
cl::opt<std::string> emit("emit",
                          cl::desc("prints the module in a form and stops: "
                                   "whole, assigned, program, plan"),
                          cl::value_desc("form"), cl::cat(category));
cl::opt<unsigned> repeat("repeat", cl::desc("runs this many times"),
                         cl::init(1), cl::cat(category));
cl::opt<unsigned> generate("generate",
                           cl::desc("generates this many tokens per row with "
                                    "a decoder's prefill and decode, always "
                                    "the likeliest; outputs tokens and logits"),
                           cl::value_desc("N"), cl::init(0), cl::cat(category));
cl::opt<unsigned> threads("max-threads",
                          cl::desc("threads for all devices (default: cores)"),
                          cl::init(0), cl::cat(category));
cl::opt<int64_t> batch("batch",
                       cl::desc("batch of token inputs that are not given"),
                       cl::cat(category));
cl::opt<int64_t> length("length",
                        cl::desc("length of token inputs that are not given"),
                        cl::cat(category));
cl::opt<int64_t> context("context",
                         cl::desc("tokens that a decoder's cache holds per row "
                                  "(default: the length)"),
                         cl::cat(category));
cl::opt<std::string> element("element",
                             cl::desc("element type of a Hugging Face model: "
                                      "f32 (default), bf16, f16, or stored"),
                             cl::init("f32"), cl::cat(category));
cl::opt<std::string> logits("logits",
                            cl::desc("which logits a decoder's prefill gives: "
                                     "last (default: of each row's last "
                                     "token), all"),
                            cl::init("last"), cl::cat(category));
cl::opt<bool> quiet("quiet", cl::desc("does not print the plan"),
                    cl::cat(category));

template <typename OptionT>
auto given(const OptionT &option)
    -> std::optional<std::decay_t<decltype(option.getValue())>> {
  if (option.getNumOccurrences() == 0)
    return std::nullopt;
  return option.getValue();
}

} // namespace

RunOptions tpc::parseOptions(int argc, char **argv) {
  cl::HideUnrelatedOptions(category);
  cl::ParseCommandLineOptions(
      argc, argv,
      "tpc-run: compiles a model for a mesh of devices and runs it\n");
  RunOptions options;
  options.model = model;
  options.mesh = given(mesh);
  options.mode = mode;
  options.entry = given(entry);
  options.inputs = inputs;
  options.outputs = outputs;
  options.weights = given(weights);
  options.check = check;
  options.dryRun = dryRun;
  options.save = given(save);
  options.report = given(report);
  options.emit = emit;
  options.repeat = repeat;
  options.generate = generate;
  options.threads = threads;
  options.batch = given(batch);
  options.length = given(length);
  options.context = given(context);
  options.element = element;
  options.logits = logits;
  options.quiet = quiet;
  return options;
}
