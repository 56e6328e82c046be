// Chooses kernels and blocks for an attention step, and divides the work over
// threads.
#include "device/cpu/Attention.h"

#include "device/cpu/CpuInfo.h"
#include "support/Fail.h"

#include <algorithm>
#include <atomic>
#include <new>

using namespace tpcrt;

namespace {

/// Rows of queries that share a visit of the keys.
constexpr int64_t maxRows = 256;
/// Not fewer, as long as there are so many.
constexpr int64_t fewRows = 64;
/// Work items for each thread, so that none waits long for the last.
constexpr int64_t itemsPerThread = 4;
/// Fewer keys than this are not split.
constexpr int64_t minKeysPerPart = 256;

/// Far beyond every key, and far from overflow.
constexpr int64_t farAway = int64_t(1) << 60;

/// A counter of finished parts, apart from the next.
constexpr int64_t counterBytes = 64;

int64_t ceilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }

int64_t readInteger(const void *data, ElementType type, int64_t index) {
  return type == ElementType::I64 ? static_cast<const int64_t *>(data)[index]
                                  : static_cast<const int32_t *>(data)[index];
}

const std::byte *advance(const void *data, ElementType type, int64_t elements) {
  return static_cast<const std::byte *>(data) +
         elements * int64_t(byteSize(type));
}

} // namespace

std::vector<const AttentionKernels *> tpcrt::attentionKernels(ElementType type,
                                                              uint64_t rows) {
  std::vector<const AttentionKernels *> found;
  auto add = [&](const AttentionKernels *kernels) {
    if (kernels &&
        (kernels->maxRows == 0 || rows <= uint64_t(kernels->maxRows)))
      found.push_back(kernels);
  };
  if (!isFloat(type))
    return found;
  std::vector<std::string> isas = supportedIsas();
  bool amx = hasAmxBf16(), bf16 = hasAvx512Bf16();
  bool avx512 = !isas.empty() && isas.front() != "avx2";
  // Tiles have 16 rows; one vector load for each row is slower from here.
  if (amx && rows > 4)
    add(attentionAmx(type));
  if (avx512)
    add(attentionAvx512Rows(type));
  if (amx && rows <= 4)
    add(attentionAmx(type));
  // Pairs take half the time of f32 on AMD's CPUs, and twice on Intel's.
  bool fastPairs = bf16 && __builtin_cpu_is("amd");
  if (fastPairs)
    add(attentionAvx512Bf16(type));
  if (avx512)
    add(attentionAvx512(type));
  if (bf16 && !fastPairs)
    add(attentionAvx512Bf16(type));
  if (!isas.empty()) {
    add(attentionAvx2Rows(type));
    add(attentionAvx2(type));
  }
  add(attentionPlain(type));
  return found;
}

Result<Attention> Attention::create(const AttentionStep &step,
                                    unsigned threads) {
  return create(step, threads, "");
}

