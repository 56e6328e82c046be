//===- GraphBuilder.cpp - Building a model's graph ------------------------===//

#include "GraphBuilder.h"
#include "tpc/Dialect/Tpc/Einsum.h"
#include "tpc/Dialect/Tpc/ElementTypes.h"
#include "tpcrt/Safetensors.h"
#include "llvm/ADT/StringExtras.h"
#include <cstring>

using namespace mlir;
using namespace tpc;
using Shape = GraphBuilder::Shape;

GraphBuilder::GraphBuilder(ModuleOp module, Location location, Type element,
                           Type stored, const tpcrt::WeightSource *weights)
    : module(module), location(location), elementType(element),
      storedType(stored), weights(weights), builder(module.getContext()) {}

Location GraphBuilder::loc() {
  return NameLoc::get(builder.getStringAttr(scope), location);
}

GraphBuilder::Scope::Scope(GraphBuilder &builder, StringRef name)
    : builder(builder), outer(builder.scope) {
  builder.scope = name.str();
}
GraphBuilder::Scope::~Scope() { builder.scope = outer; }

Shape GraphBuilder::shapeOf(Value value) {
  return cast<RankedTensorType>(value.getType()).getShape();
}
Type GraphBuilder::elementOf(Value value) {
  return cast<RankedTensorType>(value.getType()).getElementType();
}
RankedTensorType GraphBuilder::tensor(Shape shape, Type element) {
  return RankedTensorType::get(shape, element);
}

//===----------------------------------------------------------------------===//
// Entries
//===----------------------------------------------------------------------===//

SmallVector<Value> GraphBuilder::begin(StringRef entry,
                                       ArrayRef<Input> inputs) {
  SmallVector<Type> types;
  for (const Input &input : inputs)
    types.push_back(input.type);
  builder.setInsertionPointToEnd(module.getBody());
  function = func::FuncOp::create(builder, location, entry,
                                  builder.getFunctionType(types, {}));
  Block *body = function.addEntryBlock();
  for (auto [i, input] : llvm::enumerate(inputs))
    function.setArgAttr(i, kNameAttrName, builder.getStringAttr(input.name));
  builder.setInsertionPointToStart(body);
  return llvm::to_vector_of<Value>(body->getArguments());
}

Value GraphBuilder::addInput(const Input &input) {
  unsigned index = function.getNumArguments();
  auto name =
      builder.getNamedAttr(kNameAttrName, builder.getStringAttr(input.name));
  // The type is complete in end().
  (void)function.insertArgument(index, input.type,
                                builder.getDictionaryAttr(name), location);
  return function.getArgument(index);
}

void GraphBuilder::end(ArrayRef<std::pair<std::string, Value>> results) {
  SmallVector<Value> values;
  SmallVector<Type> types;
  for (const auto &[name, value] : results) {
    values.push_back(value);
    types.push_back(value.getType());
  }
  func::ReturnOp::create(builder, location, values);
  function.setType(builder.getFunctionType(function.getArgumentTypes(), types));
  for (auto [i, result] : llvm::enumerate(results))
    function.setResultAttr(i, kNameAttrName,
                           builder.getStringAttr(result.first));
}

//===----------------------------------------------------------------------===//
// Parameters
//===----------------------------------------------------------------------===//

static std::string text(Shape shape) {
  return "[" +
         llvm::join(llvm::map_range(
                        shape, [](int64_t n) { return std::to_string(n); }),
                    ", ") +
         "]";
}

/// The tensor in the files; null where there is none, or no files.
static const tpcrt::StoredTensor *find(const tpcrt::WeightSource *weights,
                                       StringRef name) {
  return weights ? weights->find(std::string_view(name.data(), name.size()))
                 : nullptr;
}

std::string GraphBuilder::nameInFiles(StringRef stored) const {
  StringRef rest = stored;
  if (weights && !optionalPrefix.empty() && !isStored(stored) &&
      rest.consume_front(optionalPrefix) && isStored(rest))
    return rest.str();
  return stored.str();
}

bool GraphBuilder::checkStored(StringRef stored, Shape shape) {
  // One message says enough: what is wrong with one is often wrong with all.
  if (!weights || hasFailed)
    return true;
  const tpcrt::StoredTensor *found = find(weights, stored);
  if (!found) {
    emitError(location) << "the weights have no tensor \"" << stored
                        << "\"; expected one of shape " << text(shape);
    return false;
  }
  if (SmallVector<int64_t> actual(found->shape.begin(), found->shape.end());
      Shape(actual) != shape) {
    emitError(location) << "tensor \"" << stored << "\": expected shape "
                        << text(shape) << ", found " << text(actual);
    return false;
  }
  return true;
}

