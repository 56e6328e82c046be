// Flash attention on blocks, for vectors whose lanes are queries.
//
// A group of queries (of all heads that share keys) is held transposed, so that
// one vector holds the same component of several queries. Then
//
//   scores [keys, rows]  = key [keys, d]    x query^T [d, rows]
//   result^T [v, rows]  += value^T [v, keys] x weights [keys, rows]
//
// read single elements of key and value and broadcast them: what lies as it is
// wanted is not packed, and maxima and sums over keys never cross lanes. A
// block of keys serves several groups of rows before the next is read.
//
// This file is included by one translation unit per instruction set, which
// defines the vectors and products; all names have internal linkage.
#ifndef TPCRT_DEVICE_CPU_ATTENTIONBLOCKS_H
#define TPCRT_DEVICE_CPU_ATTENTIONBLOCKS_H

#include "device/cpu/AttentionFinite.h"
#include "device/cpu/AttentionOperands.h"
#include "device/cpu/AttentionProducts.h"

namespace tpcrt {
namespace {

/// Rows whose scores against a block of keys stay in the nearest cache.
constexpr int64_t groupRows = 64;

/// A group of rows of a task: [begin, end), padded to vectors.
struct RowGroup {
  int64_t begin, end, rows;
};

inline RowGroup rowGroup(const AttentionTask &task, int64_t index,
                         int64_t lanes) {
  int64_t begin = task.rowBegin + index * groupRows;
  int64_t end = smaller(begin + groupRows, task.rowEnd);
  return {begin, end, roundUp(end - begin, lanes)};
}

inline int64_t numGroups(int64_t rows) {
  return (rows + groupRows - 1) / groupRows;
}

//===--- Memory ---------------------------------------------------------===//

/// What is known of a group: maxima (times log2 e) and sums by row, and
/// results [v, rows], not yet divided.
template <class V> struct State {
  typename V::Scalar *maxima, *sums, *results;
};

template <class P> int64_t groupStateBytes(const AttentionShape &shape) {
  return (2 + roundUp(shape.v, P::valueUnit)) * groupRows *
         sizeof(typename P::V::Scalar);
}

template <class P> uint64_t stateBytes(const AttentionShape &shape) {
  return numGroups(shape.rows) * groupStateBytes<P>(shape);
}

template <class P>
State<typename P::V> groupState(const AttentionShape &shape, std::byte *states,
                                int64_t group) {
  using Scalar = typename P::V::Scalar;
  auto at =
      reinterpret_cast<uintptr_t>(states) + group * groupStateBytes<P>(shape);
  auto *maxima = take<Scalar>(at, groupRows);
  auto *sums = take<Scalar>(at, groupRows);
  return {maxima, sums, take<Scalar>(at, 0)};
}

template <class P> struct Scratch {
  using Scalar = typename P::V::Scalar;
  typename P::Element *queries; // by group, [d / pack, rows]
  Scalar *scores;               // [keyBlock, rows], then the weights
  Scalar *bias;                 // [keyBlock, rows]
  Scalar *factor;               // [rows]
  Scalar *begins, *ends;        // [rows], visible keys within a block
  std::byte *key, *value;       // blocks that are not read as they lie
  std::byte *finite;            // a block of values with zeros
};

/// Rows of a group's queries: elements of a query, padded with zeros.
template <class P> int64_t queryRows(const AttentionShape &shape) {
  return roundUp((shape.d + P::pack - 1) / P::pack, P::V::lanes);
}

template <class P> int64_t queryElements(const AttentionShape &shape) {
  return queryRows<P>(shape) * groupRows;
}

template <class P>
Scratch<P> place(const AttentionShape &shape, uintptr_t &memory) {
  using Scalar = typename P::V::Scalar;
  Scratch<P> scratch;
  scratch.queries = take<typename P::Element>(
      memory, numGroups(shape.rows) * queryElements<P>(shape));
  scratch.scores = take<Scalar>(memory, keyBlock * groupRows);
  scratch.bias = take<Scalar>(memory, keyBlock * groupRows);
  scratch.factor = take<Scalar>(memory, groupRows);
  scratch.begins = take<Scalar>(memory, groupRows);
  scratch.ends = take<Scalar>(memory, groupRows);
  scratch.key = take<std::byte>(memory, P::keyBytes(shape.d));
  scratch.value = take<std::byte>(memory, P::valueBytes(shape.v));
  scratch.finite =
      take<std::byte>(memory, keyBlock * shape.v * elementBytes(shape.type));
  return scratch;
}

template <class P> uint64_t scratchBytes(const AttentionShape &shape) {
  uintptr_t end = 0;
  place<P>(shape, end);
  return end;
}

//===--- Operands -------------------------------------------------------===//

/// Queries of a group, transposed; rows past the end are zero.
template <class P>
void packQueries(const AttentionShape &shape, const AttentionTask &task,
                 const RowGroup &group, typename P::Element *packed) {
  using V = typename P::V;
  auto *to = reinterpret_cast<typename V::Scalar *>(packed);
  int64_t size = elementBytes(shape.type), elements = queryRows<P>(shape);
  for (int64_t r = 0; r < group.rows; r += V::lanes)
    for (int64_t e = 0; e < elements; e += V::lanes) {
      typename V::Reg block[V::lanes];
      for (int64_t i = 0; i < V::lanes; ++i) {
        int64_t at = group.begin + r + i, component = e * P::pack;
        int64_t from =
            rowOffset(shape, at, task.queryStride, task.queryHeadStride);
        block[i] = at < group.end && component < shape.d
                       ? P::loadQuery(shape.type, task.query + from * size,
                                      component, shape.d)
                       : V::set1(0);
      }
      V::transpose(block);
      for (int64_t i = 0; i < V::lanes; ++i)
        V::store(to + (e + i) * group.rows + r, block[i]);
    }
}

/// The bias of a block of keys, [keys, rows].
template <class V>
void readBias(const AttentionShape &shape, const AttentionTask &task,
              const RowGroup &group, KeyRange keys, typename V::Scalar *bias) {
  const AttentionBias &from = task.bias;
  int64_t count = keys.end - keys.begin;
  if (from.headStride == 0 && from.queryStride == 0) {
    for (int64_t t = 0; t < count; ++t) {
      auto value = V::set1(loadElement<V>(from.data, from.type,
                                          (keys.begin + t) * from.keyStride));
      for (int64_t r = 0; r < group.rows; r += V::lanes)
        V::store(bias + t * group.rows + r, value);
    }
    return;
  }
  for (int64_t at = group.begin; at < group.end; ++at) {
    int64_t base = rowOffset(shape, at, from.queryStride, from.headStride) +
                   keys.begin * from.keyStride;
    for (int64_t t = 0; t < count; ++t)
      bias[t * group.rows + at - group.begin] =
          loadElement<V>(from.data, from.type, base + t * from.keyStride);
  }
}

//===--- Softmax --------------------------------------------------------===//

/// Scores times scale, with softcap, bias and mask, ready for the softmax.
template <class P>
void adjustScores(const AttentionShape &shape, const AttentionTask &task,
                  const RowGroup &group, KeyRange keys,
                  const Scratch<P> &scratch) {
  using V = typename P::V;
  int64_t rows = group.rows, count = keys.end - keys.begin;
  if (task.bias.data)
    readBias<V>(shape, task, group, keys, scratch.bias);
  for (int64_t r = 0; r < rows; ++r) {
    int64_t at = smaller(group.begin + r, group.end - 1);
    KeyRange range = keysOfRow(shape, task, at);
    scratch.begins[r] = larger(0, smaller(range.begin - keys.begin, count));
    scratch.ends[r] = larger(0, smaller(range.end - keys.begin, count));
  }
  auto scale = V::set1(shape.scale), cap = V::set1(shape.softcap);
  auto inner = V::set1(shape.softcap ? shape.scale / shape.softcap : 0);
  for (int64_t t = 0; t < count; ++t)
    for (int64_t r = 0; r < rows; r += V::lanes) {
      auto *at = scratch.scores + t * rows + r;
      auto score = V::load(at);
      score = shape.softcap ? V::mul(cap, V::tanh(V::mul(score, inner)))
                            : V::mul(score, scale);
      if (task.bias.data)
        score = V::add(score, V::load(scratch.bias + t * rows + r));
      V::store(at, V::within(score, V::set1(t), V::load(scratch.begins + r),
                             V::load(scratch.ends + r)));
    }
}

template <class V>
typename V::Reg maximumOver(const typename V::Scalar *scores, int64_t rows,
                            int64_t count) {
  // Four chains: one would wait for its own latency.
  typename V::Reg chain[4];
  for (int i = 0; i < 4; ++i)
    chain[i] = V::load(scores + smaller(i, count - 1) * rows);
  int64_t t = 4;
  for (; t + 4 <= count; t += 4)
    for (int i = 0; i < 4; ++i)
      chain[i] = V::max(chain[i], V::load(scores + (t + i) * rows));
  for (; t < count; ++t)
    chain[0] = V::max(chain[0], V::load(scores + t * rows));
  return V::max(V::max(chain[0], chain[1]), V::max(chain[2], chain[3]));
}

/// Turns scores into weights, updates maxima and sums, and leaves in factor
/// what the results so far are to be multiplied with. `scale` is still to be
/// applied to the scores.
template <class P>
void softmax(int64_t rows, int64_t count, double scale,
             const State<typename P::V> &state, const Scratch<P> &scratch) {
  using V = typename P::V;
  auto toLog2 = V::set1(scale * log2e);
  for (int64_t r = 0; r < rows; r += V::lanes) {
    auto *scores = scratch.scores + r;
    auto before = V::load(state.maxima + r);
    auto block = V::mul(maximumOver<V>(scores, rows, count), toLog2);
    // Results are rescaled only for maxima that are larger by much: weights of
    // up to 2^8 do as well as those of up to 1.
    auto after =
        V::selectLess(V::add(before, V::set1(8)), block, block, before);
    // Where nothing is visible yet, -inf - -inf would be NaN.
    auto shift = V::finiteOrZero(after);
    auto weight = [&](int64_t t) {
      return V::weight(V::fmsub(V::load(scores + t * rows), toLog2, shift));
    };
    auto sum = V::set1(0);
    int64_t t = 0;
    for (; t + 2 <= count; t += 2) {
      auto first = weight(t), second = weight(t + 1);
      sum = V::add(sum, V::add(first, second));
      P::storeWeights(scratch.scores, rows, r, t, first, second);
    }
    if (t < count) {
      auto last = weight(t);
      sum = V::add(sum, last);
      P::storeWeights(scratch.scores, rows, r, t, last, V::set1(0));
    }
    for (t = roundUp(count, 2); t < roundUp(count, P::keyUnit); t += 2)
      P::storeWeights(scratch.scores, rows, r, t, V::set1(0), V::set1(0));
    auto factor = V::exp2(V::sub(before, shift));
    V::store(scratch.factor + r, factor);
    V::store(state.maxima + r, after);
    V::store(state.sums + r, V::fma(V::load(state.sums + r), factor, sum));
  }
}

/// Adds values that are not finite to the results [v, rows] that see them.
template <class V>
void addNonFinite(const AttentionShape &shape, const AttentionTask &task,
                  const RowGroup &group, KeyRange keys,
                  const ValueBlock &values, typename V::Scalar *results) {
  forNonFinite(values, [&](int64_t t, int64_t e) {
    auto value =
        loadElement<V>(values.data, values.type, t * values.stride + e);
    for (int64_t at = group.begin; at < group.end; ++at)
      if (isSeen(shape, task, at, keys.begin + t))
        results[e * group.rows + at - group.begin] += value;
  });
}

//===--- Blocks ---------------------------------------------------------===//

template <class P>
void start(const AttentionShape &shape, const RowGroup &group,
           const State<typename P::V> &state) {
  for (int64_t r = 0; r < group.rows; ++r) {
    state.maxima[r] = -__builtin_inf();
    state.sums[r] = 0;
  }
  std::memset(state.results, 0,
              roundUp(shape.v, P::valueUnit) * group.rows *
                  sizeof(*state.results));
}

template <class P>
void accumulate(const AttentionShape &shape, const AttentionTask &task,
                std::byte *states, std::byte *memory) {
  using V = typename P::V;
  auto at = reinterpret_cast<uintptr_t>(memory);
  Scratch<P> scratch = place<P>(shape, at);
  int64_t groups = numGroups(task.rowEnd - task.rowBegin);
  for (int64_t i = 0; i < groups; ++i) {
    RowGroup group = rowGroup(task, i, V::lanes);
    if (task.first)
      start<P>(shape, group, groupState<P>(shape, states, i));
    packQueries<P>(shape, task, group,
                   scratch.queries + i * queryElements<P>(shape));
  }
  int64_t size = elementBytes(shape.type);
  P::enter();
  for (int64_t t = task.keyBegin; t < task.keyEnd; t += keyBlock) {
    KeyRange keys{t, smaller(t + keyBlock, task.keyEnd)};
    int64_t count = keys.end - t;
    auto key = P::readKeys(shape.type, task.key + t * task.keyStride * size,
                           task.keyStride, count, shape.d, scratch.key);
    ValueBlock values{shape.type, task.value + t * task.valueStride * size,
                      task.valueStride, count, shape.v};
    bool finite = seenByAll(shape, task, {task.rowBegin, task.rowEnd}, keys) ||
                  isFinite(values);
    ValueBlock safe = finite ? values : finiteCopy(values, scratch.finite);
    auto value = P::readValues(shape.type, safe.data, safe.stride, count,
                               shape.v, scratch.value);
    for (int64_t i = 0; i < groups; ++i) {
      RowGroup group = rowGroup(task, i, V::lanes);
      if (keysOfRow(shape, task, group.end - 1).end <= t ||
          keysOfRow(shape, task, group.begin).begin >= keys.end)
        continue;
      State<V> state = groupState<P>(shape, states, i);
      P::multiply(key, count, (shape.d + P::pack - 1) / P::pack,
                  scratch.queries + i * queryElements<P>(shape), scratch.scores,
                  nullptr, group.rows);
      bool plain = seenByAll(shape, task, {group.begin, group.end}, keys) &&
                   !task.bias.data && !shape.softcap && shape.scale > 0;
      if (!plain)
        adjustScores<P>(shape, task, group, keys, scratch);
      softmax<P>(group.rows, count, plain ? shape.scale : 1, state, scratch);
      auto *weights =
          reinterpret_cast<const typename P::Element *>(scratch.scores);
      P::multiply(value, shape.v, roundUp(count, P::keyUnit) / P::pack, weights,
                  state.results, scratch.factor, group.rows);
      if (!finite)
        addNonFinite<V>(shape, task, group, keys, values, state.results);
    }
  }
  P::leave();
}

/// Combines the states of one group into the first, divided by the sums.
template <class P>
void combine(const AttentionShape &shape, const AttentionTask &task,
             const RowGroup &group, int64_t index, std::byte *states,
             int64_t count) {
  using V = typename P::V;
  using Scalar = typename V::Scalar;
  auto part = [&](int64_t i) {
    return groupState<P>(shape, states + i * stateBytes<P>(shape), index);
  };
  int64_t rows = group.rows;
  for (int64_t r = 0; r < rows; r += V::lanes) {
    alignas(64) Scalar sinks[V::lanes];
    for (int64_t i = 0; i < V::lanes; ++i)
      sinks[i] = task.sinks
                     ? loadElement<V>(task.sinks, task.sinksType,
                                      (group.begin + r + i) % shape.group) *
                           Scalar(log2e)
                     : -__builtin_inff();
    auto sink = V::load(sinks), maximum = sink;
    for (int64_t i = 0; i < count; ++i)
      maximum = V::max(maximum, V::load(part(i).maxima + r));
    maximum = V::finiteOrZero(maximum);
    auto total = V::exp2(V::sub(sink, maximum));
    for (int64_t i = 0; i < count; ++i) {
      auto factor = V::exp2(V::sub(V::load(part(i).maxima + r), maximum));
      V::store(part(i).maxima + r, factor);
      total = V::fma(V::load(part(i).sums + r), factor, total);
    }
    // Nothing visible: 0 / 1.
    auto inverse = V::div(V::set1(1), V::nonzeroOrOne(total));
    Scalar *results = part(0).results + r;
    for (int64_t v = 0; v < shape.v; ++v) {
      auto sum = V::set1(0);
      for (int64_t i = 0; i < count; ++i)
        sum = V::fma(V::load(part(i).results + r + v * rows),
                     V::load(part(i).maxima + r), sum);
      V::store(results + v * rows, V::mul(sum, inverse));
    }
  }
}

/// Writes a group's rows from results [v, rows].
template <class P>
void writeResults(const AttentionShape &shape, const AttentionTask &task,
                  const RowGroup &group, const typename P::V::Scalar *results) {
  using V = typename P::V;
  int64_t size = elementBytes(shape.type);
  for (int64_t r = 0; r < group.rows; r += V::lanes)
    for (int64_t v = 0; v < shape.v; v += V::lanes) {
      typename V::Reg block[V::lanes];
      for (int64_t i = 0; i < V::lanes; ++i)
        block[i] = v + i < shape.v ? V::load(results + (v + i) * group.rows + r)
                                   : V::set1(0);
      V::transpose(block);
      for (int64_t i = 0; i < smaller(V::lanes, group.end - group.begin - r);
           ++i) {
        int64_t to = rowOffset(shape, group.begin + r + i, task.resultStride,
                               task.resultHeadStride);
        V::storePart(shape.type, block[i], shape.v - v,
                     task.result + (to + v) * size);
      }
    }
}

template <class P>
void finish(const AttentionShape &shape, const AttentionTask &task,
            std::byte *states, int64_t count) {
  for (int64_t i = 0; i < numGroups(task.rowEnd - task.rowBegin); ++i) {
    RowGroup group = rowGroup(task, i, P::V::lanes);
    combine<P>(shape, task, group, i, states, count);
    writeResults<P>(shape, task, group,
                    groupState<P>(shape, states, i).results);
  }
}

template <class P> constexpr AttentionKernels kernels(const char *name) {
  return {name,
          P::V::lanes,
          /*maxRows=*/0,
          /*keysPerVisit=*/512,
          scratchBytes<P>,
          stateBytes<P>,
          accumulate<P>,
          finish<P>};
}

} // namespace
} // namespace tpcrt

#endif // TPCRT_DEVICE_CPU_ATTENTIONBLOCKS_H
