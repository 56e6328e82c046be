//===- Fusion.cpp - Which operations form a kernel ------------------------===//

#include "tpc/Codegen/Fusion.h"
#include "tpc/Codegen/CoreBuilder.h"
#include "tpc/Codegen/MatmulLayout.h"
#include "tpc/Dialect/Spmd/Spmd.h"

using namespace mlir;
using namespace tpc;

/// More buffers would not fit the registers that hold their addresses.
constexpr size_t kMaxOperands = 24;
/// Longer kernels save little more memory traffic, and what is asked of a group
/// whenever it grows would take quadratic time.
constexpr size_t kMaxOps = 64;

std::optional<int64_t> tpc::contiguousOffset(tpc::SliceOp op) {
  ArrayRef<int64_t> from = shapeOf(op.getOperand()),
                    to = shapeOf(op.getResult());
  SmallVector<int64_t> strides = rowMajorStrides(from);
  int64_t offset = 0;
  bool cut = false;
  for (size_t i = 0; i < from.size(); ++i) {
    // Behind a dimension that keeps more than one element all must be whole.
    if (cut && from[i] != to[i])
      return std::nullopt;
    cut |= to[i] != 1;
    offset += op.getOffsets()[i] * strides[i];
  }
  return offset;
}

bool tpc::isView(Operation *op) {
  if (auto slice = dyn_cast<tpc::SliceOp>(op))
    return contiguousOffset(slice).has_value();
  return isa<ReshapeOp>(op);
}

namespace {

class Grouping {
public:
  Grouping(ArrayRef<Operation *> needed, ReadsFn reads);
  std::vector<KernelBody> run();

private:
  using Group = SmallVector<Operation *>;

  bool isFree(Operation *op);
  bool isKernelOp(Operation *op) {
    return position.count(op) && !isView(op) && classify(op) != OpClass::Other;
  }
  KernelBody bodyOf(ArrayRef<Operation *> members);
  void addFreeOperands(Operation *op, KernelBody &body);
  bool tryMerge(int producer, int consumer, Value edge);
  bool shapesAllow(ArrayRef<Operation *> producer,
                   ArrayRef<Operation *> consumer, const KernelBody &merged);
  bool readsAllow(Value edge, ArrayRef<Operation *> producer,
                  ArrayRef<Operation *> merged);
  bool updatesAllow(ArrayRef<Operation *> merged);
  int horizonOf(int last);
  bool hasOtherPath(int producer, int consumer);
  bool hasOneUse(Value value);

  ArrayRef<Operation *> readersOf(Value value);
  void collectSources(Operation *op, llvm::SetVector<Value> &sources);

  SmallVector<Operation *> needed;
  DenseMap<Operation *, int> position;
  DenseMap<Value, SmallVector<Operation *, 2>> users;
  DenseMap<Value, SmallVector<Operation *, 0>> readers;
  DenseMap<Operation *, bool> freeOps;
  DenseMap<Operation *, int> groupOf;
  std::vector<Group> groups;
  /// The last position of a group of several operations.
  int lastMerged = -1;
};

} // namespace

Grouping::Grouping(ArrayRef<Operation *> ops, ReadsFn reads)
    : needed(ops.begin(), ops.end()) {
  for (auto [i, op] : llvm::enumerate(needed)) {
    position[op] = i;
    for (Value value : reads(op))
      users[value].push_back(op);
  }
}

bool Grouping::isFree(Operation *op) {
  auto found = freeOps.find(op);
  if (found != freeOps.end())
    return found->second;
  bool result = classify(op) == OpClass::Free;
  if (isa<tpc::SliceOp>(op)) {
    Operation *producer = op->getOperand(0).getDefiningOp();
    result = !producer || !isKernelOp(producer);
  }
  if (auto broadcast = dyn_cast<BroadcastOp>(op)) {
    result = 2 * tensorType(broadcast.getOperand()).getNumElements() <=
             tensorType(broadcast.getResult()).getNumElements();
  } else if (op->hasTrait<Elementwise>() && !isCostly(op)) {
    result = llvm::all_of(op->getOperands(), [&](Value operand) {
      Operation *producer = operand.getDefiningOp();
      return producer && isKernelOp(producer)
                 ? isFree(producer)
                 : tensorType(operand).getNumElements() == 1;
    });
  }
  return freeOps[op] = result;
}

/// The steps that read a value, or what free operations make of it.
ArrayRef<Operation *> Grouping::readersOf(Value value) {
  auto found = readers.find(value);
  if (found != readers.end())
    return found->second;
  llvm::SetVector<Operation *> all;
  for (Operation *user : users.lookup(value)) {
    bool isCopied = isKernelOp(user) && isFree(user);
    if (!isCopied || groupOf.count(user))
      all.insert(user);
    if (isCopied)
      for (Operation *reader : readersOf(user->getResult(0)))
        if (isKernelOp(reader))
          all.insert(reader);
  }
  return readers[value] = all.takeVector();
}

