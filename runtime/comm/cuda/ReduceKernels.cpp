#include "comm/cuda/ReduceKernels.h"

#include "comm/cuda/ReduceLines.h"

#include <fmt/format.h>

using namespace tpcrt;

namespace {

// {0} name, {1} element size, {2} fold over members, {3} store, {4} registers
constexpr const char *kernelText = R"(
.visible .entry {0}(
  .param .u64 {0}_srcs, .param .u64 {0}_dsts, .param .u32 {0}_members,
  .param .u32 {0}_results, .param .u64 {0}_offset, .param .u64 {0}_count)
{{
{4}
  .reg .pred %done;
  .reg .b32 %block, %threads, %thread, %blocks, %members, %results, %j;
  .reg .b64 %srcs, %dsts, %offset, %count, %i, %step, %from, %to, %entry;
  ld.param.u64 %srcs, [{0}_srcs];
  ld.param.u64 %dsts, [{0}_dsts];
  ld.param.u32 %members, [{0}_members];
  ld.param.u32 %results, [{0}_results];
  ld.param.u64 %offset, [{0}_offset];
  ld.param.u64 %count, [{0}_count];
  mov.u32 %block, %ctaid.x;
  mov.u32 %blocks, %nctaid.x;
  mov.u32 %threads, %ntid.x;
  mov.u32 %thread, %tid.x;
  cvt.u64.u32 %i, %thread;
  mad.wide.u32 %i, %block, %threads, %i;
  mul.wide.u32 %step, %blocks, %threads;
element:
  setp.ge.u64 %done, %i, %count;
  @%done bra end;
  add.u64 %from, %i, %offset;
  mul.lo.u64 %from, %from, {1};
  mul.lo.u64 %to, %i, {1};
  {2}
  mov.u32 %j, 0;
result:
  setp.ge.u32 %done, %j, %results;
  @%done bra next;
  mul.wide.u32 %entry, %j, 8;
  add.u64 %entry, %dsts, %entry;
  ld.global.u64 %at, [%entry];
  add.u64 %at, %at, %to;
  {3}
  add.u32 %j, %j, 1;
  bra result;
next:
  add.u64 %i, %i, %step;
  bra element;
end:
  ret;
}}
)";

} // namespace

std::string tpcrt::reduceKernels() {
  std::string text = reduceHeader;
  forEachReduction([&](ElementType type, Reduction reduction) {
    ReduceLines lines = ReduceLines::of(type, reduction);
    text +=
        fmt::format(kernelText, reduceKernelName(reduceFamily, type, reduction),
                    byteSize(type), lines.foldMembers("%srcs"), lines.store,
                    reduceRegisters);
  });
  return text;
}
