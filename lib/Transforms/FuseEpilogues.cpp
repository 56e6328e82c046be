//===- FuseEpilogues.cpp - Products and what is done to their results -----===//
//
//   %g = tpc.matmul %x, %gate "b s e, e f -> b s f"
//   %u = tpc.matmul %x, %up "b s e, e f -> b s f"
//   %s = tpc.silu %g
//   %h = tpc.mul %s, %u
// becomes
//   %u = tpc.matmul %x, %up "b s e, e f -> b s f"
//   %h = plan.contract %x, %gate "b s e, e f -> b s f"
//            activation silu multiply %u
//
// and one step of the plan, which computes the whole chain
//
//   product -> add of a bias -> activation -> mul -> add
//
// on sums in registers and rounds once. Every value of the chain but the last
// has the next as its only use; reshapes in between are views and do not
// matter.
//
// The rule when it pays, from what was measured:
//
// 1. The chain's kernel must vanish: no other kernel reads the last value. What
//    feeds a norm is left to the kernel of the norm, which reads the product
//    anyway; a residual in the product would only be read elsewhere.
// 2. What is multiplied or added is in memory anyway: an input, a parameter, or
//    the result of a step that is no kernel. Otherwise the kernel that makes it
//    can do the rest of the chain, too.
// 3. The result has at least `minimum-bytes` on one device: less costs a kernel
//    no more than starting it, a few microseconds.
// 4. All types are the same, f32 or bf16: the library has no f16.
//
// A chain with an activation comes first: of silu(g) * u, g's product takes the
// multiplication, not u's.
//
//===----------------------------------------------------------------------===//

#include "mlir/IR/Matchers.h"
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
              spmd::AllReduceOp, spmd::AllGatherOp, spmd::ReduceScatterOp,
              spmd::AllToAllOp, spmd::PermuteOp, spmd::ReturnOp>(op);
}

static bool isReadByKernel(Value value) {
  return llvm::any_of(value.getUsers(), [](Operation *user) {
    return isa<ReshapeOp>(user) ? isReadByKernel(user->getResult(0))
                                : runsInKernel(user);
  });
}

static bool isMadeByKernel(Value value) {
  while (auto reshape = value.getDefiningOp<ReshapeOp>())
    value = reshape.getOperand();
  return value.getDefiningOp() && runsInKernel(value.getDefiningOp());
}

static bool isZero(Value value) {
  Attribute constant;
  return matchPattern(value, m_Constant(&constant)) &&
         matchPattern(constant, m_AnyZeroFloat());
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
  if (auto max = dyn_cast<MaxOp>(op))
    if (isZero(max.getLhs()) || isZero(max.getRhs()))
      return plan::Activation::Relu;
  return std::nullopt;
}

namespace {

/// A product and the operations that follow it.
class Chain {
public:
  explicit Chain(Operation *product);

  bool hasActivation() const { return activation.has_value(); }
  bool pays(int64_t minimumBytes) const;
  void replace();

private:
  enum Stage { Product, Biased, Activated, Multiplied, Added };

  bool take(Operation *op, Value current);
  Value biasOf(Value value);

  Value lhs, rhs;
  StringAttr equation;
  int64_t columns = 1;
  bool isOrdered = false;
  Stage stage = Product;
  Value bias, multiply, add;
  std::optional<plan::Activation> activation;
  SmallVector<Operation *> ops; // that the contraction replaces
};

} // namespace

Chain::Chain(Operation *product) : ops{product} {
  if (auto linear = dyn_cast<LinearOp>(product)) {
    lhs = linear.getLhs(), rhs = linear.getRhs(), bias = linear.getBias();
    equation = linear.getEquationAttr();
    stage = Biased;
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
  if (auto found = activationOf(op); found && stage < Activated) {
    activation = found;
    stage = Activated;
    return true;
  }
  if (!isa<AddOp, MulOp>(op))
    return false;
  Value other = op->getOperand(op->getOperand(0) == current ? 1 : 0);
  bool isAdd = isa<AddOp>(op);
  if (Value found = biasOf(other); found && isAdd && stage == Product) {
    bias = found;
    stage = Biased;
    return true;
  }
  Stage next = isAdd ? Added : Multiplied;
  if (stage >= next || isMadeByKernel(other))
    return false;
  (isAdd ? add : multiply) = other;
  stage = next;
  return true;
}

bool Chain::pays(int64_t minimumBytes) const {
  Value result = ops.back()->getResult(0);
  Type element = elementOf(result);
  auto isSame = [&](Value value) {
    return !value || elementOf(value) == element;
  };
  return stage != Product && isOrdered &&
         (element.isF32() || element.isBF16()) && isSame(lhs) && isSame(rhs) &&
         tensorBytes(tensorType(result)) >= minimumBytes &&
         !isReadByKernel(result);
}

void Chain::replace() {
  Operation *first = ops.front(), *last = ops.back();
  OpBuilder builder(last);
  CoreBuilder core(builder, first->getLoc());
  auto type = cast<RankedTensorType>(first->getResult(0).getType());
  auto shaped = [&](Value value) {
    return value ? core.reshape(value, type.getShape()) : value;
  };
  plan::ActivationAttr function;
  if (activation)
    function = plan::ActivationAttr::get(builder.getContext(), *activation);
  Value result = plan::ContractOp::create(builder, first->getLoc(), type, lhs,
                                          rhs, equation, bias, function,
                                          shaped(multiply), shaped(add));
  Value old = last->getResult(0);
  old.replaceAllUsesWith(core.reshape(result, shapeOf(old)));
  for (Operation *op : llvm::reverse(ops))
    op->erase();
}

namespace {
struct FuseEpilogues : tpc::impl::FuseEpiloguesBase<FuseEpilogues> {
  using FuseEpiloguesBase::FuseEpiloguesBase;

  void runOnOperation() override {
    for (auto program : getOperation().getOps<spmd::ProgramOp>())
      for (bool withActivation : {true, false}) {
        SmallVector<Operation *> products;
        program.walk([&](Operation *op) {
          if (isa<MatmulOp, LinearOp>(op))
            products.push_back(op);
        });
        for (Operation *product : products) {
          Chain chain(product);
          if (chain.hasActivation() == withActivation &&
              chain.pays(minimumBytes))
            chain.replace();
        }
      }
  }
};
} // namespace
