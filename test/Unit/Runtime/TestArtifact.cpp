#include "TestArtifact.h"

#include "TestFiles.h"

#include <algorithm>
#include <cstring>
#include <gtest/gtest.h>

using namespace tpcrt;
using namespace tpcrt::test;

TestArtifact::TestArtifact(std::vector<std::pair<std::string, uint32_t>> axes) {
  table.mesh = std::make_unique<fb::MeshT>();
  table.mesh->name = "mesh";
  for (auto &[name, size] : axes) {
    auto axis = std::make_unique<fb::AxisT>();
    axis->name = name;
    axis->size = size;
    table.mesh->axes.push_back(std::move(axis));
  }
}

fb::ProgramT &TestArtifact::addProgram(std::string name, uint64_t arenaBytes) {
  auto program = std::make_unique<fb::ProgramT>();
  program->name = std::move(name);
  program->arena_bytes = arenaBytes;
  table.programs.push_back(std::move(program));
  return *table.programs.back();
}

fb::PlacementT TestArtifact::placement(const std::vector<int> &dims) const {
  fb::PlacementT result;
  for (int axis : dims) {
    auto dim = std::make_unique<fb::DimPlacementT>();
    if (axis >= 0) {
      auto part = std::make_unique<fb::AxisPartT>();
      part->axis = axis;
      part->size = table.mesh->axes[axis]->size;
      dim->parts.push_back(std::move(part));
    }
    result.dims.push_back(std::move(dim));
  }
  return result;
}

namespace {

std::unique_ptr<fb::PortT> makePort(const TestArtifact &artifact,
                                    std::string name, FbType type,
                                    std::vector<uint64_t> shape,
                                    std::vector<int> dims, FbRef buffer) {
  auto port = std::make_unique<fb::PortT>();
  port->name = std::move(name);
  port->type = type;
  port->shape = std::move(shape);
  port->placement = std::make_unique<fb::PlacementT>(artifact.placement(dims));
  port->buffer = std::make_unique<FbRef>(buffer);
  return port;
}

} // namespace

void TestArtifact::addInput(std::string name, FbType type,
                            std::vector<uint64_t> shape, std::vector<int> dims,
                            FbRef buffer) {
  table.programs.back()->inputs.push_back(
      makePort(*this, name, type, shape, dims, buffer));
}

void TestArtifact::addOutput(std::string name, FbType type,
                             std::vector<uint64_t> shape, std::vector<int> dims,
                             FbRef buffer) {
  table.programs.back()->outputs.push_back(
      makePort(*this, name, type, shape, dims, buffer));
}

fb::ParameterT &TestArtifact::addParameter(std::string name, FbType type,
                                           std::vector<uint64_t> shape,
                                           std::vector<int> dims) {
  auto source = std::make_unique<fb::StridedSourceT>();
  source->tensor = name;
  source->stored_shape = shape;
  source->strides.resize(shape.size());
  int64_t stride = 1;
  for (size_t d = shape.size(); d-- > 0; stride *= shape[d])
    source->strides[d] = stride;
  auto parameter = std::make_unique<fb::ParameterT>();
  parameter->name = name;
  parameter->type = parameter->stored_type = type;
  parameter->shape = shape;
  parameter->placement = std::make_unique<fb::PlacementT>(placement(dims));
  parameter->sources.push_back(std::move(source));
  table.parameters.push_back(std::move(parameter));
  return *table.parameters.back();
}

void TestArtifact::addState(std::string name, FbType type,
                            std::vector<uint64_t> shape,
                            std::vector<int> dims) {
  auto state = std::make_unique<fb::StateT>();
  state->name = name;
  state->type = type;
  state->shape = shape;
  state->placement = std::make_unique<fb::PlacementT>(placement(dims));
  table.states.push_back(std::move(state));
}

