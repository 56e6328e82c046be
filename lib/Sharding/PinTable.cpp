//===- PinTable.cpp - Pins as restrictions of places ----------------------===//

#include "PinTable.h"
#include "WeightDims.h"
#include "tpc/Sharding/Assignment.h"
#include "llvm/Support/GlobPattern.h"
#include <unordered_set>

using namespace mlir;
using namespace tpc;

//===----------------------------------------------------------------------===//
// What a restriction allows
//===----------------------------------------------------------------------===//

/// Whether closed dimensions are as pinned and open ones begin so.
static bool isExactly(const Sharding &pin, const Sharding &stored) {
  if (stored.isPartial())
    return false;
  for (auto [dim, axes] : llvm::enumerate(pin.dims)) {
    ArrayRef<AxisRef> held = stored.dims[dim];
    if (pin.isOpen(dim))
      held = held.take_front(axes.size());
    if (held != ArrayRef(axes))
      return false;
  }
  return true;
}

/// Whether `axis`, or a part of it, splits a dimension that is not in `dims`.
static bool splitsOther(const Sharding &sharding, const AxisRef &axis,
                        ArrayRef<bool> dims) {
  for (auto [dim, axes] : llvm::enumerate(sharding.dims))
    if (!dims[dim] && llvm::any_of(axes, [&](const AxisRef &held) {
          return held.name == axis.name;
        }))
      return true;
  return false;
}

/// Over how many devices along `axis` the sharding splits.
static int64_t membersSplit(const Sharding &sharding, const AxisRef &axis,
                            const Mesh &mesh) {
  int64_t members = 1;
  for (const AxisList &axes : sharding.dims)
    for (const AxisRef &held : axes)
      if (held.name == axis.name)
        members *= mesh.size(held);
  return members;
}

bool Restriction::allows(const Sharding &stored, const Mesh &mesh) const {
  if (kind == Exact)
    return isExactly(sharding, stored);
  return llvm::all_of(axes, [&](const AxisRef &axis) {
    return !splitsOther(stored, axis, dims) &&
           (kind == SplitsOnly ||
            membersSplit(stored, axis, mesh) == mesh.size(axis));
  });
}

//===----------------------------------------------------------------------===//
// Places
//===----------------------------------------------------------------------===//

/// Arguments have even, results odd numbers.
static unsigned numberOf(Place::Kind kind, unsigned index) {
  return kind == Place::Argument ? 2 * index
         : kind == Place::Result ? 2 * index + 1
                                 : 0;
}

const Place &PinTable::at(Place::Kind kind, Operation *op,
                          unsigned index) const {
  return allPlaces[numbers.at({op, numberOf(kind, index)})];
}
const Place &PinTable::of(Operation *op) const {
  return at(Place::Shard, op, 0);
}
const Place &PinTable::ofArgument(func::FuncOp function, unsigned index) const {
  return at(Place::Argument, function, index);
}
const Place &PinTable::ofResult(func::FuncOp function, unsigned index) const {
  return at(Place::Result, function, index);
}

namespace {
struct ShardingHash {
  size_t operator()(const Sharding &s) const { return hash_value(s); }
};
} // namespace

/// `stored` with the closed dimensions as pinned; what is left of its axes
/// splits the open dimensions further, where they have elements for it.
static std::optional<Sharding> overlay(const Sharding &pin, Sharding stored,
                                       ArrayRef<int64_t> shape,
                                       const Mesh &mesh) {
  auto isTaken = [&](const AxisRef &axis) {
    return llvm::any_of(pin.dims, [&](const AxisList &axes) {
      return llvm::any_of(
          axes, [&](const AxisRef &own) { return own.overlaps(axis); });
    });
  };
  for (auto [dim, axes] : llvm::enumerate(stored.dims)) {
    AxisList further;
    if (pin.isOpen(dim))
      llvm::copy_if(axes, std::back_inserter(further),
                    [&](const AxisRef &axis) { return !isTaken(axis); });
    axes = pin.dims[dim];
    if (further.empty())
      continue;
    axes.append(further);
    if (mesh.size(axes) > shape[dim])
      return std::nullopt;
  }
  return canonical(std::move(stored), shape, mesh);
}

