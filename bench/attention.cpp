// What the CPU attention kernels reach, against what the machine has.
//
//   attention-bench [threads]
//
// Prefill: GFLOP/s of the products that the masks leave, and their part of the
// peak of f32 FMAs (all threads). Decode: GB/s at which the cache is read, and
// its part of what a plain sum over the same memory reaches. Every figure is
// the best of several rounds, in which kernels and yardsticks take turns.
#include "device/cpu/Attention.h"
#include "device/cpu/CpuInfo.h"
#include "device/cpu/DeviceMemory.h"

#include <chrono>
#include <cmath>
#include <cstring>
#include <fmt/format.h>
#include <functional>
#include <immintrin.h>

using namespace tpcrt;

namespace {

double secondsOf(const std::function<void()> &fn) {
  auto start = std::chrono::steady_clock::now();
  fn();
  std::chrono::duration<double> time = std::chrono::steady_clock::now() - start;
  return time.count();
}

/// Enough repetitions for a few milliseconds.
double secondsEach(const std::function<void()> &fn) {
  double once = secondsOf(fn);
  int repetitions = std::max(1, int(4e-3 / once));
  return secondsOf([&] {
           for (int i = 0; i < repetitions; ++i)
             fn();
         }) /
         repetitions;
}

constexpr int64_t fmaRounds = 100000, fmaChains = 12;

__attribute__((target("avx512f"))) float fma512() {
  __m512 sums[fmaChains], a = _mm512_set1_ps(0.5f);
  for (__m512 &sum : sums)
    sum = _mm512_set1_ps(1);
  for (int64_t i = 0; i < fmaRounds; ++i)
    for (__m512 &sum : sums)
      asm volatile("vfmadd213ps %1, %1, %0" : "+v"(sum) : "v"(a));
  for (__m512 sum : sums)
    a = _mm512_add_ps(a, sum);
  return _mm512_reduce_add_ps(a);
}

__attribute__((target("avx2,fma"))) float fma256() {
  __m256 sums[fmaChains], a = _mm256_set1_ps(0.5f);
  for (__m256 &sum : sums)
    sum = _mm256_set1_ps(1);
  for (int64_t i = 0; i < fmaRounds; ++i)
    for (__m256 &sum : sums)
      asm volatile("vfmadd213ps %1, %1, %0" : "+x"(sum) : "x"(a));
  for (__m256 sum : sums)
    a = _mm256_add_ps(a, sum);
  return _mm256_cvtss_f32(a);
}

/// Seconds for `lanes` * 2 * fmaRounds * fmaChains operations per thread.
double fmaSeconds(const ThreadTeam &team, unsigned threads, bool wide) {
  return secondsOf([&] {
    team.parallelFor(threads, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        volatile float sink = wide ? fma512() : fma256();
        (void)sink;
      }
    });
  });
}

__attribute__((target("avx2"))) int64_t sumOf(const std::byte *data,
                                              int64_t bytes) {
  __m256i sums[8] = {};
  for (int64_t i = 0; i + 256 <= bytes; i += 256)
    for (int j = 0; j < 8; ++j)
      sums[j] = _mm256_add_epi64(
          sums[j], _mm256_loadu_si256(
                       reinterpret_cast<const __m256i *>(data + i + 32 * j)));
  for (int j = 1; j < 8; ++j)
    sums[0] = _mm256_add_epi64(sums[0], sums[j]);
  return _mm256_extract_epi64(sums[0], 0) + _mm256_extract_epi64(sums[0], 3);
}

double readSeconds(const ThreadTeam &team, const Buffer &memory) {
  constexpr int64_t piece = 4096;
  return secondsEach([&] {
    team.parallelFor(memory.size() / piece, [&](int64_t begin, int64_t end) {
      volatile int64_t sink =
          sumOf(memory.data() + begin * piece, (end - begin) * piece);
      (void)sink;
    });
  });
}

AttentionStep dense(ElementType type, uint64_t b, uint64_t s, uint64_t t,
                    uint64_t k, uint64_t g, uint64_t d) {
  AttentionStep step;
  step.type = type;
  step.b = b, step.s = s, step.t = t, step.k = k, step.g = g;
  step.d = step.v = d;
  auto i = [](uint64_t value) { return int64_t(value); };
  step.queryStrides = {i(s * k * g * d), i(k * g * d), i(g * d), i(d)};
  step.resultStrides = step.queryStrides;
  step.keyStrides = step.valueStrides = {i(t * k * d), i(k * d), i(d)};
  step.scale = 1 / std::sqrt(double(d));
  return step;
}

Buffer filled(ElementType type, uint64_t elements) {
  Buffer buffer = *Buffer::allocate(elements * byteSize(type), "an operand");
  uint32_t random = 1;
  for (uint64_t i = 0; i < elements; ++i) {
    random = random * 1664525 + 1013904223;
    float value = (int32_t(random) >> 8) * 0x1p-23f;
    if (type == ElementType::F32)
      std::memcpy(buffer.data() + 4 * i, &value, 4);
    else
      std::memcpy(buffer.data() + 2 * i,
                  reinterpret_cast<std::byte *>(&value) + 2, 2);
  }
  return buffer;
}

