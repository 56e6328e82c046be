//===- Graph.h - Modules built by a program ---------------------*- C++ -*-===//
//
// What front ends in other languages build graphs with: values are numbers,
// types and attributes plain data, and every operation is verified when it is
// made, so that an error names the line that asked for it.
//
//===----------------------------------------------------------------------===//

#ifndef TPC_DRIVER_GRAPH_H
#define TPC_DRIVER_GRAPH_H

#include "tpc/Pipeline/AssignOptions.h"
#include "tpcrt/Artifact.h"
#include "tpcrt/ElementType.h"
#include "tpcrt/Error.h"
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace tpc {

struct ValueType {
  tpcrt::ElementType element = tpcrt::ElementType::F32;
  std::vector<int64_t> shape;
};

/// Where in the user's program something was asked for, and how the user calls
/// that part of the model ("layer.0.mlp"; may be empty).
struct SourcePlace {
  std::string file;
  unsigned line = 0;
  std::string scope;
};

/// A module that was compiled.
struct CompiledModule {
  tpcrt::ArtifactBytes artifact;
  /// The report as JSON, and for people; how each value lies, as JSON; the
  /// plan file.
  std::string report, plan, values, planFile;
};

class Graph {
public:
  using Value = uint32_t;
  /// Attributes in the syntax of MLIR: {"dims", "array<i64: 0, 1>"}.
  using Attributes = std::vector<std::pair<std::string, std::string>>;

  Graph();
  ~Graph();
  /// A module in the whole form. `name` is the file in messages.
  static tpcrt::Result<std::unique_ptr<Graph>> parse(const std::string &text,
                                                     const std::string &name);

  /// Gives the graph a mesh, "dp=2,tp=4", which shardings of values name.
  tpcrt::Result<void> setMesh(const std::string &mesh);

  /// What follows belongs to the entry `name`, which is made where it is named
  /// first. Without, it is `main`.
  tpcrt::Result<void> enter(const std::string &entry);

  tpcrt::Result<Value> input(const std::string &name, const ValueType &type,
                             const SourcePlace &place);
  /// Declares a parameter: a view of stored tensors of type `stored` (view
  /// steps in the syntax of MLIR). Values come from read().
  tpcrt::Result<void> parameter(const std::string &name, const ValueType &type,
                                const std::vector<std::string> &sources,
                                const ValueType &stored,
                                const std::string &view,
                                const SourcePlace &place);
  tpcrt::Result<void> state(const std::string &name, const ValueType &type,
                            const SourcePlace &place);
  /// The value of a parameter or state.
  tpcrt::Result<Value> read(const std::string &name, const SourcePlace &place);
  tpcrt::Result<void> write(const std::string &name, Value value,
                            const SourcePlace &place);
  tpcrt::Result<std::vector<Value>> op(const std::string &operation,
                                       const std::vector<Value> &operands,
                                       const Attributes &attributes,
                                       const std::vector<ValueType> &results,
                                       const SourcePlace &place);
  tpcrt::Result<void> output(const std::string &name, Value value,
                             const SourcePlace &place);

  /// Pins parameters, states, inputs and outputs: tpc/Sharding/Pins.h. Checked
  /// when the graph is compiled.
  void pin(const std::string &request);

  /// The module as text.
  tpcrt::Result<std::string> text();

  /// `mesh`: "dp=2,tp=4"; nothing: the module's own, or one device. `device`
  /// and `threads` as in CompileOptions.
  tpcrt::Result<CompiledModule> compile(const std::optional<std::string> &mesh,
                                        const AssignPhaseOptions &options,
                                        const std::string &device,
                                        unsigned threads);

  /// Decides as compile() would, and explains the collectives, or values by
  /// name: the report as JSON.
  tpcrt::Result<std::string> explain(const std::optional<std::string> &mesh,
                                     const AssignPhaseOptions &options,
                                     const std::optional<std::string> &value);

private:
  class Impl;
  std::unique_ptr<Impl> impl;
};

/// Names of the operations that op() makes: "tpc.add", ...
std::vector<std::string> graphOperations();

} // namespace tpc

#endif // TPC_DRIVER_GRAPH_H
