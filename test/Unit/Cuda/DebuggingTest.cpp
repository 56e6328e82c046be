// What helps when a run on GPUs goes wrong: steps that are waited for, the
// watch for NaN, faults on demand, flight recordings.
#include "../Runtime/TestFiles.h"
#include "CudaArtifact.h"
#include "tpcrt/Diagnosis.h"

#include <cmath>
#include <csignal>

using namespace tpcrt;
using namespace tpcrt::test;
using namespace std::chrono_literals;
using Values = std::vector<float>;

namespace {

class Debugging : public CudaTest {
protected:
  static std::unique_ptr<Executable> loadSmall(const LoadOptions &options) {
    return load(onGpus(smallArtifact()), {}, options);
  }
  static LoadOptions withFault(std::string_view fault) {
    LoadOptions options;
    options.faults.push_back(*parseFault(fault));
    return options;
  }
  std::vector<Values> runMain(Executable &executable) {
    auto outputs = executable.run("main", inputs);
    std::vector<Values> values;
    if (!outputs)
      ADD_FAILURE() << outputs.error().message;
    else
      for (const HostTensor &output : *outputs)
        values.push_back(valuesF32(output));
    return values;
  }
  std::string errorOf(Executable &executable) {
    auto outputs = executable.run("main", inputs);
    return outputs ? "" : outputs.error().message;
  }
  static void expectParts(const std::string &text,
                          std::initializer_list<std::string_view> parts) {
    for (std::string_view part : parts)
      EXPECT_NE(text.find(part), std::string::npos)
          << "expected '" << part << "' in '" << text << "'";
  }
  static void failIn(const std::string &kernel) {
    fake::machine().kernels[kernel] = [](const fake::Launch &) {
      fake::machine().stickyError = CUDA_ERROR_ILLEGAL_ADDRESS;
    };
  }