/// The element type of a stored tensor, where there are weights to ask.
FailureOr<Type> GraphBuilder::elementOfStored(StringRef stored) {
  const tpcrt::StoredTensor *found = find(weights, stored);
  if (!found)
    return storedType;
  if (found->type && tpcrt::isFloat(*found->type))
    return toType(*found->type, builder.getContext());
  return emitError(location)
         << "tensor \"" << stored << "\": expected floating point, found "
         << found->dtype;
}

Value GraphBuilder::declare(StringRef symbol, ArrayRef<std::string> names,
                            Shape storedShape, Shape shape,
                            ArrayRef<ViewStepAttr> view) {
  if (declared.insert(symbol).second) {
    std::vector<std::string> stored;
    for (const std::string &name : names)
      stored.push_back(nameInFiles(name));
    Type storedElement = storedType;
    for (const std::string &name : stored) {
      hasFailed |= !checkStored(name, storedShape);
      if (hasFailed)
        break;
      FailureOr<Type> element = elementOfStored(name);
      hasFailed |= mlir::failed(element);
      if (hasFailed)
        break;
      if (name != stored.front() && *element != storedElement) {
        emitError(location)
            << "tensor \"" << name << "\": expected " << storedElement
            << " as in \"" << stored.front() << "\", found " << *element;
        hasFailed = true;
        break;
      }
      storedElement = *element;
    }
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPoint(function);
    SmallVector<Attribute> steps(view.begin(), view.end());
    SmallVector<StringRef> sources(stored.begin(), stored.end());
    ParameterOp::create(builder, location, builder.getStringAttr(symbol),
                        TypeAttr::get(tensor(shape, elementType)),
                        builder.getStrArrayAttr(sources),
                        TypeAttr::get(tensor(storedShape, storedElement)),
                        steps.empty() ? ArrayAttr()
                                      : builder.getArrayAttr(steps));
  }
  return ReadOp::create(builder, loc(), tensor(shape, elementType), symbol);
}

Value GraphBuilder::parameter(StringRef stored, Shape shape) {
  return declare(stored, stored.str(), shape, shape, {});
}

Value GraphBuilder::view(StringRef stored, Shape storedShape, Shape shape) {
  SmallVector<ViewStepAttr> steps;
  if (storedShape != shape)
    steps.push_back(
        ViewStepAttr::get(builder.getContext(), ViewKind::Reshape, shape, {}));
  return declare(stored, stored.str(), storedShape, shape, steps);
}

Value GraphBuilder::firstRows(StringRef stored, int64_t rows, Shape shape) {
  SmallVector<int64_t> storedShape(shape), zeros(shape.size(), 0);
  storedShape[0] = rows;
  return declare(
      stored, stored.str(), storedShape, shape,
      {ViewStepAttr::get(builder.getContext(), ViewKind::Slice, zeros, shape)});
}

Value GraphBuilder::weight(StringRef stored, Shape in, Shape out) {
  return weight(stored, in, out, {}, false);
}

/// The name of the parameter that is a part of a stored tensor.
static std::string partName(StringRef stored, const GraphBuilder::Part &part) {
  if (part.name.empty())
    return stored.str();
  auto [before, kind] = stored.rsplit('.');
  return (before + "." + part.name + "." + kind).str();
}

/// Adds the steps from a view [in..., rows] to the part of its rows, in
/// `shape`.
static void addPart(MLIRContext *context, SmallVectorImpl<ViewStepAttr> &view,
                    Shape in, const GraphBuilder::Part &part, Shape shape) {
  SmallVector<int64_t> cut(in), taken(in), offsets(in.size() + 2, 0);
  cut.append({part.groups, part.size});
  taken.append({part.groups, part.count});
  offsets.back() = part.first;
  if (part.size) {
    view.push_back(ViewStepAttr::get(context, ViewKind::Reshape, cut, {}));
    view.push_back(ViewStepAttr::get(context, ViewKind::Slice, offsets, taken));
  }
  if (part.size || shape.size() != in.size() + 1)
    view.push_back(ViewStepAttr::get(context, ViewKind::Reshape, shape, {}));
}

