#include "support/StridedCopy.h"

#include "support/Float16.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <type_traits>

using namespace tpcrt;

namespace {

template <class T>
constexpr bool isSmallFloat =
    std::is_same_v<T, BFloat16> || std::is_same_v<T, Half>;

/// float or double, whichever holds T's values, or T itself.
template <class T> auto widen(T value) {
  if constexpr (isSmallFloat<T>)
    return static_cast<float>(value);
  else if constexpr (std::is_same_v<T, bool>)
    return static_cast<int32_t>(value);
  else
    return value;
}

template <class To, class From> To convert(From from) {
  auto value = widen(from);
  using Value = decltype(value);
  if constexpr (std::is_same_v<To, bool>) {
    return value != 0;
  } else if constexpr (isSmallFloat<To>) {
    return To(static_cast<float>(value));
  } else if constexpr (std::is_floating_point_v<Value> &&
                       std::is_integral_v<To>) {
    using Limits = std::numeric_limits<To>;
    if (std::isnan(value))
      return 0;
    if (value <= static_cast<Value>(Limits::min()))
      return Limits::min();
    if (value >= static_cast<Value>(Limits::max()))
      return Limits::max();
    return static_cast<To>(value);
  } else {
    return static_cast<To>(value);
  }
}

/// Stored elements may lie at any address (safetensors does not align them).
template <class T> T load(const std::byte *address) {
  if constexpr (std::is_same_v<T, bool>) {
    return *address != std::byte{0};
  } else {
    T value;
    std::memcpy(&value, address, sizeof(T));
    return value;
  }
}

template <class T> void store(std::byte *address, T value) {
  std::memcpy(address, &value, sizeof(T));
}

template <class To, class From>
void copyRun(std::byte *dst, int64_t dstStride, const std::byte *src,
             int64_t srcStride, uint64_t size) {
  if (dstStride == 1 && srcStride == 1) {
    if constexpr (std::is_same_v<To, From> && !std::is_same_v<To, bool>)
      std::memcpy(dst, src, size * sizeof(To));
    else
      for (uint64_t i = 0; i < size; ++i)
        store(dst + i * sizeof(To),
              convert<To>(load<From>(src + i * sizeof(From))));
    return;
  }
  for (uint64_t i = 0; i < size; ++i)
    store(dst + int64_t(i) * dstStride * int64_t(sizeof(To)),
          convert<To>(load<From>(src + int64_t(i) * srcStride *
                                           int64_t(sizeof(From)))));
}

/// A transposing copy: dim 0 of the two is contiguous in one of the blocks,
/// dim 1 in the other. Squares of 32 x 32 elements keep both in the cache.
template <class To, class From>
void copyTransposed(std::byte *dst, const std::byte *src, const CopyDim &outer,
                    const CopyDim &inner) {
  constexpr uint64_t tile = 32;
  for (uint64_t i = 0; i < outer.size; i += tile)
    for (uint64_t j = 0; j < inner.size; j += tile)
      for (uint64_t ii = i; ii < std::min(i + tile, outer.size); ++ii)
        copyRun<To, From>(dst + (int64_t(ii) * outer.dstStride +
                                 int64_t(j) * inner.dstStride) *
                                    int64_t(sizeof(To)),
                          inner.dstStride,
                          src + (int64_t(ii) * outer.srcStride +
                                 int64_t(j) * inner.srcStride) *
                                    int64_t(sizeof(From)),
                          inner.srcStride, std::min(tile, inner.size - j));
}

template <class To, class From>
void copyDims(std::byte *dst, const std::byte *src, const CopyDim *dims,
              size_t rank) {
  if (rank == 0)
    return copyRun<To, From>(dst, 1, src, 1, 1);
  if (rank == 1)
    return copyRun<To, From>(dst, dims[0].dstStride, src, dims[0].srcStride,
                             dims[0].size);
  if (rank == 2 && dims[1].srcStride != 1)
    return copyTransposed<To, From>(dst, src, dims[0], dims[1]);
  for (uint64_t i = 0; i < dims[0].size; ++i)
    copyDims<To, From>(
        dst + int64_t(i) * dims[0].dstStride * int64_t(sizeof(To)),
        src + int64_t(i) * dims[0].srcStride * int64_t(sizeof(From)), dims + 1,
        rank - 1);
}

/// Brings dims into the order in which to loop: the dimension contiguous in
/// dst innermost, next to it the one contiguous in src; merges neighbours that
/// step through both blocks as one. False if there is nothing to copy.
bool simplify(std::vector<CopyDim> &dims) {
  for (const CopyDim &dim : dims)
    if (dim.size == 0)
      return false;
  std::erase_if(dims, [](const CopyDim &dim) { return dim.size == 1; });
  std::sort(dims.begin(), dims.end(), [](auto &a, auto &b) {
    return std::abs(a.dstStride) > std::abs(b.dstStride);
  });
  for (size_t i = dims.size(); i-- > 1;) {
    CopyDim &outer = dims[i - 1], &inner = dims[i];
    if (outer.dstStride == int64_t(inner.size) * inner.dstStride &&
        outer.srcStride == int64_t(inner.size) * inner.srcStride) {
      outer = {outer.size * inner.size, inner.dstStride, inner.srcStride};
      dims.erase(dims.begin() + i);
    }
  }
  if (dims.size() > 2 && dims.back().srcStride != 1) {
    auto contiguous =
        std::find_if(dims.begin(), dims.end() - 1,
                     [](const CopyDim &dim) { return dim.srcStride == 1; });
    if (contiguous != dims.end() - 1)
      std::rotate(contiguous, contiguous + 1, dims.end() - 1);
  }
  return true;
}

template <class To>
void copyFrom(void *dst, const void *src, ElementType srcType,
              const std::vector<CopyDim> &dims) {
  auto *d = static_cast<std::byte *>(dst);
  auto *s = static_cast<const std::byte *>(src);
  switch (srcType) {
  case ElementType::F32:
    return copyDims<To, float>(d, s, dims.data(), dims.size());
  case ElementType::F64:
    return copyDims<To, double>(d, s, dims.data(), dims.size());
  case ElementType::BF16:
    return copyDims<To, BFloat16>(d, s, dims.data(), dims.size());
  case ElementType::F16:
    return copyDims<To, Half>(d, s, dims.data(), dims.size());
  case ElementType::I32:
    return copyDims<To, int32_t>(d, s, dims.data(), dims.size());
  case ElementType::I64:
    return copyDims<To, int64_t>(d, s, dims.data(), dims.size());
  case ElementType::Bool:
    return copyDims<To, bool>(d, s, dims.data(), dims.size());
  }
}

} // namespace

void tpcrt::copyStrided(void *dst, ElementType dstType, const void *src,
                        ElementType srcType, std::vector<CopyDim> dims) {
  if (!simplify(dims))
    return;
  switch (dstType) {
  case ElementType::F32:
    return copyFrom<float>(dst, src, srcType, dims);
  case ElementType::F64:
    return copyFrom<double>(dst, src, srcType, dims);
  case ElementType::BF16:
    return copyFrom<BFloat16>(dst, src, srcType, dims);
  case ElementType::F16:
    return copyFrom<Half>(dst, src, srcType, dims);
  case ElementType::I32:
    return copyFrom<int32_t>(dst, src, srcType, dims);
  case ElementType::I64:
    return copyFrom<int64_t>(dst, src, srcType, dims);
  case ElementType::Bool:
    return copyFrom<bool>(dst, src, srcType, dims);
  }
}

std::vector<int64_t> tpcrt::denseStrides(const std::vector<uint64_t> &shape) {
  std::vector<int64_t> strides(shape.size());
  int64_t stride = 1;
  for (size_t d = shape.size(); d-- > 0;) {
    strides[d] = stride;
    stride *= shape[d];
  }
  return strides;
}
