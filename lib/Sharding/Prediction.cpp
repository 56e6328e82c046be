//===- Prediction.cpp - Time and memory of an assignment ------------------===//

#include "tpc/Sharding/Prediction.h"
#include "Recomputation.h"
#include "StrategySpace.h"
#include "tpc/Sharding/Explanation.h"

using namespace mlir;
using namespace tpc;

/// "model.layers.*.mlp" of "model.layers.7.mlp.gate_proj": what stands in the
/// name up to one word after the number of the layer.
static std::string partOf(Operation *op) {
  auto name = op->getLoc()->findInstanceOf<NameLoc>();
  if (!name)
    return "";
  SmallVector<StringRef> words;
  std::string pattern = layerPattern(name.getName());
  StringRef(pattern).split(words, '.');
  size_t count = words.size();
  for (auto [i, word] : llvm::enumerate(words))
    if (word == "*") {
      count = std::min(words.size(), i + 2);
      break;
    }
  return llvm::join(ArrayRef(words).take_front(count), ".");
}

namespace {

class EntryPredictor {
public:
  EntryPredictor(func::FuncOp function, const Assignment &assignment,
                 StrategySpace &space, ReshardPlanner &planner)
      : function(function), assignment(assignment), space(space),
        planner(planner), mesh(planner.getCosts().getMesh()) {
    prediction.entry = function.getName();
  }

  EntryPrediction run(int64_t storedBytes) {
    for (BlockArgument argument : function.getArguments())
      for (Operation *user : argument.getUsers())
        note(argument, held(argument), user);
    for (Operation &op : function.getBody().front())
      visit(&op);
    prediction.peakBytes = storedBytes + liveBytes();
    return std::move(prediction);
  }

private:
  Sharding canonicalOf(const Sharding &sharding, Value value) {
    return canonical(sharding,
                     cast<RankedTensorType>(value.getType()).getShape(), mesh);
  }
  Sharding held(Value value) {
    return canonicalOf(assignment.held.lookup(value), value);
  }

  void visit(Operation *op) {
    OpShardings shardings;
    auto wanted = assignment.wanted.find(op);
    for (unsigned i = 0; i < op->getNumOperands(); ++i) {
      Value operand = op->getOperand(i);
      shardings.operands.push_back(canonicalOf(wanted->second[i], operand));
      bring(operand, shardings.operands.back(), op);
    }
    for (Value result : op->getResults())
      shardings.results.push_back(held(result));
    if (isa<ShardingRuleOpInterface>(op) && !isMadeAnywhere(op))
      addTime(op, std::move(shardings));
  }

  /// A value as `op` wants it: reshards it unless that was done before.
  void bring(Value value, const Sharding &to, Operation *op) {
    Sharding from = held(value);
    bool isFresh = note(value, to, op);
    Operation *maker = value.getDefiningOp();
    if (!isFresh || from == to ||
        (maker && isMadeAnywhere(maker) && !to.isPartial()))
      return;
    // The value itself is needed until it is resharded.
    note(value, from, op);
    auto type = cast<RankedTensorType>(value.getType());
    double micros = planner.micros(from, to, type.getShape(),
                                   elementBytes(type.getElementType()));
    PartPrediction &part = partFor(op);
    ++part.reshards;
    part.communicationMicros += micros;
    prediction.communicationMicros += micros;
  }

  void addTime(Operation *op, OpShardings shardings) {
    auto priced = space.price(op, std::move(shardings));
    if (!priced)
      return; // not local: the verifier of the assigned form says so
    workspace[op] = priced->workspaceBytes;
    PartPrediction &part = partFor(op);
    ++part.operations;
    part.computeMicros += priced->computeMicros;
    part.communicationMicros += priced->communicationMicros;
    prediction.computeMicros += priced->computeMicros;
    prediction.communicationMicros += priced->communicationMicros;
  }

  PartPrediction &partFor(Operation *op) {
    std::string name = partOf(op);
    auto [it, fresh] = partIndex.try_emplace(name, prediction.parts.size());
    if (fresh)
      prediction.parts.push_back({name});
    return prediction.parts[it->second];
  }

  //===--------------------------------------------------------------------===//
  // Memory
  //===--------------------------------------------------------------------===//

  /// A value under one sharding.
  struct Copy {
    Value value;
    Sharding sharding;
    Operation *first;
    Operation *last;
  };

  /// A value is used under a sharding; whether for the first time.
  bool note(Value value, const Sharding &sharding, Operation *user) {
    // Another name for the same memory.
    if (auto again = value.getDefiningOp<AgainOp>();
        again && sharding == held(value))
      note(again.getOperand(), sharding, user);
    for (size_t index : copiesOf[value])
      if (copies[index].sharding == sharding) {
        if (copies[index].last->isBeforeInBlock(user))
          copies[index].last = user;
        return false;
      }
    copiesOf[value].push_back(copies.size());
    copies.push_back({value, sharding, user, user});
    return true;
  }

