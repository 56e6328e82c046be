//===- KernelShape.cpp - How a group of operations is computed ------------===//
//
// A symbolic evaluation of the outputs over the domain: every value is visited
// with the index that it would be evaluated at, down to the loads. That shows
// which reductions a pass needs, what several passes need, which dimensions may
// be merged into one loop, and whether lanes lie next to each other.
//
//===----------------------------------------------------------------------===//

#include "tpc/Codegen/KernelShape.h"
#include "tpc/Codegen/CoreBuilder.h"
#include "tpc/Codegen/MatmulLayout.h"
#include "llvm/ADT/MapVector.h"
#include <set>

using namespace mlir;
using namespace tpc;

/// Rows that are longer and need no reduction are cut into tiles.
constexpr int64_t kChunk = 4096;
/// Scratch of a kernel lies on the stack.
constexpr int64_t kScratchBytes = 64 * 1024;

bool KernelBody::contains(Value value) const {
  Operation *op = value.getDefiningOp();
  return op && inside.contains(op);
}

KernelBody KernelBody::of(plan::KernelFuncOp function) {
  KernelBody body;
  for (Operation &op : function.getBody().front().without_terminator()) {
    body.ops.push_back(&op);
    body.inside.insert(&op);
  }
  llvm::append_range(body.outputs, function.getYield().getOperands());
  return body;
}

int64_t KernelShape::numRows() const {
  int64_t count = 1;
  for (const KernelLoop &row : rows)
    count *= row.extent;
  return count;
}

int64_t KernelShape::tiles() const {
  return numRows() * (chunk == lanes.extent ? 1 : ceilDiv(lanes.extent, chunk));
}

bool tpc::isRowReduction(Operation *op) {
  auto reduce = dyn_cast<ReduceOp>(op);
  return reduce && reduce.getDims().size() == 1 &&
         reduce.getDims()[0] + 1 ==
             static_cast<int64_t>(shapeOf(reduce.getOperand()).size());
}

OpClass tpc::classify(Operation *op) {
  if (auto constant = dyn_cast<tpc::ConstantOp>(op))
    return constant.getValue().isSplat() ? OpClass::Free : OpClass::Other;
  if (isa<IotaOp>(op))
    return OpClass::Free;
  if (op->hasTrait<Elementwise>() || isa<BroadcastOp>(op) || isRowReduction(op))
    return OpClass::Row;
  if (isa<ReduceOp, TransposeOp, tpc::SliceOp, DynamicSliceOp, PadOp, ConcatOp,
          GatherOp>(op))
    return OpClass::Pull;
  if (isa<UpdateSliceOp>(op))
    return OpClass::Update;
  if (isa<ScatterAddOp, SortOp, TopKOp>(op))
    return OpClass::Special;
  return OpClass::Other;
}

bool tpc::isCostly(Operation *op) {
  return isa<ExpOp, LogOp, SinOp, CosOp, TanhOp, ErfOp, PowOp>(op);
}

namespace {

/// One dimension's index while visiting: a domain index (dim >= 0), zero, or
/// anything else (!exact).
struct SymbolicIndex {
  int64_t dim = -1;
  bool exact = true;
  bool lane = false;

  SymbolicIndex shifted() const { return {-1, false, lane}; }
  int64_t key() const { return dim * 4 + exact * 2 + lane; }
};
using SymbolicIndices = SmallVector<SymbolicIndex, 4>;

class ShapeAnalysis {
public:
  explicit ShapeAnalysis(const KernelBody &body) : body(body) {}
  std::optional<KernelShape> run();
  std::string problem;

private:
  bool chooseDomain();
  bool chooseSpecialDomain();
  void buildLoops();
  void mergeRun(size_t begin, size_t end);
  bool visitOutputs(bool full, bool rows);
  bool visitPass(unsigned pass);
  bool visit(Value value, const SymbolicIndices &indices);
  bool visitOp(Operation *op, Value value, const SymbolicIndices &indices);
  bool visitPull(Operation *op, const SymbolicIndices &indices);
  bool visitConstantIndices(Value start);
  bool visitStart(UpdateSliceOp op, const SymbolicIndices &indices);
  void visitLoad(Value value, const SymbolicIndices &indices);
  void noteLoadForMerging(Value value, const SymbolicIndices &indices);
  unsigned levelOf(Value value);
  bool isIdentity(const SymbolicIndices &indices, size_t rank) const;
  SymbolicIndices domainIndices(size_t rank) const;
  bool fail(const Twine &message) {
    problem = message.str();
    return false;
  }
  bool isDomain(Value value) const {
    return shapeOf(value) == ArrayRef(shape.domain);
  }
  bool isRow(Value value) const {
    return !shape.domain.empty() &&
           shapeOf(value) == ArrayRef(shape.domain).drop_back();
  }
  /// What an output stores at each point of the domain.
  static Value stored(Value output) {
    if (auto update = output.getDefiningOp<UpdateSliceOp>())
      return update.getUpdate();
    return output;
  }

