//===- WeightSplit.cpp - Which parts of stored tensors devices hold -------===//
//
// A parameter is a strided view of stored tensors, and its block on a device a
// range of each dimension of the view. A stride is a number of steps along one
// stored dimension, so the block is, in the stored tensor, a set of indices for
// each dimension: a part. (Views that run across stored dimensions, like a
// flattened matrix, are not; their tensors stay whole.)
//
//===----------------------------------------------------------------------===//

#include "tpc/Driver/WeightSplit.h"
#include "tpc/Dialect/Tpc/Tpc.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include <map>
#include <set>

using namespace mlir;
using namespace tpc;
using tpcrt::IndexRun;
using tpcrt::IndexRuns;
using tpcrt::TensorPart;

namespace {

/// Indices along each dimension of a stored tensor.
using IndexSets = std::vector<std::set<int64_t>>;

/// What a parameter's view does along the dimensions of a stored tensor.
struct ViewSteps {
  std::vector<int64_t> offsets; ///< by stored dimension
  /// By dimension of the view: the stored dimension and the step along it; a
  /// dimension of size 1 has step 0.
  std::vector<std::pair<unsigned, int64_t>> dims;
};

} // namespace

/// Nothing if some dimension of the view runs across stored dimensions.
static std::optional<ViewSteps> stepsOf(const ParameterOp::StridedSource &view,
                                        ArrayRef<int64_t> viewShape,
                                        ArrayRef<int64_t> stored) {
  std::vector<int64_t> strides(stored.size(), 1);
  for (size_t d = stored.size(); d-- > 1;)
    strides[d - 1] = strides[d] * stored[d];
  ViewSteps steps;
  int64_t rest = view.offset;
  for (int64_t stride : strides) {
    steps.offsets.push_back(rest / stride);
    rest %= stride;
  }
  for (auto [stride, size] : llvm::zip_equal(view.strides, viewShape)) {
    if (size == 1) {
      steps.dims.push_back({0, 0});
      continue;
    }
    auto found = llvm::find_if(strides, [&](int64_t s) {
      return s <= std::abs(stride) && stride % s == 0;
    });
    if (stride == 0 || found == strides.end())
      return std::nullopt;
    unsigned dim = found - strides.begin();
    int64_t step = stride / *found;
    int64_t last = steps.offsets[dim] + step * (size - 1);
    if (last < 0 || last >= stored[dim])
      return std::nullopt;
    steps.dims.push_back({dim, step});
  }
  return steps;
}

/// The stored indices of a device's block; nothing where it holds none.
static std::optional<IndexSets> blockIndices(const ViewSteps &steps,
                                             ArrayRef<int64_t> viewShape,
                                             ArrayRef<DimBlock> block,
                                             size_t rank) {
  IndexSets sets(rank);
  for (size_t d = 0; d < rank; ++d)
    sets[d].insert(steps.offsets[d]);
  for (auto [j, range] : llvm::enumerate(block)) {
    if (range.valid == 0)
      return std::nullopt;
    auto [dim, step] = steps.dims[j];
    if (viewShape[j] == 1)
      continue;
    std::set<int64_t> sums;
    for (int64_t base : sets[dim])
      for (int64_t i = 0; i < range.valid; ++i)
        sums.insert(base + step * (range.start + i));
    sets[dim] = std::move(sums);
  }
  return sets;
}

/// Adds `more` to `sets` where that is a part again: at most one dimension
/// differs.
static bool unite(IndexSets &sets, const IndexSets &more) {
  size_t differing = 0, dim = 0;
  for (auto [d, pair] : llvm::enumerate(llvm::zip_equal(sets, more)))
    if (std::get<0>(pair) != std::get<1>(pair)) {
      ++differing;
      dim = d;
    }
  if (differing == 1)
    sets[dim].insert(more[dim].begin(), more[dim].end());
  return differing <= 1;
}

static IndexRuns runsOf(const std::set<int64_t> &indices) {
  IndexRuns runs;
  for (int64_t index : indices) {
    auto at = static_cast<uint64_t>(index);
    if (!runs.empty() && runs.back().begin + runs.back().count == at)
      ++runs.back().count;
    else
      runs.push_back({at, 1});
  }
  return runs;
}

static bool share(const IndexRuns &a, const IndexRuns &b) {
  return llvm::any_of(a, [&](const IndexRun &x) {
    return llvm::any_of(b, [&](const IndexRun &y) {
      return x.begin < y.begin + y.count && y.begin < x.begin + x.count;
    });
  });
}

