//===- FuseEpilogues.cpp - Products and what is done to their results -----===//
//
//   %p = tpc.linear %x, %w, %b "b s e, e f -> b s f"
//   %h = tpc.gelu erf %p
// becomes
//   %h = plan.contract %x, %w "b s e, e f -> b s f" bias %b activation gelu_erf
//
// and one step of the plan, which adds and activates sums in registers and
// rounds once. A bias is also found as an add of a broadcast; reshapes in
// between are views and do not matter. Every value of the chain but the last
// has the next as its only use.
//
// The rule when it pays, from measurements of oneDNN 2.6.3 with AVX-512 against
// the kernels that are generated otherwise (one core, us per 256x1408
// elements, beside the product; kernel - oneDNN):
//
//            bias    gelu_erf   gelu_tanh   silu       tanh       silu, mul
//     f32    27 - 7  178 - 160  195 - 140   104 - 144  141 - 108  108 - 204
//     bf16   29 - 0  252 - 225  270 - 180   172 - 140  221 - 125  208 - 244
//
// 1. The chain's kernel must vanish: no other kernel reads the last value. What
//    feeds a norm is left to the kernel of the norm, which reads the product
//    anyway.
// 2. silu in f32 is left to a kernel. So is what multiplies or adds another
//    tensor (the gate of SwiGLU, a residual), where oneDNN computes an address
//    per vector. For the gate that holds also at 1024x5632, larger than caches.
// 3. The result has at least `minimum-bytes` on one device: less costs a kernel
//    no more than starting it, a few microseconds.
// 4. A maximum with zero stays: relu of oneDNN makes zeros of NaNs.
// 5. All types are the same, f32 or bf16: the library has no f16.
//
// On GPUs the library is cuBLASLt. It knows a bias and gelu_tanh, in f16 as
// well, but no product over nothing; rules 1 and 3 hold there too.
//
//===----------------------------------------------------------------------===//

#include "tpc/Codegen/AttentionLayout.h"
#include "tpc/Codegen/CoreBuilder.h"
#include "tpc/Codegen/Passes.h"
#include "tpc/Dialect/Plan/Plan.h"

namespace tpc {
#define GEN_PASS_DEF_FUSEEPILOGUES
#include "tpc/Codegen/Passes.h.inc"
} // namespace tpc

using namespace mlir;
using namespace tpc;

/// Whether a kernel computes `op`: it is no step of its own, no view, and not
/// there from the start.
static bool runsInKernel(Operation *op) {
  if (auto attention = dyn_cast<AttentionOp>(op))
    return !hasStep(attention);
  return !isa<MatmulOp, LinearOp, plan::ContractOp, ReadOp, WriteOp, ReshapeOp,
              AgainOp, spmd::AllReduceOp, spmd::AllGatherOp,
              spmd::ReduceScatterOp, spmd::AllToAllOp, spmd::PermuteOp,
              spmd::ReturnOp>(op);
}

static bool isReadByKernel(Value value) {
  return llvm::any_of(value.getUsers(), [](Operation *user) {
    return isa<ReshapeOp, AgainOp>(user) ? isReadByKernel(user->getResult(0))
                                         : runsInKernel(user);
  });
}

/// The function of one element that `op` is.
static std::optional<plan::Activation> activationOf(Operation *op) {
  if (auto gelu = dyn_cast<GeluOp>(op))
    return gelu.getForm() == GeluForm::Erf ? plan::Activation::GeluErf
                                           : plan::Activation::GeluTanh;
  if (isa<SiluOp>(op))
    return plan::Activation::Silu;
  if (isa<TanhOp>(op))
    return plan::Activation::Tanh;
  return std::nullopt;
}

namespace {

/// A product and the operations that follow it.
class Chain {
public:
  explicit Chain(Operation *product);

  bool pays(int64_t minimumBytes, bool onGpus) const;
  void replace();

private:
  bool isLibrarys(Type element, bool onGpus) const;
  bool take(Operation *op, Value current);
  Value biasOf(Value value);

  Value lhs, rhs;
  StringAttr equation;
  int64_t columns = 1;    // of the right operand
  bool isOrdered = false; // the result: batch, rows, columns
  Value bias;
  std::optional<plan::Activation> activation;
  SmallVector<Operation *> ops; // that the contraction replaces
};

} // namespace

