//===- LaneOps.cpp - Elements in memory and in registers ------------------===//

#include "LaneOps.h"
#include "VectorMath.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include <limits>

using namespace mlir;
using namespace tpc;

Type LaneOps::storageType(Type element) {
  if (element.isBF16() || element.isF16())
    return builder.getI16Type();
  return element.isInteger(1) ? builder.getI8Type() : element;
}

Type LaneOps::registerType(Type element) {
  return element.isBF16() || element.isF16() ? builder.getF32Type() : element;
}

Type LaneOps::vectorOf(Type type) {
  return lanes == 1 ? type : VectorType::get({lanes}, type);
}

bool LaneOps::isVector(Value value) { return isa<VectorType>(value.getType()); }

Value LaneOps::like(Value value, int64_t constant) {
  return VectorMath(builder, loc).integer(constant, value.getType());
}

//===----------------------------------------------------------------------===//
// Indices and lanes
//===----------------------------------------------------------------------===//

Value LaneOps::i64(int64_t value) {
  Value &constant = integers[value];
  if (!constant) {
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(entry);
    constant = arith::ConstantOp::create(builder, loc,
                                         builder.getI64IntegerAttr(value));
  }
  return constant;
}

static std::optional<int64_t> constantOf(Value value) {
  if (auto constant = value.getDefiningOp<arith::ConstantOp>())
    if (auto integer = dyn_cast<IntegerAttr>(constant.getValue()))
      return integer.getInt();
  return std::nullopt;
}

Value LaneOps::add(Value a, Value b) {
  std::optional<int64_t> x = constantOf(a), y = constantOf(b);
  if (x && y)
    return i64(*x + *y);
  if (x == 0)
    return b;
  if (y == 0)
    return a;
  return arith::AddIOp::create(builder, loc, a, b);
}

Value LaneOps::mul(Value a, int64_t factor) {
  if (auto x = constantOf(a))
    return i64(*x * factor);
  if (factor == 1)
    return a;
  return arith::MulIOp::create(builder, loc, a, i64(factor));
}

Value LaneOps::addressOf(Value pointer, Value index, Type element) {
  return LLVM::GEPOp::create(builder, loc, pointer.getType(),
                             storageType(element), pointer,
                             ArrayRef<LLVM::GEPArg>{index});
}

Value LaneOps::spread(Value scalar) {
  if (isVector(scalar) || lanes == 1)
    return scalar;
  return vector::BroadcastOp::create(builder, loc, vectorOf(scalar.getType()),
                                     scalar);
}

Value LaneOps::lane(Value value, int64_t number) {
  if (!isVector(value))
    return value;
  return vector::ExtractOp::create(builder, loc, value, number);
}

void LaneOps::unify(MutableArrayRef<Value> values) {
  if (llvm::any_of(values, [&](Value v) { return isVector(v); }))
    for (Value &value : values)
      value = spread(value);
}

Value LaneOps::laneIndices(Value base) {
  if (lanes == 1)
    return base;
  auto type = cast<VectorType>(vectorOf(builder.getI64Type()));
  auto steps = llvm::to_vector(llvm::seq<int64_t>(0, lanes));
  Value offsets = arith::ConstantOp::create(
      builder, loc, DenseElementsAttr::get(type, ArrayRef<int64_t>(steps)));
  return arith::AddIOp::create(builder, loc, spread(base), offsets);
}

Value LaneOps::firstLanes(int64_t count) {
  SmallVector<bool> mask;
  for (int64_t i = 0; i < lanes; ++i)
    mask.push_back(i < count);
  auto type = VectorType::get({lanes}, builder.getI1Type());
  return arith::ConstantOp::create(
      builder, loc, DenseElementsAttr::get(type, ArrayRef(mask)));
}

Value LaneOps::zero(Type type) {
  TypedAttr attr = builder.getZeroAttr(type);
  return arith::ConstantOp::create(builder, loc, attr);
}

Value LaneOps::compareIndex(arith::CmpIPredicate predicate, Value a, Value b) {
  std::optional<int64_t> x = constantOf(a), y = constantOf(b);
  if (x && y)
    return arith::ConstantOp::create(
        builder, loc,
        builder.getBoolAttr(arith::applyCmpPredicate(
            predicate, APInt(64, *x, true), APInt(64, *y, true))));
  Value values[] = {a, b};
  unify(values);
  return arith::CmpIOp::create(builder, loc, predicate, values[0], values[1]);
}

