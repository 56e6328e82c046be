//===- TpcDialect.cpp - The tpc dialect -----------------------------------===//

#include "mlir/Interfaces/FunctionInterfaces.h"
#include "tpc/Dialect/Tpc/Tpc.h"

using namespace mlir;
using namespace tpc;

#include "tpc/Dialect/Tpc/TpcDialect.cpp.inc"
#include "tpc/Dialect/Tpc/TpcEnums.cpp.inc"

void TpcDialect::initialize() {
  registerAttributes();
  addOperations<
#define GET_OP_LIST
#include "tpc/Dialect/Tpc/TpcOps.cpp.inc"
      >();
}

/// Checks a `tpc.sharding` pin against the type that it pins, or the `tpc.name`
/// of an argument or result.
static LogicalResult verifyPin(Operation *op, NamedAttribute attribute,
                               Type type) {
  if (attribute.getName() == kNameAttrName && !isa<ParameterOp, StateOp>(op))
    return isa<StringAttr>(attribute.getValue())
               ? success()
               : op->emitError("tpc.name: expected a string");
  if (attribute.getName() != kShardingAttrName)
    return op->emitError("unknown attribute ") << attribute.getName();
  auto sharding = dyn_cast<ShardingAttr>(attribute.getValue());
  auto tensor = dyn_cast<RankedTensorType>(type);
  if (!sharding || !tensor)
    return op->emitError("tpc.sharding: expected a #tpc.sharding on a tensor");
  if (static_cast<int64_t>(sharding->dims.size()) != tensor.getRank())
    return op->emitError("tpc.sharding: expected one entry per dimension (")
           << tensor.getRank() << "), found " << sharding->dims.size();
  return success();
}

LogicalResult TpcDialect::verifyOperationAttribute(Operation *op,
                                                   NamedAttribute attribute) {
  if (auto parameter = dyn_cast<ParameterOp>(op))
    return verifyPin(op, attribute, parameter.getTensorType());
  if (auto state = dyn_cast<StateOp>(op))
    return verifyPin(op, attribute, state.getTensorType());
  // On the module: what times are predicted for, and what the search found.
  if (isa<ModuleOp>(op)) {
    if (attribute.getName() == kMachineAttrName &&
        isa<StringAttr>(attribute.getValue()))
      return success();
    if ((attribute.getName() == kSearchAttrName ||
         attribute.getName() == kPredictedAttrName) &&
        isa<DictionaryAttr>(attribute.getValue()))
      return success();
  }
  return op->emitError("attribute ")
         << attribute.getName()
         << " stands on parameters, states, arguments and results only; pin "
            "other values with tpc.shard";
}

LogicalResult TpcDialect::verifyRegionArgAttribute(Operation *op, unsigned,
                                                   unsigned argument,
                                                   NamedAttribute attribute) {
  auto function = dyn_cast<FunctionOpInterface>(op);
  if (!function)
    return op->emitError("unexpected attribute ") << attribute.getName();
  return verifyPin(op, attribute, function.getArgumentTypes()[argument]);
}

/// `tpc.like` names a parameter or state of the result's shape and element
/// type; of a program per device, which has its own types, only that it does.
static LogicalResult verifyLike(FunctionOpInterface function, unsigned index,
                                Attribute value) {
  auto name = dyn_cast<FlatSymbolRefAttr>(value);
  Operation *symbol =
      name ? SymbolTable::lookupNearestSymbolFrom(function, name) : nullptr;
  RankedTensorType type;
  if (auto parameter = dyn_cast_or_null<ParameterOp>(symbol))
    type = cast<RankedTensorType>(parameter.getTensorType());
  else if (auto state = dyn_cast_or_null<StateOp>(symbol))
    type = cast<RankedTensorType>(state.getTensorType());
  if (!type)
    return function->emitError(
               "tpc.like: expected a parameter or state, found ")
           << value;
  auto result = dyn_cast<RankedTensorType>(function.getResultTypes()[index]);
  if (isa<func::FuncOp>(function) &&
      (!result || withSharding(result, ShardingAttr()) !=
                      withSharding(type, ShardingAttr())))
    return function->emitError("tpc.like: expected the type of ")
           << name << ", " << type << ", found "
           << function.getResultTypes()[index];
  if (function.getResultAttr(index, kShardingAttrName))
    return function->emitError("result \"")
           << resultName(function, index) << "\" is held like " << name
           << "; pin that instead";
  return success();
}

