// Matmul steps by cuBLASLt (a fake one that computes on the host) against plain
// loops, in every layout; what it refuses; which algorithms it remembers.
#include "CudaArtifact.h"
#include "FakeBlas.h"

#include "support/Float16.h"

#include <cmath>
#include <cstring>
#include <random>

using namespace tpcrt;
using namespace tpcrt::test;

namespace {

constexpr uint64_t kBytes = 1 << 16; // of each operand's memory

class Blas : public CudaTest {
protected:
  void SetUp() override {
    CudaTest::SetUp();
    gpu = *Gpu::open(fake::driver(), 0);
    stream = *gpu->createStream();
    blas = *tpcrt::Blas::create(fake::blas(), gpu, /*tf32=*/false);
    for (Buffer *buffer : {&a, &b, &c, &bias})
      *buffer = *gpu->allocate(kBytes, "an operand");
    workspace = *gpu->allocate(tpcrt::Blas::workspaceBytes, "workspace");
  }
  void TearDown() override {
    blas.reset();
    stream.reset();
    for (Buffer *buffer : {&a, &b, &c, &bias, &workspace})
      *buffer = {};
    gpu.reset();
    CudaTest::TearDown();
  }

  /// Fills the operands with small integers and runs the step.
  Result<void> run(const MatmulStep &step) {
    for (Buffer *buffer : {&a, &b, &bias})
      for (uint64_t i = 0; i < kBytes / byteSize(step.aType); ++i)
        put(step.aType, *buffer, i, int(random() % 7) - 3);
    std::memset(c.data(), 0xff, c.size());
    TPCRT_ASSIGN(
        auto product,
        blas->prepare(step, {deviceAddress(a) + step.a.offset,
                             deviceAddress(b) + step.b.offset,
                             deviceAddress(c) + step.c.offset,
                             deviceAddress(bias), deviceAddress(workspace)}));
    TPCRT_ASSIGN(GpuScope scope, GpuScope::enter(*gpu));
    TPCRT_TRY(product->enqueue(stream.get()));
    while (fake::driver().cuStreamQuery(stream.get()) == CUDA_ERROR_NOT_READY)
      ;
    return {};
  }

  static void put(ElementType type, Buffer &buffer, uint64_t i, double value) {
    std::byte *at = buffer.data() + i * byteSize(type);
    auto store = [&](auto stored) { std::memcpy(at, &stored, sizeof(stored)); };
    if (type == ElementType::F64)
      store(value);
    else if (type == ElementType::F32)
      store(float(value));
    else if (type == ElementType::BF16)
      store(BFloat16(float(value)));
    else
      store(Half(float(value)));
  }
  static double get(ElementType type, const Buffer &buffer, int64_t i) {
    const std::byte *at = buffer.data() + i * int64_t(byteSize(type));
    auto load = [&]<class T>(T value) {
      std::memcpy(&value, at, sizeof(T));
      return value;
    };
    return type == ElementType::F64    ? load(double())
           : type == ElementType::F32  ? load(float())
           : type == ElementType::BF16 ? float(load(BFloat16()))
                                       : float(load(Half()));
  }

  /// Compares c with plain loops over the step's own strides.
  void expectRight(const MatmulStep &step) {
    std::vector<std::array<int64_t, 3>> batches{{0, 0, 0}};
    for (const MatmulBatchDim &dim : step.batch) {
      std::vector<std::array<int64_t, 3>> more;
      for (auto [x, y, z] : batches)
        for (int64_t i = 0; i < int64_t(dim.size); ++i)
          more.push_back(
              {x + i * dim.aStride, y + i * dim.bStride, z + i * dim.cStride});
      batches = more;
    }
    int64_t first = step.a.offset / byteSize(step.aType);
    int64_t firstB = step.b.offset / byteSize(step.bType);
    int64_t firstC = step.c.offset / byteSize(step.cType);
    for (auto [x, y, z] : batches)
      for (int64_t m = 0; m < int64_t(step.m); ++m)
        for (int64_t n = 0; n < int64_t(step.n); ++n) {
          double sum = step.epilogue.bias ? get(step.cType, bias, n) : 0;
          for (int64_t k = 0; k < int64_t(step.k); ++k)
            sum += get(step.aType, a,
                       first + x + m * step.aMStride + k * step.aKStride) *
                   get(step.bType, b,
                       firstB + y + k * step.bKStride + n * step.bNStride);
          if (step.epilogue.activation == Activation::GeluTanh)
            sum = 0.5 * sum *
                  (1 + std::tanh(0.7978845608028654 *
                                 (sum + 0.044715 * sum * sum * sum)));
          double tolerance =
              step.epilogue.empty() ? 0 : 1e-3 + 0.01 * std::abs(sum);
          ASSERT_NEAR(get(step.cType, c,
                          firstC + z + m * step.cMStride + n * step.cNStride),
                      sum, tolerance)
              << m << " " << n;
        }
  }

