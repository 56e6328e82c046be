#include "comm/cuda/PeerKernels.h"

#include "comm/cuda/ReduceLines.h"

#include <fmt/format.h>

using namespace tpcrt;

namespace {

// {0} name, {1} element size, {2} its bits, {3} fold over members, {4} store,
// {5} registers; of the mailbox: {6} blocks, {7} most members, {8} flags, {9}
// staging, {10} bytes of a slice, {11} elements of a slice; {12} bits of the
// register of an element
constexpr const char *kernelText = R"(
.visible .entry {0}(
  .param .u64 {0}_src, .param .u64 {0}_dst, .param .u64 {0}_mailboxes,
  .param .u32 {0}_self, .param .u32 {0}_members, .param .u64 {0}_count,
  .param .u64 {0}_abort)
{{
{5}
  .reg .pred %done, %mine, %stopped;
  .reg .b16 %raw16;
  .reg .b32 %raw32, %block, %threads, %thread, %self, %members, %j, %epoch;
  .reg .b32 %parity, %flag, %stop, %slot;
  .reg .b64 %raw64, %src, %dst, %mailboxes, %count, %abort, %own, %wide;
  .reg .b64 %epochs, %slice, %first, %n, %begin, %step, %i, %from, %to, %entry;
  ld.param.u64 %src, [{0}_src];
  ld.param.u64 %dst, [{0}_dst];
  ld.param.u64 %mailboxes, [{0}_mailboxes];
  ld.param.u32 %self, [{0}_self];
  ld.param.u32 %members, [{0}_members];
  ld.param.u64 %count, [{0}_count];
  ld.param.u64 %abort, [{0}_abort];
  mov.u32 %block, %ctaid.x;
  mov.u32 %threads, %ntid.x;
  mov.u32 %thread, %tid.x;
  cvt.u64.u32 %begin, %thread;
  cvt.u64.u32 %step, %threads;
  mul.wide.u32 %entry, %self, 8;
  add.u64 %entry, %mailboxes, %entry;
  ld.global.u64 %own, [%entry];
  mul.wide.u32 %epochs, %block, 4;
  add.u64 %epochs, %own, %epochs;
  ld.global.u32 %epoch, [%epochs];
  add.u32 %epoch, %epoch, 1;
  and.b32 %parity, %epoch, 1;
  mad.lo.u32 %slot, %parity, {6}, %block;
  mul.wide.u32 %slice, %slot, {10};
  add.u64 %slice, %slice, {9};
  mul.wide.u32 %first, %block, {11};
  sub.u64 %n, %count, %first;
  min.u64 %n, %n, {11};
  mul.lo.u64 %wide, %first, {1};
  add.u64 %src, %src, %wide;
  add.u64 %dst, %dst, %wide;
  mov.u64 %i, %begin;
bring:
  setp.ge.u64 %done, %i, %n;
  @%done bra brought;
  mul.lo.u64 %wide, %i, {1};
  add.u64 %from, %src, %wide;
  ld.global.u{2} %raw{12}, [%from];
  add.u64 %to, %own, %slice;
  add.u64 %to, %to, %wide;
  st.global.u{2} [%to], %raw{12};
  add.u64 %i, %i, %step;
  bra bring;
brought:
  bar.sync 0;
  setp.ne.u32 %stopped, %thread, %thread;
  setp.ge.u32 %done, %thread, %members;
  @%done bra met;
  mul.wide.u32 %entry, %thread, 8;
  add.u64 %entry, %mailboxes, %entry;
  ld.global.u64 %to, [%entry];
  mad.lo.u32 %slot, %block, {7}, %self;
  mul.wide.u32 %wide, %slot, 4;
  add.u64 %to, %to, %wide;
  st.release.sys.global.u32 [%to+{8}], %epoch;
  mad.lo.u32 %slot, %block, {7}, %thread;
  mul.wide.u32 %wide, %slot, 4;
  add.u64 %from, %own, %wide;
wait:
  ld.acquire.sys.global.u32 %flag, [%from+{8}];
  sub.s32 %flag, %flag, %epoch;
  setp.ge.s32 %done, %flag, 0;
  @%done bra met;
  ld.volatile.global.u32 %stop, [%abort];
  setp.ne.u32 %stopped, %stop, 0;
  @%stopped bra met;
  bra wait;
met:
  bar.red.or.pred %stopped, 0, %stopped;
  @%stopped bra end;
  setp.eq.u32 %mine, %thread, 0;
  @%mine st.global.u32 [%epochs], %epoch;
  mov.u64 %i, %begin;
element:
  setp.ge.u64 %done, %i, %n;
  @%done bra end;
  mul.lo.u64 %wide, %i, {1};
  add.u64 %from, %slice, %wide;
  add.u64 %to, %dst, %wide;
  {3}
  mov.u64 %at, %to;
  {4}
  add.u64 %i, %i, %step;
  bra element;
end:
  ret;
}}
)";

} // namespace

std::string tpcrt::peerKernels() {
  std::string text = reduceHeader;
  forEachReduction([&](ElementType type, Reduction reduction) {
    ReduceLines lines = ReduceLines::of(type, reduction);
    uint64_t size = byteSize(type), bits = 8 * size;
    // A byte is loaded into a register of 16 bits.
    text +=
        fmt::format(kernelText, reduceKernelName(peerFamily, type, reduction),
                    size, bits, lines.foldMembers("%mailboxes"), lines.store,
                    reduceRegisters, Mailbox::blocks, Mailbox::maxMembers,
                    Mailbox::flags, Mailbox::staging, Mailbox::sliceBytes,
                    Mailbox::sliceBytes / size, std::max<uint64_t>(bits, 16));
  });
  return text;
}
