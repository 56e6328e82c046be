//===- Prediction.cpp - Time and memory of an assigned module -------------===//

#include "tpc/Sharding/Prediction.h"
#include "StrategySpace.h"
#include "tpc/Sharding/Assignment.h"
#include "tpc/Sharding/Explanation.h"

using namespace mlir;
using namespace tpc;

static int64_t localBytes(Type type, const Mesh &mesh) {
  return tensorBytes(localType(cast<RankedTensorType>(type), mesh));
}

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
  EntryPredictor(func::FuncOp function, StrategySpace &space,
                 ReshardPlanner &planner)
      : function(function), space(space), planner(planner),
        mesh(planner.getCosts().getMesh()) {
    prediction.entry = function.getName();
  }

  EntryPrediction run(int64_t storedBytes) {
    for (Operation &op : function.getBody().front())
      addTime(&op);
    prediction.peakBytes = storedBytes + liveBytes();
    return std::move(prediction);
  }

private:
  void addTime(Operation *op) {
    if (auto reshard = dyn_cast<ReshardOp>(op)) {
      auto type = cast<RankedTensorType>(reshard.getOperand().getType());
      double micros =
          planner.micros(getSharding(type).getValue(),
                         getSharding(reshard.getResult().getType()).getValue(),
                         type.getShape(), elementBytes(type.getElementType()));
      // It belongs to what wants it.
      Operation *user = reshard->use_empty() ? op : *reshard->user_begin();
      PartPrediction &part = partFor(user);
      ++part.reshards;
      part.communicationMicros += micros;
      prediction.communicationMicros += micros;
      return;
    }
    if (!isa<ShardingRuleOpInterface>(op) || isMadeAnywhere(op))
      return;
    OpShardings shardings;
    for (Type type : op->getOperandTypes())
      shardings.operands.push_back(getSharding(type).getValue());
    for (Type type : op->getResultTypes())
      shardings.results.push_back(getSharding(type).getValue());
    auto priced = space.price(op, std::move(shardings));
    if (!priced)
      return; // not local: the verifier of the assigned form says so
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

  /// The most bytes of arguments and results that are live at one operation.
  int64_t liveBytes() {
    Block &body = function.getBody().front();
    int64_t live = 0, most = 0;
    for (BlockArgument argument : body.getArguments())
      live += localBytes(argument.getType(), mesh);
    llvm::DenseMap<Operation *, int64_t> freed;
    for (Operation &op : body) {
      for (Value result : op.getResults())
        if (takesMemory(result)) {
          int64_t bytes = localBytes(result.getType(), mesh);
          live += bytes;
          freed[lastUser(result)] += bytes;
        }
      most = std::max(most, live);
      live -= freed.lookup(&op);
    }
    return most;
  }

  /// What reads a stored value, or replaces a state in place, holds nothing
  /// of its own.
  static bool takesMemory(Value value) {
    return !value.getDefiningOp<ReadOp>() &&
           llvm::none_of(value.getUsers(),
                         [](Operation *user) { return isa<WriteOp>(user); });
  }

  static Operation *lastUser(Value value) {
    Operation *last = value.getDefiningOp();
    for (Operation *user : value.getUsers())
      if (last->isBeforeInBlock(user))
        last = user;
    return last;
  }

  func::FuncOp function;
  StrategySpace &space;
  ReshardPlanner &planner;
  const Mesh &mesh;
  EntryPrediction prediction;
  llvm::StringMap<size_t> partIndex;
};

} // namespace

std::vector<EntryPrediction> tpc::predict(ModuleOp module,
                                          const CostModel &costs) {
  ReshardPlanner planner(costs);
  StrategySpace space(module, planner);
  const Mesh &mesh = costs.getMesh();
  int64_t storedBytes = 0;
  for (auto parameter : module.getOps<ParameterOp>())
    storedBytes += localBytes(parameter.getTensorType(), mesh);
  for (auto state : module.getOps<StateOp>())
    storedBytes += localBytes(state.getTensorType(), mesh);
  std::vector<EntryPrediction> predictions;
  for (auto function : module.getOps<func::FuncOp>())
    predictions.push_back(
        EntryPredictor(function, space, planner).run(storedBytes));
  return predictions;
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
  return prediction;
}
