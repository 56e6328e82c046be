// The header of one safetensors file:
//
//   8 bytes   N, little endian
//   N bytes   JSON: {"name": {"dtype": "F32", "shape": [2, 3],
//             "data_offsets": [begin, end]}, ..., "__metadata__": {...}}
//   the rest  the tensors; offsets count from here
//
// Checked: N against the file and a limit, the JSON's form, unique names, known
// dtypes, shape * dtype == end - begin without overflow, and that the tensors
// fill the rest of the file without overlap or gap. Other fields of a tensor
// are ignored.
#ifndef TPCRT_WEIGHTS_SAFETENSORSHEADER_H
#define TPCRT_WEIGHTS_SAFETENSORSHEADER_H

#include "tpcrt/Safetensors.h"

#include <span>

namespace tpcrt {

/// The tensors of a file, by offset; `file` of them is left 0.
Result<std::vector<StoredTensor>>
parseSafetensors(std::span<const std::byte> file);

} // namespace tpcrt

#endif // TPCRT_WEIGHTS_SAFETENSORSHEADER_H
