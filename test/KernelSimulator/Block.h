//===- Block.h - The threads of one block, as fibers ------------*- C++ -*-===//
//
// Runs a block's threads in a given order of warps, lets them meet at barriers
// and shuffles, and watches what they do to shared memory.
//
//===----------------------------------------------------------------------===//

#ifndef TPC_TEST_KERNELSIMULATOR_BLOCK_H
#define TPC_TEST_KERNELSIMULATOR_BLOCK_H

#include "Fiber.h"
#include "KernelSimulator.h"
#include <cstdint>
#include <functional>
#include <vector>

namespace tpc::simulator {

constexpr unsigned kWarp = 32;

/// One array in shared memory.
struct SharedArray {
  std::string name;
  std::byte *data;
  size_t bytes;
};

class Block {
public:
  using Kernel = void (*)(void *const *buffers);

  Block(unsigned threads, std::vector<SharedArray> shared, Order order);
  ~Block();
  Block(const Block &) = delete;

  /// Returns what is wrong, or an empty string.
  std::string run(unsigned number, Kernel kernel, void *const *buffers);

  /// The block whose thread runs now; what kernels call.
  static Block &current();
  unsigned thread() const { return running; }
  unsigned number() const { return blockNumber; }
  void barrier(const void *site);
  /// The value of the thread of the warp with number `source`.
  uint32_t shuffle(uint32_t mask, uint32_t value, uint32_t source,
                   const void *site);
  void accessShared(const std::byte *address, size_t bytes, bool writes);

private:
  enum class State { Ready, AtShuffle, AtBarrier, Done };
  struct Thread {
    Fiber fiber;
    State state = State::Ready;
    const void *site = nullptr; // where it waits
    uint32_t value = 0, source = 0;
  };
  /// Who touched a byte since the last barrier; -1: nobody.
  struct Access {
    int writer = -1, reader = -1;
    bool severalReaders = false;
  };

  static void enter();
  void wait(State state, const void *site);
  bool runWarp(unsigned warp);
  bool exchange(unsigned warp);
  bool passBarrier();
  bool fail(const std::string &message);
  std::vector<Access> &accessesOf(const std::byte *address, size_t &offset);

  std::vector<Thread> threads;
  std::vector<SharedArray> shared;
  std::vector<std::vector<Access>> accesses; // per array, per byte
  Order order;
  std::byte *stacks = nullptr;
  unsigned running = 0, blockNumber = 0;
  Kernel kernel = nullptr;
  void *const *buffers = nullptr;
  std::string problem;
};

} // namespace tpc::simulator

#endif // TPC_TEST_KERNELSIMULATOR_BLOCK_H
