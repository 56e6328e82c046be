//===- Collectives.cpp - What spmd operations do to all devices -----------===//
//
// Each operation as its definition says it, from two steps: concatenation of
// the blocks of a group, and the cut that keeps one block of it.
//
//===----------------------------------------------------------------------===//

#include "Collectives.h"
#include "Kernels.h"

using namespace mlir;
using namespace tpc;
using namespace tpc::reference;

/// part[i] = whole[i + start along dim], where that is within the whole;
/// elsewhere the part keeps its value.
static void copyBlock(const Tensor &whole, int64_t dim, int64_t start,
                      Tensor &part) {
  SmallVector<int64_t> wholeStrides = whole.strides(), strides = part.strides();
  SmallVector<int64_t> overlap = part.shape;
  overlap[dim] =
      std::clamp<int64_t>(whole.shape[dim] - start, 0, part.shape[dim]);
  forEachIndex(overlap, [&](ArrayRef<int64_t> index) {
    int64_t from = start * wholeStrides[dim], to = 0;
    for (auto [d, i] : llvm::enumerate(index)) {
      from += i * wholeStrides[d];
      to += i * strides[d];
    }
    part.data[to] = whole.data[from];
  });
}

/// The block at `position` of a tensor cut into blocks of the part's size;
/// what lies past the end is unspecified.
static Tensor cut(const Tensor &whole, int64_t dim, int64_t position,
                  ArrayRef<int64_t> partShape, bool poisoned) {
  Tensor part(partShape, whole.elementType,
              poisoned ? poison(whole.elementType) : 0);
  copyBlock(whole, dim, position * partShape[dim], part);
  return part;
}

/// The group's tensors one after the other along `dim`, cut to `size`.
static Tensor concatenated(const Devices &devices, ArrayRef<int64_t> group,
                           int64_t dim, int64_t size) {
  const Tensor &first = *devices.operands[group[0]];
  SmallVector<int64_t> shape = first.shape;
  shape[dim] = size;
  Tensor whole(shape, first.elementType);
  for (auto [position, member] : llvm::enumerate(group)) {
    // The block is the whole's part that starts at its position.
    const Tensor &block = *devices.operands[member];
    SmallVector<int64_t> strides = whole.strides();
    int64_t start = position * block.shape[dim], linear = 0;
    forEachIndex(block.shape, [&](ArrayRef<int64_t> index) {
      double value = block.data[linear++];
      if (start + index[dim] >= size)
        return;
      int64_t to = start * strides[dim];
      for (auto [d, i] : llvm::enumerate(index))
        to += i * strides[d];
      whole.data[to] = value;
    });
  }
  return whole;
}

/// The group's tensors combined in double and rounded once.
static Tensor reduced(const Devices &devices, ArrayRef<int64_t> group,
                      Reduction reduction) {
  Tensor result = *devices.operands[group[0]];
  for (int64_t member : group.drop_front())
    for (auto [sum, value] :
         llvm::zip_equal(result.data, devices.operands[member]->data))
      sum = combine(reduction, sum, value);
  roundElements(result);
  return result;
}

/// Calls `compute(group, position)` for every device, in order of devices.
template <typename Compute>
static void perDevice(Devices &devices, AxesAttr axes, Compute compute) {
  for (int64_t device = 0; device < devices.mesh.numDevices(); ++device)
    devices.results.push_back(
        compute(devices.mesh.group(device, axes.getAxes()),
                devices.mesh.coordinate(device, axes.getAxes())));
}

//===----------------------------------------------------------------------===//
// Communication
//===----------------------------------------------------------------------===//

static void allReduce(spmd::AllReduceOp op, Devices &devices) {
  perDevice(devices, op.getAxes(), [&](ArrayRef<int64_t> group, int64_t) {
    return reduced(devices, group, op.getReduction());
  });
}

static void allGather(spmd::AllGatherOp op, Devices &devices) {
  int64_t dim = op.getDim();
  perDevice(devices, op.getAxes(), [&](ArrayRef<int64_t> group, int64_t) {
    return concatenated(devices, group, dim,
                        devices.resultType.getDimSize(dim));
  });
}

static void reduceScatter(spmd::ReduceScatterOp op, Devices &devices) {
  perDevice(devices, op.getAxes(),
            [&](ArrayRef<int64_t> group, int64_t position) {
              return cut(reduced(devices, group, op.getReduction()),
                         op.getDim(), position, devices.resultType.getShape(),
                         devices.options.poisonPadding);
            });
}

