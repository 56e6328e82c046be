//===- TpcOps.cpp - Verifiers of the tpc operations -----------------------===//
//
// Every constraint of an operation's description is checked under its label
// here. Shapes only: a type's encoding does not matter, so the same checks hold
// for whole tensors, sharded ones and local blocks.
//
//===----------------------------------------------------------------------===//

#include "Constraints.h"
#include "mlir/Dialect/Utils/IndexingUtils.h"
#include "tpc/Dialect/Tpc/Assembly.h"
#include "tpc/Dialect/Tpc/Einsum.h"
#include "tpc/Dialect/Tpc/Tpc.h"

using namespace mlir;
using namespace tpc;
using namespace tpc::constraints;

//===----------------------------------------------------------------------===//
// Assembly
//===----------------------------------------------------------------------===//

/// `"name"` or `["a", "b"]`.
static ParseResult parseSources(OpAsmParser &parser, ArrayAttr &sources) {
  SmallVector<Attribute> names;
  auto parseName = [&]() -> ParseResult {
    std::string name;
    if (parser.parseString(&name))
      return failure();
    names.push_back(StringAttr::get(parser.getContext(), name));
    return success();
  };
  if (failed(parser.parseOptionalLSquare())) {
    if (parseName())
      return failure();
  } else if (parser.parseCommaSeparatedList(parseName) ||
             parser.parseRSquare()) {
    return failure();
  }
  sources = ArrayAttr::get(parser.getContext(), names);
  return success();
}
static void printSources(OpAsmPrinter &printer, Operation *,
                         ArrayAttr sources) {
  if (sources.size() == 1)
    printer << sources[0];
  else
    printer << sources;
}

static ParseResult parseView(OpAsmParser &parser, ArrayAttr &view) {
  SmallVector<Attribute> steps;
  auto parseStep = [&]() -> ParseResult {
    ViewStepAttr step = parseViewStep(parser);
    steps.push_back(step);
    return success(step != nullptr);
  };
  if (parser.parseCommaSeparatedList(AsmParser::Delimiter::Square, parseStep))
    return failure();
  view = ArrayAttr::get(parser.getContext(), steps);
  return success();
}
static void printView(OpAsmPrinter &printer, Operation *, ArrayAttr view) {
  printer << '[';
  llvm::interleaveComma(
      view.getAsRange<ViewStepAttr>(), printer,
      [&](ViewStepAttr step) { printViewStep(printer.getStream(), step); });
  printer << ']';
}

#define GET_OP_CLASSES
#include "tpc/Dialect/Tpc/TpcOps.cpp.inc"

//===----------------------------------------------------------------------===//
// Symbols
//===----------------------------------------------------------------------===//

/// The declared type of a parameter or state, or null.
static RankedTensorType symbolType(Operation *symbol) {
  if (auto parameter = dyn_cast_or_null<ParameterOp>(symbol))
    return parameter.getTensorType();
  if (auto state = dyn_cast_or_null<StateOp>(symbol))
    return state.getTensorType();
  return {};
}

static LogicalResult verifySymbolType(Operation *op, Operation *symbol,
                                      Type found) {
  RankedTensorType declared = symbolType(symbol);
  bool inProgram =
      op->getParentOp()->getName().getStringRef() == "spmd.program";
  Type expected = declared;
  if (inProgram) {
    FailureOr<Mesh> mesh = lookupMesh(op);
    if (failed(mesh))
      return failure();
    if (ShardingAttr sharding = tpc::getSharding(declared))
      if (auto problem = mesh->check(sharding.getValue()))
        return op->emitOpError("C2: ") << *problem;
    expected = localType(declared, *mesh);
  }
  // A whole function beside its program is without shardings.
  bool whole = !inProgram && found == withSharding(declared, ShardingAttr());
  if (found != expected && !whole) {
    auto error = op->emitOpError("C2: expected type ")
                 << expected << ", found " << found;
    error.attachNote(symbol->getLoc()) << "declared here";
    return error;
  }
  return success();
}

bool ConvertOp::widens() {
  Type from = getElementTypeOrSelf(getOperand());
  Type to = getElementTypeOrSelf(getResult());
  return (from.isBF16() && (to.isF32() || to.isF64())) ||
         (from.isF16() && (to.isF32() || to.isF64())) ||
         (from.isF32() && to.isF64()) ||
         (from.isInteger(32) && to.isInteger(64));
}

LogicalResult ReadOp::verifySymbolUses(SymbolTableCollection &symbols) {
  Operation *symbol = symbols.lookupNearestSymbolFrom(*this, getSymbolAttr());
  if (!symbolType(symbol))
    return emitOpError("C1: no parameter or state ") << getSymbolAttr();
  return verifySymbolType(*this, symbol, getResult().getType());
}