std::vector<Sharding> PinTable::candidates(const Place &place,
                                           std::vector<Sharding> stored) const {
  std::vector<Sharding> &found = stored;
  ArrayRef<int64_t> shape = place.type.getShape();
  std::unordered_set<Sharding, ShardingHash> known(found.begin(), found.end());
  auto add = [&](Sharding sharding) {
    if (known.insert(sharding).second)
      found.push_back(std::move(sharding));
  };
  for (const Restriction &restriction : place.restrictions) {
    if (restriction.kind != Restriction::Exact)
      continue;
    const Sharding &pin = restriction.sharding;
    Sharding closed = pin;
    closed.open.clear();
    add(closed);
    if (pin.open.empty())
      continue;
    for (size_t i = 0, count = found.size(); i < count; ++i)
      if (auto sharding = overlay(pin, found[i], shape, mesh))
        add(std::move(*sharding));
  }
  return found;
}

bool PinTable::allows(const Place &place, const Sharding &candidate,
                      const llvm::BitVector &active) const {
  return llvm::all_of(place.restrictions, [&](const Restriction &restriction) {
    return !active.test(restriction.pin) || restriction.allows(candidate, mesh);
  });
}

bool PinTable::allows(Operation *op, const OpShardings &shardings,
                      const llvm::BitVector &active) const {
  return llvm::all_of(axisRules, [&](const AxisRule &rule) {
    if (!active.test(rule.pin))
      return true;
    auto splitsBatchOnly = [&](ValueRange values, ArrayRef<Sharding> held) {
      for (auto [value, sharding] : llvm::zip_equal(values, held))
        if (splitsOther(sharding, rule.axis, batch->of(value)))
          return false;
      return true;
    };
    return splitsBatchOnly(op->getOperands(), shardings.operands) &&
           splitsBatchOnly(op->getResults(), shardings.results);
  });
}

//===----------------------------------------------------------------------===//
// Reading
//===----------------------------------------------------------------------===//

class PinTable::Reader {
public:
  Reader(ModuleOp module, PinTable &table)
      : module(module), table(table), mesh(table.mesh) {}

  LogicalResult run(ArrayRef<PinRequest> requests) {
    if (failed(readSymbols()))
      return failure();
    for (auto function : module.getOps<func::FuncOp>())
      if (failed(readFunction(function)))
        return failure();
    for (const PinRequest &request : requests)
      if (request.kind == PinRequest::Batch)
        ruledAxes.insert(request.axes[0].name);
    for (const PinRequest &request : requests)
      if (failed(readRequest(request)))
        return failure();
    return success();
  }

private:
  LogicalResult readSymbols() {
    for (Operation &op : *module.getBody()) {
      auto parameter = dyn_cast<ParameterOp>(op);
      auto state = dyn_cast<StateOp>(op);
      if (!parameter && !state)
        continue;
      std::string name = SymbolTable::getSymbolName(&op).str();
      addPlace({parameter ? Place::Parameter : Place::State, &op, 0,
                parameter ? parameter.getTensorType() : state.getTensorType(),
                op.getLoc(), (parameter ? "parameter @" : "state @") + name});
      ShardingAttr pin = pinnedSharding(&op);
      if (!pin)
        continue;
      if (auto problem = mesh.check(pin.getValue()))
        return op.emitError("pinned sharding: ") << *problem;
      if (pin.getValue().isPartial())
        return op.emitError("is pinned to a partial sharding, but what is "
                            "stored has no contributions");
      pinHere(pin);
    }
    return success();
  }

  LogicalResult readFunction(func::FuncOp function) {
    if (function.isExternal() || !function.getBody().hasOneBlock())
      return function.emitError("expected a function of one block");
    for (unsigned i = 0; i < function.getNumArguments(); ++i)
      if (failed(readArgument(function, i)))
        return failure();
    Operation *ret = function.getBody().front().getTerminator();
    for (unsigned i = 0; i < function.getNumResults(); ++i)
      if (failed(readResult(function, ret, i)))
        return failure();
    for (auto shard : function.getOps<ShardOp>()) {
      if (auto problem = mesh.check(shard.getSharding().getValue()))
        return shard->emitOpError("pinned sharding: ") << *problem;
      addPlace({Place::Shard, shard, 0,
                cast<RankedTensorType>(shard.getResult().getType()),
                shard.getLoc(), "the value of tpc.shard"});
      pinHere(shard.getSharding());
    }
    return success();
  }

