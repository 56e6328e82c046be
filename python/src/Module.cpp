#include "Binding.h"

NB_MODULE(_tpc, module) {
  using namespace tpc::python;
  module.doc() = "The compiler and runtime; the package tpc wraps it.";
  nb::exception<Failure>(module, "Error").doc() =
      "What tpc refuses or cannot do; says what was expected, what was found, "
      "where, and what to do.";
  bindGraph(module);
  bindModel(module);
  bindProcesses(module);
  bindRuntime(module);
}