/// The values of other operations that `op` reads, also through free ones.
void Grouping::collectSources(Operation *op, llvm::SetVector<Value> &sources) {
  for (Value operand : op->getOperands()) {
    Operation *producer = operand.getDefiningOp();
    if (!producer || !isKernelOp(producer))
      continue;
    if (isFree(producer))
      collectSources(producer, sources);
    else
      sources.insert(operand);
  }
}

/// Whether `op` reads the operand from memory: a kernel for it alone reads all,
/// and what is updated in place is a buffer. A free operation is then no part
/// of the reader's kernel.
static bool readsBuffer(OpOperand &operand) {
  Operation *op = operand.getOwner();
  return classify(op) == OpClass::Special ||
         (isa<UpdateSliceOp>(op) && operand.getOperandNumber() == 0);
}

/// Inside a group, free operations stand before their first use.
void Grouping::addFreeOperands(Operation *op, KernelBody &body) {
  for (OpOperand &operand : op->getOpOperands()) {
    Operation *producer = operand.get().getDefiningOp();
    if (!producer || !isKernelOp(producer) || !isFree(producer) ||
        readsBuffer(operand) || !body.inside.insert(producer).second)
      continue;
    addFreeOperands(producer, body);
    body.ops.push_back(producer);
  }
}

KernelBody Grouping::bodyOf(ArrayRef<Operation *> members) {
  KernelBody body;
  body.inside.insert(members.begin(), members.end());
  for (Operation *op : members) {
    addFreeOperands(op, body);
    body.ops.push_back(op);
  }
  // Updated buffers come first, as in plan.kernel_func.
  for (bool updates : {true, false})
    for (Operation *op : members)
      for (Value result : op->getResults())
        if (isa<UpdateSliceOp, ScatterAddOp>(op) == updates &&
            (classify(op) == OpClass::Special ||
             llvm::any_of(readersOf(result), [&](Operation *reader) {
               return !llvm::is_contained(members, reader);
             })))
          body.outputs.push_back(result);
  return body;
}

bool Grouping::hasOneUse(Value value) { return readersOf(value).size() == 1; }

/// The position behind which nothing leads back to an operation at `last` or
/// before: no group has operations on both sides.
int Grouping::horizonOf(int last) {
  if (lastMerged <= last)
    return last;
  for (int i = 0; i <= last; ++i)
    if (auto group = groupOf.find(needed[i]); group != groupOf.end())
      last = std::max(last, position[groups[group->second].back()]);
  return last;
}

/// Whether a path leads from the producer's group to the consumer's through
/// anything else.
bool Grouping::hasOtherPath(int producer, int consumer) {
  int horizon = horizonOf(position[groups[consumer].back()]);
  DenseSet<Operation *> seen;
  SmallVector<Operation *> worklist;
  auto visitUsers = [&](Operation *op) {
    for (Value result : op->getResults())
      for (Operation *user : readersOf(result))
        if (position[user] <= horizon && seen.insert(user).second)
          worklist.push_back(user);
  };
  auto isIn = [&](Operation *op, int which) {
    auto group = groupOf.find(op);
    return group != groupOf.end() && group->second == which;
  };
  for (Operation *op : groups[producer])
    visitUsers(op);
  llvm::erase_if(worklist, [&](Operation *op) {
    return isIn(op, consumer) || isIn(op, producer);
  });
  // Edges within the merged group are no paths, but their ends may be reached
  // by one.
  seen.clear();
  seen.insert(worklist.begin(), worklist.end());
  while (!worklist.empty()) {
    Operation *op = worklist.pop_back_val();
    if (isIn(op, consumer))
      return true;
    auto group = groupOf.find(op);
    if (group == groupOf.end())
      visitUsers(op);
    else
      for (Operation *member : groups[group->second])
        visitUsers(member);
  }
  return false;
}

/// Reads from elsewhere: their result feeds one operation, and so does what
/// they read.
bool Grouping::readsAllow(Value edge, ArrayRef<Operation *> producer,
                          ArrayRef<Operation *> merged) {
  for (Operation *op : merged) {
    OpClass kind = classify(op);
    if (kind != OpClass::Pull)
      continue;
    for (Operation *user : readersOf(op->getResult(0)))
      if (llvm::is_contained(merged, user) && !hasOneUse(op->getResult(0)))
        return false;
    for (Value operand : op->getOperands()) {
      Operation *source = operand.getDefiningOp();
      if (source && llvm::is_contained(merged, source) &&
          (!hasOneUse(operand) || isRowReduction(source)))
        return false;
    }
  }
  // A value that is read elsewhere than at its own point cannot also be the
  // group's output.
  Operation *consumer = *llvm::find_if(readersOf(edge), [&](Operation *user) {
    return llvm::is_contained(merged, user);
  });
  if (classify(consumer) == OpClass::Pull)
    for (Operation *op : producer)
      for (Value result : op->getResults())
        if (result != edge &&
            llvm::any_of(readersOf(result), [&](Operation *user) {
              return !llvm::is_contained(merged, user);
            }))
          return false;
  return true;
}

