// What the attention kernels of all instruction sets have in common: the work
// that they are given, as plain data. Their translation units are compiled for
// one instruction set each and share no inline functions with others.
#ifndef TPCRT_DEVICE_CPU_ATTENTIONKERNELS_H
#define TPCRT_DEVICE_CPU_ATTENTIONKERNELS_H

#include "tpcrt/ElementType.h"

#include <cstddef>
#include <cstdint>

namespace tpcrt {

/// The bias of one batch entry and kv head, by (query head, query, key);
/// strides in elements. data is null where there is none.
struct AttentionBias {
  const std::byte *data = nullptr;
  ElementType type = ElementType::F32;
  int64_t headStride = 0, queryStride = 0, keyStride = 0;
};

/// What is the same for all work of a step.
struct AttentionShape {
  ElementType type = ElementType::F32;
  int64_t group = 0; // query heads of a kv head
  int64_t d = 0, v = 0;
  double scale = 1;
  double softcap = 0; // 0: none
  bool causal = false;
  int64_t window = 0; // 0: none
  /// Rows of a block, a multiple of the kernel's row unit.
  int64_t rows = 0;
};

/// A block of queries against a range of keys, in one batch entry and kv head.
/// Row r of the entry is query r / group of head r % group.
struct AttentionTask {
  const std::byte *query = nullptr, *key = nullptr, *value = nullptr;
  std::byte *result = nullptr;
  int64_t queryStride = 0, queryHeadStride = 0; // elements
  int64_t keyStride = 0, valueStride = 0;
  int64_t resultStride = 0, resultHeadStride = 0;
  AttentionBias bias;
  const std::byte *sinks = nullptr; // of the kv head's query heads
  ElementType sinksType = ElementType::F32;
  int64_t rowBegin = 0, rowEnd = 0;
  int64_t keyBegin = 0, keyEnd = 0; // what any of the rows sees
  int64_t length = 0, offset = 0;   // of the batch entry
  bool first = true; // of the ranges of keys that go into one state
};

struct KeyRange {
  int64_t begin, end;
};

/// The keys that query s of a batch entry sees; begin >= end: none. Both ends
/// grow with s. (offset and window are far from the ends of int64_t.)
static inline KeyRange visibleKeys(const AttentionShape &shape, int64_t length,
                                   int64_t offset, int64_t s) {
  int64_t position = s + offset;
  KeyRange range{0, length};
  if (shape.window && position - shape.window >= 0)
    range.begin = position - shape.window + 1;
  int64_t end = shape.causal   ? position + 1
                : shape.window ? position + shape.window
                               : length;
  if (end < range.end)
    range.end = end;
  return range;
}

/// Kernels for one instruction set. `state` is what is known of a block of
/// rows after some keys: maxima, sums and unnormalized results.
struct AttentionKernels {
  const char *name;
  int64_t rowUnit; // AttentionShape::rows is a multiple of it
  int64_t maxRows; // of a task; 0: any
  /// Keys of a head before the next head's turn, where heads lie side by side:
  /// few keep the reads in the order of memory.
  int64_t keysPerVisit;
  uint64_t (*scratchBytes)(const AttentionShape &shape);
  uint64_t (*stateBytes)(const AttentionShape &shape);
  /// Adds the task's keys to `state`, or starts it.
  void (*accumulate)(const AttentionShape &shape, const AttentionTask &task,
                     std::byte *state, std::byte *scratch);
  /// Writes the rows' results from `count` states, one after the other, of
  /// disjoint keys; the first is overwritten.
  void (*finish)(const AttentionShape &shape, const AttentionTask &task,
                 std::byte *states, int64_t count);
};

/// By element type; null where an instruction set has none for the type.
/// "Rows" are those for few queries.
const AttentionKernels *attentionPlain(ElementType type);
const AttentionKernels *attentionAvx2(ElementType type);
const AttentionKernels *attentionAvx2Rows(ElementType type);
const AttentionKernels *attentionAvx512(ElementType type);
const AttentionKernels *attentionAvx512Rows(ElementType type);
const AttentionKernels *attentionAvx512Bf16(ElementType type);
const AttentionKernels *attentionAmx(ElementType type);

} // namespace tpcrt

#endif // TPCRT_DEVICE_CPU_ATTENTIONKERNELS_H