Value LaneOps::both(Value a, Value b) {
  if (!a || !b)
    return a ? a : b;
  Value values[] = {a, b};
  unify(values);
  return arith::AndIOp::create(builder, loc, values[0], values[1]);
}

Value LaneOps::select(Value condition, Value a, Value b) {
  // A scalar condition chooses between vectors as it is.
  Value values[] = {a, b};
  unify(values);
  if (isVector(condition)) {
    values[0] = spread(values[0]);
    values[1] = spread(values[1]);
  }
  return arith::SelectOp::create(builder, loc, condition, values[0], values[1]);
}

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

Value LaneOps::load(Value pointer, Value index, Type element, bool vector,
                    Value mask, int64_t alignment) {
  Value address = addressOf(pointer, index, element);
  Type type = storageType(element);
  if (vector)
    type = vectorOf(type);
  if (!alignment)
    alignment = elementBytes(element);
  Value stored;
  if (mask && vector)
    stored = LLVM::MaskedLoadOp::create(builder, loc, type, address, mask,
                                        zero(type), alignment);
  else
    stored = LLVM::LoadOp::create(builder, loc, type, address, alignment);
  return toRegister(stored, element);
}

void LaneOps::store(Value value, Value pointer, Value index, Type element,
                    Value mask, int64_t alignment) {
  Value address = addressOf(pointer, index, element);
  Value stored = toStorage(value, element);
  if (!alignment)
    alignment = elementBytes(element);
  if (mask && isVector(stored))
    LLVM::MaskedStoreOp::create(builder, loc, stored, address, mask, alignment);
  else
    LLVM::StoreOp::create(builder, loc, stored, address, alignment);
}

Value LaneOps::toRegister(Value stored, Type element) {
  Type type = stored.getType();
  if (element.isBF16()) {
    Type wide = withElement(type, builder.getI32Type());
    Value bits = arith::ExtUIOp::create(builder, loc, wide, stored);
    bits = arith::ShLIOp::create(builder, loc, bits, like(bits, 16));
    return arith::BitcastOp::create(
        builder, loc, withElement(type, builder.getF32Type()), bits);
  }
  if (element.isF16()) {
    Value half = arith::BitcastOp::create(
        builder, loc, withElement(type, builder.getF16Type()), stored);
    return arith::ExtFOp::create(builder, loc,
                                 withElement(type, builder.getF32Type()), half);
  }
  if (element.isInteger(1))
    return arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ne, stored,
                                 like(stored, 0));
  return stored;
}

/// The upper half holds the bf16 nearest to an f32, ties to even; NaN stays
/// NaN.
Value LaneOps::bf16Bits(Value f32) {
  Type type = withElement(f32.getType(), builder.getI32Type());
  Value bits = arith::BitcastOp::create(builder, loc, type, f32);
  Value odd = arith::AndIOp::create(
      builder, loc, arith::ShRUIOp::create(builder, loc, bits, like(bits, 16)),
      like(bits, 1));
  Value bias = arith::AddIOp::create(builder, loc, odd, like(bits, 0x7fff));
  Value up = arith::AddIOp::create(builder, loc, bits, bias);
  Value isNaN =
      arith::CmpFOp::create(builder, loc, arith::CmpFPredicate::UNO, f32, f32);
  Value quiet = arith::OrIOp::create(builder, loc, bits, like(bits, 0x400000));
  return arith::SelectOp::create(builder, loc, isNaN, quiet, up);
}

Value LaneOps::rounded(Value value, Type element) {
  if (element.isBF16() && target.roundsToBf16) {
    Value half = arith::TruncFOp::create(
        builder, loc, withElement(value.getType(), builder.getBF16Type()),
        value);
    Value bits = arith::BitcastOp::create(
        builder, loc, withElement(value.getType(), builder.getI16Type()), half);
    return toRegister(bits, element);
  }
  if (element.isBF16()) {
    Value bits = bf16Bits(value);
    Value upper = arith::AndIOp::create(builder, loc, bits,
                                        like(bits, int32_t(0xffff0000)));
    return arith::BitcastOp::create(builder, loc, value.getType(), upper);
  }
  if (element.isF16()) {
    Value half = arith::TruncFOp::create(
        builder, loc, withElement(value.getType(), builder.getF16Type()),
        value);
    return arith::ExtFOp::create(builder, loc, value.getType(), half);
  }
  return value;
}

