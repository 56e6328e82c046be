//===- JsonTest.cpp - Problems as files -----------------------------------===//

#include "tpc/Sharding/Solver/Json.h"
#include "RandomProblem.h"
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>

using namespace tpc::solver;
using namespace tpc::solver::test;

namespace {

void expectEqual(const Problem &a, const Problem &b) {
  EXPECT_EQ(a.name, b.name);
  EXPECT_EQ(a.memoryLimit, b.memoryLimit);
  ASSERT_EQ(a.nodes.size(), b.nodes.size());
  // Everything above the threshold is read as the threshold.
  auto clamped = [](std::vector<Cost> costs) {
    for (Cost &cost : costs)
      cost = std::min(cost, kForbidden);
    return costs;
  };
  for (size_t i = 0; i < a.nodes.size(); ++i) {
    EXPECT_EQ(clamped(a.nodes[i].costs), b.nodes[i].costs);
    ASSERT_EQ(a.nodes[i].memory.size(), b.nodes[i].memory.size());
    for (size_t j = 0; j < a.nodes[i].memory.size(); ++j) {
      const MemoryUse &x = a.nodes[i].memory[j], &y = b.nodes[i].memory[j];
      EXPECT_EQ(x.live.begin, y.live.begin);
      EXPECT_EQ(x.live.end, y.live.end);
      EXPECT_EQ(x.bytes, y.bytes);
    }
  }
  ASSERT_EQ(a.edges.size(), b.edges.size());
  for (size_t i = 0; i < a.edges.size(); ++i) {
    EXPECT_EQ(a.edges[i].from, b.edges[i].from);
    EXPECT_EQ(a.edges[i].to, b.edges[i].to);
    EXPECT_EQ(clamped(*a.edges[i].costs), *b.edges[i].costs);
  }
}

std::string temporaryFile(const std::string &name) {
  return (std::filesystem::path(testing::TempDir()) / name).string();
}

TEST(JsonTest, ReadsWhatItWrites) {
  for (uint64_t seed = 0; seed < 200; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Problem problem = makeRandomProblem(seed);
    problem.name += "\"\\\n";
    std::string error;
    auto read = parseProblem(toJson(problem), error);
    ASSERT_TRUE(read) << error;
    expectEqual(problem, *read);
  }
}

TEST(JsonTest, WritesSharedTablesOnce) {
  Problem problem = makeLayers({.layers = 5});
  std::string text = toJson(problem), error;
  EXPECT_NE(text.find("\"tables\""), text.npos);
  auto read = parseProblem(text, error);
  ASSERT_TRUE(read) << error;
  expectEqual(problem, *read);
  // And holds them once.
  EXPECT_EQ(read->edges[0].costs, read->edges[read->edges.size() / 5].costs);
}

TEST(JsonTest, ReadsAndWritesFiles) {
  Problem problem = makeLayers({.layers = 3, .memory = true});
  for (const char *name : {"solver-test.json", "solver-test.json.gz"}) {
    std::string path = temporaryFile(name), error;
    ASSERT_EQ(writeProblem(problem, path), std::nullopt);
    EXPECT_FALSE(std::filesystem::exists(path + ".partial"));
    auto read = readProblem(path, error);
    ASSERT_TRUE(read) << error;
    expectEqual(problem, *read);
    std::filesystem::remove(path);
  }
}

TEST(JsonTest, FilesThatAreNotThereOrCutOff) {
  std::string error;
  EXPECT_FALSE(readProblem("/no/such/file.json", error));
  EXPECT_NE(error.find("/no/such/file.json: cannot be opened"), error.npos);
  EXPECT_TRUE(writeProblem({}, "/no/such/folder/file.json"));

  std::string path = temporaryFile("solver-cut.json.gz");
  ASSERT_EQ(writeProblem(makeLayers({.layers = 30}), path), std::nullopt);
  std::filesystem::resize_file(path, std::filesystem::file_size(path) / 2);
  EXPECT_FALSE(readProblem(path, error));
  EXPECT_NE(error.find("cut off"), error.npos) << error;
  std::filesystem::remove(path);
}

TEST(JsonTest, SaysWhatIsWrong) {
  auto nodes = [](const char *costs, const char *intervals,
                  const char *usages) {
    return std::string(R"({"problem":{"nodes":{"costs":)") + costs +
           R"(,"intervals":)" + intervals + R"(,"usages":)" + usages +
           R"(},"edges":{"nodes":[],"costs":[]}}})";
  };
  auto edges = [](const char *content) {
    return std::string(R"({"problem":{"nodes":{"costs":[[1,2],[3]],)"
                       R"("intervals":[[],[]],"usages":[[],[]]},"edges":)") +
           content + "}}";
  };
  std::pair<std::string, const char *> cases[] = {
      {"", "expected a JSON document"},
      {"{", "expected a JSON document"},
      {"[1]", "file: expected an object, found an array of 1"},
      {"{}", "file: expected a member \"problem\", found none"},
      {R"({"problem":{},"problem":{}})", "expected one \"problem\", found two"},
      {R"({"problem":[]})", "problem: expected an object"},
      {R"({"problem":{"nodes":{}}})", "expected a member \"edges\""},
      {nodes("[[]]", "[[]]", "[[]]"), "node 0: has no value"},
      {nodes("[[1]]", "[]", "[]"), "costs has more entries"},
      {nodes("[]", "[[]]", "[[]]"), "costs has fewer entries"},
      {nodes("[[1.5]]", "[[]]", "[[]]"),
       "nodes.costs[0]: expected a 64-bit integer, found the fraction 1.5"},
      {nodes("[[\"1\"]]", "[[]]", "[[]]"), "found a string"},
      {nodes("[[-1000000000000000001]]", "[[]]", "[[]]"), "below -10^18"},
      {nodes("[[-99999999999999999999]]", "[[]]", "[[]]"), "found"},
      {nodes("[[1]]", "[[0,1,2]]", "[[1]]"),
       "intervals[0]: expected [begin, end], found an array of 3"},
      {nodes("[[1]]", "[[0,1]]", "[[1,2]]"), "1 values, but 2 uses"},
      {nodes("[[1]]", "[[0,1]]", "[[-1]]"), "uses -1 bytes"},
      {nodes("[[1]]", "[[0,1]]", "[[9223372036854775807]]"), "bytes"},
      {nodes("[[1]]", "[[[0,1],[2,3]]]", "[[[1]]]"), "found fewer"},
      {nodes("[[1]]", "[[[0,1]]]", "[[[1],[1]]]"), "found more"},
      {nodes("[[1]]", "[[]]", "7"), "nodes.usages: expected an array, found 7"},
      {edges(R"({"nodes":[[0,2]],"costs":[[1,2]]})"),
       "edges.nodes[0]: expected an index below 2, found 2"},
      {edges(R"({"nodes":[[0,-1]],"costs":[[1,2]]})"), "found -1"},
      {edges(R"({"nodes":[[0,18446744073709551615]],"costs":[[1,2]]})"),
       "expected an index below 2"},
      {edges(R"({"nodes":[[0]],"costs":[[1,2]]})"), "expected [from, to]"},
      {edges(R"({"nodes":[[1,1]],"costs":[[1]]})"), "with itself"},
      {edges(R"({"nodes":[[0,1]],"costs":[[1,2,3]]})"),
       "edge 0: expected 2 costs, found 3"},
      {edges(R"({"nodes":[[0,1]],"costs":[]})"), "nodes has more entries"},
      {edges(R"({"nodes":[],"costs":[[1]]})"), "nodes has fewer entries"},
      {edges(R"({"nodes":[[0,1]],"costs":[0]})"), "an index below 0"},
      {edges(R"({"nodes":[[0,1]],"tables":[[1,2]],"costs":[1]})"),
       "an index below 1, found 1"},
  };
  for (const auto &[json, expected] : cases) {
    std::string error;
    EXPECT_FALSE(parseProblem(json, error)) << json;
    EXPECT_NE(error.find(expected), error.npos)
        << json << "\nexpected: " << expected << "\nfound: " << error;
  }
}

TEST(JsonTest, InfinityIsForbidden) {
  std::string error;
  auto problem =
      parseProblem(R"({"problem":{"usage_limit":5,"nodes":{)"
                   R"("costs":[[1000000000000000000,18446744073709551615,-3]],)"
                   R"("intervals":[[3,1]],"usages":[[1,2,3]]},)"
                   R"("edges":{"nodes":[],"costs":[]}}})",
                   error);
  ASSERT_TRUE(problem) << error;
  EXPECT_EQ(problem->nodes[0].costs,
            (std::vector<Cost>{kForbidden, kForbidden, -3}));
  EXPECT_EQ(problem->memoryLimit, 5);
}

/// No prefix and no damaged byte may do more than produce an error.
TEST(JsonTest, SurvivesDamage) {
  std::string text = toJson(makeRandomProblem(3));
  std::string error;
  for (size_t length = 0; length < text.size() - 2; ++length)
    EXPECT_FALSE(parseProblem(text.substr(0, length), error));
  Random random(1);
  for (int i = 0; i < 3000; ++i) {
    std::string damaged = text;
    damaged[random.below(text.size())] = static_cast<char>(random.below(256));
    if (auto problem = parseProblem(damaged, error))
      EXPECT_EQ(problem->check(), std::nullopt);
  }
}

/// The published instances, where the environment says they are.
TEST(JsonTest, ReadsPublishedInstances) {
  const char *folder = std::getenv("TPC_IOPDDL_DIR");
  if (!folder)
    GTEST_SKIP() << "TPC_IOPDDL_DIR is not set: no published instances";
  std::string error;
  auto problem =
      readProblem(std::string(folder) + "/asplos-2025-iopddl-G.json.gz", error);
  ASSERT_TRUE(problem) << error;
  EXPECT_EQ(problem->nodes.size(), 816u);
  EXPECT_EQ(problem->edges.size(), 1023u);
  EXPECT_EQ(problem->numValues(), 10071u);
}

} // namespace
