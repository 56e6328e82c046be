//===- VerifyPartition.cpp - Proof that a program computes its function ---===//
//
// Walks the per-device program and keeps for every local value what it is known
// to be: the block, under some sharding, of which value of the whole function
// (Proof/Claim.h). Nothing is taken from assignment or partition; a program
// that was written by hand is proved just as well. The program is accepted when
// its results, and what it writes to states, are the blocks that it promises.
//
//   %p = tpc.matmul %a, %w       %p is the block [{}, {}] sum {"tp"} of @main's
//                                matmul: both operands are cut along k by tp
//   %y = spmd.all_reduce sum %p  %y is that value, replicated
//
// Lemmas beyond the sharding rules: indices minus the start of the device's
// block address that block; iota of a block plus that start is the block of
// iota; positions of a block that count from an operand plus that start are the
// block of the positions that count from the operand.
//
//===----------------------------------------------------------------------===//

#include "Proof/Communication.h"
#include "Proof/LocalRule.h"
#include "Proof/WholeValues.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "tpc/Dialect/Spmd/Spmd.h"
#include "tpc/Transforms/Passes.h"

namespace tpc {
#define GEN_PASS_DEF_VERIFYPARTITIONPASS
#include "tpc/Transforms/Passes.h.inc"
} // namespace tpc

using namespace mlir;
using namespace tpc;
using namespace tpc::proof;

namespace {

class Prover {
public:
  Prover(spmd::ProgramOp program, FunctionOpInterface function,
         const Mesh &mesh)
      : program(program), function(function), mesh(mesh), whole(function) {
    collectUnits();
  }

  LogicalResult run() {
    for (BlockArgument argument : program.getBody().getArguments()) {
      unsigned index = argument.getArgNumber();
      claims[argument] = {block(whole.argument(index),
                                program.getArgSharding(index).getValue(), 0.0)};
    }
    findNeeded();
    for (Operation &op : program.getBody().front())
      if (needed.contains(&op) && failed(step(&op)))
        return failure();
    for (StringAttr symbol : whole.writtenSymbols())
      if (writes.lookup(symbol) != whole.numWrites(symbol)) {
        auto error = program.emitOpError("does not write state @")
                     << symbol.getValue() << " as often as "
                     << function.getName();
        error.attachNote(function.getLoc()) << "the whole function";
        return error;
      }
    return success();
  }

private:
  //===--------------------------------------------------------------------===//
  // Claims
  //===--------------------------------------------------------------------===//

  Claim block(ValueId id, Sharding sharding, std::optional<double> fill) {
    Claim claim;
    claim.id = id;
    ArrayRef<int64_t> shape = whole.type(id).getShape();
    claim.sharding = canonical(std::move(sharding), shape, mesh);
    claim.fill.assign(shape.size(), fill);
    return claim;
  }

  /// What results and writes depend on. The rest may be anything: partition
  /// keeps operations that nobody uses.
  void findNeeded() {
    for (Operation &op : llvm::reverse(program.getBody().front()))
      if (!wouldOpBeTriviallyDead(&op) ||
          llvm::any_of(op.getUsers(),
                       [&](Operation *user) { return needed.contains(user); }))
        needed.insert(&op);
  }

  /// The axes and parts of axes that the program mentions, and what they leave
  /// of an axis: where an all-to-all over all of "tp" = 4 follows one over
  /// "tp":(2)2, the values before it are cut by "tp":(1)2, which nothing names.
  void collectUnits() {
    llvm::append_range(units, mesh.axes());
    auto add = [&](const AxisRef &axis) {
      if (!mesh.check(axis) && !llvm::is_contained(units, axis))
        units.push_back(axis);
    };
    auto addAll = [&](ShardingAttr sharding) {
      for (const AxisList &axes : sharding->dims)
        llvm::for_each(axes, add);
      for (const PartialAxis &p : sharding->partial)
        add(p.axis);
    };
    for (Attribute sharding : program.getArgShardings())
      addAll(cast<ShardingAttr>(sharding));
    for (Attribute sharding : program.getResultShardings())
      addAll(cast<ShardingAttr>(sharding));
    auto module = program->getParentOfType<ModuleOp>();
    for (auto parameter : module.getOps<ParameterOp>())
      if (ShardingAttr sharding = getSharding(parameter.getTensorType()))
        addAll(sharding);
    for (auto state : module.getOps<StateOp>())
      if (ShardingAttr sharding = getSharding(state.getTensorType()))
        addAll(sharding);
    program.walk([&](Operation *op) {
      if (auto mask = dyn_cast<spmd::MaskOp>(op))
        addAll(getSharding(mask.getWhole()));
      if (auto axes = op->getAttrOfType<AxesAttr>("axes"))
        llvm::for_each(axes.getAxes(), add);
    });
    for (const AxisRef &axis : mesh.axes())
      addPartsBetween(boundariesOf(axis.name), axis.name);
  }

