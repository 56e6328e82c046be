// Kernels that reduce over the memory of other GPUs in one launch, as PTX text:
// each GPU reads what all have, and adds it up in the order of the members. So
// all have the same bits, bf16 and f16 rounded once.
//
// A member of a group has a mailbox, memory that the others see:
//
//   epochs    [blocks]            how often block b of this member has run
//   flags     [blocks][members]   epoch in which that member's block b has come
//   staging   [2][blocks][slice]  what it brings, by the epoch's parity
//
// Block b of all members works on the same elements, [b * slice, ...):
//
//   copy own elements to own staging
//   tell every member:  its flags[b][self] = epoch     (release, system)
//   wait for every one: own flags[b][m] >= epoch       (acquire, system)
//   dst = reduce over m of staging of m
//
// Nobody waits at the end: a slice is written again two epochs later, when each
// member has come to the epoch in between, behind what it read in this one.
#ifndef TPCRT_COMM_CUDA_PEERKERNELS_H
#define TPCRT_COMM_CUDA_PEERKERNELS_H

#include "artifact/Module.h"

#include <string>

namespace tpcrt {

struct Mailbox {
  static constexpr uint32_t maxMembers = 8;
  static constexpr uint32_t blocks = 64;
  static constexpr uint32_t sliceBytes = 8 << 10;
  static constexpr uint64_t flags = blocks * sizeof(uint32_t);
  static constexpr uint64_t staging =
      flags + blocks * maxMembers * sizeof(uint32_t);
  static constexpr uint64_t bytes = staging + 2 * uint64_t(blocks) * sliceBytes;
  static constexpr uint32_t threads = 512; // of a block
};

/// The kernels of all types and reductions, for sm_80 and newer:
///   name(u64 src, u64 dst, u64 mailboxes, u32 self, u32 members, u64 count,
///        u64 abort)
/// `mailboxes`: a table of the members' addresses; `abort`: a word that ends
/// all waiting, and the kernel without a result, when it is not 0. As many
/// blocks as slices, which all members launch alike; a dst may be the src.
std::string peerKernels();
constexpr const char *peerFamily = "peer"; // of their names

} // namespace tpcrt

#endif // TPCRT_COMM_CUDA_PEERKERNELS_H