static void allToAll(spmd::AllToAllOp op, Devices &devices) {
  int64_t concatDim = op.getConcatDim();
  perDevice(
      devices, op.getAxes(), [&](ArrayRef<int64_t> group, int64_t position) {
        return cut(concatenated(devices, group, concatDim,
                                devices.resultType.getDimSize(concatDim)),
                   op.getSplitDim(), position, devices.resultType.getShape(),
                   devices.options.poisonPadding);
      });
}

static void permute(spmd::PermuteOp op, Devices &devices) {
  perDevice(devices, op.getAxes(),
            [&](ArrayRef<int64_t> group, int64_t position) {
              return *devices.operands[group[op.getSources()[position]]];
            });
}

//===----------------------------------------------------------------------===//
// What depends on the device
//===----------------------------------------------------------------------===//

static Tensor scalar(const Devices &devices, double value) {
  return Tensor({}, devices.resultType.getElementType(), value);
}

static void deviceIndex(spmd::DeviceIndexOp op, Devices &devices) {
  perDevice(devices, op.getAxes(), [&](ArrayRef<int64_t>, int64_t position) {
    return scalar(devices, position);
  });
}

static void blockStart(spmd::BlockStartOp op, Devices &devices) {
  perDevice(
      devices, op.getAxes(), [&](ArrayRef<int64_t> group, int64_t position) {
        return scalar(devices, blockOf(op.getSize(), op.getAxes().getAxes(),
                                       devices.mesh, group[position])
                                   .start);
      });
}

static void slice(spmd::SliceOp op, Devices &devices) {
  perDevice(devices, op.getAxes(),
            [&](ArrayRef<int64_t> group, int64_t position) {
              return cut(*devices.operands[group[position]], op.getDim(),
                         position, devices.resultType.getShape(),
                         devices.options.poisonPadding);
            });
}

static void mask(spmd::MaskOp op, Devices &devices) {
  auto whole = cast<RankedTensorType>(op.getWhole());
  ShardingAttr sharding = getSharding(whole);
  Type element = whole.getElementType();
  double value = std::clamp(op.getValue().convertToDouble(), lowest(element),
                            highest(element));
  for (auto [device, operand] : llvm::enumerate(devices.operands)) {
    SmallVector<int64_t> valid = operand->shape;
    for (int64_t dim : op.getDims())
      valid[dim] = blockOf(whole.getDimSize(dim), sharding->dims[dim],
                           devices.mesh, device)
                       .valid;
    Tensor result = *operand;
    int64_t linear = 0;
    forEachIndex(result.shape, [&](ArrayRef<int64_t> index) {
      for (auto [i, limit] : llvm::zip_equal(index, valid))
        if (i >= limit)
          result.data[linear] = value;
      ++linear;
    });
    devices.results.push_back(std::move(result));
  }
}

static void toPartial(spmd::ToPartialOp op, Devices &devices) {
  perDevice(
      devices, op.getAxes(), [&](ArrayRef<int64_t> group, int64_t position) {
        const Tensor &value = *devices.operands[group[position]];
        return position == 0
                   ? value
                   : Tensor(value.shape, value.elementType,
                            identity(op.getReduction(), value.elementType));
      });
}

//===----------------------------------------------------------------------===//
// Table
//===----------------------------------------------------------------------===//

namespace {
using Table = llvm::StringMap<CollectiveKernel>;

template <typename OpT> void add(Table &table, void (*kernel)(OpT, Devices &)) {
  table[OpT::getOperationName()] = [kernel](Operation *op, Devices &devices) {
    kernel(cast<OpT>(op), devices);
    for (Tensor &result : devices.results)
      roundElements(result);
  };
}

Table makeTable() {
  Table table;
  add(table, allReduce);
  add(table, allGather);
  add(table, reduceScatter);
  add(table, allToAll);
  add(table, permute);
  add(table, deviceIndex);
  add(table, blockStart);
  add(table, slice);
  add(table, mask);
  add(table, toPartial);
  return table;
}
} // namespace

const CollectiveKernel *tpc::reference::findCollective(Operation *op) {
  static const Table table = makeTable();
  auto it = table.find(op->getName().getStringRef());
  return it == table.end() ? nullptr : &it->second;
}
