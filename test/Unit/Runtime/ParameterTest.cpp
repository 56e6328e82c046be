// Parameters from stored tensors: views, stacks, conversion, padding, counts,
// and what packing does to the memory of a device.
#include "TestArtifact.h"
#include "TestFiles.h"
#include "artifact/Module.h"
#include "support/Float16.h"
#include "weights/ParameterLoader.h"

#include <gtest/gtest.h>
#include <numeric>

using namespace tpcrt;
using namespace tpcrt::test;
using Values = std::vector<float>;

namespace {

Values iota(size_t size) {
  Values values(size);
  std::iota(values.begin(), values.end(), 1);
  return values;
}

class ParameterTest : public testing::Test {
protected:
  void store(const std::vector<TestTensor> &tensors) {
    writeBytes(folder.file("w.safetensors"), safetensors(tensors));
    auto opened = WeightSource::open(folder.file("w.safetensors"));
    ASSERT_TRUE(opened) << opened.error().message;
    weights = std::move(*opened);
  }

  /// The first parameter's block on a device, as f32.
  Values block(const TestArtifact &artifact, uint64_t device) {
    auto module = loadModule(artifact.bytes());
    EXPECT_TRUE(module) << module.error().message;
    auto checked = checkWeights(*module, weights);
    EXPECT_TRUE(checked) << checked.error().message;
    counts = {};
    const Parameter &parameter = module->parameters[0];
    auto buffer = loadParameter(*module, parameter, weights, device, counts);
    EXPECT_TRUE(buffer);
    for (uint64_t most : {1, 2, 3, 5, 7, 100})
      expectSameInPieces(*module, device, most, *buffer);
    Values values(buffer->size() / byteSize(parameter.type));
    copyStrided(values.data(), ElementType::F32, buffer->data(), parameter.type,
                {{values.size(), 1, 1}});
    return values;
  }

  /// Windows of at most `most` elements, one behind the other, are the block.
  void expectSameInPieces(const Module &module, uint64_t device, uint64_t most,
                          const Buffer &block) {
    const Parameter &parameter = module.parameters[0];
    std::vector<std::byte> pieces;
    LoadCounts ignored;
    for (const BlockWindow &window : cutBlock(parameter.blockShape(), most)) {
      EXPECT_LE(window.elements(), most);
      std::vector<std::byte> piece(window.elements() * byteSize(parameter.type),
                                   std::byte(0xaa));
      readWindow(module, parameter, weights, device, window, piece.data(),
                 ignored);
      pieces.insert(pieces.end(), piece.begin(), piece.end());
    }
    EXPECT_EQ(pieces, std::vector<std::byte>(block.data(),
                                             block.data() + block.size()));
  }

  TemporaryFolder folder;
  WeightSource weights;
  LoadCounts counts;
};

TEST_F(ParameterTest, SplitByRowsAndByColumns) {
  store({{"w", {4, 3}, iota(12)}});
  TestArtifact rows({{"tp", 2}});
  rows.addParameter("w", FbType::F32, {4, 3}, {0, -1});
  EXPECT_EQ(block(rows, 1), (Values{7, 8, 9, 10, 11, 12}));
  EXPECT_EQ(counts.bytes, 24u);
  TestArtifact columns({{"tp", 2}});
  columns.addParameter("w", FbType::F32, {4, 3}, {-1, 0});
  EXPECT_EQ(block(columns, 0), (Values{1, 2, 4, 5, 7, 8, 10, 11}));
  // 3 over 2: the second block has one column and one of padding.
  EXPECT_EQ(block(columns, 1), (Values{3, 0, 6, 0, 9, 0, 12, 0}));
  EXPECT_EQ(counts.bytes, 16u);
}

TEST_F(ParameterTest, FromMemory) {
  constexpr uint64_t size = 1 << 16; // many pages, none of which may go away
  auto values = std::make_shared<Values>(iota(size));
  auto add = [&] {
    return weights.addTensor(
        "w", ElementType::F32, {2, size / 2},
        {values, reinterpret_cast<const std::byte *>(values->data())});
  };
  ASSERT_TRUE(add());
  TestArtifact artifact({{"tp", 2}});
  artifact.addParameter("w", FbType::F32, {2, size / 2}, {0, -1});
  Values expected = iota(size);
  EXPECT_EQ(block(artifact, 1),
            Values(expected.begin() + size / 2, expected.end()));
  EXPECT_EQ(*values, expected);
  auto again = add();
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().message,
            "tensor 'w' is in both 'memory' and 'memory'");
}

