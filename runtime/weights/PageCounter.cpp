#include "weights/PageCounter.h"

#include <algorithm>
#include <cstdlib>

using namespace tpcrt;

void PageCounter::touchBytes(std::vector<bool> &seen, uint64_t begin,
                             uint64_t size) {
  uint64_t last = (begin + size - 1) / pageSize;
  if (seen.size() <= last)
    seen.resize(last + 1);
  for (uint64_t page = begin / pageSize; page <= last; ++page) {
    count += !seen[page];
    seen[page] = true;
  }
}

void PageCounter::add(const PageCounter &other) {
  if (seenPages.size() < other.seenPages.size())
    seenPages.resize(other.seenPages.size());
  for (size_t file = 0; file < other.seenPages.size(); ++file) {
    const std::vector<bool> &theirs = other.seenPages[file];
    std::vector<bool> &mine = seenPages[file];
    if (mine.size() < theirs.size())
      mine.resize(theirs.size());
    for (size_t page = 0; page < theirs.size(); ++page)
      if (theirs[page] && !mine[page]) {
        mine[page] = true;
        ++count;
      }
  }
}

void PageCounter::touch(uint32_t file, uint64_t offset, uint64_t elementSize,
                        std::vector<CopyDim> dims) {
  if (seenPages.size() <= file)
    seenPages.resize(file + 1);
  // In the order in which the elements are stored, forwards, so that what is
  // contiguous becomes one run of bytes.
  for (CopyDim &dim : dims) {
    if (dim.size == 0)
      return;
    if (dim.srcStride < 0) {
      offset -= (dim.size - 1) * -dim.srcStride * elementSize;
      dim.srcStride = -dim.srcStride;
    }
  }
  std::sort(dims.begin(), dims.end(), [](const CopyDim &a, const CopyDim &b) {
    return a.srcStride < b.srcStride;
  });
  uint64_t run = 1;
  size_t outer = 0;
  while (outer < dims.size() && (dims[outer].srcStride <= int64_t(run)))
    run += (dims[outer].size - 1) * dims[outer].srcStride, ++outer;

  // Counts through the remaining dimensions like an odometer.
  std::vector<uint64_t> index(dims.size());
  uint64_t at = offset;
  while (true) {
    touchBytes(seenPages[file], at, run * elementSize);
    size_t d = outer;
    for (; d < dims.size(); ++d) {
      at += dims[d].srcStride * elementSize;
      if (++index[d] < dims[d].size)
        break;
      at -= index[d] * dims[d].srcStride * elementSize;
      index[d] = 0;
    }
    if (d == dims.size())
      return;
  }
}
