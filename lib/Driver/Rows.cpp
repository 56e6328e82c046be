//===- Rows.cpp - Batches of token rows -----------------------------------===//

#include "Rows.h"
#include "llvm/Support/FormatVariadic.h"
#include <cstring>

using namespace tpc;
using tpcrt::HostTensor;

tpcrt::Result<RowSpans> tpc::spansOf(const HostTensor &mask) {
  uint64_t batch = mask.shape()[0], length = mask.shape()[1];
  RowSpans spans;
  for (uint64_t row = 0; row < batch; ++row) {
    const int64_t *at = mask.as<int64_t>() + row * length;
    uint64_t begin = std::find(at, at + length, 1) - at;
    uint64_t end = begin;
    while (end < length && at[end] == 1)
      ++end;
    bool good = end > begin;
    for (uint64_t i = 0; i < length; ++i)
      good &= at[i] == (i >= begin && i < end);
    if (!good)
      return tpcrt::makeError(llvm::formatv(
          "attention_mask: expected one run of ones, and zeros beside it, in "
          "every row of a decoder's input; found something else in row {0}",
          row));
    spans.begins.push_back(begin);
    spans.lengths.push_back(end - begin);
  }
  return spans;
}

RowSpans tpc::fullSpans(uint64_t batch, uint64_t length) {
  return {std::vector<int64_t>(batch, 0),
          std::vector<int64_t>(batch, static_cast<int64_t>(length))};
}

/// Copies every row's span between two places in it.
static HostTensor moveSpans(const HostTensor &x, const RowSpans &spans,
                            bool toLeft) {
  HostTensor result(x.type(), x.shape());
  uint64_t rowBytes = x.byteSize() / x.shape()[0];
  uint64_t tokenBytes = rowBytes / x.shape()[1];
  for (uint64_t row = 0; row < x.shape()[0]; ++row) {
    uint64_t inside = spans.begins[row] * tokenBytes;
    std::memcpy(result.data() + row * rowBytes + (toLeft ? 0 : inside),
                x.data() + row * rowBytes + (toLeft ? inside : 0),
                spans.lengths[row] * tokenBytes);
  }
  return result;
}

HostTensor tpc::toTheLeft(const HostTensor &x, const RowSpans &spans) {
  return moveSpans(x, spans, true);
}

HostTensor tpc::fromTheLeft(const HostTensor &x, const RowSpans &spans) {
  return moveSpans(x, spans, false);
}

static void copyCommon(const std::byte *from, std::byte *to,
                       const std::vector<uint64_t> &fromShape,
                       const std::vector<uint64_t> &toShape, size_t dim,
                       uint64_t fromBytes, uint64_t toBytes) {
  if (dim + 1 >= fromShape.size()) {
    std::memcpy(to, from, std::min(fromBytes, toBytes));
    return;
  }
  uint64_t fromStep = fromBytes / fromShape[dim];
  uint64_t toStep = toBytes / toShape[dim];
  for (uint64_t i = 0; i < std::min(fromShape[dim], toShape[dim]); ++i)
    copyCommon(from + i * fromStep, to + i * toStep, fromShape, toShape,
               dim + 1, fromStep, toStep);
}

HostTensor tpc::resized(const HostTensor &x,
                        const std::vector<uint64_t> &shape) {
  HostTensor result(x.type(), shape);
  if (result.byteSize() > 0 && x.byteSize() > 0)
    copyCommon(x.data(), result.data(), x.shape(), shape, 0, x.byteSize(),
               result.byteSize());
  return result;
}
