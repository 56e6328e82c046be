//===- Recomputation.cpp - What gradients may compute again ---------------===//

#include "Recomputation.h"
#include "mlir/IR/IRMapping.h"
#include "tpc/Dialect/Tpc/Tpc.h"

using namespace mlir;
using namespace tpc;

//===----------------------------------------------------------------------===//
// What may be
//===----------------------------------------------------------------------===//

/// Whether a value can be read at any time: it is stored or given.
static bool isAlwaysThere(Value value,
                          const llvm::DenseSet<StringAttr> &written) {
  Operation *maker = value.getDefiningOp();
  if (!maker || isMadeAnywhere(maker))
    return true;
  auto read = dyn_cast<ReadOp>(maker);
  return read && !written.contains(read.getSymbolAttr().getAttr());
}

/// Behind the last operation that a result other than a gradient, or a state,
/// depends on.
static int64_t findBoundary(func::FuncOp function) {
  Block &block = function.getBody().front();
  Operation *ret = block.getTerminator();
  llvm::DenseSet<Value> needed;
  bool hasGradients = false;
  for (unsigned i = 0; i < ret->getNumOperands(); ++i) {
    if (isGradient(function, i))
      hasGradients = true;
    else
      needed.insert(ret->getOperand(i));
  }
  int64_t time = std::distance(block.begin(), ret->getIterator());
  if (!hasGradients)
    return time;
  for (Operation &op : llvm::reverse(block.without_terminator())) {
    --time;
    if (isa<WriteOp>(op) || llvm::any_of(op.getResults(), [&](Value result) {
          return needed.contains(result);
        }))
      return time + 1;
  }
  return 0;
}

/// Numbers operations by sections: between two sections less than half of the
/// bytes are live that are within either. Sizes are of whole values; what is
/// there anyhow does not count.
static llvm::DenseMap<Operation *, unsigned>
findSections(ArrayRef<Operation *> ops) {
  llvm::DenseMap<Operation *, size_t> index;
  for (auto [i, op] : llvm::enumerate(ops))
    index[op] = i;
  // By operation, the change of what is live behind it.
  std::vector<int64_t> changes(ops.size() + 1, 0);
  for (auto [i, op] : llvm::enumerate(ops))
    for (Value result : op->getResults()) {
      size_t last = i;
      for (Operation *user : result.getUsers())
        if (auto found = index.find(user); found != index.end())
          last = std::max(last, found->second);
      int64_t bytes = tensorBytes(cast<RankedTensorType>(result.getType()));
      changes[i] += bytes;
      changes[last] -= bytes;
    }
  std::vector<size_t> ends;
  int64_t live = 0, lowest = 0, highest = 0;
  size_t valley = 0;
  bool isHigh = true;
  for (size_t i = 0; i < ops.size(); ++i) {
    live += changes[i];
    if (isHigh) {
      highest = std::max(highest, live);
      if (2 * live > highest)
        continue;
      isHigh = false;
      lowest = live;
      valley = i;
    } else if (live <= lowest) {
      lowest = live;
      valley = i;
    } else if (live >= 2 * lowest) {
      ends.push_back(valley);
      isHigh = true;
      highest = live;
    }
  }
  llvm::DenseMap<Operation *, unsigned> sections;
  for (auto [i, op] : llvm::enumerate(ops))
    sections[op] = llvm::lower_bound(ends, i) - ends.begin();
  return sections;
}

Recomputation::Recomputation(func::FuncOp function)
    : boundaryTime(findBoundary(function)) {
  Block &block = function.getBody().front();
  llvm::DenseSet<StringAttr> written;
  for (auto [time, op] : llvm::enumerate(block)) {
    times[&op] = time;
    if (auto write = dyn_cast<WriteOp>(op))
      written.insert(write.getSymbolAttr().getAttr());
  }
  SmallVector<Operation *> forward;
  for (Operation &op : block) {
    if (!isForward(&op))
      break;
    for (Value operand : op.getOperands())
      if (isAlwaysThere(operand, written))
        always.insert(operand);
    if (isa<ShardingRuleOpInterface>(op) && !isMadeAnywhere(&op))
      forward.push_back(&op);
  }
  sections = findSections(forward);
  // Who needs whom, and who has what it needs, until nothing is left to strike.
  llvm::DenseSet<Operation *> struck;
  // What is returned is kept in any case.
  for (Value result : block.getTerminator()->getOperands())
    if (Operation *maker = result.getDefiningOp())
      struck.insert(maker);
  for (bool changed = true; changed;) {
    again.clear();
    for (Operation *op : llvm::reverse(forward))
      if (!struck.contains(op))
        if (std::optional<int64_t> when = needed(op))
          again[op] = *when;
    changed = false;
    for (Operation *op : forward)
      if (again.contains(op) && !canBeMade(op))
        changed = struck.insert(op).second;
  }
}

std::optional<int64_t> Recomputation::timeAgain(Operation *op) const {
  auto found = again.find(op);
  return found == again.end() ? std::nullopt : std::optional(found->second);
}

/// The first time that gradients read a result of `op`, or that an operation of
/// its section is computed again from it.
std::optional<int64_t> Recomputation::needed(Operation *op) const {
  std::optional<int64_t> first;
  for (Operation *user : op->getUsers()) {
    std::optional<int64_t> when;
    if (!isForward(user))
      when = times.lookup(user);
    else if (sections.lookup(user) == sections.lookup(op))
      when = timeAgain(user);
    if (when)
      first = first ? std::min(*first, *when) : *when;
  }
  return first;
}