void TestArtifact::addConstant(const void *data, size_t size) {
  auto constant = std::make_unique<fb::ConstantT>();
  auto *bytes = static_cast<const uint8_t *>(data);
  constant->data.assign(bytes, bytes + size);
  table.constants.push_back(std::move(constant));
}

fb::StepT &TestArtifact::addStep(std::string name) {
  auto step = std::make_unique<fb::StepT>();
  step->name = name;
  step->location =
      "test.mlir:" + std::to_string(table.programs.back()->steps.size() + 1);
  table.programs.back()->steps.push_back(std::move(step));
  return *table.programs.back()->steps.back();
}

void TestArtifact::addKernelStep(std::string name, std::vector<FbRef> buffers,
                                 uint32_t inputs, uint64_t tiles) {
  if (table.images.empty()) {
    auto image = std::make_unique<fb::KernelImageT>();
    image->isa = "avx2";
    image->bytes = readBytes(TEST_KERNELS);
    table.images.push_back(std::move(image));
  }
  auto found = std::find(table.kernels.begin(), table.kernels.end(), name);
  uint32_t index = found - table.kernels.begin();
  if (found == table.kernels.end())
    table.kernels.push_back(name);
  fb::KernelStepT kernel;
  kernel.kernel = index;
  kernel.buffers = std::move(buffers);
  kernel.inputs = inputs;
  kernel.tiles = tiles;
  kernel.output_types.assign(kernel.buffers.size() - inputs, FbType::F32);
  addStep(name).body.Set(std::move(kernel));
}

fb::CollectiveStepT &TestArtifact::addCollective(fb::CollectiveKind kind,
                                                 std::vector<uint32_t> axes,
                                                 FbRef src, FbRef dst,
                                                 uint64_t count) {
  fb::CollectiveStepT collective;
  collective.kind = kind;
  collective.one_launch = kind == fb::CollectiveKind::AllReduce;
  for (uint32_t axis : axes) {
    auto part = std::make_unique<fb::AxisPartT>();
    part->axis = axis;
    part->size = table.mesh->axes[axis]->size;
    collective.axes.push_back(std::move(part));
  }
  collective.src = std::make_unique<FbRef>(src);
  collective.dst = std::make_unique<FbRef>(dst);
  collective.count = count;
  fb::StepT &step = addStep("collective");
  step.body.Set(std::move(collective));
  return *step.body.AsCollectiveStep();
}

fb::MatmulStepT &TestArtifact::addMatmul(FbRef a, FbRef b, FbRef c, uint64_t m,
                                         uint64_t k, uint64_t n, FbType type) {
  fb::MatmulStepT matmul;
  matmul.a = std::make_unique<FbRef>(a);
  matmul.b = std::make_unique<FbRef>(b);
  matmul.c = std::make_unique<FbRef>(c);
  matmul.a_type = matmul.b_type = matmul.c_type = type;
  matmul.m = m;
  matmul.n = n;
  matmul.k = k;
  matmul.a_m_stride = k;
  matmul.b_k_stride = matmul.c_m_stride = n;
  matmul.a_k_stride = matmul.b_n_stride = matmul.c_n_stride = 1;
  fb::StepT &step = addStep("matmul");
  step.body.Set(std::move(matmul));
  return *step.body.AsMatmulStep();
}

fb::GroupedMatmulStepT &TestArtifact::addGroupedMatmul(FbRef rows,
                                                       FbRef choices,
                                                       FbRef weights,
                                                       FbRef result) {
  fb::GroupedMatmulStepT matmul;
  matmul.rows = std::make_unique<FbRef>(rows);
  matmul.choices = std::make_unique<FbRef>(choices);
  matmul.weights = std::make_unique<FbRef>(weights);
  matmul.result = std::make_unique<FbRef>(result);
  matmul.n = matmul.c = 2;
  matmul.e = 4;
  matmul.d = 3;
  matmul.f = 5;
  matmul.e_stride = 15;
  matmul.d_stride = 5;
  matmul.f_stride = 1;
  fb::StepT &step = addStep("grouped_matmul");
  step.body.Set(std::move(matmul));
  return *step.body.AsGroupedMatmulStep();
}

