// What grouped products of a mixture of experts reach, against the same
// products as one dense matmul for each expert at its exact number of rows.
//
//   experts-bench [threads]
//
// Hidden size 512, 8 experts of width 1024, 2 for each row. Both sides use
// weights packed by oneDNN; the dense side is planned for the rows that the
// experts happen to get and has them gathered already, which a program cannot
// know. Every figure is the best of several rounds that take turns.
#include "device/cpu/CpuInfo.h"
#include "device/cpu/GroupedMatmul.h"

#include <chrono>
#include <cstdlib>
#include <deque>
#include <fmt/format.h>
#include <functional>
#include <random>

using namespace tpcrt;

namespace {

constexpr uint64_t kHidden = 512, kWidth = 1024, kExperts = 8, kChosen = 2;

template <class T> T orExit(Result<T> result) {
  if (result)
    return std::move(*result);
  fmt::print(stderr, "{}\n", result.error().message);
  std::exit(1);
}
void orExit(Result<void> result) {
  if (!result)
    orExit<int>(tl::unexpected(result.error()));
}

double microsecondsEach(const std::function<void()> &fn) {
  auto timed = [&](int repetitions) {
    auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < repetitions; ++i)
      fn();
    std::chrono::duration<double, std::micro> time =
        std::chrono::steady_clock::now() - start;
    return time.count();
  };
  int repetitions = std::max(1, int(5e3 / timed(1)));
  return timed(repetitions) / repetitions;
}

/// A parameter of small numbers, so that nothing is denormal.
Buffer filled(uint64_t elements, ElementType type) {
  Buffer buffer =
      orExit(Buffer::allocate(elements * byteSize(type), "an operand"));
  for (uint64_t i = 0; i < buffer.size() / 2; ++i)
    reinterpret_cast<uint16_t *>(buffer.data())[i] = 0x3d00 + i % 200;
  return buffer;
}

/// A product with d inputs and f outputs for every expert, on both sides.
class Products {
public:
  Products(uint64_t n, uint64_t d, uint64_t f, ElementType type,
           bool rowPerChoice, const std::vector<int64_t> &choices,
           unsigned threads)
      : choices(choices), team(threads), rows(filled(n * kChosen * d, type)),
        result(filled(n * kChosen * f, type)) {
    GroupedMatmulStep step;
    step.n = n, step.c = kChosen, step.e = kExperts, step.d = d, step.f = f;
    step.type = type;
    step.rowPerChoice = rowPerChoice;
    step.eStride = d * f, step.dStride = f, step.fStride = 1;
    step.pack = true;
    step.weights = {Space::Parameter, 0, 0, kExperts * d * f * byteSize(type)};
    grouped.push_back(orExit(GroupedMatmul::create(step, threads, context)));

    std::vector<uint64_t> counts(kExperts);
    for (int64_t choice : choices)
      ++counts[choice];
    uint64_t scratchBytes = grouped[0].scratchBytes();
    for (uint64_t expert = 0; expert < kExperts; ++expert) {
      if (counts[expert] == 0)
        continue;
      MatmulStep dense;
      dense.m = counts[expert], dense.k = d, dense.n = f;
      dense.aMStride = d;
      dense.bKStride = dense.cMStride = f;
      dense.aKStride = dense.bNStride = dense.cNStride = 1;
      dense.aType = dense.bType = dense.cType = type;
      dense.packB = true;
      dense.b = {Space::Parameter, 0, expert * d * f * byteSize(type),
                 d * f * byteSize(type)};
      matmuls.push_back(orExit(Matmul::create(dense, context)));
      scratchBytes = std::max(scratchBytes, matmuls.back().scratchBytes());
    }
    memory.parameters.push_back(filled(kExperts * d * f, type));
    memory.packed.resize(context.packed.size());
    orExit(packParameter(context, 0, memory));
    memory.scratch = orExit(Buffer::allocate(scratchBytes, "scratch"));
    for (const Matmul &matmul : matmuls) {
      const std::byte *weights =
          matmul.packedIndex() >= 0 ? memory.packed[matmul.packedIndex()].data()
                                    : memory.parameters[0].data();
      bound.emplace_back(matmul, context,
                         MatmulPointers{rows.data(), weights, result.data()},
                         memory.scratch.data());
    }
  }

  void runGrouped() {
    orExit(grouped[0].run({rows.data(), choices.data(),
                           memory.packed[grouped[0].packedIndex()].data(),
                           result.data()},
                          memory.scratch.data(), team));
  }
  void runDense() {
    dnnl::stream stream(context.engine);
    for (DeviceMatmul &matmul : bound)
      orExit(matmul.run(stream, team));
  }

private:
  const std::vector<int64_t> &choices;
  ThreadTeam team;
  MatmulContext context;
  DeviceMemory memory;
  Buffer rows, result;
  std::vector<GroupedMatmul> grouped;
  std::deque<Matmul> matmuls;
  std::vector<DeviceMatmul> bound;
};

void measure(uint64_t n, ElementType type, unsigned threads) {
  std::mt19937 random(1);
  std::vector<int64_t> choices;
  for (uint64_t row = 0; row < n; ++row) {
    int64_t first = random() % kExperts;
    choices.push_back(first);
    choices.push_back((first + 1 + random() % (kExperts - 1)) % kExperts);
  }
  Products gate(n, kHidden, kWidth, type, false, choices, threads);
  Products up(n, kHidden, kWidth, type, false, choices, threads);
  Products down(n, kWidth, kHidden, type, true, choices, threads);
  double grouped = 1e30, dense = 1e30;
  for (int round = 0; round < 7; ++round) {
    grouped = std::min(grouped, microsecondsEach([&] {
                         gate.runGrouped(), up.runGrouped(), down.runGrouped();
                       }));
    dense = std::min(dense, microsecondsEach([&] {
                       gate.runDense(), up.runDense(), down.runDense();
                     }));
  }
  double flops = 6.0 * n * kChosen * kHidden * kWidth;
  fmt::print("{:>4} rows {:>4}: grouped {:8.1f} us ({:6.1f} GFLOP/s), dense "
             "{:8.1f} us ({:6.1f} GFLOP/s), grouped is {:.2f} x dense\n",
             n, typeName(type), grouped, flops / grouped / 1e3, dense,
             flops / dense / 1e3, grouped / dense);
}

} // namespace

int main(int argc, char **argv) {
  unsigned threads = argc > 1 ? std::atoi(argv[1]) : coreCount();
  fmt::print("{} threads\n", threads);
  for (ElementType type : {ElementType::F32, ElementType::BF16})
    for (uint64_t n : {256, 32, 1})
      measure(n, type, threads);
}
