//===- TensorIO.cpp - Tensors in and out of tpc-eval ----------------------===//

#include "TensorIO.h"
#include "mlir/AsmParser/AsmParser.h"
#include "tpc/Reference/HostTensors.h"
#include "tpcrt/Npy.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/WithColor.h"

using namespace mlir;
using tpc::reference::Tensor;
using tpcrt::HostTensor;

static LogicalResult error(const Twine &message) {
  llvm::WithColor::error() << message << '\n';
  return failure();
}

//===----------------------------------------------------------------------===//
// Files
//===----------------------------------------------------------------------===//

FailureOr<Tensor> readTensor(StringRef text, MLIRContext &context) {
  if (text.ends_with(".npy")) {
    auto host = tpcrt::readNpy(text.str());
    if (!host)
      return error(host.error().message);
    return tpc::reference::fromHost(*host, &context);
  }
  auto dense =
      dyn_cast_or_null<DenseElementsAttr>(parseAttribute(text, &context));
  if (!dense || !isa<RankedTensorType>(dense.getType()))
    return error("expected FILE.npy or a tensor like 'dense<[1, 2]> : "
                 "tensor<2xi32>', found '" +
                 text + "'");
  return tpc::reference::fromAttribute(dense);
}

LogicalResult writeTensors(StringRef dir, ArrayRef<std::string> names,
                           ArrayRef<Tensor> tensors) {
  if (std::error_code code = llvm::sys::fs::create_directories(dir))
    return error("cannot make directory " + dir + ": " + code.message());
  std::vector<HostTensor> hosts;
  for (const Tensor &tensor : tensors)
    hosts.push_back(tpc::reference::toHost(tensor));
  std::vector<tpcrt::NpyOutput> outputs;
  for (auto [name, host] : llvm::zip_equal(names, hosts)) {
    SmallString<128> path(dir);
    llvm::sys::path::append(path, name + ".npy");
    outputs.push_back({path.str().str(), &host});
  }
  if (auto written = tpcrt::writeNpyFiles(outputs); !written)
    return error(written.error().message);
  return success();
}