Value LaneOps::toStorage(Value value, Type element) {
  Type i16 = withElement(value.getType(), builder.getI16Type());
  if (element.isBF16()) {
    // Already rounded: the lower half is zero.
    Value bits = arith::BitcastOp::create(
        builder, loc, withElement(value.getType(), builder.getI32Type()),
        value);
    bits = arith::ShRUIOp::create(builder, loc, bits, like(bits, 16));
    return arith::TruncIOp::create(builder, loc, i16, bits);
  }
  if (element.isF16()) {
    Value half = arith::TruncFOp::create(
        builder, loc, withElement(value.getType(), builder.getF16Type()),
        value);
    return arith::BitcastOp::create(builder, loc, i16, half);
  }
  if (element.isInteger(1))
    return arith::ExtUIOp::create(
        builder, loc, withElement(value.getType(), builder.getI8Type()), value);
  return value;
}

//===----------------------------------------------------------------------===//
// Conversions
//===----------------------------------------------------------------------===//

Value LaneOps::splat(DenseElementsAttr value) {
  Type element = value.getElementType();
  if (auto floating = dyn_cast<FloatType>(element)) {
    double number = value.getSplatValue<APFloat>().convertToDouble();
    return arith::ConstantOp::create(
        builder, loc,
        FloatAttr::get(cast<FloatType>(registerType(floating)), number));
  }
  return arith::ConstantOp::create(
      builder, loc, IntegerAttr::get(element, value.getSplatValue<APInt>()));
}

Value LaneOps::toIndex(Value value) {
  if (getElementTypeOrSelf(value).isInteger(64))
    return value;
  return arith::ExtSIOp::create(
      builder, loc, withElement(value.getType(), builder.getI64Type()), value);
}

Value LaneOps::fromIndex(Value index, Type element) {
  return convert(index, builder.getI64Type(), element);
}

Value LaneOps::convert(Value value, Type from, Type to) {
  Type source = registerType(from), target = registerType(to);
  Type type = withElement(value.getType(), target);
  Value result = value;
  if (target.isInteger(1)) {
    Value zeros = zero(value.getType());
    if (isa<FloatType>(source))
      return arith::CmpFOp::create(builder, loc, arith::CmpFPredicate::UNE,
                                   value, zeros);
    return arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ne, value,
                                 zeros);
  }
  if (source == target) {
    result = value;
  } else if (isa<FloatType>(source) && isa<FloatType>(target)) {
    result = source.isF32()
                 ? Value(arith::ExtFOp::create(builder, loc, type, value))
                 : Value(arith::TruncFOp::create(builder, loc, type, value));
  } else if (isa<FloatType>(source)) {
    result = arith::FPToSIOp::create(builder, loc, type, value);
  } else if (source.isInteger(1)) {
    result = isa<FloatType>(target)
                 ? Value(arith::UIToFPOp::create(builder, loc, type, value))
                 : Value(arith::ExtUIOp::create(builder, loc, type, value));
  } else if (isa<FloatType>(target)) {
    result = arith::SIToFPOp::create(builder, loc, type, value);
  } else {
    result = target.isInteger(64)
                 ? Value(arith::ExtSIOp::create(builder, loc, type, value))
                 : Value(arith::TruncIOp::create(builder, loc, type, value));
  }
  return rounded(result, to);
}

//===----------------------------------------------------------------------===//
// Elementwise operations
//===----------------------------------------------------------------------===//

