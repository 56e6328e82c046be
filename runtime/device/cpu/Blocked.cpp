#include "device/cpu/Blocked.h"

#include "device/cpu/CpuInfo.h"

#include <algorithm>

using namespace tpcrt;

std::optional<BlockedWeights> tpcrt::asBlocked(const dnnl::memory::desc &desc) {
  const dnnl_memory_desc_t &data = desc.data;
  const dnnl_blocking_desc_t &blocking = data.format_desc.blocking;
  if (data.ndims != 2 || data.format_kind != dnnl_blocked || data.offset0 != 0)
    return std::nullopt;
  // The inner blocks: rows by columns, and pairs of rows in bf16.
  int64_t pack = data.data_type == dnnl_bf16  ? 2
                 : data.data_type == dnnl_f32 ? 1
                                              : 0;
  constexpr dnnl_dim_t order[] = {0, 1, 0};
  if (pack == 0 || blocking.inner_nblks != 1 + pack ||
      !std::equal(order, order + 1 + pack, blocking.inner_idxs) ||
      (pack == 2 && blocking.inner_blks[2] != 2))
    return std::nullopt;
  int64_t rows = blocking.inner_blks[0] * pack;
  int64_t columns = blocking.inner_blks[1];
  // Blocks of the same columns follow each other.
  if (columns % kGroupColumns != 0 || columns > 4 * kGroupColumns ||
      rows % (16 * pack) != 0 || blocking.strides[0] != rows * columns)
    return std::nullopt;
  return BlockedWeights{columns, blocking.strides[1] * (4 / pack)};
}

const BlockedKernels *tpcrt::chooseBlockedKernels(ElementType type,
                                                  uint64_t m) {
  static const std::vector<std::string> isas = supportedIsas();
  static const bool amx = hasAmxBf16();
  auto has = [&](std::string_view isa) {
    return std::ranges::find(isas, isa) != isas.end();
  };
  auto serves = [&](const BlockedKernels &kernels) {
    return m <= uint64_t(kernels.maxRows);
  };
  if (type == ElementType::F32 && has("avx512") && serves(blockedRowsAvx512()))
    return &blockedRowsAvx512();
  if (type != ElementType::BF16)
    return nullptr;
  if (has("avx512bf16") && serves(blockedRowsAvx512Bf16()))
    return &blockedRowsAvx512Bf16();
  return amx ? &blockedAmx() : nullptr;
}

/// To start and to join a team takes as long as one core takes for this much.
constexpr int64_t kParallelBytes = 32 << 10;

void tpcrt::runBlocked(const BlockedKernels &kernels,
                       const BlockedProduct &product, const ThreadTeam &team) {
  if (int64_t tasks = kernels.prepareTasks(product))
    team.parallelFor(tasks, [&](int64_t begin, int64_t end) {
      kernels.prepare(product, begin, end);
    });
  int64_t groups = (product.n + kGroupColumns - 1) / kGroupColumns;
  int64_t bytes = product.n * product.k * int64_t(byteSize(product.type));
  if (product.m <= 16 && bytes < kParallelBytes)
    return kernels.multiply(product, 0, groups);
  team.parallelFor(groups, [&](int64_t begin, int64_t end) {
    kernels.multiply(product, begin, end);
  });
}
