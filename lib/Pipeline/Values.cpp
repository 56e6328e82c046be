//===- Values.cpp - How every value of a model lies -----------------------===//

#include "tpc/Dialect/Tpc/Tpc.h"
#include "tpc/Pipeline/Report.h"
#include "tpc/Sharding/Explanation.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/JSON.h"

using namespace mlir;
using namespace tpc;

static std::string axisText(const AxisRef &axis) {
  if (axis.isWhole())
    return axis.name.str();
  return llvm::formatv("{0}:({1}){2}", axis.name.getValue(), axis.pre,
                       axis.size);
}

static ValueSummary summarize(std::string name, std::string kind,
                              RankedTensorType type, const Mesh &mesh) {
  ValueSummary value;
  value.name = std::move(name);
  value.kind = std::move(kind);
  value.shape = type.getShape().vec();
  value.local = localType(type, mesh).getShape().vec();
  llvm::raw_string_ostream(value.element) << type.getElementType();
  const Sharding &sharding = getSharding(type).getValue();
  for (const AxisList &axes : sharding.dims) {
    std::vector<std::string> &names = value.dims.emplace_back();
    for (const AxisRef &axis : axes)
      names.push_back(axisText(axis));
  }
  for (const PartialAxis &partial : sharding.partial)
    value.partial.push_back(axisText(partial.axis));
  value.sharding = describeSharding(sharding);
  return value;
}

static void addReshards(Value value, ValueSummary &summary) {
  for (Operation *user : value.getUsers())
    if (auto reshard = dyn_cast<ReshardOp>(user))
      summary.reshards.push_back(llvm::formatv(
          "{0}: becomes {1}",
          reshard.getOrigin() ? explainOrigin(*reshard.getOrigin())
                              : "the plan wants it otherwise",
          describeSharding(getSharding(reshard.getType()).getValue())));
}

std::vector<ValueSummary> tpc::summarizeValues(ModuleOp module) {
  Mesh mesh = toMesh(*module.getOps<MeshOp>().begin());
  std::vector<ValueSummary> values;
  for (auto parameter : module.getOps<ParameterOp>())
    values.push_back(summarize(parameter.getSymName().str(), "parameter",
                               parameter.getTensorType(), mesh));
  for (auto state : module.getOps<StateOp>())
    values.push_back(summarize(state.getSymName().str(), "state",
                               state.getTensorType(), mesh));
  for (auto function : module.getOps<func::FuncOp>()) {
    auto add = [&](Value value, std::string name,
                   std::string kind) -> ValueSummary & {
      ValueSummary summary =
          summarize(std::move(name), std::move(kind),
                    cast<RankedTensorType>(value.getType()), mesh);
      summary.entry = function.getName().str();
      addReshards(value, summary);
      return values.emplace_back(std::move(summary));
    };
    for (BlockArgument argument : function.getArguments())
      add(argument, argumentName(function, argument.getArgNumber()), "input");
    for (Operation &op : function.getBody().front())
      if (!isa<ReadOp, ReshardOp>(op))
        for (OpResult result : op.getResults()) {
          ValueSummary &summary =
              add(result, describe(result), op.getName().stripDialect().str());
          if (auto first = op.getAttrOfType<IntegerAttr>(kValueNumberAttrName))
            summary.number = first.getInt() + result.getResultNumber();
        }
  }
  return values;
}

std::string tpc::valuesToJson(const std::vector<ValueSummary> &values) {
  llvm::json::Array list;
  for (const ValueSummary &value : values) {
    llvm::json::Array dims;
    for (const std::vector<std::string> &axes : value.dims)
      dims.push_back(llvm::json::Array(axes));
    list.push_back(
        llvm::json::Object{{"name", value.name},
                           {"kind", value.kind},
                           {"entry", value.entry},
                           {"shape", llvm::json::Array(value.shape)},
                           {"local", llvm::json::Array(value.local)},
                           {"dtype", value.element},
                           {"dims", std::move(dims)},
                           {"partial", llvm::json::Array(value.partial)},
                           {"sharding", value.sharding},
                           {"reshards", llvm::json::Array(value.reshards)},
                           {"number", value.number}});
  }
  return llvm::formatv("{0}\n", llvm::json::Value(std::move(list))).str();
}
