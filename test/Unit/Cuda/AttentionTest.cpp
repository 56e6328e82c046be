// Which attentions go to the library, and that it gets the right ones: results
// of a fake library against plain loops over the step's own strides.
#include "CudaArtifact.h"
#include "FakeAttention.h"

#include "support/Float16.h"

#include <cmath>
#include <cstring>
#include <random>
#include <span>

using namespace tpcrt;
using namespace tpcrt::test;

namespace {

/// Dense operands of bf16.
AttentionStep denseStep(uint64_t b, uint64_t s, uint64_t t, uint64_t k,
                        uint64_t g, uint64_t d) {
  AttentionStep step;
  step.type = ElementType::BF16;
  step.b = b;
  step.s = s;
  step.t = t;
  step.k = k;
  step.g = g;
  step.d = step.v = d;
  auto signedOf = [](uint64_t value) { return int64_t(value); };
  step.queryStrides =
      step.resultStrides = {signedOf(s * k * g * d), signedOf(k * g * d),
                            signedOf(g * d), signedOf(d)};
  step.keyStrides =
      step.valueStrides = {signedOf(t * k * d), signedOf(k * d), signedOf(d)};
  step.scale = 0.3;
  return step;
}

class LibraryAttentionTest : public CudaTest {
protected:
  Buffer allocate(uint64_t bytes) { return *gpu->allocate(bytes, "test"); }

  Buffer random(uint64_t count) {
    Buffer buffer = allocate(count * 2);
    for (uint64_t i = 0; i < count; ++i) {
      BFloat16 value(float(int(engine() % 17) - 8) / 8);
      std::memcpy(buffer.data() + 2 * i, &value, 2);
    }
    return buffer;
  }
  template <class T> Buffer numbers(const std::vector<T> &values) {
    Buffer buffer = allocate(values.size() * sizeof(T));
    std::ranges::copy(std::as_bytes(std::span(values)), buffer.data());
    return buffer;
  }
  static float at(const Buffer &buffer, int64_t i) {
    BFloat16 value;
    std::memcpy(&value, buffer.data() + 2 * i, 2);
    return float(value);
  }

  /// Runs the step with these lengths and offsets, if it has them, and compares
  /// it with what docs/reference/tpc.md says.
  template <class Length, class Offset>
  void check(AttentionStep step, const std::vector<Length> &lengths,
             const std::vector<Offset> &offsets) {
    auto typeOf = [](auto value) {
      return sizeof(value) == 8 ? ElementType::I64 : ElementType::I32;
    };
    Buffer query = random(step.b * step.s * step.k * step.g * step.d);
    Buffer key = random(step.b * step.t * step.k * step.d);
    Buffer value = random(step.b * step.t * step.k * step.d);
    Buffer result = allocate(query.size());
    Buffer lengthBuffer = numbers(lengths), offsetBuffer = numbers(offsets);
    if (!lengths.empty())
      step.lengths = BufferRef();
    if (!offsets.empty())
      step.offset = BufferRef();
    step.lengthsType = typeOf(Length());
    step.offsetType = typeOf(Offset());
    step.offsetStride = offsets.size() > 1 ? 1 : 0;

    auto form = attentionForm(step);
    ASSERT_TRUE(form);
    auto library = *fake::attention(gpu);
    auto kernels =
        *KernelModule::load(gpu, lengthKernels, {"attention_lengths"});
    auto operation = *LibraryAttention::create(
        gpu, kernels, *library->prepare(*form, 0), step,
        {deviceAddress(query), deviceAddress(key), deviceAddress(value),
         deviceAddress(result), deviceAddress(lengthBuffer),
         deviceAddress(offsetBuffer), 0});
    {
      auto scope = GpuScope::enter(*gpu);
      ASSERT_TRUE(operation->enqueue(stream.get()));
      while (fake::driver().cuStreamQuery(stream.get()) == CUDA_ERROR_NOT_READY)
        ;
    }
    auto sees = [&](uint64_t b, uint64_t i, uint64_t j) {
      if (!lengths.empty() && int64_t(j) >= int64_t(lengths[b]))
        return false;
      int64_t p = i;
      if (!offsets.empty())
        p += offsets[b * step.offsetStride];
      return !step.causal || int64_t(j) <= p;
    };
    for (uint64_t b = 0; b < step.b; ++b)
      for (uint64_t i = 0; i < step.s; ++i)
        for (uint64_t h = 0; h < step.k * step.g; ++h) {
          uint64_t q = ((b * step.s + i) * step.k * step.g + h) * step.d;
          std::vector<double> sums(step.d);
          double total = 0;
          for (uint64_t j = 0; j < step.t; ++j) {
            if (!sees(b, i, j))
              continue;
            uint64_t from = ((b * step.t + j) * step.k + h / step.g) * step.d;
            double score = 0;
            for (uint64_t d = 0; d < step.d; ++d)
              score += step.scale * at(query, q + d) * at(key, from + d);
            total += std::exp(score);
            for (uint64_t d = 0; d < step.d; ++d)
              sums[d] += std::exp(score) * at(value, from + d);
          }
          for (uint64_t d = 0; d < step.d; ++d)
            ASSERT_NEAR(at(result, q + d), total > 0 ? sums[d] / total : 0,
                        0.01)
                << b << " " << i << " " << h;
        }
  }