  const KernelBody &body;
  KernelShape shape;
  bool hasRowValues = false;
  bool mayMerge = true;
  SmallVector<bool>
      boundary; // loops of dims i and i+1 (not of size 1) stay apart
  DenseMap<Value, unsigned> levels;
  unsigned pass = 0;
  DenseMap<Value, unsigned> firstPass;
  llvm::SetVector<Value> kept;
  llvm::MapVector<Value, bool> samePointOnly; // by loaded value
  std::set<std::pair<const void *, SmallVector<int64_t>>> visited;
};

} // namespace

SymbolicIndices ShapeAnalysis::domainIndices(size_t rank) const {
  SymbolicIndices indices;
  for (size_t i = 0; i < rank; ++i)
    indices.push_back({static_cast<int64_t>(i), true,
                       static_cast<int64_t>(i) == shape.lanes.dim});
  return indices;
}

bool ShapeAnalysis::isIdentity(const SymbolicIndices &indices,
                               size_t rank) const {
  if (indices.size() != rank)
    return false;
  for (size_t i = 0; i < rank; ++i)
    if (!indices[i].exact ||
        (indices[i].dim != static_cast<int64_t>(i) && shape.domain[i] != 1))
      return false;
  return true;
}

/// How many passes must have ended before the value can be computed.
unsigned ShapeAnalysis::levelOf(Value value) {
  if (!body.contains(value))
    return 0;
  auto found = levels.find(value);
  if (found != levels.end())
    return found->second;
  unsigned level = 0;
  for (Value operand : value.getDefiningOp()->getOperands())
    level = std::max(level, levelOf(operand));
  if (isRowReduction(value.getDefiningOp()))
    ++level;
  return levels[value] = level;
}

bool ShapeAnalysis::chooseDomain() {
  std::optional<SmallVector<int64_t>> domain;
  for (Operation *op : body.ops) {
    if (!isRowReduction(op))
      continue;
    hasRowValues = true;
    SmallVector<int64_t> reduced(shapeOf(op->getOperand(0)));
    if (domain && *domain != reduced)
      return fail("reductions of different shapes");
    domain = reduced;
  }
  if (!domain) {
    domain.emplace();
    size_t rank = 0;
    for (Value output : body.outputs)
      if (shapeOf(stored(output)).size() >= rank) {
        domain->assign(shapeOf(stored(output)).begin(),
                       shapeOf(stored(output)).end());
        rank = domain->size();
      }
  }
  shape.domain = *domain;
  for (Value output : body.outputs) {
    if (isDomain(stored(output)))
      continue;
    if (!isRow(output) || output.getDefiningOp<UpdateSliceOp>())
      return fail("an output has neither the domain's shape nor a row's");
    hasRowValues = true;
  }
  shape.lanes.dim = -1;
  for (int64_t i = 0, rank = shape.domain.size(); i < rank; ++i)
    if (shape.domain[i] != 1 || (hasRowValues && i + 1 == rank))
      if (!hasRowValues || i + 1 == rank)
        shape.lanes.dim = i;
  boundary.assign(shape.domain.size(), false);
  return true;
}

