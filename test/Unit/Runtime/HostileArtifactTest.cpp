// Artifacts that break a rule. Each is refused with a message; none crashes the
// reader (run these under AddressSanitizer too).
#include "TestArtifact.h"
#include "artifact/Module.h"

#include <cmath>
#include <functional>
#include <gtest/gtest.h>
#include <random>

using namespace tpcrt;
using namespace tpcrt::test;

namespace {

std::unique_ptr<FbRef> ref(FbSpace space, uint32_t index, uint64_t offset,
                           uint64_t size) {
  return std::make_unique<FbRef>(space, index, offset, size);
}

/// The small artifact with a matmul, an attention of every operand, a grouped
/// matmul, and parameters besides.
TestArtifact richArtifact() {
  TestArtifact artifact = smallArtifact();
  artifact.addParameter("w", FbType::F32, {4, 6}, {-1, 0});
  auto &scalar = artifact.table.device_scalars.emplace_back(
      std::make_unique<fb::DeviceScalarT>());
  scalar->values = {3, 4};
  fb::MatmulStepT &matmul = artifact.addMatmul(
      arena(320, 32), {FbSpace::Parameter, 0, 0, 48}, arena(384, 24), 2, 4, 3);
  matmul.bias = ref(FbSpace::Arena, 0, 928, 12);
  matmul.activation = fb::Activation::Silu;
  artifact.program().arena_bytes = 1024;
  fb::AttentionStepT &attention = artifact.addAttention(
      arena(512, 32), arena(576, 48), arena(640, 48), arena(704, 32));
  attention.bias = ref(FbSpace::Arena, 0, 768, 12);
  attention.bias_strides = {0, 0, 0, 0, 1};
  attention.bias_type = FbType::F32;
  attention.lengths = ref(FbSpace::Arena, 0, 832, 8);
  attention.offset = ref(FbSpace::DeviceScalar, 0, 0, 8);
  attention.sinks = ref(FbSpace::Arena, 0, 896, 4);
  attention.sinks_type = FbType::F32;
  attention.window = 2;
  attention.softcap = 30;
  artifact.addParameter("experts", FbType::F32, {4, 3, 5}, {-1, -1, -1});
  artifact.program().arena_bytes = 1280;
  artifact.addGroupedMatmul(arena(1024, 24), arena(1056, 32),
                            {FbSpace::Parameter, 1, 0, 240}, arena(1088, 80));
  return artifact;
}

std::string errorOf(const TestArtifact &artifact) {
  auto module = loadModule(artifact.bytes());
  return module ? "" : module.error().message;
}

struct Hostile {
  std::string name;
  std::string message; // part of the error
  std::function<void(TestArtifact &)> breakIt;
};

void PrintTo(const Hostile &test, std::ostream *stream) {
  *stream << test.name;
}

fb::KernelStepT &kernelOf(TestArtifact &a) {
  return *a.program().steps[0]->body.AsKernelStep();
}
fb::CollectiveStepT &collectiveOf(TestArtifact &a) {
  return *a.program().steps[2]->body.AsCollectiveStep();
}
fb::MatmulStepT &matmulOf(TestArtifact &a) {
  return *a.program().steps[4]->body.AsMatmulStep();
}

fb::AttentionStepT &attentionOf(TestArtifact &a) {
  return *a.program().steps[5]->body.AsAttentionStep();
}

fb::GroupedMatmulStepT &groupedOf(TestArtifact &a) {
  return *a.program().steps[6]->body.AsGroupedMatmulStep();
}

const uint64_t huge = UINT64_MAX;

const Hostile hostile[] = {
    {"AxisSizeZero", "tp", [](auto &a) { a.table.mesh->axes[0]->size = 0; }},
    {"TooManyDevices", "devices",
     [](auto &a) { a.table.mesh->axes[0]->size = 1u << 31; }},
    {"AxisNameTwice", "two axes",
     [](auto &a) {
       a.table.mesh->axes.push_back(
           std::make_unique<fb::AxisT>(*a.table.mesh->axes[0]));
     }},
    {"StateType", "element type",
     [](auto &a) { a.table.states[0]->type = FbType(77); }},
    {"StateTooLarge", "too large",
     [](auto &a) { a.table.states[0]->shape = {huge}; }},
    {"PlacementRank", "placement of 2 dimensions",
     [](auto &a) { a.table.states[0]->shape = {10, 10}; }},
    {"PlacementAxis", "axis 5",
     [](auto &a) {
       a.table.states[0]->placement->dims[0]->parts[0]->axis = 5;
     }},
    {"PlacementPartSize", "has no part",
     [](auto &a) {
       a.table.states[0]->placement->dims[0]->parts[0]->size = 3;
     }},
    {"PlacementPartZero", "has no part",
     [](auto &a) {
       a.table.states[0]->placement->dims[0]->parts[0]->size = 0;
     }},
    {"PlacementPreOverflow", "has no part",
     [](auto &a) {
       a.table.states[0]->placement->dims[0]->parts[0]->pre = 1u << 31;
     }},
    {"AxisUsedTwice", "used twice",
     [](auto &a) {
       auto &parts = a.table.states[0]->placement->dims[0]->parts;
       parts.push_back(std::make_unique<fb::AxisPartT>(*parts[0]));
     }},
    {"StackDim", "stack_dim",
     [](auto &a) { a.table.parameters[0]->stack_dim = 2; }},
    {"StackDimNegative", "stack_dim",
     [](auto &a) { a.table.parameters[0]->stack_dim = -7; }},
    {"SourceCount", "stored tensors",
     [](auto &a) { a.table.parameters[0]->stack_dim = 0; }},
    {"SourceStrides", "strides",
     [](auto &a) { a.table.parameters[0]->sources[0]->strides.pop_back(); }},
    {"SourceLeaves", "leaves",
     [](auto &a) { a.table.parameters[0]->sources[0]->strides[0] = 7; }},
    {"SourceNegative", "leaves",
     [](auto &a) { a.table.parameters[0]->sources[0]->strides[0] = -6; }},
    {"SourceStrideHuge", "leaves",
     [](auto &a) {
       a.table.parameters[0]->sources[0]->strides = {INT64_MIN, INT64_MIN};
     }},
    {"SourceOffsetHuge", "leaves",
     [](auto &a) { a.table.parameters[0]->sources[0]->offset = huge; }},
    {"StoredShapeHuge", "too large",
     [](auto &a) {
       a.table.parameters[0]->sources[0]->stored_shape = {huge, huge};
     }},
    {"DeviceScalarCount", "device scalar",
     [](auto &a) { a.table.device_scalars[0]->values.push_back(1); }},
    {"ProgramNameTwice", "two programs",
     [](auto &a) { a.addProgram("main", 0); }},
    {"ArenaHuge", "arena", [](auto &a) { a.program().arena_bytes = huge; }},
    {"PortOutside", "leave its memory",
     [](auto &a) { a.program().arena_bytes = 16; }},
    {"PortSize", "expected a buffer of 20 bytes",
     [](auto &a) {
       a.program().inputs[0]->buffer = ref(FbSpace::Arena, 0, 0, 16);
     }},
    {"PortSpace", "arena",
     [](auto &a) {
       a.program().inputs[0]->buffer = ref(FbSpace::State, 0, 0, 20);
     }},
    {"PortOffset", "multiple of 4",
     [](auto &a) {
       a.program().inputs[0]->buffer = ref(FbSpace::Arena, 0, 2, 20);
     }},
    {"PortNameTwice", "appears twice",
     [](auto &a) { a.program().inputs[1]->name = "x"; }},
    {"KernelIndex", "kernel 9", [](auto &a) { kernelOf(a).kernel = 9; }},
    {"KernelInputs", "inputs", [](auto &a) { kernelOf(a).inputs = 4; }},
    {"KernelTiles", "tiles", [](auto &a) { kernelOf(a).tiles = huge; }},
    {"KernelOutputTypes", "element types of 1 outputs",
     [](auto &a) { kernelOf(a).output_types.clear(); }},
    {"KernelOutputType", "element types",
     [](auto &a) { kernelOf(a).output_types[0] = FbType(9); }},
    {"KernelThreads", "threads", [](auto &a) { kernelOf(a).threads = 32; }},
    {"DeviceKind", "unknown kind of device 2",
     [](auto &a) { a.table.device = fb::DeviceKind(2); }},
    {"GpuKernelThreads", "0 threads",
     [](auto &a) { a.table.device = fb::DeviceKind::Cuda; }},
    {"GeneratedOnCpu", "for GPUs only",
     [](auto &a) {
       attentionOf(a).generated =
           std::make_unique<fb::KernelStepT>(kernelOf(a));
     }},
    {"GeneratedProductOnCpu", "for GPUs only",
     [](auto &a) {
       matmulOf(a).bias.reset();
       matmulOf(a).activation = fb::Activation::None;
       matmulOf(a).generated = std::make_unique<fb::KernelStepT>(kernelOf(a));
     }},
    {"GeneratedProductWithBias", "computes no bias or activation",
     [](auto &a) {
       matmulOf(a).activation = fb::Activation::GeluTanh;
       matmulOf(a).generated = std::make_unique<fb::KernelStepT>(kernelOf(a));
     }},
    {"RefSpace", "memory space",
     [](auto &a) { kernelOf(a).buffers[0] = {FbSpace(9), 0, 0, 4}; }},
    {"RefIndex", "index 3 of 1",
     [](auto &a) { kernelOf(a).buffers[0] = {FbSpace::State, 3, 0, 4}; }},
    {"RefArenaIndex", "index 1 of 1",
     [](auto &a) { kernelOf(a).buffers[0] = {FbSpace::Arena, 1, 0, 4}; }},
    {"RefEnd", "leave its memory",
     [](auto &a) { kernelOf(a).buffers[0] = {FbSpace::State, 0, 16, 8}; }},
    {"RefOverflow", "leave its memory",
     [](auto &a) {
       kernelOf(a).buffers[0] = {FbSpace::Arena, 0, huge - 3, 8};
     }},
    {"RefConstantEnd", "leave its memory",
     [](auto &a) { kernelOf(a).buffers[0] = {FbSpace::Constant, 0, 0, 9}; }},
    {"RefScalarEnd", "leave its memory",
     [](auto &a) {
       kernelOf(a).buffers[0] = {FbSpace::DeviceScalar, 0, 0, 9};
     }},
    {"WritesConstant", "written",
     [](auto &a) { kernelOf(a).buffers[2] = {FbSpace::Constant, 0, 0, 8}; }},
    {"WritesParameter", "written",
     [](auto &a) { kernelOf(a).buffers[2] = {FbSpace::Parameter, 0, 0, 8}; }},
    {"CollectiveKind", "collective",
     [](auto &a) { collectiveOf(a).kind = fb::CollectiveKind(9); }},
    {"CollectiveReduction", "reduction",
     [](auto &a) { collectiveOf(a).reduction = fb::Reduction(3); }},
    {"CollectiveType", "element type",
     [](auto &a) { collectiveOf(a).type = FbType(7); }},
    {"CollectiveCount", "too few", [](auto &a) { collectiveOf(a).count = 6; }},
    {"CollectiveCountHuge", "too few",
     [](auto &a) { collectiveOf(a).count = huge / 2; }},
    {"CollectiveGather", "too few",
     [](auto &a) { collectiveOf(a).kind = fb::CollectiveKind::AllGather; }},
    {"CollectiveOverlap", "overlap",
     [](auto &a) { collectiveOf(a).dst = ref(FbSpace::Arena, 0, 132, 20); }},
    {"CollectiveAxes", "used twice",
     [](auto &a) {
       auto &axes = collectiveOf(a).axes;
       axes.push_back(std::make_unique<fb::AxisPartT>(*axes[0]));
     }},
    {"PermuteSources", "permute sources",
     [](auto &a) { collectiveOf(a).kind = fb::CollectiveKind::Permute; }},
    {"PermuteSource", "permute source 2",
     [](auto &a) {
       collectiveOf(a).kind = fb::CollectiveKind::Permute;
       collectiveOf(a).sources = {0, 2};
     }},
    {"OneLaunchOfAPermute", "one launch of an all_reduce only, found permute",
     [](auto &a) {
       collectiveOf(a).kind = fb::CollectiveKind::Permute;
       collectiveOf(a).sources = {1, 0};
     }},
    {"MatmulLeavesA", "a: its strides", [](auto &a) { matmulOf(a).m = 3; }},
    {"MatmulLeavesB", "b: its strides",
     [](auto &a) { matmulOf(a).b_k_stride = 4; }},
    {"MatmulLeavesC", "c: its strides",
     [](auto &a) { matmulOf(a).c_m_stride = 4; }},
    {"MatmulNegative", "a: its strides",
     [](auto &a) { matmulOf(a).a_m_stride = -1; }},
    {"MatmulBatch", "c: its strides",
     [](auto &a) { matmulOf(a).batch = {{2, 0, 0, 6}}; }},
    {"MatmulBatchHuge", "too large",
     [](auto &a) { matmulOf(a).batch = {{huge, 0, 0, 0}}; }},
    {"MatmulType", "no matmul",
     [](auto &a) { matmulOf(a).a_type = FbType::Bool; }},
    {"MatmulMixedTypes", "found f32, f32 and i32",
     [](auto &a) { matmulOf(a).c_type = FbType::I32; }},
    {"MatmulPack", "packed",
     [](auto &a) {
       matmulOf(a).b = ref(FbSpace::Arena, 0, 0, 48);
       matmulOf(a).pack_b = true;
     }},
    {"MatmulWritesParameter", "written",
     [](auto &a) { matmulOf(a).c = ref(FbSpace::Parameter, 0, 0, 24); }},
    {"EpilogueActivation", "unknown activation 77",
     [](auto &a) { matmulOf(a).activation = fb::Activation(77); }},
    {"EpilogueOnIntegers", "expected a result of f32, bf16 or f16",
     [](auto &a) {
       auto &m = matmulOf(a);
       m.a_type = m.b_type = m.c_type = FbType::I32;
     }},
    {"EpilogueOnF64", "expected a result of f32, bf16 or f16",
     [](auto &a) {
       auto &m = matmulOf(a);
       m.a_type = m.b_type = m.c_type = FbType::F64;
       m.m = m.k = m.n = 1;
     }},
    {"EpilogueBiasShort", "bias: 8 bytes are too few for 3 elements of f32",
     [](auto &a) { matmulOf(a).bias = ref(FbSpace::Arena, 0, 928, 8); }},
    {"EpilogueBiasMisaligned", "bias: offset 930 is not a multiple of 4",
     [](auto &a) { matmulOf(a).bias = ref(FbSpace::Arena, 0, 930, 12); }},
    {"EpilogueBiasIndex", "bias: index 9 of 1",
     [](auto &a) { matmulOf(a).bias = ref(FbSpace::State, 9, 0, 12); }},
    {"EpilogueBiasOutside", "bias: bytes [65532, +12) leave its memory",
     [](auto &a) { matmulOf(a).bias = ref(FbSpace::Arena, 0, 65532, 12); }},
    {"EpilogueBiasOverlaps", "bias and c overlap",
     [](auto &a) { matmulOf(a).bias = ref(FbSpace::Arena, 0, 380, 12); }},
    {"AttentionType", "query: no attention on element type i32",
     [](auto &a) { attentionOf(a).type = FbType::I32; }},
    {"AttentionTypeUnknown", "query: no attention on element type unknown",
     [](auto &a) { attentionOf(a).type = FbType(77); }},
    {"AttentionBiasType", "bias: no attention on element type i64",
     [](auto &a) { attentionOf(a).bias_type = FbType::I64; }},
    {"AttentionLengthsType", "lengths: no attention on element type f32",
     [](auto &a) { attentionOf(a).lengths_type = FbType::F32; }},
    {"AttentionOffsetType", "offset: no attention on element type bool",
     [](auto &a) { attentionOf(a).offset_type = FbType::Bool; }},
    {"AttentionSinksType", "sinks: no attention on element type i32",
     [](auto &a) { attentionOf(a).sinks_type = FbType::I32; }},
    {"AttentionQueryStrides", "query: expected 4 strides, found 3",
     [](auto &a) { attentionOf(a).query_strides.pop_back(); }},
    {"AttentionKeyStrides", "key: expected 3 strides, found 4",
     [](auto &a) { attentionOf(a).key_strides.push_back(1); }},
    {"AttentionValueStrides", "value: expected 3 strides, found 0",
     [](auto &a) { attentionOf(a).value_strides.clear(); }},
    {"AttentionResultStrides", "result: expected 4 strides, found 5",
     [](auto &a) { attentionOf(a).result_strides.push_back(1); }},
    {"AttentionBiasStrides", "bias: expected 5 strides, found 0",
     [](auto &a) { attentionOf(a).bias_strides.clear(); }},
    {"AttentionQueries", "query: its strides leave the buffer of 32 bytes",
     [](auto &a) { attentionOf(a).s = 3; }},
    {"AttentionKeys", "key: its strides leave the buffer of 48 bytes",
     [](auto &a) { attentionOf(a).t = 4; }},
    {"AttentionValueLeaves", "value: its strides",
     [](auto &a) { attentionOf(a).value_strides[1] = 5; }},
    {"AttentionNegative", "key: its strides",
     [](auto &a) { attentionOf(a).key_strides[1] = -4; }},
    {"AttentionStrideHuge", "query: its strides",
     [](auto &a) {
       attentionOf(a).query_strides = {INT64_MAX, INT64_MAX, 0, 0};
     }},
    {"AttentionResultLeaves", "result: its strides",
     [](auto &a) { attentionOf(a).result_strides[1] = 8; }},
    {"AttentionBiasLeaves", "bias: its strides",
     [](auto &a) { attentionOf(a).bias_strides[3] = 1; }},
    {"AttentionLengthsLeave", "lengths: its strides",
     [](auto &a) { attentionOf(a).lengths = ref(FbSpace::Arena, 0, 832, 4); }},
    {"AttentionOffsetLeaves", "offset: its strides",
     [](auto &a) {
       attentionOf(a).offset = ref(FbSpace::DeviceScalar, 0, 8, 0);
     }},
    {"AttentionSinksLeave", "sinks: its strides",
     [](auto &a) { attentionOf(a).sinks = ref(FbSpace::Arena, 0, 896, 0); }},
    {"AttentionUnaligned", "multiple of 8",
     [](auto &a) { attentionOf(a).lengths = ref(FbSpace::Arena, 0, 836, 8); }},
    {"AttentionTooLarge", "too large",
     [](auto &a) {
       attentionOf(a).query_strides = attentionOf(a).result_strides = {};
       attentionOf(a).query_strides.resize(4);
       attentionOf(a).result_strides.resize(4);
       attentionOf(a).s = huge / 2;
     }},
    {"AttentionOverlap", "key and result overlap",
     [](auto &a) { attentionOf(a).result = ref(FbSpace::Arena, 0, 592, 32); }},
    {"AttentionOverlapsBias", "bias and result overlap",
     [](auto &a) { attentionOf(a).bias = ref(FbSpace::Arena, 0, 704, 12); }},
    {"AttentionWritesParameter", "written",
     [](auto &a) {
       attentionOf(a).result = ref(FbSpace::Parameter, 0, 0, 32);
     }},
    {"AttentionRef", "leave its memory",
     [](auto &a) {
       attentionOf(a).value = ref(FbSpace::Arena, 0, huge - 3, 48);
     }},
    {"AttentionWindow", "expected a window of at least 1, found 0",
     [](auto &a) { attentionOf(a).window = 0; }},
    {"AttentionWindowHuge", "expected a window",
     [](auto &a) { attentionOf(a).window = huge; }},
    {"AttentionSoftcap", "expected a positive softcap",
     [](auto &a) { attentionOf(a).softcap = std::nan(""); }},
    {"GroupedType", "no grouped matmul on element type i32",
     [](auto &a) { groupedOf(a).type = FbType::I32; }},
    {"GroupedTypeUnknown", "no grouped matmul on element type unknown",
     [](auto &a) { groupedOf(a).type = FbType(77); }},
    {"GroupedChoiceType", "choices: expected i32 or i64, found f32",
     [](auto &a) { groupedOf(a).choice_type = FbType::F32; }},
    {"GroupedRows", "rows: its elements leave the buffer of 24 bytes",
     [](auto &a) { groupedOf(a).row_per_choice = true; }},
    {"GroupedChoices", "choices: its elements",
     [](auto &a) {
       groupedOf(a).rows = ref(FbSpace::Arena, 0, 0, 48);
       groupedOf(a).result = ref(FbSpace::Arena, 0, 1088, 120);
       groupedOf(a).n = 3;
     }},
    {"GroupedMatrices", "weights: its elements",
     [](auto &a) { groupedOf(a).e = 5; }},
    {"GroupedStride", "weights: its elements",
     [](auto &a) { groupedOf(a).e_stride = 16; }},
    {"GroupedStrideNegative", "weights: its elements",
     [](auto &a) { groupedOf(a).d_stride = -5; }},
    {"GroupedStrideHuge", "weights: its elements",
     [](auto &a) { groupedOf(a).f_stride = INT64_MAX; }},
    {"GroupedResult", "result: its elements",
     [](auto &a) { groupedOf(a).result = ref(FbSpace::Arena, 0, 1088, 76); }},
    {"GroupedTooLarge", "too large",
     [](auto &a) {
       groupedOf(a).n = huge / 2;
       groupedOf(a).c = 3;
     }},
    {"GroupedTooLargeButEmpty", "too large",
     [](auto &a) {
       groupedOf(a).e = huge;
       groupedOf(a).d = 0;
     }},
    {"GroupedUnaligned", "multiple of 8",
     [](auto &a) { groupedOf(a).choices = ref(FbSpace::Arena, 0, 1060, 32); }},
    {"GroupedOverlap", "rows and result overlap",
     [](auto &a) { groupedOf(a).result = ref(FbSpace::Arena, 0, 1000, 80); }},
    {"GroupedPack", "packed",
     [](auto &a) {
       groupedOf(a).weights = ref(FbSpace::Arena, 0, 0, 240);
       groupedOf(a).pack = true;
     }},
    {"GroupedWritesParameter", "written",
     [](auto &a) { groupedOf(a).result = ref(FbSpace::Parameter, 1, 0, 80); }},
    {"GroupedRef", "leave its memory",
     [](auto &a) {
       groupedOf(a).weights = ref(FbSpace::Parameter, 1, huge - 3, 240);
     }},
    {"StepWithoutBody", "well-formed",
     [](auto &a) { a.program().steps[0]->body.Reset(); }},
};

class HostileArtifact : public testing::TestWithParam<Hostile> {};

TEST_P(HostileArtifact, IsRefused) {
  TestArtifact artifact = richArtifact();
  ASSERT_EQ(errorOf(artifact), "");
  GetParam().breakIt(artifact);
  EXPECT_NE(errorOf(artifact).find(GetParam().message), std::string::npos)
      << "found: '" << errorOf(artifact) << "'";
}

INSTANTIATE_TEST_SUITE_P(, HostileArtifact, testing::ValuesIn(hostile),
                         [](const auto &info) { return info.param.name; });

/// Loading may succeed or fail, but must not crash or run forever.
TEST(HostileArtifactBytes, FlippedBitsWithFreshChecksum) {
  const std::vector<uint8_t> good = richArtifact().payload();
  // The kernel image is opaque to the reader: leave it out of the flips.
  size_t image = good.size();
  for (size_t i = 0; i + 4 < good.size(); ++i)
    if (std::equal(good.begin() + i, good.begin() + i + 4,
                   "\x7f"
                   "ELF"))
      image = std::min(image, i);
  std::mt19937 random(1);
  size_t refused = 0, rounds = 20000;
  for (size_t round = 0; round < rounds; ++round) {
    std::vector<uint8_t> payload = good;
    for (unsigned flips = 1 + random() % 3; flips-- > 0;) {
      size_t at = random() % payload.size();
      if (at >= image && at < image + payload.size() / 2)
        at %= image;
      payload[at] ^= 1u << random() % 8;
    }
    auto file = wrapArtifact(payload.data(), payload.size());
    refused +=
        !loadModule(*ArtifactBytes::fromMemory(file.data(), file.size()));
  }
  EXPECT_GT(refused, rounds / 10);
}

TEST(HostileArtifactBytes, TruncatedPayloadWithFreshHeader) {
  const std::vector<uint8_t> good = richArtifact().payload();
  for (size_t size = 0; size < good.size(); size += 97) {
    auto file = wrapArtifact(good.data(), size);
    EXPECT_FALSE(
        loadModule(*ArtifactBytes::fromMemory(file.data(), file.size())))
        << size;
  }
}

} // namespace
