// Flash attention of few queries, as in decoding, for vectors whose lanes are
// components: the cache is read once, in whole vectors.
//
// Scores of a block of keys lie as [keys, rows], with 1, 2 or 4 rows side by
// side, so that one vector holds a score of every row for several keys: the
// sums over components of as many products as a vector has lanes are formed
// together.
//
// This file is included by one translation unit per instruction set, like
// AttentionBlocks.h.
#ifndef TPCRT_DEVICE_CPU_ATTENTIONROWS_H
#define TPCRT_DEVICE_CPU_ATTENTIONROWS_H

#include "device/cpu/AttentionFinite.h"
#include "device/cpu/AttentionOperands.h"

#include <cstring>

namespace tpcrt {
namespace {

/// More rows are faster with queries in the lanes.
constexpr int64_t maxFewRows = 8;

/// Keys ahead of those in work that are asked for.
constexpr int64_t keysAhead = 16;

template <class V, ElementType Type> struct FewRows {
  using Reg = typename V::Reg;
  static constexpr int64_t lanes = V::lanes, size = elementBytes(Type);

  /// Maxima (times log2 e) and sums by row, results [rows, v], not yet divided.
  struct State {
    float *maxima, *sums, *results;
  };
  struct Scratch {
    float *queries;    // [rows, d]
    float *weights;    // [keyBlock, rows], first the scores
    std::byte *finite; // a block of values with zeros
  };

  static State stateAt(std::byte *memory) {
    auto at = reinterpret_cast<uintptr_t>(memory);
    auto *maxima = take<float>(at, maxFewRows);
    auto *sums = take<float>(at, maxFewRows);
    return {maxima, sums, take<float>(at, 0)};
  }
  static uint64_t stateBytes(const AttentionShape &shape) {
    return 128 + roundUp(shape.v, 16) * maxFewRows * sizeof(float);
  }
  static Scratch scratchAt(const AttentionShape &shape, uintptr_t &memory) {
    auto *queries = take<float>(memory, roundUp(shape.d, lanes) * maxFewRows);
    auto *weights = take<float>(memory, keyBlock * maxFewRows);
    return {queries, weights,
            take<std::byte>(memory, keyBlock * shape.v * size)};
  }
  static uint64_t scratchBytes(const AttentionShape &shape) {
    uintptr_t end = 0;
    scratchAt(shape, end);
    return end;
  }

  static Reg load(const std::byte *data) {
    return V::loadPart(Type, data, lanes);
  }

  //===--- Scores -------------------------------------------------------===//

  /// Keys whose components are loaded together.
  template <int R> static constexpr int keysTogether = smaller(4, lanes / R);

  /// Adds query . key for some keys and R rows to lanes of sums [keys, R].
  template <int R>
  static void addProducts(const std::byte *key, int64_t stride, int64_t d,
                          const float *queries, Reg *sums) {
    constexpr int together = keysTogether<R>;
    int64_t padded = roundUp(d, lanes), e = 0;
    auto add = [&](auto loadKey) {
      Reg keys[together];
      for (int i = 0; i < together; ++i) {
        const std::byte *at = key + i * stride + e * size;
        keys[i] = loadKey(at);
        __builtin_prefetch(at + keysAhead * stride);
      }
      for (int j = 0; j < R; ++j) {
        Reg query = V::load(queries + j * padded + e);
        for (int i = 0; i < together; ++i)
          sums[i * R + j] = V::fma(keys[i], query, sums[i * R + j]);
      }
    };
    for (; e + lanes <= d; e += lanes)
      add(load);
    if (e < d)
      add([&](const std::byte *at) { return V::loadPart(Type, at, d - e); });
  }

  /// Scores [count, R] without scale; `count` is rounded up to whole vectors.
  template <int R>
  static void scoreKeys(const std::byte *key, int64_t stride, int64_t count,
                        int64_t d, const float *queries, float *scores) {
    constexpr int keys = lanes / R;
    for (int64_t t = 0; t < count; t += keys) {
      Reg sums[lanes];
      for (Reg &sum : sums)
        sum = V::set1(0);
      if (t + keys <= count) {
        for (int i = 0; i < keys; i += keysTogether<R>)
          addProducts<R>(key + (t + i) * stride, stride, d, queries,
                         sums + i * R);
      } else {
        // The last key again instead of those that are not there.
        for (int i = 0; i < keys; ++i) {
          Reg same[keysTogether<R> * R];
          for (Reg &sum : same)
            sum = V::set1(0);
          addProducts<R>(key + smaller(t + i, count - 1) * stride, 0, d,
                         queries, same);
          for (int j = 0; j < R; ++j)
            sums[i * R + j] = same[j];
        }
      }
      V::store(scores + t * R, V::sumEach(sums));
    }
  }

  /// Scale, softcap, bias and mask.
  template <int R>
  static void adjustScores(const AttentionShape &shape,
                           const AttentionTask &task, int64_t row,
                           KeyRange keys, float *scores) {
    int64_t count = keys.end - keys.begin;
    Reg scale = V::set1(shape.scale), cap = V::set1(shape.softcap);
    Reg inner = V::set1(shape.softcap ? shape.scale / shape.softcap : 0);
    for (int64_t i = 0; i < count * R; i += lanes) {
      Reg score = V::load(scores + i);
      score = shape.softcap ? V::mul(cap, V::tanh(V::mul(score, inner)))
                            : V::mul(score, scale);
      V::store(scores + i, score);
    }
    for (int j = 0; j < R; ++j) {
      int64_t at = smaller(task.rowBegin + row + j, task.rowEnd - 1);
      if (task.bias.data) {
        const AttentionBias &bias = task.bias;
        int64_t base = rowOffset(shape, at, bias.queryStride, bias.headStride) +
                       keys.begin * bias.keyStride;
        for (int64_t t = 0; t < count; ++t)
          scores[t * R + j] +=
              loadElement<V>(bias.data, bias.type, base + t * bias.keyStride);
      }
      KeyRange range = keysOfRow(shape, task, at);
      for (int64_t t = 0; t < smaller(count, range.begin - keys.begin); ++t)
        scores[t * R + j] = -__builtin_inff();
      for (int64_t t = larger(0, range.end - keys.begin); t < count; ++t)
        scores[t * R + j] = -__builtin_inff();
    }
    for (int64_t i = count * R; i % lanes != 0; ++i)
      scores[i] = -__builtin_inff();
  }

  //===--- Softmax ------------------------------------------------------===//

  /// Turns adjusted scores into weights; factor [R] is what results so far are
  /// to be multiplied with.
  template <int R>
  static void softmax(int64_t count, float *maxima, float *sums, float *weights,
                      float *factor) {
    alignas(64) float each[lanes];
    Reg block = V::load(weights), sum = V::set1(0);
    for (int64_t i = lanes; i < count * R; i += lanes)
      block = V::max(block, V::load(weights + i));
    V::store(each, block);
    float shift[R];
    for (int j = 0; j < R; ++j) {
      float before = maxima[j], highest = each[j];
      for (int64_t i = j + R; i < lanes; i += R)
        highest = each[i] > highest ? each[i] : highest;
      highest *= float(log2e);
      maxima[j] = before < highest ? highest : before;
      shift[j] = maxima[j] == -__builtin_inff() ? 0 : maxima[j];
      factor[j] = before - shift[j];
    }
    for (int64_t i = 0; i < lanes; ++i)
      each[i] = i < R ? factor[i] : 0;
    V::store(each, V::exp2(V::load(each)));
    for (int j = 0; j < R; ++j)
      factor[j] = each[j];
    for (int64_t i = 0; i < lanes; ++i)
      each[i] = shift[i % R];
    Reg shifts = V::load(each), toLog2 = V::set1(log2e);
    for (int64_t i = 0; i < count * R; i += lanes) {
      Reg weight = V::exp2(V::fmsub(V::load(weights + i), toLog2, shifts));
      sum = V::add(sum, weight);
      V::store(weights + i, weight);
    }
    V::store(each, sum);
    for (int j = 0; j < R; ++j) {
      float total = 0;
      for (int64_t i = j; i < lanes; i += R)
        total += each[i];
      sums[j] = sums[j] * factor[j] + total;
    }
  }

  //===--- Values -------------------------------------------------------===//

  /// results [R, C vectors] = results * factor + weights^T x value, for
  /// `width` components at `value`, all C vectors full but maybe the last.
  template <int R, int C>
  static void addValues(const std::byte *value, int64_t stride, int64_t count,
                        int64_t width, const float *weights,
                        const float *factor, float *results, int64_t padded) {
    Reg sums[R][C];
    for (int j = 0; j < R; ++j)
      for (int c = 0; c < C; ++c)
        sums[j][c] = V::mul(V::load(results + j * padded + c * lanes),
                            V::set1(factor[j]));
    auto add = [&](auto loadValue) {
      for (int64_t t = 0; t < count; ++t) {
        Reg values[C];
        for (int c = 0; c < C; ++c) {
          const std::byte *at = value + t * stride + c * lanes * size;
          values[c] = loadValue(at);
          __builtin_prefetch(at + keysAhead * stride);
        }
        for (int j = 0; j < R; ++j) {
          Reg weight = V::set1(weights[t * R + j]);
          for (int c = 0; c < C; ++c)
            sums[j][c] = V::fma(weight, values[c], sums[j][c]);
        }
      }
    };
    if (width >= C * lanes)
      add(load);
    else if constexpr (C == 1)
      add([&](const std::byte *at) { return V::loadPart(Type, at, width); });
    for (int j = 0; j < R; ++j)
      for (int c = 0; c < C; ++c)
        V::store(results + j * padded + c * lanes, sums[j][c]);
  }

  /// addValues for any width.
  template <int R, int C>
  static void addAllValues(const std::byte *value, int64_t stride,
                           int64_t count, int64_t width, const float *weights,
                           const float *factor, float *results,
                           int64_t padded) {
    while (width >= C * lanes || (C == 1 && width > 0)) {
      addValues<R, C>(value, stride, count, width, weights, factor, results,
                      padded);
      value += C * lanes * size;
      results += C * lanes;
      width -= C * lanes;
    }
    if constexpr (C > 1)
      addAllValues<R, C / 2>(value, stride, count, width, weights, factor,
                             results, padded);
  }

  //===--- Tasks --------------------------------------------------------===//

  template <int R>
  static void accumulateRows(const AttentionShape &shape,
                             const AttentionTask &task, int64_t row,
                             KeyRange keys, const State &state,
                             const Scratch &scratch) {
    int64_t count = keys.end - keys.begin;
    int64_t keyBytes = task.keyStride * size;
    float factor[R];
    scoreKeys<R>(task.key + keys.begin * keyBytes, keyBytes, count, shape.d,
                 scratch.queries + row * roundUp(shape.d, lanes),
                 scratch.weights);
    adjustScores<R>(shape, task, row, keys, scratch.weights);
    softmax<R>(count, state.maxima + row, state.sums + row, scratch.weights,
               factor);
    ValueBlock values{Type, task.value + keys.begin * task.valueStride * size,
                      task.valueStride, count, shape.v};
    int64_t end = smaller(task.rowBegin + row + R, task.rowEnd);
    bool finite = seenByAll(shape, task, {task.rowBegin + row, end}, keys) ||
                  isFinite(values);
    ValueBlock safe = finite ? values : finiteCopy(values, scratch.finite);
    int64_t padded = roundUp(shape.v, 16);
    float *results = state.results + row * padded;
    addAllValues<R, lanes / R>(safe.data, safe.stride * size, count, shape.v,
                               scratch.weights, factor, results, padded);
    if (!finite)
      forNonFinite(values, [&](int64_t t, int64_t e) {
        for (int64_t at = task.rowBegin + row; at < end; ++at)
          if (isSeen(shape, task, at, keys.begin + t))
            results[(at - task.rowBegin - row) * padded + e] +=
                loadElement<V>(values.data, Type, t * values.stride + e);
      });
  }

  static void accumulate(const AttentionShape &shape, const AttentionTask &task,
                         std::byte *states, std::byte *memory) {
    State state = stateAt(states);
    auto at = reinterpret_cast<uintptr_t>(memory);
    Scratch scratch = scratchAt(shape, at);
    int64_t padded = roundUp(shape.d, lanes);
    if (task.first) {
      std::memset(states, 0, stateBytes(shape));
      for (int64_t r = 0; r < maxFewRows; ++r)
        state.maxima[r] = -__builtin_inff();
    }
    std::memset(scratch.queries, 0, padded * maxFewRows * sizeof(float));
    int64_t rows = task.rowEnd - task.rowBegin;
    for (int64_t r = 0; r < rows; ++r)
      V::convert(Type,
                 task.query + rowOffset(shape, task.rowBegin + r,
                                        task.queryStride,
                                        task.queryHeadStride) *
                                  size,
                 shape.d, scratch.queries + r * padded);
    for (int64_t t = task.keyBegin; t < task.keyEnd; t += keyBlock) {
      KeyRange keys{t, smaller(t + keyBlock, task.keyEnd)};
      if (rows == 1)
        accumulateRows<1>(shape, task, 0, keys, state, scratch);
      else if (rows == 2)
        accumulateRows<2>(shape, task, 0, keys, state, scratch);
      else
        for (int64_t r = 0; r < rows; r += 4)
          accumulateRows<4>(shape, task, r, keys, state, scratch);
    }
  }

  static void finish(const AttentionShape &shape, const AttentionTask &task,
                     std::byte *states, int64_t count) {
    int64_t padded = roundUp(shape.v, 16);
    auto part = [&](int64_t i) {
      return stateAt(states + i * stateBytes(shape));
    };
    for (int64_t r = 0; r < task.rowEnd - task.rowBegin; ++r) {
      int64_t at = task.rowBegin + r;
      float sink = task.sinks ? loadElement<V>(task.sinks, task.sinksType,
                                               at % shape.group) *
                                    float(log2e)
                              : -__builtin_inff();
      float maximum = sink;
      for (int64_t i = 0; i < count; ++i)
        if (part(i).maxima[r] > maximum)
          maximum = part(i).maxima[r];
      if (maximum == -__builtin_inff())
        maximum = 0;
      auto power = [&](float x) { return V::exp2(V::set1(x - maximum)); };
      Reg total = power(sink);
      for (int64_t i = 0; i < count; ++i)
        total =
            V::fma(V::set1(part(i).sums[r]), power(part(i).maxima[r]), total);
      // Nothing visible: 0 / 1.
      Reg inverse = V::div(V::set1(1), V::nonzeroOrOne(total));
      int64_t to =
          rowOffset(shape, at, task.resultStride, task.resultHeadStride);
      for (int64_t v = 0; v < shape.v; v += lanes) {
        Reg sum = V::set1(0);
        for (int64_t i = 0; i < count; ++i)
          sum = V::fma(V::load(part(i).results + r * padded + v),
                       power(part(i).maxima[r]), sum);
        V::storePart(Type, V::mul(sum, inverse), shape.v - v,
                     task.result + (to + v) * size);
      }
    }
  }

  static constexpr AttentionKernels kernels(const char *name) {
    return {name,         maxFewRows, maxFewRows, /*keysPerVisit=*/32,
            scratchBytes, stateBytes, accumulate, finish};
  }
};

} // namespace
} // namespace tpcrt

#endif // TPCRT_DEVICE_CPU_ATTENTIONROWS_H