Result<Attention> Attention::create(const AttentionStep &step, unsigned threads,
                                    std::string_view kernels) {
  Attention result;
  result.step = step;
  result.threads = std::max(threads, 1u);
  for (const AttentionKernels *candidate :
       attentionKernels(step.type, step.s * step.g))
    if (!result.kernels && (kernels.empty() || kernels == candidate->name))
      result.kernels = candidate;
  if (!result.kernels) {
    std::vector<std::string_view> names;
    for (const AttentionKernels *each :
         attentionKernels(step.type, step.s * step.g))
      names.push_back(each->name);
    return fail("attention of {}: no kernels '{}'; expected f32, bf16, f16 or "
                "f64, and a CPU with AVX2, FMA and F16C, which has [{}]",
                typeName(step.type), kernels, fmt::join(names, ", "));
  }
  if (step.bias && !isFloat(step.biasType))
    return fail("attention: expected a bias of floats, found {}",
                typeName(step.biasType));

  AttentionShape &shape = result.shape;
  shape.type = step.type;
  shape.group = step.g;
  shape.d = step.d;
  shape.v = step.v;
  shape.scale = step.scale;
  shape.softcap = step.softcap.value_or(0);
  shape.causal = step.causal;
  shape.window = std::min<uint64_t>(step.window.value_or(0), farAway);

  int64_t rows = step.s * step.g, unit = result.kernels->rowUnit;
  int64_t heads = step.b * step.k;
  if (rows == 0 || heads == 0 || step.v == 0)
    return result;
  int64_t wanted = itemsPerThread * result.threads;
  // Less than a block of keys can serve, where there are too few blocks.
  int64_t balanced = ceilDiv(rows, ceilDiv(wanted, heads));
  shape.rows = std::min({maxRows, ceilDiv(rows, unit) * unit,
                         ceilDiv(balanced, fewRows) * fewRows});
  result.blocks = ceilDiv(rows, shape.rows);
  // Few queries wait for memory, which is fastest in the order of addresses.
  if (rows <= fewRows && step.keyStrides[2] < step.keyStrides[1])
    result.heads = step.k;
  result.stateBytes = result.kernels->stateBytes(shape);
  result.threadBytes =
      result.groupBytes() + result.kernels->scratchBytes(shape);
  result.parts = std::clamp<int64_t>(
      result.threads == 1 ? 1 : ceilDiv(wanted, result.groups()), 1,
      std::max<int64_t>(1, step.t / minKeysPerPart));
  return result;
}

namespace tpcrt {

/// One call of Attention::run. A work item is a part of the keys of a block of
/// rows; whoever finishes a block's last part combines its parts.
class AttentionRun {
public:
  AttentionRun(const Attention &attention, const Attention::Operands &operands,
               std::byte *scratch)
      : attention(attention), step(attention.step), shape(attention.shape),
        kernels(*attention.kernels), operands(operands), scratch(scratch),
        stateBytes(attention.stateBytes), groups(attention.groups()) {
    if (attention.parts > 1)
      for (int64_t group = 0; group < groups; ++group)
        new (&finished(group)) std::atomic<int64_t>(0);
  }

  /// Takes items until none is left.
  void work(int64_t thread) {
    int64_t items = groups * attention.parts;
    for (int64_t item; (item = nextItem.fetch_add(1)) < items;)
      runItem(item, thread);
  }

private:
  std::atomic<int64_t> &finished(int64_t group) {
    return *reinterpret_cast<std::atomic<int64_t> *>(
        scratch + attention.threads * attention.threadBytes +
        group * counterBytes);
  }
  /// The states of a head's parts.
  std::byte *partStates(int64_t group, int64_t head) {
    return scratch + attention.threads * attention.threadBytes +
           groups * counterBytes +
           (group * attention.heads + head) * attention.parts * stateBytes;
  }

  void runItem(int64_t item, int64_t thread);
  AttentionTask makeTask(int64_t group, int64_t head) const;

  const Attention &attention;
  const AttentionStep &step;
  const AttentionShape &shape;
  const AttentionKernels &kernels;
  Attention::Operands operands;
  std::byte *scratch;
  uint64_t stateBytes;
  int64_t groups;
  std::atomic<int64_t> nextItem{0};
};

} // namespace tpcrt

