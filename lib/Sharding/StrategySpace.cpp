//===- StrategySpace.cpp - What the optimizer chooses from ----------------===//

#include "StrategySpace.h"
#include "tpc/Sharding/Expansion.h"
#include <numeric>
#include <unordered_map>

using namespace mlir;
using namespace tpc;

//===----------------------------------------------------------------------===//
// Axes and their parts
//===----------------------------------------------------------------------===//

/// Sizes of dimensions that decide where axes are cut: those of everything
/// that is stored or given.
static llvm::SmallVector<int64_t> givenSizes(ModuleOp module) {
  SmallVector<int64_t> sizes;
  auto add = [&](Type type) {
    if (auto tensor = dyn_cast<RankedTensorType>(type))
      llvm::append_range(sizes, tensor.getShape());
  };
  for (auto parameter : module.getOps<ParameterOp>())
    add(parameter.getTensorType());
  for (auto state : module.getOps<StateOp>())
    add(state.getTensorType());
  for (auto function : module.getOps<func::FuncOp>())
    llvm::for_each(function.getArgumentTypes(), add);
  return sizes;
}

/// Cuts the axis where the parts begin and end, and at `more`. An axis of which
/// the parts do not fit into each other is not cut.
static SmallVector<AxisRef, 2> cutAxis(const AxisRef &axis, int64_t more,
                                       ArrayRef<AxisRef> parts,
                                       const Mesh &mesh) {
  SmallVector<int64_t> points{1, more, mesh.size(axis)};
  for (const AxisRef &part : parts)
    points.append({part.pre, part.pre * part.size});
  llvm::sort(points);
  points.erase(llvm::unique(points), points.end());
  SmallVector<AxisRef, 2> cut;
  for (auto [begin, end] : llvm::zip(points, ArrayRef(points).drop_front())) {
    if (end % begin != 0)
      return {axis};
    cut.push_back(mesh.canonical({axis.name, begin, end / begin}));
  }
  return cut;
}

StrategySpace::StrategySpace(ModuleOp module, ReshardPlanner &planner,
                             ArrayRef<AxisRef> pinned)
    : mesh(planner.getCosts().getMesh()), planner(planner),
      classes(std::make_unique<Classes>()) {
  SmallVector<int64_t> sizes = givenSizes(module);
  for (const AxisRef &axis : mesh.axes()) {
    int64_t n = mesh.size(axis), small = 1;
    if (n == 1)
      continue;
    for (int64_t size : sizes)
      if (size > 1 && size < n)
        small = std::max(small, std::gcd(size, n));
    SmallVector<AxisRef> parts;
    for (const AxisRef &part : pinned)
      if (part.name == axis.name && !part.isWhole())
        parts.push_back(part);
    axes.push_back({cutAxis(axis, small, parts, mesh), !parts.empty()});
  }
}

StrategySpace::~StrategySpace() = default;

//===----------------------------------------------------------------------===//
// Classes of operations
//===----------------------------------------------------------------------===//

namespace {
struct ClassKey {
  OperationName name;
  DictionaryAttr attributes;
  SmallVector<Type> types;
  bool operator==(const ClassKey &o) const {
    return name == o.name && attributes == o.attributes && types == o.types;
  }
};
struct ClassKeyHash {
  size_t operator()(const ClassKey &k) const {
    return llvm::hash_combine(
        k.name, k.attributes,
        llvm::hash_combine_range(k.types.begin(), k.types.end()));
  }
};

struct OpShardingsHash {
  size_t operator()(const OpShardings &s) const {
    llvm::hash_code hash = 0;
    for (const Sharding &sharding : s.operands)
      hash = llvm::hash_combine(hash, hash_value(sharding));
    for (const Sharding &sharding : s.results)
      hash = llvm::hash_combine(hash, hash_value(sharding));
    return hash;
  }
};
struct OpShardingsEqual {
  bool operator()(const OpShardings &a, const OpShardings &b) const {
    return a.operands == b.operands && a.results == b.results;
  }
};
} // namespace

struct StrategySpace::OpClass {
  Operation *op; ///< one of the class
  RuledOp ruled;
  /// In matrix products, of the whole operation, and how many there are.
  Work work;
  unsigned products = 0;
  std::unique_ptr<Expansion> expansion;
  std::optional<Strategies> strategies;
  std::optional<bool> isPointwise;
  /// What was priced alone.
  std::unordered_map<OpShardings, std::optional<PricedStrategy>,
                     OpShardingsHash, OpShardingsEqual>
      priced;
};

struct StrategySpace::Classes {
  std::unordered_map<ClassKey, std::unique_ptr<OpClass>, ClassKeyHash> known;
};