  void SetUp() override {
    CudaTest::SetUp();
    gpu = *Gpu::open(fake::driver(), 0);
    stream = *gpu->createStream();
  }
  void TearDown() override {
    stream.reset();
    gpu.reset();
    CudaTest::TearDown();
  }

  std::mt19937 engine{1};
  std::shared_ptr<Gpu> gpu;
  GpuStream stream;
};

const std::vector<int32_t> none;

TEST_F(LibraryAttentionTest, AllKeys) {
  check(denseStep(2, 3, 5, 2, 3, 8), none, none);
}

TEST_F(LibraryAttentionTest, Causal) {
  AttentionStep step = denseStep(2, 5, 5, 2, 1, 16);
  step.causal = true;
  check(step, none, none);
}

TEST_F(LibraryAttentionTest, Lengths) {
  AttentionStep step = denseStep(3, 4, 6, 1, 2, 8);
  check(step, std::vector<int32_t>{1, 9, 4}, none);
  check(step, std::vector<int64_t>{6, 2, 0}, none);
  step.causal = true;
  check(step, std::vector<int64_t>{6, 2, 5}, none);
}

/// A decoder's step: one query at a position of each row, or of all.
TEST_F(LibraryAttentionTest, OffsetsOfOneQuery) {
  AttentionStep step = denseStep(3, 1, 9, 2, 4, 8);
  step.causal = true;
  check(step, none, std::vector<int64_t>{0, 8, 3});
  check(step, none, std::vector<int32_t>{4});
  check(step, std::vector<int32_t>{2, 9, 7}, std::vector<int64_t>{5, 5, 20});
}

TEST_F(LibraryAttentionTest, WhatIsLeftToGeneratedKernels) {
  auto taken = [](auto change) {
    AttentionStep step = denseStep(2, 3, 5, 2, 3, 8);
    change(step);
    return attentionForm(step).has_value();
  };
  EXPECT_TRUE(taken([](AttentionStep &) {}));
  EXPECT_FALSE(taken([](AttentionStep &s) { s.type = ElementType::F32; }));
  EXPECT_FALSE(taken([](AttentionStep &s) { s.bias = BufferRef(); }));
  EXPECT_FALSE(taken([](AttentionStep &s) { s.sinks = BufferRef(); }));
  EXPECT_FALSE(taken([](AttentionStep &s) { s.window = 4; }));
  EXPECT_FALSE(taken([](AttentionStep &s) { s.softcap = 30; }));
  EXPECT_FALSE(taken([](AttentionStep &s) { s.d = 12; }));
  EXPECT_FALSE(taken([](AttentionStep &s) { s.v = 512; }));
  EXPECT_FALSE(taken([](AttentionStep &s) {
    s.causal = true;
    s.offset = BufferRef();
  }));
  // Heads that lie apart from their groups.
  EXPECT_FALSE(taken([](AttentionStep &s) { s.queryStrides[2] = 8; }));
}

} // namespace
