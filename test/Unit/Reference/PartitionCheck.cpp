//===- PartitionCheck.cpp - A strategy through partition ------------------===//
//
// The case's function is put into the assigned form. For matmul with its left
// operand split and its right operand partial over "x" = 2:
//
//   func @main(%0: tensor<4x6xf32, R>, %1: tensor<2x6x4xf32, R>) {
//     %a = tpc.reshard %0 : ... -> tensor<4x6xf32, split>
//     %b = tpc.reshard %1 : ... -> tensor<2x6x4xf32, first dimension over "x">
//     %p = tpc.reduce sum %b dims [0] : ... -> tensor<6x4xf32, sum {"x"}>
//     %y = tpc.matmul %a, %p ...
//     %z = tpc.reshard %y : ... -> not partial
//
// A partial operand is thus made of different contributions, not of one value
// and zeros, under which much that is not linear looks linear.
//
//===----------------------------------------------------------------------===//

#include "PartitionCheck.h"
#include "mlir/Pass/PassManager.h"
#include "tpc/Reference/Simulator.h"
#include "tpc/Transforms/Passes.h"

using namespace mlir;
using namespace tpc;
using namespace tpc::reference;

namespace {
class CaseAssigner {
public:
  CaseAssigner(ModuleOp module, const Mesh &mesh, const OpShardings &shardings,
               Held held)
      : function(*module.getOps<func::FuncOp>().begin()),
        op(operationOf(module)), mesh(mesh), shardings(shardings), held(held),
        builder(op) {}

  void run() {
    for (unsigned i = 0; i < op->getNumOperands(); ++i)
      op->setOperand(i, assignOperand(i));
    builder.setInsertionPointAfter(op);
    Operation *terminator = function.getBody().front().getTerminator();
    for (OpResult result : op->getResults()) {
      Sharding sharding = shardings.results[result.getResultNumber()];
      result.setType(sharded(result, sharding));
      sharding.partial.clear();
      terminator->setOperand(result.getResultNumber(),
                             reshard(result, sharding));
    }
    function.setType(builder.getFunctionType(
        function.getBody().getArgumentTypes(), terminator->getOperandTypes()));
  }

private:
  RankedTensorType sharded(Value value, const Sharding &sharding) {
    return withSharding(cast<RankedTensorType>(value.getType()), sharding);
  }

  Value reshard(Value value, const Sharding &sharding) {
    RankedTensorType type = sharded(value, sharding);
    return type == value.getType()
               ? value
               : ReshardOp::create(builder, op->getLoc(), type, value,
                                   OriginAttr());
  }

  /// Gives the argument the sharding in which it comes in.
  Value hold(BlockArgument argument, const Sharding &sharding) {
    int64_t rank = cast<RankedTensorType>(argument.getType()).getRank();
    argument.setType(
        sharded(argument, held == Held::Blocks
                              ? sharding
                              : Sharding::replicated(mesh.symbol, rank)));
    return reshard(argument, sharding);
  }

  Value assignOperand(unsigned i) {
    BlockArgument argument = function.getArgument(i);
    const Sharding &sharding = shardings.operands[i];
    if (!sharding.isPartial())
      return hold(argument, sharding);
    RankedTensorType type = sharded(argument, sharding);
    AxisList axes;
    for (const PartialAxis &partial : sharding.partial)
      axes.push_back(partial.axis);
    SmallVector<int64_t> shape{mesh.size(axes)};
    llvm::append_range(shape, type.getShape());
    argument.setType(RankedTensorType::get(shape, type.getElementType()));
    Sharding parts = Sharding::replicated(mesh.symbol, 0);
    parts.dims.push_back(axes);
    llvm::append_range(parts.dims, sharding.dims);
    return ReduceOp::create(
        builder, op->getLoc(), type, sharding.partial[0].reduction,
        hold(argument, parts), builder.getDenseI64ArrayAttr({0}));
  }

  func::FuncOp function;
  Operation *op;
  const Mesh &mesh;
  const OpShardings &shardings;
  Held held;
  OpBuilder builder;
};
} // namespace

static LogicalResult partition(ModuleOp module) {
  PassManager passes(module.getContext());
  passes.addPass(createExpandSynchronizedPass());
  passes.addPass(createVerifyAssignedPass());
  passes.addPass(createPartitionPass());
  passes.addPass(createVerifyPartitionPass());
  return passes.run(module);
}

std::optional<std::string>
tpc::reference::checkPartitioned(const OpCase &opCase, const Mesh &mesh,
                                 const OpShardings &shardings, Held held,
                                 std::mt19937 &random) {
  OwningOpRef<ModuleOp> module = moduleOf(opCase, mesh);
  CaseAssigner(*module, mesh, shardings, held).run();
  Diagnostics diagnostics;
  if (failed(partition(*module)))
    return "partition fails: " + diagnostics.text;

  auto whole = *module->getOps<func::FuncOp>().begin();
  SmallVector<Tensor> inputs;
  for (auto [i, type] : llvm::enumerate(whole.getArgumentTypes()))
    inputs.push_back(
        randomTensor(cast<RankedTensorType>(type), opCase.range(i), random));
  SymbolStore symbols;
  SimulateOptions options;
  options.poisonPadding = true;
  auto expected = evaluate(whole, inputs, symbols);
  auto found = simulate(*module->getOps<spmd::ProgramOp>().begin(), inputs,
                        symbols, options);
  if (failed(expected) || failed(found))
    return diagnostics.text;
  for (auto [i, pair] : llvm::enumerate(llvm::zip_equal(*found, *expected)))
    if (auto problem =
            difference(std::get<0>(pair), std::get<1>(pair), opCase.tolerance))
      return "result " + std::to_string(i) + ": " + *problem;
  return std::nullopt;
}
