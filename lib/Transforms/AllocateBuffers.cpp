//===- AllocateBuffers.cpp - Values of a plan get their places ------------===//
//
// Three steps:
//
// 1. Copies, where a value cannot live where it must: an updated buffer that is
//    read later, an output that is an input, a state's new value that was
//    computed elsewhere while the old one was still read.
// 2. Sharing: a result takes its operand's buffer where the kernel allows it
//    (in_place), for updates, and for all_reduce; if the operand dies there.
// 3. Offsets: inputs have their own bytes for the whole call, outputs from the
//    step on that makes them. Buffers are placed largest first, each into the
//    smallest gap among the buffers that live at the same time.
//
//===----------------------------------------------------------------------===//

#include "tpc/Codegen/KernelShape.h"
#include "tpc/Codegen/Passes.h"
#include "tpc/Dialect/Plan/Plan.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/Support/MathExtras.h"

namespace tpc {
#define GEN_PASS_DEF_ALLOCATEBUFFERS
#include "tpc/Codegen/Passes.h.inc"
} // namespace tpc

using namespace mlir;
using namespace tpc;
using namespace tpc::plan;

constexpr int64_t kAlignment = 64;

namespace {

class Allocator {
public:
  explicit Allocator(plan::ProgramOp program)
      : program(program), block(program.getBody().front()),
        builder(program.getContext()) {}
  void run();

private:
  /// Memory of one or several values.
  struct Buffer {
    int64_t bytes = 0, begin = 0, end = 0, offset = 0;
    SmallVector<OpResult> values;
    PlaceAttr fixed; // not in the arena
  };

  void numberSteps();
  int lastUse(Value root);
  bool isScratch(Value root);
  bool isReturned(Value root);
  void findNewStates();
  Value copy(Value value, Operation *before);

  void copyUpdated();
  void copyOutputs();
  void settleStates();
  bool canComputeInState(Value value, plan::StateOp state);

  void makeBuffers();
  Buffer *sharedBuffer(OpResult result);
  Buffer *dyingBuffer(Operation *op, Value operand);
  void place();

  plan::ProgramOp program;
  Block &block;
  OpBuilder builder;
  DenseMap<Operation *, int> step;
  using SymbolSet = llvm::SmallSetVector<Attribute, 2>;
  DenseMap<Value, SymbolSet> newStates;
  DenseMap<StringAttr, Value> inState; // computed in the state's memory
  std::vector<std::unique_ptr<Buffer>> buffers;
  DenseMap<Value, Buffer *> bufferOf; // by root
};

} // namespace

void Allocator::numberSteps() {
  step.clear();
  for (auto [i, op] : llvm::enumerate(block))
    step[&op] = i;
}

/// The last step that reads the value or a view of it.
int Allocator::lastUse(Value root) {
  int last = root.getDefiningOp() ? step[root.getDefiningOp()] : 0;
  for (Operation *user : root.getUsers())
    last = std::max(last, isa<ViewOp>(user) ? lastUse(user->getResult(0))
                                            : step[user]);
  return last;
}

bool Allocator::isReturned(Value root) {
  return llvm::any_of(root.getUsers(), [&](Operation *user) {
    return isa<plan::ReturnOp>(user) ||
           (isa<ViewOp>(user) && isReturned(user->getResult(0)));
  });
}

/// Whether a step computes it, so that its memory is the plan's to choose.
bool Allocator::isScratch(Value root) {
  return isa<KernelOp, plan::MatmulOp, plan::GroupedMatmulOp, plan::AttentionOp,
             CollectiveOp>(root.getDefiningOp());
}

/// The value that updates in place made into this one; itself if none did.
static Value originOf(Value value) {
  while (auto kernel = value.getDefiningOp<KernelOp>()) {
    unsigned index = cast<OpResult>(value).getResultNumber();
    if (index >= kernel.getUpdates().size())
      break;
    value = rootOf(kernel.getUpdates()[index]);
  }
  return value;
}

/// Finds the states that values, or what updates in place make of them, are
/// written to.
void Allocator::findNewStates() {
  for (Operation &op : llvm::reverse(block)) {
    if (auto write = dyn_cast<plan::WriteOp>(op))
      newStates[write.getValue()].insert(write.getSymbolAttr());
    if (auto kernel = dyn_cast<KernelOp>(op))
      for (auto [i, update] : llvm::enumerate(kernel.getUpdates())) {
        SymbolSet of = newStates.lookup(kernel.getResult(i));
        newStates[update].insert_range(of);
      }
  }
}

//===----------------------------------------------------------------------===//
// Copies
//===----------------------------------------------------------------------===//