Chain::Chain(Operation *product) : ops{product} {
  if (auto linear = dyn_cast<LinearOp>(product)) {
    lhs = linear.getLhs(), rhs = linear.getRhs(), bias = linear.getBias();
    equation = linear.getEquationAttr();
  } else {
    auto matmul = cast<MatmulOp>(product);
    lhs = matmul.getLhs(), rhs = matmul.getRhs();
    equation = matmul.getEquationAttr();
  }
  Einsum einsum = *Einsum::parse(equation);
  for (const std::string &name : einsum.freeOfRhs())
    columns *= shapeOf(rhs)[indexOf(einsum.rhs, name)];
  SmallVector<std::string> order = einsum.batch();
  llvm::append_range(order, einsum.freeOfLhs());
  llvm::append_range(order, einsum.freeOfRhs());
  isOrdered = ArrayRef(einsum.result) == ArrayRef(order);

  SmallVector<Operation *> views;
  Value current = product->getResult(0);
  while (current.hasOneUse()) {
    Operation *user = *current.user_begin();
    if (isa<ReshapeOp>(user)) {
      views.push_back(user);
    } else if (take(user, current)) {
      llvm::append_range(ops, views);
      views.clear();
      ops.push_back(user);
    } else {
      break;
    }
    current = user->getResult(0);
  }
}

/// The bias that `value` repeats over all rows of the product, or null.
Value Chain::biasOf(Value value) {
  auto broadcast = value.getDefiningOp<BroadcastOp>();
  if (!broadcast)
    return {};
  ArrayRef<int64_t> from = shapeOf(broadcast.getOperand()), to = shapeOf(value);
  bool isLast =
      from == to.take_back(from.size()) &&
      llvm::equal(broadcast.getDims(),
                  llvm::seq<int64_t>(to.size() - from.size(), to.size()));
  return isLast && ShapedType::getNumElements(from) == columns
             ? broadcast.getOperand()
             : Value();
}

/// Makes `op`, the only use of `current`, part of the chain.
bool Chain::take(Operation *op, Value current) {
  if (activation)
    return false;
  if (isa<AddOp>(op) && !bias) {
    bias = biasOf(op->getOperand(op->getOperand(0) == current ? 1 : 0));
    return bias != nullptr;
  }
  activation = activationOf(op);
  return activation.has_value();
}

/// Whether the device's library computes the chain, and well.
bool Chain::isLibrarys(Type element, bool onGpus) const {
  if (onGpus)
    return (element.isBF16() || element.isF16() || element.isF32()) &&
           (!activation || activation == plan::Activation::GeluTanh);
  bool isSilu = activation == plan::Activation::Silu;
  return element.isBF16() || (element.isF32() && !isSilu);
}

bool Chain::pays(int64_t minimumBytes, bool onGpus) const {
  Value result = ops.back()->getResult(0);
  Type element = elementOf(result);
  bool isSame = elementOf(lhs) == element && elementOf(rhs) == element;
  return (bias || activation) && isOrdered && isSame &&
         tensorType(lhs).getNumElements() > 0 && isLibrarys(element, onGpus) &&
         tensorBytes(tensorType(result)) >= minimumBytes &&
         !isReadByKernel(result);
}

void Chain::replace() {
  Operation *first = ops.front(), *last = ops.back();
  OpBuilder builder(last);
  CoreBuilder core(builder, first->getLoc());
  plan::ActivationAttr function;
  if (activation)
    function = plan::ActivationAttr::get(builder.getContext(), *activation);
  Value result = plan::ContractOp::create(builder, first->getLoc(),
                                          first->getResult(0).getType(), lhs,
                                          rhs, equation, bias, function);
  Value old = last->getResult(0);
  old.replaceAllUsesWith(core.reshape(result, shapeOf(old)));
  for (Operation *op : llvm::reverse(ops))
    op->erase();
}

namespace {
struct FuseEpilogues : tpc::impl::FuseEpiloguesBase<FuseEpilogues> {
  using FuseEpiloguesBase::FuseEpiloguesBase;

  void runOnOperation() override {
    SmallVector<Operation *> products;
    for (auto program : getOperation().getOps<spmd::ProgramOp>())
      program.walk([&](Operation *op) {
        if (isa<MatmulOp, LinearOp>(op))
          products.push_back(op);
      });
    for (Operation *product : products)
      if (Chain chain(product); chain.pays(minimumBytes, device == "cuda"))
        chain.replace();
  }
};
} // namespace
