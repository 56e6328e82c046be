//===- Simulator.cpp - All devices of a per-device program ----------------===//

#include "tpc/Reference/Simulator.h"
#include "Collectives.h"
#include "Frame.h"
#include "tpc/Reference/Blocks.h"

using namespace mlir;
using namespace tpc;
using namespace tpc::reference;

namespace {

class Simulation {
public:
  Simulation(spmd::ProgramOp program, const Mesh &mesh, SymbolStore &symbols,
             const SimulateOptions &options)
      : program(program), mesh(mesh), symbols(symbols), options(options),
        frames(mesh.numDevices()) {}

  void setArguments(ArrayRef<Tensor> wholeInputs) {
    for (auto [i, argument] :
         llvm::enumerate(program.getBody().getArguments())) {
      auto blocks = shardTensor(wholeInputs[i],
                                program.getArgSharding(i).getValue(), mesh);
      for (auto [frame, block] : llvm::zip_equal(frames, blocks))
        frame.set(argument, std::move(block));
    }
  }

  LogicalResult run() {
    for (Operation &op : program.getBody().front().without_terminator())
      if (failed(step(&op)))
        return failure();
    return success();
  }

  FailureOr<SmallVector<Tensor>> results(TypeRange wholeTypes) {
    Operation *terminator = program.getBody().front().getTerminator();
    SmallVector<Tensor> wholes;
    for (auto [i, value] : llvm::enumerate(terminator->getOperands())) {
      SmallVector<Tensor> blocks;
      for (Frame &frame : frames)
        blocks.push_back(frame.get(value));
      auto whole = assemble("result " + Twine(i), blocks,
                            cast<RankedTensorType>(wholeTypes[i]).getShape(),
                            program.getResultSharding(i));
      if (failed(whole))
        return failure();
      wholes.push_back(std::move(*whole));
    }
    return wholes;
  }

  LogicalResult storeStates() {
    for (Operation *symbol : written) {
      RankedTensorType type = cast<StateOp>(symbol).getTensorType();
      StringRef name = SymbolTable::getSymbolName(symbol);
      auto whole = assemble("state @" + name, memory[symbol], type.getShape(),
                            getSharding(type));
      if (failed(whole))
        return failure();
      symbols.set(name, std::move(*whole));
    }
    return success();
  }

private:
  LogicalResult step(Operation *op) {
    FailureOr<SmallVector<SmallVector<Tensor>>> results = // by device
        findCollective(op) ? communicate(op)
        : isa<ReadOp>(op)  ? read(cast<ReadOp>(op))
        : isa<WriteOp>(op) ? write(cast<WriteOp>(op))
                           : compute(op);
    if (failed(results))
      return failure();
    for (auto [frame, tensors] : llvm::zip_equal(frames, *results)) {
      frame.release(op->getOperands());
      for (auto [value, tensor] : llvm::zip_equal(op->getResults(), tensors))
        frame.set(value, std::move(tensor));
    }
    return success();
  }

  using PerDevice = FailureOr<SmallVector<SmallVector<Tensor>>>;

  PerDevice communicate(Operation *op) {
    SmallVector<const Tensor *> operands;
    if (op->getNumOperands() == 1)
      for (Frame &frame : frames)
        operands.push_back(&frame.get(op->getOperand(0)));
    Devices devices{mesh,
                    options,
                    operands,
                    cast<RankedTensorType>(op->getResult(0).getType()),
                    {}};
    (*findCollective(op))(op, devices);
    SmallVector<SmallVector<Tensor>> results;
    for (Tensor &result : devices.results)
      results.emplace_back().push_back(std::move(result));
    return results;
  }

  PerDevice compute(Operation *op) {
    SmallVector<SmallVector<Tensor>> results;
    for (Frame &frame : frames) {
      auto tensors = evaluateOperation(op, frame.get(op->getOperands()));
      if (failed(tensors))
        return failure();
      results.push_back(std::move(*tensors));
    }
    return results;
  }

  PerDevice read(ReadOp op) {
    Operation *symbol =
        SymbolTable::lookupNearestSymbolFrom(op, op.getSymbolAttr());
    if (failed(load(symbol)))
      return failure();
    SmallVector<SmallVector<Tensor>> results;
    for (const Tensor &block : memory[symbol])
      results.emplace_back().push_back(block);
    return results;
  }

  PerDevice write(WriteOp op) {
    Operation *symbol =
        SymbolTable::lookupNearestSymbolFrom(op, op.getSymbolAttr());
    SmallVector<Tensor> &blocks = memory[symbol];
    blocks.clear();
    for (Frame &frame : frames)
      blocks.push_back(frame.get(op.getValue()));
    if (!llvm::is_contained(written, symbol))
      written.push_back(symbol);
    return SmallVector<SmallVector<Tensor>>(frames.size());
  }

  /// Brings a parameter's or state's blocks into the devices' memory.
  LogicalResult load(Operation *symbol) {
    if (memory.contains(symbol))
      return success();
    FailureOr<const Tensor *> whole = symbols.get(symbol);
    if (failed(whole))
      return failure();
    auto parameter = dyn_cast<ParameterOp>(symbol);
    ShardingAttr sharding =
        getSharding(parameter ? parameter.getTensorType()
                              : cast<StateOp>(symbol).getTensorType());
    memory[symbol] =
        shardTensor(**whole, valueOf(sharding, (*whole)->rank()), mesh);
    return success();
  }

  /// No sharding in the type means replicated.
  Sharding valueOf(ShardingAttr sharding, int64_t rank) {
    return sharding ? sharding.getValue()
                    : Sharding::replicated(mesh.symbol, rank);
  }

  FailureOr<Tensor> assemble(const Twine &what, ArrayRef<Tensor> blocks,
                             ArrayRef<int64_t> shape, ShardingAttr sharding) {
    std::string problem;
    auto whole = unshard(blocks, shape, valueOf(sharding, shape.size()), mesh,
                         options.tolerance, &problem);
    if (failed(whole))
      return program.emitError() << what << ": " << problem;
    return whole;
  }

  spmd::ProgramOp program;
  const Mesh &mesh;
  SymbolStore &symbols;
  const SimulateOptions &options;
  SmallVector<Frame> frames;
  /// Parameters and states, by device.
  llvm::DenseMap<Operation *, SmallVector<Tensor>> memory;
  SmallVector<Operation *> written;
};

} // namespace

FailureOr<SmallVector<Tensor>>
tpc::reference::simulate(spmd::ProgramOp program, ArrayRef<Tensor> wholeInputs,
                         SymbolStore &symbols, const SimulateOptions &options) {
  auto whole = SymbolTable::lookupNearestSymbolFrom<FunctionOpInterface>(
      program, program.getWholeAttr());
  FailureOr<Mesh> mesh = lookupMesh(program);
  if (failed(mesh) ||
      failed(checkInputs(program, whole.getArgumentTypes(), wholeInputs)))
    return failure();
  Simulation simulation(program, *mesh, symbols, options);
  simulation.setArguments(wholeInputs);
  if (failed(simulation.run()))
    return failure();
  auto results = simulation.results(whole.getResultTypes());
  if (failed(results) || failed(simulation.storeStates()))
    return failure();
  return results;
}
