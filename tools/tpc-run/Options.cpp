//===- Options.cpp - The command line of tpc-run --------------------------===//

#include "Options.h"
#include "tpc/Sharding/Assignment.h"
#include "tpc/Sharding/Machine.h"
#include "tpc/Sharding/PlanFile.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/raw_ostream.h"
#include <functional>

using namespace tpc;
namespace cl = llvm::cl;

namespace {

cl::OptionCategory category("tpc-run options");

cl::opt<std::string> model(cl::Positional,
                           cl::desc("MODEL.mlir or Hugging Face directory"),
                           cl::cat(category));
cl::opt<std::string>
    calibrate("calibrate",
              cl::desc("measures this machine and writes its description, for "
                       "--machine; needs no model"),
              cl::value_desc("FILE.json"), cl::cat(category));
cl::opt<bool> doctor("doctor",
                     cl::desc("shows this machine and what is misconfigured; "
                              "needs no model"),
                     cl::cat(category));
cl::opt<std::string>
    machineOut("machine-out",
               cl::desc("with --doctor: writes the machine's description, for "
                        "--machine, made of what the system says"),
               cl::value_desc("FILE.json"), cl::cat(category));
cl::opt<std::string>
    fit("fit",
        cl::desc("tries the model on meshes of this machine's devices, each "
                 "with this much memory, and says which to use"),
        cl::value_desc("h100:80GB"), cl::cat(category));
cl::opt<int64_t> maxDevices("max-devices",
                            cl::desc("with --fit: on up to this many devices "
                                     "(default 8)"),
                            cl::value_desc("N"), cl::init(8),
                            cl::cat(category));
cl::opt<std::string> mesh("mesh", cl::desc("mesh of devices"),
                          cl::value_desc("dp=2,tp=4"), cl::cat(category));
cl::opt<std::string> device("device",
                            cl::desc("what the mesh's devices are: cpu "
                                     "(default), cuda"),
                            cl::value_desc("kind"), cl::init("cpu"),
                            cl::cat(category));
cl::opt<bool> tf32("tf32",
                   cl::desc("on GPUs, products of f32 round their operands to "
                            "10 bits of mantissa"),
                   cl::cat(category));
cl::opt<bool> peerMemory("peer-memory",
                         cl::desc("on GPUs, small all-reduces read memory of "
                                  "peers where that is possible (default)"),
                         cl::init(true), cl::cat(category));
cl::opt<bool> symmetricMemory("symmetric-memory",
                              cl::desc("on GPUs, memory of collectives is "
                                       "registered with NCCL where that is "
                                       "possible (default)"),
                              cl::init(true), cl::cat(category));
cl::opt<bool> syncSteps("sync-steps",
                        cl::desc("on GPUs, waits for every step before the "
                                 "next, so that an error names its step"),
                        cl::cat(category));
cl::opt<std::string> mode("mode",
                          cl::desc("how shardings are decided: auto (default: "
                                   "least predicted time), megatron, "
                                   "propagate"),
                          cl::init("auto"), cl::cat(category));
cl::opt<std::string>
    plan("plan",
         cl::desc("follows the decisions of a plan file in place of a mode, "
                  "without a search; what it has no line for is searched for"),
         cl::value_desc("FILE.json"), cl::cat(category));
cl::opt<std::string> planOut("plan-out",
                             cl::desc("writes what was decided, for --plan"),
                             cl::value_desc("FILE.json"), cl::cat(category));
cl::opt<std::string>
    explain("explain",
            cl::desc("says of every collective, or of every choice for the "
                     "parameters, states, inputs, outputs and operations of a "
                     "name or pattern, why it is so and what else would cost"),
            cl::value_desc("VALUE"), cl::ValueOptional, cl::cat(category));
cl::opt<std::string>
    compare("compare",
            cl::desc("shows this plan and another side by side: of a mode, of "
                     "data parallelism (data), or of a plan file"),
            cl::value_desc("megatron"), cl::cat(category));
cl::opt<std::string>
    machine("machine",
            cl::desc("machine that times are predicted for: a100, b200, cpu "
                     "(default), h100, h200, or a file that describes one; "
                     "programs run on --device in any case"),
            cl::value_desc("name"), cl::init("cpu"), cl::cat(category));
cl::opt<std::string>
    memoryLimit("memory-limit",
                cl::desc("memory of one device, like 40GiB (default: what the "
                         "machine has)"),
                cl::value_desc("size"), cl::cat(category));
cl::opt<std::string> mix("mix",
                         cl::desc("how often entries are called, relative to "
                                  "each other (default: all alike)"),
                         cl::value_desc("prefill=1,decode=100"),
                         cl::cat(category));
cl::opt<double> searchTime("search-time",
                           cl::desc("seconds that mode auto may search "
                                    "(default 20)"),
                           cl::init(20), cl::cat(category));
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
cl::list<std::string> pins("pin",
                           cl::desc("a pin: NAME=[{\"tp\"}, {}], NAME=colwise, "
                                    "NAME=rowwise, NAME=replicated, "
                                    "@INPUT=[{\"dp\"}, {}], dp=batch"),
                           cl::value_desc("pin"), cl::cat(category));
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
cl::opt<unsigned>
    newTokens("max-new-tokens",
              cl::desc("generates this many tokens per row with a decoder's "
                       "prefill and decode; outputs tokens and logits"),
              cl::value_desc("N"), cl::init(0), cl::cat(category));
cl::opt<double>
    temperature("temperature",
                cl::desc("chooses tokens by chance, from logits divided by "
                         "this (default 0: always the likeliest)"),
                cl::init(0), cl::cat(category));
cl::opt<int64_t>
    topK("top-k", cl::desc("of this many likeliest tokens (default 0: all)"),
         cl::init(0), cl::cat(category));
cl::opt<double> topP("top-p",
                     cl::desc("of the fewest tokens whose probabilities reach "
                              "this (default 1: all)"),
                     cl::init(1), cl::cat(category));
cl::opt<uint64_t> seed("seed", cl::desc("of the choices by chance"),
                       cl::init(0), cl::cat(category));
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
cl::opt<std::string>
    element("element",
            cl::desc("element type of a Hugging Face model: "
                     "f32 (default), bf16, f16, or stored (default of a dry "
                     "run for another machine)"),
            cl::init("f32"), cl::cat(category));
cl::opt<std::string> logits("logits",
                            cl::desc("which logits a decoder's prefill gives: "
                                     "last (default: of each row's last "
                                     "token), all"),
                            cl::init("last"), cl::cat(category));
cl::opt<bool> profile("profile",
                      cl::desc("measures the steps of device 0 and prints what "
                               "they took"),
                      cl::cat(category));
cl::opt<double> startTimeout(
    "start-timeout",
    cl::desc("seconds that processes wait for each other to start, to compile "
             "and to load (default 120)"),
    cl::init(120), cl::cat(category));
cl::opt<double> timeout("timeout",
                        cl::desc("seconds that devices and processes wait for "
                                 "each other while programs run (default 60)"),
                        cl::init(60), cl::cat(category));
cl::opt<tpcrt::Transport> transport(
    "transport", cl::desc("how processes exchange tensors:"),
    cl::values(clEnumValN(tpcrt::Transport::Auto, "auto",
                          "memory that processes of a host share, else the "
                          "network (default)"),
               clEnumValN(tpcrt::Transport::Network, "network",
                          "always the network")),
    cl::init(tpcrt::Transport::Auto), cl::cat(category));
cl::opt<std::string>
    flightRecorder("flight-recorder",
                   cl::desc("where each process writes its last collectives "
                            "when a run fails, for --diagnose"),
                   cl::value_desc("DIR"), cl::cat(category));
cl::opt<std::string>
    diagnose("diagnose",
             cl::desc("says from the recordings of a failed run which process "
                      "is behind, and where; needs no model"),
             cl::value_desc("DIR"), cl::cat(category));
cl::opt<bool>
    checkNumerics("check-numerics",
                  cl::desc("ends with an error at the first step that gives a "
                           "NaN or infinity; slow"),
                  cl::cat(category));
cl::list<std::string>
    faults("inject",
           cl::desc("a fault, to see what happens then: kill:rank=1,op=17, "
                    "stop:rank=0,at=load, delay:rank=1,run=2,ms=500, "
                    "corrupt:rank=2,op=5"),
           cl::value_desc("fault"), cl::cat(category));
cl::opt<bool> quiet("quiet", cl::desc("does not print the plan"),
                    cl::cat(category));

[[noreturn]] void endWith(const llvm::Twine &message) {
  llvm::errs() << "tpc-run: error: " << message << "\n";
  std::exit(1);
}

/// "40GiB", "80GB", "1000" (bytes); ends the tool with an error otherwise.
int64_t sizeOf(llvm::StringRef option, llvm::StringRef text) {
  llvm::StringRef number = text;
  double unit = 1;
  for (auto [name, bytes] : {std::pair<const char *, double>{"KiB", 1 << 10},
                             {"MiB", 1 << 20},
                             {"GiB", 1 << 30},
                             {"KB", 1e3},
                             {"MB", 1e6},
                             {"GB", 1e9},
                             {"B", 1}})
    if (number.consume_back(name)) {
      unit = bytes;
      break;
    }
  double value;
  if (number.getAsDouble(value) || !(value > 0) || value * unit > 1e18)
    endWith(option +
            ": expected a size like 40GiB, 80GB, 512MiB or 1000000, found \"" +
            text + "\"");
  return static_cast<int64_t>(value * unit);
}

double secondsOf(llvm::StringRef option, double seconds) {
  constexpr double day = 24 * 60 * 60;
  if (!(seconds > 0 && seconds <= day))
    endWith(option + ": expected seconds above 0 and up to a day, found " +
            llvm::Twine(std::to_string(seconds)));
  return seconds;
}

template <typename OptionT>
auto given(const OptionT &option)
    -> std::optional<std::decay_t<decltype(option.getValue())>> {
  if (option.getNumOccurrences() == 0)
    return std::nullopt;
  return option.getValue();
}

/// "h100:80GB", "h200", "here.json:64GiB".
void readFit(RunOptions &options) {
  for (const cl::Option &other :
       std::initializer_list<std::reference_wrapper<cl::Option>>{
           mesh,    machine, memoryLimit, device,    pins,    plan,  planOut,
           explain, compare, inputs,      outputs,   weights, check, save,
           emit,    repeat,  profile,     newTokens, dryRun,  quiet})
    if (other.getNumOccurrences())
      endWith("--fit: leave --" + other.ArgStr +
              " out; the model is only compiled, for the meshes that --fit "
              "chooses on the machine that it names");
  if (maxDevices < 1 || maxDevices > 1024)
    endWith("--max-devices: expected a number from 1 to 1024, found " +
            llvm::Twine(maxDevices));
  options.fitDevices = maxDevices;
  auto [name, size] = llvm::StringRef(fit).rsplit(':');
  std::string error;
  auto found = machineByNameOrFile(name, error);
  if (failed(found))
    endWith("--fit: " + error);
  options.machine = name.str();
  options.memoryLimit =
      size.empty() ? found->memoryBytes : sizeOf("--fit", size);
  options.dryRun = true;
}

} // namespace

