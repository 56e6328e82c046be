// Lines of PTX that reduce one element, for kernels that differ in where the
// elements come from.
#ifndef TPCRT_COMM_CUDA_REDUCELINES_H
#define TPCRT_COMM_CUDA_REDUCELINES_H

#include "artifact/Module.h"

#include <string>

namespace tpcrt {

/// The lines that load an element at [%at] into %<x>, fold %<x> into %<acc> and
/// store %<acc> to [%at]. <x> and <acc> begin with `accumulator`; the kernel
/// declares reduceRegisters.
struct ReduceLines {
  std::string accumulator; // "f": %fx and %facc
  std::string load, fold, store;

  static ReduceLines of(ElementType type, Reduction reduction);
  /// The first element begins the sum: "mov.f32 %facc, %fx;"
  std::string begin() const;
};

constexpr const char *reduceRegisters = "  .reg .pred %isnan;\n"
                                        "  .reg .b16 %h;\n"
                                        "  .reg .b32 %rx, %racc;\n"
                                        "  .reg .b64 %at, %lx, %lacc;\n"
                                        "  .reg .f32 %fx, %facc;\n"
                                        "  .reg .f64 %dx, %dacc, %dsum;\n";

/// "sum", "max", "min"
std::string_view reductionName(Reduction reduction);

/// Every pair of type and reduction has a number.
constexpr uint32_t numReductions = 3;
constexpr uint32_t reduceIndex(ElementType type, Reduction reduction) {
  return uint32_t(type) * numReductions + uint32_t(reduction);
}
template <class Visit> void forEachReduction(Visit visit) {
  for (uint32_t type = 0; type < numElementTypes; ++type)
    for (uint32_t reduction = 0; reduction < numReductions; ++reduction)
      visit(static_cast<ElementType>(type), static_cast<Reduction>(reduction));
}

} // namespace tpcrt

#endif // TPCRT_COMM_CUDA_REDUCELINES_H