bool Grouping::updatesAllow(ArrayRef<Operation *> merged) {
  for (Operation *op : merged) {
    auto update = dyn_cast<UpdateSliceOp>(op);
    if (!update)
      continue;
    for (Operation *other : merged) {
      if (llvm::is_contained(other->getOperands(), update.getResult()))
        return false;
      for (OpOperand &operand : other->getOpOperands())
        if (operand.get() == update.getOperand() &&
            (other != op || operand.getOperandNumber() != 0))
          return false;
    }
  }
  return true;
}

/// One kernel computes the merged group, without losing vectors or repeating
/// costly work.
bool Grouping::shapesAllow(ArrayRef<Operation *> producer,
                           ArrayRef<Operation *> consumer,
                           const KernelBody &merged) {
  std::optional<KernelShape> shape = computeShape(merged);
  if (!shape)
    return false;
  auto isVectorWork = [&](ArrayRef<Operation *> members) {
    bool computes = llvm::any_of(members, [](Operation *op) {
      return op->hasTrait<Elementwise>() || isa<ReduceOp>(op);
    });
    std::optional<KernelShape> own = computeShape(bodyOf(members));
    return computes && own && !own->scalar;
  };
  if (shape->scalar && (isVectorWork(producer) || isVectorWork(consumer)))
    return false;
  ArrayRef<int64_t> domain = shape->domain;
  for (Operation *op : merged.ops) {
    if (!isCostly(op) || shapeOf(op->getResult(0)) == domain)
      continue;
    bool isRowValue =
        !domain.empty() && shapeOf(op->getResult(0)) == domain.drop_back();
    if (!isRowValue && tensorType(op->getResult(0)).getNumElements() <
                           ShapedType::getNumElements(domain))
      return false;
  }
  return true;
}

/// A concat that only collectives read.
static bool gathersForCollectives(Operation *op) {
  return isa<ConcatOp>(op) && !op->use_empty() &&
         llvm::all_of(op->getUsers(), [](Operation *user) {
           return isa<spmd::AllReduceOp, spmd::AllGatherOp,
                      spmd::ReduceScatterOp, spmd::AllToAllOp, spmd::PermuteOp>(
               user);
         });
}

bool Grouping::tryMerge(int producer, int consumer, Value edge) {
  auto isSpecial = [](Operation *op) {
    return classify(op) == OpClass::Special;
  };
  Group merged(groups[producer]);
  llvm::append_range(merged, groups[consumer]);
  if (merged.size() > kMaxOps || llvm::any_of(merged, isSpecial) ||
      llvm::any_of(merged, gathersForCollectives))
    return false;
  llvm::sort(merged, [&](Operation *a, Operation *b) {
    return position[a] < position[b];
  });
  if (!updatesAllow(merged) || !readsAllow(edge, groups[producer], merged))
    return false;
  KernelBody body = bodyOf(merged);
  llvm::SetVector<Value> operands;
  for (Operation *op : body.ops)
    for (Value operand : op->getOperands())
      if (!body.contains(operand))
        operands.insert(operand);
  if (operands.size() + body.outputs.size() > kMaxOperands ||
      !shapesAllow(groups[producer], groups[consumer], body) ||
      hasOtherPath(producer, consumer))
    return false;
  for (Operation *op : groups[producer])
    groupOf[op] = consumer;
  groups[producer].clear();
  groups[consumer] = merged;
  lastMerged = std::max(lastMerged, position[merged.back()]);
  return true;
}

std::vector<KernelBody> Grouping::run() {
  // A free operation is a group only where something else than a kernel needs
  // its value.
  for (Operation *op : needed) {
    if (!isKernelOp(op))
      continue;
    if (isFree(op) &&
        llvm::all_of(users.lookup(op->getResult(0)), [&](Operation *user) {
          return isKernelOp(user) &&
                 llvm::none_of(user->getOpOperands(), [&](OpOperand &operand) {
                   return operand.get() == op->getResult(0) &&
                          readsBuffer(operand);
                 });
        }))
      continue;
    groupOf[op] = groups.size();
    groups.push_back({op});
  }
  for (Operation *op : needed) {
    if (!groupOf.count(op) || isFree(op))
      continue;
    llvm::SetVector<Value> sources;
    collectSources(op, sources);
    for (Value source : sources) {
      int producer = groupOf.lookup(source.getDefiningOp());
      if (producer != groupOf[op])
        tryMerge(producer, groupOf[op], source);
    }
  }
  std::vector<KernelBody> bodies;
  for (const Group &group : groups)
    if (!group.empty())
      bodies.push_back(bodyOf(group));
  return bodies;
}

std::vector<KernelBody> tpc::formGroups(ArrayRef<Operation *> needed,
                                        ReadsFn reads) {
  return Grouping(needed, reads).run();
}