  /// Where the units cut an axis, as products of sizes from its major end.
  SmallVector<int64_t> boundariesOf(StringAttr name) const {
    SmallVector<int64_t> boundaries;
    for (const AxisRef &unit : units)
      if (unit.name == name)
        boundaries.append({unit.pre, unit.pre * mesh.size(unit)});
    llvm::sort(boundaries);
    boundaries.erase(llvm::unique(boundaries), boundaries.end());
    return boundaries;
  }

  void addPartsBetween(ArrayRef<int64_t> boundaries, StringAttr name) {
    for (auto [i, from] : llvm::enumerate(boundaries))
      for (int64_t to : boundaries.drop_front(i + 1)) {
        if (to % from != 0)
          continue;
        AxisRef part = mesh.canonical({name, from, to / from});
        if (!llvm::is_contained(units, part))
          units.push_back(part);
      }
  }

  /// An error at a local operation, with a note where the whole function
  /// computes what it should be.
  LogicalResult reject(Operation *op, const Twine &reason,
                       Location wholeLocation) {
    auto error = op->emitOpError("is not proved: ") << reason;
    error.attachNote(wholeLocation) << "in the whole function";
    return error;
  }

  Location wholeLocation(const Claims &from) {
    for (const Claim &claim : from)
      if (claim.id >= 0)
        return whole.location(claim.id);
    return function.getLoc();
  }

  //===--------------------------------------------------------------------===//
  // One operation
  //===--------------------------------------------------------------------===//

  LogicalResult step(Operation *op) {
    if (auto ret = dyn_cast<spmd::ReturnOp>(op))
      return checkReturn(ret);
    if (auto read = dyn_cast<ReadOp>(op))
      return stepRead(read);
    if (auto write = dyn_cast<WriteOp>(op))
      return checkWrite(write);
    if (auto start = dyn_cast<spmd::BlockStartOp>(op)) {
      Claim claim;
      claim.kind = Claim::Start;
      claim.cut = canonicalCut(start.getSize(), start.getAxes().getAxes());
      claims[start.getResult()] = {claim};
      return success();
    }
    if (isa<spmd::DeviceIndexOp>(op)) {
      claims[op->getResult(0)] = {};
      return success();
    }
    if (isa<spmd::SpmdDialect>(op->getDialect()))
      return stepCommunication(op);
    if (carriesStart(op) || stepRelative(op))
      return success();
    return stepLocal(op);
  }

  Cut canonicalCut(int64_t size, ArrayRef<AxisRef> axes) {
    Sharding one;
    one.dims.push_back(AxisList(axes));
    return {size, canonical(std::move(one), {size}, mesh).dims[0]};
  }

  LogicalResult stepRead(ReadOp op) {
    StringAttr symbol = op.getSymbolAttr().getAttr();
    auto id = whole.read(symbol, writes.lookup(symbol));
    if (!id)
      return reject(op,
                    "the whole function does not read @" + symbol.getValue() +
                        " at this point",
                    function.getLoc());
    Operation *symbolOp =
        SymbolTable::lookupNearestSymbolFrom(op, op.getSymbolAttr());
    auto type = cast<RankedTensorType>(
        cast<TypeAttr>(symbolOp->getAttr("type")).getValue());
    ShardingAttr sharding = getSharding(type);
    if (!sharding)
      return reject(op, "@" + symbol.getValue() + " has no sharding",
                    symbolOp->getLoc());
    // Parameters are loaded with zero padding; states may hold anything.
    std::optional<double> fill;
    if (isa<ParameterOp>(symbolOp))
      fill = 0.0;
    claims[op.getResult()] = {block(*id, sharding.getValue(), fill)};
    return success();
  }

  LogicalResult checkWrite(WriteOp op) {
    StringAttr symbol = op.getSymbolAttr().getAttr();
    auto wanted = cast_or_null<WriteOp>(whole.write(symbol, writes[symbol]++));
    if (!wanted)
      return reject(op,
                    "the whole function does not write @" + symbol.getValue() +
                        " at this point",
                    function.getLoc());
    auto state = cast<StateOp>(
        SymbolTable::lookupNearestSymbolFrom(op, op.getSymbolAttr()));
    return checkHolds(op, op.getValue(), whole.idOf(wanted.getValue()),
                      getSharding(state.getTensorType()).getValue(),
                      wanted.getLoc());
  }

