// Matmul steps of many shapes, strides and types against plain f64 loops.
#include "device/cpu/Matmul.h"
#include "device/cpu/CpuInfo.h"
#include "device/cpu/ThreadTeam.h"
#include "support/StridedCopy.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <gtest/gtest.h>
#include <random>

using namespace tpcrt;

namespace {

struct Shape {
  std::string name;
  MatmulStep step;
};

void PrintTo(const Shape &test, std::ostream *stream) { *stream << test.name; }

MatmulStep dense(uint64_t m, uint64_t k, uint64_t n) {
  MatmulStep step;
  step.m = m;
  step.k = k;
  step.n = n;
  step.aMStride = k;
  step.bKStride = step.cMStride = n;
  step.aKStride = step.bNStride = step.cNStride = 1;
  return step;
}

template <class Fn> MatmulStep with(MatmulStep step, Fn change) {
  change(step);
  return step;
}

/// Element offsets that an operand spans, from the lowest stride combination 0.
uint64_t span(const MatmulStep &step,
              std::vector<std::pair<uint64_t, int64_t>> dims,
              int64_t MatmulBatchDim::*stride) {
  for (const MatmulBatchDim &dim : step.batch)
    dims.push_back({dim.size, dim.*stride});
  uint64_t last = 0;
  for (auto [size, s] : dims) {
    if (size == 0)
      return 0;
    last += (size - 1) * s;
  }
  return last + 1;
}

struct Operand {
  std::vector<std::byte> bytes;
  std::vector<double> values;

