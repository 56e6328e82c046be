//===- PinConflictsTest.cpp - Smallest conflicts against brute force ------===//

#include "PinConflicts.h"
#include <gtest/gtest.h>
#include <random>
#include <set>

using namespace tpc;
using llvm::BitVector;

namespace {

using Conflict = std::vector<unsigned>;

/// Pins of which some sets contradict each other: those with all members of
/// one of the conflicts.
struct Pins {
  unsigned count;
  std::vector<Conflict> conflicts;
  unsigned tests = 0;

  bool contradict(const BitVector &pins) {
    ++tests;
    return llvm::any_of(conflicts, [&](const Conflict &conflict) {
      return llvm::all_of(conflict,
                          [&](unsigned pin) { return pins.test(pin); });
    });
  }
  BitVector find(BitVector candidates) {
    return smallestConflict(
        candidates, [this](const BitVector &pins) { return contradict(pins); });
  }
};

Pins randomPins(std::mt19937 &random, unsigned count, unsigned largest) {
  auto below = [&](unsigned n) { return unsigned(random() % n); };
  Pins pins{count, {}};
  for (unsigned i = 0, n = 1 + below(5); i < n; ++i) {
    std::set<unsigned> members;
    for (unsigned j = 0, size = 1 + below(largest); j < size; ++j)
      members.insert(below(count));
    pins.conflicts.emplace_back(members.begin(), members.end());
  }
  return pins;
}

/// Contradicts, and does not without any one.
void expectIrreducible(Pins &pins, const BitVector &found) {
  EXPECT_TRUE(pins.contradict(found));
  for (unsigned pin : found.set_bits()) {
    BitVector fewer = found;
    fewer.reset(pin);
    EXPECT_FALSE(pins.contradict(fewer));
  }
}

} // namespace

TEST(PinConflicts, SmallestOfFewPins) {
  std::mt19937 random(1);
  for (unsigned round = 0; round < 500; ++round) {
    Pins pins = randomPins(random, 1 + random() % 10, 6);
    // Brute force: the fewest of all sets that contradict.
    unsigned fewest = pins.count;
    for (unsigned set = 0; set < 1u << pins.count; ++set) {
      BitVector members(pins.count);
      for (unsigned pin = 0; pin < pins.count; ++pin)
        if (set >> pin & 1)
          members.set(pin);
      if (pins.contradict(members))
        fewest = std::min<unsigned>(fewest, members.count());
    }
    BitVector found = pins.find(BitVector(pins.count, true));
    expectIrreducible(pins, found);
    EXPECT_EQ(found.count(), fewest);
  }
}

TEST(PinConflicts, TwentyPinsTakeFewTests) {
  Pins pins{20, {{0, 1, 2, 3, 4, 5}, {4, 9, 14, 19}, {1, 5, 6, 7, 8}}};
  BitVector found = pins.find(BitVector(20, true));
  EXPECT_EQ(found.count(), 4u);
  expectIrreducible(pins, found);
  // There are 6196 sets of at most four.
  EXPECT_LT(pins.tests, 1000u);
}

TEST(PinConflicts, IrreducibleOfManyPins) {
  std::mt19937 random(2);
  for (unsigned round = 0; round < 100; ++round) {
    Pins pins = randomPins(random, 21 + random() % 200, 12);
    BitVector found = pins.find(BitVector(pins.count, true));
    expectIrreducible(pins, found);
  }
}

TEST(PinConflicts, OnlyCandidates) {
  Pins pins{8, {{0, 1}, {2, 3, 4}}};
  BitVector candidates(8, true);
  candidates.reset(1);
  BitVector found = pins.find(candidates);
  EXPECT_EQ(Conflict(found.set_bits_begin(), found.set_bits_end()),
            Conflict({2, 3, 4}));
}

TEST(PinConflicts, NoneNeedsNoPin) {
  Pins pins{3, {{}}};
  EXPECT_TRUE(pins.find(BitVector(3, true)).none());
}

TEST(PinConflicts, WithoutAnswersEverythingStays) {
  BitVector all(4, true);
  EXPECT_EQ(smallestConflict(all, [](const BitVector &) { return false; }),
            all);
}
