//===- VerifyPlan.cpp - Every read sees the value that it names -----------===//
//
// Replays a plan over the bytes of all memory spaces. Every byte knows which
// value wrote it last, and which byte of that value it is:
//
//   %a at <arena + 0>  64 bytes       arena [0, 64)   = a[0, 64)
//   %b at <arena + 32> 64 bytes       arena [0, 32)   = a[0, 32)
//                                     arena [32, 96)  = b[0, 64)
//   a step that reads %a              error: bytes [32, 64) hold %b
//
// A view is the bytes of its operand from an offset on. The pass shares no
// code with the allocator; it computes addresses from the attributes alone.
//
//===----------------------------------------------------------------------===//

#include "tpc/Codegen/Passes.h"
#include "tpc/Dialect/Plan/Plan.h"
#include <map>

namespace tpc {
#define GEN_PASS_DEF_VERIFYPLAN
#include "tpc/Codegen/Passes.h.inc"
} // namespace tpc

using namespace mlir;
using namespace tpc;
using namespace tpc::plan;

namespace {

/// A memory: the arena, or the block of a symbol or of a constant.
using Memory = std::pair<Space, const void *>;

/// Bytes [begin, end) of a memory.
struct Range {
  Memory memory;
  int64_t begin = 0, end = 0;

  bool overlaps(const Range &other) const {
    return memory == other.memory && begin < other.end && other.begin < end;
  }
  bool operator==(const Range &other) const {
    return memory == other.memory && begin == other.begin && end == other.end;
  }
};

/// What some bytes hold: those of `value` from `offset` on.
struct Content {
  Value value;
  int64_t offset = 0;
};

class Replay {
public:
  explicit Replay(plan::ProgramOp program) : program(program) {}
  LogicalResult run();

private:
  FailureOr<Range> rangeOf(Value value, Operation *at);
  Content contentOf(Value value);
  LogicalResult read(Value value, Operation *reader);
  LogicalResult write(Value value, Operation *writer);
  LogicalResult checkOverlaps(Operation *op);
  LogicalResult checkKernel(KernelOp kernel);
  LogicalResult visit(Operation *op);

  /// Pieces of a memory by their first byte; a piece ends where it says.
  struct Piece {
    int64_t end;
    Content content;
  };
  plan::ProgramOp program;
  std::map<Memory, std::map<int64_t, Piece>> memories;
};

} // namespace

static int64_t sizeOf(Value value) {
  auto type = cast<RankedTensorType>(value.getType());
  return type.getNumElements() * elementBytes(type.getElementType());
}

/// The value without views, and the byte at which the view starts.
Content Replay::contentOf(Value value) {
  int64_t offset = 0;
  while (auto view = value.getDefiningOp<ViewOp>()) {
    auto type = cast<RankedTensorType>(view.getType());
    offset += view.getOffset() * elementBytes(type.getElementType());
    value = view.getOperand();
  }
  return {value, offset};
}

/// Where a value lies; fails if it has no place or does not fit.
FailureOr<Range> Replay::rangeOf(Value value, Operation *at) {
  Content content = contentOf(value);
  Operation *op = content.value.getDefiningOp();
  PlaceAttr location = placeOf(content.value);
  if (!location)
    return op->emitError("result has no place; run tpc-allocate-buffers");
  Range range;
  range.begin = location.getOffset() + content.offset;
  range.end = range.begin + sizeOf(value);
  Space space = location.getSpace();
  const void *key = nullptr;
  int64_t limit = 0;
  if (space == Space::Arena) {
    limit = program.getArenaBytes().value_or(0);
  } else if (location.getSymbol()) {
    key = location.getSymbol().getAsOpaquePointer();
    Operation *symbol =
        SymbolTable::lookupNearestSymbolFrom(program, location.getSymbol());
    FailureOr<Mesh> mesh = lookupMesh(program);
    if (failed(mesh))
      return failure();
    RankedTensorType type;
    if (auto state = dyn_cast_or_null<tpc::StateOp>(symbol))
      type = state.getTensorType();
    else if (auto parameter = dyn_cast_or_null<tpc::ParameterOp>(symbol))
      type = parameter.getTensorType();
    else
      return op->emitError("lives in ")
             << location.getSymbol() << ", which is no parameter or state";
    limit = tensorBytes(localType(type, *mesh));
  } else {
    key = content.value.getAsOpaquePointer();
    limit = sizeOf(content.value);
  }
  range.memory = {space, key};
  if (range.end > limit || location.getOffset() < 0)
    return op->emitError("bytes [") << range.begin << ", " << range.end
                                    << ") leave a memory of " << limit;
  return range;
}

