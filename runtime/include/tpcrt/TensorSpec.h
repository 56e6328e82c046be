// Tensors on the command line.
//
//   input    name=@file.npy             from a file
//            name=2x3xi64=1,2,3,4,5,6   the elements, row-major
//            name=2x3xf32=0.5           one value for all elements
//            name=f32=1                 a scalar
//   output   name=@file.npy             to a file
#ifndef TPCRT_TENSORSPEC_H
#define TPCRT_TENSORSPEC_H

#include "tpcrt/Error.h"
#include "tpcrt/HostTensor.h"

#include <string>
#include <string_view>
#include <vector>

namespace tpcrt {

struct NamedTensor {
  std::string name;
  HostTensor value;
};

/// An input spec; reads the file that it names.
Result<NamedTensor> parseInputSpec(std::string_view spec);

struct OutputSpec {
  std::string name;
  std::string path;
};
Result<OutputSpec> parseOutputSpec(std::string_view spec);

/// The values of `given` in the order of `names`; refuses a missing, unknown or
/// repeated name. `what` is "input" in messages.
Result<std::vector<HostTensor>>
orderByName(std::string_view what, const std::vector<std::string> &names,
            std::vector<NamedTensor> given);

/// "2x3xf32=1,2,3,4,5,6"; after `maxElements` elements "...".
std::string formatTensor(const HostTensor &tensor, uint64_t maxElements = 64);

} // namespace tpcrt

#endif // TPCRT_TENSORSPEC_H