/// How many rows there are in all, of which a part has `taken`.
static int64_t storedRows(const GraphBuilder::Part &part, int64_t taken) {
  return part.size ? part.groups * part.size : taken;
}

Value GraphBuilder::weight(StringRef stored, Shape in, Shape out,
                           const Part &part, bool transposed) {
  SmallVector<int64_t> shape(in);
  shape.append(out.begin(), out.end());
  int64_t rows = storedRows(part, ShapedType::getNumElements(out));
  int64_t columns = ShapedType::getNumElements(in);
  MLIRContext *context = builder.getContext();
  SmallVector<ViewStepAttr> view;
  if (!transposed)
    view.push_back(ViewStepAttr::get(context, ViewKind::Transpose, {1, 0}, {}));
  addPart(context, view, {columns}, part, shape);
  SmallVector<int64_t> storedShape{rows, columns};
  if (transposed)
    std::swap(storedShape[0], storedShape[1]);
  return declare(partName(stored, part), stored.str(), storedShape, shape,
                 view);
}

Value GraphBuilder::storedStack(StringRef stored, int64_t count, Shape in,
                                int64_t out, const Part &part) {
  SmallVector<int64_t> before{count};
  before.append(in.begin(), in.end());
  SmallVector<int64_t> shape(before), storedShape(before);
  shape.push_back(out);
  storedShape.push_back(storedRows(part, out));
  SmallVector<ViewStepAttr> view;
  addPart(builder.getContext(), view, before, part, shape);
  std::string name = stored.str();
  if (!part.name.empty())
    name += "." + part.name.str();
  return declare(name, stored.str(), storedShape, shape, view);
}

bool GraphBuilder::isStored(StringRef stored) const {
  return find(weights, stored) != nullptr;
}

Value GraphBuilder::stackedVectors(StringRef stored, Shape shape) {
  auto [before, after] = stored.split("{}");
  int64_t size = shape.back(), count = ShapedType::getNumElements(shape) / size;
  std::vector<std::string> names;
  for (int64_t i = 0; i < count; ++i)
    names.push_back(before.str() + std::to_string(i) + after.str());
  Value stack = declare(
      before.str() + after.drop_front().str(), names, {size}, {count, size},
      {ViewStepAttr::get(builder.getContext(), ViewKind::Stack, {0}, {})});
  return reshape(stack, shape);
}

Value GraphBuilder::permuted(StringRef stored, Shape storedShape,
                             Shape permutation) {
  SmallVector<int64_t> shape;
  for (int64_t dim : permutation)
    shape.push_back(storedShape[dim]);
  return declare(stored, stored.str(), storedShape, shape,
                 {ViewStepAttr::get(builder.getContext(), ViewKind::Transpose,
                                    permutation, {})});
}

std::string GraphBuilder::tied(StringRef own, StringRef shared, bool isTied) {
  if (!isTied)
    return own.str();
  const tpcrt::StoredTensor *ownTensor = find(weights, own);
  const tpcrt::StoredTensor *sharedTensor = find(weights, shared);
  if (!ownTensor)
    return shared.str();
  bool isEqual =
      sharedTensor && ownTensor->dtype == sharedTensor->dtype &&
      ownTensor->shape == sharedTensor->shape &&
      std::memcmp(ownTensor->data, sharedTensor->data, ownTensor->bytes) == 0;
  return (isEqual ? shared : own).str();
}

Value GraphBuilder::stackedWeights(StringRef stored, int64_t count, int64_t in,
                                   int64_t out) {
  auto [before, after] = stored.split("{}");
  std::vector<std::string> names;
  for (int64_t i = 0; i < count; ++i)
    names.push_back(before.str() + std::to_string(i) + after.str());
  MLIRContext *context = builder.getContext();
  // "experts.{}.up.weight" are together "experts.up.weight".
  return declare(before.str() + after.drop_front().str(), names, {out, in},
                 {count, in, out},
                 {ViewStepAttr::get(context, ViewKind::Transpose, {1, 0}, {}),
                  ViewStepAttr::get(context, ViewKind::Stack, {0}, {})});
}

Value GraphBuilder::vector(StringRef stored, Shape shape) {
  return vector(stored, shape, {});
}

