#include "executor/Transfer.h"

#include <cstring>

using namespace tpcrt;

BlockTransfer::BlockTransfer(const PlacedTensor &tensor, const Mesh &mesh,
                             uint64_t device, std::byte *block)
    : type(tensor.type), block(block), blockBytes(tensor.blockBytes()) {
  std::vector<BlockDim> dimsOfBlock =
      blockOf(tensor.shape, tensor.placement, mesh, device);
  std::vector<int64_t> inWhole = denseStrides(tensor.shape);
  std::vector<int64_t> inBlock = denseStrides(tensor.blockShape());
  for (size_t d = 0; d < dimsOfBlock.size(); ++d) {
    const BlockDim &dim = dimsOfBlock[d];
    dims.push_back({dim.length, inBlock[d], inWhole[d]});
    wholeOffset += dim.start * inWhole[d] * byteSize(type);
    padded |= dim.length != dim.block;
  }
}

void BlockTransfer::scatter(const std::byte *whole) const {
  if (padded && blockBytes > 0)
    std::memset(block, 0, blockBytes);
  copyStrided(block, type, whole + wholeOffset, type, dims);
}

void BlockTransfer::gather(std::byte *whole) const {
  std::vector<CopyDim> back = dims;
  for (CopyDim &dim : back)
    std::swap(dim.dstStride, dim.srcStride);
  copyStrided(whole + wholeOffset, type, block, type, std::move(back));
}
