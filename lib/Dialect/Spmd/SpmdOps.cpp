//===- SpmdOps.cpp - Assembly and verifiers of the spmd operations --------===//

#include "mlir/Dialect/Utils/IndexingUtils.h"
#include "mlir/Interfaces/FunctionImplementation.h"
#include "tpc/Dialect/Spmd/Spmd.h"
#include "tpc/Dialect/Tpc/Assembly.h"

using namespace mlir;
using namespace tpc;
using namespace tpc::spmd;

//===----------------------------------------------------------------------===//
// Assembly
//===----------------------------------------------------------------------===//

#define GET_OP_CLASSES
#include "tpc/Dialect/Spmd/SpmdOps.cpp.inc"

ParseResult spmd::ProgramOp::parse(OpAsmParser &parser,
                                   OperationState &result) {
  StringAttr name;
  FlatSymbolRefAttr whole;
  SmallVector<OpAsmParser::Argument> arguments;
  SmallVector<Type> resultTypes;
  SmallVector<DictionaryAttr> resultAttrs;
  bool isVariadic = false;
  ArrayAttr argShardings, resultShardings;
  if (parser.parseSymbolName(name, getSymNameAttrName(result.name),
                             result.attributes) ||
      parser.parseKeyword("of") || parser.parseAttribute(whole) ||
      function_interface_impl::parseFunctionSignatureWithArguments(
          parser, /*allowVariadic=*/false, arguments, isVariadic, resultTypes,
          resultAttrs) ||
      parser.parseKeyword("args") || parser.parseAttribute(argShardings) ||
      parser.parseKeyword("results") ||
      parser.parseAttribute(resultShardings) ||
      parser.parseOptionalAttrDictWithKeyword(result.attributes))
    return failure();
  SmallVector<Type> argTypes;
  for (const OpAsmParser::Argument &argument : arguments)
    argTypes.push_back(argument.type);
  auto type = parser.getBuilder().getFunctionType(argTypes, resultTypes);
  result.addAttribute(getFunctionTypeAttrName(result.name),
                      TypeAttr::get(type));
  result.addAttribute(getWholeAttrName(result.name), whole);
  result.addAttribute(getArgShardingsAttrName(result.name), argShardings);
  result.addAttribute(getResultShardingsAttrName(result.name), resultShardings);
  call_interface_impl::addArgAndResultAttrs(
      parser.getBuilder(), result, arguments, resultAttrs,
      getArgAttrsAttrName(result.name), getResAttrsAttrName(result.name));
  return parser.parseRegion(*result.addRegion(), arguments);
}

void ProgramOp::print(OpAsmPrinter &printer) {
  printer << ' ';
  printer.printSymbolName(getSymName());
  printer << " of " << getWholeAttr();
  function_interface_impl::printFunctionSignature(
      printer, *this, getArgumentTypes(), /*isVariadic=*/false,
      getResultTypes());
  printer << " args " << getArgShardings() << " results "
          << getResultShardings();
  printer.printOptionalAttrDictWithKeyword(
      (*this)->getAttrs(),
      {getSymNameAttrName(), getFunctionTypeAttrName(), getWholeAttrName(),
       getArgShardingsAttrName(), getResultShardingsAttrName(),
       getArgAttrsAttrName(), getResAttrsAttrName()});
  printer << ' ';
  printer.printRegion(getBody(), /*printEntryBlockArgs=*/false);
}

//===----------------------------------------------------------------------===//
// Program
//===----------------------------------------------------------------------===//

static LogicalResult verifyPorts(ProgramOp op, TypeRange whole, TypeRange local,
                                 ArrayAttr shardings, const Mesh &mesh,
                                 StringRef what) {
  if (whole.size() != local.size() || shardings.size() != local.size())
    return op.emitOpError("C1: expected ")
           << whole.size() << " " << what << "s with a sharding each, found "
           << local.size() << " with " << shardings.size() << " shardings";
  for (unsigned i = 0; i < local.size(); ++i) {
    auto sharding = dyn_cast<ShardingAttr>(shardings[i]);
    auto wholeType = dyn_cast<RankedTensorType>(whole[i]);
    if (!sharding || !wholeType ||
        static_cast<int64_t>(sharding->dims.size()) != wholeType.getRank())
      return op.emitOpError("C2: ")
             << what << " " << i << " needs a sharding of its rank";
    if (auto problem = mesh.check(sharding.getValue()))
      return op.emitOpError("C2: ") << what << " " << i << ": " << *problem;
    Type expected = localType(withSharding(wholeType, sharding), mesh);
    if (local[i] != expected)
      return op.emitOpError("C2: ")
             << what << " " << i << ": expected the local type " << expected
             << ", found " << local[i];
    if (sharding->isPartial())
      return op.emitOpError("C3: ") << what << " " << i << " is partial";
  }
  return success();
}

