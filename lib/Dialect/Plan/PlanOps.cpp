//===- PlanOps.cpp - Assembly and verifiers of the plan operations --------===//

#include "../Tpc/Constraints.h"
#include "mlir/Dialect/Utils/IndexingUtils.h"
#include "mlir/Interfaces/FunctionImplementation.h"
#include "tpc/Dialect/Plan/Plan.h"
#include "tpc/Dialect/Tpc/Assembly.h"
#include "tpc/Dialect/Tpc/Einsum.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace tpc;
using namespace tpc::plan;
using namespace tpc::constraints;

//===----------------------------------------------------------------------===//
// Assembly
//===----------------------------------------------------------------------===//

/// `[<arena + 0>, <state @s + 0>]`.
static ParseResult parsePlaces(OpAsmParser &parser, ArrayAttr &locations) {
  SmallVector<Attribute> all;
  auto parsePlace = [&]() -> ParseResult {
    all.push_back(PlaceAttr::parse(parser, {}));
    return success(all.back() != nullptr);
  };
  if (parser.parseCommaSeparatedList(AsmParser::Delimiter::Square, parsePlace))
    return failure();
  locations = ArrayAttr::get(parser.getContext(), all);
  return success();
}
static void printPlaces(OpAsmPrinter &printer, Operation *,
                        ArrayAttr locations) {
  printer << '[';
  llvm::interleaveComma(locations.getAsRange<PlaceAttr>(), printer,
                        [&](PlaceAttr at) { at.print(printer); });
  printer << ']';
}

#define GET_OP_CLASSES
#include "tpc/Dialect/Plan/PlanOps.cpp.inc"

ParseResult KernelFuncOp::parse(OpAsmParser &parser, OperationState &result) {
  StringAttr name;
  SmallVector<OpAsmParser::Argument> arguments;
  SmallVector<Type> resultTypes;
  SmallVector<DictionaryAttr> resultAttrs;
  bool isVariadic = false;
  IntegerAttr tiles, updates;
  DenseI64ArrayAttr inPlace;
  Builder &builder = parser.getBuilder();
  if (parser.parseSymbolName(name, getSymNameAttrName(result.name),
                             result.attributes) ||
      function_interface_impl::parseFunctionSignatureWithArguments(
          parser, /*allowVariadic=*/false, arguments, isVariadic, resultTypes,
          resultAttrs) ||
      parser.parseKeyword("tiles") ||
      parser.parseAttribute(tiles, builder.getI64Type()))
    return failure();
  result.addAttribute(getTilesAttrName(result.name), tiles);
  if (succeeded(parser.parseOptionalKeyword("updates"))) {
    if (parser.parseAttribute(updates, builder.getI64Type()))
      return failure();
    result.addAttribute(getUpdatesAttrName(result.name), updates);
  }
  if (succeeded(parser.parseOptionalKeyword("in_place"))) {
    inPlace = dyn_cast_or_null<DenseI64ArrayAttr>(
        DenseI64ArrayAttr::parse(parser, {}));
    if (!inPlace)
      return failure();
    result.addAttribute(getInPlaceAttrName(result.name), inPlace);
  }
  if (parser.parseOptionalAttrDictWithKeyword(result.attributes))
    return failure();
  SmallVector<Type> argTypes;
  for (const OpAsmParser::Argument &argument : arguments)
    argTypes.push_back(argument.type);
  result.addAttribute(
      getFunctionTypeAttrName(result.name),
      TypeAttr::get(builder.getFunctionType(argTypes, resultTypes)));
  call_interface_impl::addArgAndResultAttrs(
      builder, result, arguments, resultAttrs, getArgAttrsAttrName(result.name),
      getResAttrsAttrName(result.name));
  return parser.parseRegion(*result.addRegion(), arguments);
}

void KernelFuncOp::print(OpAsmPrinter &printer) {
  printer << ' ';
  printer.printSymbolName(getSymName());
  function_interface_impl::printFunctionSignature(
      printer, *this, getArgumentTypes(), /*isVariadic=*/false,
      getResultTypes());
  printer << " tiles " << static_cast<int64_t>(getTiles());
  if (getUpdates())
    printer << " updates " << static_cast<int64_t>(getUpdates());
  if (!getInPlace().empty()) {
    printer << " in_place ";
    getInPlaceAttr().print(printer);
  }
  printer.printOptionalAttrDictWithKeyword(
      (*this)->getAttrs(),
      {getSymNameAttrName(), getFunctionTypeAttrName(), getTilesAttrName(),
       getUpdatesAttrName(), getInPlaceAttrName(), getArgAttrsAttrName(),
       getResAttrsAttrName()});
  printer << ' ';
  printer.printRegion(getBody(), /*printEntryBlockArgs=*/false);
}