/// Every byte holds the value.
LogicalResult Replay::read(Value value, Operation *reader) {
  FailureOr<Range> range = rangeOf(value, reader);
  if (failed(range))
    return failure();
  Content wanted = contentOf(value);
  auto &pieces = memories[range->memory];
  int64_t at = range->begin;
  while (at < range->end) {
    auto it = pieces.upper_bound(at);
    bool isHeld = it != pieces.begin();
    if (isHeld) {
      --it;
      isHeld = it->second.end > at;
    }
    auto fail = [&]() {
      return reader->emitError("reads ")
             << describe(value) << " at byte " << at << " of "
             << stringifySpace(range->memory.first);
    };
    if (!isHeld) {
      InFlightDiagnostic error = fail() << ", where nothing was written";
      error.attachNote(wanted.value.getLoc()) << "the value is made here";
      return error;
    }
    const Content &found = it->second.content;
    int64_t foundOffset = found.offset + (at - it->first);
    int64_t wantedOffset = wanted.offset + (at - range->begin);
    if (found.value != wanted.value || foundOffset != wantedOffset) {
      InFlightDiagnostic error = fail() << ", where it was overwritten";
      error.attachNote(found.value.getLoc())
          << "by " << describe(found.value) << ", byte " << foundOffset;
      error.attachNote(wanted.value.getLoc()) << "the value is made here";
      return error;
    }
    at = it->second.end;
  }
  return success();
}

LogicalResult Replay::write(Value value, Operation *writer) {
  FailureOr<Range> range = rangeOf(value, writer);
  if (failed(range))
    return failure();
  if (range->begin == range->end)
    return success();
  auto &pieces = memories[range->memory];
  auto it = pieces.lower_bound(range->begin);
  if (it != pieces.begin())
    --it;
  while (it != pieces.end() && it->first < range->end) {
    int64_t begin = it->first;
    Piece piece = it->second;
    if (piece.end <= range->begin) {
      ++it;
      continue;
    }
    it = pieces.erase(it);
    if (begin < range->begin)
      pieces[begin] = {range->begin, piece.content};
    if (piece.end > range->end)
      pieces[range->end] = {
          piece.end,
          {piece.content.value, piece.content.offset + (range->end - begin)}};
  }
  pieces[range->begin] = {range->end, contentOf(value)};
  return success();
}

/// No result overlaps another result or an operand, except exactly where the
/// step computes in place.
LogicalResult Replay::checkOverlaps(Operation *op) {
  auto kernel = dyn_cast<KernelOp>(op);
  KernelFuncOp function;
  if (kernel)
    function = SymbolTable::lookupNearestSymbolFrom<KernelFuncOp>(
        kernel, kernel.getKernelAttr());
  auto mayBeEqual = [&](unsigned result, unsigned operand) {
    if (auto collective = dyn_cast<CollectiveOp>(op))
      return collective.getKind() == CollectiveKind::AllReduce;
    if (!kernel)
      return false;
    unsigned inputs = kernel.getInputs().size();
    return operand >= inputs ? operand - inputs == result
                             : result >= kernel.getUpdates().size() &&
                                   function.mayShare(result, operand);
  };
  for (auto [i, result] : llvm::enumerate(op->getResults())) {
    FailureOr<Range> written = rangeOf(result, op);
    if (failed(written))
      return failure();
    Space space = written->memory.first;
    if (space != Space::Arena && space != Space::State)
      return op->emitError("writes to ") << stringifySpace(space);
    for (auto [j, operand] : llvm::enumerate(op->getOperands())) {
      FailureOr<Range> other = rangeOf(operand, op);
      if (failed(other))
        return failure();
      if (written->overlaps(*other) &&
          !(*written == *other && mayBeEqual(i, j))) {
        InFlightDiagnostic error = op->emitError("result ")
                                   << i << " overlaps operand " << j
                                   << " and the step may not work in place";
        error.attachNote(operand.getLoc()) << "the operand is made here";
        return error;
      }
    }
    for (OpResult earlier : op->getResults().take_front(i)) {
      FailureOr<Range> other = rangeOf(earlier, op);
      if (failed(other) || written->overlaps(*other))
        return op->emitError("results ")
               << earlier.getResultNumber() << " and " << i << " overlap";
    }
  }
  return success();
}