TEST_F(ParameterTest, EmptyBlock) {
  store({{"w", {5}, iota(5)}});
  TestArtifact artifact({{"tp", 4}});
  artifact.addParameter("w", FbType::F32, {5}, {0});
  EXPECT_EQ(block(artifact, 2), (Values{5, 0}));
  EXPECT_EQ(block(artifact, 3), (Values{0, 0}));
  EXPECT_EQ(counts.bytes, 0u);
  EXPECT_EQ(counts.pages.pages(), 0u);
}

TEST_F(ParameterTest, TransposedSlice) {
  // Rows 1 and 2 of a stored 4 x 3, transposed.
  store({{"w", {4, 3}, iota(12)}});
  TestArtifact artifact({{"tp", 3}});
  auto &parameter = artifact.addParameter("w", FbType::F32, {3, 2}, {0, -1});
  parameter.sources[0]->stored_shape = {4, 3};
  parameter.sources[0]->offset = 3;
  parameter.sources[0]->strides = {1, 3};
  EXPECT_EQ(block(artifact, 0), (Values{4, 7}));
  EXPECT_EQ(block(artifact, 2), (Values{6, 9}));
}

TEST_F(ParameterTest, Reversed) {
  store({{"w", {4}, iota(4)}});
  TestArtifact artifact;
  auto &parameter = artifact.addParameter("w", FbType::F32, {4}, {-1});
  parameter.sources[0]->offset = 3;
  parameter.sources[0]->strides = {-1};
  EXPECT_EQ(block(artifact, 0), (Values{4, 3, 2, 1}));
  EXPECT_EQ(counts.pages.pages(), 1u);
}

TEST_F(ParameterTest, Stacked) {
  store({{"e0", {2}, {1, 2}}, {"e1", {2}, {3, 4}}, {"e2", {2}, {5, 6}}});
  TestArtifact artifact({{"ep", 2}});
  auto &parameter = artifact.addParameter("w", FbType::F32, {2, 3}, {-1, 0});
  parameter.stack_dim = 1;
  parameter.sources.clear();
  for (auto name : {"e0", "e1", "e2"}) {
    auto source = std::make_unique<fb::StridedSourceT>();
    source->tensor = name;
    source->stored_shape = {2};
    source->strides = {1};
    parameter.sources.push_back(std::move(source));
  }
  EXPECT_EQ(block(artifact, 0), (Values{1, 3, 2, 4}));
  EXPECT_EQ(block(artifact, 1), (Values{5, 0, 6, 0}));
  EXPECT_EQ(counts.bytes, 8u);
}

TEST_F(ParameterTest, Converts) {
  store({{"w", {4}, {1.5f, -2.25f, 3.0f, 0.0f}}});
  for (auto type : {FbType::F64, FbType::BF16, FbType::F16}) {
    TestArtifact artifact;
    auto &parameter = artifact.addParameter("w", type, {4}, {-1});
    parameter.stored_type = FbType::F32;
    EXPECT_EQ(block(artifact, 0), (Values{1.5f, -2.25f, 3.0f, 0.0f}));
  }
  TestArtifact integers;
  integers.addParameter("w", FbType::I64, {4}, {-1}).stored_type = FbType::F32;
  EXPECT_EQ(block(integers, 0), (Values{1, -2, 3, 0}));
  TestArtifact bools;
  bools.addParameter("w", FbType::Bool, {4}, {-1}).stored_type = FbType::F32;
  EXPECT_EQ(block(bools, 0), (Values{1, 1, 1, 0}));
}