//===----------------------------------------------------------------------===//
// Kernel functions
//===----------------------------------------------------------------------===//

YieldOp KernelFuncOp::getYield() {
  return cast<YieldOp>(getBody().front().getTerminator());
}

bool KernelFuncOp::mayShare(unsigned result, unsigned argument) {
  ArrayRef<int64_t> pairs = getInPlace();
  for (size_t i = 0; i + 1 < pairs.size(); i += 2)
    if (pairs[i] == result && pairs[i + 1] == argument)
      return true;
  return false;
}

static int64_t bytes(Type type) {
  return tensorBytes(cast<RankedTensorType>(type));
}

LogicalResult KernelFuncOp::verifyRegions() {
  if (!getBody().hasOneBlock() || getBody().front().empty() ||
      !isa<YieldOp>(getBody().front().back()))
    return emitOpError("C1: expected one block that ends with plan.yield");
  for (Operation &op : getBody().front().without_terminator())
    if (!isa<TpcDialect>(op.getDialect()))
      return op.emitOpError("C1: not a tpc operation");
  if (getYield().getOperandTypes() != TypeRange(getResultTypes()))
    return getYield().emitOpError("C1: operand types are not the result types");
  uint64_t updates = getUpdates();
  if (updates > getNumArguments() || updates > getNumResults())
    return emitOpError("C2: more updates than arguments or results");
  for (unsigned i = 0; i < updates; ++i)
    if (getArgumentTypes()[getNumInputs() + i] != getResultTypes()[i])
      return emitOpError("C2: update ") << i << " differs from result " << i;
  ArrayRef<int64_t> pairs = getInPlace();
  if (pairs.size() % 2)
    return emitOpError("C3: expected pairs of result and argument");
  for (size_t i = 0; i < pairs.size(); i += 2)
    if (pairs[i] < static_cast<int64_t>(updates) ||
        pairs[i] >= static_cast<int64_t>(getNumResults()) || pairs[i + 1] < 0 ||
        pairs[i + 1] >= getNumInputs() ||
        bytes(getResultTypes()[pairs[i]]) !=
            bytes(getArgumentTypes()[pairs[i + 1]]))
      return emitOpError("C3: result ")
             << pairs[i] << " and argument " << pairs[i + 1]
             << " cannot share memory";
  return success();
}

LogicalResult KernelOp::verifySymbolUses(SymbolTableCollection &symbols) {
  auto function =
      symbols.lookupNearestSymbolFrom<KernelFuncOp>(*this, getKernelAttr());
  if (!function)
    return emitOpError("C1: no plan.kernel_func ") << getKernelAttr();
  if (getOperandTypes() != TypeRange(function.getArgumentTypes()) ||
      getResultTypes() != TypeRange(function.getResultTypes()) ||
      getUpdates().size() != function.getUpdates())
    return emitOpError("C1: ")
           << getKernelAttr() << " has type " << function.getFunctionType()
           << " with " << function.getUpdates() << " updates";
  if (getAt() && getAt()->size() != getNumResults())
    return emitOpError("C2: expected ")
           << getNumResults() << " places, found " << getAt()->size();
  return success();
}

//===----------------------------------------------------------------------===//
// Program
//===----------------------------------------------------------------------===//

ReturnOp plan::ProgramOp::getReturn() {
  return cast<ReturnOp>(getBody().front().back());
}

LogicalResult
plan::ProgramOp::verifySymbolUses(SymbolTableCollection &symbols) {
  auto program = symbols.lookupNearestSymbolFrom<spmd::ProgramOp>(
      *this, getImplementsAttr());
  if (!program)
    return emitOpError("C1: no spmd.program ") << getImplementsAttr();
  Block &block = getBody().front();
  for (Operation &op : block)
    if (isa<plan::ReturnOp>(op) != (&op == &block.back()))
      return emitOpError("C2: expected plan.return as the last operation");
  if (block.empty() ||
      getReturn().getOperandTypes() != TypeRange(program.getResultTypes()))
    return emitOpError("C2: results are not those of ") << getImplementsAttr();
  SmallVector<bool> seen(program.getNumArguments());
  for (auto input : block.getOps<InputOp>()) {
    uint64_t index = input.getIndex();
    if (index >= seen.size() || seen[index] ||
        program.getArgumentTypes()[index] != input.getType())
      return input.emitOpError("C3: not an argument of ")
             << getImplementsAttr() << ", or a second time";
    seen[index] = true;
  }
  return success();
}

