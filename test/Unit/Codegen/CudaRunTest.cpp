// Whole programs and models on GPUs that are not there: compiled for the device
// cuda, loaded and run by the runtime on its fake libraries, kernels by the
// simulator. Compared with the reference evaluator.
#include "CompileAndRun.h"
#include "FakeLibraries.h"
#include "KernelSimulator.h"
#include "mlir/AsmParser/AsmParser.h"
#include "tpc/Import/HuggingFace.h"
#include "tpc/Reference/HostTensors.h"
#include "tpc/Target/Artifact.h"
#include "tpcrt/artifact_generated.h"
#include <cstring>

using namespace mlir;
using namespace tpc;
using namespace tpc::test;
namespace fb = tpcrt::artifact;
namespace fake = tpcrt::fake;

namespace {

class CudaRun : public CompileAndRun {
protected:
  void SetUp() override { start(1); }
  void start(int gpus) {
    device = "cuda";
    fake::Settings settings;
    settings.gpus = gpus;
    settings.order = fake::Settings::Order::Random;
    machine = &fake::installLibraries(settings);
    machine->loadImage = [this](const char *bytes) { return loadImage(bytes); };
  }
  void TearDown() override {
    executable.reset();
    EXPECT_EQ(machine->misuse, "");
    EXPECT_EQ(machine->alive(), "");
    fake::removeLibraries();
  }

  /// Loads what was planned.
  void emitAndLoad() {
    EmitOptions options;
    if (device == "cuda") {
      options.device = DeviceKind::Cuda;
      options.isas = {"sm_80-bitcode"};
    }
    auto payload = emitArtifact(*planned, options);
    ASSERT_TRUE(succeeded(payload));
    fb::ArtifactT artifact;
    fb::GetArtifact(payload->data())->UnPackTo(&artifact);
    if (device == "cuda" && !artifact.images.empty()) {
      image = artifact.images[0]->bytes;
      artifact.images[0]->bytes.push_back(0); // as PTX ends
    }
    flatbuffers::FlatBufferBuilder builder;
    fb::FinishArtifactBuffer(builder, fb::Artifact::Pack(builder, &artifact));
    load({builder.GetBufferPointer(),
          builder.GetBufferPointer() + builder.GetSize()});
  }

  /// Twice step by step and captured, then replayed.
  void runAndCheck(double tolerance) {
    for (int run = 0; run < 3 && !HasFailure(); ++run)
      check(tolerance);
  }

private:
  /// Bitcode by the simulator.
  std::optional<fake::Image> loadImage(const char *bytes) {
    if (image.empty() || std::memcmp(bytes, image.data(), 4) != 0)
      return std::nullopt;
    std::string error;
    kernels = simulator::KernelModule::load(image.data(), image.size(), error);
    EXPECT_TRUE(kernels) << error;
    return fake::Image{
        [this](const std::string &name) { return kernels->numBuffers(name); },
        [this](const std::string &name, const fake::Launch &launch) {
          std::vector<void *> buffers;
          for (uint64_t address : launch.parameters)
            buffers.push_back(reinterpret_cast<void *>(address));
          std::string error = kernels->launch(name, launch.blocks,
                                              launch.threads, buffers.data());
          EXPECT_EQ(error, "") << name;
        }};
  }

  fake::Machine *machine = nullptr;
  std::vector<uint8_t> image;
  std::unique_ptr<simulator::KernelModule> kernels;
};

class CudaPrograms : public CudaRun,
                     public testing::WithParamInterface<TestProgram> {};

TEST_P(CudaPrograms, MatchTheReference) {
  AssignPhaseOptions assign;
  assign.mode = GetParam().mode;
  ASSERT_NO_FATAL_FAILURE(plan(GetParam().text, assign));
  ASSERT_NO_FATAL_FAILURE(emitAndLoad());
  runAndCheck(1e-4);
}

INSTANTIATE_TEST_SUITE_P(F32, CudaPrograms,
                         testing::ValuesIn(testPrograms("f32")),
                         [](const auto &info) { return info.param.name; });

using ModelAndGpus = std::tuple<const char *, int>;

class CudaWholeModels : public CudaRun,
                        public testing::WithParamInterface<ModelAndGpus> {
protected:
  void SetUp() override { start(std::get<1>(GetParam())); }

  /// The model on two devices, with its own weights.
  std::unique_ptr<tpcrt::Executable> loadOn(const char *kind) {
    std::string folder =
        std::string(TPC_MODELS) + "/" + std::get<0>(GetParam()) + "/model";
    ImportOptions options;
    options.batch = 2;
    options.length = 7;
    options.element = "f32";
    auto module = importHuggingFace(&context, folder, options);
    std::string error;
    device = kind;
    if (!module || failed(setMesh(*module, "tp=2", error)))
      return nullptr;
    planModule(std::move(module));
    weights = folder;
    emitAndLoad();
    return std::move(executable);
  }

  std::vector<tpcrt::HostTensor>
  randomInputs(const tpcrt::ProgramInfo &program) {
    std::vector<tpcrt::HostTensor> inputs;
    for (const tpcrt::TensorInfo &info : program.inputs) {
      reference::Tensor value = randomTensor(RankedTensorType::get(
          std::vector<int64_t>(info.shape.begin(), info.shape.end()),
          typeNamed(tpcrt::typeName(info.type))));
      inputs.push_back(reference::toHost(value));
    }
    return inputs;
  }

private:
  Type typeNamed(std::string_view name) {
    return parseType(name == "bool" ? "i1" : llvm::StringRef(name), &context);
  }
};

/// All entries, several times, as the same model on CPUs: with caches.
TEST_P(CudaWholeModels, MatchCpus) {
  lowestInteger = 1; // a length, a token
  auto cpu = loadOn("cpu"), gpu = loadOn("cuda");
  ASSERT_TRUE(cpu && gpu);
  for (int run = 0; run < 3 && !HasFailure(); ++run)
    for (const tpcrt::ProgramInfo &program : cpu->programs()) {
      SCOPED_TRACE(program.name);
      auto inputs = randomInputs(program);
      auto expected = cpu->run(program.name, inputs);
      auto found = gpu->run(program.name, inputs);
      ASSERT_TRUE(expected) << expected.error().message;
      ASSERT_TRUE(found) << found.error().message;
      for (size_t i = 0; i < found->size(); ++i)
        ASSERT_NO_FATAL_FAILURE(
            expectClose(reference::fromHost((*expected)[i], &context),
                        reference::fromHost((*found)[i], &context), 1e-4));
    }
}

/// Two devices on one GPU, and on a GPU each.
INSTANTIATE_TEST_SUITE_P(Models, CudaWholeModels,
                         testing::Combine(testing::Values("bert", "gpt2",
                                                          "llama_rope3",
                                                          "mixtral", "t5"),
                                          testing::Values(1, 2)),
                         [](const auto &info) {
                           return std::string(std::get<0>(info.param)) +
                                  "_on_" +
                                  std::to_string(std::get<1>(info.param));
                         });

} // namespace
