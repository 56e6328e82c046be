#include "device/cuda/AttentionLibrary.h"

using namespace tpcrt;

namespace {

/// Strides (batch, head, row) of a tensor [b, rows, k, g, d] whose heads are k
/// and g together, if one stride goes through both.
std::optional<std::array<int64_t, 3>>
mergeHeads(const std::array<int64_t, 4> &strides, uint64_t k, uint64_t g) {
  auto [batch, row, major, minor] = strides;
  if (g == 1)
    return std::array{batch, major, row};
  if (k > 1 && major != int64_t(g) * minor)
    return std::nullopt;
  return std::array{batch, minor, row};
}

} // namespace

std::optional<AttentionForm> tpcrt::attentionForm(const AttentionStep &step) {
  constexpr uint64_t mostDepth = 256, depthMultiple = 8;
  bool isHalf = step.type == ElementType::BF16 || step.type == ElementType::F16;
  auto suits = [&](uint64_t depth) {
    return depth > 0 && depth <= mostDepth && depth % depthMultiple == 0;
  };
  if (!isHalf || step.bias || step.sinks || step.window || step.softcap ||
      !suits(step.d) || !suits(step.v) || step.b * step.s * step.t == 0)
    return std::nullopt;
  bool offset = step.causal && step.offset;
  if (offset && step.s != 1)
    return std::nullopt;
  auto query = mergeHeads(step.queryStrides, step.k, step.g);
  auto result = mergeHeads(step.resultStrides, step.k, step.g);
  if (!query || !result)
    return std::nullopt;
  AttentionForm form;
  form.type = step.type;
  form.batch = step.b;
  form.heads = step.k * step.g;
  form.keyHeads = step.k;
  form.queries = step.s;
  form.keys = step.t;
  form.depth = step.d;
  form.valueDepth = step.v;
  form.query = *query;
  form.result = *result;
  form.key = {step.keyStrides[0], step.keyStrides[2], step.keyStrides[1]};
  form.value = {step.valueStrides[0], step.valueStrides[2],
                step.valueStrides[1]};
  form.scale = step.scale;
  form.causal = step.causal && !offset;
  form.hasLengths = step.lengths || offset;
  return form;
}

Result<std::unique_ptr<GpuOperation>>
LibraryAttention::create(const std::shared_ptr<Gpu> &gpu,
                         const KernelModule &kernels,
                         std::unique_ptr<AttentionPlan> plan,
                         const AttentionStep &step, const Operands &operands) {
  std::unique_ptr<LibraryAttention> attention(new LibraryAttention(*gpu, step));
  attention->operands = operands;
  attention->plan = std::move(plan);
  if (operands.lengths || operands.offset) {
    attention->lengthKernel = kernels.function(0);
    TPCRT_ASSIGN(attention->lengths,
                 gpu->allocate(2 * step.b * sizeof(int32_t),
                               "the lengths of an attention"));
  }
  return attention;
}

Result<void> LibraryAttention::enqueue(CUstream stream) {
  AttentionPlan::Addresses addresses{
      operands.query,    operands.key, operands.value, operands.result, 0, 0,
      operands.workspace};
  if (lengthKernel) {
    CUdeviceptr out = deviceAddress(lengths);
    addresses.queryLengths = out;
    addresses.keyLengths = out + step.b * sizeof(int32_t);
    uint64_t stride = step.offsetStride;
    uint32_t wide = (step.lengthsType == ElementType::I64 ? 1 : 0) |
                    (step.offsetType == ElementType::I64 ? 2 : 0);
    uint32_t batch = step.b, queries = step.s, keys = step.t;
    void *parameters[] = {&out,
                          &operands.lengths,
                          &operands.offset,
                          &stride,
                          &wide,
                          &batch,
                          &queries,
                          &keys};
    constexpr uint32_t threads = 128;
    TPCRT_TRY(launch(gpu, lengthKernel, (batch + threads - 1) / threads,
                     threads, stream, parameters));
  }
  return plan->enqueue(stream, addresses);
}

const char *const tpcrt::lengthKernels = R"(
.version 7.0
.target sm_80
.address_size 64
.visible .entry attention_lengths(
  .param .u64 p_out, .param .u64 p_lengths, .param .u64 p_offset,
  .param .u64 p_stride, .param .u32 p_wide, .param .u32 p_batch,
  .param .u32 p_queries, .param .u32 p_keys)
{
  .reg .pred %done, %absent, %narrow;
  .reg .b32 %block, %threads, %thread, %i, %wide, %batch, %queries, %keys, %bit;
  .reg .b32 %small;
  .reg .b64 %out, %lengths, %offset, %stride, %at, %index, %value, %least;
  ld.param.u64 %out, [p_out];
  ld.param.u64 %lengths, [p_lengths];
  ld.param.u64 %offset, [p_offset];
  ld.param.u64 %stride, [p_stride];
  ld.param.u32 %wide, [p_wide];
  ld.param.u32 %batch, [p_batch];
  ld.param.u32 %queries, [p_queries];
  ld.param.u32 %keys, [p_keys];
  mov.u32 %block, %ctaid.x;
  mov.u32 %threads, %ntid.x;
  mov.u32 %thread, %tid.x;
  mad.lo.u32 %i, %block, %threads, %thread;
  setp.ge.u32 %done, %i, %batch;
  @%done bra end;
  cvt.u64.u32 %index, %i;
  cvt.u64.u32 %least, %keys;
  setp.eq.u64 %absent, %lengths, 0;
  @%absent bra offsets;
  and.b32 %bit, %wide, 1;
  setp.eq.u32 %narrow, %bit, 0;
  @%narrow bra narrowLength;
  mad.lo.u64 %at, %index, 8, %lengths;
  ld.global.s64 %value, [%at];
  bra length;
narrowLength:
  mad.lo.u64 %at, %index, 4, %lengths;
  ld.global.s32 %small, [%at];
  cvt.s64.s32 %value, %small;
length:
  min.s64 %least, %least, %value;
offsets:
  setp.eq.u64 %absent, %offset, 0;
  @%absent bra store;
  mul.lo.u64 %at, %index, %stride;
  and.b32 %bit, %wide, 2;
  setp.eq.u32 %narrow, %bit, 0;
  @%narrow bra narrowOffset;
  mad.lo.u64 %at, %at, 8, %offset;
  ld.global.s64 %value, [%at];
  bra offsetEnd;
narrowOffset:
  mad.lo.u64 %at, %at, 4, %offset;
  ld.global.s32 %small, [%at];
  cvt.s64.s32 %value, %small;
offsetEnd:
  add.s64 %value, %value, 1;
  min.s64 %least, %least, %value;
store:
  max.s64 %least, %least, 0;
  cvt.u32.u64 %small, %least;
  mad.lo.u64 %at, %index, 4, %out;
  st.global.u32 [%at], %queries;
  cvt.u64.u32 %index, %batch;
  mad.lo.u64 %at, %index, 4, %at;
  st.global.u32 [%at], %small;
end:
  ret;
}
)";