/// Adds the matrix products of `op`, inside composites as well; how many.
static unsigned addProducts(Operation *op, Work &work) {
  unsigned count = 0;
  if (auto matmul = dyn_cast<MatmulOp>(op)) {
    double flops = 2;
    for (const Factor &factor : matmul.getShardingRule().factors)
      flops *= factor.size;
    work.flops += flops;
    work.type = getElementTypeOrSelf(matmul.getLhs());
    ++count;
  }
  if (auto composite = dyn_cast<DecomposableOpInterface>(op)) {
    Decomposition body(composite);
    for (Operation &inner : body.block())
      count += addProducts(&inner, work);
  }
  return count;
}

StrategySpace::OpClass &StrategySpace::classOf(Operation *op) {
  ClassKey key{op->getName(), op->getAttrDictionary(), {}};
  for (Type type : op->getOperandTypes())
    key.types.push_back(
        withSharding(cast<RankedTensorType>(type), ShardingAttr()));
  for (Type type : op->getResultTypes())
    key.types.push_back(
        withSharding(cast<RankedTensorType>(type), ShardingAttr()));
  std::unique_ptr<OpClass> &known = classes->known[std::move(key)];
  if (!known) {
    known = std::make_unique<OpClass>();
    known->op = op;
    known->ruled = RuledOp::of(op);
    known->products = addProducts(op, known->work);
  }
  return *known;
}

//===----------------------------------------------------------------------===//
// Time inside an operation
//===----------------------------------------------------------------------===//

/// The share of an operation that one device does, by the factors of one kind
/// or of all.
static double share(const ShardingRule &rule, const Strategy &strategy,
                    const Mesh &mesh, std::optional<FactorKind> kind = {}) {
  double product = 1;
  for (auto [i, factor] : llvm::enumerate(rule.factors))
    if (AxisList axes = axesOf(strategy, i);
        !axes.empty() && factor.size > 0 &&
        factor.kind == kind.value_or(factor.kind))
      product *= double(blockSize(factor.size, axes, mesh)) / factor.size;
  return product;
}

/// What one device does in the products of a composite that has several: not
/// every factor is in each of them. Of what a split table is asked for, each
/// device has its share, on average.
static double localFlops(DecomposableOpInterface op, const ShardingRule &rule,
                         const Strategy &strategy, const OpShardings &shardings,
                         const Mesh &mesh) {
  SmallVector<Type> operands;
  for (auto [type, sharding] :
       llvm::zip_equal(op->getOperandTypes(), shardings.operands)) {
    auto tensor = cast<RankedTensorType>(type);
    operands.push_back(
        RankedTensorType::get(localShape(tensor.getShape(), sharding, mesh),
                              tensor.getElementType()));
  }
  Decomposition body(op, operands);
  Work work;
  for (Operation &inner : body.block())
    addProducts(&inner, work);
  return work.flops * share(rule, strategy, mesh, FactorKind::Indexed);
}

static double localBytes(Type type, const Sharding &sharding,
                         const Mesh &mesh) {
  auto tensor = cast<RankedTensorType>(type);
  double bytes = elementBytes(tensor.getElementType());
  for (int64_t n : localShape(tensor.getShape(), sharding, mesh))
    bytes *= n;
  return bytes;
}

/// How many indices an operation with an indexed operand has on one device.
static double numIndices(Operation *op, const OpShardings &shardings,
                         const Mesh &mesh) {
  auto indices =
      cast<RankedTensorType>(op->getOperand(kIndexOperand).getType());
  double count = 1;
  for (int64_t n :
       localShape(indices.getShape(), shardings.operands[kIndexOperand], mesh))
    count *= n;
  return count;
}

/// Bytes that the operation reads and writes on one device. Of an operand with
/// an indexed dimension it reads at most as many slices as there are indices;
/// an operation that replaces a part of its operand moves that part.
static double movedBytes(Operation *op, const ShardingRule &rule,
                         const OpShardings &shardings, const Mesh &mesh) {
  double results = 0;
  for (auto [type, sharding] :
       llvm::zip_equal(op->getResultTypes(), shardings.results))
    results += localBytes(type, sharding, mesh);
  if (auto update = dyn_cast<UpdateSliceOp>(op))
    return 2 * localBytes(update.getUpdate().getType(), shardings.operands[1],
                          mesh);
  double sum = results;
  for (auto [i, type] : llvm::enumerate(op->getOperandTypes())) {
    double bytes = localBytes(type, shardings.operands[i], mesh), read = bytes;
    auto local = localShape(cast<RankedTensorType>(type).getShape(),
                            shardings.operands[i], mesh);
    for (auto [factors, size] : llvm::zip_equal(rule.operands[i], local))
      for (unsigned factor : factors)
        if (rule.factors[factor].kind == FactorKind::Indexed)
          read = std::min(read, numIndices(op, shardings, mesh) * bytes /
                                    std::max<int64_t>(size, 1));
    sum += isa<DynamicSliceOp>(op) ? std::min(bytes, results) : read;
  }
  return sum;
}

