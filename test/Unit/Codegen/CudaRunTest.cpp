// Whole programs and models on GPUs that are not there: compiled for the device
// cuda, loaded and run by the runtime on its fake libraries, kernels by the
// simulator. Compared with the reference evaluator.
#include "CompileAndRun.h"
#include "FakeLibraries.h"
#include "KernelSimulator.h"
#include "mlir/AsmParser/AsmParser.h"
#include "mlir/Parser/Parser.h"
#include "tpc/Driver/Compilation.h"
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

  fake::Machine *machine = nullptr;

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

/// A decoder's step and a prompt, in bf16: the library computes both.
TEST_F(CudaRun, LibraryAttention) {
  lowestInteger = 0;
  highestInteger = 8;
  plan(R"(
tpc.mesh @mesh <"tp" = 2>
func.func @main(%q: tensor<2x1x2x3x8xbf16>, %p: tensor<2x9x2x3x8xbf16>,
                %k: tensor<2x9x2x8xbf16>, %o: tensor<2xi64>)
    -> (tensor<2x1x2x3x8xbf16>, tensor<2x9x2x3x8xbf16>) {
  %s = tpc.attention %q, %k, %k offset %o scale 0.35 causal :
    (tensor<2x1x2x3x8xbf16>, tensor<2x9x2x8xbf16>, tensor<2x9x2x8xbf16>,
     tensor<2xi64>) -> tensor<2x1x2x3x8xbf16>
  %r = tpc.attention %p, %k, %k scale 0.35 causal :
    (tensor<2x9x2x3x8xbf16>, tensor<2x9x2x8xbf16>, tensor<2x9x2x8xbf16>)
    -> tensor<2x9x2x3x8xbf16>
  return %s, %r : tensor<2x1x2x3x8xbf16>, tensor<2x9x2x3x8xbf16>
})");
  ASSERT_NO_FATAL_FAILURE(emitAndLoad());
  runAndCheck(1e-2);
  // Two attentions of two devices, enqueued once and captured once.
  EXPECT_EQ(llvm::count(machine->calls, "attention"), 2 * 2 * 2);
}

/// What the library does not compute goes through the same steps.
TEST_F(CudaRun, GeneratedProducts) {
  plan(R"(
tpc.mesh @mesh <"tp" = 2>
func.func @main(%x: tensor<4x6xi32>, %y: tensor<6x10xi32>, %a: tensor<4x6xf32>,
                %b: tensor<6x10xbf16>) -> (tensor<4x10xi32>, tensor<4x10xf32>) {
  %i = tpc.matmul %x, %y "m k, k n -> m n" : (tensor<4x6xi32>, tensor<6x10xi32>) -> tensor<4x10xi32>
  %f = tpc.matmul %a, %b "m k, k n -> m n" : (tensor<4x6xf32>, tensor<6x10xbf16>) -> tensor<4x10xf32>
  return %i, %f : tensor<4x10xi32>, tensor<4x10xf32>
})");
  ASSERT_NO_FATAL_FAILURE(emitAndLoad());
  runAndCheck(1e-5);
  EXPECT_EQ(llvm::count(machine->calls, "cublasLtMatmul"), 0);
}

/// The compiler knows what the runtime will hold.
TEST_F(CudaRun, ReservesWhatIsLoaded) {
  CompileOptions options;
  options.mesh = "tp=2";
  options.device = "cuda";
  auto module = parseSourceString<ModuleOp>(R"(
tpc.mesh @mesh <"tp" = 1>
tpc.state @s : tensor<6x10xf32>
func.func @main(%x: tensor<4x6xf32>) -> tensor<4x10xf32> {
  %s = tpc.read @s : tensor<6x10xf32>
  %y = tpc.matmul %x, %s "m k, k n -> m n" : (tensor<4x6xf32>, tensor<6x10xf32>) -> tensor<4x10xf32>
  return %y : tensor<4x10xf32>
})",
                                            &context);
  Compilation compilation(std::move(module), options);
  auto artifact = compilation.compile();
  ASSERT_TRUE(succeeded(artifact));
  auto reserved = compilation.report().memory.reserved;
  ASSERT_TRUE(reserved);
  auto loaded = tpcrt::Executable::load(*artifact, {});
  ASSERT_TRUE(loaded) << loaded.error().message;
  for (const tpcrt::DeviceStatistics &device :
       (*loaded)->statistics().devices) {
    EXPECT_EQ(reserved->weights, int64_t(device.weightBytes));
    EXPECT_EQ(reserved->states, int64_t(device.stateBytes));
    EXPECT_EQ(reserved->arena, int64_t(device.arenaBytes));
    EXPECT_EQ(reserved->scratch, int64_t(device.scratchBytes));
  }
  EXPECT_GT(reserved->states, 0);
  EXPECT_GT(reserved->scratch, 0);
}

/// A model, its element type, and the number of GPUs.
using ModelOnGpus = std::tuple<const char *, const char *, int>;

class CudaWholeModels : public CudaRun,
                        public testing::WithParamInterface<ModelOnGpus> {
protected:
  void SetUp() override { start(std::get<2>(GetParam())); }

  /// The model on two devices, with its own weights.
  std::unique_ptr<tpcrt::Executable> loadOn(const char *kind) {
    std::string folder =
        std::string(TPC_MODELS) + "/" + std::get<0>(GetParam()) + "/model";
    ImportOptions options;
    options.batch = 2;
    options.length = 7;
    options.element = std::get<1>(GetParam());
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
  auto [model, element, gpus] = GetParam();
  bool isF32 = element == StringRef("f32");
  double tolerance = isF32 ? 1e-4 : 4e-2;
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
                        reference::fromHost((*found)[i], &context), tolerance));
    }
}

const char *const kModels[] = {"bert", "gpt2", "llama_rope3", "mixtral", "t5"};

std::string nameOf(const testing::TestParamInfo<ModelOnGpus> &info) {
  auto [model, element, gpus] = info.param;
  return std::string(model) + "_" + element + "_on_" + std::to_string(gpus);
}

/// Two devices on one GPU, and on a GPU each.
INSTANTIATE_TEST_SUITE_P(F32, CudaWholeModels,
                         testing::Combine(testing::ValuesIn(kModels),
                                          testing::Values("f32"),
                                          testing::Values(1, 2)),
                         nameOf);
INSTANTIATE_TEST_SUITE_P(BF16, CudaWholeModels,
                         testing::Combine(testing::ValuesIn(kModels),
                                          testing::Values("bf16"),
                                          testing::Values(1)),
                         nameOf);

} // namespace
