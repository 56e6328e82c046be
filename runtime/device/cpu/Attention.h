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
// is a few blocks per thread, whatever the lengths. Blocks of keys that no
// query of the block sees (causal, window, lengths) are not read.
//
// Types: f32, bf16, f16 and f64; scores, maxima and sums are in f32 (f64 for
// f64); weights are rounded to the operands' type before they meet the values,
// as the operation says.
#ifndef TPCRT_DEVICE_CPU_ATTENTION_H
#define TPCRT_DEVICE_CPU_ATTENTION_H

#include "artifact/Module.h"
#include "device/cpu/ThreadTeam.h"
#include "tpcrt/Error.h"

#include <memory>

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

  /// Memory that run needs besides the operands, at a 64-byte boundary.
  uint64_t scratchBytes() const;
  /// "avx512", "avx512_bf16", ...; for reports.
  std::string_view implementation() const;

  void run(const Operands &operands, std::byte *scratch,
           const ThreadTeam &team) const;

private:
  struct Impl;
  std::shared_ptr<const Impl> impl;
};

} // namespace tpcrt

#endif // TPCRT_DEVICE_CPU_ATTENTION_H
