// Weights and executables.
#include "Binding.h"
#include "tpcrt/Runtime.h"

#include <nanobind/stl/unique_ptr.h>

using namespace tpc::python;
using tpcrt::ArtifactBytes;
using tpcrt::Executable;
using tpcrt::HostTensor;
using tpcrt::TensorInfo;
using tpcrt::WeightSource;

namespace {

/// Keeps a Python object alive from C++, from any thread.
std::shared_ptr<const std::byte> keep(const InputArray &array) {
  auto *owned = new InputArray(array);
  return {static_cast<const std::byte *>(array.data()),
          [owned](const std::byte *) {
            nb::gil_scoped_acquire lock;
            delete owned;
          }};
}

void addArrays(WeightSource &weights, const std::vector<NamedArray> &arrays) {
  for (const auto &[name, array, type] : arrays) {
    HostTensor view = viewOf(array, type);
    unwrap(weights.addTensor(name, view.type(), view.shape(), keep(array)));
  }
}

nb::list portsOf(const std::vector<TensorInfo> &ports) {
  nb::list result;
  for (const TensorInfo &port : ports)
    result.append(nb::make_tuple(port.name,
                                 std::string(tpcrt::typeName(port.type)),
                                 nb::cast(port.shape)));
  return result;
}

nb::dict run(Executable &executable, const std::string &program,
             const std::vector<NamedArray> &arrays) {
  const tpcrt::ProgramInfo *info = executable.findProgram(program);
  if (!info)
    throw Failure("there is no entry '" + program + "'");
  std::vector<std::string> names;
  for (const TensorInfo &port : info->inputs)
    names.push_back(port.name);
  auto inputs = unwrap(tpcrt::orderByName("input", names, viewsOf(arrays)));
  std::vector<HostTensor> outputs;
  {
    nb::gil_scoped_release release;
    outputs = unwrap(executable.run(program, inputs));
  }
  nb::dict result;
  for (size_t i = 0; i < outputs.size(); ++i)
    result[info->outputs[i].name.c_str()] = toPython(std::move(outputs[i]));
  return result;
}

} // namespace

void tpc::python::bindRuntime(nb::module_ &module) {
  nb::class_<WeightSource>(module, "Weights")
      .def(nb::init<>())
      .def_static("open",
                  [](const std::string &path) {
                    return unwrap(WeightSource::open(path));
                  })
      .def("add", &addArrays);

  nb::class_<ArtifactBytes>(module, "Artifact")
      .def_static("read",
                  [](const std::string &path) {
                    return unwrap(ArtifactBytes::fromFile(path));
                  })
      .def("write", [](const ArtifactBytes &bytes, const std::string &path) {
        unwrap(bytes.writeFile(path));
      });

  nb::class_<Executable>(module, "Executable")
      .def_static("load",
                  [](const ArtifactBytes &artifact, const WeightSource &weights,
                     unsigned threads) {
                    nb::gil_scoped_release release;
                    return unwrap(Executable::load(artifact, weights,
                                                   loadOptions(threads)));
                  })
      .def("entries",
           [](const Executable &executable) {
             std::vector<std::string> names;
             for (const tpcrt::ProgramInfo &program : executable.programs())
               names.push_back(program.name);
             return names;
           })
      .def("inputs",
           [](const Executable &executable, const std::string &program) {
             return portsOf(executable.findProgram(program)->inputs);
           })
      .def("outputs",
           [](const Executable &executable, const std::string &program) {
             return portsOf(executable.findProgram(program)->outputs);
           })
      .def("states",
           [](const Executable &executable) {
             return portsOf(executable.states());
           })
      .def("run", &run)
      .def("reset_states",
           [](Executable &executable) { unwrap(executable.resetStates()); })
      .def("read_state",
           [](const Executable &executable, const std::string &name) {
             return toPython(unwrap(executable.readState(name)));
           })
      .def(
          "write_state",
          [](Executable &executable, const std::string &name,
             const InputArray &array, std::optional<std::string> type) {
            unwrap(executable.writeState(name, viewOf(array, type)));
          },
          nb::arg(), nb::arg(), nb::arg().none())
      .def("statistics", [](const Executable &executable) {
        return tpcrt::toJson(executable.statistics());
      });
}
