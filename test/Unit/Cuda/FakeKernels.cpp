// The runtime's own kernels as host functions.
#include "FakeDriver.h"
#include "comm/Reduce.h"
#include "comm/cuda/ReduceKernels.h"

#include <algorithm>

using namespace tpcrt;

namespace {

/// See comm/cuda/ReduceKernels.h for the parameters.
void reduce(ElementType type, Reduction reduction, const fake::Launch &launch) {
  uint64_t members = launch.parameters[2], results = launch.parameters[3];
  uint64_t offset = launch.parameters[4], count = launch.parameters[5];
  uint64_t size = byteSize(type);
  auto *srcTable = launch.at<const uint64_t>(0, members);
  auto *dstTable = launch.at<const uint64_t>(1, results);
  std::vector<const std::byte *> srcs;
  for (uint64_t m = 0; m < members; ++m) {
    uint64_t src = srcTable[m] + offset * size;
    fake::machine().checkRange("a reduction's source", src, count * size);
    srcs.push_back(reinterpret_cast<const std::byte *>(src));
  }
  for (uint64_t begin = 0; begin < count; begin += reduceBlockSize) {
    size_t block = std::min<uint64_t>(reduceBlockSize, count - begin);
    std::vector<std::byte> result(block * size);
    reduceBlock(type, reduction, result.data(), srcs, begin, block);
    for (uint64_t r = 0; r < results; ++r) {
      uint64_t dst = dstTable[r] + begin * size;
      fake::machine().checkRange("a reduction's target", dst, result.size());
      std::ranges::copy(result, reinterpret_cast<std::byte *>(dst));
    }
  }
}

} // namespace

void tpcrt::fake::addReduceKernels(Machine &machine) {
  for (unsigned t = 0; t < numElementTypes; ++t)
    for (auto reduction : {Reduction::Sum, Reduction::Max, Reduction::Min}) {
      auto type = static_cast<ElementType>(t);
      machine.kernels[reduceKernelName(type, reduction)] =
          [=](const Launch &launch) { reduce(type, reduction, launch); };
    }
}