/// Bytes that an expansion moves besides its operands and results: what its
/// products make for other operations and take from them (scores and weights of
/// attention), written once and read once.
static double bytesBetween(func::FuncOp body, const Assignment &inside,
                           const Mesh &mesh) {
  double bytes = 0;
  auto add = [&](Value value, const Sharding &sharding) {
    bytes += 2 * localBytes(value.getType(), sharding, mesh);
  };
  Operation *end = body.getBody().front().getTerminator();
  body.walk([&](MatmulOp product) {
    const auto &wanted = inside.wanted.find(product)->second;
    for (auto [operand, sharding] :
         llvm::zip_equal(product->getOperands(), wanted))
      if (operand.getDefiningOp())
        add(operand, sharding);
    if (!llvm::is_contained(end->getOperands(), product.getResult()))
      add(product.getResult(), inside.held.lookup(product.getResult()));
  });
  return bytes;
}

/// The most that an expansion holds at once of what its products make for other
/// operations and take from them.
static int64_t workspaceOf(func::FuncOp body, const Assignment &inside,
                           const Mesh &mesh) {
  Block &block = body.getBody().front();
  llvm::DenseMap<Operation *, int64_t> change;
  llvm::DenseSet<Value> counted;
  auto hold = [&](Value value) {
    Operation *maker = value.getDefiningOp();
    if (!maker || isMadeAnywhere(maker) || !counted.insert(value).second)
      return;
    Operation *last = maker;
    for (Operation *user : value.getUsers()) {
      if (user == block.getTerminator())
        return;
      if (last->isBeforeInBlock(user))
        last = user;
    }
    double bytes = localBytes(value.getType(), inside.held.lookup(value), mesh);
    change[maker] += int64_t(bytes);
    change[last] -= int64_t(bytes);
  };
  for (auto product : block.getOps<MatmulOp>()) {
    hold(product.getLhs());
    hold(product.getRhs());
    hold(product.getResult());
  }
  int64_t held = 0, most = 0;
  for (Operation &op : block)
    most = std::max(most, held += change.lookup(&op));
  return most;
}

bool StrategySpace::priceInside(OpClass &opClass, const Strategy &strategy,
                                PricedStrategy &priced) {
  if (isa<AgainOp>(opClass.op)) // another name, no kernel
    return true;
  const ShardingRule &rule = opClass.ruled.rule;
  const CostModel &costs = planner.getCosts();
  Work work = opClass.work;
  if (opClass.products > 1)
    work.flops = localFlops(cast<DecomposableOpInterface>(opClass.op), rule,
                            strategy, priced.shardings, mesh);
  else
    work.flops *= share(rule, strategy, mesh);
  work.bytes = movedBytes(opClass.op, rule, priced.shardings, mesh);
  priced.computeMicros = costs.computeMicros(work);
  priced.communicationMicros = 0;
  bool isSplit = splits(rule, strategy, FactorKind::Synchronized);
  // Gradients are priced as one kernel, but run as those of their products.
  bool hasWorkspace = isa<VjpOp>(opClass.op) && opClass.products > 0;
  if (!isSplit && !hasWorkspace)
    return true; // one kernel, also where it is attention

  FailureOr<Assignment> body = expand(opClass, priced.shardings);
  if (failed(body))
    return false;
  func::FuncOp function = opClass.expansion->getFunction();
  priced.workspaceBytes = workspaceOf(function, *body, mesh);
  if (!isSplit)
    return true;
  work.bytes += bytesBetween(function, *body, mesh);
  priced.computeMicros = costs.computeMicros(work);
  for (const AssignedReshard &reshard : reshardsOf(function, *body, mesh)) {
    auto type = cast<RankedTensorType>(reshard.value.getType());
    priced.communicationMicros +=
        planner.micros(reshard.from, reshard.to, type.getShape(),
                       elementBytes(type.getElementType()));
  }
  return true;
}

FailureOr<Assignment> StrategySpace::expand(OpClass &opClass,
                                            const OpShardings &shardings) {
  auto composite = cast<DecomposableOpInterface>(opClass.op);
  if (!opClass.expansion)
    opClass.expansion = std::make_unique<Expansion>(composite, mesh);
  ScopedDiagnosticHandler ignore(composite->getContext(),
                                 [](Diagnostic &) { return success(); });
  return opClass.expansion->assign(shardings);
}

