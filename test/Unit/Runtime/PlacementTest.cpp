#include "tpcrt/Placement.h"

#include <gtest/gtest.h>

using namespace tpcrt;

namespace {

const Mesh mesh{"mesh", {{"dp", 2}, {"tp", 4}}};
const AxisPart dp{0, 1, 2}, tp{1, 1, 4}, tpMajor{1, 1, 2}, tpMinor{1, 2, 2};

std::vector<uint64_t> starts(uint64_t size, std::vector<AxisPart> parts) {
  std::vector<uint64_t> result;
  for (uint64_t device = 0; device < mesh.numDevices(); ++device)
    result.push_back(blockDim(size, parts, mesh, device).start);
  return result;
}

std::vector<uint64_t> lengths(uint64_t size, std::vector<AxisPart> parts) {
  std::vector<uint64_t> result;
  for (uint64_t device = 0; device < mesh.numDevices(); ++device) {
    BlockDim dim = blockDim(size, parts, mesh, device);
    EXPECT_EQ(dim.block, blockSize(size, parts));
    EXPECT_LE(dim.start + dim.length, size);
    result.push_back(dim.length);
  }
  return result;
}

using Sizes = std::vector<uint64_t>;

TEST(Placement, UnevenTwoAxes) {
  EXPECT_EQ(blockSize(10, {dp, tp}), 2u);
  EXPECT_EQ(lengths(10, {dp, tp}), (Sizes{2, 2, 1, 0, 2, 2, 1, 0}));
  EXPECT_EQ(starts(10, {dp, tp}), (Sizes{0, 2, 4, 5, 5, 7, 9, 10}));
}

TEST(Placement, OrderOfAxesMatters) {
  // tp cuts 10 into 3,3,3,1; dp each block of 3 into 2 and the rest.
  EXPECT_EQ(lengths(10, {tp, dp}), (Sizes{2, 2, 2, 1, 1, 1, 1, 0}));
  EXPECT_EQ(starts(10, {tp, dp}), (Sizes{0, 3, 6, 9, 2, 5, 8, 10}));
}

TEST(Placement, Even) {
  EXPECT_EQ(lengths(16, {tp}), (Sizes{4, 4, 4, 4, 4, 4, 4, 4}));
  EXPECT_EQ(starts(16, {tp}), (Sizes{0, 4, 8, 12, 0, 4, 8, 12}));
}

TEST(Placement, ReplicatedAndEmpty) {
  EXPECT_EQ(lengths(7, {}), Sizes(8, 7));
  EXPECT_EQ(blockSize(0, {tp}), 0u);
  EXPECT_EQ(lengths(0, {tp}), Sizes(8, 0));
  EXPECT_EQ(lengths(1, {tp}), (Sizes{1, 0, 0, 0, 1, 0, 0, 0}));
}

TEST(Placement, SubAxes) {
  EXPECT_EQ(starts(8, {tpMajor}), (Sizes{0, 0, 4, 4, 0, 0, 4, 4}));
  EXPECT_EQ(starts(8, {tpMinor}), (Sizes{0, 4, 0, 4, 0, 4, 0, 4}));
  // Both parts together are the whole axis where sizes divide.
  EXPECT_EQ(starts(8, {tpMajor, tpMinor}), starts(8, {tp}));
  // And are not where they do not: 5 -> 2,2,1,0 against 3 -> 2,1 and 2 -> 2,0.
  EXPECT_EQ(lengths(5, {tp}), (Sizes{2, 2, 1, 0, 2, 2, 1, 0}));
  EXPECT_EQ(lengths(5, {tpMajor, tpMinor}), (Sizes{2, 1, 2, 0, 2, 1, 2, 0}));
}

TEST(Placement, FirstHolder) {
  Sizes holders;
  for (uint64_t device = 0; device < 8; ++device)
    holders.push_back(firstHolder({{tpMinor}, {}}, mesh, device));
  EXPECT_EQ(holders, (Sizes{0, 1, 0, 1, 0, 1, 0, 1}));
  EXPECT_EQ(firstHolder({{dp}, {tp}}, mesh, 6), 6u);
}

TEST(Placement, Groups) {
  EXPECT_EQ(groupOf({tp}, mesh, 6), (Sizes{4, 5, 6, 7}));
  EXPECT_EQ(groupOf({dp}, mesh, 6), (Sizes{2, 6}));
  EXPECT_EQ(groupOf({tpMinor}, mesh, 6), (Sizes{6, 7}));
  EXPECT_EQ(groupOf({tp, dp}, mesh, 0), (Sizes{0, 4, 1, 5, 2, 6, 3, 7}));
  EXPECT_EQ(groupOf({}, mesh, 5), (Sizes{5}));
  for (uint64_t device = 0; device < 8; ++device)
    EXPECT_EQ(groupOf({tp, dp}, mesh, 3)[memberIndex({tp, dp}, mesh, device)],
              device);
}

} // namespace
