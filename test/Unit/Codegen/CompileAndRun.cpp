#include "CompileAndRun.h"
#include "mlir/Parser/Parser.h"
#include "tpc/Codegen/Passes.h"
#include "tpc/Dialect/Plan/Plan.h"
#include "tpc/Pipeline/Compiler.h"
#include "tpc/Pipeline/Pipeline.h"
#include "tpc/Reference/HostTensors.h"
#include "tpc/Reference/Simulator.h"
#include "tpc/Target/Artifact.h"
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <unistd.h>

using namespace mlir;
using namespace tpc;
using namespace tpc::test;

static DialectRegistry makeRegistry() {
  DialectRegistry registry;
  registerDialects(registry);
  return registry;
}

CompileAndRun::CompileAndRun()
    : context(makeRegistry(), MLIRContext::Threading::DISABLED) {
  context.loadAllAvailableDialects();
}
CompileAndRun::~CompileAndRun() = default;

uint64_t CompileAndRun::nextRandom() {
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return state;
}

reference::Tensor CompileAndRun::randomTensor(RankedTensorType type) {
  reference::Tensor tensor(type.getShape(), type.getElementType());
  for (double &element : tensor.data) {
    double unit = double(nextRandom() >> 11) / double(uint64_t(1) << 53);
    if (isa<FloatType>(type.getElementType()))
      element = 4 * unit - 2;
    else if (type.getElementType().isInteger(1))
      element = unit < 0.5;
    else
      element = lowestInteger +
                std::floor(unit * double(highestInteger - lowestInteger + 1));
  }
  reference::roundElements(tensor);
  return tensor;
}

reference::Tensor CompileAndRun::tensor(ArrayRef<int64_t> shape, Type type,
                                        std::vector<double> data) {
  reference::Tensor result(shape, type);
  result.data = std::move(data);
  return result;
}

/// A safetensors file of the weights.
static std::string writeWeights(const llvm::StringMap<reference::Tensor> &all) {
  std::string header = "{", data;
  for (auto &entry : all) {
    tpcrt::HostTensor host = reference::toHost(entry.second);
    std::string shape;
    for (uint64_t size : host.shape())
      shape += (shape.empty() ? "" : ",") + std::to_string(size);
    std::string dtype(tpcrt::typeName(host.type()));
    for (char &c : dtype)
      c = std::toupper(c);
    size_t begin = data.size();
    data.append(reinterpret_cast<const char *>(host.data()), host.byteSize());
    header += (header.size() > 1 ? "," : "") + ("\"" + entry.first().str()) +
              "\":{\"dtype\":\"" + dtype + "\",\"shape\":[" + shape +
              "],\"data_offsets\":[" + std::to_string(begin) + "," +
              std::to_string(data.size()) + "]}";
  }
  header += "}";
  char path[] = "/tmp/tpc-codegen-test-XXXXXX";
  int descriptor = ::mkstemp(path);
  ::close(descriptor);
  std::ofstream file(path, std::ios::binary);
  uint64_t size = header.size();
  file.write(reinterpret_cast<const char *>(&size), 8);
  file << header << data;
  return path;
}

void CompileAndRun::load(const std::vector<uint8_t> &payload) {
  auto wrapped = tpcrt::wrapArtifact(payload.data(), payload.size());
  auto bytes = tpcrt::ArtifactBytes::fromMemory(wrapped.data(), wrapped.size());
  ASSERT_TRUE(bytes) << bytes.error().message;
  tpcrt::WeightSource source;
  if (!weights.empty()) {
    auto opened = tpcrt::WeightSource::open(weights);
    ASSERT_TRUE(opened) << opened.error().message;
    source = std::move(*opened);
  } else if (!randomWeights.empty()) {
    std::string path = writeWeights(randomWeights);
    auto added = source.addFile(path);
    ::unlink(path.c_str());
    ASSERT_TRUE(added) << added.error().message;
  }
  auto loaded = tpcrt::Executable::load(std::move(*bytes), std::move(source));
  ASSERT_TRUE(loaded) << loaded.error().message;
  executable = std::move(*loaded);
}

AssignPhaseOptions CompileAndRun::megatron() {
  AssignPhaseOptions options;
  options.mode = "megatron";
  return options;
}

void CompileAndRun::plan(StringRef text, const AssignPhaseOptions &assign) {
  planModule(parseSourceString<ModuleOp>(text, &context), assign);
}

void CompileAndRun::planModule(OwningOpRef<ModuleOp> module,
                               const AssignPhaseOptions &assign) {
  planned = std::move(module);
  ASSERT_TRUE(planned);
  randomWeights.clear();
  symbols = reference::SymbolStore();
  for (auto parameter : planned->getOps<tpc::ParameterOp>()) {
    reference::Tensor value =
        randomTensor(withSharding(parameter.getTensorType(), ShardingAttr()));
    randomWeights[parameter.getSymName()] = value;
    symbols.set(parameter.getSymName(), value);
  }
  if (planned->getOps<spmd::ProgramOp>().empty()) {
    ASSERT_TRUE(succeeded(runPhase(
        *planned, [&](OpPassManager &pm) { buildAssignPhase(pm, assign); })));
    ASSERT_TRUE(succeeded(runPhase(*planned, buildPartitionPhase)));
    ASSERT_TRUE(succeeded(runPhase(*planned, buildVerifyPhase)));
  }
  if (!planMachine.empty())
    (*planned)->setAttr(kMachineAttrName,
                        StringAttr::get(&context, planMachine));
  source = planned->clone();
  ASSERT_TRUE(succeeded(runPhase(
      *planned, [&](OpPassManager &pm) { buildCodegenPipeline(pm, device); })));
}