Value Allocator::copy(Value value, Operation *before) {
  auto module = program->getParentOfType<ModuleOp>();
  Type type = value.getType();
  KernelFuncOp function;
  for (auto other : module.getOps<KernelFuncOp>())
    if (other.getSymName().starts_with("copy_") &&
        other.getArgumentTypes() == ArrayRef(type))
      function = other;
  Location loc = value.getLoc();
  if (!function) {
    builder.setInsertionPointToEnd(module.getBody());
    unsigned number = 0;
    std::string name;
    do {
      name = "copy_" + std::to_string(number++);
    } while (SymbolTable::lookupSymbolIn(module, name));
    function = KernelFuncOp::create(
        builder, loc, name, builder.getFunctionType(type, type),
        /*tiles=*/1, /*updates=*/0,
        /*in_place=*/ArrayRef<int64_t>(), ArrayAttr(), ArrayAttr());
    Block *body = builder.createBlock(&function.getBody(), {}, type, loc);
    YieldOp::create(builder, loc, body->getArgument(0));
    function.setTiles(computeShape(KernelBody::of(function))->tiles());
  }
  builder.setInsertionPoint(before);
  auto name = builder.getStringAttr("copy of " + describe(value));
  return KernelOp::create(builder, NameLoc::get(name, loc), type,
                          FlatSymbolRefAttr::get(function.getSymNameAttr()),
                          value, ValueRange(), ArrayAttr())
      .getResult(0);
}

void Allocator::copyUpdated() {
  numberSteps();
  findNewStates();
  for (auto kernel : llvm::make_early_inc_range(block.getOps<KernelOp>()))
    for (OpOperand &update : kernel.getUpdatesMutable()) {
      Value value = update.get(), root = rootOf(value);
      unsigned index = update.getOperandNumber() - kernel.getInputs().size();
      bool dies = lastUse(root) == step[kernel] &&
                  bytesOf(root) == bytesOf(value) &&
                  llvm::count_if(kernel.getOperands(), [&](Value operand) {
                    return rootOf(operand) == root;
                  }) == 1;
      auto state = root.getDefiningOp<plan::StateOp>();
      bool mine = state ? newStates[kernel.getResult(index)].contains(
                              state.getSymbolAttr())
                        : isScratch(root);
      if (!dies || !mine) {
        update.set(copy(value, kernel));
        step[update.get().getDefiningOp()] = step[kernel];
      }
    }
}

void Allocator::copyOutputs() {
  for (OpOperand &output : program.getReturn()->getOpOperands())
    if (!isScratch(originOf(rootOf(output.get()))))
      output.set(copy(output.get(), program.getReturn()));
}

/// A step may write into the state's memory when the old value is not read
/// after it, and it does not read the old value elsewhere than at the point
/// that it writes.
bool Allocator::canComputeInState(Value value, plan::StateOp state) {
  auto result = dyn_cast<OpResult>(value);
  if (!result || !isScratch(value) || isReturned(value))
    return false;
  for (Operation *user : value.getUsers())
    if (auto write = dyn_cast<plan::WriteOp>(user))
      if (write.getSymbolAttr() != state.getSymbolAttr())
        return false;
  Operation *op = result.getOwner();
  if (lastUse(state) > step[op])
    return false;
  auto kernel = dyn_cast<KernelOp>(op);
  if (kernel && result.getResultNumber() < kernel.getUpdates().size())
    return rootOf(kernel.getUpdates()[result.getResultNumber()]) ==
           state.getResult();
  for (auto [i, operand] : llvm::enumerate(op->getOperands())) {
    if (rootOf(operand) != state.getResult())
      continue;
    if (!kernel || operand != state.getResult() ||
        llvm::count(op->getOperands(), operand) != 1)
      return false;
    auto function = SymbolTable::lookupNearestSymbolFrom<KernelFuncOp>(
        kernel, kernel.getKernelAttr());
    if (!function.mayShare(result.getResultNumber(), i))
      return false;
  }
  return true;
}

/// Every written value is in its state's memory at the end.
void Allocator::settleStates() {
  SmallVector<plan::WriteOp> writes(block.getOps<plan::WriteOp>());
  DenseMap<StringAttr, plan::StateOp> states;
  for (auto state : block.getOps<plan::StateOp>())
    states[state.getSymbolAttr().getAttr()] = state;
  // Old values that go into other states are set aside first.
  for (plan::WriteOp write : writes)
    if (auto other = rootOf(write.getValue()).getDefiningOp<plan::StateOp>())
      write.getValueMutable().set(copy(write.getValue(), writes.front()));
  for (plan::WriteOp write : writes) {
    numberSteps();
    Value value = write.getValue();
    StringAttr symbol = write.getSymbolAttr().getAttr();
    plan::StateOp state = states.lookup(symbol);
    // Already there by a chain of updates?
    Value origin = originOf(value);
    bool isThere = state && origin == state.getResult();
    if (!isThere && !(state ? canComputeInState(value, state)
                            : isScratch(value) && !isReturned(value) &&
                                  llvm::range_size(value.getUses()) == 1 &&
                                  !inState.lookup(symbol))) {
      value = origin = copy(value, program.getReturn());
      write.getValueMutable().set(value);
      write->moveBefore(program.getReturn());
    }
    // What updates make of it follows.
    inState[symbol] = isThere ? value : origin;
  }
}

//===----------------------------------------------------------------------===//
// Buffers
//===----------------------------------------------------------------------===//

