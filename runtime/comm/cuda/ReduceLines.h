// What kernels that reduce have in common, as PTX text: families of them, one
// for every type and reduction, which differ in where the elements come from.
#ifndef TPCRT_COMM_CUDA_REDUCELINES_H
#define TPCRT_COMM_CUDA_REDUCELINES_H

#include "artifact/Module.h"

#include <string>
#include <vector>

namespace tpcrt {

/// The lines that load an element at [%at] into %<x>, fold %<x> into %<acc> and
/// store %<acc> to [%at]. <x> and <acc> begin with `accumulator`; the kernel
/// declares reduceRegisters.
struct ReduceLines {
  std::string accumulator; // "f": %fx and %facc
  std::string load, fold, store;

  static ReduceLines of(ElementType type, Reduction reduction);
  /// The loop over members: %<acc> of what lies %from bytes behind the address
  /// that each has in the table at register `table`. Ends at the label `store`;
  /// the kernel declares %at, %from, %entry, %members, %j and %done.
  std::string foldMembers(std::string_view table) const;

private:
  /// The first element begins the sum: "mov.f32 %facc, %fx;"
  std::string begin() const;
};

constexpr const char *reduceRegisters = "  .reg .pred %isnan;\n"
                                        "  .reg .b16 %h;\n"
                                        "  .reg .b32 %rx, %racc;\n"
                                        "  .reg .b64 %at, %lx, %lacc;\n"
                                        "  .reg .f32 %fx, %facc;\n"
                                        "  .reg .f64 %dx, %dacc, %dsum;\n";

/// What a module for sm_80 and newer begins with.
constexpr const char *reduceHeader = ".version 7.0\n"
                                     ".target sm_80\n"
                                     ".address_size 64\n";
/// "peer_sum_f32" of the family "peer".
std::string reduceKernelName(std::string_view family, ElementType type,
                             Reduction reduction);
/// Of a whole family, at reduceIndex.
std::vector<std::string> reduceKernelNames(std::string_view family);

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