void CompileAndRun::compile(StringRef text, std::string isa,
                            const AssignPhaseOptions &assign) {
  ASSERT_NO_FATAL_FAILURE(plan(text, assign));
  EmitOptions options;
  if (!isa.empty())
    options.isas = {isa};
  auto payload = emitArtifact(*planned, options);
  ASSERT_TRUE(succeeded(payload));
  load(*payload);
}

void CompileAndRun::compile(const TestProgram &program) {
  AssignPhaseOptions assign;
  assign.mode = program.mode;
  compile(program.text, "", assign);
}

std::vector<reference::Tensor>
CompileAndRun::run(const std::vector<reference::Tensor> &inputs) {
  std::vector<tpcrt::HostTensor> host;
  for (const reference::Tensor &input : inputs)
    host.push_back(reference::toHost(input));
  auto outputs = executable->run("main", host);
  std::vector<reference::Tensor> result;
  if (!outputs) {
    ADD_FAILURE() << outputs.error().message;
    return result;
  }
  for (const tpcrt::HostTensor &output : *outputs)
    result.push_back(reference::fromHost(output, &context));
  return result;
}

static double largestOf(const reference::Tensor &tensor) {
  double largest = 1e-30;
  for (double element : tensor.data)
    if (std::isfinite(element))
      largest = std::max(largest, std::abs(element));
  return largest;
}

void tpc::test::expectClose(const reference::Tensor &expected,
                            const reference::Tensor &found, double tolerance,
                            double scale) {
  ASSERT_EQ(found.data.size(), expected.data.size());
  double bound = tolerance * std::max(scale, largestOf(expected));
  for (auto [i, e, f] : llvm::enumerate(expected.data, found.data)) {
    if (e == f || (std::isnan(e) && std::isnan(f)))
      continue;
    ASSERT_LE(std::abs(e - f), bound)
        << "element " << i << ": expected " << e << ", found " << f;
  }
}

/// Writes random values into all states.
void CompileAndRun::fillStates() {
  for (const tpcrt::TensorInfo &info : executable->states()) {
    auto state = source->lookupSymbol<tpc::StateOp>(info.name);
    reference::Tensor value =
        randomTensor(withSharding(state.getTensorType(), ShardingAttr()));
    auto written = executable->writeState(info.name, reference::toHost(value));
    ASSERT_TRUE(written) << written.error().message;
    symbols.set(info.name, value);
  }
}

void CompileAndRun::checkStates(double tolerance) {
  for (const tpcrt::TensorInfo &info : executable->states()) {
    SCOPED_TRACE("state " + info.name);
    auto found = executable->readState(info.name);
    ASSERT_TRUE(found) << found.error().message;
    auto expected = symbols.get(source->lookupSymbol(info.name));
    ASSERT_TRUE(succeeded(expected));
    expectClose(**expected, reference::fromHost(*found, &context), tolerance);
  }
}

void CompileAndRun::check(double tolerance, Reference against,
                          Relative relative) {
  spmd::ProgramOp program;
  for (auto candidate : source->getOps<spmd::ProgramOp>())
    if (candidate.getWhole() == "main")
      program = candidate;
  ASSERT_TRUE(program);
  auto whole = source->lookupSymbol<FunctionOpInterface>("main");
  std::vector<reference::Tensor> inputs;
  for (Type type : whole.getArgumentTypes())
    inputs.push_back(randomTensor(
        withSharding(cast<RankedTensorType>(type), ShardingAttr())));
  ASSERT_NO_FATAL_FAILURE(fillStates());
  auto expected =
      against == Reference::Whole
          ? reference::evaluate(whole, inputs, symbols)
          : reference::simulate(program, inputs, symbols, {false, 1e-3});
  ASSERT_TRUE(succeeded(expected));
  std::vector<reference::Tensor> found = run(inputs);
  ASSERT_EQ(found.size(), expected->size());
  double scale = 0;
  if (relative == Relative::ToAllOutputs)
    for (const reference::Tensor &output : *expected)
      scale = std::max(scale, largestOf(output));
  for (size_t i = 0; i < found.size(); ++i) {
    SCOPED_TRACE("output " + std::to_string(i));
    ASSERT_NO_FATAL_FAILURE(
        expectClose((*expected)[i], found[i], tolerance, scale));
  }
  checkStates(tolerance);
}

PlanCounts CompileAndRun::counts() {
  PlanCounts counts;
  planned->walk([&](Operation *op) {
    counts.kernels += isa<plan::KernelOp>(op);
    counts.matmuls += isa<plan::MatmulOp>(op);
    counts.attentions += isa<plan::AttentionOp>(op);
    if (auto collective = dyn_cast<plan::CollectiveOp>(op)) {
      ++counts.collectives;
      counts.groups += isa_and_nonnull<ArrayAttr>(collective.getOriginAttr());
    }
  });
  return counts;
}
