#include "comm/Reduce.h"

#include "support/Float16.h"

using namespace tpcrt;

namespace {

/// Signed integers wrap; unsigned arithmetic does so without undefined
/// behaviour, and the conversions between the two keep all bits.
template <class Int> Int wrappingAdd(Int a, Int b) {
  using Unsigned = std::make_unsigned_t<Int>;
  return static_cast<Int>(static_cast<Unsigned>(a) + static_cast<Unsigned>(b));
}

struct Sum {
  static float apply(float a, float b) { return a + b; }
  static double apply(double a, double b) { return a + b; }
  static int32_t apply(int32_t a, int32_t b) { return wrappingAdd(a, b); }
  static int64_t apply(int64_t a, int64_t b) { return wrappingAdd(a, b); }
  static uint8_t apply(uint8_t a, uint8_t b) { return a | b; }
};
struct Max {
  // Also a when it is NaN; when b is, the comparison is false.
  template <class T> static T apply(T a, T b) {
    return a > b || a != a ? a : b;
  }
};
struct Min {
  template <class T> static T apply(T a, T b) {
    return a < b || a != a ? a : b;
  }
};

template <class T, class Acc, class Op>
void reduce(void *dst, std::span<const std::byte *const> srcs, size_t offset,
            size_t count) {
  Acc accumulator[reduceBlockSize];
  auto *first = reinterpret_cast<const T *>(srcs[0]) + offset;
  for (size_t e = 0; e < count; ++e)
    accumulator[e] = static_cast<Acc>(first[e]);
  for (size_t i = 1; i < srcs.size(); ++i) {
    auto *src = reinterpret_cast<const T *>(srcs[i]) + offset;
    for (size_t e = 0; e < count; ++e)
      accumulator[e] = Op::apply(accumulator[e], static_cast<Acc>(src[e]));
  }
  auto *out = static_cast<T *>(dst);
  for (size_t e = 0; e < count; ++e)
    out[e] = static_cast<T>(accumulator[e]);
}

template <class T, class Acc>
void reduceAs(Reduction reduction, void *dst,
              std::span<const std::byte *const> srcs, size_t offset,
              size_t count) {
  switch (reduction) {
  case Reduction::Sum:
    return reduce<T, Acc, Sum>(dst, srcs, offset, count);
  case Reduction::Max:
    return reduce<T, Acc, Max>(dst, srcs, offset, count);
  case Reduction::Min:
    return reduce<T, Acc, Min>(dst, srcs, offset, count);
  }
}

} // namespace

void tpcrt::reduceBlock(ElementType type, Reduction reduction, void *dst,
                        std::span<const std::byte *const> srcs, size_t offset,
                        size_t count) {
  switch (type) {
  case ElementType::F32:
    return reduceAs<float, float>(reduction, dst, srcs, offset, count);
  case ElementType::F64:
    return reduceAs<double, double>(reduction, dst, srcs, offset, count);
  case ElementType::BF16:
    return reduceAs<BFloat16, float>(reduction, dst, srcs, offset, count);
  case ElementType::F16:
    return reduceAs<Half, float>(reduction, dst, srcs, offset, count);
  case ElementType::I32:
    return reduceAs<int32_t, int32_t>(reduction, dst, srcs, offset, count);
  case ElementType::I64:
    return reduceAs<int64_t, int64_t>(reduction, dst, srcs, offset, count);
  case ElementType::Bool:
    return reduceAs<uint8_t, uint8_t>(reduction, dst, srcs, offset, count);
  }
}