  LogicalResult readArgument(func::FuncOp function, unsigned index) {
    auto type = dyn_cast<RankedTensorType>(function.getArgumentTypes()[index]);
    if (!type)
      return function.emitError("argument ")
             << index << ": expected a ranked tensor, found "
             << function.getArgumentTypes()[index];
    addPlace({Place::Argument, function, index, type,
              function.getArgument(index).getLoc(),
              "argument \"" + argumentName(function, index) + "\" of @" +
                  function.getName().str()});
    auto pin =
        function.getArgAttrOfType<ShardingAttr>(index, kShardingAttrName);
    if (!pin)
      return success();
    if (auto problem = mesh.check(pin.getValue()))
      return function.emitError("argument ")
             << index << ": pinned sharding: " << *problem;
    if (pin.getValue().isPartial())
      return function.emitError("argument ")
             << index << " is pinned to a partial sharding";
    pinHere(pin);
    return success();
  }

  LogicalResult readResult(func::FuncOp function, Operation *ret,
                           unsigned index) {
    if (heldLike(function, index))
      return success(); // chosen with the symbol
    addPlace({Place::Result, function, index,
              cast<RankedTensorType>(ret->getOperand(index).getType()),
              ret->getLoc(),
              "result \"" + resultName(function, index) + "\" of @" +
                  function.getName().str()});
    auto pin =
        function.getResultAttrOfType<ShardingAttr>(index, kShardingAttrName);
    if (!pin)
      return success();
    if (auto problem = mesh.check(pin.getValue()))
      return ret->emitOpError("result ")
             << index << ": pinned sharding: " << *problem;
    if (pin.getValue().isPartial())
      return ret->emitOpError("result ")
             << index << " is pinned to a partial sharding";
    pinHere(pin);
    return success();
  }

  void addPlace(Place place) {
    table.numbers[{place.op, numberOf(place.kind, place.index)}] =
        table.allPlaces.size();
    table.allPlaces.push_back(std::move(place));
  }

  /// A pin of the module on the last place.
  void pinHere(ShardingAttr pin) {
    Place &place = table.allPlaces.back();
    table.allPins.push_back(
        {"the pin " + toString(pin.getValue()), place.location});
    pinExactly(place, pin.getValue());
  }

  /// By the last pin.
  void pinExactly(Place &place, const Sharding &sharding) {
    place.restrictions.push_back(
        {lastPin(), Restriction::Exact,
         canonical(sharding, place.type.getShape(), mesh)});
  }

  unsigned lastPin() const { return table.allPins.size() - 1; }

  //===--------------------------------------------------------------------===//
  // Requests
  //===--------------------------------------------------------------------===//

  LogicalResult readRequest(const PinRequest &request) {
    table.allPins.push_back({request.str(), std::nullopt});
    if (request.kind == PinRequest::Batch) {
      restrictToBatch(request.axes[0]);
      return success();
    }
    FailureOr<SmallVector<Place *>> matching = placesOf(request);
    if (failed(matching))
      return failure();
    for (Place *place : *matching)
      if (failed(request.kind == PinRequest::Exact
                     ? pinPlace(*place, request)
                     : pinWeight(*place, request)))
        return failure();
    return success();
  }

  void restrictToBatch(const AxisRef &axis) {
    if (!table.batch)
      table.batch.emplace(module);
    table.axisRules.push_back({lastPin(), axis});
    for (Place &place : table.allPlaces)
      place.restrictions.push_back({lastPin(),
                                    Restriction::SplitsOnly,
                                    Sharding(),
                                    {axis},
                                    batchOf(place)});
  }

  SmallVector<bool> batchOf(const Place &place) const {
    switch (place.kind) {
    case Place::Parameter:
    case Place::State:
      return table.batch->ofSymbol(SymbolTable::getSymbolName(place.op),
                                   place.type.getRank());
    case Place::Argument:
      return table.batch->of(
          cast<func::FuncOp>(place.op).getArgument(place.index));
    case Place::Result:
      return table.batch->of(cast<func::FuncOp>(place.op)
                                 .getBody()
                                 .front()
                                 .getTerminator()
                                 ->getOperand(place.index));
    case Place::Shard:
      return table.batch->of(place.op->getResult(0));
    }
    llvm_unreachable("unknown place");
  }

