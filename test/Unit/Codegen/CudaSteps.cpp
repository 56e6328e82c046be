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
  runSteps(tolerance);
}

void CudaSteps::runSteps(double tolerance) {
  CudaModule module(*planned);
  std::vector<std::pair<Operation *, CudaLaunch>> steps;
  planned->walk([&](plan::KernelOp step) {
    auto function = SymbolTable::lookupNearestSymbolFrom<plan::KernelFuncOp>(
        step, step.getKernelAttr());
    auto launch = module.add(function);
    ASSERT_TRUE(succeeded(launch));
    steps.push_back({step, *launch});
  });
  if (HasFatalFailure() || steps.empty())
    return;
  auto image = module.compile(*findCudaKind("sm_80-bitcode"));
  ASSERT_TRUE(succeeded(image));
  std::string error;
  auto kernels =
      simulator::KernelModule::load(image->data(), image->size(), error);
  ASSERT_TRUE(kernels) << error;
  for (auto &[step, launch] : steps) {
    SCOPED_TRACE(launch.symbol);
    ASSERT_NO_FATAL_FAILURE(runStep(step, launch, *kernels, tolerance));
  }
}

/// What a step computes from the values of its operands.
static FailureOr<SmallVector<reference::Tensor>>
evaluateStep(Operation *step, ArrayRef<reference::Tensor> inputs) {
  reference::SymbolStore symbols;
  auto kernel = cast<plan::KernelOp>(step);
  auto function = SymbolTable::lookupNearestSymbolFrom<plan::KernelFuncOp>(
      kernel, kernel.getKernelAttr());
  return reference::evaluate(function, inputs, symbols);
}

void CudaSteps::runStep(Operation *step, const CudaLaunch &launch,
                        simulator::KernelModule &kernels, double tolerance) {
  StepMemory memory;
  for (Value value : step->getOperands())
    memory.announce(value);
  for (Value value : step->getResults())
    memory.announce(value);
  SmallVector<reference::Tensor> random;
  for (Value value : step->getOperands())
    random.push_back(randomTensor(cast<RankedTensorType>(value.getType())));
  for (Order order : {Order::LowestWarpFirst, Order::HighestWarpFirst}) {
    memory.allocate();
    for (auto [value, tensor] : llvm::zip_equal(step->getOperands(), random))
      memory.write(value, tensor);
    // Operands may overlap: they are what is there now.
    SmallVector<reference::Tensor> inputs;
    for (Value value : step->getOperands())
      inputs.push_back(memory.read(value));
    auto expected = evaluateStep(step, inputs);
    ASSERT_TRUE(succeeded(expected));
    std::vector<std::byte> before = memory.others(step->getResults());
    std::vector<void *> buffers;
    auto kernel = cast<plan::KernelOp>(step);
    for (Value value : kernel.getInputs())
      buffers.push_back(memory.at(value));
    for (Value value : step->getResults())
      buffers.push_back(memory.at(value));
    ASSERT_EQ(int(buffers.size()), kernels.numBuffers(launch.symbol));
    if (launch.blocks > 0) {
      std::string error = kernels.launch(launch.symbol, launch.blocks,
                                         launch.threads, buffers.data(), order);
      ASSERT_EQ(error, "");
    }
    for (auto [i, value] : llvm::enumerate(step->getResults())) {
      SCOPED_TRACE("result " + std::to_string(i));
      ASSERT_NO_FATAL_FAILURE(
          expectClose((*expected)[i], memory.read(value), tolerance));
    }
    ASSERT_EQ(memory.others(step->getResults()), before)
        << "memory beside the results changed";
  }
}