LogicalResult ProgramOp::verifyRegions() {
  auto whole = SymbolTable::lookupNearestSymbolFrom<FunctionOpInterface>(
      *this, getWholeAttr());
  if (!whole)
    return emitOpError("C1: no function ") << getWholeAttr();
  FailureOr<Mesh> mesh = lookupMesh(*this);
  if (failed(mesh) ||
      failed(verifyPorts(*this, whole.getArgumentTypes(), getArgumentTypes(),
                         getArgShardings(), *mesh, "argument")) ||
      failed(verifyPorts(*this, whole.getResultTypes(), getResultTypes(),
                         getResultShardings(), *mesh, "result")))
    return failure();
  if (!getBody().hasOneBlock())
    return emitOpError("C4: expected a body of one block");
  return success();
}

LogicalResult ReturnOp::verify() {
  auto program = cast<ProgramOp>((*this)->getParentOp());
  if (getOperandTypes() != TypeRange(program.getResultTypes()))
    return emitOpError("C1: operand types are not the program's result types");
  return success();
}

//===----------------------------------------------------------------------===//
// Checks shared by several operations
//===----------------------------------------------------------------------===//

static RankedTensorType type(Value value) {
  return cast<RankedTensorType>(value.getType());
}

/// C1: the axes are the mesh's. Returns the mesh.
static FailureOr<Mesh> checkAxes(Operation *op, AxesAttr axes) {
  FailureOr<Mesh> mesh = lookupMesh(op);
  if (failed(mesh))
    return failure();
  if (axes.getMesh() != mesh->symbol)
    return op->emitOpError("C1: expected mesh ")
           << mesh->symbol << ", found " << axes.getMesh();
  for (const AxisRef &axis : axes.getAxes())
    if (auto problem = mesh->check(axis))
      return op->emitOpError("C1: ") << *problem;
  return mesh;
}

/// C2: equal types.
static LogicalResult checkSameType(Operation *op) {
  Type from = op->getOperand(0).getType(), to = op->getResult(0).getType();
  if (from != to)
    return op->emitOpError("C2: expected equal types, found ")
           << from << " and " << to;
  return success();
}

/// C2: equal element types and, but for `dims`, shapes.
static LogicalResult checkOtherDims(Operation *op, ArrayRef<int64_t> dims) {
  RankedTensorType from = type(op->getOperand(0)), to = type(op->getResult(0));
  if (from.getElementType() != to.getElementType() ||
      from.getRank() != to.getRank())
    return op->emitOpError("C2: expected equal ranks and element types");
  for (int64_t dim : dims)
    if (dim < 0 || dim >= from.getRank())
      return op->emitOpError("C2: no dimension ") << dim;
  for (int64_t dim = 0; dim < from.getRank(); ++dim)
    if (!llvm::is_contained(dims, dim) &&
        from.getDimSize(dim) != to.getDimSize(dim))
      return op->emitOpError("C2: dimension ")
             << dim << " changes from " << from.getDimSize(dim) << " to "
             << to.getDimSize(dim);
  return success();
}

/// C3: along `dim`, `part` is a block of `whole`.
static LogicalResult checkBlock(Operation *op, Value whole, Value part,
                                int64_t dim, int64_t members) {
  int64_t size = type(whole).getDimSize(dim);
  int64_t expected = ceilDiv(size, members);
  if (type(part).getDimSize(dim) != expected)
    return op->emitOpError("C3: expected ")
           << expected << " along dimension " << dim << " (" << size << " over "
           << members << " members), found " << type(part).getDimSize(dim);
  return success();
}