/// scatter_add runs over the elements of one slice, sorts over rows.
bool ShapeAnalysis::chooseSpecialDomain() {
  Operation *op = body.ops.front();
  shape.domain.assign(shapeOf(op->getOperand(0)).begin(),
                      shapeOf(op->getOperand(0)).end());
  if (auto scatter = dyn_cast<ScatterAddOp>(op)) {
    shape.domain[scatter.getDim()] = 1;
    shape.scalar = scatter.getDim() + 1 == shape.domain.size();
  } else {
    shape.domain.back() = 1;
    shape.scalar = true;
  }
  mayMerge = false;
  shape.lanes.dim = -1;
  for (int64_t i = 0, rank = shape.domain.size(); i < rank; ++i)
    if (shape.domain[i] != 1)
      shape.lanes.dim = i;
  if (shape.scalar)
    shape.lanes.dim = -1;
  else if (shape.lanes.dim + 1 != static_cast<int64_t>(shape.domain.size()))
    shape.scalar = true;
  boundary.assign(shape.domain.size(), false);
  shape.passes.resize(1);
  return true;
}

void ShapeAnalysis::noteLoadForMerging(Value value,
                                       const SymbolicIndices &indices) {
  SmallVector<std::pair<int64_t, int64_t>> positions; // (domain dim, position)
  SmallVector<int64_t> at(shape.domain.size(), -1);
  for (auto [i, index] : llvm::enumerate(indices)) {
    if (!index.exact)
      mayMerge = false;
    else if (index.dim >= 0)
      at[index.dim] = i;
  }
  int64_t before = -1;
  for (int64_t dim = 0, rank = shape.domain.size(); dim < rank; ++dim) {
    if (shape.domain[dim] == 1)
      continue;
    if (before >= 0) {
      bool apart = (at[before] < 0) != (at[dim] < 0);
      if (at[before] >= 0 && at[dim] >= 0) {
        apart = at[dim] <= at[before];
        for (int64_t i = at[before] + 1; i < at[dim]; ++i)
          apart |= shapeOf(value)[i] != 1;
      }
      boundary[before] = boundary[before] || apart;
    }
    before = dim;
  }
}

void ShapeAnalysis::visitLoad(Value value, const SymbolicIndices &indices) {
  noteLoadForMerging(value, indices);
  SmallVector<int64_t> strides = rowMajorStrides(shapeOf(value));
  int64_t laneStride = 0;
  for (auto [index, stride] : llvm::zip_equal(indices, strides))
    if (index.lane)
      laneStride += stride;
  if (laneStride != 0 && laneStride != 1)
    shape.scalar = true;
  bool samePoint =
      (isDomain(value) && isIdentity(indices, shape.domain.size())) ||
      (isRow(value) && isIdentity(indices, shape.domain.size() - 1));
  bool &all = samePointOnly.insert({value, true}).first->second;
  all = all && samePoint;
}

bool ShapeAnalysis::visit(Value value, const SymbolicIndices &indices) {
  SmallVector<int64_t> key{pass};
  for (const SymbolicIndex &index : indices)
    key.push_back(index.key());
  if (!visited.insert({value.getAsOpaquePointer(), key}).second)
    return true;
  if (!body.contains(value)) {
    visitLoad(value, indices);
    return true;
  }
  Operation *op = value.getDefiningOp();
  if (isCostly(op) && isDomain(value) &&
      isIdentity(indices, shape.domain.size())) {
    unsigned first = firstPass.try_emplace(value, pass).first->second;
    int64_t bytes = shape.domain.empty() ? 0 : shape.domain.back() * 8;
    if (first != pass && bytes * (kept.size() + 1) <= kScratchBytes) {
      kept.insert(value);
      return true;
    }
  }
  return visitOp(op, value, indices);
}

