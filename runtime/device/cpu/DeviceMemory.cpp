#include "device/cpu/DeviceMemory.h"

#include "support/Fail.h"

#include <cstring>

using namespace tpcrt;

Result<SharedConstants> tpcrt::copyConstants(const Module &module) {
  SharedConstants constants;
  for (std::span<const std::byte> bytes : module.constants) {
    TPCRT_ASSIGN(Buffer buffer, Buffer::allocate(bytes.size(), "a constant"));
    if (!bytes.empty())
      std::memcpy(buffer.data(), bytes.data(), bytes.size());
    constants.push_back(std::move(buffer));
  }
  return constants;
}

DeviceMemory::DeviceMemory(const Module &module, uint64_t device)
    : ModelBlocks(module) {
  for (const std::vector<int64_t> &values : module.deviceScalars)
    scalars.push_back(values[device]);
}

Result<void> DeviceMemory::allocateStates(const Module &module) {
  for (size_t i = 0; i < states.size(); ++i)
    if (states[i].size() == 0) {
      const State &state = module.states[i];
      TPCRT_ASSIGN(states[i],
                   Buffer::allocate(state.blockBytes(),
                                    fmt::format("state '{}'", state.name)));
    }
  return {};
}

void *DeviceMemory::resolve(const BufferRef &ref,
                            const SharedConstants &constants) {
  switch (ref.space) {
  case Space::Arena:
    return arena.data() + ref.offset;
  case Space::Parameter:
    return parameters[ref.index].data() + ref.offset;
  case Space::State:
    return states[ref.index].data() + ref.offset;
  case Space::Constant:
    return constants[ref.index].data() + ref.offset;
  case Space::DeviceScalar:
    return reinterpret_cast<std::byte *>(&scalars[ref.index]) + ref.offset;
  }
  return nullptr;
}