//===----------------------------------------------------------------------===//
// Values and steps
//===----------------------------------------------------------------------===//

template <typename SymbolOp>
static LogicalResult verifySymbolType(Operation *op, FlatSymbolRefAttr symbol,
                                      Type found,
                                      SymbolTableCollection &symbols) {
  auto declared = symbols.lookupNearestSymbolFrom<SymbolOp>(op, symbol);
  if (!declared)
    return op->emitOpError("C1: no ")
           << SymbolOp::getOperationName() << " " << symbol;
  FailureOr<Mesh> mesh = lookupMesh(op);
  if (failed(mesh))
    return failure();
  Type expected = localType(declared.getTensorType(), *mesh);
  if (found != expected)
    return op->emitOpError("C1: expected the local type ")
           << expected << ", found " << found;
  return success();
}

LogicalResult
plan::ParameterOp::verifySymbolUses(SymbolTableCollection &symbols) {
  return verifySymbolType<tpc::ParameterOp>(*this, getSymbolAttr(), getType(),
                                            symbols);
}
LogicalResult plan::StateOp::verifySymbolUses(SymbolTableCollection &symbols) {
  return verifySymbolType<tpc::StateOp>(*this, getSymbolAttr(), getType(),
                                        symbols);
}
LogicalResult plan::WriteOp::verifySymbolUses(SymbolTableCollection &symbols) {
  return verifySymbolType<tpc::StateOp>(*this, getSymbolAttr(),
                                        getValue().getType(), symbols);
}

LogicalResult plan::ConstantOp::verify() {
  if (getValue().getType() != getType())
    return emitOpError("C1: the value has type ") << getValue().getType();
  return success();
}

LogicalResult DeviceScalarOp::verifySymbolUses(SymbolTableCollection &) {
  FailureOr<Mesh> mesh = lookupMesh(*this);
  if (failed(mesh))
    return failure();
  auto type = cast<RankedTensorType>(getType());
  if (type.getRank() != 0 || !type.getElementType().isInteger(64))
    return emitOpError("C1: expected the result tensor<i64>, found ") << type;
  if (static_cast<int64_t>(getValues().size()) != mesh->numDevices())
    return emitOpError("C2: expected ")
           << mesh->numDevices() << " values, found " << getValues().size();
  return success();
}

LogicalResult ViewOp::verify() {
  auto from = cast<RankedTensorType>(getOperand().getType());
  auto to = cast<RankedTensorType>(getType());
  if (from.getElementType() != to.getElementType())
    return emitOpError("C1: element types differ");
  int64_t offset = getOffset();
  if (offset < 0 || to.getNumElements() > from.getNumElements() - offset)
    return emitOpError("C2: elements [")
           << offset << ", " << offset + to.getNumElements() << ") of "
           << from.getNumElements();
  return success();
}

LogicalResult CollectiveOp::verifySymbolUses(SymbolTableCollection &) {
  FailureOr<Mesh> mesh = lookupMesh(*this);
  if (failed(mesh))
    return failure();
  for (const AxisRef &axis : getAxes().getAxes())
    if (auto problem = mesh->check(axis))
      return emitOpError("C1: ") << *problem;
  auto from = cast<RankedTensorType>(getOperand().getType());
  auto to = cast<RankedTensorType>(getType());
  int64_t members = mesh->size(getAxes().getAxes());
  int64_t source = from.getNumElements(), result = to.getNumElements();
  CollectiveKind kind = getKind();
  if (kind == CollectiveKind::AllGather)
    source *= members;
  if (kind == CollectiveKind::ReduceScatter)
    result *= members;
  if (from.getElementType() != to.getElementType() || source != result ||
      (kind == CollectiveKind::AllToAll && source % members))
    return emitOpError("C2: ")
           << stringifyCollectiveKind(kind) << " over " << members
           << " members from " << from << " to " << to;
  bool permutes = kind == CollectiveKind::Permute;
  if (permutes != getSources().has_value() ||
      (permutes && (static_cast<int64_t>(getSources()->size()) != members ||
                    !isPermutationVector(*getSources()))))
    return emitOpError("C3: expected a permutation of the members for permute, "
                       "and for nothing else");
  return success();
}