LogicalResult WriteOp::verifySymbolUses(SymbolTableCollection &symbols) {
  Operation *symbol = symbols.lookupNearestSymbolFrom(*this, getSymbolAttr());
  if (!isa_and_nonnull<StateOp>(symbol))
    return emitOpError("C1: no state ") << getSymbolAttr();
  return verifySymbolType(*this, symbol, getValue().getType());
}

void ReadOp::getEffects(
    SmallVectorImpl<SideEffects::EffectInstance<MemoryEffects::Effect>>
        &effects) {
  effects.emplace_back(MemoryEffects::Read::get(), getSymbolAttr());
}

void WriteOp::getEffects(
    SmallVectorImpl<SideEffects::EffectInstance<MemoryEffects::Effect>>
        &effects) {
  effects.emplace_back(MemoryEffects::Write::get(), getSymbolAttr());
}

//===----------------------------------------------------------------------===//
// Sharding
//===----------------------------------------------------------------------===//

LogicalResult ShardOp::verify() {
  if (failed(sameShapes(*this)) ||
      failed(requireElement(*this, "C1", getOperand(), getResult())))
    return failure();
  return require(*this,
                 static_cast<int64_t>(getSharding()->dims.size()) ==
                     type(getOperand()).getRank(),
                 "C2",
                 "expected one entry per dimension (" +
                     Twine(type(getOperand()).getRank()) + "), found " +
                     Twine(getSharding()->dims.size()));
}

LogicalResult ReshardOp::verify() {
  if (failed(sameShapes(*this)) ||
      failed(requireElement(*this, "C1", getOperand(), getResult())))
    return failure();
  return require(*this,
                 tpc::getSharding(getOperand().getType()) &&
                     tpc::getSharding(getResult().getType()),
                 "C2", "expected a sharding on operand and result");
}

//===----------------------------------------------------------------------===//
// Core operations
//===----------------------------------------------------------------------===//

LogicalResult ConstantOp::verify() {
  auto value = cast<ShapedType>(getValue().getType());
  if (failed(requireShape(*this, "C1", "value", value.getShape(),
                          shape(getResult()))))
    return failure();
  if (failed(require(*this, value.getElementType() == element(getResult()),
                     "C1", "value and result differ in element type")))
    return failure();
  return require(*this, isa<DenseElementsAttr>(getValue()), "C2",
                 "expected a dense<...> value");
}

OpFoldResult ConstantOp::fold(FoldAdaptor) {
  return tpc::getSharding(getResult().getType()) ? Attribute() : getValue();
}

LogicalResult IotaOp::verify() {
  return requireDim(*this, getDim(), type(getResult()).getRank());
}

LogicalResult MatmulOp::verify() {
  return verifyEquation(*this, getEquation(), getLhs(), getRhs(), getResult());
}

#define TPC_VERIFY_UNARY(Op)                                                   \
  LogicalResult Op::verify() {                                                 \
    if (failed(sameShapes(*this)))                                             \
      return failure();                                                        \
    return requireElement(*this, "C1", getOperand(), getResult());             \
  }
#define TPC_VERIFY_BINARY(Op)                                                  \
  LogicalResult Op::verify() {                                                 \
    if (failed(sameShapes(*this)) ||                                           \
        failed(requireElement(*this, "C2", getLhs(), getRhs())))               \
      return failure();                                                        \
    return requireElement(*this, "C2", getLhs(), getResult());                 \
  }
TPC_VERIFY_UNARY(AgainOp)
TPC_VERIFY_UNARY(NegOp)
TPC_VERIFY_UNARY(AbsOp)
TPC_VERIFY_UNARY(ExpOp)
TPC_VERIFY_UNARY(LogOp)
TPC_VERIFY_UNARY(SqrtOp)
TPC_VERIFY_UNARY(RsqrtOp)
TPC_VERIFY_UNARY(SinOp)
TPC_VERIFY_UNARY(CosOp)
TPC_VERIFY_UNARY(TanhOp)
TPC_VERIFY_UNARY(ErfOp)
TPC_VERIFY_UNARY(NotOp)
TPC_VERIFY_BINARY(AddOp)
TPC_VERIFY_BINARY(SubOp)
TPC_VERIFY_BINARY(MulOp)
TPC_VERIFY_BINARY(DivOp)
TPC_VERIFY_BINARY(MaxOp)
TPC_VERIFY_BINARY(MinOp)
TPC_VERIFY_BINARY(PowOp)
TPC_VERIFY_BINARY(AndOp)
TPC_VERIFY_BINARY(OrOp)
#undef TPC_VERIFY_UNARY
#undef TPC_VERIFY_BINARY

