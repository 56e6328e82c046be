// Tensors in NumPy's .npy files.
//
//   f32 <f4   f64 <f8   f16 <f2   i32 <i4   i64 <i8   bool |b1
//   bf16 <V2  (what ml_dtypes.bfloat16 saves as; |V2 and <u2 are read as bf16)
//
// Little endian only. Fortran order is read, C order is written.
#ifndef TPCRT_NPY_H
#define TPCRT_NPY_H

#include "tpcrt/Error.h"
#include "tpcrt/HostTensor.h"
#include "tpcrt/OutputFile.h"

#include <string>
#include <vector>

namespace tpcrt {

Result<HostTensor> readNpy(const std::string &path);
Result<void> writeNpy(const std::string &path, const HostTensor &tensor);

/// The file, complete but not yet committed.
Result<OutputFile> prepareNpy(const std::string &path,
                              const HostTensor &tensor);

/// Writes several files; none appears unless all could be written.
struct NpyOutput {
  std::string path;
  const HostTensor *tensor;
};
Result<void> writeNpyFiles(const std::vector<NpyOutput> &outputs);

} // namespace tpcrt

#endif // TPCRT_NPY_H
