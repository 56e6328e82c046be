//===- SamplingTest.cpp - Choosing tokens from logits ---------------------===//

#include "tpc/Driver/Generator.h"
#include <cmath>
#include <gtest/gtest.h>
#include <map>

using namespace tpc;
using tpcrt::ElementType;

namespace {

int64_t choose(const Sampling &sampling, const std::vector<float> &logits,
               uint64_t row = 0, uint64_t step = 0) {
  return chooseToken(sampling, ElementType::F32,
                     reinterpret_cast<const std::byte *>(logits.data()),
                     logits.size(), row, step);
}

/// How often each token is chosen in `count` steps, of 1.
std::map<int64_t, double> shares(const Sampling &sampling,
                                 const std::vector<float> &logits,
                                 int count = 40000) {
  std::map<int64_t, double> result;
  for (int step = 0; step < count; ++step)
    result[choose(sampling, logits, 3, step)] += 1.0 / count;
  return result;
}

const std::vector<float> kLogits = {0.5f, 2.0f, -1.0f, 2.0f, 1.0f, -INFINITY};

TEST(Sampling, GreedyTakesTheFirstOfTheLikeliest) {
  EXPECT_EQ(choose({}, kLogits), 1);
  EXPECT_EQ(choose({}, {-INFINITY, -INFINITY}), 0);
  Sampling one;
  one.temperature = 5;
  one.topK = 1;
  for (int step = 0; step < 100; ++step)
    EXPECT_EQ(choose(one, kLogits, 0, step), 1);
}

TEST(Sampling, FollowsTheProbabilities) {
  for (double temperature : {0.5, 1.0, 3.0}) {
    Sampling sampling;
    sampling.temperature = temperature;
    double total = 0;
    for (float logit : kLogits)
      total += std::exp(logit / temperature);
    auto found = shares(sampling, kLogits);
    EXPECT_EQ(found.count(5), 0u);
    for (int64_t token = 0; token < 5; ++token) {
      double p = std::exp(kLogits[token] / temperature) / total;
      // Five standard deviations.
      EXPECT_NEAR(found[token], p, 5 * std::sqrt(p * (1 - p) / 40000));
    }
  }
}

TEST(Sampling, KeepsTheLikeliest) {
  // At temperature 1: tokens 1 and 3 have 0.379 each, 4 has 0.139, 0 has 0.084.
  Sampling sampling;
  sampling.temperature = 1;
  auto tokens = [&] {
    std::vector<int64_t> result;
    for (auto [token, share] : shares(sampling, kLogits, 4000))
      result.push_back(token);
    return result;
  };
  sampling.topK = 3;
  EXPECT_EQ(tokens(), (std::vector<int64_t>{1, 3, 4}));
  sampling.topP = 0.5; // of these three 1 and 3 make 0.84
  EXPECT_EQ(tokens(), (std::vector<int64_t>{1, 3}));
  sampling.topP = 0.4; // 1 alone makes 0.42
  EXPECT_EQ(tokens(), (std::vector<int64_t>{1}));
  sampling.topK = 0;
  EXPECT_EQ(tokens(), (std::vector<int64_t>{1, 3}));
  sampling.topP = 0.9;
  EXPECT_EQ(tokens(), (std::vector<int64_t>{0, 1, 3, 4}));
  sampling.topK = 100; // more than there are
  sampling.topP = 1;
  EXPECT_EQ(tokens(), (std::vector<int64_t>{0, 1, 2, 3, 4}));
}

TEST(Sampling, DependsOnSeedRowAndStepAlone) {
  Sampling sampling;
  sampling.temperature = 1;
  auto text = [&](uint64_t seed, uint64_t row) {
    sampling.seed = seed;
    std::vector<int64_t> result;
    for (int step = 0; step < 50; ++step)
      result.push_back(choose(sampling, kLogits, row, step));
    return result;
  };
  EXPECT_EQ(text(1, 0), text(1, 0));
  EXPECT_NE(text(1, 0), text(2, 0));
  EXPECT_NE(text(1, 0), text(1, 1));
}

TEST(Sampling, ReadsNarrowTypes) {
  std::vector<uint16_t> bf16 = {0x3f80, 0xc000, 0x4040}; // 1, -2, 3
  std::vector<uint16_t> f16 = {0x3c00, 0x0001, 0x4200};  // 1, 2^-24, 3
  EXPECT_EQ(chooseToken({}, ElementType::BF16,
                        reinterpret_cast<const std::byte *>(bf16.data()), 3, 0,
                        0),
            2);
  EXPECT_EQ(chooseToken({}, ElementType::F16,
                        reinterpret_cast<const std::byte *>(f16.data()), 3, 0,
                        0),
            2);
}

TEST(Sampling, RefusesWhatIsOutOfRange) {
  auto errorOf = [](auto set) {
    Sampling sampling;
    set(sampling);
    auto good = sampling.check();
    return good ? std::string() : good.error().message;
  };
  EXPECT_EQ(errorOf([](Sampling &) {}), "");
  EXPECT_NE(
      errorOf([](Sampling &s) { s.temperature = -1; }).find("temperature"),
      std::string::npos);
  EXPECT_NE(
      errorOf([](Sampling &s) { s.temperature = NAN; }).find("temperature"),
      std::string::npos);
  EXPECT_NE(errorOf([](Sampling &s) { s.topK = -1; }).find("top_k"),
            std::string::npos);
  for (double p : {0.0, 1.5, double(NAN)})
    EXPECT_NE(errorOf([&](Sampling &s) { s.topP = p; }).find("top_p"),
              std::string::npos);
}

} // namespace