Value GraphBuilder::vector(StringRef stored, Shape shape, const Part &part) {
  SmallVector<ViewStepAttr> view;
  addPart(builder.getContext(), view, {}, part, shape);
  return declare(partName(stored, part), stored.str(),
                 {storedRows(part, ShapedType::getNumElements(shape))}, shape,
                 view);
}

void GraphBuilder::declareState(StringRef name, RankedTensorType type) {
  if (!declared.insert(name).second)
    return;
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPoint(function);
  StateOp::create(builder, location, builder.getStringAttr(name),
                  TypeAttr::get(type));
}

Value GraphBuilder::state(StringRef name, Shape shape) {
  auto type = tensor(shape, elementType);
  declareState(name, type);
  return ReadOp::create(builder, loc(), type, name);
}

void GraphBuilder::write(StringRef state, Value value) {
  declareState(state, cast<RankedTensorType>(value.getType()));
  WriteOp::create(builder, loc(), state, value);
}

//===----------------------------------------------------------------------===//
// Operations
//===----------------------------------------------------------------------===//

Value GraphBuilder::add(Value x, Value y) {
  return AddOp::create(builder, loc(), x.getType(), x, y);
}
Value GraphBuilder::mul(Value x, Value y) {
  return MulOp::create(builder, loc(), x.getType(), x, y);
}
Value GraphBuilder::div(Value x, Value y) {
  return DivOp::create(builder, loc(), x.getType(), x, y);
}
Value GraphBuilder::sub(Value x, Value y) {
  return SubOp::create(builder, loc(), x.getType(), x, y);
}
Value GraphBuilder::max(Value x, Value y) {
  return MaxOp::create(builder, loc(), x.getType(), x, y);
}
Value GraphBuilder::min(Value x, Value y) {
  return MinOp::create(builder, loc(), x.getType(), x, y);
}
Value GraphBuilder::abs(Value x) {
  return AbsOp::create(builder, loc(), x.getType(), x);
}
Value GraphBuilder::exp(Value x) {
  return ExpOp::create(builder, loc(), x.getType(), x);
}
Value GraphBuilder::log(Value x) {
  return LogOp::create(builder, loc(), x.getType(), x);
}
Value GraphBuilder::sqrt(Value x) {
  return SqrtOp::create(builder, loc(), x.getType(), x);
}
Value GraphBuilder::erf(Value x) {
  return ErfOp::create(builder, loc(), x.getType(), x);
}
Value GraphBuilder::scaled(Value x, double factor) {
  return mul(x, constant(factor, shapeOf(x), elementOf(x)));
}
Value GraphBuilder::shifted(Value x, double by) {
  return add(x, constant(by, shapeOf(x), elementOf(x)));
}
Value GraphBuilder::clamped(Value x, double low, double high) {
  return max(min(x, constant(high, shapeOf(x), elementOf(x))),
             constant(low, shapeOf(x), elementOf(x)));
}
Value GraphBuilder::softcapped(Value x, double limit) {
  return scaled(tanh(scaled(x, 1 / limit)), limit);
}
Value GraphBuilder::sigmoid(Value x) {
  Value divisor = shifted(exp(scaled(x, -1)), 1);
  return DivOp::create(builder, loc(), x.getType(),
                       constant(1, shapeOf(x), elementOf(x)), divisor);
}
Value GraphBuilder::tanh(Value x) {
  return TanhOp::create(builder, loc(), x.getType(), x);
}
Value GraphBuilder::gelu(Value x, GeluForm form) {
  return GeluOp::create(builder, loc(), x.getType(), form, x);
}
Value GraphBuilder::relu(Value x) {
  return max(x, constant(0, shapeOf(x), elementOf(x)));
}

Value GraphBuilder::softmax(Value x) {
  return SoftmaxOp::create(builder, loc(), x.getType(), x);
}

std::pair<Value, Value> GraphBuilder::topK(Value x, int64_t count) {
  SmallVector<int64_t> shape(shapeOf(x));
  shape.back() = count;
  auto op = TopKOp::create(builder, loc(), tensor(shape, elementOf(x)),
                           tensor(shape, builder.getI64Type()), x);
  return {op.getValues(), op.getPositions()};
}

Value GraphBuilder::normalized(Value x, double epsilon) {
  Shape shape = shapeOf(x);
  int64_t last = shape.size() - 1;
  Value sum = reduceSum(x, last);
  if (epsilon != 0)
    sum = shifted(sum, epsilon);
  sum = broadcast(sum, shape, llvm::to_vector(llvm::seq<int64_t>(0, last)));
  return div(x, sum);
}