  LogicalResult checkReturn(spmd::ReturnOp op) {
    for (auto [i, operand] : llvm::enumerate(op.getOperands()))
      if (failed(checkHolds(op, operand,
                            whole.idOf(whole.terminator()->getOperand(i)),
                            program.getResultSharding(i).getValue(),
                            whole.terminator()->getLoc())))
        return failure();
    return success();
  }

  LogicalResult checkHolds(Operation *op, Value value, ValueId id,
                           const Sharding &sharding, Location location) {
    for (const Claim &claim : claims[value])
      if (claim.kind == Claim::Block && claim.id == id &&
          sameLayout(claim.sharding, sharding, whole.type(id).getShape(), mesh))
        return success();
    std::string known;
    for (const Claim &claim : claims[value])
      if (claim.kind == Claim::Block)
        known =
            "; it is known to be " +
            std::string(claim.id == id ? "the same value" : "another value") +
            " under " + toString(claim.sharding);
    return reject(
        op, "expected the whole value under " + toString(sharding) + known,
        location);
  }

  LogicalResult stepCommunication(Operation *op) {
    Claims concluded;
    std::string problem = "nothing is known of the operand";
    const Claims &from = claims[op->getOperand(0)];
    for (const Claim &claim : from) {
      if (claim.kind != Claim::Block) {
        problem = "the operand is not a block of a whole value";
        continue;
      }
      RankedTensorType type = whole.type(claim.id);
      for (Claim &result :
           concludeCommunication(op, claim, type, mesh, problem))
        if (localShape(type.getShape(), result.sharding, mesh) ==
            cast<RankedTensorType>(op->getResult(0).getType()).getShape())
          addClaim(concluded, std::move(result));
        else
          problem = "the result has another local shape";
    }
    if (concluded.empty())
      return reject(op, problem, wholeLocation(from));
    claims[op->getResult(0)] = std::move(concluded);
    return success();
  }

  //===--------------------------------------------------------------------===//
  // Starts of blocks, and indices relative to them
  //===--------------------------------------------------------------------===//

  /// Conversions and broadcasts of a start are that start.
  bool carriesStart(Operation *op) {
    if (!isa<ConvertOp, BroadcastOp>(op))
      return false;
    const Claims &from = claims[op->getOperand(0)];
    if (from.empty() || from[0].kind != Claim::Start)
      return false;
    auto element = getElementTypeOrSelf(op->getResult(0).getType());
    if (!holdsIndices(element, from[0].cut.size))
      return false;
    Claims carried = from;
    claims[op->getResult(0)] = std::move(carried);
    return true;
  }

  /// indices - start, iota + start, and origin + start.
  bool stepRelative(Operation *op) {
    if (!isa<SubOp, AddOp>(op))
      return false;
    const Claims &right = claims[op->getOperand(1)];
    if (right.empty() || right[0].kind != Claim::Start ||
        op->getOperand(0).getType() != op->getResult(0).getType())
      return false;
    Claims concluded;
    for (const Claim &claim : claims[op->getOperand(0)]) {
      if (claim.kind == Claim::Block) {
        Claim moved = claim;
        moved.kind = isa<SubOp>(op) ? Claim::Relative : Claim::Advanced;
        moved.cut = right[0].cut;
        addClaim(concluded, std::move(moved));
      }
      if (isa<AddOp>(op) && claim.kind == Claim::LocalIota &&
          claim.cut == right[0].cut) {
        Claim shifted = claim;
        shifted.kind = Claim::Block;
        shifted.cut = {};
        addClaim(concluded, std::move(shifted));
      }
    }
    if (concluded.empty())
      return false;
    claims[op->getResult(0)] = std::move(concluded);
    return true;
  }

  //===--------------------------------------------------------------------===//
  // Local operations
  //===--------------------------------------------------------------------===//

  LogicalResult stepLocal(Operation *op) {
    if (!isa<ShardingRuleOpInterface>(op))
      return reject(op, "the operation is not known to the proof",
                    function.getLoc());
    if (op->getNumOperands() == 0)
      return stepCreation(op);
    std::string problem;
    Location location = function.getLoc();
    std::vector<Claims> results(op->getNumResults());
    SmallVector<const Claim *> chosen;
    tryOperands(op, chosen, results, problem, location);
    for (auto [result, concluded] :
         llvm::zip_equal(op->getResults(), results)) {
      if (concluded.empty())
        return reject(op,
                      problem.empty() ? "the whole function does not compute "
                                        "this of these operands"
                                      : problem,
                      location);
      claims[result] = std::move(concluded);
    }
    return success();
  }

