//===- PinConflicts.cpp - Which pins contradict each other ----------------===//
//
// Smallest conflicts by implicit hitting sets. A set of pins without conflict,
// grown until every further pin makes one, tells that each conflict has a pin
// outside of it. Sets are tried by size; one that misses what is known so is
// skipped untried, so few tests find the smallest conflict. After Ignatiev et
// al., "Smallest MUS extraction with minimal hitting set dualization" (2015).
//
//===----------------------------------------------------------------------===//

#include "PinConflicts.h"
#include "llvm/ADT/bit.h"

using namespace mlir;
using namespace tpc;
using llvm::BitVector;

//===----------------------------------------------------------------------===//
// Smallest conflicts
//===----------------------------------------------------------------------===//

namespace {

class SmallestConflict {
public:
  SmallestConflict(const BitVector &candidates, ConflictTest contradict)
      : numPins(candidates.size()), contradict(contradict),
        members(candidates.set_bits_begin(), candidates.set_bits_end()) {}

  BitVector find() {
    for (unsigned size = 0; size < members.size(); ++size)
      if (auto found = findOfSize(size))
        return pinsOf(*found);
    return pinsOf(all());
  }

private:
  /// Sets of members, a bit each.
  using Set = uint32_t;
  Set all() const { return (Set(1) << members.size()) - 1; }

  std::optional<Set> findOfSize(unsigned size) {
    for (Set set = (Set(1) << size) - 1; set <= all(); set = next(set)) {
      bool hitsAll =
          llvm::all_of(outside, [&](Set pins) { return pins & set; });
      if (hitsAll && contradict(pinsOf(set)))
        return set;
      if (hitsAll)
        outside.push_back(all() & ~grow(set));
      if (set == 0)
        break;
    }
    return std::nullopt;
  }

  /// The next set of as many members.
  static Set next(Set set) {
    Set low = set & -set, carried = set + low;
    return carried | (((set ^ carried) >> 2) / low);
  }

  /// With as many more members as make no contradiction.
  Set grow(Set set) {
    for (unsigned i = 0; i < members.size(); ++i)
      if (Set more = set | Set(1) << i;
          more != set && !contradict(pinsOf(more)))
        set = more;
    return set;
  }

  BitVector pinsOf(Set set) const {
    BitVector pins(numPins);
    for (auto [i, pin] : llvm::enumerate(members))
      if (set >> i & 1)
        pins.set(pin);
    return pins;
  }

  unsigned numPins;
  ConflictTest contradict;
  SmallVector<unsigned> members;
  /// Sets of which every conflict has a member.
  SmallVector<Set> outside;
};

} // namespace

/// Leaves out what can be left out, in ever smaller blocks; the last are single
/// pins.
static BitVector irreducibleConflict(BitVector pins, ConflictTest contradict) {
  for (unsigned block = pins.count() / 2; block > 0; block /= 2) {
    SmallVector<unsigned> members(pins.set_bits_begin(), pins.set_bits_end());
    for (size_t begin = 0; begin < members.size(); begin += block) {
      BitVector fewer = pins;
      for (unsigned pin : ArrayRef(members).drop_front(begin).take_front(block))
        fewer.reset(pin);
      if (contradict(fewer))
        pins = std::move(fewer);
    }
  }
  return pins;
}

BitVector tpc::smallestConflict(const BitVector &candidates,
                                ConflictTest contradict) {
  if (candidates.count() > kSmallestUpTo)
    return irreducibleConflict(candidates, contradict);
  return SmallestConflict(candidates, contradict).find();
}

//===----------------------------------------------------------------------===//
// Reports
//===----------------------------------------------------------------------===//

/// Adds notes for all pins but the first.
static void noteOthers(InFlightDiagnostic &error, const PinTable &table,
                       const BitVector &pins) {
  for (unsigned i : llvm::drop_begin(pins.set_bits())) {
    const Pin &pin = table.pins()[i];
    error.attachNote(pin.location) << "and " << pin.text;
  }
}

static LogicalResult reportPlace(const Place &place, const PinTable &table,
                                 const BitVector &pins) {
  const Pin &first = table.pins()[pins.find_first()];
  auto error = emitError(first.location.value_or(place.location))
               << first.text << ": ";
  if (pins.count() == 1)
    error << "there is no such sharding of " << place.text << ", "
          << place.type;
  else
    error << "no sharding of " << place.text << " keeps this and "
          << (pins.count() == 2 ? "another pin" : "other pins");
  noteOthers(error, table, pins);
  return error;
}

/// The pins that contradict each other at one place, fewest; none.
static BitVector conflictAt(const Place &place, const PinTable &table,
                            const StrategySpace &space) {
  BitVector pins(table.pins().size());
  for (const Restriction &restriction : place.restrictions)
    pins.set(restriction.pin);
  std::vector<Sharding> candidates =
      table.candidates(place, space.storedShardings(place.type.getShape()));
  auto contradict = [&](const BitVector &active) {
    return llvm::none_of(candidates, [&](const Sharding &sharding) {
      return table.allows(place, sharding, active);
    });
  };
  return contradict(pins) ? smallestConflict(pins, contradict)
                          : BitVector(pins.size());
}

LogicalResult tpc::checkPlaces(const PinTable &table,
                               const StrategySpace &space) {
  const Place *worst = nullptr;
  BitVector fewest;
  for (const Place &place : table.places()) {
    if (place.restrictions.empty())
      continue;
    BitVector pins = conflictAt(place, table, space);
    if (pins.any() && (!worst || pins.count() < fewest.count())) {
      worst = &place;
      fewest = std::move(pins);
    }
  }
  return worst ? reportPlace(*worst, table, fewest) : success();
}

InFlightDiagnostic tpc::reportMemoryConflict(ModuleOp module,
                                             const PinTable &table,
                                             const BitVector &pins,
                                             int64_t limit) {
  const Pin &first = table.pins()[pins.find_first()];
  auto error = emitError(first.location.value_or(module.getLoc()))
               << first.text << ": this pin"
               << (pins.count() > 1 ? " and others leave" : " leaves")
               << " no assignment that fits into " << limit
               << " bytes on each device";
  noteOthers(error, table, pins);
  return error;
}
