#include "CudaSteps.h"
#include "tpc/Reference/HostTensors.h"
#include <map>

using namespace mlir;
using namespace tpc;
using namespace tpc::test;
using simulator::Order;

namespace {

/// The memory that one step touches.
class StepMemory {
public:
  /// Makes room for a value; all values are announced before the first is used.
  void announce(Value value) {
    plan::PlaceAttr place = plan::placeOf(value);
    Region &region = regions[keyOf(value)];
    int64_t begin = place.getOffset();
    region.begin = std::min(region.begin, begin / kAlignment * kAlignment);
    region.end = std::max(region.end, begin + plan::bytesOf(value));
  }
  void allocate() {
    for (auto &[key, region] : regions) {
      // Kernels must not rely on more than they are promised.
      region.bytes.assign(region.end - region.begin + 2 * kAlignment,
                          std::byte(0xff));
      auto address = reinterpret_cast<uintptr_t>(region.bytes.data());
      region.skipped = kAlignment - address % kAlignment;
    }
  }
  std::byte *at(Value value) {
    Region &region = regions[keyOf(value)];
    return region.bytes.data() + region.skipped +
           (plan::placeOf(value).getOffset() - region.begin);
  }
  void write(Value value, const reference::Tensor &tensor) {
    tpcrt::HostTensor host = reference::toHost(tensor);
    if (host.byteSize() > 0)
      std::memcpy(at(value), host.data(), host.byteSize());
  }
  reference::Tensor read(Value value) {
    auto type = cast<RankedTensorType>(value.getType());
    tpcrt::HostTensor like = reference::toHost(
        reference::Tensor(type.getShape(), type.getElementType()));
    return reference::fromHost(
        tpcrt::HostTensor::view(like.type(), like.shape(), at(value)),
        value.getContext());
  }
  /// All bytes but those of `values`.
  std::vector<std::byte> others(ValueRange values) {
    std::map<Key, std::vector<std::byte>> copies;
    for (auto &[key, region] : regions)
      copies[key] = region.bytes;
    for (Value value : values) {
      Region &region = regions[keyOf(value)];
      size_t begin = at(value) - region.bytes.data();
      std::vector<std::byte> &copy = copies[keyOf(value)];
      std::fill_n(copy.begin() + begin, plan::bytesOf(value), std::byte(0));
    }
    std::vector<std::byte> result;
    for (auto &[key, copy] : copies)
      result.insert(result.end(), copy.begin(), copy.end());
    return result;
  }

private:
  static constexpr int64_t kAlignment = 16;
  using Key = std::pair<int, const void *>;
  struct Region {
    int64_t begin = std::numeric_limits<int64_t>::max(), end = 0;
    size_t skipped = 0;
    std::vector<std::byte> bytes;
  };
  /// Constants and device scalars lie in memory of their own.
  static Key keyOf(Value value) {
    plan::PlaceAttr place = plan::placeOf(value);
    switch (place.getSpace()) {
    case plan::Space::Arena:
      return {0, nullptr};
    case plan::Space::Parameter:
    case plan::Space::State:
      return {1, place.getSymbol().getAsOpaquePointer()};
    case plan::Space::Constant:
    case plan::Space::DeviceScalar:
      return {2, plan::rootOf(value).getAsOpaquePointer()};
    }
    llvm_unreachable("unknown space");
  }

  std::map<Key, Region> regions;
};

} // namespace

void CudaSteps::planAndRun(StringRef text, double tolerance) {
  ASSERT_NO_FATAL_FAILURE(plan(text));
  runKernels(tolerance);
}

std::unique_ptr<simulator::KernelModule> CudaSteps::load(CudaModule &module) {
  auto image = module.compile(*findCudaKind("sm_80-bitcode"));
  if (failed(image))
    return nullptr;
  std::string error;
  auto kernels =
      simulator::KernelModule::load(image->data(), image->size(), error);
  EXPECT_EQ(error, "");
  return kernels;
}

void CudaSteps::runKernels(double tolerance) {
  CudaModule module(*planned);
  std::vector<std::pair<plan::KernelOp, CudaLaunch>> steps;
  planned->walk([&](plan::KernelOp step) {
    auto function = SymbolTable::lookupNearestSymbolFrom<plan::KernelFuncOp>(
        step, step.getKernelAttr());
    auto launch = module.add(function);
    ASSERT_TRUE(succeeded(launch));
    steps.push_back({step, *launch});
  });
  if (HasFatalFailure() || steps.empty())
    return;
  auto kernels = load(module);
  ASSERT_TRUE(kernels);
  for (auto &[kernel, launch] : steps) {
    SCOPED_TRACE(launch.symbol);
    plan::KernelOp op = kernel;
    auto function = SymbolTable::lookupNearestSymbolFrom<plan::KernelFuncOp>(
        op, op.getKernelAttr());
    auto evaluate = [&](ArrayRef<reference::Tensor> inputs) {
      reference::SymbolStore symbols;
      return reference::evaluate(function, inputs, symbols);
    };
    Step step{op, launch, {}, evaluate};
    for (Value value : op->getOperands())
      step.given.push_back(
          {value, randomTensor(cast<RankedTensorType>(value.getType()))});
    ASSERT_NO_FATAL_FAILURE(run(step, *kernels, tolerance));
  }
}