std::vector<AssignedReshard>
StrategySpace::inside(Operation *op, const OpShardings &shardings) {
  OpClass &opClass = classOf(op);
  auto strategy = matchStrategy(opClass.ruled, shardings, mesh);
  if (!strategy ||
      !splits(opClass.ruled.rule, *strategy, FactorKind::Synchronized))
    return {};
  FailureOr<Assignment> body = expand(opClass, shardings);
  if (failed(body))
    return {};
  return reshardsOf(opClass.expansion->getFunction(), *body, mesh);
}

std::optional<PricedStrategy> StrategySpace::price(Operation *op,
                                                   OpShardings shardings) {
  OpClass &opClass = classOf(op);
  auto [known, fresh] = opClass.priced.try_emplace(shardings);
  if (!fresh)
    return known->second;
  auto strategy = matchStrategy(opClass.ruled, shardings, mesh);
  PricedStrategy priced{std::move(shardings)};
  if (strategy && priceInside(opClass, *strategy, priced))
    known->second = std::move(priced);
  return known->second;
}

//===----------------------------------------------------------------------===//
// Enumeration
//===----------------------------------------------------------------------===//

/// Lists the assignments of a use to every axis or part of one.
class StrategySpace::Enumeration {
public:
  Enumeration(ArrayRef<Axis> axes, const Mesh &mesh, ArrayRef<AxisUse> uses,
              ArrayRef<int64_t> factorSizes)
      : axes(axes), mesh(mesh), uses(uses), factorSizes(factorSizes),
        takesPinnedApart(countParts() <= kMostAssignments) {}

  /// Calls `fn` with every strategy.
  template <typename Fn> void run(Fn fn) {
    SmallVector<unsigned> order(axes.size());
    std::iota(order.begin(), order.end(), 0);
    bool first = true;
    do {
      visit(order, 0, {}, [&](const Strategy &strategy) {
        // Another order of axes matters only where several cut one factor.
        if (first || cutsTogether(strategy))
          fn(strategy);
      });
      first = false;
    } while (std::next_permutation(order.begin(), order.end()));
  }

private:
  /// With more than this, pinned parts are not used apart.
  static constexpr double kMostAssignments = 5e4;

  /// How many assignments there are where every pinned part counts as an axis.
  double countParts() const {
    double count = 1;
    for (auto [i, axis] : llvm::enumerate(axes)) {
      count *= i + 1; // orders
      for (size_t part = 0; part < (axis.isPinned ? axis.parts.size() : 1);
           ++part)
        count *= uses.size();
    }
    return count;
  }

  template <typename Fn>
  void visit(ArrayRef<unsigned> order, size_t next, Strategy strategy, Fn fn) {
    if (next == order.size()) {
      fn(strategy);
      return;
    }
    const Axis &axis = axes[order[next]];
    AxisRef whole{axis.parts[0].name};
    bool isCut = axis.parts.size() > 1;
    for (AxisUse use : uses)
      if (fits(strategy, whole, use) && !(isCut && isSmall(whole, use)))
        visit(order, next + 1, extended(strategy, whole, use), fn);
    if (isCut)
      visitParts(order, next, {}, strategy, fn);
  }

  /// Uses of the parts of an axis that go on with `chosen`.
  template <typename Fn>
  void visitParts(ArrayRef<unsigned> order, size_t next,
                  const SmallVector<AxisUse, 4> &chosen,
                  const Strategy &strategy, Fn fn) {
    const Axis &axis = axes[order[next]];
    if (chosen.size() == axis.parts.size()) {
      if (mayDiffer(axis, chosen))
        visit(order, next + 1, strategy, fn);
      return;
    }
    const AxisRef &part = axis.parts[chosen.size()];
    for (AxisUse use : uses) {
      // A part, too, only splits what has as many elements.
      if (isSmall(part, use) || !fits(strategy, part, use))
        continue;
      SmallVector<AxisUse, 4> longer = chosen;
      longer.push_back(use);
      visitParts(order, next, longer, extended(strategy, part, use), fn);
    }
  }

  /// Whether the parts of an axis are not all used alike, and may be so: a pin
  /// names one of them, or one splits what is smaller than the axis.
  bool mayDiffer(const Axis &axis, ArrayRef<AxisUse> chosen) const {
    if (llvm::all_equal(chosen))
      return false;
    AxisRef whole{axis.parts[0].name};
    return (axis.isPinned && takesPinnedApart) ||
           llvm::any_of(chosen,
                        [&](AxisUse use) { return isSmall(whole, use); });
  }

