// Models of Hugging Face directories.
#include "Binding.h"
#include "Options.h"
#include "tpc/Driver/Model.h"

#include <nanobind/stl/function.h>
#include <nanobind/stl/unique_ptr.h>

using namespace tpc::python;
using tpc::Model;

namespace {

nb::dict runModel(Model &model, const std::vector<NamedArray> &arrays) {
  auto inputs = viewsOf(arrays);
  tpc::NamedTensors outputs;
  {
    nb::gil_scoped_release release;
    outputs = unwrap(model.run(std::move(inputs)));
  }
  nb::dict result;
  for (tpcrt::NamedTensor &output : outputs)
    result[output.name.c_str()] = toPython(std::move(output.value));
  return result;
}

/// temperature, top_k, top_p, seed
using SamplingArguments = std::tuple<double, int64_t, double, uint64_t>;

nb::dict generateTokens(Model &model, const std::vector<NamedArray> &arrays,
                        uint64_t count, const SamplingArguments &sampling,
                        std::vector<int64_t> endTokens, int64_t pad,
                        std::optional<nb::callable> onTokens) {
  auto inputs = viewsOf(arrays);
  tpc::GenerationOptions options;
  options.count = count;
  std::tie(options.sampling.temperature, options.sampling.topK,
           options.sampling.topP, options.sampling.seed) = sampling;
  options.endTokens = std::move(endTokens);
  options.pad = pad;
  std::exception_ptr raised;
  if (onTokens)
    options.onTokens = [&](const std::vector<int64_t> &tokens) {
      nb::gil_scoped_acquire lock;
      // The generator knows no exceptions: it stops, and then this goes on.
      try {
        nb::object wanted = (*onTokens)(tokens);
        return !(wanted.is(nb::bool_(false)));
      } catch (...) {
        raised = std::current_exception();
        return false;
      }
    };
  tpc::Generated made;
  {
    nb::gil_scoped_release release;
    made = unwrap(model.generate(std::move(inputs), options));
  }
  if (raised)
    std::rethrow_exception(raised);
  nb::dict result;
  result["tokens"] = nb::object(toPython(std::move(made.tokens))[0]);
  result["lengths"] = made.lengths;
  result["prefill_ms"] = made.prefillMs;
  result["decode_ms"] = made.decodeMs;
  return result;
}

} // namespace

void tpc::python::bindModel(nb::module_ &module) {
  nb::class_<Model>(module, "Model")
      .def_static(
          "open",
          [](const std::string &directory, const std::string &mesh,
             const std::string &element, const AssignArguments &assign,
             const std::string &device, unsigned threads,
             std::optional<int64_t> context) {
            tpc::ModelOptions options;
            options.mesh = mesh;
            options.element = element;
            options.assign = toOptions(assign);
            options.device = device;
            options.load = loadOptions(threads);
            options.context = context;
            return unwrap(Model::open(directory, std::move(options)));
          },
          nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg(),
          nb::arg().none())
      .def("run", &runModel)
      .def("generate", &generateTokens, nb::arg(), nb::arg(), nb::arg(),
           nb::arg(), nb::arg(), nb::arg().none())
      .def("generates", &Model::generates)
      .def("report", &Model::report)
      .def("plan", &Model::plan)
      .def("values", &Model::values)
      .def("statistics", [](const Model &model) -> std::optional<std::string> {
        auto statistics = model.statistics();
        return statistics ? std::optional(tpcrt::toJson(*statistics))
                          : std::nullopt;
      });
}