LogicalResult CompareOp::verify() {
  if (failed(sameShapes(*this)))
    return failure();
  return requireElement(*this, "C2", getLhs(), getRhs());
}

LogicalResult SelectOp::verify() {
  if (failed(sameShapes(*this)) ||
      failed(requireElement(*this, "C2", getOnTrue(), getOnFalse())))
    return failure();
  return requireElement(*this, "C2", getOnTrue(), getResult());
}

LogicalResult ConvertOp::verify() { return sameShapes(*this); }

OpFoldResult ConvertOp::fold(FoldAdaptor) {
  return getOperand().getType() == getResult().getType() ? getOperand()
                                                         : Value();
}

LogicalResult ReduceOp::verify() {
  if (failed(requireAscending(*this, getDims(), type(getOperand()).getRank())))
    return failure();
  SmallVector<int64_t> expected;
  for (auto [dim, size] : llvm::enumerate(shape(getOperand())))
    if (!llvm::is_contained(getDims(), static_cast<int64_t>(dim)))
      expected.push_back(size);
  if (failed(requireShape(*this, "C2", "result", shape(getResult()), expected)))
    return failure();
  return requireElement(*this, "C3", getOperand(), getResult());
}

LogicalResult BroadcastOp::verify() {
  Shape from = shape(getOperand()), to = shape(getResult());
  if (failed(require(*this, getDims().size() == from.size(), "C1",
                     "expected one entry per operand dimension")) ||
      failed(requireAscending(*this, getDims(), to.size())))
    return failure();
  for (auto [size, dim] : llvm::zip_equal(from, getDims()))
    if (failed(require(*this, size == 1 || size == to[dim], "C2",
                       "expected size 1 or " + Twine(to[dim]) +
                           " for dimension " + Twine(dim) +
                           " of the result, found " + Twine(size))))
      return failure();
  return requireElement(*this, "C3", getOperand(), getResult());
}

LogicalResult ReshapeOp::verify() {
  if (failed(require(*this,
                     type(getOperand()).getNumElements() ==
                         type(getResult()).getNumElements(),
                     "C1",
                     "expected equally many elements, found " +
                         text(shape(getOperand())) + " and " +
                         text(shape(getResult())))))
    return failure();
  return requireElement(*this, "C2", getOperand(), getResult());
}

LogicalResult TransposeOp::verify() {
  Shape from = shape(getOperand());
  if (failed(require(*this,
                     getPermutation().size() == from.size() &&
                         isPermutationVector(getPermutation()),
                     "C1", "expected a permutation of the dimensions")))
    return failure();
  SmallVector<int64_t> expected;
  for (int64_t dim : getPermutation())
    expected.push_back(from[dim]);
  if (failed(requireShape(*this, "C2", "result", shape(getResult()), expected)))
    return failure();
  return requireElement(*this, "C3", getOperand(), getResult());
}

LogicalResult SliceOp::verify() {
  Shape from = shape(getOperand()), to = shape(getResult());
  if (failed(require(*this, from.size() == to.size(), "C3",
                     "expected equal ranks")) ||
      failed(requireElement(*this, "C3", getOperand(), getResult())) ||
      failed(require(
          *this,
          getOffsets().size() == from.size() &&
              llvm::all_of(getOffsets(), [](int64_t o) { return o >= 0; }),
          "C1", "expected one offset per dimension, not negative")))
    return failure();
  for (auto [i, offset] : llvm::enumerate(getOffsets()))
    if (failed(require(*this, offset <= from[i] - to[i], "C2",
                       "dimension " + Twine(i) + ": expected " + Twine(to[i]) +
                           " elements from offset " + Twine(offset) +
                           " inside of " + Twine(from[i]))))
      return failure();
  return success();
}

/// The checks that dynamic_slice and update_slice share: ranks and element
/// types (C2), sizes (C3).
static LogicalResult verifyPart(Operation *op, Value whole, Value part) {
  Shape from = shape(whole), to = shape(part);
  if (failed(require(op, from.size() == to.size(), "C2",
                     "expected equal ranks")) ||
      failed(requireElement(op, "C2", whole, part)))
    return failure();
  for (auto [i, sizes] : llvm::enumerate(llvm::zip_equal(from, to)))
    if (failed(require(op, std::get<1>(sizes) <= std::get<0>(sizes), "C3",
                       "dimension " + Twine(i) + ": " +
                           Twine(std::get<1>(sizes)) + " is larger than " +
                           Twine(std::get<0>(sizes)))))
      return failure();
  return success();
}

LogicalResult DynamicSliceOp::verify() {
  if (failed(requireShape(*this, "C1", "start", shape(getStart()),
                          {type(getOperand()).getRank()})))
    return failure();
  return verifyPart(*this, getOperand(), getResult());
}

