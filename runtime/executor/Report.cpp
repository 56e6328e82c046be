// Programs and statistics as JSON.
#include "support/JsonText.h"
#include "tpcrt/Runtime.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

using namespace tpcrt;

std::string tpcrt::toJson(const ProgramInfo &program) {
  return fmt::format(
      R"({{"name": {}, "kernel_steps": {}, "matmul_steps": {}, )"
      R"("attention_steps": {}, "collective_steps": {}, "collective_bytes": {}}})",
      jsonText(program.name), program.kernelSteps, program.matmulSteps,
      program.attentionSteps, program.collectiveSteps, program.collectiveBytes);
}

std::string tpcrt::toJson(const Statistics &statistics) {
  std::vector<std::string> devices;
  for (const DeviceStatistics &device : statistics.devices)
    devices.push_back(fmt::format(
        R"({{"weight_bytes": {}, "packed_bytes": {}, "state_bytes": {}, )"
        R"("arena_bytes": {}, "scratch_bytes": {}, "shared_bytes": {}, "load_bytes": {}, )"
        R"("load_pages": {}}})",
        device.weightBytes, device.packedBytes, device.stateBytes,
        device.arenaBytes, device.scratchBytes, device.sharedBytes,
        device.loadBytes, device.loadPages));
  return fmt::format(
      R"({{"kernel_isa": {}, "collective_memory": {}, "workers": {}, )"
      R"("threads_per_worker": {}, )"
      R"("constant_bytes": {}, "load_ms": {:.3f}, "last_run_ms": {:.3f}, )"
      R"("devices": [{}]}})",
      jsonText(statistics.kernelIsa), jsonText(statistics.collectiveMemory),
      statistics.workers, statistics.threadsPerWorker, statistics.constantBytes,
      statistics.loadMs, statistics.lastRunMs, fmt::join(devices, ", "));
}
