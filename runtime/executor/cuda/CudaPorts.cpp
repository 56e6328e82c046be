#include "executor/cuda/CudaPorts.h"

using namespace tpcrt;

namespace {

/// Where a piece of so many bytes begins in staging memory of `size` bytes.
uint64_t placeBehind(uint64_t &size, uint64_t bytes) {
  constexpr uint64_t boundary = 256;
  uint64_t place = size;
  size += (bytes + boundary - 1) / boundary * boundary;
  return place;
}

} // namespace

Result<CudaPorts> CudaPorts::create(const Module &module,
                                    const Program &program,
                                    const std::deque<CudaDevice> &devices,
                                    const DeviceDivision &division,
                                    StreamCommunicator *communicator) {
  CudaPorts ports(devices, communicator);
  ports.bound.resize(devices.size());
  std::vector<uint64_t> sizes(devices.size());
  for (size_t d = 0; d < devices.size(); ++d)
    for (size_t i = 0; i < program.inputs.size(); ++i) {
      const Port &port = program.inputs[i];
      uint64_t bytes = port.blockBytes();
      ports.bound[d].inputs.push_back({i,
                                       devices[d].resolve(port.buffer),
                                       bytes,
                                       placeBehind(sizes[d], bytes),
                                       {}});
    }
  for (size_t i = 0; i < program.outputs.size(); ++i) {
    const Port &port = program.outputs[i];
    uint64_t bytes = port.blockBytes();
    WholeGather gather = WholeGather::plan(port, module.mesh, division);
    std::vector<StreamCommunicator::Buffers> buffers;
    for (size_t d = 0; d < devices.size(); ++d) {
      CUdeviceptr block = devices[d].resolve(port.buffer);
      if (gather.holds(devices[d].number))
        ports.bound[d].outputs.push_back(
            {i, block, bytes, placeBehind(sizes[d], bytes), {}});
      if (!gather.operation)
        continue;
      uint64_t all = bytes * gather.holders.size();
      TPCRT_ASSIGN(Buffer whole, devices[d].gpu->allocate(all, port.name));
      buffers.push_back({block, deviceAddress(whole)});
      if (d == 0)
        ports.bound[d].outputs.push_back(
            {i, deviceAddress(whole), all, placeBehind(sizes[d], all), {}});
      ports.gathered.push_back(std::move(whole));
    }
    if (gather.operation) {
      TPCRT_ASSIGN(uint32_t number,
                   communicator->add(*gather.operation, buffers));
      ports.gathers.push_back(number);
    }
  }
  for (size_t d = 0; d < devices.size(); ++d) {
    Device &device = ports.bound[d];
    TPCRT_ASSIGN(device.staging, devices[d].gpu->allocatePinned(
                                     sizes[d], "inputs and outputs"));
    for (Piece &piece : device.inputs)
      piece.blocks.emplace_back(program.inputs[piece.port], module.mesh,
                                devices[d].number,
                                device.staging.data() + piece.staging);
    for (Piece &piece : device.outputs) {
      const Port &port = program.outputs[piece.port];
      WholeGather gather = WholeGather::plan(port, module.mesh, division);
      std::vector<uint64_t> holders =
          gather.operation ? gather.holders
                           : std::vector<uint64_t>{devices[d].number};
      for (size_t h = 0; h < holders.size(); ++h)
        piece.blocks.emplace_back(port, module.mesh, holders[h],
                                  device.staging.data() + piece.staging +
                                      h * port.blockBytes());
    }
  }
  return ports;
}

Result<void> CudaPorts::copyIn(const std::vector<HostTensor> &inputs) {
  for (size_t d = 0; d < bound.size(); ++d) {
    const Gpu &gpu = *(*devices)[d].gpu;
    TPCRT_ASSIGN(GpuScope scope, GpuScope::enter(gpu));
    for (const Piece &piece : bound[d].inputs) {
      piece.blocks[0].scatter(inputs[piece.port].data());
      if (piece.bytes > 0)
        TPCRT_TRY(TPCRT_CU(gpu.driver(), cuMemcpyHtoDAsync, piece.address,
                           bound[d].staging.data() + piece.staging, piece.bytes,
                           (*devices)[d].stream.get()));
    }
  }
  return {};
}

Result<void> CudaPorts::enqueueGathers() {
  for (uint32_t number : gathers)
    TPCRT_TRY(communicator->enqueue(number));
  return {};
}

Result<void> CudaPorts::startCopyingOut() {
  for (size_t d = 0; d < bound.size(); ++d) {
    const Gpu &gpu = *(*devices)[d].gpu;
    TPCRT_ASSIGN(GpuScope scope, GpuScope::enter(gpu));
    for (const Piece &piece : bound[d].outputs)
      if (piece.bytes > 0)
        TPCRT_TRY(TPCRT_CU(gpu.driver(), cuMemcpyDtoHAsync,
                           bound[d].staging.data() + piece.staging,
                           piece.address, piece.bytes,
                           (*devices)[d].stream.get()));
  }
  return {};
}

void CudaPorts::gather(std::vector<HostTensor> &outputs) const {
  for (const Device &device : bound)
    for (const Piece &piece : device.outputs)
      for (const BlockTransfer &block : piece.blocks)
        block.gather(outputs[piece.port].data());
}