/// A step with operands, for each of the CPU's kernels.
class Subject {
public:
  Subject(const AttentionStep &step, unsigned threads)
      : step(step),
        query(filled(step.type, step.b * step.s * step.k * step.g * step.d)),
        cache(filled(step.type, 2 * step.b * step.t * step.k * step.d)),
        result(filled(step.type, step.b * step.s * step.k * step.g * step.d)) {
    for (const AttentionKernels *kernels :
         attentionKernels(step.type, step.s * step.g)) {
      kinds.push_back(*Attention::create(step, threads, kernels->name));
      best.push_back(1e9);
      scratch.push_back(
          *Buffer::allocate(kinds.back().scratchBytes(), "scratch"));
    }
  }

  void round(const ThreadTeam &team) {
    for (size_t i = 0; i < kinds.size(); ++i)
      best[i] = std::min(best[i], secondsEach([&] {
                           kinds[i].run({query.data(), cache.data(),
                                         cache.data() + cache.size() / 2,
                                         result.data()},
                                        scratch[i].data(), team);
                         }));
  }

  AttentionStep step;
  Buffer query, cache, result;
  std::vector<Attention> kinds;
  std::vector<double> best;
  std::vector<Buffer> scratch;
};

double visiblePairs(const AttentionStep &step) {
  double pairs = double(step.s) * step.t;
  if (step.causal)
    pairs = step.s * (step.s + 1.0) / 2;
  return pairs * step.b * step.k * step.g;
}

void prefill(const ThreadTeam &team, unsigned threads) {
  bool wide = supportedIsas().front() != "avx2";
  double flops = 2.0 * (wide ? 16 : 8) * fmaRounds * fmaChains * threads;
  fmt::print("{:<36}{:<14}{:>10}{:>10}{:>12}\n", "prefill", "kernel", "us",
             "GFLOP/s", "of FMA peak");
  struct Shape {
    uint64_t s, k, g, d;
    bool causal;
  };
  for (Shape shape : {Shape{128, 12, 1, 32, false}, Shape{256, 4, 8, 64, false},
                      Shape{1024, 8, 1, 64, false}, Shape{1024, 8, 1, 64, true},
                      Shape{1024, 4, 2, 128, true}})
    for (ElementType type : {ElementType::F32, ElementType::BF16}) {
      AttentionStep step =
          dense(type, 1, shape.s, shape.s, shape.k, shape.g, shape.d);
      step.causal = shape.causal;
      Subject subject(step, threads);
      double peak = 0;
      for (int round = 0; round < 7; ++round) {
        peak = std::max(peak, flops / fmaSeconds(team, threads, wide));
        subject.round(team);
      }
      for (size_t i = 0; i < subject.kinds.size(); ++i) {
        double rate = 4 * shape.d * visiblePairs(step) / subject.best[i];
        fmt::print("{:<36}{:<14}{:>10.1f}{:>10.1f}{:>11.0f}%\n",
                   fmt::format("{} s {} k {} g {} d {}{}", typeName(type),
                               shape.s, shape.k, shape.g, shape.d,
                               shape.causal ? " causal" : ""),
                   subject.kinds[i].implementation(), subject.best[i] * 1e6,
                   rate * 1e-9, 100 * rate / peak);
      }
    }
}

void decode(const ThreadTeam &team, unsigned threads) {
  fmt::print("{:<36}{:<14}{:>10}{:>10}{:>12}\n", "decode", "kernel", "us",
             "GB/s", "of a read");
  struct Shape {
    uint64_t mebibytes, k, g, d;
  };
  for (Shape shape :
       {Shape{4, 8, 1, 64}, Shape{4, 4, 8, 64}, Shape{32, 8, 4, 128},
        Shape{32, 1, 1, 64}, Shape{256, 8, 1, 128}, Shape{256, 8, 4, 128},
        Shape{256, 4, 8, 64}})
    for (ElementType type : {ElementType::F32, ElementType::BF16}) {
      uint64_t keys =
          (shape.mebibytes << 19) / (shape.k * shape.d * byteSize(type));
      Subject subject(dense(type, 1, 1, keys, shape.k, shape.g, shape.d),
                      threads);
      double read = 1e9;
      for (int round = 0; round < 7; ++round) {
        read = std::min(read, readSeconds(team, subject.cache));
        subject.round(team);
      }
      for (size_t i = 0; i < subject.kinds.size(); ++i)
        fmt::print("{:<36}{:<14}{:>10.1f}{:>10.1f}{:>11.0f}%\n",
                   fmt::format("{} {} MiB k {} g {} d {}", typeName(type),
                               shape.mebibytes, shape.k, shape.g, shape.d),
                   subject.kinds[i].implementation(), subject.best[i] * 1e6,
                   subject.cache.size() / subject.best[i] * 1e-9,
                   100 * read / subject.best[i]);
    }
}

} // namespace

int main(int argc, char **argv) {
  unsigned threads = argc > 1 ? std::atoi(argv[1]) : coreCount();
  ThreadTeam team(threads);
  prefill(team, threads);
  decode(team, threads);
}
