// tpcrt-run as a user calls it.
#include "TestArtifact.h"
#include "TestFiles.h"
#include "tpcrt/Npy.h"

#include <cstdlib>
#include <gtest/gtest.h>
#include <sys/wait.h>

using namespace tpcrt;
using namespace tpcrt::test;

namespace {

class RunTool : public testing::Test {
protected:
  RunTool() {
    EXPECT_TRUE(smallArtifact().bytes().writeFile(folder.file("a.tpcx")));
  }

  /// Runs the tool in the folder; its exit status, and what it printed.
  int run(const std::string &arguments) {
    std::string command = "cd " + folder.path + " && " TPCRT_RUN " " +
                          arguments + " >out.txt 2>&1";
    int status = WEXITSTATUS(std::system(command.c_str()));
    auto bytes = readBytes(folder.file("out.txt"));
    printed.assign(bytes.begin(), bytes.end());
    return status;
  }
  void expectError(const std::string &arguments, const std::string &part) {
    EXPECT_EQ(run(arguments), 1) << arguments;
    EXPECT_NE(printed.find(part), std::string::npos) << printed;
    EXPECT_EQ(std::count(printed.begin(), printed.end(), '\n'), 1) << printed;
    EXPECT_EQ(folder.entries(),
              (std::vector<std::string>{"a.tpcx", "out.txt"}));
  }

  TemporaryFolder folder;
  std::string printed;
  const std::string good = "a.tpcx --input x=10xf32=1 --input y=10xf32=2 ";
};

TEST_F(RunTool, PrintsOutputs) {
  EXPECT_EQ(run(good), 0) << printed;
  EXPECT_EQ(printed, "sum=10xf32=3,3,3,3,3,3,3,3,3,3\n"
                     "halves=5xf32=42,42,42,42,42\n"
                     "total=10xf32=3,3,3,3,3,3,3,3,3,3\n");
}

TEST_F(RunTool, WritesFiles) {
  EXPECT_EQ(run(good + "--entry main --repeat=3 --output total=@t.npy "
                       "--report r.json"),
            0)
      << printed;
  EXPECT_EQ(printed, "");
  auto total = readNpy(folder.file("t.npy"));
  ASSERT_TRUE(total) << total.error().message;
  EXPECT_EQ(valuesF32(*total), std::vector<float>(10, 9));
  auto bytes = readBytes(folder.file("r.json"));
  std::string report(bytes.begin(), bytes.end());
  EXPECT_NE(report.find("\"attention_steps\": 0, \"collective_steps\": 1"),
            std::string::npos)
      << report;
  EXPECT_EQ(run("a.tpcx --input x=@t.npy --input y=10xf32=0"), 0);
  EXPECT_NE(printed.find("sum=10xf32=9,9"), std::string::npos) << printed;
}

TEST_F(RunTool, BadInputIsOneMessage) {
  expectError("b.tpcx", "b.tpcx");
  expectError("--input x=f32=1", "artifact");
  expectError(good + "--entry other", "no program 'other'");
  expectError(good + "--input x=10xf32=1", "given twice");
  expectError("a.tpcx --input x=10xf32=1", "input 'y' is missing");
  expectError("a.tpcx --input x=9xf32=1 --input y=10xf32=1",
              "input 'x': expected 10xf32, found 9xf32");
  expectError(good + "--repeat 0", "--repeat");
  expectError(good + "--wrong 0", "unknown option '--wrong'");
  expectError(good + "--report", "needs a value");
  expectError(good + "--weights none.safetensors", "none.safetensors");
  expectError(good + "--output none=@n.npy", "no output 'none'");
  // An output that cannot be written takes the others with it.
  expectError(good + "--output sum=@s.npy --output total=@none/t.npy "
                     "--report r.json",
              "none/t.npy");
}

TEST_F(RunTool, Help) {
  EXPECT_EQ(run("--help"), 0);
  EXPECT_NE(printed.find("usage:"), std::string::npos);
  EXPECT_EQ(run(""), 1);
}

} // namespace