/// All of a block's work but the keys' part, for a head of a group.
AttentionTask AttentionRun::makeTask(int64_t group, int64_t head) const {
  // Heads one after the other, since their keys fit in a cache where all
  // heads' do not; last rows first, since with causal they see most keys.
  int64_t block = attention.blocks - 1 - group % attention.blocks;
  head += group / attention.blocks * attention.heads;
  int64_t b = head / step.k, k = head % step.k;
  AttentionTask task;
  auto at = [&](const void *data, int64_t batchStride, int64_t headStride) {
    return advance(data, step.type, b * batchStride + k * headStride);
  };
  task.query = at(operands.query, step.queryStrides[0], step.queryStrides[2]);
  task.key = at(operands.key, step.keyStrides[0], step.keyStrides[2]);
  task.value = at(operands.value, step.valueStrides[0], step.valueStrides[2]);
  task.result = const_cast<std::byte *>(
      at(operands.result, step.resultStrides[0], step.resultStrides[2]));
  task.queryStride = step.queryStrides[1];
  task.queryHeadStride = step.queryStrides[3];
  task.resultStride = step.resultStrides[1];
  task.resultHeadStride = step.resultStrides[3];
  task.keyStride = step.keyStrides[1];
  task.valueStride = step.valueStrides[1];
  if (operands.bias) {
    const auto &strides = step.biasStrides;
    task.bias = {
        advance(operands.bias, step.biasType, b * strides[0] + k * strides[1]),
        step.biasType, strides[2], strides[3], strides[4]};
  }
  if (operands.sinks) {
    task.sinks = advance(operands.sinks, step.sinksType, k * step.g);
    task.sinksType = step.sinksType;
  }
  task.rowBegin = block * shape.rows;
  task.rowEnd = std::min<int64_t>(task.rowBegin + shape.rows, step.s * step.g);

  task.length = step.t;
  if (operands.lengths)
    task.length = std::clamp<int64_t>(
        readInteger(operands.lengths, step.lengthsType, b), 0, step.t);
  if (operands.offset)
    task.offset = std::clamp(
        readInteger(operands.offset, step.offsetType, b * step.offsetStride),
        -farAway, farAway);
  auto visible = [&](int64_t row) {
    return visibleKeys(shape, task.length, task.offset, row / shape.group);
  };
  task.keyBegin = visible(task.rowBegin).begin;
  task.keyEnd = std::max(task.keyBegin, visible(task.rowEnd - 1).end);
  return task;
}

void AttentionRun::runItem(int64_t item, int64_t thread) {
  int64_t parts = attention.parts, group = item / parts, part = item % parts;
  int64_t heads = attention.heads;
  std::byte *own = scratch + thread * attention.threadBytes;
  std::byte *memory = own + attention.groupBytes();
  auto states = [&](int64_t head) {
    return parts > 1 ? partStates(group, head) : own + head * stateBytes;
  };
  // The same keys for all heads.
  AttentionTask any = makeTask(group, 0);
  int64_t keys = ceilDiv(any.keyEnd - any.keyBegin, parts);
  int64_t begin = std::min(any.keyBegin + part * keys, any.keyEnd);
  int64_t end = std::min(begin + keys, any.keyEnd);
  int64_t step = heads > 1 ? kernels.keysPerVisit : std::max<int64_t>(keys, 1);
  int64_t at = begin;
  do {
    for (int64_t head = 0; head < heads; ++head) {
      AttentionTask task = makeTask(group, head);
      task.first = at == begin;
      task.keyBegin = at;
      task.keyEnd = std::min(at + step, end);
      kernels.accumulate(shape, task, states(head) + part * stateBytes, memory);
    }
    at += step;
  } while (at < end);
  if (parts > 1 &&
      finished(group).fetch_add(1, std::memory_order_acq_rel) != parts - 1)
    return;
  for (int64_t head = 0; head < heads; ++head)
    kernels.finish(shape, makeTask(group, head), states(head), parts);
}

uint64_t Attention::scratchBytes() const {
  if (blocks == 0)
    return 0;
  uint64_t shared =
      parts > 1 ? groups() * (counterBytes + parts * groupBytes()) : 0;
  return threads * threadBytes + shared;
}

void Attention::run(const Operands &operands, std::byte *scratch,
                    const ThreadTeam &team) const {
  if (blocks == 0)
    return;
  AttentionRun run(*this, operands, scratch);
  team.parallelFor(threads, [&](int64_t begin, int64_t end) {
    for (int64_t thread = begin; thread < end; ++thread)
      run.work(thread);
  });
}
