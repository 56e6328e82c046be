//===- GroupCollectives.cpp - Several small collectives become one --------===//
//
//   %a = all_reduce sum %p : 1024        %c = concat %p, %q : 1x3072
//   ...                             ->   %r = all_reduce sum %c
//   %b = all_reduce sum %q : 2048        %a = slice %r, %b = slice %r
//
// A small collective takes little but its latency, and the gradients of norms
// and biases, or what projections gather side by side, are many of them. Those
// of one kind, reduction, axes and element type (permutes: and sources) become
// one over their chunks, one after the other (FlatCollectives.h). Every chunk
// begins at a multiple of 64 bytes, so that no vector crosses two. An element
// is reduced with the same members in the same order as before.
//
// What may be grouped:
//
// - A group stands where its last member stood. The others wait for it, and so
//   do operations that use their results before it, if they are pure (or a
//   write of a state that nobody accesses until there), make nothing larger of
//   it, and read beside it nothing larger that would have to live on.
//   Collectives and everything else do not wait: what they use is not grouped
//   with what comes after. No collective is done earlier than it stood.
// - Results are parts of one buffer, so they end together: either all are only
//   wanted at the end of the program (outputs, new states), or none is read
//   after the collective that follows the group.
// - No group is larger than the largest value of the program: that much its
//   buffer takes beside its operands.
// - On the module's machine a member is small: two of its size take longer than
//   one of twice its size and the copy. And the whole group saves time.
//
// Groups form from the end of the program on, around the last collective that
// is in none: what has to be done at the end waits for it, instead of being
// copied together with what is done on the way.
//
//===----------------------------------------------------------------------===//

#include "tpc/Codegen/CoreBuilder.h"
#include "tpc/Codegen/FlatCollectives.h"
#include "tpc/Codegen/Fusion.h"
#include "tpc/Codegen/Passes.h"
#include "tpc/Dialect/Spmd/Spmd.h"
#include "tpc/Sharding/CostModel.h"
#include "tpc/Sharding/Explanation.h"
#include "llvm/Support/MathExtras.h"

namespace tpc {
#define GEN_PASS_DEF_GROUPCOLLECTIVES
#include "tpc/Codegen/Passes.h.inc"
} // namespace tpc

using namespace mlir;
using namespace tpc;

/// No vector of a CPU is longer, and a GPU's accesses are parts of it.
constexpr int64_t kVectorBytes = 64;
/// The copy's operands are parameters of a kernel; a GPU takes 4096 bytes.
constexpr size_t kMaxMembers = 480;

//===----------------------------------------------------------------------===//
// When results are wanted
//===----------------------------------------------------------------------===//

namespace {

/// The positions of a block's operations, and when its values are wanted.
class Uses {
public:
  explicit Uses(Block &block);

  int at(Operation *op) const { return position.lookup(op); }
  int end() const { return last; }
  /// The first operation that cannot wait with its use of the value; none for
  /// what nothing comes of.
  std::optional<int> deadline(Value value) const {
    auto found = deadlines.find(value);
    return found == deadlines.end() ? std::nullopt
                                    : std::optional(found->second);
  }
  /// The last operation that reads the value or a view of it.
  int lastUse(Value value) const;

private:
  void note(Operation &op);

  int last = 0;
  DenseMap<Operation *, int> position;
  DenseMap<Value, int> deadlines;
  DenseMap<Attribute, int> nextAccess; // by symbol
};

} // namespace

/// Whether an operation may wait for this operand: it is pure, makes nothing
/// larger of it, and keeps nothing larger alive.
static bool mayWait(OpOperand &use) {
  Operation *op = use.getOwner();
  if (collectiveKind(op) || !isMemoryEffectFree(op) || op->getNumRegions() ||
      op->hasTrait<OpTrait::IsTerminator>())
    return false;
  int64_t bytes = tensorBytes(tensorType(use.get()));
  auto fits = [&](Value value) {
    return tensorBytes(tensorType(value)) <= bytes;
  };
  // Arguments, parameters, states and constants live on anyway.
  auto livesOn = [](Value value) {
    Operation *producer = value.getDefiningOp();
    return !producer || producer->getNumOperands() == 0;
  };
  return llvm::all_of(op->getResults(), fits) &&
         llvm::all_of(op->getOperands(), [&](Value operand) {
           return fits(operand) || livesOn(operand);
         });
}

