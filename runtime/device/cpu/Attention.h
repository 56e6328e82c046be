// Attention without the matrix of scores.
//
// For a block of queries the keys are visited block by block; running maxima
// and sums of the softmax are corrected as larger scores appear:
//
//   m' = max(m, max_t score)      correction = exp(m - m')
//   l' = l * correction + sum_t exp(score - m')
//   o' = o * correction + sum_t exp(score - m') * value
//   result = o / l                (zeros where no key is visible)
//
// (Milakov and Gimelshein 2018; Dao et al. 2022). Memory besides the operands
// is a few blocks per thread, whatever the lengths. Keys that no query of the
// block sees (causal, window, lengths) are not read. Where there are too few
// blocks of queries for the threads, as in decoding, the keys of a block are
// split too, and the parts' (m, l, o) combined.
//
// Types: f32, bf16, f16 and f64; scores, maxima and sums are in f32 (f64 for
// f64).
#ifndef TPCRT_DEVICE_CPU_ATTENTION_H
#define TPCRT_DEVICE_CPU_ATTENTION_H

#include "artifact/Module.h"
#include "device/cpu/AttentionKernels.h"
#include "device/cpu/ThreadTeam.h"
#include "tpcrt/Error.h"

namespace tpcrt {

/// An attention step, shared by all devices.
class Attention {
public:
  struct Operands {
    const void *query = nullptr, *key = nullptr, *value = nullptr;
    void *result = nullptr;
    const void *bias = nullptr, *lengths = nullptr; // null if not given
    const void *offset = nullptr, *sinks = nullptr;
  };

  /// Chooses the kernel for this CPU and the blocks for `threads` threads.
  static Result<Attention> create(const AttentionStep &step, unsigned threads);
  /// With the kernels of attentionKernels() of one name.
  static Result<Attention> create(const AttentionStep &step, unsigned threads,
                                  std::string_view kernels);

  /// Memory that run needs besides the operands, at a 64-byte boundary.
  uint64_t scratchBytes() const;
  /// "avx512", "amx_bf16", "avx2_rows", ...; for reports.
  std::string_view implementation() const { return kernels->name; }

  void run(const Operands &operands, std::byte *scratch,
           const ThreadTeam &team) const;

private:
  friend class AttentionRun;

  /// Units of work that share no keys, before their keys are split.
  int64_t groups() const { return step.b * step.k / heads * blocks; }
  uint64_t groupBytes() const { return heads * stateBytes; }

  AttentionStep step;
  AttentionShape shape;
  const AttentionKernels *kernels = nullptr;
  unsigned threads = 1;
  int64_t blocks = 0; // of rows, in a batch entry and kv head
  int64_t heads = 1;  // kv heads that are visited together
  int64_t parts = 1;  // of a block's keys
  uint64_t stateBytes = 0, threadBytes = 0;
};

/// The kernels that this CPU runs for a type and `rows` queries that share
/// keys, the best first.
std::vector<const AttentionKernels *> attentionKernels(ElementType type,
                                                       uint64_t rows);

} // namespace tpcrt

#endif // TPCRT_DEVICE_CPU_ATTENTION_H
