// Products with weights that are packed in blocks of columns: what the kernels
// of all instruction sets have in common, as plain data. Their translation
// units are compiled for one instruction set each and share no inline functions
// with others.
//
//   b [k, n], f32, columns 64:             b [k, n], bf16, columns 64:
//     columns 0..63   of row 0               columns 0..63  of rows 0 and 1,
//     columns 0..63   of row 1                 as pairs
//     ...                                    columns 0..63  of rows 2 and 3
//     columns 64..127 of row 0               ...
//
// So 4 bytes of a block belong to one column in either type: a number, or the
// pair of two rows. This is what oneDNN packs weights into for its own kernels
// with AVX-512 and AMX: both read the same copy.
#ifndef TPCRT_DEVICE_CPU_BLOCKEDKERNELS_H
#define TPCRT_DEVICE_CPU_BLOCKEDKERNELS_H

#include "artifact/Activation.h"
#include "tpcrt/ElementType.h"

#include <cstddef>
#include <cstdint>

namespace tpcrt {

/// c[m, n] = activation(a[m, k] x b[k, n] + bias[n])
struct BlockedProduct {
  ElementType type = ElementType::F32; // of a and b: f32 or bf16
  int64_t m = 0, n = 0, k = 0;
  /// Rows of a are contiguous; those of bf16 have a zero after an odd k, unless
  /// the kernels read odd rows.
  const std::byte *a = nullptr;
  int64_t aRowBytes = 0;
  /// What a block holds past k and n is zero.
  const std::byte *b = nullptr;
  int64_t columns = 0; // of a block: 16, 32, 48 or 64
  int64_t blockBytes = 0;
  /// Rows of c are contiguous: f32, bf16 or f16.
  std::byte *c = nullptr;
  int64_t cRowStride = 0;
  ElementType cType = ElementType::F32;
  const std::byte *bias = nullptr; // of c's type, or null
  Activation activation = Activation::None;
  std::byte *scratch = nullptr;
};

/// Columns that are multiplied together; a block holds a few such groups.
constexpr int64_t kGroupColumns = 16;

/// Kernels for one instruction set and type. Every result is summed up in an
/// order that depends on the product alone, not on the ranges.
struct BlockedKernels {
  const char *name;
  int64_t maxRows; // of a
  bool readsOdd;   // an odd number of bf16 in a row
  uint64_t (*scratchBytes)(const BlockedProduct &product);
  /// What is to be done before `multiply`, in so many tasks.
  int64_t (*prepareTasks)(const BlockedProduct &product);
  void (*prepare)(const BlockedProduct &product, int64_t begin, int64_t end);
  /// Columns of groups [begin, end).
  void (*multiply)(const BlockedProduct &product, int64_t begin, int64_t end);
};

const BlockedKernels &blockedRowsAvx512();     // f32, few rows
const BlockedKernels &blockedRowsAvx512Bf16(); // bf16, few rows
const BlockedKernels &blockedAmx();            // bf16

} // namespace tpcrt

#endif // TPCRT_DEVICE_CPU_BLOCKEDKERNELS_H
