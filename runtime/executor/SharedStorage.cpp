#include "executor/SharedStorage.h"

#include "support/Fail.h"

using namespace tpcrt;

namespace {

template <class Table> auto range(Table &table, const std::string &name) {
  auto [begin, end] = table.equal_range(name);
  return std::ranges::subrange(begin, end);
}

bool isHeld(const std::vector<Buffer::Weak> &blocks) {
  return std::ranges::all_of(blocks, [](const Buffer::Weak &block) {
    return block.lock().size() > 0;
  });
}

/// Blocks of all devices; nothing unless every one is there.
template <class Devices, class Block>
std::optional<std::vector<Buffer::Weak>> blocksOf(const Devices &devices,
                                                  Block block) {
  std::vector<Buffer::Weak> blocks;
  for (const auto &device : devices)
    blocks.emplace_back(block(device));
  if (!isHeld(blocks))
    return std::nullopt;
  return blocks;
}

bool sameWeights(PackedWeights a, const PackedWeights &b) {
  a.ref.index = b.ref.index;
  return a.holdsSame(b) && a.desc == b.desc;
}

} // namespace

std::shared_ptr<SharedStorage> tpcrt::createSharedStorage() {
  return std::make_shared<SharedStorage>();
}

Result<void> SharedStorage::join(const Module &module) {
  if (mesh && kind != module.device)
    return fail("expected the kind of devices of the executables that it "
                "shares memory with, found another; load it without shared "
                "storage, or compile it for the same kind");
  if (mesh && *mesh != module.mesh)
    return fail("expected the mesh of the executables that it shares memory "
                "with, of {} devices, found one of {}; load it without shared "
                "storage, or compile it for the same mesh",
                mesh->numDevices(), module.mesh.numDevices());
  mesh = module.mesh;
  kind = module.device;
  return {};
}

std::vector<PackedWeights> SharedStorage::packed(const Module &module) const {
  std::vector<PackedWeights> result;
  for (size_t i = 0; i < module.parameters.size(); ++i)
    for (const auto &[name, held] :
         range(packedWeights, module.parameters[i].name))
      if (held.parameter == module.parameters[i] && isHeld(held.blocks)) {
        result.push_back(held.weights);
        result.back().ref.index = i;
      }
  return result;
}

template <class Tensor>
Buffer SharedStorage::find(const Table<Tensor> &table, const Tensor &tensor,
                           uint64_t device) {
  for (const auto &[name, held] : range(table, tensor.name))
    if (held.tensor == tensor && isHeld(held.blocks))
      return held.blocks[device].lock();
  return {};
}

void SharedStorage::take(const Module &module, uint64_t device,
                         ModelBlocks &blocks) const {
  for (size_t i = 0; i < blocks.parameters.size(); ++i)
    blocks.parameters[i] = find(parameters, module.parameters[i], device);
  for (size_t i = 0; i < blocks.states.size(); ++i)
    blocks.states[i] = find(states, module.states[i], device);
}

void SharedStorage::takePacked(const Module &module,
                               const MatmulContext &context, uint64_t device,
                               DeviceMemory &memory) const {
  for (size_t i = 0; i < memory.packed.size(); ++i) {
    const PackedWeights &wanted = context.packed[i];
    const Parameter &parameter = module.parameters[wanted.ref.index];
    for (const auto &[name, held] : range(packedWeights, parameter.name))
      if (held.parameter == parameter && sameWeights(held.weights, wanted) &&
          isHeld(held.blocks))
        memory.packed[i] = held.blocks[device].lock();
  }
}

template <class Tensor>
void SharedStorage::enter(Table<Tensor> &table, const Tensor &tensor,
                          Blocks blocks) {
  for (auto &[name, held] : range(table, tensor.name))
    if (held.tensor == tensor) {
      held.blocks = std::move(blocks);
      return;
    }
  table.insert({tensor.name, {tensor, std::move(blocks)}});
}

void SharedStorage::keep(const Module &module,
                         const std::vector<const ModelBlocks *> &devices) {
  for (size_t i = 0; i < module.parameters.size(); ++i)
    if (auto blocks = blocksOf(
            devices, [&](const ModelBlocks *m) { return m->parameters[i]; }))
      enter(parameters, module.parameters[i], std::move(*blocks));
  for (size_t i = 0; i < module.states.size(); ++i)
    if (auto blocks = blocksOf(
            devices, [&](const ModelBlocks *m) { return m->states[i]; }))
      enter(states, module.states[i], std::move(*blocks));
}

void SharedStorage::keepPacked(const Module &module,
                               const MatmulContext &context,
                               const std::deque<DeviceMemory> &devices) {
  std::erase_if(packedWeights,
                [](const auto &entry) { return !isHeld(entry.second.blocks); });
  for (size_t i = 0; i < context.packed.size(); ++i) {
    const PackedWeights &weights = context.packed[i];
    const Parameter &parameter = module.parameters[weights.ref.index];
    auto isSame = [&](const auto &entry) {
      return entry.second.parameter == parameter &&
             sameWeights(entry.second.weights, weights);
    };
    if (std::ranges::any_of(range(packedWeights, parameter.name), isSame))
      continue;
    if (auto blocks = blocksOf(
            devices, [&](const DeviceMemory &m) { return m.packed[i]; }))
      packedWeights.insert(
          {parameter.name, {parameter, weights, std::move(*blocks)}});
  }
}