  /// Multiples of `unit`.
  Operand(ElementType type, uint64_t elements, unsigned seed, double unit = 1)
      : bytes(std::max<uint64_t>(elements, 1) * byteSize(type)),
        values(elements) {
    std::mt19937 random(seed);
    std::vector<double> raw(elements);
    for (double &value : raw)
      value = (int(random() % 17) - 8) * unit;
    copyStrided(bytes.data(), type, raw.data(), ElementType::F64,
                {{elements, 1, 1}});
    read(type);
  }
  void read(ElementType type) {
    copyStrided(values.data(), ElementType::F64, bytes.data(), type,
                {{values.size(), 1, 1}});
  }
};

/// c of the plain loops; elements that the step does not write stay as they
/// are.
void plainMatmul(const MatmulStep &s, const std::vector<double> &a,
                 const std::vector<double> &b, std::vector<double> &c,
                 size_t dim, int64_t ao, int64_t bo, int64_t co) {
  if (dim < s.batch.size()) {
    const MatmulBatchDim &batch = s.batch[dim];
    for (int64_t i = 0; i < int64_t(batch.size); ++i)
      plainMatmul(s, a, b, c, dim + 1, ao + i * batch.aStride,
                  bo + i * batch.bStride, co + i * batch.cStride);
    return;
  }
  for (int64_t m = 0; m < int64_t(s.m); ++m)
    for (int64_t n = 0; n < int64_t(s.n); ++n) {
      double sum = 0;
      for (int64_t k = 0; k < int64_t(s.k); ++k)
        sum += a[ao + m * s.aMStride + k * s.aKStride] *
               b[bo + k * s.bKStride + n * s.bNStride];
      c[co + m * s.cMStride + n * s.cNStride] = sum;
    }
}

double activate(Activation activation, double x) {
  switch (activation) {
  case Activation::None:
    break;
  case Activation::GeluErf:
    return x * 0.5 * std::erfc(-x * M_SQRT1_2);
  case Activation::GeluTanh:
    return x * 0.5 *
           (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
  case Activation::Silu:
    return x / (1 + std::exp(-x));
  case Activation::Tanh:
    return std::tanh(x);
  }
  return x;
}

/// Of the elements that the step writes: what the epilogue makes of the sums,
/// and by how much an f32 computation may miss it.
struct Expected {
  std::vector<double> values, errors;
};
void finish(const MatmulStep &s, const Operand &bias, Expected &c,
            size_t dim = 0, int64_t at = 0) {
  if (dim < s.batch.size()) {
    for (int64_t i = 0; i < int64_t(s.batch[dim].size); ++i)
      finish(s, bias, c, dim + 1, at + i * s.batch[dim].cStride);
    return;
  }
  for (uint64_t m = 0; m < s.m; ++m)
    for (uint64_t n = 0; n < s.n; ++n) {
      int64_t to = at + m * s.cMStride + n * s.cNStride;
      double x = c.values[to] + (s.epilogue.bias ? bias.values[n] : 0);
      c.values[to] = activate(s.epilogue.activation, x);
      // Sums of small integers are exact.
      if (s.epilogue.activation != Activation::None)
        c.errors[to] = 1e-6 * std::max(std::abs(x), 1.0);
    }
}

/// Zero where the type holds small integers exactly.
double roundingOf(ElementType type) {
  return type == ElementType::BF16  ? 1.0 / 256
         : type == ElementType::F16 ? 1.0 / 2048
                                    : 0.0;
}

void checkStep(MatmulStep step, MatmulContext &context, unsigned threads) {
  ThreadTeam team(threads);
  // Sums of a size at which activations bend; exact in f32.
  double unit = step.epilogue.empty() ? 1 : 1.0 / 8;
  Operand a(step.aType,
            span(step, {{step.m, step.aMStride}, {step.k, step.aKStride}},
                 &MatmulBatchDim::aStride),
            1, unit);
  Operand b(step.bType,
            span(step, {{step.k, step.bKStride}, {step.n, step.bNStride}},
                 &MatmulBatchDim::bStride),
            2, unit);
  Operand c(step.cType,
            span(step, {{step.m, step.cMStride}, {step.n, step.cNStride}},
                 &MatmulBatchDim::cStride),
            3);
  Operand bias(step.cType, step.n, 4, unit);
  step.b.space = Space::Parameter;
  step.b.size = b.bytes.size();

  auto matmul = Matmul::create(step, context);
  ASSERT_TRUE(matmul) << matmul.error().message;
  DeviceMemory memory;
  memory.scratch = *Buffer::allocate(matmul->scratchBytes(), "scratch");
  memory.packed.resize(context.packed.size());
  memory.parameters.push_back(*Buffer::allocate(b.bytes.size(), "b"));
  std::memcpy(memory.parameters[0].data(), b.bytes.data(), b.bytes.size());
  ASSERT_TRUE(packParameter(context, 0, memory));
  std::byte *bytesOfB = matmul->packedIndex() >= 0
                            ? memory.packed[matmul->packedIndex()].data()
                            : memory.parameters[0].data();
  DeviceMatmul run(*matmul, context,
                   {a.bytes.data(), bytesOfB, c.bytes.data(),
                    step.epilogue.bias ? bias.bytes.data() : nullptr},
                   memory.scratch.data());
  dnnl::stream stream(context.engine);
  Expected expected{c.values, std::vector<double>(c.values.size())};
  plainMatmul(step, a.values, b.values, expected.values, 0, 0, 0, 0);
  finish(step, bias, expected);
  for (int round = 0; round < 2; ++round) {
    auto result = run.run(stream, team);
    ASSERT_TRUE(result) << result.error().message;
    c.read(step.cType);
    for (size_t i = 0; i < expected.values.size(); ++i)
      // One rounding in a narrow result.
      ASSERT_NEAR(c.values[i], expected.values[i],
                  std::abs(expected.values[i]) * roundingOf(step.cType) +
                      expected.errors[i])
          << matmul->implementation() << " element " << i;
  }
}

using Step = MatmulStep;

const Shape shapes[] = {
    {"Dense", dense(33, 65, 47)},
    {"Vector", dense(1, 300, 200)},
    {"OneColumn", dense(64, 100, 1)},
    {"OneElement", dense(1, 1, 1)},
    {"TransposedB", with(dense(7, 64, 32),
                         [](Step &s) {
                           s.bKStride = 1;
                           s.bNStride = 64;
                         })},
    {"TransposedA", with(dense(7, 64, 32),
                         [](Step &s) {
                           s.aMStride = 1;
                           s.aKStride = 7;
                         })},
    {"TransposedC", with(dense(7, 64, 32),
                         [](Step &s) {
                           s.cMStride = 1;
                           s.cNStride = 7;
                         })},
    {"AllTransposed", with(dense(7, 64, 32),
                           [](Step &s) {
                             s.aMStride = 1, s.aKStride = 7;
                             s.bKStride = 1, s.bNStride = 64;
                             s.cMStride = 1, s.cNStride = 7;
                           })},
    {"PaddedRows", with(dense(9, 20, 30),
                        [](Step &s) {
                          s.aMStride = 24;
                          s.bKStride = 37;
                          s.cMStride = 33;
                        })},
    {"NothingContiguous", with(dense(9, 20, 30),
                               [](Step &s) {
                                 s.aMStride = 50, s.aKStride = 2;
                                 s.bKStride = 90, s.bNStride = 3;
                                 s.cMStride = 60, s.cNStride = 2;
                               })},
    {"BroadcastRows", with(dense(9, 20, 30), [](Step &s) { s.aMStride = 0; })},
    {"Batch",
     with(dense(5, 20, 30), [](Step &s) { s.batch = {{6, 100, 600, 150}}; })},
    {"BatchOfOneRow",
     with(dense(1, 20, 30), [](Step &s) { s.batch = {{6, 20, 600, 30}}; })},
    {"BatchSharedWeights",
     with(dense(5, 20, 30), [](Step &s) { s.batch = {{6, 100, 0, 150}}; })},
    {"BatchSharedWeightsPadded",
     with(dense(5, 20, 30), [](Step &s) { s.batch = {{6, 110, 0, 160}}; })},
    {"BatchSharedLeft",
     with(dense(5, 20, 30), [](Step &s) { s.batch = {{6, 0, 600, 150}}; })},
    {"TwoBatchDimsMerge", with(dense(5, 20, 30),
                               [](Step &s) {
                                 s.batch = {{2, 300, 1800, 450},
                                            {3, 100, 600, 150}};
                               })},
    // [batch, row, head, dim] x [batch, dim, head, row], as in attention.
    {"Heads", with(dense(6, 16, 10),
                   [](Step &s) {
                     s.aMStride = 3 * 16;
                     s.bKStride = 1, s.bNStride = 3 * 16;
                     s.cMStride = 10;
                     s.batch = {{2, 6 * 48, 10 * 48, 180}, {3, 16, 16, 60}};
                   })},
    {"GroupedHeads",
     with(dense(6, 16, 10),
          [](Step &s) {
            s.aMStride = 4 * 16;
            s.bKStride = 1, s.bNStride = 2 * 16;
            s.batch = {{2, 384, 320, 240}, {2, 32, 16, 120}, {2, 16, 0, 60}};
          })},
    {"SizeOneBatch",
     with(dense(5, 20, 30), [](Step &s) { s.batch = {{1, 7, 9, 11}}; })},
    {"EmptyK", dense(5, 0, 7)},
    {"EmptyM", dense(0, 5, 7)},
    {"EmptyN", dense(5, 7, 0)},
    {"EmptyBatch",
     with(dense(5, 6, 7), [](Step &s) { s.batch = {{0, 30, 42, 35}}; })},
};

struct Types {
  ElementType a, b, c;
};

class MatmulShapes : public testing::TestWithParam<Shape> {};

TEST_P(MatmulShapes, MatchesPlainLoops) {
  using enum ElementType;
  for (bool pack : {false, true})
    for (Types types : {Types{F32, F32, F32},
                        {BF16, BF16, BF16},
                        {BF16, BF16, F32},
                        {F32, BF16, F32},
                        {F16, F16, F16},
                        {F32, F32, BF16},
                        {F64, F64, F64},
                        {I32, I32, I32},
                        {I64, I64, I64}}) {
      SCOPED_TRACE(testing::Message()
                   << typeName(types.a) << " " << typeName(types.b) << " "
                   << typeName(types.c) << " pack " << pack);
      MatmulContext context;
      MatmulStep step = GetParam().step;
      step.aType = types.a;
      step.bType = types.b;
      step.cType = types.c;
      step.packB = pack;
      checkStep(step, context, pack ? 2 : 1);
      if (HasFatalFailure())
        return;
    }
}

INSTANTIATE_TEST_SUITE_P(, MatmulShapes, testing::ValuesIn(shapes),
                         [](const auto &info) { return info.param.name; });

TEST_P(MatmulShapes, EpilogueMatchesPlainLoops) {
  using enum ElementType;
  constexpr Activation activations[] = {Activation::None, Activation::GeluErf,
                                        Activation::GeluTanh, Activation::Silu,
                                        Activation::Tanh};
  for (Activation activation : activations)
    for (Types types : {Types{F32, F32, F32},
                        {BF16, BF16, BF16},
                        {BF16, BF16, F32},
                        {F16, F16, F16},
                        {F32, F32, BF16}})
      for (unsigned choice = 0; choice < 4; ++choice) {
        bool pack = choice & 1, bias = choice & 2;
        SCOPED_TRACE(testing::Message()
                     << activationName(activation) << " " << typeName(types.a)
                     << " " << typeName(types.b) << " " << typeName(types.c)
                     << " bias " << bias << " pack " << pack);
        MatmulContext context;
        MatmulStep step = GetParam().step;
        step.aType = types.a;
        step.bType = types.b;
        step.cType = types.c;
        step.packB = pack;
        step.epilogue.activation = activation;
        if (bias)
          step.epilogue.bias = BufferRef();
        checkStep(step, context, pack ? 2 : 1);
        if (HasFatalFailure())
          return;
      }
}

TEST(Matmul, EpiloguesRunInsideThePrimitive) {
  // What the compiler makes of a feed-forward block.
  for (ElementType type : {ElementType::F32, ElementType::BF16})
    for (Activation activation : {Activation::GeluErf, Activation::Silu}) {
      MatmulContext context;
      MatmulStep step = dense(64, 256, 512);
      step.aType = step.bType = step.cType = type;
      step.packB = true;
      step.epilogue = {BufferRef(), activation};
      auto matmul = Matmul::create(step, context);
      ASSERT_TRUE(matmul) << matmul.error().message;
      EXPECT_EQ(matmul->implementation().find("loops"), std::string::npos)
          << matmul->implementation();
    }
}

TEST(Matmul, EpiloguesKeepNaN) {
  for (Activation activation : {Activation::GeluErf, Activation::GeluTanh,
                                Activation::Silu, Activation::Tanh}) {
    MatmulContext context;
    MatmulStep step = dense(32, 64, 64);
    step.epilogue = {BufferRef(), activation};
    auto matmul = Matmul::create(step, context);
    ASSERT_TRUE(matmul) << matmul.error().message;
    std::vector<float> a(32 * 64), b(64 * 64), c(32 * 64), bias(64);
    bias[5] = NAN;
    Buffer scratch = *Buffer::allocate(matmul->scratchBytes(), "scratch");
    auto bytes = [](std::vector<float> &of) {
      return reinterpret_cast<std::byte *>(of.data());
    };
    DeviceMatmul run(*matmul, context,
                     {bytes(a), bytes(b), bytes(c), bytes(bias)},
                     scratch.data());
    ASSERT_TRUE(run.run(dnnl::stream(context.engine), ThreadTeam(1)));
    EXPECT_TRUE(std::isnan(c[5])) << activationName(activation);
    EXPECT_EQ(c[4], 0) << activationName(activation);
  }
}

TEST(Matmul, NormalFormMergesBatches) {
  // Batches that share weights become rows: one library call.
  MatmulForm form = normalize(with(dense(5, 20, 30), [](Step &s) {
    s.batch = {{2, 300, 0, 450}, {3, 100, 0, 150}};
  }));
  EXPECT_TRUE(form.batch.empty());
  EXPECT_EQ(form.m(), 30u);
  form = normalize(with(dense(5, 20, 30), [](Step &s) {
    s.batch = {{2, 300, 1800, 450}, {3, 100, 600, 150}};
  }));
  ASSERT_EQ(form.batch.size(), 1u);
  EXPECT_EQ(form.batch[0].size, 6u);
}

/// What runs on packed weights, by rows.
TEST(Matmul, OurKernelsReadPackedWeights) {
  auto implementation = [](ElementType type, uint64_t m) {
    MatmulContext context;
    MatmulStep step = dense(m, 256, 512);
    step.aType = step.bType = step.cType = type;
    step.packB = true;
    step.b = {Space::Parameter, 0, 0, 256 * 512 * byteSize(type)};
    auto matmul = Matmul::create(step, context);
    EXPECT_TRUE(matmul) << matmul.error().message;
    return matmul->implementation();
  };
  std::vector<std::string> isas = supportedIsas();
  if (std::ranges::count(isas, "avx512")) {
    EXPECT_EQ(implementation(ElementType::F32, 1), "rows:avx512");
    EXPECT_EQ(implementation(ElementType::F16, 4), "rows:avx512");
    EXPECT_EQ(implementation(ElementType::F32, 5).find("rows:"),
              std::string::npos);
  }
  if (hasAvx512Bf16()) {
    EXPECT_EQ(implementation(ElementType::BF16, 4), "rows:avx512_bf16");
  }
  if (hasAmxBf16()) {
    EXPECT_EQ(implementation(ElementType::BF16, 5), "tiles:amx_bf16");
    EXPECT_EQ(implementation(ElementType::BF16, 300), "tiles:amx_bf16");
  }
}

TEST(Matmul, PackedWeightsAreShared) {
  MatmulContext context;
  MatmulStep prefill = dense(64, 256, 512), decode = dense(1, 256, 512);
  prefill.packB = decode.packB = true;
  for (MatmulStep *step : {&prefill, &decode}) {
    step->b = {Space::Parameter, 0, 0, 256 * 512 * 4};
    ASSERT_TRUE(Matmul::create(*step, context));
  }
  EXPECT_LE(context.packed.size(), 1u);
}

} // namespace