TEST_F(ParameterTest, CountsPages) {
  // 64 x 4096 f32: a row is 4 pages (and a bit: data begins behind the header).
  store({{"w", {64, 4096}, Values(64 * 4096)}});
  TestArtifact rows({{"tp", 4}}), columns({{"tp", 4}}), narrow({{"tp", 4096}});
  rows.addParameter("w", FbType::F32, {64, 4096}, {0, -1});
  columns.addParameter("w", FbType::F32, {64, 4096}, {-1, 0});
  narrow.addParameter("w", FbType::F32, {64, 4096}, {-1, 0});
  block(rows, 1);
  EXPECT_EQ(counts.bytes, 16u * 4096 * 4);
  EXPECT_EQ(counts.pages.pages(), 16u * 4 + 1);
  block(columns, 1);
  EXPECT_EQ(counts.bytes, 16u * 4096 * 4);
  EXPECT_EQ(counts.pages.pages(), 64u * 2);
  block(narrow, 7);
  EXPECT_EQ(counts.bytes, 64u * 4);
  EXPECT_EQ(counts.pages.pages(), 64u);
}

TEST(PageCounter, ExactBorders) {
  auto pages = [](uint64_t offset, std::vector<CopyDim> dims) {
    PageCounter counter;
    counter.touch(0, offset, 4, dims);
    return counter.pages();
  };
  EXPECT_EQ(pages(4096, {{1024, 1, 1}}), 1u);
  EXPECT_EQ(pages(4096, {{1025, 1, 1}}), 2u);
  EXPECT_EQ(pages(4092, {{2, 1, 1}}), 2u);
  EXPECT_EQ(pages(8188, {{1024, 1, -1}}), 1u);
  EXPECT_EQ(pages(8188, {{1025, 1, -1}}), 2u);
  // 8 rows of 2 pages, of which the first 4 elements each.
  EXPECT_EQ(pages(0, {{8, 4, 2048}, {4, 1, 1}}), 8u);
  EXPECT_EQ(pages(0, {{4, 8, 1}, {8, 1, 2048}}), 8u);
}

TEST_F(ParameterTest, WrongWeights) {
  store({{"w", {4, 3}, iota(12)}});
  auto errorOf = [&](auto change) {
    TestArtifact artifact;
    auto &parameter = artifact.addParameter("w", FbType::F32, {4, 3}, {-1, -1});
    change(parameter);
    auto loaded = Executable::load(artifact.bytes(), weights);
    return loaded ? "" : loaded.error().message;
  };
  auto expect = [&](const std::string &error, const std::string &part) {
    EXPECT_NE(error.find(part), std::string::npos) << error;
  };
  EXPECT_EQ(errorOf([](auto &) {}), "");
  expect(errorOf([](auto &p) { p.sources[0]->tensor = "v"; }),
         "expected stored tensor 'v' (4x3xf32), found none");
  expect(errorOf([](auto &p) { p.stored_type = FbType::BF16; }),
         "to be 4x3xbf16, found 4x3xf32");
  expect(errorOf([](auto &p) { p.sources[0]->stored_shape = {3, 4}; }),
         "to be 3x4xf32, found 4x3xf32");
  weights = {};
  expect(errorOf([](auto &) {}), "no weights were given");
}