  /// A random step. Its matrices are row- or column-major, with and without
  /// gaps; batch dimensions lie in front, behind, or are shared.
  MatmulStep randomStep() {
    auto pick = [&](int64_t low, int64_t high) {
      return low + int64_t(random() % (high - low + 1));
    };
    constexpr ElementType types[] = {ElementType::F32, ElementType::F64,
                                     ElementType::BF16, ElementType::F16};
    MatmulStep step;
    step.aType = step.bType = step.cType = types[pick(0, 3)];
    if (byteSize(step.aType) == 2 && pick(0, 1))
      step.cType = ElementType::F32;
    step.m = pick(1, 5);
    step.n = pick(1, 5);
    step.k = pick(1, 5);
    int64_t extents[3]; // elements of one matrix
    auto layOut = [&](int64_t rows, int64_t columns, int64_t &rowStride,
                      int64_t &columnStride, bool rowMajor) {
      int64_t inner = rowMajor ? columns : rows;
      int64_t outer = rowMajor ? rows : columns;
      int64_t gap = inner + pick(0, 2);
      (rowMajor ? rowStride : columnStride) = gap;
      (rowMajor ? columnStride : rowStride) = 1;
      return gap * outer;
    };
    bool bias = pick(0, 1);
    extents[0] =
        layOut(step.m, step.k, step.aMStride, step.aKStride, pick(0, 1));
    extents[1] =
        layOut(step.k, step.n, step.bKStride, step.bNStride, pick(0, 1));
    extents[2] = layOut(step.m, step.n, step.cMStride, step.cNStride,
                        bias || pick(0, 1));
    if (bias)
      step.epilogue.bias = BufferRef();
    if (pick(0, 1))
      step.epilogue.activation = Activation::GeluTanh;
    for (int64_t dims = pick(0, 3); dims > 0; --dims) {
      int64_t size = pick(1, 3);
      MatmulBatchDim dim{uint64_t(size), extents[0], extents[1], extents[2]};
      extents[2] *= size;
      if (pick(0, 2) == 0)
        dim.bStride = 0;
      else
        extents[1] *= size;
      if (pick(0, 3) == 0)
        dim.aStride = 0;
      else
        extents[0] = extents[0] * size + pick(0, 1);
      step.batch.insert(step.batch.begin(), dim);
    }
    step.a.offset = pick(0, 3) * byteSize(step.aType);
    step.b.offset = pick(0, 3) * byteSize(step.bType);
    step.c.offset = pick(0, 3) * byteSize(step.cType);
    return step;
  }

  std::mt19937 random{1};
  std::shared_ptr<Gpu> gpu;
  GpuStream stream;
  std::shared_ptr<tpcrt::Blas> blas;
  Buffer a, b, c, bias, workspace;
};

TEST_F(Blas, AnyLayoutAndBatch) {
  for (int i = 0; i < 2000; ++i) {
    MatmulStep step = randomStep();
    auto result = run(step);
    ASSERT_TRUE(result) << result.error().message;
    ASSERT_NO_FATAL_FAILURE(expectRight(step)) << "step " << i;
  }
}

MatmulStep denseStep(uint64_t m, uint64_t k, uint64_t n) {
  MatmulStep step;
  step.m = m;
  step.n = n;
  step.k = k;
  step.aMStride = k;
  step.bKStride = step.cMStride = n;
  step.aKStride = step.bNStride = step.cNStride = 1;
  return step;
}

/// Rows of several batches that share b are one large product.
TEST_F(Blas, SharedMatricesAreOneProduct) {
  MatmulStep step = denseStep(4, 8, 16);
  step.batch = {{3, 64, 0, 128}, {2, 32, 0, 64}};
  auto form = productForm(step);
  ASSERT_TRUE(form);
  EXPECT_EQ(form->columns, 4u * 3 * 2);
  EXPECT_EQ(form->batch.size, 1u);
  EXPECT_TRUE(form->loops.empty());
}

TEST_F(Blas, AProblemIsAskedForOnce) {
  uint64_t before = fake::heuristicCalls();
  ASSERT_TRUE(run(denseStep(4, 8, 16)));
  ASSERT_TRUE(run(denseStep(4, 8, 16)));
  EXPECT_EQ(fake::heuristicCalls(), before + 1);
  MatmulStep moved = denseStep(4, 8, 16); // less aligned: another problem
  moved.b.offset = 4;
  ASSERT_TRUE(run(moved));
  EXPECT_EQ(fake::heuristicCalls(), before + 2);
}

TEST_F(Blas, SaysWhatItRefuses) {
  auto errorOf = [](auto change) {
    MatmulStep step = denseStep(4, 8, 16);
    change(step);
    auto form = checkProduct(step);
    return form ? "" : form.error().message;
  };
  EXPECT_EQ(errorOf([](MatmulStep &) {}), "");
  for (auto change :
       {+[](MatmulStep &s) { s.aType = s.bType = s.cType = ElementType::I32; },
        +[](MatmulStep &s) { s.bType = ElementType::BF16; },
        +[](MatmulStep &s) { s.cType = ElementType::BF16; }})
    EXPECT_NE(errorOf(change).find("expected a product of f32 or f64"),
              std::string::npos)
        << errorOf(change);
  EXPECT_NE(errorOf([](MatmulStep &s) {
              s.epilogue.activation = Activation::Silu;
            }).find("expected no activation or gelu_tanh"),
            std::string::npos);
  EXPECT_NE(errorOf([](MatmulStep &s) { s.k = 0; }).find("at least one"),
            std::string::npos);
  EXPECT_NE(errorOf([](MatmulStep &s) { s.aKStride = 2; }).find("contiguous"),
            std::string::npos);
  EXPECT_NE(errorOf([](MatmulStep &s) { s.aMStride = 0; }).find("contiguous"),
            std::string::npos);
}

} // namespace