Value LaneOps::compare(Predicate predicate, Value a, Value b) {
  Type element = getElementTypeOrSelf(a);
  if (isa<FloatType>(element)) {
    using P = arith::CmpFPredicate;
    constexpr P predicates[] = {P::OEQ, P::UNE, P::OLT, P::OLE, P::OGT, P::OGE};
    return arith::CmpFOp::create(builder, loc,
                                 predicates[static_cast<int>(predicate)], a, b);
  }
  using P = arith::CmpIPredicate;
  constexpr P isSigned[] = {P::eq, P::ne, P::slt, P::sle, P::sgt, P::sge};
  constexpr P isUnsigned[] = {P::eq, P::ne, P::ult, P::ule, P::ugt, P::uge};
  int index = static_cast<int>(predicate);
  return arith::CmpIOp::create(
      builder, loc, element.isInteger(1) ? isUnsigned[index] : isSigned[index],
      a, b);
}

/// Towards zero. The processor traps on x/0 (also in lanes that nobody asked
/// for) and on lowest/-1: x/0 is x, x/-1 is -x.
Value LaneOps::divideIntegers(Value a, Value b) {
  using P = arith::CmpIPredicate;
  Value minusOne = like(b, -1), zeros = like(b, 0), one = like(b, 1);
  Value isZero = arith::CmpIOp::create(builder, loc, P::eq, b, zeros);
  Value isMinusOne = arith::CmpIOp::create(builder, loc, P::eq, b, minusOne);
  Value special = arith::OrIOp::create(builder, loc, isZero, isMinusOne);
  Value divisor = arith::SelectOp::create(builder, loc, special, one, b);
  Value quotient = arith::DivSIOp::create(builder, loc, a, divisor);
  Value negated = arith::SubIOp::create(builder, loc, zeros, a);
  return arith::SelectOp::create(builder, loc, isMinusOne, negated, quotient);
}

FailureOr<Value> LaneOps::floatFunction(Operation *op, ArrayRef<Value> v) {
  VectorMath math(builder, loc, target.hasExp2);
  if (isa<ErfOp>(op) && getElementTypeOrSelf(v[0]).isF64())
    return op->emitOpError("has no code for f64; convert to f32");
  return TypeSwitch<Operation *, FailureOr<Value>>(op)
      .Case([&](NegOp) {
        return Value(arith::NegFOp::create(builder, loc, v[0]));
      })
      .Case([&](AbsOp) { return math.abs(v[0]); })
      .Case([&](ExpOp) { return math.exp(v[0]); })
      .Case([&](LogOp) { return math.log(v[0]); })
      .Case([&](SqrtOp) { return math.sqrt(v[0]); })
      .Case([&](RsqrtOp) { return math.rsqrt(v[0]); })
      .Case([&](SinOp) { return math.sin(v[0]); })
      .Case([&](CosOp) { return math.cos(v[0]); })
      .Case([&](TanhOp) { return math.tanh(v[0]); })
      .Case([&](ErfOp) { return math.erf(v[0]); })
      .Case([&](PowOp) { return math.pow(v[0], v[1]); })
      .Case([&](AddOp) {
        return Value(arith::AddFOp::create(builder, loc, v[0], v[1]));
      })
      .Case([&](SubOp) {
        return Value(arith::SubFOp::create(builder, loc, v[0], v[1]));
      })
      .Case([&](MulOp) {
        return Value(arith::MulFOp::create(builder, loc, v[0], v[1]));
      })
      .Case([&](DivOp) {
        return Value(arith::DivFOp::create(builder, loc, v[0], v[1]));
      })
      .Case([&](MaxOp) { return combine(Reduction::Max, v[0], v[1]); })
      .Case([&](MinOp) { return combine(Reduction::Min, v[0], v[1]); })
      .Default([](Operation *op) -> FailureOr<Value> {
        return op->emitOpError("has no code for floating point");
      });
}

