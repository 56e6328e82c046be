// The runtime's own kernels as host functions.
#include "FakeDriver.h"
#include "comm/Reduce.h"
#include "comm/cuda/PeerKernels.h"
#include "comm/cuda/ReduceKernels.h"
#include "comm/cuda/ReduceLines.h"

#include <algorithm>
#include <tuple>

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

/// comm/cuda/PeerKernels.h, from the parameters of a launch.
struct PeerLaunch {
  ElementType type;
  const fake::Launch &launch;
  uint64_t size = byteSize(type);
  uint64_t self = launch.parameters[3], members = launch.parameters[4];
  uint64_t count = launch.parameters[5];
  uint64_t slice = Mailbox::sliceBytes / size; // elements

  /// Of member `m`; the GPU must be allowed to reach it.
  std::byte *mailbox(uint64_t m) const {
    uint64_t address = launch.at<const uint64_t>(2, members)[m];
    fake::Machine &machine = fake::machine();
    machine.checkRange("a mailbox", address, Mailbox::bytes);
    int owner = machine.gpuOf(address);
    if (owner != launch.gpu && !machine.reached.contains({launch.gpu, owner}))
      machine.misused("memory of a GPU that may not be reached");
    return reinterpret_cast<std::byte *>(address);
  }
  uint32_t &epoch(uint64_t block) const {
    return reinterpret_cast<uint32_t *>(mailbox(self))[block];
  }
  uint32_t &flag(uint64_t of, uint64_t block, uint64_t from) const {
    auto *flags = reinterpret_cast<uint32_t *>(mailbox(of) + Mailbox::flags);
    return flags[block * Mailbox::maxMembers + from];
  }
  std::byte *staging(uint64_t of, uint64_t block, uint32_t epoch) const {
    return mailbox(of) + Mailbox::staging +
           ((epoch & 1) * Mailbox::blocks + block) * Mailbox::sliceBytes;
  }
  uint64_t elements(uint64_t block) const {
    return std::min(slice, count - block * slice);
  }
  bool aborted() const {
    uint64_t word = launch.parameters[6];
    fake::machine().checkRange("a word that ends waiting", word, 4, true);
    return *reinterpret_cast<const uint32_t *>(word) != 0;
  }

  void arrive() const {
    for (uint64_t b = 0; b < launch.blocks; ++b) {
      uint32_t now = epoch(b) + 1;
      std::byte *src = launch.bytes(0, count * size) + b * slice * size;
      std::copy_n(src, elements(b) * size, staging(self, b, now));
      for (uint64_t m = 0; m < members; ++m)
        flag(m, b, self) = now;
    }
  }
  bool met() const {
    for (uint64_t b = 0; b < launch.blocks && !aborted(); ++b)
      for (uint64_t m = 0; m < members; ++m)
        if (int32_t(flag(self, b, m) - (epoch(b) + 1)) < 0)
          return false;
    return true;
  }
  void reduce(Reduction reduction) const {
    if (aborted())
      return;
    std::byte *dst = launch.bytes(1, count * size);
    for (uint64_t b = 0; b < launch.blocks; ++b) {
      uint32_t now = ++epoch(b);
      std::vector<const std::byte *> from;
      for (uint64_t m = 0; m < members; ++m)
        from.push_back(staging(m, b, now));
      for (uint64_t i = 0; i < elements(b); i += reduceBlockSize)
        reduceBlock(type, reduction, dst + (b * slice + i) * size, from, i,
                    std::min<uint64_t>(reduceBlockSize, elements(b) - i));
    }
  }
};

/// See device/cuda/AttentionLibrary.h for the parameters.
void attentionLengths(const fake::Launch &launch) {
  auto [offsetStride, wide, batch, queries, keys] = std::tuple(
      launch.parameters[3], launch.parameters[4], launch.parameters[5],
      launch.parameters[6], launch.parameters[7]);
  auto *out = launch.at<int32_t>(0, 2 * batch);
  auto read = [&](size_t parameter, uint64_t index, bool isWide) -> int64_t {
    return isWide ? launch.at<int64_t>(parameter, index + 1)[index]
                  : launch.at<int32_t>(parameter, index + 1)[index];
  };
  for (uint64_t b = 0; b < batch; ++b) {
    int64_t length = keys;
    if (launch.parameters[1])
      length = std::min(length, read(1, b, wide & 1));
    if (launch.parameters[2])
      length = std::min(length, read(2, b * offsetStride, wide & 2) + 1);
    out[b] = int32_t(queries);
    out[batch + b] = int32_t(std::max<int64_t>(length, 0));
  }
}

} // namespace

void tpcrt::fake::addRuntimeKernels(Machine &machine) {
  machine.kernels["attention_lengths"] = attentionLengths;
  for (unsigned t = 0; t < numElementTypes; ++t)
    for (auto reduction : {Reduction::Sum, Reduction::Max, Reduction::Min}) {
      auto type = static_cast<ElementType>(t);
      machine.kernels[reduceKernelName(reduceFamily, type, reduction)] =
          [=](const Launch &launch) { reduce(type, reduction, launch); };
      std::string peer = reduceKernelName(peerFamily, type, reduction);
      machine.kernels[peer] = [=](const Launch &launch) {
        PeerLaunch{type, launch}.reduce(reduction);
      };
      machine.meetings[peer] = {
          [=](const Launch &launch) { PeerLaunch{type, launch}.arrive(); },
          [=](const Launch &launch) { return PeerLaunch{type, launch}.met(); }};
    }
}