/// Whether the parts are a grid over the whole tensor: along each dimension the
/// different runs cover it without sharing an index, and every combination of
/// them is some device's.
static bool isGrid(ArrayRef<TensorPart> parts, ArrayRef<int64_t> shape) {
  std::vector<TensorPart> distinct;
  for (const TensorPart &part : parts)
    if (!part.empty() && !llvm::is_contained(distinct, part))
      distinct.push_back(part);
  uint64_t cells = 1;
  for (size_t d = 0; d < shape.size(); ++d) {
    std::vector<IndexRuns> runs;
    for (const TensorPart &part : distinct)
      if (!llvm::is_contained(runs, part[d]))
        runs.push_back(part[d]);
    uint64_t covered = 0;
    for (auto [i, a] : llvm::enumerate(runs)) {
      covered += countOf(a);
      for (const IndexRuns &b : ArrayRef(runs).drop_front(i + 1))
        if (share(a, b))
          return false;
    }
    if (covered != static_cast<uint64_t>(shape[d]))
      return false;
    cells *= runs.size();
  }
  return !distinct.empty() && cells == distinct.size();
}

namespace {

/// Collects the parts of stored tensors over all parameters.
class Splitter {
public:
  explicit Splitter(const Mesh &mesh) : mesh(mesh) {}

  void add(ParameterOp parameter);
  std::vector<tpcrt::SplitTensor> finish() const;

private:
  struct Tensor {
    SmallVector<int64_t> shape;
    std::vector<std::optional<IndexSets>> devices;
    bool isWhole = false;
  };

  void addBlock(Tensor &tensor, int64_t device, const IndexSets &sets);

  const Mesh &mesh;
  std::map<std::string, Tensor> tensors;
};

} // namespace

void Splitter::addBlock(Tensor &tensor, int64_t device, const IndexSets &sets) {
  std::optional<IndexSets> &held = tensor.devices[device];
  if (!held)
    held = sets;
  else if (!unite(*held, sets))
    tensor.isWhole = true;
}

void Splitter::add(ParameterOp parameter) {
  RankedTensorType type = parameter.getTensorType();
  ArrayRef<int64_t> stored = parameter.getStoredTensorType().getShape();
  const Sharding &sharding = getSharding(type).getValue();
  auto view = parameter.getStridedView();
  std::optional<ViewSteps> steps;
  SmallVector<int64_t> shape(type.getShape());
  int64_t stackDim = succeeded(view) ? view->second : -1;
  if (stackDim >= 0)
    shape.erase(shape.begin() + stackDim);
  if (succeeded(view))
    steps = stepsOf(view->first, shape, stored);
  for (auto [i, name] : llvm::enumerate(parameter.getStoredNames())) {
    Tensor &tensor = tensors[name.str()];
    tensor.shape = SmallVector<int64_t>(stored);
    tensor.devices.resize(mesh.numDevices());
    tensor.isWhole |= !steps;
    for (int64_t device = 0; steps && device < mesh.numDevices(); ++device) {
      SmallVector<DimBlock> block;
      for (auto [size, axes] : llvm::zip_equal(type.getShape(), sharding.dims))
        block.push_back(blockOf(size, axes, mesh, device));
      if (stackDim >= 0) {
        int64_t first = block[stackDim].start;
        if (int64_t(i) < first || int64_t(i) >= first + block[stackDim].valid)
          continue;
        block.erase(block.begin() + stackDim);
      }
      if (auto sets = blockIndices(*steps, shape, block, stored.size()))
        addBlock(tensor, device, *sets);
    }
  }
}

std::vector<tpcrt::SplitTensor> Splitter::finish() const {
  std::vector<tpcrt::SplitTensor> result;
  for (const auto &[name, tensor] : tensors) {
    tpcrt::SplitTensor split;
    split.name = name;
    for (const std::optional<IndexSets> &held : tensor.devices) {
      TensorPart &part = split.devices.emplace_back();
      for (const std::set<int64_t> &indices : held.value_or(IndexSets()))
        part.push_back(runsOf(indices));
    }
    auto isAll = [&](const TensorPart &part) {
      return part == split.devices[0];
    };
    bool isReplicated = llvm::all_of(split.devices, isAll);
    if (!tensor.isWhole && !isReplicated && isGrid(split.devices, tensor.shape))
      result.push_back(std::move(split));
  }
  return result;
}

std::vector<tpcrt::SplitTensor>
tpc::splitStoredTensors(ModuleOp module, const tpcrt::WeightSource &weights) {
  Mesh mesh = toMesh(*module.getOps<MeshOp>().begin());
  Splitter splitter(mesh);
  for (auto parameter : module.getOps<ParameterOp>())
    splitter.add(parameter);
  std::vector<tpcrt::SplitTensor> result = splitter.finish();
  llvm::erase_if(result, [&](const tpcrt::SplitTensor &tensor) {
    return !weights.find(tensor.name);
  });
  return result;
}