bool ShapeAnalysis::visitOp(Operation *op, Value value,
                            const SymbolicIndices &indices) {
  if (isa<tpc::ConstantOp>(op))
    return true;
  if (auto iota = dyn_cast<IotaOp>(op)) {
    SymbolicIndex index = indices[iota.getDim()];
    if (!index.exact)
      mayMerge = false;
    if (index.dim >= 0) {
      int64_t previous = index.dim - 1;
      while (previous >= 0 && shape.domain[previous] == 1)
        --previous;
      if (previous >= 0)
        boundary[previous] = true;
      boundary[index.dim] = true;
    }
    return true;
  }
  if (op->hasTrait<Elementwise>())
    return llvm::all_of(op->getOperands(),
                        [&](Value operand) { return visit(operand, indices); });
  if (auto broadcast = dyn_cast<BroadcastOp>(op)) {
    SymbolicIndices inner;
    for (auto [size, dim] :
         llvm::zip_equal(shapeOf(broadcast.getOperand()), broadcast.getDims()))
      inner.push_back(size == 1 && shapeOf(value)[dim] != 1 ? SymbolicIndex()
                                                            : indices[dim]);
    return visit(broadcast.getOperand(), inner);
  }
  if (isRowReduction(op))
    return isIdentity(indices, shape.domain.size() - 1) ||
           fail("a reduction is needed at another row");
  return visitPull(op, indices);
}

/// A start vector: its elements, which do not depend on the point.
bool ShapeAnalysis::visitConstantIndices(Value start) {
  return visit(start, {SymbolicIndex{-1, false, false}});
}

/// Where the update goes, which may depend on the first index of the point.
bool ShapeAnalysis::visitStart(UpdateSliceOp op,
                               const SymbolicIndices &indices) {
  if (!op.startsPerRow())
    return visitConstantIndices(op.getStart());
  // Lanes along the rows would go to places that do not stand in a row.
  if (indices[0].lane)
    shape.scalar = true;
  return visit(op.getStart(), {indices[0], SymbolicIndex{-1, false, false}});
}

bool ShapeAnalysis::visitPull(Operation *op, const SymbolicIndices &indices) {
  SymbolicIndices inner(indices);
  if (auto transpose = dyn_cast<TransposeOp>(op)) {
    for (auto [i, dim] : llvm::enumerate(transpose.getPermutation()))
      inner[dim] = indices[i];
    return visit(transpose.getOperand(), inner);
  }
  if (auto reduce = dyn_cast<ReduceOp>(op)) {
    for (int64_t dim : reduce.getDims())
      inner.insert(inner.begin() + dim, SymbolicIndex{-1, false, false});
    return visit(reduce.getOperand(), inner);
  }
  if (auto slice = dyn_cast<tpc::SliceOp>(op)) {
    for (auto [i, offset] : llvm::enumerate(slice.getOffsets()))
      if (offset != 0 ||
          shapeOf(slice.getOperand())[i] != shapeOf(slice.getResult())[i])
        inner[i] = indices[i].shifted();
    return visit(slice.getOperand(), inner);
  }
  if (auto slice = dyn_cast<DynamicSliceOp>(op)) {
    for (SymbolicIndex &index : inner)
      index = index.shifted();
    return visit(slice.getOperand(), inner) &&
           visitConstantIndices(slice.getStart());
  }
  if (isa<PadOp, ConcatOp>(op)) {
    mayMerge = false; // the index itself is compared, whatever the operand is
    for (SymbolicIndex &index : inner)
      index = index.shifted();
    return llvm::all_of(op->getOperands(),
                        [&](Value operand) { return visit(operand, inner); });
  }
  if (auto gather = dyn_cast<GatherOp>(op)) {
    int64_t dim = gather.getDim(), rank = shapeOf(gather.getIndices()).size();
    SymbolicIndices at(indices.begin() + dim, indices.begin() + dim + rank);
    bool lane = llvm::any_of(at, [](SymbolicIndex i) { return i.lane; });
    if (lane)
      shape.scalar = true;
    inner.erase(inner.begin() + dim, inner.begin() + dim + rank);
    inner.insert(inner.begin() + dim, SymbolicIndex{-1, false, lane});
    mayMerge = false;
    return visit(gather.getIndices(), at) && visit(gather.getTable(), inner);
  }
  return fail("no rule to compute " + op->getName().getStringRef());
}