/// y = x w on two devices that split the columns of w.
TestArtifact columnParallel(uint64_t m, uint64_t k, uint64_t n, bool pack) {
  TestArtifact artifact({{"tp", 2}});
  artifact.addParameter("w", FbType::F32, {k, n}, {-1, 0});
  uint64_t x = m * k * 4, y = m * n / 2 * 4, start = (x + 63) / 64 * 64;
  artifact.addProgram("main", start + y);
  artifact.addInput("x", FbType::F32, {m, k}, {-1, -1}, arena(0, x));
  artifact.addOutput("y", FbType::F32, {m, n}, {-1, 0}, arena(start, y));
  artifact
      .addMatmul(arena(0, x), {FbSpace::Parameter, 0, 0, k * n / 2 * 4},
                 arena(start, y), m, k, n / 2)
      .pack_b = pack;
  return artifact;
}

TEST_F(ParameterTest, PackingChangesMemoryNotResults) {
  uint64_t m = 3, k = 64, n = 128;
  Values w(k * n), x(m * k), expected(m * n);
  for (size_t i = 0; i < w.size(); ++i)
    w[i] = int(i * 7 % 11) - 5;
  for (size_t i = 0; i < x.size(); ++i)
    x[i] = int(i * 5 % 13) - 6;
  for (uint64_t i = 0; i < m; ++i)
    for (uint64_t j = 0; j < n; ++j)
      for (uint64_t l = 0; l < k; ++l)
        expected[i * n + j] += x[i * k + l] * w[l * n + j];
  store({{"w", {k, n}, w}});
  for (bool pack : {false, true}) {
    auto executable = load(columnParallel(m, k, n, pack), weights);
    ASSERT_TRUE(executable);
    auto outputs = executable->run("main", {tensorF32({m, k}, x)});
    ASSERT_TRUE(outputs) << outputs.error().message;
    EXPECT_EQ(valuesF32((*outputs)[0]), expected);
    DeviceStatistics device = executable->statistics().devices[1];
    EXPECT_EQ(device.loadBytes, k * n / 2 * 4);
    // One copy of the weights, in one form or the other.
    if (!pack || device.packedBytes == 0)
      EXPECT_EQ(device.weightBytes, k * n / 2 * 4);
    else
      EXPECT_EQ(device.weightBytes, 0u);
    EXPECT_GE(device.weightBytes + device.packedBytes, k * n / 2 * 4);
  }
}

TEST_F(ParameterTest, AttentionReadsThemAsTheyLie) {
  store({{"key", {3, 4}, Values(12)}, {"value", {3, 4}, iota(12)}});
  TestArtifact artifact;
  for (const char *name : {"key", "value"})
    artifact.addParameter(name, FbType::F32, {3, 4}, {-1, -1});
  auto &offset = artifact.table.device_scalars.emplace_back(
      std::make_unique<fb::DeviceScalarT>());
  offset->values = {1};
  artifact.addProgram("main", 128);
  artifact.addInput("x", FbType::F32, {2, 4}, {-1, -1}, arena(0, 32));
  artifact.addOutput("y", FbType::F32, {2, 4}, {-1, -1}, arena(64, 32));
  artifact
      .addAttention(arena(0, 32), {FbSpace::Parameter, 0, 0, 48},
                    {FbSpace::Parameter, 1, 0, 48}, arena(64, 32))
      .offset = std::make_unique<FbRef>(FbSpace::DeviceScalar, 0, 0, 8);
  auto executable = load(artifact, weights);
  ASSERT_TRUE(executable);
  auto outputs = executable->run("main", {tensorF32({2, 4}, iota(8))});
  ASSERT_TRUE(outputs) << outputs.error().message;
  // Keys of zeros weigh alike: the first query sees two, the second three.
  Values expected{3, 4, 5, 6, 5, 6, 7, 8}, found = valuesF32((*outputs)[0]);
  for (size_t i = 0; i < expected.size(); ++i)
    EXPECT_NEAR(found[i], expected[i], 1e-5) << i;
  EXPECT_EQ(executable->findProgram("main")->attentionSteps, 1u);
  EXPECT_EQ(executable->statistics().devices[0].weightBytes, 96u);
}

} // namespace
