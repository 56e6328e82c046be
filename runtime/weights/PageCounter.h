// Counts the file pages that a device's loading touches: what it really reads
// from storage, as opposed to the bytes that it asked for.
#ifndef TPCRT_WEIGHTS_PAGECOUNTER_H
#define TPCRT_WEIGHTS_PAGECOUNTER_H

#include "support/StridedCopy.h"

#include <cstdint>
#include <vector>

namespace tpcrt {

class PageCounter {
public:
  static constexpr uint64_t pageSize = 4096;

  /// Counts the pages of file number `file` that hold the elements
  /// sum(i_d * srcStride_d) of a strided block whose first element lies at byte
  /// `offset` of the file.
  void touch(uint32_t file, uint64_t offset, uint64_t elementSize,
             std::vector<CopyDim> dims);

  /// Counts the pages that `other` has, too.
  void add(const PageCounter &other);

  /// Different pages so far.
  uint64_t pages() const { return count; }

private:
  void touchBytes(std::vector<bool> &seen, uint64_t begin, uint64_t size);

  std::vector<std::vector<bool>> seenPages; // by file
  uint64_t count = 0;
};

} // namespace tpcrt

#endif // TPCRT_WEIGHTS_PAGECOUNTER_H