  /// Tries every combination of the operands' claims.
  void tryOperands(Operation *op, SmallVector<const Claim *> &chosen,
                   std::vector<Claims> &results, std::string &problem,
                   Location &location) {
    if (chosen.size() == op->getNumOperands())
      return conclude(op, chosen, results, problem, location);
    for (const Claim &claim : claims[op->getOperand(chosen.size())]) {
      if (claim.kind != Claim::Block && claim.kind != Claim::Relative &&
          claim.kind != Claim::Advanced)
        continue;
      chosen.push_back(&claim);
      tryOperands(op, chosen, results, problem, location);
      chosen.pop_back();
    }
  }

  void conclude(Operation *op, ArrayRef<const Claim *> chosen,
                std::vector<Claims> &results, std::string &problem,
                Location &location) {
    SmallVector<ValueId> ids;
    for (const Claim *claim : chosen)
      ids.push_back(claim->id);
    for (Operation *candidate : whole.find(op, ids)) {
      LocalOp local{candidate, chosen, localTypes(op)};
      LocalConclusion conclusion = concludeLocal(local, mesh, units);
      if (!conclusion.problem.empty()) {
        problem = conclusion.problem;
        location = candidate->getLoc();
        continue;
      }
      addResults(candidate, conclusion, results);
    }
  }

  void addResults(Operation *candidate, LocalConclusion &conclusion,
                  std::vector<Claims> &results) {
    for (auto [i, found] : llvm::enumerate(conclusion.results))
      for (Claim &claim : found) {
        claim.id = whole.idOf(candidate->getResult(i));
        addClaim(results[i], std::move(claim));
      }
  }

  static SmallVector<RankedTensorType> localTypes(Operation *op) {
    return llvm::map_to_vector(op->getResultTypes(), [](Type type) {
      return cast<RankedTensorType>(type);
    });
  }

  /// Constants and iota: a block of every equal whole one that it could be.
  LogicalResult stepCreation(Operation *op) {
    Claims concluded;
    auto local = cast<RankedTensorType>(op->getResult(0).getType());
    for (Operation *candidate : whole.creators(op->getName())) {
      auto type = cast<RankedTensorType>(candidate->getResult(0).getType());
      if (type.getRank() != local.getRank() ||
          type.getElementType() != local.getElementType() ||
          !createsTheSame(op, candidate))
        continue;
      for (Sharding &sharding : shardingsOfSize(type, local, mesh, units, {})) {
        Claim claim =
            block(whole.idOf(candidate->getResult(0)), sharding, std::nullopt);
        if (auto iota = dyn_cast<IotaOp>(op)) {
          AxisList axes = claim.sharding.dims[iota.getDim()];
          if (!axes.empty()) {
            claim.kind = Claim::LocalIota;
            claim.cut = canonicalCut(type.getDimSize(iota.getDim()), axes);
          }
        }
        addClaim(concluded, std::move(claim));
      }
    }
    if (concluded.empty())
      return reject(op, "the whole function has no such constant",
                    function.getLoc());
    claims[op->getResult(0)] = std::move(concluded);
    return success();
  }

  static bool createsTheSame(Operation *local, Operation *candidate) {
    if (auto constant = dyn_cast<ConstantOp>(local)) {
      Attribute a = constant.getValue();
      Attribute b = cast<ConstantOp>(candidate).getValue();
      auto splatA = dyn_cast<SplatElementsAttr>(a);
      auto splatB = dyn_cast<SplatElementsAttr>(b);
      if (splatA && splatB)
        return splatA.getSplatValue<Attribute>() ==
               splatB.getSplatValue<Attribute>();
      return a == b;
    }
    return local->getAttrDictionary() == candidate->getAttrDictionary();
  }

  spmd::ProgramOp program;
  FunctionOpInterface function;
  const Mesh &mesh;
  WholeValues whole;
  SmallVector<AxisRef> units;
  llvm::SmallPtrSet<Operation *, 16> needed;
  llvm::DenseMap<Value, Claims> claims;
  llvm::DenseMap<StringAttr, unsigned> writes;
};

struct VerifyPartition
    : public tpc::impl::VerifyPartitionPassBase<VerifyPartition> {
  void runOnOperation() override {
    FailureOr<Mesh> mesh = lookupMesh(getOperation());
    if (failed(mesh))
      return signalPassFailure();
    bool ok = true;
    for (auto program : getOperation().getOps<spmd::ProgramOp>()) {
      auto function = SymbolTable::lookupNearestSymbolFrom<FunctionOpInterface>(
          program, program.getWholeAttr());
      ok &= succeeded(Prover(program, function, *mesh).run());
    }
    if (!ok)
      signalPassFailure();
    markAllAnalysesPreserved();
  }
};

} // namespace