Value GraphBuilder::experts(Value x, Value choices, Value scores, Value gate,
                            Value up, Value down) {
  SmallVector<int64_t> shape(shapeOf(x));
  shape.back() = shapeOf(down).back();
  return ExpertsOp::create(builder, loc(), tensor(shape, elementOf(x)), x,
                           choices, scores, gate, up, down);
}

Value GraphBuilder::groupedMatmul(Value rows, Value choices, Value weights) {
  SmallVector<int64_t> shape(shapeOf(choices));
  shape.push_back(shapeOf(weights).back());
  return GroupedMatmulOp::create(builder, loc(), tensor(shape, elementOf(rows)),
                                 rows, choices, weights);
}

Value GraphBuilder::gatherRows(Value table, Value indices) {
  SmallVector<int64_t> shape(shapeOf(indices));
  shape.push_back(shapeOf(table).back());
  return GatherOp::create(builder, loc(), tensor(shape, elementOf(table)),
                          table, indices, builder.getI64IntegerAttr(0));
}

Value GraphBuilder::silu(Value x) {
  return SiluOp::create(builder, loc(), x.getType(), x);
}
Value GraphBuilder::rmsNorm(Value x, Value weight, double epsilon) {
  return RmsNormOp::create(builder, loc(), x.getType(), x, weight,
                           builder.getF64FloatAttr(epsilon));
}
Value GraphBuilder::rope(RopeForm form, Value x, Value positions,
                         Value frequencies, double scale) {
  return RopeOp::create(builder, loc(), x.getType(),
                        RopeFormAttr::get(builder.getContext(), form), x,
                        positions, frequencies, builder.getF64FloatAttr(scale));
}

Value GraphBuilder::layerNorm(Value x, Value weight, Value bias,
                              double epsilon) {
  return LayerNormOp::create(builder, loc(), x.getType(), x, weight, bias,
                             builder.getF64FloatAttr(epsilon));
}

SmallVector<int64_t> GraphBuilder::contractedShape(Value x, Value y,
                                                   StringRef equation) {
  std::optional<Einsum> einsum = Einsum::parse(equation);
  SmallVector<int64_t> shape;
  for (const std::string &name : einsum->result) {
    int64_t dim = indexOf(einsum->lhs, name);
    shape.push_back(dim >= 0 ? shapeOf(x)[dim]
                             : shapeOf(y)[indexOf(einsum->rhs, name)]);
  }
  return shape;
}

Value GraphBuilder::linear(Value x, Value weight, Value bias,
                           StringRef equation) {
  if (!bias)
    return matmul(x, weight, equation);
  return LinearOp::create(
      builder, loc(),
      tensor(contractedShape(x, weight, equation), elementOf(x)), x, weight,
      bias, equation);
}

Value GraphBuilder::matmul(Value x, Value y, StringRef equation) {
  return MatmulOp::create(builder, loc(),
                          tensor(contractedShape(x, y, equation), elementOf(x)),
                          x, y, equation);
}

Value GraphBuilder::embedding(Value table, Value tokens) {
  SmallVector<int64_t> shape(shapeOf(tokens));
  shape.push_back(shapeOf(table).back());
  return EmbeddingOp::create(builder, loc(), tensor(shape, elementOf(table)),
                             table, tokens);
}

Value GraphBuilder::crossEntropy(Value logits, Value labels) {
  return CrossEntropyOp::create(builder, loc(),
                                tensor(shapeOf(labels), builder.getF32Type()),
                                logits, labels);
}

Value GraphBuilder::attention(Value query, Value key, Value value, double scale,
                              const Visible &visible) {
  SmallVector<int64_t> shape(shapeOf(query));
  shape.back() = shapeOf(value).back();
  return AttentionOp::create(
      builder, loc(), tensor(shape, elementOf(query)), query, key, value,
      visible.bias, visible.lengths, visible.offset, visible.sinks,
      builder.getF64FloatAttr(scale),
      visible.causal ? builder.getUnitAttr() : UnitAttr(),
      visible.window ? builder.getI64IntegerAttr(visible.window)
                     : IntegerAttr(),
      visible.softcap ? builder.getF64FloatAttr(visible.softcap) : FloatAttr());
}

Value GraphBuilder::convert(Value x, Type element) {
  if (elementOf(x) == element)
    return x;
  return ConvertOp::create(builder, loc(), tensor(shapeOf(x), element), x);
}

