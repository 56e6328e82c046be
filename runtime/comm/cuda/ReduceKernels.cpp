#include "comm/cuda/ReduceKernels.h"

#include "comm/cuda/ReduceLines.h"

#include <fmt/format.h>

using namespace tpcrt;

namespace {

// {0} name, {1} element size, {2} begin, {3} load, {4} fold, {5} store, {6}
// registers
constexpr const char *kernelText = R"(
.visible .entry {0}(
  .param .u64 {0}_srcs, .param .u64 {0}_dsts, .param .u32 {0}_members,
  .param .u32 {0}_results, .param .u64 {0}_offset, .param .u64 {0}_count)
{{
{6}
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
  ld.global.u64 %at, [%srcs];
  add.u64 %at, %at, %from;
  {3}
  {2}
  mov.u32 %j, 1;
member:
  setp.ge.u32 %done, %j, %members;
  @%done bra store;
  mul.wide.u32 %entry, %j, 8;
  add.u64 %entry, %srcs, %entry;
  ld.global.u64 %at, [%entry];
  add.u64 %at, %at, %from;
  {3}
  {4}
  add.u32 %j, %j, 1;
  bra member;
store:
  mov.u32 %j, 0;
result:
  setp.ge.u32 %done, %j, %results;
  @%done bra next;
  mul.wide.u32 %entry, %j, 8;
  add.u64 %entry, %dsts, %entry;
  ld.global.u64 %at, [%entry];
  add.u64 %at, %at, %to;
  {5}
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

std::string tpcrt::reduceKernelName(ElementType type, Reduction reduction) {
  return fmt::format("reduce_{}_{}", reductionName(reduction), typeName(type));
}

std::vector<std::string> tpcrt::reduceKernelNames() {
  std::vector<std::string> names;
  forEachReduction([&](ElementType type, Reduction reduction) {
    names.push_back(reduceKernelName(type, reduction));
  });
  return names;
}

std::string tpcrt::reduceKernels() {
  std::string text = ".version 7.0\n.target sm_80\n.address_size 64\n";
  forEachReduction([&](ElementType type, Reduction reduction) {
    ReduceLines lines = ReduceLines::of(type, reduction);
    text += fmt::format(kernelText, reduceKernelName(type, reduction),
                        byteSize(type), lines.begin(), lines.load, lines.fold,
                        lines.store, reduceRegisters);
  });
  return text;
}