FailureOr<Value> LaneOps::elementwise(Operation *op, ArrayRef<Value> operands) {
  SmallVector<Value> v(operands);
  unify(v);
  auto elementOf = [](Value value) {
    return cast<RankedTensorType>(value.getType()).getElementType();
  };
  Type element = elementOf(op->getResult(0));
  if (auto compareOp = dyn_cast<CompareOp>(op))
    return compare(compareOp.getPredicate(), v[0], v[1]);
  if (isa<SelectOp>(op))
    return Value(arith::SelectOp::create(builder, loc, v[0], v[1], v[2]));
  if (isa<ConvertOp>(op))
    return convert(v[0], elementOf(op->getOperand(0)), element);
  if (isa<FloatType>(element)) {
    FailureOr<Value> result = floatFunction(op, v);
    if (failed(result))
      return failure();
    return rounded(*result, element);
  }
  return TypeSwitch<Operation *, FailureOr<Value>>(op)
      .Case([&](NegOp) {
        return Value(arith::SubIOp::create(builder, loc, like(v[0], 0), v[0]));
      })
      .Case([&](AbsOp) {
        Value negated =
            arith::SubIOp::create(builder, loc, like(v[0], 0), v[0]);
        return Value(arith::MaxSIOp::create(builder, loc, v[0], negated));
      })
      .Case([&](NotOp) {
        return Value(arith::XOrIOp::create(builder, loc, v[0], like(v[0], 1)));
      })
      .Case([&](AddOp) {
        return Value(arith::AddIOp::create(builder, loc, v[0], v[1]));
      })
      .Case([&](SubOp) {
        return Value(arith::SubIOp::create(builder, loc, v[0], v[1]));
      })
      .Case([&](MulOp) {
        return Value(arith::MulIOp::create(builder, loc, v[0], v[1]));
      })
      .Case([&](DivOp) { return divideIntegers(v[0], v[1]); })
      .Case([&](MaxOp) { return combine(Reduction::Max, v[0], v[1]); })
      .Case([&](MinOp) { return combine(Reduction::Min, v[0], v[1]); })
      .Case([&](AndOp) {
        return Value(arith::AndIOp::create(builder, loc, v[0], v[1]));
      })
      .Case([&](OrOp) {
        return Value(arith::OrIOp::create(builder, loc, v[0], v[1]));
      })
      .Default([](Operation *op) -> FailureOr<Value> {
        return op->emitOpError("has no code for integers");
      });
}

//===----------------------------------------------------------------------===//
// Reductions
//===----------------------------------------------------------------------===//

/// NaN wins in max and min.
Value LaneOps::combine(Reduction reduction, Value a, Value b) {
  Value values[] = {a, b};
  unify(values);
  a = values[0], b = values[1];
  bool isFloat = isa<FloatType>(getElementTypeOrSelf(a));
  switch (reduction) {
  case Reduction::Sum:
    return isFloat ? Value(arith::AddFOp::create(builder, loc, a, b))
                   : Value(arith::AddIOp::create(builder, loc, a, b));
  case Reduction::Max:
    return isFloat ? Value(arith::MaximumFOp::create(builder, loc, a, b))
                   : Value(arith::MaxSIOp::create(builder, loc, a, b));
  case Reduction::Min:
    return isFloat ? Value(arith::MinimumFOp::create(builder, loc, a, b))
                   : Value(arith::MinSIOp::create(builder, loc, a, b));
  }
  llvm_unreachable("unknown reduction");
}

Value LaneOps::identity(Reduction reduction, Type type) {
  if (reduction == Reduction::Sum)
    return zero(type);
  bool lowest = reduction == Reduction::Max;
  if (auto floating = dyn_cast<FloatType>(type)) {
    double infinity = std::numeric_limits<double>::infinity();
    return arith::ConstantOp::create(
        builder, loc, FloatAttr::get(floating, lowest ? -infinity : infinity));
  }
  unsigned bits = type.getIntOrFloatBitWidth();
  return arith::ConstantOp::create(
      builder, loc,
      IntegerAttr::get(type, lowest ? APInt::getSignedMinValue(bits)
                                    : APInt::getSignedMaxValue(bits)));
}

Value LaneOps::acrossLanes(Reduction reduction, Value vector) {
  if (!isVector(vector))
    return vector;
  using K = vector::CombiningKind;
  bool isFloat = isa<FloatType>(getElementTypeOrSelf(vector));
  K kind = reduction == Reduction::Sum   ? K::ADD
           : reduction == Reduction::Max ? (isFloat ? K::MAXIMUMF : K::MAXSI)
                                         : (isFloat ? K::MINIMUMF : K::MINSI);
  auto flags = reduction == Reduction::Sum && isFloat
                   ? arith::FastMathFlags::reassoc
                   : arith::FastMathFlags::none;
  return vector::ReductionOp::create(builder, loc, kind, vector, flags);
}