bool ShapeAnalysis::visitOutputs(bool full, bool rows) {
  for (Value output : body.outputs) {
    bool isFull = isDomain(stored(output));
    if (isFull ? !full : !rows)
      continue;
    SymbolicIndices indices =
        domainIndices(shape.domain.size() - (isFull ? 0 : 1));
    if (auto update = output.getDefiningOp<UpdateSliceOp>()) {
      if (body.contains(update.getOperand()))
        return fail("an updated buffer is computed in the same kernel");
      mayMerge = false;
      // Lanes that stand in a row in the update need not in the buffer: one
      // column of several is written in steps.
      for (auto [index, stride] :
           llvm::zip_equal(indices, rowMajorStrides(shapeOf(output))))
        if (index.lane && stride != 1)
          shape.scalar = true;
      if (!visitStart(update, indices))
        return false;
    }
    if (!visit(stored(output), indices))
      return false;
  }
  return true;
}

bool ShapeAnalysis::visitPass(unsigned index) {
  pass = index;
  for (ReduceOp reduce : shape.passes[pass])
    if (!visit(reduce.getOperand(), domainIndices(shape.domain.size())))
      return false;
  return pass + 1 != shape.passes.size() || visitOutputs(true, true);
}

/// Dimensions [begin, end) of the domain become one loop, indexed at the last
/// that is not of size 1.
void ShapeAnalysis::mergeRun(size_t begin, size_t end) {
  KernelLoop loop;
  for (size_t i = begin; i < end; ++i)
    if (shape.domain[i] != 1) {
      loop.dim = i;
      loop.extent *= shape.domain[i];
    }
  if (loop.dim < 0)
    return;
  if (loop.dim == shape.lanes.dim)
    shape.lanes.extent = loop.extent;
  else
    shape.rows.push_back(loop);
}

void ShapeAnalysis::buildLoops() {
  int64_t rank = shape.domain.size();
  if (shape.lanes.dim >= 0)
    shape.lanes.extent = shape.domain[shape.lanes.dim];
  if (hasRowValues && rank > 1) {
    int64_t previous = rank - 2;
    while (previous >= 0 && shape.domain[previous] == 1)
      --previous;
    if (previous >= 0)
      boundary[previous] = true;
  }
  size_t begin = 0;
  for (int64_t i = 0; i < rank; ++i)
    if (i + 1 == rank || (shape.domain[i] != 1 && (!mayMerge || boundary[i]))) {
      mergeRun(begin, i + 1);
      begin = i + 1;
    }
  shape.chunk = shape.lanes.extent;
  if (!hasRowValues && shape.lanes.extent > 2 * kChunk)
    shape.chunk = kChunk;
  if (shape.lanes.extent == 1)
    shape.scalar = true;
}

std::optional<KernelShape> ShapeAnalysis::run() {
  if (body.ops.size() == 1 && classify(body.ops.front()) == OpClass::Special) {
    if (!chooseSpecialDomain())
      return std::nullopt;
    buildLoops();
    shape.chunk = shape.lanes.extent;
    return shape;
  }
  if (body.outputs.empty() || !chooseDomain())
    return std::nullopt;
  unsigned numPasses = 1;
  for (Operation *op : body.ops)
    if (isRowReduction(op))
      numPasses = std::max(numPasses, levelOf(op->getResult(0)));
  for (Value output : body.outputs)
    if (isDomain(stored(output)))
      numPasses = std::max(numPasses, levelOf(stored(output)) + 1);
  shape.passes.resize(numPasses);
  for (Operation *op : body.ops)
    if (isRowReduction(op))
      shape.passes[levelOf(op->getOperand(0))].push_back(cast<ReduceOp>(op));
  for (unsigned i = 0; i < numPasses; ++i)
    if (!visitPass(i))
      return std::nullopt;
  buildLoops();
  shape.kept.assign(kept.begin(), kept.end());
  for (auto [i, output] : llvm::enumerate(body.outputs))
    for (auto [value, samePoint] : samePointOnly)
      if (samePoint && !output.getDefiningOp<UpdateSliceOp>() &&
          shapeOf(value) == shapeOf(output) &&
          elementBytes(elementOf(value)) == elementBytes(elementOf(output)))
        shape.inPlace.push_back({i, value});
  return shape;
}

std::optional<KernelShape> tpc::computeShape(const KernelBody &body,
                                             std::string *why) {
  ShapeAnalysis analysis(body);
  std::optional<KernelShape> shape = analysis.run();
  if (!shape && why)
    *why = analysis.problem;
  return shape;
}
