// A compiled module as the runtime works with it: the artifact's tables as
// plain structures (see runtime/schema/artifact.fbs for their meaning). What
// loadModule returns has been checked: every index, offset, size, stride and
// placement in it is in range, and every product of sizes fits.
#ifndef TPCRT_ARTIFACT_MODULE_H
#define TPCRT_ARTIFACT_MODULE_H

#include "artifact/Activation.h"
#include "tpcrt/Artifact.h"
#include "tpcrt/ElementType.h"
#include "tpcrt/Placement.h"

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

namespace tpcrt {

enum class Space : uint8_t { Arena, Parameter, State, Constant, DeviceScalar };

struct BufferRef {
  Space space = Space::Arena;
  uint32_t index = 0;
  uint64_t offset = 0;
  uint64_t size = 0;

  friend bool operator==(const BufferRef &, const BufferRef &) = default;
};

/// What parameters, states, inputs and outputs have in common.
struct PlacedTensor {
  std::string name;
  ElementType type = ElementType::F32;
  std::vector<uint64_t> shape; // whole
  Placement placement;

  std::vector<uint64_t> blockShape() const {
    std::vector<uint64_t> result;
    for (size_t d = 0; d < shape.size(); ++d)
      result.push_back(blockSize(shape[d], placement[d]));
    return result;
  }
  /// Bytes of a device's block.
  uint64_t blockBytes() const {
    uint64_t bytes = byteSize(type);
    for (uint64_t size : blockShape())
      bytes *= size;
    return bytes;
  }

  friend bool operator==(const PlacedTensor &, const PlacedTensor &) = default;
};

struct StridedSource {
  std::string tensor;
  std::vector<uint64_t> storedShape;
  uint64_t offset = 0;
  std::vector<int64_t> strides;

  friend bool operator==(const StridedSource &,
                         const StridedSource &) = default;
};

struct Parameter : PlacedTensor {
  ElementType storedType = ElementType::F32;
  int32_t stackDim = -1;
  std::vector<StridedSource> sources;

  friend bool operator==(const Parameter &, const Parameter &) = default;
};

struct State : PlacedTensor {};

struct Port : PlacedTensor {
  BufferRef buffer;
};

struct KernelStep {
  uint32_t kernel = 0;
  std::vector<BufferRef> buffers;
  uint32_t inputs = 0;
  uint64_t tiles = 0;
  uint32_t threads = 0;                 // of a block; Cuda only
  std::vector<ElementType> outputTypes; // of the buffers that it writes
};

struct MatmulBatchDim {
  uint64_t size = 0;
  int64_t aStride = 0;
  int64_t bStride = 0;
  int64_t cStride = 0;
};

/// What a matmul makes of its sums before it rounds them, once:
///   c = activation(sum + bias[n])
/// bias is contiguous, has c's type and does not overlap it.
struct MatmulEpilogue {
  std::optional<BufferRef> bias;
  Activation activation = Activation::None;

