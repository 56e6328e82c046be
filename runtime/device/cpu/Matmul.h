// Matrix products through oneDNN and kernels of our own.
//
// A Matmul is one step, shared by all devices: a oneDNN primitive, the layouts
// in which it wants its operands, and how to get them there. An operand goes to
// oneDNN as it lies where that is fast, else through a dense copy ("staged").
// Our own kernels take the primitive's place on packed weights that they read
// faster (Blocked.h).
//
// Types: f32 runs as f32. bf16 runs as bf16 where oneDNN has a kernel for this
// CPU (AVX-512), and is converted to f32 and back otherwise (AVX2). oneDNN 2.6
// has no f16 and no mixed types: they run as f32. f64 and integers run in plain
// loops. In every case sums are accumulated in f32 (or exactly) and rounded
// once.
//
// An epilogue runs inside the primitive where oneDNN takes it, on the f32 sums;
// else the primitive leaves f32 sums in scratch memory, and plain loops make
// the result of them.
//
// Weights that the step marks are packed at load into the format that the
// primitive prefers; steps that use the same weights share one copy where the
// format that the first chose serves the others.
#ifndef TPCRT_DEVICE_CPU_MATMUL_H
#define TPCRT_DEVICE_CPU_MATMUL_H

#include "device/cpu/Blocked.h"
#include "device/cpu/DeviceMemory.h"
#include "device/cpu/MatmulForm.h"
#include "device/cpu/ThreadTeam.h"

#include <oneapi/dnnl/dnnl.hpp>

#include <algorithm>

namespace tpcrt {

/// Where an operand is read or written by the library.
struct MatmulOperand {
  dnnl::memory::desc desc;
  ElementType type = ElementType::F32; // in desc
  bool staged = false;
  uint64_t stageOffset = 0; // in the scratch memory, if staged
};

/// Weights in a library format: a view of a parameter.
struct PackedWeights {
  BufferRef ref;
  MatrixView view;
  uint64_t batch = 1;
  int64_t batchStride = 0;
  ElementType type = ElementType::F32; // in desc
  /// 0: `desc` is of the whole batch. Else every matrix is cut into panels of
  /// so many columns, the last filled up with zeros; panels follow each other
  /// and `desc` is of one.
  uint64_t panelColumns = 0;
  dnnl::memory::desc desc;

  /// The same weights in the same pieces, whatever the format.
  bool holdsSame(const PackedWeights &other) const;
  uint64_t panels() const { return (view.cols - 1) / panelColumns + 1; }
  uint64_t bytes() const;
};

/// What the matmul steps of a module share.
struct MatmulContext {
  dnnl::engine engine{dnnl::engine::kind::cpu, 0};
  std::vector<PackedWeights> packed;
  /// What other executables have packed: where its format serves, it is taken.
  std::vector<PackedWeights> known;

  /// The first of `packed` that holds the same as `key` in a format that
  /// `fits` accepts, or of `known`, which joins `packed`; -1 if there is none.
  template <class Fits> int find(const PackedWeights &key, Fits fits) {
    auto serves = [&](const PackedWeights &other) {
      return other.holdsSame(key) && fits(other.desc);
    };
    auto found = std::ranges::find_if(packed, serves);
    if (found == packed.end()) {
      auto other = std::ranges::find_if(known, serves);
      if (other == known.end())
        return -1;
      packed.push_back(*other);
      return packed.size() - 1;
    }
    return found - packed.begin();
  }
};

class Matmul {
public:
  /// The primitive is made for as many threads as the calling thread's
  /// ThreadTeam has; run it with as many.
  static Result<Matmul> create(const MatmulStep &step, MatmulContext &context);

  /// Memory that run needs besides the operands.
  uint64_t scratchBytes() const { return scratchSize; }
  /// Index into MatmulContext::packed, or -1 if b is read as it lies.
  int packedIndex() const { return packed; }
  /// "brgemm:avx512_core", ...; for reports.
  std::string implementation() const;

private:
  /// Our own kernels in place of the primitive, on packed weights.
  struct Blocked {
    const BlockedKernels *kernels;
    BlockedProduct shape; // without addresses
    bool staged;          // a is copied to dense rows of shape.type first
    uint64_t stageOffset; // in the scratch memory, if staged
    uint64_t scratchOffset;
  };

  friend class DeviceMatmul;
  friend class MatmulPlanner;

  MatmulForm form;
  bool simple = true;                // plain loops, no primitive
  std::optional<Blocked> blocked;    // no primitive either
  MatmulBatchDim batch;              // of the primitive; size 0: it has none
  std::vector<MatmulBatchDim> outer; // one execution each
  dnnl::matmul::primitive_desc descriptor;
  dnnl::matmul primitive;
  MatmulOperand a, b, c;
  bool fused = true; // the primitive computes the epilogue, if there is one
  bool hasBias = false;
  MatmulOperand bias; // if the primitive adds it
  int packed = -1;
  uint64_t scratchSize = 0;
  uint64_t scratchpadOffset = 0;
};

/// A matmul with the operands of one device.
class DeviceMatmul {
public:
  /// `b` is the packed copy if matmul.packedIndex() >= 0.
  DeviceMatmul(const Matmul &matmul, const MatmulContext &context,
               const MatmulPointers &operands, std::byte *scratch);

  /// `team` has as many threads as the matmul was created for.
  Result<void> run(const dnnl::stream &stream, const ThreadTeam &team);

private:
  void runBlocked(const ThreadTeam &team);
  void runOuter(size_t dim, const MatmulPointers &at,
                const dnnl::stream &stream);
  void runOnce(const MatmulPointers &at, const dnnl::stream &stream);

  const Matmul *matmul;
  MatmulPointers base;
  std::byte *scratch;
  dnnl::memory a, b, c, bias, scratchpad;
  std::vector<dnnl_exec_arg_t> arguments;
  BlockedProduct product; // if matmul.blocked
};

/// A product of these operands, with a bias and operations on the result where
/// they are given, if oneDNN has an optimized kernel for it.
std::optional<dnnl::matmul::primitive_desc>
findProduct(const dnnl::engine &engine, const dnnl::memory::desc &a,
            const dnnl::memory::desc &b, const dnnl::memory::desc &c,
            const dnnl::memory::desc *bias = nullptr,
            const dnnl::post_ops &operations = {});

/// bf16 or f32.
dnnl::memory::data_type libraryType(ElementType type);

/// Packs panel `panel` of a matrix that lies at `matrix` to `packed`; `dense`
/// is memory for one panel, row by row.
void packPanel(const dnnl::engine &engine, const PackedWeights &weights,
               const std::byte *matrix, uint64_t panel, std::byte *dense,
               std::byte *packed);

/// Fills those of memory.packed (one buffer per entry of context.packed) that
/// are views of `parameter` and not there yet.
Result<void> packParameter(const MatmulContext &context, uint32_t parameter,
                           DeviceMemory &memory);

} // namespace tpcrt

#endif // TPCRT_DEVICE_CPU_MATMUL_H