fb::AttentionStepT &TestArtifact::addAttention(FbRef query, FbRef key,
                                               FbRef value, FbRef result) {
  fb::AttentionStepT attention;
  attention.query = std::make_unique<FbRef>(query);
  attention.key = std::make_unique<FbRef>(key);
  attention.value = std::make_unique<FbRef>(value);
  attention.result = std::make_unique<FbRef>(result);
  attention.b = attention.k = attention.g = 1;
  attention.s = 2;
  attention.t = 3;
  attention.d = attention.v = 4;
  attention.query_strides = attention.result_strides = {8, 4, 4, 4};
  attention.key_strides = attention.value_strides = {12, 4, 4};
  attention.causal = true;
  fb::StepT &step = addStep("attention");
  step.body.Set(std::move(attention));
  return *step.body.AsAttentionStep();
}

std::vector<uint8_t> TestArtifact::payload() const {
  flatbuffers::FlatBufferBuilder builder;
  fb::FinishArtifactBuffer(builder, fb::Artifact::Pack(builder, &table));
  return {builder.GetBufferPointer(),
          builder.GetBufferPointer() + builder.GetSize()};
}

ArtifactBytes TestArtifact::bytes() const {
  std::vector<uint8_t> content = payload();
  auto file = wrapArtifact(content.data(), content.size());
  return *ArtifactBytes::fromMemory(file.data(), file.size());
}

std::unique_ptr<Executable> tpcrt::test::load(const TestArtifact &artifact,
                                              WeightSource weights,
                                              LoadOptions options) {
  auto loaded = Executable::load(artifact.bytes(), std::move(weights), options);
  if (!loaded) {
    ADD_FAILURE() << loaded.error().message;
    return nullptr;
  }
  return std::move(*loaded);
}

HostTensor tpcrt::test::tensorF32(std::vector<uint64_t> shape,
                                  std::vector<float> values) {
  HostTensor tensor(ElementType::F32, std::move(shape));
  EXPECT_EQ(tensor.size(), values.size());
  std::copy(values.begin(), values.end(), tensor.as<float>());
  return tensor;
}

std::vector<float> tpcrt::test::valuesF32(const HostTensor &tensor) {
  EXPECT_EQ(tensor.type(), ElementType::F32);
  return {tensor.as<float>(), tensor.as<float>() + tensor.size()};
}

TestArtifact tpcrt::test::smallArtifact() {
  TestArtifact artifact({{"tp", 2}});
  artifact.addState("total", FbType::F32, {10}, {0});
  int64_t seven[1] = {7};
  artifact.addConstant(seven, sizeof(seven));
  artifact.addProgram("main", 512);
  artifact.addInput("x", FbType::F32, {10}, {0}, arena(0, 20));
  artifact.addInput("y", FbType::F32, {10}, {0}, arena(64, 20));
  artifact.addOutput("sum", FbType::F32, {10}, {0}, arena(128, 20));
  artifact.addOutput("halves", FbType::F32, {5}, {-1}, arena(192, 20));
  artifact.addOutput("total", FbType::F32, {10}, {0}, arena(256, 20));
  artifact.addKernelStep("add", {arena(0, 20), arena(64, 20), arena(128, 20)},
                         2, 5);
  artifact.addKernelStep(
      "accumulate",
      {arena(128, 20), {FbSpace::State, 0, 0, 20}, arena(256, 20)}, 1, 5);
  artifact.addCollective(fb::CollectiveKind::AllReduce, {0}, arena(128, 20),
                         arena(192, 20), 5);
  artifact.addKernelStep(
      "scale", {arena(192, 20), {FbSpace::Constant, 0, 0, 8}, arena(192, 20)},
      2, 5);
  return artifact;
}