  static Strategy extended(Strategy strategy, const AxisRef &axis,
                           AxisUse use) {
    if (use.kind != AxisUse::Replicate)
      strategy.push_back({axis, use});
    return strategy;
  }

  /// Whether `use` splits a factor that is smaller than the whole axis.
  bool isSmall(const AxisRef &axis, AxisUse use) const {
    return use.kind == AxisUse::Split &&
           factorSizes[use.index] < mesh.size(axis);
  }

  /// Whether a factor has enough elements for one more axis.
  bool fits(const Strategy &strategy, const AxisRef &axis, AxisUse use) const {
    if (use.kind != AxisUse::Split)
      return true;
    AxisList own = axesOf(strategy, use.index);
    int64_t size = factorSizes[use.index];
    return own.empty() ? size > 1 : mesh.size(own) * mesh.size(axis) <= size;
  }

  bool cutsTogether(const Strategy &strategy) const {
    for (auto [i, a] : llvm::enumerate(strategy))
      for (const auto &b : ArrayRef(strategy).drop_front(i + 1))
        if (a.second.kind == AxisUse::Split && a.second == b.second &&
            a.first.name != b.first.name)
          return true;
    return false;
  }

  ArrayRef<Axis> axes;
  const Mesh &mesh;
  ArrayRef<AxisUse> uses;
  ArrayRef<int64_t> factorSizes;
  bool takesPinnedApart;
};

const StrategySpace::Strategies &StrategySpace::of(Operation *op) {
  OpClass &opClass = classOf(op);
  if (opClass.strategies)
    return *opClass.strategies;
  Strategies &found = opClass.strategies.emplace();
  const ShardingRule &rule = opClass.ruled.rule;
  SmallVector<int64_t> sizes;
  for (const Factor &factor : rule.factors)
    sizes.push_back(factor.size);
  SmallVector<AxisUse> uses = possibleUses(rule);
  std::unordered_map<OpShardings, size_t, OpShardingsHash, OpShardingsEqual>
      seen;
  Enumeration(axes, mesh, uses, sizes).run([&](const Strategy &strategy) {
    auto shardings = applyStrategy(opClass.ruled, strategy, mesh);
    if (!shardings)
      return;
    auto [it, fresh] = seen.try_emplace(*shardings, found.size());
    PricedStrategy priced{std::move(*shardings)};
    if (!priceInside(opClass, strategy, priced)) {
      if (fresh)
        seen.erase(it);
      return;
    }
    auto total = [](const PricedStrategy &p) {
      return p.computeMicros + p.communicationMicros;
    };
    if (fresh)
      found.push_back(std::move(priced));
    else if (total(priced) < total(found[it->second]))
      found[it->second] = std::move(priced);
  });
  return found;
}

/// Every element of the results from the same element of the operands.
static bool isPointwise(const ShardingRule &rule) {
  auto same = [&](const TensorFactors &factors) {
    return factors == rule.results[0];
  };
  return !rule.results.empty() && !rule.operands.empty() &&
         llvm::all_of(rule.factors,
                      [](const Factor &factor) {
                        return factor.kind == FactorKind::Parallel;
                      }) &&
         llvm::all_of(rule.operands, same) && llvm::all_of(rule.results, same);
}

bool StrategySpace::isPointwise(Operation *op) {
  if (!isa<ShardingRuleOpInterface>(op) || isa<ReshapeOp>(op))
    return false;
  OpClass &opClass = classOf(op);
  if (!opClass.isPointwise)
    opClass.isPointwise = ::isPointwise(opClass.ruled.rule);
  return *opClass.isPointwise;
}

std::vector<Sharding>
StrategySpace::storedShardings(ArrayRef<int64_t> shape) const {
  SmallVector<AxisUse> uses{AxisUse::replicate()};
  for (unsigned dim = 0; dim < shape.size(); ++dim)
    uses.push_back(AxisUse::split(dim));
  RuledOp stored;
  stored.rule = ShardingRule::elementwise(shape, 0);
  stored.resultShapes.push_back(SmallVector<int64_t>(shape));
  std::vector<Sharding> found;
  std::unordered_map<OpShardings, bool, OpShardingsHash, OpShardingsEqual> seen;
  Enumeration(axes, mesh, uses, shape).run([&](const Strategy &strategy) {
    auto shardings = applyStrategy(stored, strategy, mesh);
    if (shardings && seen.try_emplace(*shardings, true).second)
      found.push_back(std::move(shardings->results[0]));
  });
  return found;
}