  FailureOr<SmallVector<Place *>> placesOf(const PinRequest &request) {
    auto name = glob(request, request.name);
    // A pattern refers to its text.
    StringRef entryName = request.entry ? StringRef(*request.entry) : "*";
    auto entry = glob(request, entryName);
    if (failed(name) || failed(entry))
      return failure();
    SmallVector<Place *> matching;
    SmallVector<std::string> known;
    for (Place &place : table.allPlaces) {
      if (!canBePinned(place, request))
        continue;
      SmallVector<std::string> names = namesOf(place);
      if (!llvm::is_contained(known, names[0]))
        known.push_back(names[0]);
      bool hasName = llvm::any_of(
          names, [&](const std::string &own) { return name->match(own); });
      if (hasName && (!request.entry ||
                      entry->match(cast<func::FuncOp>(place.op).getName())))
        matching.push_back(&place);
    }
    if (matching.empty())
      return fail(request, "matches no " + kindsOf(request) +
                               "; there are: " + someOf(known));
    return matching;
  }

  static std::string kindsOf(const PinRequest &request) {
    if (request.entry)
      return "argument or result";
    return request.kind == PinRequest::Exact ? "parameter or state"
                                             : "parameter";
  }

  static bool canBePinned(const Place &place, const PinRequest &request) {
    if (request.entry)
      return place.kind == Place::Argument || place.kind == Place::Result;
    return place.kind == Place::Parameter ||
           (place.kind == Place::State && request.kind == PinRequest::Exact);
  }

  static SmallVector<std::string> namesOf(const Place &place) {
    if (auto function = dyn_cast<func::FuncOp>(place.op))
      return {place.kind == Place::Argument
                  ? argumentName(function, place.index)
                  : resultName(function, place.index)};
    SmallVector<std::string> names{SymbolTable::getSymbolName(place.op).str()};
    if (auto parameter = dyn_cast<ParameterOp>(place.op))
      for (StringRef stored : parameter.getStoredNames())
        names.push_back(stored.str());
    return names;
  }

  static std::string someOf(ArrayRef<std::string> names) {
    constexpr size_t kMost = 8;
    std::string text = names.empty() ? "none" : "";
    for (const std::string &name : names.take_front(kMost))
      text += (text.empty() ? "" : ", ") + name;
    return names.size() > kMost ? text + ", ..." : text;
  }

  FailureOr<llvm::GlobPattern> glob(const PinRequest &request,
                                    StringRef pattern) {
    auto read = llvm::GlobPattern::create(pattern);
    if (!read)
      return fail(request,
                  "malformed pattern: " + llvm::toString(read.takeError()));
    return std::move(*read);
  }

  LogicalResult pinPlace(Place &place, const PinRequest &request) {
    int64_t rank = place.type.getRank();
    Sharding sharding =
        request.sharding.value_or(Sharding::replicated(mesh.symbol, rank));
    if (int64_t(sharding.dims.size()) != rank)
      return fail(request, "expected one entry per dimension (" +
                               std::to_string(rank) + ") of " + place.text +
                               ", found " +
                               std::to_string(sharding.dims.size()));
    pinExactly(place, sharding);
    return success();
  }

  LogicalResult pinWeight(Place &place, const PinRequest &request) {
    if (!weights)
      weights = weightDims(module);
    bool isRow = request.kind == PinRequest::Row;
    const WeightDims &known =
        weights->find(SymbolTable::getSymbolName(place.op))->second;
    const SmallVector<bool> &dims = isRow ? known.row : known.column;
    if (!llvm::is_contained(dims, true))
      return fail(request,
                  "expected the weight of a product or a table; no use of " +
                      place.text + (isRow ? " contracts" : " keeps") +
                      " a dimension of it");
    AxisList axes = request.axes;
    if (axes.empty())
      for (const AxisRef &axis : mesh.axes())
        if (!ruledAxes.contains(axis.name))
          axes.push_back(axis);
    place.restrictions.push_back(
        {lastPin(), Restriction::SplitsFully, Sharding(), axes, dims});
    return success();
  }

  LogicalResult fail(const PinRequest &request, const std::string &message) {
    return emitError(module.getLoc()) << request.str() << ": " << message;
  }

  ModuleOp module;
  PinTable &table;
  const Mesh &mesh;
  llvm::DenseSet<StringAttr> ruledAxes;
  std::optional<llvm::DenseMap<StringAttr, WeightDims>> weights;
};

FailureOr<PinTable> PinTable::read(ModuleOp module, const Mesh &mesh,
                                   ArrayRef<PinRequest> requests) {
  PinTable table(mesh);
  if (failed(Reader(module, table).run(requests)))
    return failure();
  return table;
}