/// Elements offset + sum(i_d * strides[d]) are within `tensor`.
static LogicalResult checkAccess(Operation *op, StringRef label, Value tensor,
                                 StringRef what, int64_t offset,
                                 ArrayRef<int64_t> sizes,
                                 ArrayRef<int64_t> strides) {
  if (llvm::is_contained(sizes, 0))
    return success();
  int64_t elements = cast<RankedTensorType>(tensor.getType()).getNumElements();
  int64_t first = offset, last = offset;
  for (auto [size, stride] : llvm::zip_equal(sizes, strides)) {
    int64_t reach, &end = stride < 0 ? first : last;
    if (llvm::MulOverflow(size - 1, stride, reach) ||
        llvm::AddOverflow(end, reach, end))
      return op->emitOpError()
             << label << ": " << size << " times a stride of " << stride
             << " of " << what << ", which has " << elements << " elements";
  }
  if (first < 0 || last >= elements)
    return op->emitOpError() << label << ": elements [" << first << ", " << last
                             << "] of " << what << ", which has " << elements;
  return success();
}

static Type elementOf(Value value) {
  return cast<RankedTensorType>(value.getType()).getElementType();
}

LogicalResult plan::MatmulOp::verify() {
  size_t rank = getBatch().size();
  if (getSizes().size() != 3 || getA().size() != 3 || getB().size() != 3 ||
      getC().size() != 2 || getBatchA().size() != rank ||
      getBatchB().size() != rank || getBatchC().size() != rank)
    return emitOpError("C1: wrong number of sizes or strides");
  auto check = [&](Value tensor, StringRef what, int64_t offset,
                   std::array<int64_t, 2> sizes, ArrayRef<int64_t> matrix,
                   ArrayRef<int64_t> batch) {
    SmallVector<int64_t> allSizes(getBatch()), strides(batch);
    allSizes.append(sizes.begin(), sizes.end());
    strides.append(matrix.begin(), matrix.end());
    return checkAccess(*this, "C2", tensor, what, offset, allSizes, strides);
  };
  int64_t m = getSizes()[0], n = getSizes()[1], k = getSizes()[2];
  if (failed(check(getLhs(), "a", getA()[0], {m, k}, getA().drop_front(),
                   getBatchA())) ||
      failed(check(getRhs(), "b", getB()[0], {k, n}, getB().drop_front(),
                   getBatchB())) ||
      failed(check(getResult(), "c", 0, {m, n}, getC(), getBatchC())))
    return failure();
  Type a = elementOf(getLhs()), b = elementOf(getRhs()),
       c = elementOf(getResult());
  auto isSmallFloat = [](Type t) {
    return t.isF32() || t.isBF16() || t.isF16();
  };
  if (!(a == b && b == c) &&
      !(isSmallFloat(a) && isSmallFloat(b) && isSmallFloat(c)))
    return emitOpError("C3: no product of ")
           << a << " and " << b << " as " << c;
  if (getPackB() && !rootOf(getRhs()).getDefiningOp<plan::ParameterOp>())
    return emitOpError("C4: b is not a parameter");
  if ((getBias() || getActivation()) && !isSmallFloat(c))
    return emitOpError("C5: expected a result of f32, bf16 or f16 to add a "
                       "bias to or to activate, found ")
           << c;
  if (Value bias = getBias();
      bias && (elementOf(bias) != c || type(bias).getNumElements() != n))
    return emitOpError("C5: expected a bias of ")
           << n << " elements of " << c << ", found " << bias.getType();
  return success();
}

LogicalResult ContractOp::verify() {
  if (failed(verifyEquation(*this, getEquation(), getLhs(), getRhs(),
                            getResult())))
    return failure();
  std::optional<Einsum> einsum = Einsum::parse(getEquation());
  SmallVector<std::string> order = einsum->batch();
  llvm::append_range(order, einsum->freeOfLhs());
  llvm::append_range(order, einsum->freeOfRhs());
  if (ArrayRef(einsum->result) != ArrayRef(order))
    return emitOpError("C2: expected the result to be ")
           << llvm::join(order, " ");
  Type element = elementOf(getResult());
  if (element.isF64())
    return emitOpError("C3: expected f32, bf16 or f16, found ") << element;
  for (Value operand : getOperands())
    if (elementOf(operand) != element)
      return emitOpError("C3: expected operands of ")
             << element << ", found " << operand.getType();
  int64_t columns = 1;
  for (const std::string &name : einsum->freeOfRhs())
    columns *= shape(getRhs())[indexOf(einsum->rhs, name)];
  if (getBias() && type(getBias()).getNumElements() != columns)
    return emitOpError("C4: expected a bias of ")
           << columns << " elements, found " << getBias().getType();
  return success();
}