/// C1 to C3 of an operation between a tensor and its blocks along `dim`.
static LogicalResult checkCut(Operation *op, Value whole, Value part,
                              int64_t dim, AxesAttr axes) {
  FailureOr<Mesh> mesh = checkAxes(op, axes);
  if (failed(mesh) || failed(checkOtherDims(op, {dim})))
    return failure();
  return checkBlock(op, whole, part, dim, mesh->size(axes.getAxes()));
}

static LogicalResult checkScalar(Operation *op) {
  RankedTensorType result = type(op->getResult(0));
  if (result.getRank() != 0 || !result.getElementType().isInteger(64))
    return op->emitOpError("C2: expected the result tensor<i64>, found ")
           << result;
  return success();
}

//===----------------------------------------------------------------------===//
// Verifiers
//===----------------------------------------------------------------------===//

LogicalResult AllReduceOp::verifySymbolUses(SymbolTableCollection &) {
  if (failed(checkAxes(*this, getAxes())))
    return failure();
  return checkSameType(*this);
}

LogicalResult AllGatherOp::verifySymbolUses(SymbolTableCollection &) {
  return checkCut(*this, getResult(), getOperand(), getDim(), getAxes());
}

LogicalResult ReduceScatterOp::verifySymbolUses(SymbolTableCollection &) {
  return checkCut(*this, getOperand(), getResult(), getDim(), getAxes());
}

LogicalResult AllToAllOp::verifySymbolUses(SymbolTableCollection &) {
  FailureOr<Mesh> mesh = checkAxes(*this, getAxes());
  int64_t split = getSplitDim(), concat = getConcatDim();
  if (failed(mesh))
    return failure();
  if (split == concat)
    return emitOpError("C2: split and concat dimension are the same");
  if (failed(checkOtherDims(*this, {split, concat})))
    return failure();
  int64_t members = mesh->size(getAxes().getAxes());
  if (failed(checkBlock(*this, getResult(), getOperand(), concat, members)))
    return failure();
  return checkBlock(*this, getOperand(), getResult(), split, members);
}

LogicalResult PermuteOp::verifySymbolUses(SymbolTableCollection &) {
  FailureOr<Mesh> mesh = checkAxes(*this, getAxes());
  if (failed(mesh) || failed(checkSameType(*this)))
    return failure();
  if (static_cast<int64_t>(getSources().size()) !=
          mesh->size(getAxes().getAxes()) ||
      !isPermutationVector(getSources()))
    return emitOpError("C3: expected a permutation of ")
           << mesh->size(getAxes().getAxes()) << " members";
  return success();
}

LogicalResult DeviceIndexOp::verifySymbolUses(SymbolTableCollection &) {
  if (failed(checkAxes(*this, getAxes())))
    return failure();
  return checkScalar(*this);
}

LogicalResult BlockStartOp::verifySymbolUses(SymbolTableCollection &) {
  if (failed(checkAxes(*this, getAxes())) || failed(checkScalar(*this)))
    return failure();
  if (static_cast<int64_t>(getSize()) < 0)
    return emitOpError("C2: negative size");
  return success();
}

LogicalResult spmd::SliceOp::verifySymbolUses(SymbolTableCollection &) {
  return checkCut(*this, getOperand(), getResult(), getDim(), getAxes());
}

LogicalResult MaskOp::verifySymbolUses(SymbolTableCollection &) {
  FailureOr<Mesh> mesh = lookupMesh(*this);
  if (failed(mesh))
    return failure();
  auto whole = cast<RankedTensorType>(getWhole());
  ShardingAttr sharding = getSharding(whole);
  if (!sharding)
    return emitOpError("C1: the whole type carries no sharding");
  if (auto problem = mesh->check(sharding.getValue()))
    return emitOpError("C1: ") << *problem;
  Type expected = localType(whole, *mesh);
  if (getOperand().getType() != expected || getResult().getType() != expected)
    return emitOpError("C1: expected operand and result of type ") << expected;
  for (auto [i, dim] : llvm::enumerate(getDims()))
    if (dim < 0 || dim >= whole.getRank() || (i && dim <= getDims()[i - 1]))
      return emitOpError("C2: expected ascending dimensions below ")
             << whole.getRank();
  return success();
}

LogicalResult ToPartialOp::verifySymbolUses(SymbolTableCollection &) {
  if (failed(checkAxes(*this, getAxes())))
    return failure();
  return checkSameType(*this);
}
