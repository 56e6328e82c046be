#include "comm/cuda/ReduceLines.h"

#include <fmt/format.h>

using namespace tpcrt;

namespace {

std::string_view nameOf(Reduction reduction) {
  return reduction == Reduction::Sum   ? "sum"
         : reduction == Reduction::Max ? "max"
                                       : "min";
}

} // namespace

std::string tpcrt::reduceKernelName(std::string_view family, ElementType type,
                                    Reduction reduction) {
  return fmt::format("{}_{}_{}", family, nameOf(reduction), typeName(type));
}

std::vector<std::string> tpcrt::reduceKernelNames(std::string_view family) {
  std::vector<std::string> names;
  forEachReduction([&](ElementType type, Reduction reduction) {
    names.push_back(reduceKernelName(family, type, reduction));
  });
  return names;
}

ReduceLines ReduceLines::of(ElementType type, Reduction reduction) {
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

std::string ReduceLines::begin() const {
  std::string_view type = accumulator == "f"   ? "f32"
                          : accumulator == "d" ? "f64"
                          : accumulator == "l" ? "b64"
                                               : "b32";
  return fmt::format("mov.{0} %{1}acc, %{1}x;", type, accumulator);
}

std::string ReduceLines::foldMembers(std::string_view table) const {
  return fmt::format(R"(ld.global.u64 %at, [{0}];
  add.u64 %at, %at, %from;
  {1}
  {2}
  mov.u32 %j, 1;
member:
  setp.ge.u32 %done, %j, %members;
  @%done bra store;
  mul.wide.u32 %entry, %j, 8;
  add.u64 %entry, {0}, %entry;
  ld.global.u64 %at, [%entry];
  add.u64 %at, %at, %from;
  {1}
  {3}
  add.u32 %j, %j, 1;
  bra member;
store:)",
                     table, load, begin(), fold);
}
