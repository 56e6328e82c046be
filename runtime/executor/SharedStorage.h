// What executables of one model share, so that each weight is in memory once.
#ifndef TPCRT_EXECUTOR_SHAREDSTORAGE_H
#define TPCRT_EXECUTOR_SHAREDSTORAGE_H

#include "device/cpu/Matmul.h"
#include "tpcrt/Runtime.h"

#include <deque>
#include <unordered_map>

namespace tpcrt {

/// Finds blocks that an executable has in memory again for the next one. It
/// owns none: what no executable holds any more is freed.
class SharedStorage {
public:
  /// An error if executables with another mesh, or on devices of another kind,
  /// use this storage.
  Result<void> join(const Module &module);

  /// Weights of the module's parameters that are packed.
  std::vector<PackedWeights> packed(const Module &module) const;

  /// Hands out the blocks that are there for the device, the number of those of
  /// this process.
  void take(const Module &module, uint64_t device, ModelBlocks &blocks) const;
  /// The same of packed weights; memory.packed is of the size of
  /// context.packed.
  void takePacked(const Module &module, const MatmulContext &context,
                  uint64_t device, DeviceMemory &memory) const;

  /// Enters what the devices of an executable hold.
  void keep(const Module &module,
            const std::vector<const ModelBlocks *> &devices);
  void keepPacked(const Module &module, const MatmulContext &context,
                  const std::deque<DeviceMemory> &devices);

private:
  using Blocks = std::vector<Buffer::Weak>; // by device

  template <class Tensor> struct Held {
    Tensor tensor;
    Blocks blocks;
  };
  /// By name; tensors of one name may have several shapes or placements.
  template <class Tensor>
  using Table = std::unordered_multimap<std::string, Held<Tensor>>;
  struct HeldPacked {
    Parameter parameter;
    PackedWeights weights; // but for ref.index
    Blocks blocks;
  };

  template <class Tensor>
  static Buffer find(const Table<Tensor> &table, const Tensor &tensor,
                     uint64_t device);
  template <class Tensor>
  static void enter(Table<Tensor> &table, const Tensor &tensor, Blocks blocks);

  std::optional<Mesh> mesh;
  DeviceKind kind = DeviceKind::Cpu;
  Table<Parameter> parameters;
  Table<State> states;
  std::unordered_multimap<std::string, HeldPacked> packedWeights;
};

} // namespace tpcrt

#endif // TPCRT_EXECUTOR_SHAREDSTORAGE_H
