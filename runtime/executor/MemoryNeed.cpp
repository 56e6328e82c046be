#include "executor/MemoryNeed.h"

#include "support/Fail.h"
#include "support/SizeMath.h"

#include <algorithm>

using namespace tpcrt;

namespace {

uint64_t sum(uint64_t a, uint64_t b) {
  return checkedAdd(a, b).value_or(UINT64_MAX);
}
uint64_t product(uint64_t a, uint64_t b) {
  return checkedMul(a, b).value_or(UINT64_MAX);
}

std::string bytesText(uint64_t bytes) {
  constexpr double kib = 1024;
  double value = double(bytes);
  for (const char *unit : {"bytes", "KiB", "MiB", "GiB"}) {
    if (value < kib)
      return fmt::format("{:.{}f} {}", value, unit[0] == 'b' ? 0 : 1, unit);
    value /= kib;
  }
  return fmt::format("{:.1f} TiB", value);
}

} // namespace

uint64_t MemoryNeed::total() const {
  uint64_t result = 0;
  for (uint64_t part : {weights, states, values, loading, outputs})
    result = sum(result, part);
  return result;
}

DeviceStatistics tpcrt::deviceNeed(const Module &module,
                                   const std::vector<LoadedProgram> &programs,
                                   const MatmulContext &matmuls,
                                   const std::vector<bool> &keepUnpacked) {
  DeviceStatistics need;
  for (size_t i = 0; i < module.parameters.size(); ++i)
    if (keepUnpacked[i])
      need.weightBytes =
          sum(need.weightBytes, module.parameters[i].blockBytes());
  for (const PackedWeights &packed : matmuls.packed)
    need.packedBytes = sum(need.packedBytes, packed.bytes());
  for (const State &state : module.states)
    need.stateBytes = sum(need.stateBytes, state.blockBytes());
  for (const LoadedProgram &program : programs) {
    need.arenaBytes = std::max(need.arenaBytes, program.program->arenaBytes);
    need.scratchBytes = std::max(need.scratchBytes, program.scratchBytes());
  }
  return need;
}

MemoryNeed tpcrt::memoryNeed(const Module &module,
                             const std::vector<LoadedProgram> &programs,
                             const DeviceStatistics &device,
                             const std::vector<bool> &keepUnpacked,
                             uint64_t loaders, uint64_t devices) {
  MemoryNeed need;
  need.devices = devices;
  uint64_t largestDropped = 0;
  for (size_t i = 0; i < module.parameters.size(); ++i)
    if (!keepUnpacked[i])
      largestDropped =
          std::max(largestDropped, module.parameters[i].blockBytes());
  for (const LoadedProgram &program : programs) {
    uint64_t outputs = 0;
    for (const Port &port : program.program->outputs)
      outputs =
          sum(outputs, checkedBytes(port.shape, byteSize(port.type)).value());
    need.outputs = std::max(need.outputs, outputs);
  }
  need.weights =
      product(sum(device.weightBytes, device.packedBytes), need.devices);
  need.states = product(device.stateBytes, need.devices);
  need.values =
      product(sum(device.arenaBytes, device.scratchBytes), need.devices);
  for (std::span<const std::byte> constant : module.constants)
    need.values = sum(need.values, constant.size());
  need.loading = product(largestDropped, loaders);
  return need;
}

Result<void> tpcrt::checkMemory(const MemoryNeed &need,
                                std::optional<uint64_t> available) {
  if (!available || need.total() <= *available)
    return {};
  return fail(
      "expected {} of memory for {} device{}, found {} available; {} "
      "weights, {} states, {} values of a run, {} outputs, {} while "
      "weights are packed: run it where more memory is free, or compile "
      "it for smaller inputs, a narrower type, or a mesh that splits "
      "what is replicated now",
      bytesText(need.total()), need.devices, need.devices == 1 ? "" : "s",
      bytesText(*available), bytesText(need.weights), bytesText(need.states),
      bytesText(need.values), bytesText(need.outputs), bytesText(need.loading));
}