void CudaSteps::planAndRunLibraryStep(StringRef text, double tolerance,
                                      const Change &change,
                                      const Poison &poison) {
  ASSERT_NO_FATAL_FAILURE(plan(text));
  CudaModule module(*planned);
  auto main = source->lookupSymbol<FunctionOpInterface>("main");
  Tensors arguments;
  for (Type type : main.getArgumentTypes())
    arguments.push_back(randomTensor(
        withSharding(cast<RankedTensorType>(type), ShardingAttr())));
  if (change)
    change(arguments);
  reference::SymbolStore symbols;
  auto expected = reference::evaluate(main, arguments, symbols);
  ASSERT_TRUE(succeeded(expected));
  if (poison.arguments) {
    poison.arguments(arguments);
    poison.results(*expected);
  }
  auto evaluate = [&](ArrayRef<reference::Tensor>) { return expected; };
  Step step{nullptr, {}, {}, evaluate};
  planned->walk([&](Operation *op) {
    if (auto attention = dyn_cast<plan::AttentionOp>(op))
      step.op = op, step.launch = *module.add(attention);
    if (auto grouped = dyn_cast<plan::GroupedMatmulOp>(op))
      step.op = op, step.launch = *module.add(grouped);
    if (auto product = dyn_cast<plan::MatmulOp>(op);
        product && !isLibraryProduct(product))
      step.op = op, step.launch = *module.add(product);
    if (auto input = dyn_cast<plan::InputOp>(op))
      step.given.push_back({input, arguments[input.getIndex()]});
  });
  ASSERT_TRUE(step.op);
  llvm::sort(step.given, [](auto &a, auto &b) {
    auto index = [](Value value) {
      return value.getDefiningOp<plan::InputOp>().getIndex();
    };
    return index(a.first) < index(b.first);
  });
  auto kernels = load(module);
  ASSERT_TRUE(kernels);
  run(step, *kernels, tolerance);
}

/// The first element of an operand that a step reads.
static int64_t offsetOf(Operation *step, unsigned operand) {
  if (auto attention = dyn_cast<plan::AttentionOp>(step)) {
    SmallVector<ArrayRef<int64_t>> views{attention.getQueryView(),
                                         attention.getKeyView(),
                                         attention.getValueView()};
    if (attention.getBias())
      views.push_back(*attention.getBiasView());
    return operand < views.size() ? views[operand].front() : 0;
  }
  if (auto product = dyn_cast<plan::MatmulOp>(step))
    return operand == 0 ? product.getA()[0] : product.getB()[0];
  auto grouped = dyn_cast<plan::GroupedMatmulOp>(step);
  return grouped && operand == 2 ? grouped.getView().front() : 0;
}

void CudaSteps::run(const Step &step, simulator::KernelModule &kernels,
                    double tolerance) {
  StepMemory memory;
  for (auto &[value, tensor] : step.given)
    memory.announce(value);
  for (Value value : step.op->getOperands())
    memory.announce(value);
  for (Value value : step.op->getResults())
    memory.announce(value);
  for (Order order : {Order::LowestWarpFirst, Order::HighestWarpFirst}) {
    memory.allocate();
    for (auto &[value, tensor] : step.given)
      memory.write(value, tensor);
    // Operands may overlap: they are what is there now.
    Tensors inputs;
    for (auto &[value, tensor] : step.given)
      inputs.push_back(memory.read(value));
    auto expected = step.evaluate(inputs);
    ASSERT_TRUE(succeeded(expected));
    std::vector<std::byte> before = memory.others(step.op->getResults());
    // An updated operand lies where its result does.
    auto kernel = dyn_cast<plan::KernelOp>(step.op);
    unsigned numInputs =
        kernel ? kernel.getInputs().size() : step.op->getNumOperands();
    std::vector<void *> buffers;
    for (unsigned i = 0; i < numInputs; ++i) {
      Value value = step.op->getOperand(i);
      auto type = cast<RankedTensorType>(value.getType());
      buffers.push_back(memory.at(value) +
                        offsetOf(step.op, i) *
                            elementBytes(type.getElementType()));
    }
    for (Value value : step.op->getResults())
      buffers.push_back(memory.at(value));
    ASSERT_EQ(int(buffers.size()), kernels.numBuffers(step.launch.symbol));
    if (step.launch.blocks > 0)
      ASSERT_EQ(kernels.launch(step.launch.symbol, step.launch.blocks,
                               step.launch.threads, buffers.data(), order),
                "");
    for (auto [i, value] : llvm::enumerate(step.op->getResults())) {
      SCOPED_TRACE("result " + std::to_string(i));
      ASSERT_NO_FATAL_FAILURE(
          expectClose((*expected)[i], memory.read(value), tolerance));
    }
    ASSERT_EQ(memory.others(step.op->getResults()), before)
        << "memory beside the results changed";
  }
}
