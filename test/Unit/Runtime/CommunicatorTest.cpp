// The communicator of virtual devices against the conformance suite, and what
// only it promises: a fixed order of summation.
#include "conformance/CommunicatorConformance.h"
#include "support/Float16.h"

#include <cmath>
#include <cstring>
#include <gtest/gtest.h>

using namespace tpcrt;

namespace tpcrt {
static void PrintTo(const ConformanceCase &test, std::ostream *stream) {
  *stream << test.name;
}
} // namespace tpcrt

namespace {

std::unique_ptr<Communicator> makeThreads(const Mesh &mesh) {
  return createThreadsCommunicator(mesh);
}

class ThreadsConformance : public testing::TestWithParam<ConformanceCase> {};

TEST_P(ThreadsConformance, MatchesPlainComputation) {
  auto result = runCase(makeThreads, GetParam());
  EXPECT_TRUE(result) << result.error().message;
}

INSTANTIATE_TEST_SUITE_P(, ThreadsConformance,
                         testing::ValuesIn(conformanceCases()),
                         [](const auto &info) { return info.param.name; });

TEST(ThreadsCommunicator, FailsAtOnceWhenADeviceIsMissing) {
  auto result = checkFailures(makeThreads);
  EXPECT_TRUE(result) << result.error().message;
}

/// All-reduces one element per device on one thread.
template <class T>
T allReduceOne(ElementType type, Reduction reduction, std::vector<T> values) {
  uint32_t devices = values.size();
  auto communicator = createThreadsCommunicator({"mesh", {{"x", devices}}});
  EXPECT_TRUE(communicator->add({CollectiveKind::AllReduce,
                                 reduction,
                                 type,
                                 1,
                                 {{0, 1, devices}},
                                 {},
                                 "",
                                 ""}));
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