bool Recomputation::mayBeKept(Operation *op) const {
  return isForward(op) && !timeAgain(op) && !isMadeAnywhere(op) &&
         llvm::any_of(op->getResults(), [&](Value result) {
           return !isRead(result) && !readAgain(result).empty();
         });
}

bool Recomputation::canBeMade(Operation *op) const {
  return llvm::all_of(op->getOperands(), [&](Value operand) {
    Operation *maker = operand.getDefiningOp();
    return isRead(operand) || isInTime(maker, op) ||
           (isa<ShardingRuleOpInterface>(maker) && !timeAgain(maker));
  });
}

bool Recomputation::isRead(Value value) const {
  return always.contains(value) ||
         llvm::any_of(value.getUsers(),
                      [&](Operation *user) { return !isForward(user); });
}

SmallVector<int64_t, 2> Recomputation::readAgain(Value value) const {
  SmallVector<int64_t, 2> found;
  for (Operation *user : value.getUsers())
    if (auto when = timeAgain(user))
      found.push_back(*when);
  llvm::sort(found);
  return found;
}

bool Recomputation::isInTime(Operation *maker, Operation *user) const {
  std::optional<int64_t> made = timeAgain(maker), read = timeAgain(user);
  return made && read && *made <= *read;
}

//===----------------------------------------------------------------------===//
// What is
//===----------------------------------------------------------------------===//

namespace {

/// Puts what is computed again where gradients need it.
class Recomputer {
public:
  Recomputer(func::FuncOp function, Assignment &assignment)
      : function(function), assignment(assignment),
        builder(function.getContext()) {}

  void run() {
    Block &block = function.getBody().front();
    int64_t boundary = Recomputation(function).boundary();
    SmallVector<Operation *> behind;
    for (auto [time, op] : llvm::enumerate(block))
      if (int64_t(time) >= boundary)
        behind.push_back(&op);
    for (Operation *op : behind) {
      builder.setInsertionPoint(op);
      for (OpOperand &operand : op->getOpOperands())
        operand.set(forGradient(operand.get(), wantedOf(operand)));
    }
  }

private:
  Sharding wantedOf(OpOperand &operand) {
    return assignment.wanted.find(operand.getOwner())
        ->second[operand.getOperandNumber()];
  }

  bool isResent(Value value, const Sharding &wanted) {
    auto resent = assignment.resentAgain.find(value);
    return resent != assignment.resentAgain.end() &&
           llvm::is_contained(resent->second, wanted);
  }

  /// What a gradient reads in place of a value.
  Value forGradient(Value value, const Sharding &wanted) {
    if (auto made = clones.find(value); made != clones.end())
      return made->second;
    Operation *maker = value.getDefiningOp();
    if (maker && assignment.again.contains(maker))
      return computed(cast<OpResult>(value));
    if (isResent(value, wanted))
      return marked(value, assignment.held.lookup(value));
    return value;
  }

  Value computed(OpResult result) {
    Operation *op = result.getOwner();
    IRMapping mapping;
    for (OpOperand &operand : op->getOpOperands()) {
      Sharding wanted = wantedOf(operand);
      Value value = forGradient(operand.get(), wanted);
      Operation *maker = value.getDefiningOp();
      // Else it would be the same computation as the first.
      if (value == operand.get() && !(maker && isMadeAnywhere(maker)))
        value = marked(value, wanted);
      mapping.map(operand.get(), value);
    }
    Operation *clone = builder.clone(*op, mapping);
    assignment.wanted[clone] = assignment.wanted.lookup(op);
    for (auto [from, to] :
         llvm::zip_equal(op->getResults(), clone->getResults())) {
      assignment.held[to] = assignment.held.lookup(from);
      clones[from] = to;
    }
    return clones.lookup(result);
  }

  /// A value under a sharding, marked as one to compute from again.
  Value marked(Value value, const Sharding &sharding) {
    for (AgainOp mark : marks[value])
      if (assignment.held.lookup(mark.getResult()) == sharding)
        return mark.getResult();
    auto mark =
        AgainOp::create(builder, value.getLoc(), value.getType(), value);
    assignment.wanted[mark] = {sharding};
    assignment.held[mark.getResult()] = sharding;
    marks[value].push_back(mark);
    return mark.getResult();
  }

  func::FuncOp function;
  Assignment &assignment;
  OpBuilder builder;
  llvm::DenseMap<Value, Value> clones;
  llvm::DenseMap<Value, SmallVector<AgainOp, 1>> marks;
};

} // namespace

bool tpc::recomputes(const Assignment &assignment) {
  return !assignment.again.empty() || !assignment.resentAgain.empty();
}

void tpc::placeRecomputation(ModuleOp module, Assignment &assignment) {
  if (!recomputes(assignment))
    return;
  for (auto function : module.getOps<func::FuncOp>())
    Recomputer(function, assignment).run();
  assignment.again.clear();
  assignment.resentAgain.clear();
}

RecomputedModule tpc::withRecomputation(ModuleOp module,
                                        const Assignment &assignment) {
  IRMapping mapping;
  RecomputedModule copy;
  copy.module = cast<ModuleOp>(module.getOperation()->clone(mapping));
  Assignment &copied = copy.assignment;
  copied.symbols = assignment.symbols;
  copied.search = assignment.search;
  for (const auto &[value, sharding] : assignment.held)
    copied.held[mapping.lookup(value)] = sharding;
  for (const auto &[op, shardings] : assignment.wanted)
    copied.wanted[mapping.lookup(op)] = shardings;
  for (Operation *op : assignment.again)
    copied.again.insert(mapping.lookup(op));
  for (const auto &[value, shardings] : assignment.resentAgain)
    copied.resentAgain[mapping.lookup(value)] = shardings;
  placeRecomputation(*copy.module, copied);
  return copy;
}
