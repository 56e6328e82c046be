//===- AttentionKernel.h - Attention on a GPU -------------------*- C++ -*-===//
//
// A block has up to four queries that read the same keys: of one group of
// heads, and neighbours in the sequence. Its warps take turns at runs of 32
// keys, one key a lane, and keep for each query the softmax of what they have
// seen so far (Milakov and Gimelshein, "Online normalizer calculation for
// softmax", 2018):
//
//   peak   the largest score
//   sum    sum of w = exp(score - peak)
//   acc    sum of w * value; lane l has the elements l * n, ..., l * n + n - 1
//          of each run of 32 * n
//
// A larger peak scales sum and acc down. At the end the warps' results are
// combined the same way through shared memory.
//
// The keys that a query sees are an interval. What no query of the block sees
// is not read, and what a query does not see has no part in its sums, whatever
// it is.
//
//===----------------------------------------------------------------------===//

#ifndef TPC_LIB_CODEGEN_CUDA_ATTENTIONKERNEL_H
#define TPC_LIB_CODEGEN_CUDA_ATTENTIONKERNEL_H

#include "../VectorMath.h"
#include "BlockOps.h"
#include "tpc/Codegen/CoreBuilder.h"
#include "llvm/Support/MathExtras.h"

namespace tpc {

/// How the work is divided.
struct AttentionShape {
  int64_t warps = 1, queries = 1; // of a block
  int64_t groups = 0;             // of queries, per key head and batch row

  static mlir::FailureOr<AttentionShape> of(plan::AttentionOp op);
};

class AttentionKernel {
public:
  AttentionKernel(mlir::OpBuilder &builder, plan::AttentionOp op,
                  const AttentionShape &shape, mlir::LLVM::LLVMFuncOp kernel,
                  llvm::ArrayRef<BufferFacts> facts);

  void emit() {
    chooseQueries();
    loadQueries();
    block.barrier();
    combineWarps(seeKeys());
  }

private:
  /// A buffer of the step, and what its address is a multiple of.
  struct Operand {
    mlir::Value value, pointer;
    int64_t alignment = 0;

    explicit operator bool() const { return value != nullptr; }
  };
  /// One of the block's queries.
  struct Query {
    mlir::Value s, g;
    mlir::Value isMine;     // null: always; otherwise it is another block's
    mlir::Value begin, end; // the keys that it sees
  };
  /// What a warp knows of a query.
  struct State {
    mlir::Value peak, sum;
    llvm::SmallVector<mlir::Value> acc;
  };
  using States = llvm::SmallVector<State>;

  void chooseQueries();
  void chooseKeys(Query &query);
  void loadQueries();
  States seeKeys();
  void seeRun(mlir::Value first, States &states);
  llvm::SmallVector<mlir::Value> scoresOf(mlir::Value key);
  mlir::Value adjusted(mlir::Value score, const Query &query, mlir::Value key);
  void addValues(mlir::Value first, llvm::ArrayRef<mlir::Value> weights,
                 States &states);
  void combineWarps(const States &states);
  void storeResult(int64_t query, mlir::Value peaks, mlir::Value sums,
                   mlir::Value acc);

  llvm::SmallVector<mlir::Value> flatten(const States &states);
  States unflatten(mlir::ValueRange values);
  mlir::Value seenBy(const Query &query, mlir::Value key);
  /// Elements that stand next to each other and are loaded at once: they divide
  /// `size`, and every address is a multiple of their bytes.
  static int64_t lanesOf(int64_t size, llvm::ArrayRef<int64_t> strides,
                         const Operand &operand, int64_t most);
  /// Where a lane's elements of run `run` of a value begin; those behind the
  /// end are read at the begin, and not used.
  mlir::Value elementsOf(int64_t run);
  int64_t runs() { return llvm::divideCeil(v, kWarp * perLane); }

  // Numbers in the type that is computed in.
  mlir::Value load(const Operand &operand, mlir::Value index) {
    return ops.load(operand.pointer, index, elementOf(operand.value), false,
                    {});
  }
  mlir::Value loadIndex(const Operand &operand, mlir::Value index) {
    return ops.toIndex(load(operand, index));
  }
  mlir::Value toCompute(mlir::Value x);
  mlir::Value number(double value) {
    return mlir::arith::ConstantOp::create(
        builder, loc,
        mlir::FloatAttr::get(llvm::cast<mlir::FloatType>(compute), value));
  }
  mlir::Value fmul(mlir::Value x, mlir::Value y) {
    return mlir::arith::MulFOp::create(builder, loc, x, y);
  }
  mlir::Value max(mlir::Value x, mlir::Value y) {
    return ops.combine(Reduction::Max, x, y);
  }
  mlir::Value min(mlir::Value x, mlir::Value y) {
    return mlir::arith::MinSIOp::create(builder, loc, x, y);
  }
  /// exp(score - peak); 0 where nothing was seen, also where both are -inf.
  mlir::Value weight(mlir::Value score, mlir::Value peak) {
    mlir::Value none = mlir::arith::CmpFOp::create(
        builder, loc, mlir::arith::CmpFPredicate::OEQ, peak, number(-INFINITY));
    mlir::Value shift = ops.select(none, number(0), peak);
    return math.exp(mlir::arith::SubFOp::create(builder, loc, score, shift));
  }
  LaneOps wideOps(int64_t lanes) {
    return LaneOps(builder, loc, LaneTarget::gpu(lanes), entry);
  }

  plan::AttentionOp op;
  const AttentionShape &shape;
  mlir::OpBuilder &builder;
  mlir::Location loc;
  mlir::Block *entry;
  LaneOps ops;
  VectorMath math;
  BlockOps block;
  int64_t s, t, k, g, d, v;
  mlir::Type element, compute;
  Operand query, key, value, bias, lengths, offset, sinks, result;

  mlir::Value ib, ik;               // batch row and key head of the block
  mlir::Value warp, lane;           // numbers of the thread's
  llvm::SmallVector<Query> queries; // of the block
  mlir::Value begin, end;           // the keys that any of them sees
  mlir::Value shared;               // the queries' elements
  mlir::Value keyRow, valueRow;     // offset of this head's key and value 0
  int64_t perLane = 1; // value's elements next to each other in a lane
};

} // namespace tpc

#endif // TPC_LIB_CODEGEN_CUDA_ATTENTIONKERNEL_H