Uses::Uses(Block &block) {
  for (Operation &op : block)
    position[&op] = last++;
  --last;
  for (Operation &op : llvm::reverse(block))
    note(op);
}

/// Everything behind the operation is known already.
void Uses::note(Operation &op) {
  int ownDeadline = at(&op);
  if (auto read = dyn_cast<ReadOp>(op))
    nextAccess[read.getSymbolAttr()] = at(&op);
  if (auto write = dyn_cast<WriteOp>(op)) {
    // It waits for what follows, but not past another access.
    int &next =
        nextAccess.try_emplace(write.getSymbolAttr(), end()).first->second;
    ownDeadline = std::exchange(next, at(&op));
  }
  for (OpOperand &use : op.getOpOperands()) {
    std::optional<int> wanted = ownDeadline;
    if (mayWait(use)) {
      wanted = std::nullopt;
      for (Value result : op.getResults())
        if (std::optional<int> of = deadline(result))
          wanted = std::min(wanted.value_or(*of), *of);
    }
    if (!wanted)
      continue;
    auto [entry, isNew] = deadlines.try_emplace(use.get(), *wanted);
    entry->second = std::min(entry->second, *wanted);
  }
}

int Uses::lastUse(Value value) const {
  int last = at(value.getDefiningOp());
  for (Operation *user : value.getUsers())
    last = std::max(last, (isView(user) || isa<AgainOp>(user))
                              ? lastUse(user->getResult(0))
                              : at(user));
  return last;
}

//===----------------------------------------------------------------------===//
// Which become one
//===----------------------------------------------------------------------===//

namespace {

struct Collective {
  Operation *op;
  CollectiveKind kind;
  AxesAttr axes;
  int64_t members; // devices
  bool atTheEnd;   // is the result wanted

  Value operand() const { return op->getOperand(0); }
  Value result() const { return op->getResult(0); }
  /// Of the larger side, which the cost model counts by.
  int64_t bytes() const {
    return std::max(tensorBytes(tensorType(operand())),
                    tensorBytes(tensorType(result())));
  }
  /// A part of the group's result is not contiguous: it has to be copied out.
  bool hasStridedResult() const {
    return kind == CollectiveKind::AllGather ||
           kind == CollectiveKind::AllToAll;
  }
  bool isLike(const Collective &other) const {
    auto same = [&](StringRef name) {
      return op->getAttr(name) == other.op->getAttr(name);
    };
    return kind == other.kind && axes == other.axes && same("reduction") &&
           same("sources") && atTheEnd == other.atTheEnd &&
           elementOf(operand()) == elementOf(other.operand());
  }
};
using Group = SmallVector<Collective>; // in program order

/// The groups of one program.
class Grouping {
public:
  Grouping(Block &block, const CostModel &cost);
  SmallVector<Group> run();

private:
  double micros(const Collective &like, int64_t bytes) const {
    return cost.collectiveMicros(like.kind, bytes, like.axes.getAxes());
  }
  double copyMicros(const Collective &collective) const;
  bool isSmall(const Collective &collective) const;
  bool saves(const Group &group) const;
  /// Whether it may wait for a group that stands at `place`.
  bool mayStandAt(const Collective &collective, int place) const;
  Group takeGroup(SmallVector<Collective> &open) const;

  const CostModel &cost;
  Uses uses;
  int64_t largestValue = 0;
  SmallVector<int> places; // of all collectives
  SmallVector<SmallVector<Collective>> alike;
};

} // namespace

Grouping::Grouping(Block &block, const CostModel &cost)
    : cost(cost), uses(block) {
  for (Value argument : block.getArguments())
    largestValue = std::max(largestValue, tensorBytes(tensorType(argument)));
  for (Operation &op : block) {
    for (Value result : op.getResults())
      largestValue = std::max(largestValue, tensorBytes(tensorType(result)));
    std::optional<CollectiveKind> kind = collectiveKind(&op);
    if (!kind)
      continue;
    places.push_back(uses.at(&op));
    auto axes = op.getAttrOfType<AxesAttr>("axes");
    int64_t members = cost.getMesh().size(axes.getAxes());
    std::optional<int> wanted = uses.deadline(op.getResult(0));
    if (!wanted || !isFlat(&op, members))
      continue;
    Collective collective{&op, *kind, axes, members, *wanted == uses.end()};
    if (!isSmall(collective))
      continue;
    auto found = llvm::find_if(alike, [&](ArrayRef<Collective> others) {
      return others.front().isLike(collective);
    });
    if (found == alike.end())
      alike.push_back({collective});
    else
      found->push_back(collective);
  }
}

