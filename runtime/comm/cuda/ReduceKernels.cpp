#include "comm/cuda/ReduceKernels.h"

#include <fmt/format.h>

using namespace tpcrt;

namespace {

constexpr uint32_t numReductions = 3;

std::string_view nameOf(Reduction reduction) {
  return reduction == Reduction::Sum   ? "sum"
         : reduction == Reduction::Max ? "max"
                                       : "min";
}

/// The lines that load an element at [%at] into %<x>, fold %<x> into %<acc> and
/// store %<acc> to [%at].
struct TypeLines {
  std::string accumulator; // the prefix of the registers of its type
  std::string load, fold, store;
};

TypeLines linesOf(ElementType type, Reduction reduction) {
  std::string op =
      reduction == Reduction::Sum ? "add" : std::string(nameOf(reduction));
  bool sums = reduction == Reduction::Sum;
  // max and min of two numbers; NaN if one of them is.
  std::string f32 =
      fmt::format("{}.f32 %facc, %facc, %fx;", sums ? "add.rn" : op + ".NaN");
  switch (type) {
  case ElementType::F32:
    return {"f", "ld.global.f32 %fx, [%at];", f32,
            "st.global.f32 [%at], %facc;"};
  case ElementType::F64:
    return {"d", "ld.global.f64 %dx, [%at];",
            sums ? "add.rn.f64 %dacc, %dacc, %dx;"
                 : fmt::format("setp.nan.f64 %isnan, %dacc, %dx;\n"
                               "  add.rn.f64 %dsum, %dacc, %dx;\n"
                               "  {}.f64 %dacc, %dacc, %dx;\n"
                               "  selp.f64 %dacc, %dsum, %dacc, %isnan;",
                               op),
            "st.global.f64 [%at], %dacc;"};
  case ElementType::BF16:
    return {"f",
            "ld.global.u16 %h, [%at];\n"
            "  cvt.u32.u16 %rx, %h;\n"
            "  shl.b32 %rx, %rx, 16;\n"
            "  mov.b32 %fx, %rx;",
            f32, "cvt.rn.bf16.f32 %h, %facc;\n  st.global.b16 [%at], %h;"};
  case ElementType::F16:
    return {"f", "ld.global.b16 %h, [%at];\n  cvt.f32.f16 %fx, %h;", f32,
            "cvt.rn.f16.f32 %h, %facc;\n  st.global.b16 [%at], %h;"};
  case ElementType::I32:
    return {"r", "ld.global.s32 %rx, [%at];",
            fmt::format("{}.s32 %racc, %racc, %rx;", op),
            "st.global.s32 [%at], %racc;"};
  case ElementType::I64:
    return {"l", "ld.global.s64 %lx, [%at];",
            fmt::format("{}.s64 %lacc, %lacc, %lx;", op),
            "st.global.s64 [%at], %lacc;"};
  case ElementType::Bool:
    return {"r", "ld.global.u8 %rx, [%at];",
            fmt::format("{}.b32 %racc, %racc, %rx;",
                        reduction == Reduction::Min ? "and" : "or"),
            "st.global.u8 [%at], %racc;"};
  }
  return {};
}

// {0} name, {1} element size, {2} prefix of the accumulator, {3} load, {4}
// fold, {5} store, {6} PTX type of a move between accumulators
constexpr const char *kernelText = R"(
.visible .entry {0}(
  .param .u64 {0}_srcs, .param .u64 {0}_dsts, .param .u32 {0}_members,
  .param .u32 {0}_results, .param .u64 {0}_offset, .param .u64 {0}_count)
{{
  .reg .pred %done, %isnan;
  .reg .b16 %h;
  .reg .b32 %block, %threads, %thread, %blocks, %members, %results, %j;
  .reg .b32 %rx, %racc;
  .reg .b64 %srcs, %dsts, %offset, %count, %i, %step, %from, %to, %entry, %at;
  .reg .b64 %lx, %lacc;
  .reg .f32 %fx, %facc;
  .reg .f64 %dx, %dacc, %dsum;
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
  mov.{6} %{2}acc, %{2}x;
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

std::string_view moveType(const std::string &accumulator) {
  return accumulator == "f"   ? "f32"
         : accumulator == "d" ? "f64"
         : accumulator == "l" ? "b64"
                              : "b32";
}

template <class Visit> void forEachKernel(Visit visit) {
  for (uint32_t type = 0; type < numElementTypes; ++type)
    for (uint32_t reduction = 0; reduction < numReductions; ++reduction)
      visit(static_cast<ElementType>(type), static_cast<Reduction>(reduction));
}

} // namespace

std::string tpcrt::reduceKernelName(ElementType type, Reduction reduction) {
  return fmt::format("reduce_{}_{}", nameOf(reduction), typeName(type));
}

uint32_t tpcrt::reduceKernelIndex(ElementType type, Reduction reduction) {
  return uint32_t(type) * numReductions + uint32_t(reduction);
}

std::vector<std::string> tpcrt::reduceKernelNames() {
  std::vector<std::string> names;
  forEachKernel([&](ElementType type, Reduction reduction) {
    names.push_back(reduceKernelName(type, reduction));
  });
  return names;
}

std::string tpcrt::reduceKernels() {
  std::string text = ".version 7.0\n.target sm_80\n.address_size 64\n";
  forEachKernel([&](ElementType type, Reduction reduction) {
    TypeLines lines = linesOf(type, reduction);
    text += fmt::format(kernelText, reduceKernelName(type, reduction),
                        byteSize(type), lines.accumulator, lines.load,
                        lines.fold, lines.store, moveType(lines.accumulator));
  });
  return text;
}
