// Memory that NCCL knows on all GPUs: that all members have it or none, who is
// told, and in which order it goes.
#include "../Runtime/GroupHarness.h"
#include "CudaArtifact.h"
#include "FakeNccl.h"
#include "device/cuda/Libraries.h"

#include <numeric>

using namespace tpcrt;
using namespace tpcrt::test;
using Values = std::vector<float>;
using fake::WindowFault;

namespace {

class Symmetric : public CudaTest {
protected:
  /// All-reduces are NCCL's.
  fake::Machine &startTwo() {
    return start(
        {.gpus = 2, .peers = false, .order = fake::Settings::Order::Random});
  }

  static Values sumOfHalves(Executable &executable) {
    Values x(10), y(10);
    std::iota(x.begin(), x.end(), 0);
    std::iota(y.begin(), y.end(), 100);
    auto outputs =
        executable.run("main", {tensorF32({10}, x), tensorF32({10}, y)});
    if (outputs)
      return valuesF32((*outputs)[1]);
    ADD_FAILURE() << outputs.error().message;
    return {};
  }
  // 7 * ((x + y)[i] + (x + y)[i + 5])
  static inline const Values expected{1470, 1498, 1526, 1554, 1582};

  /// Loads, runs thrice; what is said of memory.
  static std::string memoryOf(const TestArtifact &artifact,
                              LoadOptions options = {}) {
    auto gpu = load(artifact, {}, options);
    for (int run = 0; gpu && run < 3; ++run)
      EXPECT_EQ(sumOfHalves(*gpu), expected);
    return gpu ? gpu->statistics().collectiveMemory : "";
  }
  /// The same in two processes, by rank.
  static std::vector<std::string> memoryInTwo(LoadOptions options = {}) {
    std::vector<std::string> memory(2);
    inProcesses(2, [&](const std::shared_ptr<ProcessGroup> &group) {
      LoadOptions mine = options;
      mine.processes = group;
      memory[group->rank()] = memoryOf(onGpus(smallArtifact()), mine);
      EXPECT_TRUE(group->close());
    });
    return memory;
  }