/// What being in a group costs, besides the start of the kernel that brings all
/// members' operands together.
double Grouping::copyMicros(const Collective &collective) const {
  double in = cost.copyMicros(tensorBytes(tensorType(collective.operand()))) -
              cost.copyMicros(0);
  if (!collective.hasStridedResult())
    return in;
  return in + cost.copyMicros(tensorBytes(tensorType(collective.result())));
}

bool Grouping::isSmall(const Collective &collective) const {
  int64_t bytes = collective.bytes();
  return 2 * micros(collective, bytes) - micros(collective, 2 * bytes) >
         copyMicros(collective);
}

bool Grouping::saves(const Group &group) const {
  int64_t bytes = 0;
  double saved = -cost.copyMicros(0);
  for (const Collective &member : group) {
    bytes += member.bytes();
    saved += micros(member, member.bytes()) - copyMicros(member);
  }
  return group.size() > 1 && saved > micros(group.front(), bytes);
}

bool Grouping::mayStandAt(const Collective &collective, int place) const {
  if (*uses.deadline(collective.result()) <= place)
    return false;
  if (collective.atTheEnd)
    return true;
  auto next = llvm::upper_bound(places, place);
  return uses.lastUse(collective.result()) <
         (next == places.end() ? uses.end() : *next);
}

/// The last of `open` and what may be grouped with it, which leave `open`. The
/// nearest come first, up to one that is too much: so few groups wait at a
/// time.
Group Grouping::takeGroup(SmallVector<Collective> &open) const {
  Group group{open.pop_back_val()};
  int place = uses.at(group.front().op);
  int64_t bytes = group.front().bytes();
  SmallVector<Collective> others;
  bool isFull = !mayStandAt(group.front(), place);
  for (const Collective &collective : llvm::reverse(open)) {
    bool fits = mayStandAt(collective, place);
    isFull |= fits && (bytes + collective.bytes() > largestValue ||
                       group.size() == kMaxMembers);
    if (!fits || isFull) {
      others.push_back(collective);
      continue;
    }
    group.push_back(collective);
    bytes += collective.bytes();
  }
  if (!saves(group))
    return {};
  std::reverse(group.begin(), group.end());
  open.assign(others.rbegin(), others.rend());
  return group;
}

SmallVector<Group> Grouping::run() {
  SmallVector<Group> groups;
  for (SmallVector<Collective> &open : alike)
    while (!open.empty())
      if (Group group = takeGroup(open); !group.empty())
        groups.push_back(std::move(group));
  return groups;
}

//===----------------------------------------------------------------------===//
// How they become one
//===----------------------------------------------------------------------===//

/// "3 all_reduces in one: model.layers.*.norm, model.norm"
static Location locationOf(const Group &group) {
  Operation *first = group.front().op;
  SmallVector<std::string> names;
  for (const Collective &member : group) {
    std::string name = layerPattern(describe(member.op));
    if (!llvm::is_contained(names, name))
      names.push_back(name);
  }
  constexpr size_t most = 4;
  std::string text = std::to_string(group.size()) + " " +
                     first->getName().stripDialect().str() + "s in one: " +
                     llvm::join(ArrayRef(names).take_front(most), ", ") +
                     (names.size() > most ? ", ..." : "");
  return NameLoc::get(StringAttr::get(first->getContext(), text),
                      first->getLoc());
}

/// The origins of all members, one each.
static ArrayAttr originsOf(const Group &group) {
  MLIRContext *context = group.front().op->getContext();
  return ArrayAttr::get(
      context, llvm::map_to_vector(group, [&](const Collective &member) {
        Attribute origin = member.op->getAttr("origin");
        return origin ? origin : UnitAttr::get(context);
      }));
}

/// What the operand (or the result) is but for its chunk: the sizes of all
/// dimensions before the last.
static SmallVector<int64_t> chunksOf(const Collective &collective,
                                     bool isResult) {
  int64_t n = collective.members;
  switch (collective.kind) {
  case CollectiveKind::AllReduce:
  case CollectiveKind::Permute:
    return {1};
  case CollectiveKind::AllGather:
    return {isResult ? n : 1};
  case CollectiveKind::ReduceScatter:
    return {isResult ? 1 : n};
  case CollectiveKind::AllToAll:
    if (isResult)
      return {1, n};
    return {n, 1};
  }
  llvm_unreachable("a collective of no kind");
}

