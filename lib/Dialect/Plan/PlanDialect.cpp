//===- PlanDialect.cpp - The plan dialect and its attributes --------------===//

#include "tpc/Dialect/Plan/Plan.h"

using namespace mlir;
using namespace tpc;
using namespace tpc::plan;

#include "tpc/Dialect/Plan/PlanDialect.cpp.inc"
#include "tpc/Dialect/Plan/PlanEnums.cpp.inc"

#define GET_ATTRDEF_CLASSES
#include "tpc/Dialect/Plan/PlanAttrs.cpp.inc"

void PlanDialect::initialize() {
  registerAttributes();
  addOperations<
#define GET_OP_LIST
#include "tpc/Dialect/Plan/PlanOps.cpp.inc"
      >();
}

void PlanDialect::registerAttributes() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "tpc/Dialect/Plan/PlanAttrs.cpp.inc"
      >();
}

Attribute PlaceAttr::parse(AsmParser &parser, Type) {
  SMLoc loc = parser.getCurrentLocation();
  StringRef keyword;
  FlatSymbolRefAttr symbol;
  int64_t offset = 0;
  if (parser.parseLess() || parser.parseKeyword(&keyword))
    return {};
  std::optional<Space> space = symbolizeSpace(keyword);
  if (!space) {
    parser.emitError(loc, "expected a memory space, found ") << keyword;
    return {};
  }
  OptionalParseResult hasSymbol = parser.parseOptionalAttribute(symbol);
  if ((hasSymbol.has_value() && failed(*hasSymbol)) || parser.parsePlus() ||
      parser.parseInteger(offset) || parser.parseGreater())
    return {};
  return PlaceAttr::getChecked([&] { return parser.emitError(loc); },
                               parser.getContext(), *space, symbol, offset);
}

void PlaceAttr::print(AsmPrinter &printer) const {
  printer << '<' << stringifySpace(getSpace());
  if (getSymbol())
    printer << ' ' << getSymbol();
  printer << " + " << getOffset() << '>';
}

LogicalResult PlaceAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                                Space space, FlatSymbolRefAttr symbol,
                                int64_t offset) {
  if (offset < 0)
    return emitError() << "C1: negative offset";
  bool named = space == Space::Parameter || space == Space::State;
  if (named != (symbol != nullptr))
    return emitError() << "C2: " << stringifySpace(space)
                       << (named ? " needs" : " has no") << " symbol";
  return success();
}

//===----------------------------------------------------------------------===//
// Locations of values
//===----------------------------------------------------------------------===//

Value plan::rootOf(Value value) {
  while (auto view = value.getDefiningOp<ViewOp>())
    value = view.getOperand();
  return value;
}

int64_t plan::bytesOf(Value value) {
  return tensorBytes(cast<RankedTensorType>(value.getType()));
}

PlaceAttr plan::placeOf(Value value) {
  auto result = dyn_cast<OpResult>(value);
  if (!result)
    return {};
  Operation *op = result.getOwner();
  auto own = [&](Space space, FlatSymbolRefAttr symbol = {}) {
    return PlaceAttr::get(op->getContext(), space, symbol, 0);
  };
  return TypeSwitch<Operation *, PlaceAttr>(op)
      .Case<InputOp, MatmulOp, GroupedMatmulOp, AttentionOp, CollectiveOp>(
          [](auto op) { return op.getAtAttr(); })
      .Case([&](KernelOp kernel) {
        ArrayAttr all = kernel.getAtAttr();
        return all ? cast<PlaceAttr>(all[result.getResultNumber()])
                   : PlaceAttr();
      })
      .Case([&](ParameterOp op) {
        return own(Space::Parameter, op.getSymbolAttr());
      })
      .Case([&](StateOp op) { return own(Space::State, op.getSymbolAttr()); })
      .Case([&](ConstantOp) { return own(Space::Constant); })
      .Case([&](DeviceScalarOp) { return own(Space::DeviceScalar); })
      .Case([&](ViewOp view) {
        PlaceAttr base = placeOf(view.getOperand());
        if (!base)
          return base;
        int64_t element = elementBytes(
            cast<RankedTensorType>(value.getType()).getElementType());
        return PlaceAttr::get(op->getContext(), base.getSpace(),
                              base.getSymbol(),
                              base.getOffset() + view.getOffset() * element);
      })
      .Default([](Operation *) { return PlaceAttr(); });
}

void plan::setPlace(OpResult result, PlaceAttr location) {
  TypeSwitch<Operation *>(result.getOwner())
      .Case<InputOp, MatmulOp, GroupedMatmulOp, AttentionOp, CollectiveOp>(
          [&](auto op) { op.setAtAttr(location); })
      .Case([&](KernelOp kernel) {
        SmallVector<Attribute> all(kernel.getNumResults(), location);
        if (kernel.getAtAttr())
          all.assign(kernel.getAtAttr().begin(), kernel.getAtAttr().end());
        all[result.getResultNumber()] = location;
        kernel.setAtAttr(ArrayAttr::get(location.getContext(), all));
      });
}
