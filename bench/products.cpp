// Matrix products with packed weights: our kernels beside oneDNN's on the same
// weights, and a plain read of them.
//
//   products-bench [threads]
//
// Every product of a round has weights of its own, as the layers of a model
// have. Figures are the best of several rounds that take turns.
#include "device/cpu/Blocked.h"
#include "device/cpu/CpuInfo.h"
#include "device/cpu/Matmul.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <fmt/format.h>
#include <functional>

using namespace tpcrt;

namespace {

template <class T> T orExit(Result<T> result) {
  if (result)
    return std::move(*result);
  fmt::print(stderr, "{}\n", result.error().message);
  std::exit(1);
}

/// Small numbers, so that nothing is denormal.
Buffer filled(uint64_t bytes) {
  Buffer buffer = orExit(Buffer::allocate(bytes, "an operand"));
  for (uint64_t i = 0; i < bytes / 2; ++i)
    reinterpret_cast<uint16_t *>(buffer.data())[i] = 0x3d00 + i % 200;
  return buffer;
}

double microseconds(const std::function<void()> &fn) {
  auto start = std::chrono::steady_clock::now();
  fn();
  std::chrono::duration<double, std::micro> time =
      std::chrono::steady_clock::now() - start;
  return time.count();
}

void measure(ElementType type, int64_t m, int64_t k, int64_t n,
             const ThreadTeam &team) {
  dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  dnnl::stream stream(engine);
  auto dense = [&](int64_t rows, int64_t columns) {
    return dnnl::memory::desc({rows, columns}, libraryType(type),
                              dnnl::memory::format_tag::ab);
  };
  dnnl::memory::desc any({k, n}, libraryType(type),
                         dnnl::memory::format_tag::any);
  auto found = findProduct(engine, dense(m, k), any, dense(m, n));
  const BlockedKernels *kernels = chooseBlockedKernels(type, m);
  auto blocks = found ? asBlocked(found->weights_desc()) : std::nullopt;
  if (!blocks || !kernels) {
    fmt::print("{} {}x{}x{}: no kernels of ours\n", typeName(type), m, n, k);
    return;
  }
  dnnl::matmul primitive(*found);
  uint64_t bytes = found->weights_desc().get_size();
  int64_t layers = std::clamp<int64_t>((256 << 20) / bytes, 4, 64);
  Buffer weights = filled(bytes * layers);
  Buffer a = filled(m * k * byteSize(type)), c = filled(m * n * 4);

  BlockedProduct product;
  product.type = product.cType = type;
  product.m = m, product.n = n, product.k = k;
  product.a = a.data(), product.c = c.data();
  product.aRowBytes = k * byteSize(type);
  product.cRowStride = n;
  product.columns = blocks->columns;
  product.blockBytes = blocks->blockBytes;
  Buffer scratch = filled(kernels->scratchBytes(product) + 64 +
                          found->scratchpad_desc().get_size());
  product.scratch = scratch.data();

  auto ours = [&] {
    for (int64_t layer = 0; layer < layers; ++layer) {
      product.b = weights.data() + layer * bytes;
      runBlocked(*kernels, product, team);
    }
  };
  auto library = [&] {
    for (int64_t layer = 0; layer < layers; ++layer)
      primitive.execute(
          stream,
          {{DNNL_ARG_SRC, dnnl::memory(dense(m, k), engine, a.data())},
           {DNNL_ARG_WEIGHTS, dnnl::memory(found->weights_desc(), engine,
                                           weights.data() + layer * bytes)},
           {DNNL_ARG_DST, dnnl::memory(dense(m, n), engine, c.data())},
           {DNNL_ARG_SCRATCHPAD,
            dnnl::memory(found->scratchpad_desc(), engine, scratch.data())}});
  };
  std::vector<uint64_t> sums(64 * 8);
  auto read = [&] {
    team.parallelFor(layers * 64, [&](int64_t begin, int64_t end) {
      uint64_t part = bytes / 64 / 8, sum = 0;
      auto *words = reinterpret_cast<const uint64_t *>(weights.data());
      for (uint64_t i = begin * part; i < end * part; ++i)
        sum += words[i];
      sums[begin % 8 * 8] = sum;
    });
  };
  double best[3] = {1e30, 1e30, 1e30};
  auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(700);
  while (std::chrono::steady_clock::now() < end) {
    best[0] = std::min(best[0], microseconds(ours) / layers);
    best[1] = std::min(best[1], microseconds(library) / layers);
    best[2] = std::min(best[2], microseconds(read) / layers);
  }
  double flops = 2.0 * m * n * k;
  fmt::print("{:>4} {:>3}x{:>5}x{:>5}: {:>15} {:8.1f} us, {:7.1f} GFLOP/s, "
             "{:5.2f} of reading; oneDNN {:8.1f} us, ours / oneDNN {:.2f}\n",
             typeName(type), m, n, k, kernels->name, best[0],
             flops / best[0] / 1e3, best[2] / best[0], best[1],
             best[0] / best[1]);
}

} // namespace

int main(int argc, char **argv) {
  unsigned threads = argc > 1 ? std::atoi(argv[1]) : coreCount();
  ThreadTeam team(threads);
  fmt::print("{} threads; m x n x k\n", threads);
  std::pair<int64_t, int64_t> shapes[] = {{512, 256},   {512, 512},
                                          {512, 1408},  {1408, 512},
                                          {2048, 5632}, {5632, 2048}};
  for (auto [k, n] : shapes) {
    for (int64_t m : {1, 4})
      measure(ElementType::F32, m, k, n, team);
    for (int64_t m : {1, 4, 8, 16, 128, 256})
      measure(ElementType::BF16, m, k, n, team);
  }
}