LogicalResult plan::GroupedMatmulOp::verify() {
  if (getSizes().size() != 5 || getView().size() != 4 ||
      llvm::any_of(getSizes(), [](int64_t size) { return size < 0; }))
    return emitOpError("C1: wrong number of sizes or strides, or a negative "
                       "size");
  int64_t n = getSizes()[0], c = getSizes()[1], e = getSizes()[2],
          d = getSizes()[3], f = getSizes()[4];
  auto elements = [](Value value) {
    return cast<RankedTensorType>(value.getType()).getNumElements();
  };
  auto product = [](uint64_t a, uint64_t b) {
    return static_cast<int64_t>(
        std::min<uint64_t>(llvm::SaturatingMultiply(a, b), INT64_MAX));
  };
  int64_t rows = elements(getRows()), all = product(n, c);
  if ((rows != product(n, d) && rows != product(all, d)) ||
      elements(getChoices()) != all || elements(getResult()) != product(all, f))
    return emitOpError("C2: expected ")
           << product(n, d) << " or " << product(all, d)
           << " elements of rows, " << all << " choices and " << product(all, f)
           << " results, found " << rows << ", " << elements(getChoices())
           << " and " << elements(getResult());
  if (failed(checkAccess(*this, "C3", getWeights(), "weights", getView()[0],
                         {e, d, f}, getView().drop_front())))
    return failure();
  Type type = elementOf(getResult());
  if (elementOf(getRows()) != type || elementOf(getWeights()) != type)
    return emitOpError("C4: no product of ")
           << elementOf(getRows()) << " and " << elementOf(getWeights())
           << " as " << type;
  if (getPack() && !rootOf(getWeights()).getDefiningOp<plan::ParameterOp>())
    return emitOpError("C5: weights are not a parameter");
  return success();
}

LogicalResult plan::AttentionOp::verify() {
  bool hasBias = getBias() != nullptr;
  if (getSizes().size() != 7 || getQueryView().size() != 5 ||
      getKeyView().size() != 4 || getValueView().size() != 4 ||
      hasBias != getBiasView().has_value() ||
      (hasBias && getBiasView()->size() != 6) ||
      llvm::any_of(getSizes(), [](int64_t size) { return size < 0; }))
    return emitOpError("C1: wrong number of sizes or strides, or a negative "
                       "size");
  ArrayRef<int64_t> sizes = getSizes();
  int64_t b = sizes[0], s = sizes[1], t = sizes[2], k = sizes[3], g = sizes[4],
          d = sizes[5], v = sizes[6];
  auto type = cast<RankedTensorType>(getType());
  if (type.getShape() != ArrayRef<int64_t>{b, s, k, g, v})
    return emitOpError("C2: expected a result of [")
           << ArrayRef<int64_t>{b, s, k, g, v} << "], found " << type;
  auto check = [&](Value tensor, StringRef what, ArrayRef<int64_t> view,
                   ArrayRef<int64_t> sizes, bool contiguous) {
    SmallVector<int64_t> strides(view.drop_front());
    if (contiguous)
      strides.push_back(1);
    return checkAccess(*this, "C3", tensor, what, view[0], sizes, strides);
  };
  if (failed(
          check(getQuery(), "query", getQueryView(), {b, s, k, g, d}, true)) ||
      failed(check(getKey(), "key", getKeyView(), {b, t, k, d}, true)) ||
      failed(check(getValue(), "value", getValueView(), {b, t, k, v}, true)) ||
      (hasBias && failed(check(getBias(), "bias", *getBiasView(),
                               {b, k, g, s, t}, false))))
    return failure();
  for (Value operand : {getQuery(), getKey(), getValue()})
    if (elementOf(operand) != type.getElementType())
      return emitOpError("C4: no attention of ")
             << elementOf(getQuery()) << ", " << elementOf(getKey()) << " and "
             << elementOf(getValue()) << " as " << type.getElementType();
  auto hasElements = [](Value value, int64_t count) {
    return !value ||
           cast<RankedTensorType>(value.getType()).getNumElements() == count;
  };
  if (!hasElements(getLengths(), b) || !hasElements(getSinks(), k * g) ||
      (!hasElements(getOffset(), b) && !hasElements(getOffset(), 1)))
    return emitOpError("C5: expected ") << b << " lengths, 1 or " << b
                                        << " offsets and " << k * g << " sinks";
  if ((getWindow() && *getWindow() <= 0) ||
      (getSoftcap() && !(getSoftcap()->convertToDouble() > 0)))
    return emitOpError("C6: expected a positive window and softcap");
  return success();
}
