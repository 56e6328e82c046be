// The communicators against the conformance suite, and what threads promise
// besides: a fixed order of summation.
#include "GroupHarness.h"
#include "conformance/CommunicatorConformance.h"
#include "support/Float16.h"

#include <cmath>
#include <cstring>
#include <gtest/gtest.h>
#include <numeric>

using namespace tpcrt;

namespace tpcrt {
static void PrintTo(const ConformanceCase &test, std::ostream *stream) {
  *stream << test.name;
}
} // namespace tpcrt

namespace {

Result<Communicators> makeThreads(const Mesh &mesh) {
  Communicators result;
  result.push_back(createThreadsCommunicator(mesh));
  return result;
}

/// As many processes as divide the mesh, but at most `most`; all of them in
/// threads of this one.
CommunicatorFactory overProcesses(uint32_t most, Transport transport) {
  return [=](const Mesh &mesh) -> Result<Communicators> {
    uint32_t size = most;
    while (mesh.numDevices() % size != 0)
      --size;
    Communicators communicators(size);
    std::vector<uint32_t> ranks(size);
    std::iota(ranks.begin(), ranks.end(), 0);
    std::mutex mutex;
    Result<void> failure;
    Meeting(size).run(
        ranks,
        [&](Result<std::shared_ptr<ProcessGroup>> group) {
          std::lock_guard lock(mutex);
          if (!group) {
            failure = tl::unexpected(group.error());
            return;
          }
          uint32_t rank = (*group)->rank();
          auto made = createProcessCommunicator(mesh, *group, transport);
          if (made)
            communicators[rank] = std::move(*made);
          else
            failure = tl::unexpected(made.error());
        },
        [](LaunchSettings &) { return GroupOptions(); });
    if (!failure)
      return tl::unexpected(failure.error());
    return communicators;
  };
}

CommunicatorFactory factoryOf(const std::string &kind) {
  if (kind == "threads")
    return makeThreads;
  if (kind == "shared_memory")
    return overProcesses(4, Transport::Auto);
  return overProcesses(kind == "network" ? 4 : 2, Transport::Network);
}

const char *const kinds[] = {"threads", "shared_memory", "network",
                             "network_of_two"};

class Conformance
    : public testing::TestWithParam<std::tuple<const char *, ConformanceCase>> {
};

TEST_P(Conformance, MatchesPlainComputation) {
  const auto &[kind, test] = GetParam();
  auto result = runCase(factoryOf(kind), test);
  EXPECT_TRUE(result) << result.error().message;
}

INSTANTIATE_TEST_SUITE_P(
    , Conformance,
    testing::Combine(testing::ValuesIn(kinds),
                     testing::ValuesIn(conformanceCases())),
    [](const auto &info) {
      return fmt::format("{}_{}", std::get<0>(info.param),
                         std::get<1>(info.param).name);
    });

/// Data that the communicator did not allocate is staged.
class Staging : public testing::TestWithParam<ConformanceCase> {};

TEST_P(Staging, MatchesPlainComputation) {
  auto result =
      runCase(factoryOf("shared_memory"), GetParam(), Placing::Elsewhere);
  EXPECT_TRUE(result) << result.error().message;
}

INSTANTIATE_TEST_SUITE_P(, Staging, testing::ValuesIn(conformanceCases()),
                         [](const auto &info) { return info.param.name; });

class Expiry : public testing::TestWithParam<const char *> {};

TEST_P(Expiry, NamesWhoIsMissing) {
  auto result = checkExpiry(factoryOf(GetParam()));
  EXPECT_TRUE(result) << result.error().message;
}

INSTANTIATE_TEST_SUITE_P(, Expiry, testing::ValuesIn(kinds),
                         [](const auto &info) {
                           return std::string(info.param);
                         });

TEST(ThreadsCommunicator, FailsAtOnceWhenADeviceIsMissing) {
  auto result = checkRecovery(makeThreads);
  EXPECT_TRUE(result) << result.error().message;
}

/// All-reduces one element per device on one thread.
template <class T>
T allReduceOne(ElementType type, Reduction reduction, std::vector<T> values) {
  uint32_t devices = values.size();
  auto communicator = createThreadsCommunicator({"mesh", {{"x", devices}}});
  communicator->add({CollectiveKind::AllReduce,
                     reduction,
                     type,
                     1,
                     {{0, 1, devices}},
                     {},
                     "",
                     ""});
  EXPECT_TRUE(communicator->open());
  communicator->begin();
  for (uint32_t d = devices; d-- > 0;) // the order of arrival must not matter
    communicator->start(d, 0, &values[d], &values[d]);
  for (uint32_t d = 1; d < devices; ++d)
    EXPECT_EQ(std::memcmp(&values[d], &values[0], sizeof(T)), 0);
  return values[0];
}

TEST(ThreadsCommunicator, SumsInMemberOrder) {
  // (1e8 + 1) - 1e8 is 0 in f32, (1e8 - 1e8) + 1 is 1.
  EXPECT_EQ(allReduceOne<float>(ElementType::F32, Reduction::Sum,
                                {1e8f, 1.0f, -1e8f}),
            0.0f);
  EXPECT_EQ(allReduceOne<float>(ElementType::F32, Reduction::Sum,
                                {1e8f, -1e8f, 1.0f}),
            1.0f);
}

TEST(ThreadsCommunicator, RoundsSmallFloatsOnce) {
  // In bf16, 256 + 1 rounds back to 256; the f32 sum of all three is 258.
  BFloat16 sum =
      allReduceOne<BFloat16>(ElementType::BF16, Reduction::Sum,
                             {BFloat16(256.f), BFloat16(1.f), BFloat16(1.f)});
  EXPECT_EQ(float(sum), 258.0f);
}

TEST(ThreadsCommunicator, MaxAndMinKeepNaN) {
  float nan = std::numeric_limits<float>::quiet_NaN();
  for (Reduction reduction : {Reduction::Max, Reduction::Min})
    for (std::vector<float> values :
         {std::vector<float>{nan, 1, 2}, {1, nan, 2}, {1, 2, nan}})
      EXPECT_TRUE(
          std::isnan(allReduceOne<float>(ElementType::F32, reduction, values)));
}

TEST(ThreadsCommunicator, IntegersWrap) {
  EXPECT_EQ(
      allReduceOne<int32_t>(ElementType::I32, Reduction::Sum, {INT32_MAX, 1}),
      INT32_MIN);
}

} // namespace