  Values x = Values(10, 1), y = Values(10, 2);
  std::vector<HostTensor> inputs{tensorF32({10}, x), tensorF32({10}, y)};
};

// ----------------------------------------------------------- synchronous --

TEST_F(Debugging, SynchronousStepsComputeTheSame) {
  LoadOptions options;
  options.syncSteps = true;
  for (auto order :
       {fake::Settings::Order::OldestStream, fake::Settings::Order::Random}) {
    fake::Machine &machine = start({.order = order});
    auto cpu = load(smallArtifact());
    auto gpu = loadSmall(options);
    ASSERT_TRUE(cpu && gpu);
    for (int run = 0; run < 3; ++run)
      EXPECT_EQ(runMain(*gpu), runMain(*cpu));
    EXPECT_EQ(std::ranges::count(machine.calls, "cuGraphLaunch"), 0);
    gpu.reset();
    expectClean();
  }
}

/// What fails asynchronously is known by its step, whichever it is.
TEST_F(Debugging, SynchronousStepsNameTheOneThatFails) {
  LoadOptions options;
  options.syncSteps = true;
  for (auto [kernel, place] :
       {std::pair("add", "step 'add' (test.mlir:1)"),
        std::pair("accumulate", "step 'accumulate' (test.mlir:2)"),
        std::pair("reduce_sum_f32", "step 'collective' (test.mlir:3)"),
        std::pair("scale", "step 'scale' (test.mlir:4)")}) {
    start();
    auto gpu = loadSmall(options);
    ASSERT_TRUE(gpu);
    failIn(kernel);
    expectParts(errorOf(*gpu),
                {"program 'main'", place, "an illegal memory access"});
  }
  start(); // the machine is switched off
}

// -------------------------------------------------------------- numerics --

TEST_F(Debugging, NumericsNameStepDeviceAndElement) {
  LoadOptions options;
  options.checkNumerics = true;
  auto cpu = load(smallArtifact(), {}, options);
  auto gpu = loadSmall(options);
  ASSERT_TRUE(cpu && gpu);
  for (int run = 0; run < 3; ++run)
    EXPECT_EQ(runMain(*gpu), runMain(*cpu));
  y[7] = NAN;
  inputs[1] = tensorF32({10}, y);
  for (Executable *executable : {cpu.get(), gpu.get()})
    expectParts(
        errorOf(*executable),
        {"step 'add' (test.mlir:1)", "device 1: NaN at element 2 of 5 (f32)"});
}

// ---------------------------------------------------------------- faults --

/// Only the second collective's result, on the first device.
TEST_F(Debugging, CorruptsOneResult) {
  auto healthy = loadSmall({});
  auto gpu = loadSmall(withFault("corrupt:rank=0,op=2"));
  ASSERT_TRUE(healthy && gpu);
  for (int run = 1; run <= 4; ++run) {
    std::vector<Values> expected = runMain(*healthy), found = runMain(*gpu);
    EXPECT_EQ(std::isnan(found[1][0]), run == 2) << run;
    found[1][0] = expected[1][0];
    EXPECT_EQ(found, expected) << run;
  }
  LoadOptions options = withFault("corrupt:rank=0,op=1");
  options.checkNumerics = true;
  auto watched = loadSmall(options);
  ASSERT_TRUE(watched);
  expectParts(errorOf(*watched), {"step 'collective' (test.mlir:3)",
                                  "device 0: NaN at element 0 of 5"});
}

TEST_F(Debugging, KillsAtAPlace) {
  auto run = [&](std::string_view fault) {
    if (auto gpu = loadSmall(withFault(fault)))
      for (int i = 0; i < 3; ++i)
        runMain(*gpu);
    std::_Exit(0);
  };
  auto killed = testing::KilledBySignal(SIGKILL);
  EXPECT_EXIT(run("kill:rank=0,at=load"), killed, "");
  EXPECT_EXIT(run("kill:rank=0,run=3"), killed, "");
  EXPECT_EXIT(run("kill:rank=0,op=3"), killed, "");
  EXPECT_EXIT(run("kill:rank=0,op=4"), testing::ExitedWithCode(0), "");
  EXPECT_EXIT(run("kill:rank=1,op=1"), testing::ExitedWithCode(0), "");
}

TEST_F(Debugging, Delays) {
  for (const char *fault :
       {"delay:rank=0,op=1,ms=30", "delay:rank=0,run=1,ms=30"}) {
    auto gpu = loadSmall(withFault(fault));
    ASSERT_TRUE(gpu);
    auto begin = std::chrono::steady_clock::now();
    runMain(*gpu);
    EXPECT_GE(std::chrono::steady_clock::now() - begin, 30ms) << fault;
  }
}

// ------------------------------------------------------------ recordings --

/// In the first run step by step, in the third in a graph.
TEST_F(Debugging, ARecordingSaysWhereDevicesWait) {
  for (int before : {0, 2}) {
    start();
    TemporaryFolder folder;
    LoadOptions options;
    options.deadline = 50ms;
    options.flightFolder = folder.file("flight");
    auto gpu = loadSmall(options);
    ASSERT_TRUE(gpu);
    for (int run = 0; run < before; ++run)
      runMain(*gpu);
    fake::machine().hangAt = "kernel reduce_sum_f32";
    std::string operation = fmt::format(
        "operation {}, all_reduce 'collective' at test.mlir:3", before + 1);
    expectParts(errorOf(*gpu),
                {"device 1 in collective 'collective' (test.mlir:3)",
                 "device 1 of rank 0 waited in its " + operation,
                 "recorded in " + options.flightFolder});
    auto told = diagnose(options.flightFolder);
    ASSERT_TRUE(told) << told.error().message;
    expectParts(*told,
                {"rank 0 ended: ", "device 0 (rank 0) waits in " + operation,
                 "device 1 (rank 0) waits in " + operation});
    gpu.reset();
  }
  start();
}

/// What fails behind a collective does not wait in it.
TEST_F(Debugging, ARecordingSaysWhatHasEnded) {
  TemporaryFolder folder;
  LoadOptions options;
  options.flightFolder = folder.file("flight");
  auto gpu = loadSmall(options);
  ASSERT_TRUE(gpu);
  runMain(*gpu);
  failIn("scale");
  std::string error = errorOf(*gpu);
  expectParts(error, {"device 0 after collective 'collective' (test.mlir:3)"});
  EXPECT_EQ(error.find("device 0 of rank 0 waited"), error.npos) << error;
  auto told = diagnose(options.flightFolder);
  ASSERT_TRUE(told) << told.error().message;
  expectParts(*told, {"device 0 (rank 0) had finished operation 2, all_reduce "
                      "'collective'"});
  gpu.reset();
  start();
}

} // namespace
