#include "TestArtifact.h"

#include <gtest/gtest.h>

extern "C" int checkCApi(const void *artifact, size_t size);

TEST(CApi, WorksFromC) {
  tpcrt::ArtifactBytes bytes = tpcrt::test::smallArtifact().bytes();
  EXPECT_EQ(checkCApi(bytes.data(), bytes.size()), 0)
      << "the line of CApiCheck.c that failed";
}