/// The buffer of an operand that nobody reads after `op`, or null.
Allocator::Buffer *Allocator::dyingBuffer(Operation *op, Value operand) {
  Value root = rootOf(operand);
  auto found = bufferOf.find(root);
  if (found == bufferOf.end() || found->second->fixed || !isScratch(root) ||
      bytesOf(root) != bytesOf(operand) || lastUse(root) != step[op] ||
      llvm::count_if(op->getOperands(),
                     [&](Value other) { return rootOf(other) == root; }) != 1)
    return nullptr;
  return found->second;
}

Allocator::Buffer *Allocator::sharedBuffer(OpResult result) {
  Operation *op = result.getOwner();
  if (auto collective = dyn_cast<CollectiveOp>(op))
    return collective.getKind() == CollectiveKind::AllReduce
               ? dyingBuffer(op, collective.getOperand())
               : nullptr;
  auto kernel = dyn_cast<KernelOp>(op);
  if (!kernel)
    return nullptr;
  unsigned index = result.getResultNumber();
  if (index < kernel.getUpdates().size())
    return bufferOf.lookup(rootOf(kernel.getUpdates()[index]));
  auto function = SymbolTable::lookupNearestSymbolFrom<KernelFuncOp>(
      kernel, kernel.getKernelAttr());
  for (auto [i, operand] : llvm::enumerate(kernel.getInputs())) {
    if (!function.mayShare(index, i))
      continue;
    Buffer *buffer = dyingBuffer(op, operand);
    bool isTaken =
        buffer && llvm::any_of(op->getResults(), [&](OpResult other) {
          return llvm::is_contained(buffer->values, other);
        });
    if (buffer && !isTaken)
      return buffer;
  }
  return nullptr;
}

void Allocator::makeBuffers() {
  numberSteps();
  int end = step[program.getReturn()];
  MLIRContext *context = program.getContext();
  for (Operation &op : block)
    for (OpResult result : op.getResults()) {
      if (isa<ViewOp, plan::ParameterOp, plan::ConstantOp, DeviceScalarOp>(op))
        continue;
      PlaceAttr fixed;
      if (auto state = dyn_cast<plan::StateOp>(op))
        fixed = PlaceAttr::get(context, Space::State, state.getSymbolAttr(), 0);
      for (auto [symbol, value] : inState)
        if (value == result)
          fixed = PlaceAttr::get(context, Space::State,
                                 FlatSymbolRefAttr::get(symbol), 0);
      Buffer *buffer = fixed ? nullptr : sharedBuffer(result);
      if (!buffer) {
        buffers.push_back(std::make_unique<Buffer>());
        buffer = buffers.back().get();
        buffer->begin = step[&op];
        buffer->bytes = bytesOf(result);
        buffer->fixed = fixed;
      }
      buffer->end = std::max<int64_t>(buffer->end, lastUse(result));
      if (isa<InputOp>(op))
        buffer->begin = 0;
      if (isa<InputOp>(op) || isReturned(result))
        buffer->end = end;
      buffer->values.push_back(result);
      bufferOf[result] = buffer;
    }
}

/// Largest first, each into the smallest gap that fits.
void Allocator::place() {
  SmallVector<Buffer *> order, placed;
  for (auto &buffer : buffers)
    if (!buffer->fixed)
      order.push_back(buffer.get());
  llvm::sort(order, [](Buffer *a, Buffer *b) {
    return std::tuple(-a->bytes, a->begin, a->end) <
           std::tuple(-b->bytes, b->begin, b->end);
  });
  int64_t arena = 0;
  for (Buffer *buffer : order) {
    int64_t bytes = llvm::alignTo(buffer->bytes, kAlignment);
    int64_t cursor = 0, best = -1, bestGap = 0;
    for (Buffer *other : placed) { // by offset
      if (other->end < buffer->begin || buffer->end < other->begin)
        continue;
      int64_t gap = other->offset - cursor;
      if (gap >= bytes && (best < 0 || gap < bestGap)) {
        best = cursor;
        bestGap = gap;
      }
      cursor = std::max<int64_t>(
          cursor, other->offset + llvm::alignTo(other->bytes, kAlignment));
    }
    buffer->offset = best < 0 ? cursor : best;
    placed.insert(llvm::upper_bound(placed, buffer,
                                    [](Buffer *a, Buffer *b) {
                                      return a->offset < b->offset;
                                    }),
                  buffer);
    arena = std::max(arena, buffer->offset + bytes);
  }
  for (auto &buffer : buffers)
    for (OpResult value : buffer->values)
      setPlace(value, buffer->fixed
                          ? buffer->fixed
                          : PlaceAttr::get(program.getContext(), Space::Arena,
                                           {}, buffer->offset));
  program.setArenaBytesAttr(builder.getI64IntegerAttr(arena));
}

void Allocator::run() {
  copyUpdated();
  numberSteps();
  copyOutputs();
  numberSteps();
  settleStates();
  makeBuffers();
  place();
}

namespace {
struct AllocateBuffers : tpc::impl::AllocateBuffersBase<AllocateBuffers> {
  void runOnOperation() override {
    SmallVector<plan::ProgramOp> programs(
        getOperation().getOps<plan::ProgramOp>());
    for (plan::ProgramOp program : programs)
      Allocator(program).run();
  }
};
} // namespace
