// Rows of queries, the keys that they see, and single elements: what all
// attention kernels ask of a task. Included once per instruction set, like
// AttentionBlocks.h.
#ifndef TPCRT_DEVICE_CPU_ATTENTIONOPERANDS_H
#define TPCRT_DEVICE_CPU_ATTENTIONOPERANDS_H

#include "device/cpu/AttentionKernels.h"

namespace tpcrt {
namespace {

constexpr int64_t roundUp(int64_t value, int64_t unit) {
  return (value + unit - 1) / unit * unit;
}
constexpr int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
constexpr int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }

/// byteSize() of the types of operands, compiled for this instruction set.
constexpr int64_t elementBytes(ElementType type) {
  return type == ElementType::F64 ? 8 : type == ElementType::F32 ? 4 : 2;
}

/// Keys that are visited at a time.
constexpr int64_t keyBlock = 64;

/// Powers are of 2: the softmax of x is that of 2^(x log2 e).
constexpr double log2e = 1.4426950408889634;

/// Places `count` elements at `from`, and moves it to the next 64 bytes.
template <class Scalar> Scalar *take(uintptr_t &from, int64_t count) {
  auto *place = reinterpret_cast<Scalar *>(from);
  from += roundUp(count * sizeof(Scalar), 64);
  return place;
}

template <class V>
typename V::Scalar loadElement(const std::byte *data, ElementType type,
                               int64_t index) {
  typename V::Scalar result;
  V::convert(type, data + index * elementBytes(type), 1, &result);
  return result;
}

/// Where a row lies, in elements.
inline int64_t rowOffset(const AttentionShape &shape, int64_t row,
                         int64_t stride, int64_t headStride) {
  return row / shape.group * stride + row % shape.group * headStride;
}

inline KeyRange keysOfRow(const AttentionShape &shape,
                          const AttentionTask &task, int64_t row) {
  return visibleKeys(shape, task.length, task.offset, row / shape.group);
}

inline bool isSeen(const AttentionShape &shape, const AttentionTask &task,
                   int64_t row, int64_t key) {
  KeyRange range = keysOfRow(shape, task, row);
  return key >= range.begin && key < range.end;
}

/// Whether each of some rows sees all of some keys.
inline bool seenByAll(const AttentionShape &shape, const AttentionTask &task,
                      KeyRange rows, KeyRange keys) {
  return keysOfRow(shape, task, rows.end - 1).begin <= keys.begin &&
         keysOfRow(shape, task, rows.begin).end >= keys.end;
}

} // namespace
} // namespace tpcrt

#endif // TPCRT_DEVICE_CPU_ATTENTIONOPERANDS_H
