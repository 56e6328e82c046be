// Where the members of collectives meet, in memory that they share: threads of
// one process, or processes of one host.
//
// A slot is one group of one collective. Members leave their addresses in it;
// the last to arrive opens it, and from then on every thread that polls a
// ticket of the slot takes ranges of the elements until none is left. Who
// finishes the last range completes the slot by raising its generation:
//
//   member 0:  arrive -> 1, Pending           poll ... poll (works) -> Done
//   member 1:       arrive -> 2 = all: opens, works                 -> Done
//
// A slot can be reused at once: a member arrives for the next generation only
// after it has seen this one complete.
//
// Processes map each other's memory at different places, so an address in a
// slot is an offset from a base that everyone knows for each device; among
// threads the bases are null.
#ifndef TPCRT_COMM_SLOTTABLE_H
#define TPCRT_COMM_SLOTTABLE_H

#include "comm/Chunk.h"

#include <atomic>
#include <deque>

namespace tpcrt {

class SlotTable {
public:
  using Ticket = Communicator::Ticket;
  using Status = Communicator::Status;

  /// One group of one collective.
  struct Group {
    const CollectiveOp *op;
    std::vector<uint64_t> devices; // by member index
    uint64_t chunks;
    size_t offset; // of its state in the shared memory
  };

  explicit SlotTable(Mesh mesh) : mesh(std::move(mesh)), bases(devices()) {}

  uint32_t add(CollectiveOp op);
  const CollectiveOp &op(uint32_t collective) const {
    return collectives[collective].op;
  }
  uint32_t numCollectives() const { return collectives.size(); }

  /// Slots are numbered in the order in which they are added.
  uint32_t slot(uint32_t collective, uint32_t device) const {
    return collectives[collective].slotOf[device];
  }
  const Group &group(uint32_t slot) const { return groups[slot]; }
  uint32_t numSlots() const { return groups.size(); }
  uint32_t member(uint32_t collective, uint32_t device) const {
    return collectives[collective].memberOf[device];
  }

  uint64_t devices() const { return mesh.numDevices(); }

  // Everything below needs memory: `bytes()` of it, zeroed, after the last add.
  size_t bytes() const { return size; }
  void place(std::byte *shared) { memory = shared; }
  bool placed() const { return memory != nullptr; }
  void setBase(uint32_t device, std::byte *base) { bases[device] = base; }

  /// Makes a slot usable again in which some members never arrived.
  void reset();

  /// A member arrives; `opened` says whether it was the last.
  Ticket arrive(uint32_t device, uint32_t collective, const void *src,
                void *dst, bool &opened);
  /// Works while there is work; whether the operation is done.
  bool poll(const Ticket &ticket);

  /// Counts what may interest somebody who sleeps.
  uint64_t changes() const;
  void signalChange();
  void waitForChange(uint64_t seen, Communicator::Clock::time_point deadline);

  /// Members that are neither waiting nor finished, if `running` was set to
  /// their number; a slot that completes sets its members running again.
  std::atomic<int64_t> &running();

  /// The devices for which a group waits: those that are not there, or else
  /// those that have not finished their part of the work.
  std::vector<uint64_t> missing(const Group &group) const;
  /// Every group of which some members are there.
  std::vector<const Group *> waiting() const;

private:
  struct Header;
  struct State;
  struct Member;

  /// A collective: which slot and which member each device is.
  struct Collective {
    CollectiveOp op;
    std::vector<uint32_t> slotOf, memberOf; // by device
  };

  Header &header() const;
  State &state(const Group &group) const;
  Member *members(const Group &group) const;
  MemberBuffers &buffersOf(const Group &group) const;
  void work(const Group &group, uint32_t device);

  Mesh mesh;
  std::vector<std::byte *> bases;     // by device
  std::deque<Collective> collectives; // keep their addresses
  std::deque<Group> groups;
  std::byte *memory = nullptr;
  size_t size = 64; // the header
};

/// "all_reduce 'mlp.down' at model.mlir:7"
std::string describe(const CollectiveOp &op);

} // namespace tpcrt

#endif // TPCRT_COMM_SLOTTABLE_H
