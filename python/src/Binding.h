// Shared by the parts of the extension: errors and arrays.
#ifndef TPC_PYTHON_BINDING_H
#define TPC_PYTHON_BINDING_H

#include "tpcrt/Error.h"
#include "tpcrt/HostTensor.h"
#include "tpcrt/Runtime.h"
#include "tpcrt/TensorSpec.h"

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

namespace tpc::python {

namespace nb = nanobind;

/// Becomes tpc.Error.
struct Failure : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// The value, or an exception with the message.
template <class T> T unwrap(tpcrt::Result<T> result) {
  if (!result)
    throw Failure(result.error().message);
  if constexpr (!std::is_void_v<T>)
    return std::move(*result);
}

/// How programs are run: over the processes of init_distributed, if it was
/// called.
tpcrt::LoadOptions loadOptions(unsigned threads);

/// Any array of the CPU, dense and row-major.
using InputArray = nb::ndarray<nb::ro, nb::c_contig, nb::device::cpu>;

/// A view of the array. numpy has no bf16: `type`, where it is given, says what
/// the bits are.
tpcrt::HostTensor viewOf(const InputArray &array,
                         const std::optional<std::string> &type);
/// Name, array, and `type` as in viewOf.
using NamedArray =
    std::tuple<std::string, InputArray, std::optional<std::string>>;
std::vector<tpcrt::NamedTensor> viewsOf(const std::vector<NamedArray> &arrays);

/// A numpy array that owns the tensor, and the type's name; bf16 as uint16.
nb::tuple toPython(tpcrt::HostTensor tensor);

tpcrt::ElementType elementNamed(const std::string &name);

void bindGraph(nb::module_ &module);
void bindProcesses(nb::module_ &module);
void bindModel(nb::module_ &module);
void bindRuntime(nb::module_ &module);

} // namespace tpc::python

#endif // TPC_PYTHON_BINDING_H
