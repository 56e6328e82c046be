// Artifacts for GPUs out of those for CPUs: the same steps, whose kernels are
// host functions that the fake driver runs.
#ifndef TPC_TEST_UNIT_CUDA_CUDAARTIFACT_H
#define TPC_TEST_UNIT_CUDA_CUDAARTIFACT_H

#include "../Runtime/TestArtifact.h"
#include "FakeDriver.h"

#include <gtest/gtest.h>

namespace tpcrt::test {

/// `artifact` for GPUs of `isa`, with one thread in each block.
TestArtifact onGpus(TestArtifact artifact, std::string isa = "sm_80");

/// A fake machine whose libraries the runtime takes. At the end of a test
/// nothing must have been misused, nor be alive.
class CudaTest : public testing::Test {
protected:
  void SetUp() override { start(); }
  void TearDown() override;

  /// A new machine.
  fake::Machine &start(fake::Settings settings = {});
  /// Expects that the machine was used well and that everything is released.
  void expectClean();
};

} // namespace tpcrt::test

#endif // TPC_TEST_UNIT_CUDA_CUDAARTIFACT_H