  /// The most bytes of values and their copies that are live at one operation.
  int64_t liveBytes() {
    Block &body = function.getBody().front();
    llvm::DenseMap<Operation *, int64_t> begins, ends;
    int64_t live = 0, most = 0;
    auto bytesOf = [&](Value value, const Sharding &sharding) {
      auto type = cast<RankedTensorType>(value.getType());
      int64_t bytes = elementBytes(type.getElementType());
      for (int64_t n : localShape(type.getShape(), sharding, mesh))
        bytes *= n;
      return bytes;
    };
    for (BlockArgument argument : body.getArguments())
      live += bytesOf(argument, held(argument));
    for (const Copy &copy : copies) {
      Operation *maker = copy.value.getDefiningOp();
      bool isOriginal = copy.sharding == held(copy.value);
      if (isOriginal && (!maker || !takesMemory(copy.value)))
        continue;
      int64_t bytes = bytesOf(copy.value, copy.sharding);
      begins[isOriginal ? maker : copy.first] += bytes;
      ends[copy.last] += bytes;
    }
    for (Operation &op : body) {
      for (Value result : op.getResults())
        if (result.use_empty() && !isMadeAnywhere(&op))
          most = std::max(most, live + bytesOf(result, held(result)));
      live += begins.lookup(&op);
      most = std::max(most, live + workspace.lookup(&op));
      live -= ends.lookup(&op);
    }
    return most;
  }

  /// What reads a stored value, or only replaces a state in place, holds
  /// nothing of its own.
  static bool takesMemory(Value value) {
    return !isa_and_present<ReadOp, AgainOp>(value.getDefiningOp()) &&
           !llvm::all_of(value.getUsers(),
                         [](Operation *user) { return isa<WriteOp>(user); });
  }

  func::FuncOp function;
  const Assignment &assignment;
  StrategySpace &space;
  ReshardPlanner &planner;
  const Mesh &mesh;
  EntryPrediction prediction;
  llvm::StringMap<size_t> partIndex;
  llvm::DenseMap<Operation *, int64_t> workspace;
  std::vector<Copy> copies;
  llvm::DenseMap<Value, SmallVector<size_t, 2>> copiesOf;
};

} // namespace

static std::vector<RecomputedPart> recomputed(func::FuncOp function,
                                              const Assignment &assignment,
                                              StrategySpace &space,
                                              ReshardPlanner &planner) {
  std::vector<RecomputedPart> parts;
  auto add = [&](const Twine &what, double micros) {
    std::string text = what.str();
    auto part = llvm::find_if(
        parts, [&](const RecomputedPart &p) { return p.what == text; });
    if (part == parts.end())
      part = parts.insert(part, RecomputedPart{text});
    ++part->count;
    part->micros += micros;
  };
  auto addResent = [&](Value value) {
    auto resent = assignment.resentAgain.find(value);
    if (resent == assignment.resentAgain.end())
      return;
    auto type = cast<RankedTensorType>(value.getType());
    for (const Sharding &to : resent->second)
      add(layerPattern(describe(value)) + " sent",
          planner.micros(assignment.held.lookup(value), to, type.getShape(),
                         elementBytes(type.getElementType())));
  };
  for (BlockArgument argument : function.getArguments())
    addResent(argument);
  for (Operation &op : function.getBody().front()) {
    if (assignment.again.contains(&op)) {
      OpShardings shardings{assignment.wanted.lookup(&op), {}};
      for (Value result : op.getResults())
        shardings.results.push_back(assignment.held.lookup(result));
      auto priced = space.price(&op, std::move(shardings));
      std::string where = describe(&op);
      bool isNamed = where != op.getName().getStringRef();
      add(isNamed
              ? layerPattern(where) + " " + op.getName().stripDialect().str()
              : where,
          priced ? priced->computeMicros + priced->communicationMicros : 0);
    }
    for (Value result : op.getResults())
      addResent(result);
  }
  return parts;
}

std::vector<EntryPrediction> tpc::predict(ModuleOp module,
                                          const Assignment &assignment,
                                          const CostModel &costs) {
  ReshardPlanner planner(costs);
  StrategySpace space(module, planner);
  if (recomputes(assignment)) {
    RecomputedModule copy = withRecomputation(module, assignment);
    auto predictions = predict(*copy.module, copy.assignment, costs);
    for (auto [function, prediction] :
         llvm::zip_equal(module.getOps<func::FuncOp>(), predictions))
      prediction.again = recomputed(function, assignment, space, planner);
    return predictions;
  }
  const Mesh &mesh = costs.getMesh();
  int64_t storedBytes = 0;
  for (Operation &op : *module.getBody())
    if (isa<ParameterOp, StateOp>(op)) {
      auto type = cast<RankedTensorType>(
          isa<ParameterOp>(op) ? cast<ParameterOp>(op).getTensorType()
                               : cast<StateOp>(op).getTensorType());
      storedBytes += tensorBytes(
          localType(withSharding(type, assignment.symbols.lookup(
                                           SymbolTable::getSymbolName(&op))),
                    mesh));
    }
  std::vector<EntryPrediction> predictions;
  for (auto function : module.getOps<func::FuncOp>())
    predictions.push_back(
        EntryPredictor(function, assignment, space, planner).run(storedBytes));
  return predictions;
}

