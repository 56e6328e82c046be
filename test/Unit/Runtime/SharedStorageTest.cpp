// Executables of one model hold each weight and state once.
#include "TestArtifact.h"
#include "TestFiles.h"

#include <gtest/gtest.h>
#include <numeric>

using namespace tpcrt;
using namespace tpcrt::test;
using Values = std::vector<float>;

namespace {

constexpr uint64_t kSize = 96; // large enough for oneDNN to pack the weights

/// y = x w with `rows` rows, and a state s += 0 beside it, on `devices` devices
/// of which each holds columns of w if it is split.
TestArtifact product(uint64_t rows, uint32_t devices, bool split,
                     uint64_t stateSize = 10) {
  TestArtifact artifact({{"tp", devices}});
  uint64_t columns = split ? kSize / devices : kSize;
  uint64_t x = rows * kSize * 4, y = rows * columns * 4;
  artifact.addProgram("main", x + y);
  artifact.addInput("x", FbType::F32, {rows, kSize}, {-1, -1}, arena(0, x));
  artifact.addOutput("y", FbType::F32, {rows, kSize}, {-1, split ? 0 : -1},
                     arena(x, y));
  artifact.addParameter("w", FbType::F32, {kSize, kSize}, {-1, split ? 0 : -1});
  artifact.addState("s", FbType::F32, {stateSize}, {-1});
  artifact
      .addMatmul(arena(0, x), {FbSpace::Parameter, 0, 0, kSize * columns * 4},
                 arena(x, y), rows, kSize, columns)
      .pack_b = true;
  return artifact;
}

class SharedStorageTest : public testing::Test {
protected:
  SharedStorageTest() : weights(kSize * kSize) {
    for (size_t i = 0; i < weights.size(); ++i)
      weights[i] = float(i % 17) - 8;
    writeBytes(folder.file("w.safetensors"),
               safetensors({{"w", {kSize, kSize}, weights}}));
    source = *WeightSource::open(folder.file("w.safetensors"));
    options.storage = createSharedStorage();
  }

  std::unique_ptr<Executable> loadShared(const TestArtifact &artifact) {
    return load(artifact, source, options);
  }

  /// What a run gives for ones, against a plain sum.
  void expectRight(Executable &executable, uint64_t rows) {
    auto outputs = executable.run(
        "main", {tensorF32({rows, kSize}, Values(rows * kSize, 1))});
    ASSERT_TRUE(outputs) << outputs.error().message;
    Values found = valuesF32((*outputs)[0]);
    for (uint64_t i = 0; i < found.size(); ++i) {
      float expected = 0;
      for (uint64_t k = 0; k < kSize; ++k)
        expected += weights[k * kSize + i % kSize];
      ASSERT_EQ(found[i], expected) << i;
    }
  }

  TemporaryFolder folder;
  Values weights;
  WeightSource source;
  LoadOptions options;
};

uint64_t weightBytes(const Executable &executable) {
  DeviceStatistics device = executable.statistics().devices[0];
  return device.weightBytes + device.packedBytes;
}

TEST_F(SharedStorageTest, WeightsAreLoadedOnce) {
  for (bool split : {false, true}) {
    options.storage = createSharedStorage();
    auto first = loadShared(product(5, 2, split));
    auto second = loadShared(product(70, 2, split, 20));
    DeviceStatistics device = second->statistics().devices[1];
    EXPECT_EQ(first->statistics().devices[1].sharedBytes, 0u);
    EXPECT_EQ(device.sharedBytes, weightBytes(*first));
    EXPECT_EQ(device.loadBytes, 0u);
    expectRight(*second, 70);
    // What is shared lives as long as one of them.
    first.reset();
    expectRight(*second, 70);
    auto third = loadShared(product(1, 2, split));
    EXPECT_EQ(third->statistics().devices[0].sharedBytes, weightBytes(*second));
    second.reset();
    expectRight(*third, 1);
    third.reset();
    auto fourth = loadShared(product(1, 2, split));
    EXPECT_EQ(fourth->statistics().devices[0].sharedBytes, 0u);
    expectRight(*fourth, 1);
  }
}

TEST_F(SharedStorageTest, OtherPlacementsAreOtherBlocks) {
  auto whole = loadShared(product(5, 2, false));
  auto split = loadShared(product(5, 2, true, 20));
  EXPECT_EQ(split->statistics().devices[0].sharedBytes, 0u);
  expectRight(*whole, 5);
  expectRight(*split, 5);
}

TEST_F(SharedStorageTest, StatesAreSharedIfTheyAreTheSame) {
  auto first = loadShared(product(5, 1, false));
  Values values(10);
  std::iota(values.begin(), values.end(), 1);
  ASSERT_TRUE(first->writeState("s", tensorF32({10}, values)));
  auto same = loadShared(product(7, 1, false));
  auto other = loadShared(product(7, 1, false, 20));
  EXPECT_EQ(valuesF32(*same->readState("s")), values);
  EXPECT_EQ(valuesF32(*other->readState("s")), Values(20, 0));
  ASSERT_TRUE(same->resetStates());
  EXPECT_EQ(valuesF32(*first->readState("s")), Values(10, 0));
}

TEST_F(SharedStorageTest, RefusesAnotherMesh) {
  auto first = loadShared(product(5, 1, false));
  auto second = Executable::load(product(5, 2, false).bytes(), source, options);
  ASSERT_FALSE(second);
  EXPECT_NE(second.error().message.find("expected the mesh of the executables"),
            std::string::npos)
      << second.error().message;
}

} // namespace