  static auto count(const char *call) {
    return std::ranges::count(fake::machine().calls, call);
  }
  static auto first(const char *call) {
    return std::ranges::find(fake::machine().calls, call);
  }
};

TEST_F(Symmetric, IsUsedAndGoesInOrder) {
  auto &calls = startTwo().calls;
  EXPECT_EQ(memoryOf(onGpus(smallArtifact())), "symmetric");
  EXPECT_EQ(count("ncclMemAlloc"), 2); // the arenas
  EXPECT_EQ(count("ncclCommWindowRegister"), 2);
  EXPECT_EQ(count("ncclCommWindowDeregister"), 2);
  EXPECT_EQ(count("ncclMemFree"), 2);
  EXPECT_LT(std::find(first("ncclCommWindowDeregister") + 1, calls.end(),
                      "ncclCommWindowDeregister"),
            first("ncclCommFinalize"));
  EXPECT_LT(first("ncclCommDestroy"), first("ncclMemFree"));
  EXPECT_EQ(count("ncclCommAbort"), 0);
}

TEST_F(Symmetric, IsUsedInTwoProcesses) {
  startTwo();
  for (const std::string &memory : memoryInTwo())
    EXPECT_EQ(memory, "symmetric");
  EXPECT_EQ(count("ncclCommWindowDeregister"), count("ncclCommWindowRegister"));
}

/// A state that a collective reads in place is registered too.
TEST_F(Symmetric, HoldsWhatCollectivesTakeInPlace) {
  startTwo();
  TestArtifact artifact = smallArtifact();
  *artifact.program().steps[2]->body.AsCollectiveStep()->src = {FbSpace::State,
                                                                0, 0, 20};
  auto gpu = load(onGpus(artifact));
  ASSERT_TRUE(gpu);
  EXPECT_EQ(sumOfHalves(*gpu), expected);
  EXPECT_EQ(gpu->statistics().collectiveMemory, "symmetric");
  EXPECT_EQ(count("ncclMemAlloc"), 4);
  EXPECT_EQ(count("ncclCommWindowRegister"), 4);
}

TEST_F(Symmetric, CanBeTurnedOff) {
  startTwo();
  LoadOptions options;
  options.symmetricMemory = false;
  EXPECT_EQ(memoryOf(onGpus(smallArtifact()), options),
            "plain (it is turned off)");
  EXPECT_EQ(count("ncclMemAlloc"), 0);
}

TEST_F(Symmetric, IsNotThereOnOneGpu) {
  EXPECT_EQ(memoryOf(onGpus(smallArtifact())), "plain (on one GPU)");
}

TEST_F(Symmetric, AnOlderLibraryDoesWithout) {
  startTwo();
  cudaLibraries().nccl = []() -> Result<NcclLibrary> {
    return fake::nccl(/*windows=*/false);
  };
  EXPECT_EQ(memoryOf(onGpus(smallArtifact())),
            "plain (NCCL is older than 2.27)");
  EXPECT_EQ(count("ncclMemAlloc"), 0);
  EXPECT_EQ(count("ncclCommWindowRegister"), 0);
}

/// What one process lacks, none uses, and all say who lacks it.
TEST_F(Symmetric, ProcessesAgree) {
  startTwo();
  std::atomic<bool> isOld = false;
  cudaLibraries().nccl = [&]() -> Result<NcclLibrary> {
    return fake::nccl(/*windows=*/isOld.exchange(true));
  };
  std::vector<std::string> memory = memoryInTwo();
  std::ranges::sort(memory);
  EXPECT_EQ(memory[0], "plain (NCCL is older than 2.27)");
  EXPECT_TRUE(memory[1] == "plain (rank 0: NCCL is older than 2.27)" ||
              memory[1] == "plain (rank 1: NCCL is older than 2.27)")
      << memory[1];
  EXPECT_EQ(count("ncclMemAlloc"), 1);
  EXPECT_EQ(count("ncclCommWindowRegister"), 0);
}

TEST_F(Symmetric, MemoryThatNcclDoesNotGiveIsTheDrivers) {
  startTwo();
  fake::setWindowFault({WindowFault::NoMemory, 2});
  EXPECT_EQ(memoryOf(onGpus(smallArtifact())),
            "plain (GPU 1 (Fake): the arena: ncclMemAlloc: out of memory or "
            "so)");
  EXPECT_EQ(count("ncclMemFree"), 1);
  EXPECT_EQ(count("ncclCommWindowRegister"), 0);
}

class SymmetricFault : public Symmetric,
                       public testing::WithParamInterface<
                           std::tuple<WindowFault::Kind, const char *>> {};

/// Communicators in which one member has failed are not used: others take their
/// place.
TEST_P(SymmetricFault, OfOneMemberIsThatOfAll) {
  auto [kind, reason] = GetParam();
  for (uint64_t registration : {1, 2}) {
    startTwo();
    fake::setWindowFault({kind, registration});
    EXPECT_SAYS(memoryOf(onGpus(smallArtifact())), reason);
    EXPECT_EQ(count("ncclGetUniqueId"), 2);
    EXPECT_EQ(count("ncclCommAbort"), 4);
    EXPECT_GT(count("ncclAllReduce"), 0);
    expectClean();
  }
  startTwo();
  fake::setWindowFault({kind, 2});
  LoadOptions options;
  options.deadline = std::chrono::seconds(3); // until the other gives up
  for (const std::string &memory : memoryInTwo(options))
    EXPECT_SAYS(memory, "plain (");
  EXPECT_EQ(count("ncclGetUniqueId"), 2);
}

INSTANTIATE_TEST_SUITE_P(
    , SymmetricFault,
    testing::Values(
        std::tuple(WindowFault::Refused, "plain (ncclCommWindowRegister: "),
        std::tuple(WindowFault::Failed, "plain (NCCL: out of memory or so)"),
        std::tuple(WindowFault::Unsupported,
                   "plain (NCCL does not support it on GPU ")));

thread_local ProcessGroup *ownGroup = nullptr;

/// A process that gives up while it registers is not waited for.
TEST_F(Symmetric, AProcessThatGivesUpEndsTheLoad) {
  startTwo();
  std::atomic<bool> isSecond = false;
  cudaLibraries().nccl = [&]() -> Result<NcclLibrary> {
    NcclLibrary library = fake::nccl();
    if (isSecond.exchange(true))
      library.ncclCommWindowRegister = [](ncclComm_t, void *, size_t,
                                          ncclWindow_t *, int) {
        ownGroup->abort("enough");
        return ncclSystemError;
      };
    return library;
  };
  inProcesses(2, [&](const std::shared_ptr<ProcessGroup> &group) {
    ownGroup = group.get();
    LoadOptions options;
    options.processes = group;
    auto gpu = Executable::load(onGpus(smallArtifact()).bytes(), {}, options);
    ASSERT_FALSE(gpu);
    EXPECT_SAYS(gpu.error().message, "enough");
  });
}

} // namespace