PlanPrice tpc::priceOf(ModuleOp module, const Assignment &assignment,
                       const CostModel &costs, const AssignOptions &options) {
  PlanPrice sum;
  for (const EntryPrediction &entry : predict(module, assignment, costs)) {
    sum.micros += options.weightOf(entry.entry) * entry.micros();
    sum.peakBytes = std::max(sum.peakBytes, entry.peakBytes);
  }
  sum.peakBytes +=
      optimizerBytesOf(module, assignment, costs.getMesh(), options);
  return sum;
}

int64_t tpc::optimizerBytesOf(ModuleOp module, const Assignment &assignment,
                              const Mesh &mesh, const AssignOptions &options) {
  if (options.optimizerBytes == 0)
    return 0;
  int64_t elements = 0;
  llvm::DenseSet<StringAttr> trained = trainedParameters(module);
  for (auto parameter : module.getOps<ParameterOp>())
    if (StringAttr name = parameter.getSymNameAttr(); trained.contains(name))
      elements += localType(withSharding(parameter.getTensorType(),
                                         assignment.symbols.lookup(name)),
                            mesh)
                      .getNumElements();
  return elements * options.optimizerBytes;
}

//===----------------------------------------------------------------------===//
// As an attribute
//===----------------------------------------------------------------------===//

/// Calls `fn` with the name of every number and the number.
template <typename Prediction, typename Fn>
static void forEachNumber(Prediction &prediction, Fn fn) {
  fn("compute_us", prediction.computeMicros);
  fn("communication_us", prediction.communicationMicros);
}

void tpc::setPredictions(ModuleOp module,
                         ArrayRef<EntryPrediction> predictions) {
  Builder builder(module.getContext());
  NamedAttrList entries;
  auto numbers = [&](const auto &prediction) {
    NamedAttrList list;
    forEachNumber(prediction, [&](StringRef name, double number) {
      list.set(name, builder.getF64FloatAttr(number));
    });
    return list;
  };
  for (const EntryPrediction &prediction : predictions) {
    NamedAttrList entry = numbers(prediction);
    entry.set("peak_bytes", builder.getI64IntegerAttr(prediction.peakBytes));
    SmallVector<Attribute> parts;
    for (const PartPrediction &part : prediction.parts) {
      NamedAttrList list = numbers(part);
      list.set("part", builder.getStringAttr(part.part));
      list.set("operations", builder.getI64IntegerAttr(part.operations));
      list.set("reshards", builder.getI64IntegerAttr(part.reshards));
      parts.push_back(list.getDictionary(builder.getContext()));
    }
    entry.set("parts", builder.getArrayAttr(parts));
    SmallVector<Attribute> again;
    for (const RecomputedPart &part : prediction.again) {
      NamedAttrList list;
      list.set("what", builder.getStringAttr(part.what));
      list.set("count", builder.getI64IntegerAttr(part.count));
      list.set("us", builder.getF64FloatAttr(part.micros));
      again.push_back(list.getDictionary(builder.getContext()));
    }
    if (!again.empty())
      entry.set("again", builder.getArrayAttr(again));
    entries.set(prediction.entry, entry.getDictionary(builder.getContext()));
  }
  module->setAttr(kPredictedAttrName,
                  entries.getDictionary(builder.getContext()));
}

static int64_t integerOf(DictionaryAttr attributes, StringRef name) {
  auto value = attributes.getAs<IntegerAttr>(name);
  return value ? value.getInt() : 0;
}

std::optional<EntryPrediction> tpc::predictionOf(ModuleOp module,
                                                 StringRef entry) {
  auto entries = module->getAttrOfType<DictionaryAttr>(kPredictedAttrName);
  auto attributes =
      entries ? entries.getAs<DictionaryAttr>(entry) : DictionaryAttr();
  if (!attributes)
    return std::nullopt;
  auto read = [](auto &prediction, DictionaryAttr from) {
    forEachNumber(prediction, [&](StringRef name, double &number) {
      if (auto value = from.getAs<FloatAttr>(name))
        number = value.getValueAsDouble();
    });
  };
  EntryPrediction prediction;
  prediction.entry = entry;
  read(prediction, attributes);
  prediction.peakBytes = integerOf(attributes, "peak_bytes");
  if (auto parts = attributes.getAs<ArrayAttr>("parts"))
    for (auto item : parts.getAsRange<DictionaryAttr>()) {
      PartPrediction &part = prediction.parts.emplace_back();
      read(part, item);
      if (auto name = item.getAs<StringAttr>("part"))
        part.part = name.str();
      part.operations = integerOf(item, "operations");
      part.reshards = integerOf(item, "reshards");
    }
  if (auto again = attributes.getAs<ArrayAttr>("again"))
    for (auto item : again.getAsRange<DictionaryAttr>())
      prediction.again.push_back(
          {item.getAs<StringAttr>("what").str(), integerOf(item, "count"),
           item.getAs<FloatAttr>("us").getValueAsDouble()});
  return prediction;
}
