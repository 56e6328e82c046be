// Copies between whole tensors on the host and a device's blocks.
#ifndef TPCRT_EXECUTOR_TRANSFER_H
#define TPCRT_EXECUTOR_TRANSFER_H

#include "artifact/Module.h"
#include "support/StridedCopy.h"

namespace tpcrt {

/// A device's block of a placed tensor, and where its elements lie in the
/// whole.
class BlockTransfer {
public:
  BlockTransfer(const PlacedTensor &tensor, const Mesh &mesh, uint64_t device,
                std::byte *block);

  /// Whole tensor -> block; padding becomes zero.
  void scatter(const std::byte *whole) const;
  /// Block -> whole tensor.
  void gather(std::byte *whole) const;

private:
  ElementType type;
  std::byte *block;
  uint64_t blockBytes;
  uint64_t wholeOffset = 0;  // in bytes
  std::vector<CopyDim> dims; // whole -> block
  bool padded = false;
};

} // namespace tpcrt

#endif // TPCRT_EXECUTOR_TRANSFER_H