/// Updates happen where the old value is.
LogicalResult Replay::checkKernel(KernelOp kernel) {
  for (auto [i, update] : llvm::enumerate(kernel.getUpdates())) {
    FailureOr<Range> before = rangeOf(update, kernel);
    FailureOr<Range> after = rangeOf(kernel.getResult(i), kernel);
    if (failed(before) || failed(after))
      return failure();
    if (!(*before == *after))
      return kernel.emitError("result ")
             << i << " is an update but lies elsewhere than the updated value";
  }
  return success();
}

LogicalResult Replay::visit(Operation *op) {
  if (isa<ViewOp>(op))
    return success();
  if (isa<InputOp, plan::StateOp, plan::ParameterOp, plan::ConstantOp,
          DeviceScalarOp>(op))
    return success(); // there from the start
  for (Value operand : op->getOperands())
    if (failed(read(operand, op)))
      return failure();
  if (op->getNumResults() == 0)
    return success();
  if (failed(checkOverlaps(op)))
    return failure();
  if (auto kernel = dyn_cast<KernelOp>(op))
    if (failed(checkKernel(kernel)))
      return failure();
  for (Value result : op->getResults())
    if (failed(write(result, op)))
      return failure();
  return success();
}

LogicalResult Replay::run() {
  Block &block = program.getBody().front();
  if (!program.getArenaBytes())
    return program.emitError("has no arena; run tpc-allocate-buffers");
  // What is there when a call starts; inputs must not share bytes.
  SmallVector<std::pair<Range, Operation *>> inputs;
  for (Operation &op : block) {
    if (!isa<InputOp, plan::StateOp, plan::ParameterOp, plan::ConstantOp,
             DeviceScalarOp>(op))
      continue;
    FailureOr<Range> range = rangeOf(op.getResult(0), &op);
    if (failed(range))
      return failure();
    if (isa<InputOp>(op)) {
      for (auto &[other, input] : inputs)
        if (range->overlaps(other)) {
          InFlightDiagnostic error = op.emitError("input overlaps another");
          error.attachNote(input->getLoc()) << "this one";
          return error;
        }
      inputs.push_back({*range, &op});
    }
    if (failed(write(op.getResult(0), &op)))
      return failure();
  }
  for (Operation &op : block) {
    if (failed(visit(&op)))
      return failure();
    // Nothing writes inputs.
    if (isa<KernelOp, plan::MatmulOp, plan::GroupedMatmulOp, plan::AttentionOp,
            CollectiveOp>(op))
      for (Value result : op.getResults())
        for (auto &[range, input] : inputs)
          if (FailureOr<Range> written = rangeOf(result, &op);
              succeeded(written) && written->overlaps(range)) {
            InFlightDiagnostic error = op.emitError("writes an input");
            error.attachNote(input->getLoc()) << "this one";
            return error;
          }
  }
  // Outputs are in the arena; written values are in their states.
  for (Value output : program.getReturn().getOperands()) {
    FailureOr<Range> range = rangeOf(output, program.getReturn());
    if (failed(range))
      return failure();
    if (range->memory.first != Space::Arena)
      return program.getReturn().emitError("returns ")
             << describe(output) << ", which is not in the arena";
    if (failed(read(output, program.getReturn())))
      return failure();
  }
  for (auto write : block.getOps<plan::WriteOp>()) {
    FailureOr<Range> range = rangeOf(write.getValue(), write);
    if (failed(range))
      return failure();
    if (range->begin != 0 ||
        range->memory !=
            Memory{Space::State, write.getSymbolAttr().getAsOpaquePointer()})
      return write.emitError("the value is not in the memory of ")
             << write.getSymbolAttr();
    if (failed(read(write.getValue(), write)))
      return failure();
  }
  // A state that no write names keeps its value.
  for (auto state : block.getOps<plan::StateOp>())
    if (llvm::none_of(block.getOps<plan::WriteOp>(), [&](plan::WriteOp write) {
          return write.getSymbolAttr() == state.getSymbolAttr();
        }))
      if (failed(read(state, program.getReturn())))
        return failure();
  return success();
}

namespace {
struct VerifyPlan : tpc::impl::VerifyPlanBase<VerifyPlan> {
  void runOnOperation() override {
    for (auto program : getOperation().getOps<plan::ProgramOp>())
      if (failed(Replay(program).run()))
        return signalPassFailure();
  }
};
} // namespace
