// Builds artifacts for tests. The tables are FlatBuffers' native structures, so
// that a test can start from a good artifact and break one field of it.
#ifndef TPC_TEST_UNIT_RUNTIME_TESTARTIFACT_H
#define TPC_TEST_UNIT_RUNTIME_TESTARTIFACT_H

#include "tpcrt/Runtime.h"
#include "tpcrt/artifact_generated.h"

namespace tpcrt::test {

namespace fb = tpcrt::artifact;
using FbRef = fb::BufferRef;
using FbSpace = fb::Space;
using FbType = fb::ElementType;

inline FbRef arena(uint64_t offset, uint64_t size) {
  return {FbSpace::Arena, 0, offset, size};
}

class TestArtifact {
public:
  /// Axes as {"tp", 4}; none is one device.
  explicit TestArtifact(
      std::vector<std::pair<std::string, uint32_t>> axes = {});

  fb::ProgramT &program(size_t index = 0) { return *table.programs[index]; }
  fb::ProgramT &addProgram(std::string name, uint64_t arenaBytes);
  /// `dims` says per dimension which mesh axis splits it, -1 for none.
  void addInput(std::string name, FbType type, std::vector<uint64_t> shape,
                std::vector<int> dims, FbRef buffer);
  void addOutput(std::string name, FbType type, std::vector<uint64_t> shape,
                 std::vector<int> dims, FbRef buffer);
  /// A parameter of one source, as the stored tensor of the same name lies.
  fb::ParameterT &addParameter(std::string name, FbType type,
                               std::vector<uint64_t> shape,
                               std::vector<int> dims);
  void addState(std::string name, FbType type, std::vector<uint64_t> shape,
                std::vector<int> dims);
  void addConstant(const void *data, size_t size);
  /// Adds the image of TestKernels.c; `name` is one of its functions.
  void addKernelStep(std::string name, std::vector<FbRef> buffers,
                     uint32_t inputs, uint64_t tiles);
  fb::CollectiveStepT &addCollective(fb::CollectiveKind kind,
                                     std::vector<uint32_t> axes, FbRef src,
                                     FbRef dst, uint64_t count);
  /// [m, k] x [k, n], dense.
  fb::MatmulStepT &addMatmul(FbRef a, FbRef b, FbRef c, uint64_t m, uint64_t k,
                             uint64_t n, FbType type = FbType::F32);
  /// Two rows of three elements with two choices each between four matrices of
  /// five columns, f32.
  fb::GroupedMatmulStepT &addGroupedMatmul(FbRef rows, FbRef choices,
                                           FbRef weights, FbRef result);
  /// Two queries and three keys of four elements, one head, f32, causal.
  fb::AttentionStepT &addAttention(FbRef query, FbRef key, FbRef value,
                                   FbRef result);
  fb::StepT &addStep(std::string name);

  fb::PlacementT placement(const std::vector<int> &dims) const;
  std::vector<uint8_t> payload() const;
  ArtifactBytes bytes() const;

  fb::ArtifactT table;
};

/// Loads an artifact that the test takes to be good.
std::unique_ptr<Executable> load(const TestArtifact &artifact,
                                 WeightSource weights = {},
                                 LoadOptions options = {});

HostTensor tensorF32(std::vector<uint64_t> shape, std::vector<float> values);
std::vector<float> valuesF32(const HostTensor &tensor);

/// Two devices add x and y, each half of it, and sum over all elements' halves:
/// a small program of every kind of step but matmul.
TestArtifact smallArtifact();

} // namespace tpcrt::test

#endif // TPC_TEST_UNIT_RUNTIME_TESTARTIFACT_H