Value GraphBuilder::constant(double value, Shape shape, Type element) {
  auto type = tensor(shape, element);
  Attribute scalar;
  if (auto floating = dyn_cast<FloatType>(element))
    scalar = FloatAttr::get(floating, value);
  else
    scalar = IntegerAttr::get(element, static_cast<int64_t>(value));
  return ConstantOp::create(builder, loc(), type,
                            DenseElementsAttr::get(type, scalar));
}

Value GraphBuilder::constant(ArrayRef<float> values) {
  auto type = tensor(static_cast<int64_t>(values.size()), builder.getF32Type());
  return ConstantOp::create(builder, loc(), type,
                            DenseElementsAttr::get(type, values));
}

Value GraphBuilder::constant(ArrayRef<int64_t> values) {
  auto type = tensor(static_cast<int64_t>(values.size()), builder.getI64Type());
  return ConstantOp::create(builder, loc(), type,
                            DenseElementsAttr::get(type, values));
}

Value GraphBuilder::reduceSum(Value x, int64_t dim) {
  SmallVector<int64_t> shape(shapeOf(x));
  shape.erase(shape.begin() + dim);
  return ReduceOp::create(builder, loc(), tensor(shape, elementOf(x)),
                          Reduction::Sum, x,
                          builder.getDenseI64ArrayAttr({dim}));
}

Value GraphBuilder::total(Value x) {
  auto all = llvm::to_vector(llvm::seq<int64_t>(0, shapeOf(x).size()));
  return ReduceOp::create(builder, loc(), tensor({}, elementOf(x)),
                          Reduction::Sum, x, builder.getDenseI64ArrayAttr(all));
}

Value GraphBuilder::reduceMax(Value x, int64_t dim) {
  SmallVector<int64_t> shape(shapeOf(x));
  shape.erase(shape.begin() + dim);
  return ReduceOp::create(builder, loc(), tensor(shape, elementOf(x)),
                          Reduction::Max, x,
                          builder.getDenseI64ArrayAttr({dim}));
}

Value GraphBuilder::concat(ArrayRef<Value> parts, int64_t dim) {
  SmallVector<int64_t> shape(shapeOf(parts.front()));
  for (Value part : parts.drop_front())
    shape[dim] += shapeOf(part)[dim];
  return ConcatOp::create(builder, loc(),
                          tensor(shape, elementOf(parts.front())), parts,
                          builder.getI64IntegerAttr(dim));
}

Value GraphBuilder::updateSlice(Value x, Value update, Value start) {
  return UpdateSliceOp::create(builder, loc(), x.getType(), x, update, start);
}

Value GraphBuilder::compare(Predicate predicate, Value x, Value y) {
  return CompareOp::create(
      builder, loc(), tensor(shapeOf(x), builder.getI1Type()), predicate, x, y);
}

Value GraphBuilder::select(Value condition, Value x, Value y) {
  return SelectOp::create(builder, loc(), x.getType(), condition, x, y);
}

Value GraphBuilder::iota(Shape shape, int64_t dim, Type element) {
  return IotaOp::create(builder, loc(), tensor(shape, element),
                        builder.getI64IntegerAttr(dim));
}

Value GraphBuilder::broadcast(Value x, Shape shape, Shape dims) {
  return BroadcastOp::create(builder, loc(), tensor(shape, elementOf(x)), x,
                             dims);
}

Value GraphBuilder::slice(Value x, Shape offsets, Shape sizes) {
  return SliceOp::create(builder, loc(), tensor(sizes, elementOf(x)), x,
                         offsets);
}

Value GraphBuilder::reshape(Value x, Shape shape) {
  return ReshapeOp::create(builder, loc(), tensor(shape, elementOf(x)), x);
}

Value GraphBuilder::transpose(Value x, Shape permutation) {
  SmallVector<int64_t> shape;
  for (int64_t dim : permutation)
    shape.push_back(shapeOf(x)[dim]);
  return TransposeOp::create(builder, loc(), tensor(shape, elementOf(x)), x,
                             permutation);
}

Value GraphBuilder::pad(Value x, Shape low, Shape shape) {
  return PadOp::create(builder, loc(), tensor(shape, elementOf(x)), x,
                       builder.getDenseI64ArrayAttr(low),
                       builder.getF64FloatAttr(0));
}
