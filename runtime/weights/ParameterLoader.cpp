#include "weights/ParameterLoader.h"

#include "support/Fail.h"
#include "support/MappedFile.h"
#include "support/StridedCopy.h"
#include "tpcrt/HostTensor.h"

#include <cstring>

using namespace tpcrt;

namespace {

/// One device's part of one source: a strided block of the stored tensor and
/// where it goes in the device's block.
struct SourceBlock {
  uint64_t srcOffset; // elements
  uint64_t dstOffset;
  std::vector<CopyDim> dims;
};

SourceBlock sourceBlock(const Parameter &parameter, const StridedSource &source,
                        const std::vector<BlockDim> &block,
                        const std::vector<int64_t> &blockStrides,
                        uint64_t stackIndex) {
  SourceBlock result{source.offset, 0, {}};
  size_t viewDim = 0;
  for (size_t d = 0; d < block.size(); ++d) {
    if (int32_t(d) == parameter.stackDim) {
      result.dstOffset += (stackIndex - block[d].start) * blockStrides[d];
      continue;
    }
    int64_t stride = source.strides[viewDim++];
    result.srcOffset += block[d].start * stride;
    result.dims.push_back({block[d].length, blockStrides[d], stride});
  }
  return result;
}

uint64_t elementsOf(const std::vector<CopyDim> &dims) {
  uint64_t count = 1;
  for (const CopyDim &dim : dims)
    count *= dim.size;
  return count;
}

} // namespace

Result<void> tpcrt::checkWeights(const Module &module,
                                 const WeightSource &weights) {
  for (const Parameter &parameter : module.parameters)
    for (const StridedSource &source : parameter.sources) {
      std::string expected =
          describeType(parameter.storedType, source.storedShape);
      const StoredTensor *tensor = weights.find(source.tensor);
      if (!tensor && weights.files().empty())
        return fail("parameter '{}': needs stored tensor '{}' ({}), but no "
                    "weights were given",
                    parameter.name, source.tensor, expected);
      if (!tensor)
        return fail(
            "parameter '{}': expected stored tensor '{}' ({}), found "
            "none of this name in '{}'{}",
            parameter.name, source.tensor, expected, weights.files()[0].path,
            weights.files().size() > 1 ? " and the files beside it" : "");
      if (tensor->type != parameter.storedType ||
          tensor->shape != source.storedShape)
        return fail(
            "parameter '{}': expected stored tensor '{}' to be {}, found {} in "
            "'{}'",
            parameter.name, source.tensor, expected,
            tensor->type
                ? describeType(*tensor->type, tensor->shape)
                : fmt::format("[{}] of {}", fmt::join(tensor->shape, ", "),
                              tensor->dtype),
            weights.files()[tensor->file].path);
    }
  return {};
}

uint64_t BlockWindow::elements() const {
  uint64_t count = 1;
  for (uint64_t dim : size)
    count *= dim;
  return count;
}

std::vector<BlockWindow> tpcrt::cutBlock(const std::vector<uint64_t> &shape,
                                         uint64_t most) {
  // Dimensions in front of `cut` are taken one by one, those behind it whole.
  size_t cut = shape.size();
  uint64_t inner = 1; // elements behind `cut`
  while (cut > 0 && inner * shape[cut - 1] <= most)
    inner *= shape[--cut];
  std::vector<uint64_t> step = shape;
  if (cut > 0) {
    --cut;
    std::fill(step.begin(), step.begin() + cut, 1);
    step[cut] = std::max<uint64_t>(most / inner, 1);
  }
  std::vector<BlockWindow> windows;
  if (BlockWindow{{}, shape}.elements() == 0)
    return windows;
  std::vector<uint64_t> begin(shape.size());
  while (true) {
    BlockWindow &window = windows.emplace_back(BlockWindow{begin, step});
    for (size_t d = 0; d < shape.size(); ++d)
      window.size[d] = std::min(step[d], shape[d] - begin[d]);
    size_t d = shape.size();
    while (d > 0 && (begin[d - 1] += step[d - 1]) >= shape[d - 1])
      begin[--d] = 0;
    if (d == 0)
      return windows;
  }
}

void tpcrt::readWindow(const Module &module, const Parameter &parameter,
                       const WeightSource &weights, uint64_t device,
                       const BlockWindow &window, std::byte *result,
                       LoadCounts &counts) {
  std::vector<BlockDim> block =
      blockOf(parameter.shape, parameter.placement, module.mesh, device);
  bool padded = false, empty = false;
  for (size_t d = 0; d < block.size(); ++d) {
    uint64_t begin = std::min(window.begin[d], block[d].length);
    uint64_t length = std::min(block[d].length - begin, window.size[d]);
    block[d].start += begin;
    block[d].length = length;
    padded |= length != window.size[d];
    empty |= length == 0;
  }
  uint64_t size = byteSize(parameter.type);
  if (padded)
    std::memset(result, 0, window.elements() * size);
  if (empty)
    return;
  std::vector<int64_t> strides = denseStrides(window.size);
  uint64_t firstSource = 0, lastSource = 1;
  if (parameter.stackDim >= 0) {
    firstSource = block[parameter.stackDim].start;
    lastSource = firstSource + block[parameter.stackDim].length;
  }
  uint64_t storedSize = byteSize(parameter.storedType);
  for (uint64_t i = firstSource; i < lastSource; ++i) {
    const StridedSource &source = parameter.sources[i];
    const StoredTensor &tensor = *weights.find(source.tensor);
    SourceBlock part = sourceBlock(parameter, source, block, strides, i);
    const std::byte *src = tensor.data + part.srcOffset * storedSize;
    copyStrided(result + part.dstOffset * size, parameter.type, src,
                parameter.storedType, part.dims);
    counts.bytes += elementsOf(part.dims) * storedSize;
    counts.pages.touch(tensor.file,
                       src - weights.files()[tensor.file].bytes.get(),
                       storedSize, part.dims);
  }
}

void tpcrt::releaseSources(const Parameter &parameter,
                           const WeightSource &weights) {
  for (const StridedSource &source : parameter.sources) {
    const StoredTensor &tensor = *weights.find(source.tensor);
    if (weights.files()[tensor.file].mapped)
      releasePages(tensor.data, tensor.bytes);
  }
}

Result<Buffer> tpcrt::loadParameter(const Module &module,
                                    const Parameter &parameter,
                                    const WeightSource &weights,
                                    uint64_t device, LoadCounts &counts) {
  TPCRT_ASSIGN(Buffer buffer,
               Buffer::allocate(parameter.blockBytes(),
                                fmt::format("parameter '{}'", parameter.name)));
  std::vector<uint64_t> shape = parameter.blockShape();
  if (buffer.size() == 0)
    return buffer;
  readWindow(module, parameter, weights, device,
             {std::vector<uint64_t>(shape.size()), shape}, buffer.data(),
             counts);
  // The copy is what stays in memory.
  releaseSources(parameter, weights);
  return buffer;
}