  bool empty() const { return !bias && activation == Activation::None; }
};

struct MatmulStep {
  BufferRef a, b, c;
  ElementType aType = ElementType::F32;
  ElementType bType = ElementType::F32;
  ElementType cType = ElementType::F32;
  std::vector<MatmulBatchDim> batch;
  uint64_t m = 0, n = 0, k = 0;
  int64_t aMStride = 0, aKStride = 0;
  int64_t bKStride = 0, bNStride = 0;
  int64_t cMStride = 0, cNStride = 0;
  bool packB = false;
  MatmulEpilogue epilogue;
  std::optional<KernelStep> generated; // Cuda only
};

/// Rows [n, d], or [n, c, d] if `rowPerChoice`; choices [n, c]; weights
/// [e, d, f] with strides in elements; result [n, c, f].
struct GroupedMatmulStep {
  BufferRef rows, choices, weights, result;
  ElementType type = ElementType::F32; // of rows, weights and result
  ElementType choiceType = ElementType::I64;
  uint64_t n = 0, c = 0, e = 0, d = 0, f = 0;
  bool rowPerChoice = false;
  int64_t eStride = 0, dStride = 0, fStride = 0;
  bool pack = false;
  std::optional<KernelStep> generated; // Cuda only
};

/// `attention` of docs/reference/tpc.md:
///   query [b, s, k, g, d], key [b, t, k, d], value [b, t, k, v],
///   result [b, s, k, g, v], bias [b, k, g, s, t], lengths [b], offset [b],
///   sinks [k, g]
/// Strides in elements, one per dimension but the last, which is contiguous
/// (bias: one per dimension); 0 where an operand has one element for all.
struct AttentionStep {
  BufferRef query, key, value, result;
  std::optional<BufferRef> bias, lengths, offset, sinks;
  ElementType type = ElementType::F32; // of query, key, value and result
  ElementType biasType = ElementType::F32;
  ElementType lengthsType = ElementType::I64;
  ElementType offsetType = ElementType::I64;
  ElementType sinksType = ElementType::F32;
  uint64_t b = 0, s = 0, t = 0, k = 0, g = 0, d = 0, v = 0;
  std::array<int64_t, 4> queryStrides{}, resultStrides{};
  std::array<int64_t, 3> keyStrides{}, valueStrides{};
  std::array<int64_t, 5> biasStrides{};
  int64_t offsetStride = 0;
  double scale = 1;
  bool causal = false;
  std::optional<uint64_t> window;
  std::optional<double> softcap;
  std::optional<KernelStep> generated; // Cuda only
};

enum class CollectiveKind : uint8_t {
  AllReduce,
  AllGather,
  ReduceScatter,
  AllToAll,
  Permute
};
enum class Reduction : uint8_t { Sum, Max, Min };

struct CollectiveStep {
  CollectiveKind kind = CollectiveKind::AllReduce;
  Reduction reduction = Reduction::Sum;
  ElementType type = ElementType::F32;
  std::vector<AxisPart> axes;
  BufferRef src, dst;
  uint64_t count = 0;
  std::vector<uint32_t> sources;
  std::string origin;
  uint64_t bytes = 0;
  bool oneLaunch = false;
};

using StepBody = std::variant<KernelStep, MatmulStep, GroupedMatmulStep,
                              AttentionStep, CollectiveStep>;

struct Step {
  StepBody body;
  std::string name;
  std::string location;
};

struct Program {
  std::string name;
  uint64_t arenaBytes = 0;
  std::vector<Port> inputs;
  std::vector<Port> outputs;
  std::vector<Step> steps;
};

enum class DeviceKind : uint8_t { Cpu, Cuda };

struct KernelImage {
  std::string isa;
  std::span<const std::byte> bytes;
};

struct Module {
  ArtifactBytes bytes; // keeps the spans below alive
  /// The same for artifacts that are the same.
  std::string fingerprint;
  std::string producer;
  DeviceKind device = DeviceKind::Cpu;
  Mesh mesh;
  std::vector<Parameter> parameters;
  std::vector<State> states;
  std::vector<std::span<const std::byte>> constants;
  std::vector<std::vector<int64_t>> deviceScalars; // [scalar][device]
  std::vector<std::string> kernels;
  std::vector<KernelImage> images;
  std::vector<Program> programs;
};

/// The number of members of a collective over `axes`.
inline uint64_t groupSize(const std::vector<AxisPart> &axes) {
  uint64_t size = 1;
  for (const AxisPart &part : axes)
    size *= part.size;
  return size;
}

/// The members' src and dst of a collective of `kind` hold this many times
/// `count` elements.
inline uint64_t srcMultiple(CollectiveKind kind, uint64_t members) {
  return kind == CollectiveKind::ReduceScatter ||
                 kind == CollectiveKind::AllToAll
             ? members
             : 1;
}
inline uint64_t dstMultiple(CollectiveKind kind, uint64_t members) {
  return kind == CollectiveKind::AllGather || kind == CollectiveKind::AllToAll
             ? members
             : 1;
}

/// "all_reduce", ...
std::string_view collectiveName(CollectiveKind kind);
/// "gelu_erf", ...; empty for none.
std::string_view activationName(Activation activation);

/// Reads, decodes and checks an artifact.
Result<Module> loadModule(ArtifactBytes bytes);

/// The phases of loadModule.
Result<std::span<const std::byte>> openContainer(const ArtifactBytes &bytes);
Result<Module> decodePayload(std::span<const std::byte> payload);
Result<void> checkModule(const Module &module);
Result<void> checkProgram(const Module &module, const Program &program);

} // namespace tpcrt

#endif // TPCRT_ARTIFACT_MODULE_H
