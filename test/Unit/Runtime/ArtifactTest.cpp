// The container: round trips, damage, and files that are never partial.
#include "TestArtifact.h"
#include "TestFiles.h"
#include "artifact/Module.h"

#include <cstring>
#include <gtest/gtest.h>

using namespace tpcrt;
using namespace tpcrt::test;

namespace {

std::string loadError(const std::vector<std::byte> &file) {
  auto module =
      loadModule(*ArtifactBytes::fromMemory(file.data(), file.size(), "test"));
  return module ? "" : module.error().message;
}

std::vector<std::byte> goodFile() {
  auto payload = smallArtifact().payload();
  return wrapArtifact(payload.data(), payload.size());
}

TEST(Artifact, DecodesWhatWasWritten) {
  auto module = loadModule(smallArtifact().bytes());
  ASSERT_TRUE(module) << module.error().message;
  EXPECT_EQ(module->mesh.numDevices(), 2u);
  ASSERT_EQ(module->programs.size(), 1u);
  const Program &program = module->programs[0];
  EXPECT_EQ(program.arenaBytes, 512u);
  EXPECT_EQ(program.inputs[1].name, "y");
  EXPECT_EQ(program.inputs[1].blockBytes(), 20u);
  ASSERT_EQ(program.steps.size(), 4u);
  auto &collective = std::get<CollectiveStep>(program.steps[2].body);
  EXPECT_EQ(collective.count, 5u);
  EXPECT_EQ(collective.src,
            (tpcrt::BufferRef{tpcrt::Space::Arena, 0, 128, 20}));
  EXPECT_EQ(program.steps[2].location, "test.mlir:3");
  EXPECT_EQ(module->kernels,
            (std::vector<std::string>{"add", "accumulate", "scale"}));
}

TEST(Artifact, FileRoundTrip) {
  TemporaryFolder folder;
  auto written = smallArtifact().bytes().writeFile(folder.file("a.tpcx"));
  ASSERT_TRUE(written) << written.error().message;
  EXPECT_EQ(folder.entries(), std::vector<std::string>{"a.tpcx"});
  auto bytes = ArtifactBytes::fromFile(folder.file("a.tpcx"));
  ASSERT_TRUE(bytes);
  EXPECT_TRUE(loadModule(*bytes));
}

TEST(Artifact, UnwritableFile) {
  auto written = smallArtifact().bytes().writeFile("/nonexistent/a.tpcx");
  ASSERT_FALSE(written);
  EXPECT_NE(written.error().message.find("/nonexistent/a.tpcx"),
            std::string::npos);
}

TEST(Artifact, MissingFileAndFolder) {
  EXPECT_FALSE(ArtifactBytes::fromFile("/nonexistent/a.tpcx"));
  EXPECT_FALSE(ArtifactBytes::fromFile("/"));
}

TEST(Artifact, EveryTruncationIsRefused) {
  std::vector<std::byte> file = goodFile();
  for (size_t size = 0; size < file.size(); size += 13) {
    std::string error = loadError({file.begin(), file.begin() + size});
    EXPECT_NE(error, "") << size;
    EXPECT_TRUE(error.starts_with("test: ")) << error;
  }
}

TEST(Artifact, EveryHeaderByteMatters) {
  for (size_t i = 0; i < artifactHeaderSize; ++i) {
    std::vector<std::byte> file = goodFile();
    file[i] ^= std::byte{1};
    EXPECT_NE(loadError(file), "") << i;
  }
}

TEST(Artifact, ChecksumFindsDamage) {
  std::vector<std::byte> file = goodFile();
  file[file.size() / 2] ^= std::byte{4};
  EXPECT_NE(loadError(file).find("checksum"), std::string::npos);
}

TEST(Artifact, AppendedBytesAreRefused) {
  std::vector<std::byte> file = goodFile();
  file.push_back({});
  EXPECT_NE(loadError(file).find("payload"), std::string::npos);
}

} // namespace
