// Rows times the matrices that they choose: the experts of a mixture.
//
//   rows [n, d] or [n, c, d], choices [n, c], weights [e, d, f]
//   result[n, c, f] = sum_d rows[n, d] * weights[choices[n, c], d, f]
//
// How many rows a matrix gets is known only at run time. The rows are sorted by
// their matrix; matrices are cut into panels of columns, and a task multiplies
// up to kTaskRows rows of one matrix by one of its panels, alone on one thread.
// A matrix that no row chooses is not read.
//
// A task's rows are gathered into a contiguous block, multiplied, and the
// results scattered: by our own kernels where they read the panels faster
// (Blocked.h), else by oneDNN. There are primitives for a few numbers of rows:
// a block takes the next larger one and ignores the rows that are too many.
//
// Weights that are a parameter are packed once at load (MatmulContext); others
// are packed when they are used, one matrix after the other. f64 runs in plain
// loops; types otherwise as in Matmul.h.
#ifndef TPCRT_DEVICE_CPU_GROUPEDMATMUL_H
#define TPCRT_DEVICE_CPU_GROUPEDMATMUL_H

#include "device/cpu/Matmul.h"
#include "device/cpu/ThreadTeam.h"

namespace tpcrt {

/// A grouped matmul step, shared by all devices.
class GroupedMatmul {
public:
  struct Operands {
    const std::byte *rows = nullptr;
    const void *choices = nullptr;
    const std::byte *weights = nullptr; // packed if packedIndex() >= 0
    std::byte *result = nullptr;
  };

  static Result<GroupedMatmul> create(const GroupedMatmulStep &step,
                                      unsigned threads, MatmulContext &context);

  /// Memory that run needs besides the operands, at a 64-byte boundary.
  uint64_t scratchBytes() const { return scratchSize; }
  /// Index into MatmulContext::packed, or -1 if weights are read as they lie.
  int packedIndex() const { return packed; }
  std::string implementation() const;

  Result<void> run(const Operands &operands, std::byte *scratch,
                   const ThreadTeam &team) const;

private:
  friend class GroupedMatmulRun;

  /// A product of `rows` rows and a panel.
  struct Product {
    uint64_t rows;
    dnnl::memory::desc a, c;
    dnnl::matmul primitive;
  };
  static constexpr uint64_t kTaskRows = 256;

  /// Our kernels for so many rows and a panel, and what they are given but for
  /// the addresses; null: oneDNN's.
  const BlockedKernels *blockedKernels(uint64_t rows,
                                       BlockedProduct &product) const;

  bool plan(ElementType type, MatmulContext &context);
  bool planProducts(const dnnl::memory::desc &panel);
  void placeScratch();
  /// Tasks on one panel of each matrix, at most.
  uint64_t maxTasks() const;

  GroupedMatmulStep step;
  unsigned threads = 1;
  dnnl::engine engine;
  PackedWeights weights;
  int packed = -1;
  /// With fewer and fewer rows; none: plain loops.
  std::vector<Product> products;
  std::string name = "loops";
  uint64_t scratchSize = 0, scratchpadBytes = 0;
  /// Where in the scratch memory: rows by matrix, tasks, a matrix that is
  /// packed when it is used, and each thread's own part.
  uint64_t orderOffset = 0, startsOffset = 0, tasksOffset = 0, packOffset = 0;
  uint64_t threadOffset = 0, threadBytes = 0, blockOffset = 0;
  uint64_t scratchpadOffset = 0;
};

} // namespace tpcrt

#endif // TPCRT_DEVICE_CPU_GROUPEDMATMUL_H