static SmallVector<int64_t> withChunk(SmallVector<int64_t> chunks,
                                      int64_t size) {
  chunks.push_back(size);
  return chunks;
}

/// What uses `results` between `from` and `place` comes behind `after`.
static void moveUsers(Operation *from, Operation *place, Operation *after,
                      ArrayRef<Value> results) {
  DenseSet<Value> late(results.begin(), results.end());
  for (Operation *op = from; op != place;) {
    Operation *next = op->getNextNode();
    if (llvm::any_of(op->getOperands(),
                     [&](Value operand) { return late.contains(operand); })) {
      op->moveAfter(after);
      after = op;
      late.insert(op->result_begin(), op->result_end());
    }
    op = next;
  }
}

/// Makes the members one, where the last of them stands.
static void merge(const Group &group) {
  const Collective &first = group.front();
  Operation *last = group.back().op;
  Location loc = locationOf(group);
  OpBuilder builder(last);
  CoreBuilder core(builder, loc);
  Type element = elementOf(first.operand());
  SmallVector<int64_t> operandChunks = chunksOf(first, false),
                       resultChunks = chunksOf(first, true);
  int64_t count = ShapedType::getNumElements(operandChunks), total = 0;
  int64_t unit = kVectorBytes / elementBytes(element);
  SmallVector<Value> parts;
  SmallVector<int64_t> begins, sizes;
  for (const Collective &member : group) {
    int64_t size = tensorType(member.operand()).getNumElements() / count;
    int64_t whole = llvm::alignTo(size, unit);
    parts.push_back(
        core.reshape(member.operand(), withChunk(operandChunks, size)));
    if (whole != size)
      parts.push_back(
          core.splat(0, withChunk(operandChunks, whole - size), element));
    begins.push_back(total);
    sizes.push_back(size);
    total += whole;
  }
  Value operand = tpc::ConcatOp::create(
      builder, loc,
      RankedTensorType::get(withChunk(operandChunks, total), element), parts,
      builder.getI64IntegerAttr(operandChunks.size()));

  OperationState state(loc, first.op->getName());
  state.addOperands(operand);
  state.addTypes(
      RankedTensorType::get(withChunk(resultChunks, total), element));
  state.addAttributes(first.op->getAttrs());
  // The chunks follow the dimensions that the members are along.
  for (auto [name, dim] : {std::pair("dim", 0), std::pair("split_dim", 0),
                           std::pair("concat_dim", 1)})
    if (first.op->hasAttr(name))
      state.attributes.set(name, builder.getI64IntegerAttr(dim));
  state.attributes.set("origin", originsOf(group));
  Value result = builder.create(state)->getResult(0);

  SmallVector<Value> results;
  for (auto [member, begin, size] : llvm::zip_equal(group, begins, sizes)) {
    SmallVector<int64_t> offsets =
        withChunk(SmallVector<int64_t>(resultChunks.size(), 0), begin);
    Value part = tpc::SliceOp::create(
        builder, member.op->getLoc(),
        RankedTensorType::get(withChunk(resultChunks, size), element), result,
        builder.getDenseI64ArrayAttr(offsets));
    results.push_back(CoreBuilder(builder, member.op->getLoc())
                          .reshape(part, shapeOf(member.result())));
    member.result().replaceAllUsesWith(results.back());
  }
  moveUsers(first.op, operand.getDefiningOp(), last, results);
  for (const Collective &member : group)
    member.op->erase();
}

namespace {
struct GroupCollectives : tpc::impl::GroupCollectivesBase<GroupCollectives> {
  void runOnOperation() override {
    FailureOr<Mesh> mesh = lookupMesh(getOperation());
    FailureOr<Machine> machine = machineOf(getOperation());
    if (failed(mesh) || failed(machine))
      return signalPassFailure();
    CostModel cost(*machine, *mesh);
    for (auto program : getOperation().getOps<spmd::ProgramOp>())
      for (const Group &group : Grouping(program.getBody().front(), cost).run())
        merge(group);
  }
};
} // namespace
