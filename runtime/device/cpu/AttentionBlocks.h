// Flash attention on blocks, for vectors whose lanes are queries.
//
// A block of `rows` queries (of all heads of a group) is held transposed, so
// that one vector holds the same component of several queries. Then
//
//   scores [keys, rows]  = key [keys, d]    x query^T [d, rows]
//   result^T [v, rows]  += value^T [v, keys] x weights [keys, rows]
//
// read single elements of key and value where they lie, in any order of the
// dimensions, and broadcast them: neither is packed, and maxima and sums over
// keys never cross lanes.
//
// This file is included by one translation unit per instruction set, which
// defines the vector type; all names have internal linkage.
#include "device/cpu/AttentionKernels.h"

#include <cstring>

namespace tpcrt {
namespace {

constexpr int64_t keyBlock = 64;

constexpr int64_t roundUp(int64_t value, int64_t unit) {
  return (value + unit - 1) / unit * unit;
}
inline int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
inline int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }

/// Rows of a task's blocks.
inline int64_t paddedRows(const AttentionTask &task, int64_t lanes) {
  return roundUp(task.rowEnd - task.rowBegin, lanes);
}

/// An operand read element by element: element (i, e) at i * row + e * col.
template <class Scalar> struct Elements {
  const Scalar *data;
  int64_t row, col;
};

//===--- Products -------------------------------------------------------===//

/// c [MT, NR vectors] = c * factor (zero without one) + a [MT, depth] x
/// b [depth, rows].
template <class V, int NR, int MT>
void multiplyTile(Elements<typename V::Scalar> a, int64_t depth,
                  const typename V::Scalar *b, typename V::Scalar *c,
                  const typename V::Scalar *factor, int64_t rows) {
  using Reg = typename V::Reg;
  Reg acc[MT][NR];
  for (int j = 0; j < NR; ++j)
    for (int i = 0; i < MT; ++i)
      acc[i][j] = factor ? V::mul(V::load(c + i * rows + j * V::lanes),
                                  V::load(factor + j * V::lanes))
                         : V::set1(0);
  for (int64_t e = 0; e < depth; ++e) {
    Reg column[NR];
    for (int j = 0; j < NR; ++j)
      column[j] = V::load(b + e * rows + j * V::lanes);
    for (int i = 0; i < MT; ++i) {
      Reg element = V::set1(a.data[i * a.row + e * a.col]);
      for (int j = 0; j < NR; ++j)
        acc[i][j] = V::fma(element, column[j], acc[i][j]);
    }
  }
  for (int i = 0; i < MT; ++i)
    for (int j = 0; j < NR; ++j)
      V::store(c + i * rows + j * V::lanes, acc[i][j]);
}

/// multiplyTile for `count` rows of a.
template <class V, int NR, int MT>
void multiplyTiles(Elements<typename V::Scalar> a, int64_t count, int64_t depth,
                   const typename V::Scalar *b, typename V::Scalar *c,
                   const typename V::Scalar *factor, int64_t rows) {
  for (; count >= MT; count -= MT, a.data += MT * a.row, c += MT * rows)
    multiplyTile<V, NR, MT>(a, depth, b, c, factor, rows);
  if constexpr (MT > 1)
    multiplyTiles<V, NR, MT / 2>(a, count, depth, b, c, factor, rows);
}

/// c [count, rows] = c * factor + a [count, depth] x b [depth, rows].
template <class V>
void multiply(Elements<typename V::Scalar> a, int64_t count, int64_t depth,
              const typename V::Scalar *b, typename V::Scalar *c,
              const typename V::Scalar *factor, int64_t rows) {
  constexpr int wide = V::wide;
  int64_t at = 0;
  auto width = [&] {
    return at + wide * V::lanes <= rows ? wide * V::lanes : V::lanes;
  };
  for (; at < rows; at += width()) {
    const auto *scaled = factor ? factor + at : nullptr;
    if (width() > V::lanes)
      multiplyTiles<V, wide, V::wideTile>(a, count, depth, b + at, c + at,
                                          scaled, rows);
    else
      multiplyTiles<V, 1, 8>(a, count, depth, b + at, c + at, scaled, rows);
  }
}

//===--- Operands -------------------------------------------------------===//

template <class V>
typename V::Scalar loadElement(const std::byte *data, ElementType type,
                               int64_t index) {
  typename V::Scalar result;
  V::convert(type, data + index * byteSize(type), 1, &result);
  return result;
}

/// [d, rows] from the task's queries; rows past the end are zero.
template <class V>
void packQuery(const AttentionShape &shape, const AttentionTask &task,
               typename V::Scalar *packed, typename V::Scalar *row) {
  int64_t rows = paddedRows(task, V::lanes), size = byteSize(shape.type);
  for (int64_t r = 0; r < rows; ++r) {
    int64_t at = task.rowBegin + r;
    if (at < task.rowEnd)
      V::convert(shape.type,
                 task.query + (at / shape.group * task.queryStride +
                               at % shape.group * task.queryHeadStride) *
                                  size,
                 shape.d, row);
    for (int64_t e = 0; e < shape.d; ++e)
      packed[e * rows + r] = at < task.rowEnd ? row[e] : 0;
  }
}

/// Rows [begin, begin + count) of key or value: as they lie if their type is
/// what the kernel computes in, else converted to `packed`.
template <class V>
Elements<typename V::Scalar>
readRows(ElementType type, const std::byte *data, int64_t stride, int64_t begin,
         int64_t count, int64_t width, typename V::Scalar *packed) {
  using Scalar = typename V::Scalar;
  int64_t size = byteSize(type);
  data += begin * stride * size;
  if (size == sizeof(Scalar))
    return {reinterpret_cast<const Scalar *>(data), stride, 1};
  for (int64_t t = 0; t < count; ++t)
    V::convert(type, data + t * stride * size, width, packed + t * width);
  return {packed, width, 1};
}

//===--- Softmax --------------------------------------------------------===//

template <class V> struct Memory {
  using Scalar = typename V::Scalar;
  // State: maxima (times log2 e) and sums by row, results [v, rows].
  Scalar *maxima, *sums, *results;
  // Scratch.
  Scalar *query;         // [d, rows]
  Scalar *scores;        // [keyBlock, rows]
  Scalar *bias;          // [keyBlock, rows]
  Scalar *factor;        // [rows]
  Scalar *begins, *ends; // [rows], visible keys within a block
  Scalar *key, *value;   // [keyBlock, d] and [keyBlock, v], if converted
};

template <class V> uint64_t stateBytes(const AttentionShape &shape) {
  return (shape.v + 2) * roundUp(shape.rows * sizeof(typename V::Scalar), 64);
}

template <class V>
Memory<V> place(const AttentionShape &shape, int64_t rows, std::byte *state,
                std::byte *scratch) {
  using Scalar = typename V::Scalar;
  auto take = [](std::byte *&from, int64_t count) {
    auto *place = reinterpret_cast<Scalar *>(from);
    from += roundUp(count * sizeof(Scalar), 64);
    return place;
  };
  Memory<V> memory;
  memory.maxima = take(state, rows);
  memory.sums = take(state, rows);
  memory.results = take(state, shape.v * rows);
  memory.query = take(scratch, shape.d * rows);
  memory.scores = take(scratch, keyBlock * rows);
  memory.bias = take(scratch, keyBlock * rows);
  memory.factor = take(scratch, rows);
  memory.begins = take(scratch, rows);
  memory.ends = take(scratch, rows);
  memory.key = take(scratch, keyBlock * larger(shape.d, shape.v));
  memory.value = take(scratch, keyBlock * shape.v);
  return memory;
}

template <class V> uint64_t scratchBytes(const AttentionShape &shape) {
  int64_t rows = shape.rows, width = larger(shape.d, shape.v);
  return roundUp(((shape.d + 2 * keyBlock + 3) * rows + 2 * keyBlock * width) *
                     sizeof(typename V::Scalar),
                 64) +
         8 * 64;
}

/// The bias of a block of keys, [keys, rows].
template <class V>
void readBias(const AttentionShape &shape, const AttentionTask &task,
              int64_t begin, int64_t count, typename V::Scalar *bias) {
  const AttentionBias &from = task.bias;
  int64_t rows = paddedRows(task, V::lanes);
  for (int64_t r = 0; r < task.rowEnd - task.rowBegin; ++r) {
    int64_t at = task.rowBegin + r;
    int64_t base = at / shape.group * from.queryStride +
                   at % shape.group * from.headStride + begin * from.keyStride;
    for (int64_t t = 0; t < count; ++t)
      bias[t * rows + r] =
          loadElement<V>(from.data, from.type, base + t * from.keyStride);
  }
}

/// Scores times scale, with softcap, bias and mask, ready for the softmax.
template <class V>
void adjustScores(const AttentionShape &shape, const AttentionTask &task,
                  int64_t begin, int64_t count, const Memory<V> &memory) {
  using Scalar = typename V::Scalar;
  using Reg = typename V::Reg;
  int64_t rows = paddedRows(task, V::lanes);
  if (task.bias.data)
    readBias<V>(shape, task, begin, count, memory.bias);
  for (int64_t r = 0; r < rows; ++r) {
    int64_t at = smaller(task.rowBegin + r, task.rowEnd - 1);
    KeyRange range =
        visibleKeys(shape, task.length, task.offset, at / shape.group);
    memory.begins[r] = larger(0, smaller(range.begin - begin, count));
    memory.ends[r] = larger(0, smaller(range.end - begin, count));
  }
  Reg scale = V::set1(shape.scale), cap = V::set1(shape.softcap);
  Reg inner = V::set1(shape.softcap ? shape.scale / shape.softcap : 0);
  for (int64_t t = 0; t < count; ++t)
    for (int64_t r = 0; r < rows; r += V::lanes) {
      Scalar *at = memory.scores + t * rows + r;
      Reg score = V::load(at);
      score = shape.softcap ? V::mul(cap, V::tanh(V::mul(score, inner)))
                            : V::mul(score, scale);
      if (task.bias.data)
        score = V::add(score, V::load(memory.bias + t * rows + r));
      V::store(at, V::within(score, V::set1(t), V::load(memory.begins + r),
                             V::load(memory.ends + r)));
    }
}

/// Turns scores into weights, updates maxima and sums, and leaves in factor
/// what the results so far are to be multiplied with. `scale` is still to be
/// applied to the scores.
template <class V>
void softmax(int64_t rows, int64_t count, double scale,
             const Memory<V> &memory) {
  using Reg = typename V::Reg;
  Reg toLog2 = V::set1(scale * 1.4426950408889634);
  for (int64_t r = 0; r < rows; r += V::lanes) {
    auto *scores = memory.scores + r;
    Reg block = V::load(scores);
    for (int64_t t = 1; t < count; ++t)
      block = V::max(block, V::load(scores + t * rows));
    Reg before = V::load(memory.maxima + r);
    Reg after = V::max(before, V::mul(block, toLog2));
    // Where nothing is visible yet, -inf - -inf would be NaN.
    Reg shift = V::finiteOrZero(after);
    Reg sum = V::set1(0);
    for (int64_t t = 0; t < count; ++t) {
      Reg weight = V::exp2(V::fmsub(V::load(scores + t * rows), toLog2, shift));
      sum = V::add(sum, weight);
      V::store(scores + t * rows, weight);
    }
    Reg factor = V::exp2(V::sub(before, shift));
    V::store(memory.factor + r, factor);
    V::store(memory.maxima + r, after);
    V::store(memory.sums + r, V::fma(V::load(memory.sums + r), factor, sum));
  }
}

//===--- Blocks ---------------------------------------------------------===//

template <class V>
void accumulate(const AttentionShape &shape, const AttentionTask &task,
                std::byte *state, std::byte *scratch) {
  int64_t rows = paddedRows(task, V::lanes);
  Memory<V> memory = place<V>(shape, rows, state, scratch);
  for (int64_t r = 0; r < rows; ++r) {
    memory.maxima[r] = -__builtin_inf();
    memory.sums[r] = 0;
  }
  std::memset(memory.results, 0, shape.v * rows * sizeof(*memory.results));
  packQuery<V>(shape, task, memory.query, memory.key);
  KeyRange first =
      visibleKeys(shape, task.length, task.offset, task.rowBegin / shape.group);
  KeyRange last = visibleKeys(shape, task.length, task.offset,
                              (task.rowEnd - 1) / shape.group);
  for (int64_t t = task.keyBegin; t < task.keyEnd; t += keyBlock) {
    int64_t count = smaller(keyBlock, task.keyEnd - t);
    auto key = readRows<V>(shape.type, task.key, task.keyStride, t, count,
                           shape.d, memory.key);
    multiply<V>(key, count, shape.d, memory.query, memory.scores, nullptr,
                rows);
    bool allVisible = last.begin <= t && first.end >= t + count;
    bool plain =
        allVisible && !task.bias.data && !shape.softcap && shape.scale > 0;
    if (!plain)
      adjustScores<V>(shape, task, t, count, memory);
    softmax<V>(rows, count, plain ? shape.scale : 1, memory);
    auto value = readRows<V>(shape.type, task.value, task.valueStride, t, count,
                             shape.v, memory.value);
    multiply<V>({value.data, value.col, value.row}, shape.v, count,
                memory.scores, memory.results, memory.factor, rows);
  }
}

template <class V>
void finish(const AttentionShape &shape, const AttentionTask &task,
            std::byte *states, int64_t count) {
  using Scalar = typename V::Scalar;
  using Reg = typename V::Reg;
  int64_t rows = paddedRows(task, V::lanes), size = byteSize(shape.type);
  Memory<V> sum = place<V>(shape, rows, states, nullptr);
  for (int64_t r = 0; r < rows; r += V::lanes) {
    alignas(64) Scalar sinks[V::lanes];
    for (int64_t i = 0; i < V::lanes; ++i) {
      int64_t head = (task.rowBegin + r + i) % shape.group;
      sinks[i] = task.sinks ? loadElement<V>(task.sinks, task.sinksType, head) *
                                  Scalar(1.4426950408889634)
                            : Scalar(-__builtin_inf());
    }
    Reg sink = V::load(sinks), maximum = sink;
    auto other = [&](int64_t i) {
      return place<V>(shape, rows, states + i * stateBytes<V>(shape), nullptr);
    };
    for (int64_t i = 0; i < count; ++i)
      maximum = V::max(maximum, V::load(other(i).maxima + r));
    maximum = V::finiteOrZero(maximum);
    Reg total = V::exp2(V::sub(sink, maximum));
    for (int64_t i = 0; i < count; ++i) {
      Memory<V> part = other(i);
      Reg factor = V::exp2(V::sub(V::load(part.maxima + r), maximum));
      total = V::fma(V::load(part.sums + r), factor, total);
      for (int64_t v = 0; v < shape.v; ++v) {
        Scalar *to = sum.results + v * rows + r;
        Reg scaled = V::mul(V::load(part.results + v * rows + r), factor);
        V::store(to, i ? V::add(V::load(to), scaled) : scaled);
      }
    }
    // Nothing visible: 0 / 1.
    Reg inverse = V::div(V::set1(1), V::nonzeroOrOne(total));
    for (int64_t v = 0; v < shape.v; ++v) {
      Scalar *to = sum.results + v * rows + r;
      V::store(to, V::mul(V::load(to), inverse));
    }
  }
  for (int64_t at = task.rowBegin; at < task.rowEnd; ++at) {
    std::byte *to = task.result + (at / shape.group * task.resultStride +
                                   at % shape.group * task.resultHeadStride) *
                                      size;
    for (int64_t v = 0; v < shape.v; ++v)
      V::convertBack(shape.type, sum.results[v * rows + at - task.rowBegin],
                     to + v * size);
  }
}

template <class V> constexpr AttentionKernels kernels(const char *name) {
  return {name,          V::lanes,      scratchBytes<V>,
          stateBytes<V>, accumulate<V>, finish<V>};
}

} // namespace
} // namespace tpcrt