RunOptions tpc::parseOptions(int argc, char **argv) {
  cl::HideUnrelatedOptions(category);
  cl::ParseCommandLineOptions(
      argc, argv,
      "tpc-run: compiles a model for a mesh of devices and runs it\n");
  RunOptions options;
  options.model = model;
  options.calibrate = given(calibrate);
  options.diagnose = given(diagnose);
  options.doctor = doctor;
  options.machineOut = given(machineOut);
  if (fit.getNumOccurrences() && options.model.empty())
    endWith("--fit: expected a model");
  if (!fit.getNumOccurrences() && maxDevices.getNumOccurrences())
    endWith("--max-devices: expected it with --fit");
  if (!options.model.empty() + options.calibrate.has_value() +
          options.diagnose.has_value() + options.doctor !=
      1)
    endWith("expected one of: a model, --calibrate, --diagnose, --doctor");
  if (options.machineOut && !options.doctor)
    endWith("--machine-out: expected it with --doctor; --calibrate FILE.json "
            "writes a measured description");
  options.mesh = given(mesh);
  options.device = device;
  options.load.tf32 = tf32;
  options.load.syncSteps = syncSteps;
  options.load.peerMemory = peerMemory;
  options.load.symmetricMemory = symmetricMemory;
  options.mode = mode;
  if (plan.getNumOccurrences()) {
    if (mode.getNumOccurrences())
      endWith("expected one of --plan and --mode");
    std::string error;
    auto text = readPlanFile(plan, error);
    if (failed(text))
      endWith(error);
    options.plan = *text;
  }
  options.planOut = given(planOut);
  options.explain = given(explain);
  options.compare = given(compare);
  options.machine = machine;
  if (memoryLimit.getNumOccurrences())
    options.memoryLimit = sizeOf("--memory-limit", memoryLimit);
  options.mix = mix;
  options.searchTime = searchTime;
  options.pins = pins;
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
  options.newTokens = newTokens;
  options.sampling.temperature = temperature;
  options.sampling.topK = topK;
  options.sampling.topP = topP;
  options.sampling.seed = seed;
  options.load.threads = threads;
  options.load.profile = profile;
  options.load.transport = transport;
  options.load.flightFolder = flightRecorder;
  options.load.checkNumerics = checkNumerics;
  for (const std::string &text : faults) {
    auto fault = tpcrt::parseFault(text);
    if (!fault)
      endWith("--inject: " + fault.error().message);
    options.load.faults.push_back(*fault);
  }
  options.startTimeout = secondsOf("--start-timeout", startTimeout);
  options.timeout = secondsOf("--timeout", timeout);
  options.load.deadline = toMilliseconds(options.timeout);
  options.batch = given(batch);
  options.length = given(length);
  options.context = given(context);
  if (fit.getNumOccurrences())
    readFit(options);
  // What is only predicted for another machine keeps the types it is stored in.
  bool predictsOnly = options.dryRun && options.machine != "cpu";
  options.element = given(element).value_or(predictsOnly ? "stored" : "f32");
  options.logits = logits;
  options.quiet = quiet;
  return options;
}