LogicalResult UpdateSliceOp::verify() {
  Shape whole = shape(getOperand());
  int64_t rank = whole.size();
  SmallVector<int64_t> start{rank};
  if (startsPerRow() && rank > 0) {
    start = {whole[0], rank - 1};
    if (failed(require(
            *this, shape(getUpdate()).take_front() == whole.take_front(), "C1",
            "a start per row: expected an update with dimension 0 "
            "of size " +
                Twine(whole[0]) + ", found shape " + text(shape(getUpdate())))))
      return failure();
  }
  if (failed(requireShape(*this, "C1", "start", shape(getStart()), start)) ||
      failed(verifyPart(*this, getOperand(), getUpdate())) ||
      failed(requireShape(*this, "C4", "result", shape(getResult()),
                          shape(getOperand()))))
    return failure();
  return requireElement(*this, "C4", getOperand(), getResult());
}

LogicalResult PadOp::verify() {
  Shape from = shape(getOperand()), to = shape(getResult());
  if (failed(require(*this, from.size() == to.size(), "C3",
                     "expected equal ranks")) ||
      failed(requireElement(*this, "C3", getOperand(), getResult())) ||
      failed(
          require(*this,
                  getLow().size() == from.size() &&
                      llvm::all_of(getLow(), [](int64_t n) { return n >= 0; }),
                  "C1", "expected one entry per dimension, not negative")))
    return failure();
  for (auto [i, low] : llvm::enumerate(getLow()))
    if (failed(require(*this, low <= to[i] - from[i], "C2",
                       "dimension " + Twine(i) + ": expected " +
                           Twine(from[i]) + " elements behind " + Twine(low) +
                           " of padding inside of " + Twine(to[i]))))
      return failure();
  return success();
}

LogicalResult ConcatOp::verify() {
  Shape to = shape(getResult());
  if (failed(requireDim(*this, getDim(), to.size())))
    return failure();
  int64_t sum = 0;
  for (Value operand : getOperands()) {
    Shape from = shape(operand);
    if (failed(require(*this, from.size() == to.size(), "C2",
                       "expected equal ranks")) ||
        failed(requireElement(*this, "C2", operand, getResult())))
      return failure();
    for (auto [i, size] : llvm::enumerate(from))
      if (failed(require(*this,
                         static_cast<int64_t>(i) ==
                                 static_cast<int64_t>(getDim()) ||
                             size == to[i],
                         "C3",
                         "dimension " + Twine(i) + ": expected " +
                             Twine(to[i]) + ", found " + Twine(size))))
        return failure();
    sum += from[getDim()];
  }
  return require(*this, sum == to[getDim()], "C3",
                 "expected " + Twine(sum) + " along the dimension, found " +
                     Twine(to[getDim()]));
}

LogicalResult GatherOp::verify() {
  if (failed(requireDim(*this, getDim(), type(getTable()).getRank())) ||
      failed(requireShape(
          *this, "C2", "result", shape(getResult()),
          gatheredShape(shape(getTable()), shape(getIndices()), getDim()))))
    return failure();
  return requireElement(*this, "C3", getTable(), getResult());
}

LogicalResult ScatterAddOp::verify() {
  if (failed(requireDim(*this, getDim(), type(getOperand()).getRank())) ||
      failed(requireShape(
          *this, "C2", "updates", shape(getUpdates()),
          gatheredShape(shape(getOperand()), shape(getIndices()), getDim()))) ||
      failed(requireElement(*this, "C3", getOperand(), getUpdates())) ||
      failed(requireElement(*this, "C3", getOperand(), getResult())))
    return failure();
  return requireShape(*this, "C3", "result", shape(getResult()),
                      shape(getOperand()));
}

LogicalResult SortOp::verify() {
  if (failed(require(*this, type(getOperand()).getRank() >= 1, "C1",
                     "expected a rank of at least 1")) ||
      failed(requireShape(*this, "C1", "values", shape(getValues()),
                          shape(getOperand()))) ||
      failed(requireElement(*this, "C1", getOperand(), getValues())))
    return failure();
  return requireShape(*this, "C2", "positions", shape(getPositions()),
                      shape(getOperand()));
}

LogicalResult TopKOp::verify() {
  Shape from = shape(getOperand()), to = shape(getValues());
  if (failed(require(*this,
                     !from.empty() && from.size() == to.size() &&
                         to.back() >= 1 && to.back() <= from.back(),
                     "C1", "expected 1 <= k <= the last dimension")) ||
      failed(
          requireShape(*this, "C1", "positions", shape(getPositions()), to)) ||
      failed(requireShape(*this, "C2", "values' other dimensions",
                          to.drop_back(), from.drop_back())))
    return failure();
  return requireElement(*this, "C2", getOperand(), getValues());
}
