#include "executor/cuda/CudaDevice.h"

#include <algorithm>

using namespace tpcrt;

CUdeviceptr CudaDevice::resolve(const BufferRef &ref) const {
  auto at = [&](const Buffer &buffer) {
    return deviceAddress(buffer) + ref.offset;
  };
  switch (ref.space) {
  case Space::Arena:
    return at(arena);
  case Space::Parameter:
    return at(parameters[ref.index]);
  case Space::State:
    return at(states[ref.index]);
  case Space::Constant:
    return at((*constants)[ref.index]);
  case Space::DeviceScalar:
    return at(scalars) + ref.index * sizeof(int64_t);
  }
  return 0;
}

Result<std::shared_ptr<const SharedConstants>>
tpcrt::copyConstants(const Module &module, const std::shared_ptr<Gpu> &gpu) {
  auto constants = std::make_shared<SharedConstants>();
  TPCRT_ASSIGN(GpuScope scope, GpuScope::enter(*gpu));
  for (std::span<const std::byte> bytes : module.constants) {
    TPCRT_ASSIGN(Buffer buffer, gpu->allocate(bytes.size(), "a constant"));
    if (!bytes.empty())
      TPCRT_TRY(TPCRT_CU(gpu->driver(), cuMemcpyHtoD, deviceAddress(buffer),
                         bytes.data(), bytes.size()));
    constants->push_back(std::move(buffer));
  }
  return constants;
}

BlockMemory::BlockMemory(const Module &module, StreamCommunicator *communicator)
    : communicator(communicator) {
  exchanged.insert({Space::Arena, 0});
  for (const Program &program : module.programs)
    for (const Step &step : program.steps)
      if (auto *collective = std::get_if<CollectiveStep>(&step.body))
        for (const BufferRef &ref : {collective->src, collective->dst})
          exchanged.insert({ref.space, ref.index});
}

Result<Buffer> BlockMemory::allocate(const CudaDevice &device, Space space,
                                     size_t index, uint64_t bytes,
                                     std::string_view what) const {
  return communicator && exchanged.count({space, index})
             ? communicator->allocate(device.index, bytes, what)
             : device.gpu->allocate(bytes, what);
}

Result<void> tpcrt::allocateDevice(const Module &module, CudaDevice &device,
                                   const BlockMemory &memory,
                                   uint64_t workspaceBytes) {
  Gpu &gpu = *device.gpu;
  uint64_t arenaBytes = 0;
  for (const Program &program : module.programs)
    arenaBytes = std::max(arenaBytes, program.arenaBytes);
  TPCRT_ASSIGN(device.arena, memory.allocate(device, Space::Arena, 0,
                                             arenaBytes, "the arena"));
  TPCRT_ASSIGN(device.workspace,
               gpu.allocate(workspaceBytes, "the libraries' workspace"));

  TPCRT_ASSIGN(GpuScope scope, GpuScope::enter(gpu));
  for (size_t i = 0; i < device.states.size(); ++i)
    if (Buffer &state = device.states[i]; state.size() == 0) {
      const State &tensor = module.states[i];
      TPCRT_ASSIGN(state,
                   memory.allocate(device, Space::State, i, tensor.blockBytes(),
                                   fmt::format("state '{}'", tensor.name)));
      if (state.size() > 0)
        TPCRT_TRY(TPCRT_CU(gpu.driver(), cuMemsetD8Async, deviceAddress(state),
                           0, state.size(), device.stream.get()));
    }
  std::vector<int64_t> scalars;
  for (const std::vector<int64_t> &values : module.deviceScalars)
    scalars.push_back(values[device.number]);
  uint64_t scalarBytes = scalars.size() * sizeof(int64_t);
  TPCRT_ASSIGN(device.scalars, gpu.allocate(scalarBytes, "device scalars"));
  if (scalarBytes > 0)
    TPCRT_TRY(TPCRT_CU(gpu.driver(), cuMemcpyHtoD,
                       deviceAddress(device.scalars), scalars.data(),
                       scalarBytes));
  return {};
}
