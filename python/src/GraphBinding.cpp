// Graphs, and what compiling them gives.
#include "Binding.h"
#include "Options.h"
#include "tpc/Driver/Graph.h"

#include <nanobind/stl/unique_ptr.h>

using namespace tpc::python;
using tpc::Graph;
using tpc::SourcePlace;
using tpc::ValueType;

namespace {

using Type = std::pair<std::string, std::vector<int64_t>>;
using Place = std::tuple<std::string, unsigned, std::string>;

ValueType toType(const Type &type) {
  return {elementNamed(type.first), type.second};
}

SourcePlace toPlace(const Place &place) {
  return {std::get<0>(place), std::get<1>(place), std::get<2>(place)};
}

} // namespace

void tpc::python::bindGraph(nb::module_ &module) {
  nb::class_<tpc::CompiledModule>(module, "Compiled")
      .def_ro("artifact", &tpc::CompiledModule::artifact)
      .def_ro("report", &tpc::CompiledModule::report)
      .def_ro("plan", &tpc::CompiledModule::plan)
      .def_ro("values", &tpc::CompiledModule::values)
      .def_ro("plan_file", &tpc::CompiledModule::planFile);

  nb::class_<Graph>(module, "Graph")
      .def(nb::init<>())
      .def_static("parse",
                  [](const std::string &text, const std::string &name) {
                    return unwrap(Graph::parse(text, name));
                  })
      .def("set_mesh",
           [](Graph &graph, const std::string &mesh) {
             unwrap(graph.setMesh(mesh));
           })
      .def("enter",
           [](Graph &graph, const std::string &entry) {
             unwrap(graph.enter(entry));
           })
      .def("input",
           [](Graph &graph, const std::string &name, const Type &type,
              const Place &place) {
             return unwrap(graph.input(name, toType(type), toPlace(place)));
           })
      .def("parameter",
           [](Graph &graph, const std::string &name, const Type &type,
              const std::vector<std::string> &sources, const Type &stored,
              const std::string &view, const Place &place) {
             unwrap(graph.parameter(name, toType(type), sources, toType(stored),
                                    view, toPlace(place)));
           })
      .def("state",
           [](Graph &graph, const std::string &name, const Type &type,
              const Place &place) {
             unwrap(graph.state(name, toType(type), toPlace(place)));
           })
      .def("read",
           [](Graph &graph, const std::string &name, const Place &place) {
             return unwrap(graph.read(name, toPlace(place)));
           })
      .def("write",
           [](Graph &graph, const std::string &name, Graph::Value value,
              const Place &place) {
             unwrap(graph.write(name, value, toPlace(place)));
           })
      .def("op",
           [](Graph &graph, const std::string &operation,
              const std::vector<Graph::Value> &operands,
              const Graph::Attributes &attributes,
              const std::vector<Type> &results, const Place &place) {
             std::vector<ValueType> types;
             for (const Type &type : results)
               types.push_back(toType(type));
             return unwrap(graph.op(operation, operands, attributes, types,
                                    toPlace(place)));
           })
      .def("output",
           [](Graph &graph, const std::string &name, Graph::Value value,
              const Place &place) {
             unwrap(graph.output(name, value, toPlace(place)));
           })
      .def("pin", &Graph::pin)
      .def("text", [](Graph &graph) { return unwrap(graph.text()); })
      .def(
          "compile",
          [](Graph &graph, const std::optional<std::string> &mesh,
             const AssignArguments &assign, const std::string &device,
             unsigned threads) {
            nb::gil_scoped_release release;
            return unwrap(
                graph.compile(mesh, toOptions(assign), device, threads));
          },
          nb::arg().none(), nb::arg(), nb::arg(), nb::arg())
      .def(
          "explain",
          [](Graph &graph, const std::optional<std::string> &mesh,
             const AssignArguments &assign,
             const std::optional<std::string> &value) {
            nb::gil_scoped_release release;
            return unwrap(graph.explain(mesh, toOptions(assign), value));
          },
          nb::arg().none(), nb::arg(), nb::arg().none());

  module.def("operations", &tpc::graphOperations);
}
