//===- BucketTest.cpp - Lengths that programs are compiled for ------------===//

#include "tpc/Driver/Model.h"
#include <gtest/gtest.h>
#include <set>

using namespace tpc;

namespace {

TEST(Bucket, FewLengthsAndLittleWaste) {
  std::set<int64_t> buckets;
  for (int64_t length = 1; length <= 4096; ++length) {
    int64_t bucket = bucketOf(length);
    ASSERT_GE(bucket, length);
    ASSERT_EQ(bucketOf(bucket), bucket);
    if (length > 16)
      ASSERT_LT(bucket, length * 3 / 2 + 1);
    buckets.insert(bucket);
  }
  EXPECT_EQ(buckets.size(), 17u);
  EXPECT_EQ(*buckets.begin(), 16);
  EXPECT_TRUE(buckets.count(24) && buckets.count(32) && buckets.count(48));
}

} // namespace