LogicalResult TpcDialect::verifyRegionResultAttribute(
    Operation *op, unsigned, unsigned result, NamedAttribute attribute) {
  auto function = dyn_cast<FunctionOpInterface>(op);
  if (!function)
    return op->emitError("unexpected attribute ") << attribute.getName();
  if (attribute.getName() == kLikeAttrName)
    return verifyLike(function, result, attribute.getValue());
  return verifyPin(op, attribute, function.getResultTypes()[result]);
}

//===----------------------------------------------------------------------===//
// Helpers
//===----------------------------------------------------------------------===//

ShardingAttr tpc::getSharding(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  return tensor ? dyn_cast_or_null<ShardingAttr>(tensor.getEncoding())
                : ShardingAttr();
}

std::string tpc::argumentName(FunctionOpInterface function, unsigned index) {
  if (auto name = function.getArgAttrOfType<StringAttr>(index, kNameAttrName))
    return name.str();
  return "arg" + std::to_string(index);
}

StringAttr tpc::heldLike(FunctionOpInterface function, unsigned index) {
  auto name =
      function.getResultAttrOfType<FlatSymbolRefAttr>(index, kLikeAttrName);
  return name ? name.getAttr() : StringAttr();
}

llvm::DenseSet<StringAttr> tpc::trainedParameters(ModuleOp module) {
  llvm::DenseSet<StringAttr> trained;
  module.walk([&](FunctionOpInterface function) {
    for (unsigned i = 0; i < function.getNumResults(); ++i)
      if (StringAttr like = heldLike(function, i);
          like && module.lookupSymbol<ParameterOp>(like))
        trained.insert(like);
  });
  return trained;
}

std::string tpc::resultName(FunctionOpInterface function, unsigned index) {
  if (auto name =
          function.getResultAttrOfType<StringAttr>(index, kNameAttrName))
    return name.str();
  return "result" + std::to_string(index);
}

bool tpc::isGradient(FunctionOpInterface function, unsigned index) {
  return StringRef(resultName(function, index)).starts_with(kGradientPrefix);
}

RankedTensorType tpc::withSharding(RankedTensorType type,
                                   ShardingAttr sharding) {
  return RankedTensorType::get(type.getShape(), type.getElementType(),
                               sharding);
}

RankedTensorType tpc::withSharding(RankedTensorType type,
                                   const Sharding &sharding) {
  return withSharding(type, ShardingAttr::get(type.getContext(), sharding));
}

RankedTensorType tpc::localType(RankedTensorType type, const Mesh &mesh) {
  ShardingAttr sharding = getSharding(type);
  if (!sharding)
    return type;
  return RankedTensorType::get(
      localShape(type.getShape(), sharding.getValue(), mesh),
      type.getElementType());
}

Mesh tpc::toMesh(MeshOp op) {
  Mesh mesh;
  mesh.symbol = FlatSymbolRefAttr::get(op.getSymNameAttr());
  llvm::append_range(mesh.names, op.getMesh().getNames());
  llvm::append_range(mesh.sizes, op.getMesh().getSizes());
  return mesh;
}

FailureOr<Mesh> tpc::lookupMesh(Operation *op) {
  auto module = dyn_cast<ModuleOp>(op);
  if (!module)
    module = op->getParentOfType<ModuleOp>();
  if (module)
    for (auto mesh : module.getOps<MeshOp>())
      return toMesh(mesh);
  return op->emitError(
      "the module has no mesh; add `tpc.mesh @mesh <\"tp\" = 4>` or pass one");
}

std::string tpc::describe(Operation *op) {
  if (auto name = op->getLoc()->findInstanceOf<NameLoc>())
    return name.getName().str();
  if (auto read = dyn_cast<ReadOp>(op))
    return ("@" + read.getSymbol()).str();
  return op->getName().getStringRef().str();
}

std::string tpc::describe(Value value) {
  if (Operation *op = value.getDefiningOp())
    return describe(op);
  auto argument = cast<BlockArgument>(value);
  if (auto name = argument.getLoc()->findInstanceOf<NameLoc>())
    return name.getName().str();
  if (auto function =
          dyn_cast<FunctionOpInterface>(argument.getOwner()->getParentOp()))
    return argumentName(function, argument.getArgNumber());
  return "argument " + std::to_string(argument.getArgNumber());
}
