// Attention by cuDNN, behind an interface without its types: what it takes of
// an attention step, and who computes that.
#ifndef TPCRT_DEVICE_CUDA_ATTENTIONLIBRARY_H
#define TPCRT_DEVICE_CUDA_ATTENTIONLIBRARY_H

#include "device/cuda/GpuOperation.h"
#include "device/cuda/KernelModule.h"

#include <array>

namespace tpcrt {

/// softmax(scale * query key^T) value over visible keys, in f32:
///   query [b, h, s, d], key [b, k, t, d], value [b, k, t, v], result [b, h, s,
///   v]
/// with strides in elements, the last dimension contiguous. Query head h reads
/// key/value head h / (heads / keyHeads).
struct AttentionForm {
  ElementType type = ElementType::BF16; // or f16
  int64_t batch = 0, heads = 0, keyHeads = 0, queries = 0, keys = 0;
  int64_t depth = 0, valueDepth = 0;
  std::array<int64_t, 3> query{}, key{}, value{}, result{}; // b, head, row
  double scale = 1;
  /// Query i sees keys up to i.
  bool causal = false;
  /// Only so many keys are visible, per batch element: key lengths of i32.
  bool hasLengths = false;
};

/// The step in this form, where that computes it: bf16 or f16, without bias,
/// sinks, window and softcap. An offset of the diagonal is a length where there
/// is one query (a decoder's step); else it is not expressible.
std::optional<AttentionForm> attentionForm(const AttentionStep &step);

/// An attention that the library has accepted.
class AttentionPlan {
public:
  struct Addresses {
    CUdeviceptr query, key, value, result;
    CUdeviceptr queryLengths, keyLengths; // with AttentionForm::hasLengths
    CUdeviceptr workspace;
  };
  virtual ~AttentionPlan() = default;
  virtual Result<void> enqueue(CUstream stream, const Addresses &addresses) = 0;
};

/// The library on one GPU.
class AttentionLibrary {
public:
  virtual ~AttentionLibrary() = default;
  /// Null if the library does not support it in `workspaceBytes`.
  virtual Result<std::unique_ptr<AttentionPlan>>
  prepare(const AttentionForm &form, uint64_t workspaceBytes) = 0;
};

/// cuDNN; an error says why there is none.
Result<std::shared_ptr<AttentionLibrary>>
openCudnn(const std::shared_ptr<Gpu> &gpu);

/// A step by the library.
class LibraryAttention final : public GpuOperation {
public:
  struct Operands {
    CUdeviceptr query, key, value, result, lengths, offset;
    CUdeviceptr workspace;
  };
  /// `kernels`: lengthKernels on the GPU. The plan is of attentionForm(step).
  static Result<std::unique_ptr<GpuOperation>>
  create(const std::shared_ptr<Gpu> &gpu, const KernelModule &kernels,
         std::unique_ptr<AttentionPlan> plan, const AttentionStep &step,
         const Operands &operands);

  Result<void> enqueue(CUstream stream) override;
  std::string implementation() const override { return "cudnn"; }

private:
  LibraryAttention(const Gpu &gpu, const AttentionStep &step)
      : gpu(gpu), step(step) {}

  const Gpu &gpu;
  const AttentionStep &step;         // of the module
  CUfunction lengthKernel = nullptr; // null without lengths
  Operands operands{};
  Buffer lengths; // of queries, then of keys
  std::unique_ptr<AttentionPlan> plan;
};

/// PTX of the kernel that computes the lengths of a batch in i32:
///   attention_lengths(u64 out, u64 lengths, u64 offset, u64 offsetStride,
///                     u32 wide, u32 batch, u32 queries, u32 keys)
///   out[b] = queries
///   out[batch + b] = max(0, min(keys, lengths[b], offset[b * offsetStride] +
///   1))
/// A null address counts as absent; bit 0 of `wide`: lengths are i64, bit 1:
/// offsets are.
extern const char *const lengthKernels;

} // namespace tpcrt

#endif // TPCRT_DEVICE_CUDA_ATTENTIONLIBRARY_H
