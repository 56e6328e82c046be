//===- Block.cpp - The threads of one block, as fibers --------------------===//

#include "Block.h"
#include <cstring>
#include <sys/mman.h>

using namespace tpc::simulator;

static thread_local Block *currentBlock = nullptr;

Block &Block::current() { return *currentBlock; }

Block::Block(unsigned count, std::vector<SharedArray> arrays, Order order)
    : threads(count), shared(std::move(arrays)), order(order) {
  void *memory =
      ::mmap(nullptr, count * Fiber::kStackBytes, PROT_READ | PROT_WRITE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED)
    problem =
        "no memory for the stacks of " + std::to_string(count) + " threads";
  else
    stacks = static_cast<std::byte *>(memory);
}

Block::~Block() {
  if (stacks)
    ::munmap(stacks, threads.size() * Fiber::kStackBytes);
}

bool Block::fail(const std::string &message) {
  if (problem.empty())
    problem = "block " + std::to_string(blockNumber) + ": " + message;
  return false;
}

void Block::enter() {
  Block &block = *currentBlock;
  block.kernel(block.buffers);
  block.threads[block.running].state = State::Done;
  block.threads[block.running].fiber.yield();
}

std::string Block::run(unsigned number, Kernel entry, void *const *arguments) {
  if (!problem.empty())
    return problem;
  blockNumber = number;
  kernel = entry;
  buffers = arguments;
  accesses.clear();
  for (const SharedArray &array : shared) {
    // What is read before it is written is NaN.
    std::memset(array.data, 0xff, array.bytes);
    accesses.emplace_back(array.bytes);
  }
  for (size_t i = 0; i < threads.size(); ++i) {
    threads[i].state = State::Ready;
    threads[i].fiber.prepare(stacks + i * Fiber::kStackBytes, &Block::enter);
  }
  Block *outer = currentBlock;
  currentBlock = this;
  unsigned warps = (threads.size() + kWarp - 1) / kWarp;
  auto advance = [&] {
    for (unsigned i = 0; i < warps; ++i)
      if (runWarp(order == Order::LowestWarpFirst ? i : warps - 1 - i))
        return true;
    return problem.empty() && passBarrier();
  };
  while (problem.empty() && advance())
    ;
  currentBlock = outer;
  return problem;
}

/// Runs the warp until its threads wait or have ended; false if none can run.
bool Block::runWarp(unsigned warp) {
  unsigned begin = warp * kWarp;
  unsigned end = std::min<unsigned>(begin + kWarp, threads.size());
  bool ran = false;
  do {
    for (running = begin; running < end; ++running)
      if (threads[running].state == State::Ready) {
        threads[running].fiber.resume();
        ran = true;
      }
  } while (problem.empty() && exchange(warp));
  return ran;
}

/// Lets the warp's threads swap values if they stand at a shuffle.
bool Block::exchange(unsigned warp) {
  unsigned begin = warp * kWarp;
  unsigned end = std::min<unsigned>(begin + kWarp, threads.size());
  const Thread *waiting = nullptr;
  for (unsigned i = begin; i < end; ++i)
    if (threads[i].state == State::AtShuffle)
      waiting = &threads[i];
  if (!waiting)
    return false;
  if (end - begin != kWarp)
    return fail("a shuffle in a warp of " + std::to_string(end - begin) +
                " threads");
  uint32_t values[kWarp];
  for (unsigned i = begin; i < end; ++i) {
    if (threads[i].state != State::AtShuffle ||
        threads[i].site != waiting->site)
      return fail("thread " + std::to_string(waiting - threads.data()) +
                  " waits at a shuffle that thread " + std::to_string(i) +
                  " of the same warp does not reach");
    values[i - begin] = threads[i].value;
  }
  for (unsigned i = begin; i < end; ++i) {
    threads[i].value = values[threads[i].source];
    threads[i].state = State::Ready;
  }
  return true;
}

/// Called when no thread can run: all have ended, or all stand at one barrier.
bool Block::passBarrier() {
  const Thread *waiting = nullptr;
  for (const Thread &thread : threads)
    if (thread.state == State::AtBarrier)
      waiting = &thread;
  if (!waiting)
    return false;
  for (const Thread &thread : threads)
    if (thread.state != State::AtBarrier || thread.site != waiting->site)
      return fail("thread " + std::to_string(waiting - threads.data()) +
                  " waits at a barrier that thread " +
                  std::to_string(&thread - threads.data()) + " does not reach");
  for (Thread &thread : threads)
    thread.state = State::Ready;
  for (std::vector<Access> &array : accesses)
    array.assign(array.size(), Access());
  return true;
}

//===----------------------------------------------------------------------===//
// What kernels call
//===----------------------------------------------------------------------===//

void Block::wait(State state, const void *site) {
  Thread &thread = threads[running];
  thread.state = state;
  thread.site = site;
  thread.fiber.yield();
}

void Block::barrier(const void *site) { wait(State::AtBarrier, site); }

uint32_t Block::shuffle(uint32_t mask, uint32_t value, uint32_t source,
                        const void *site) {
  if (mask != ~0u || source >= kWarp)
    fail("a shuffle of a part of a warp, which the simulator does not know");
  unsigned self = running;
  threads[self].value = value;
  threads[self].source = source % kWarp;
  wait(State::AtShuffle, site);
  return threads[self].value;
}

void Block::accessShared(const std::byte *address, size_t bytes, bool writes) {
  for (size_t a = 0; a < shared.size(); ++a) {
    if (address < shared[a].data || address >= shared[a].data + shared[a].bytes)
      continue;
    size_t offset = address - shared[a].data;
    if (offset + bytes > shared[a].bytes)
      break;
    int self = running;
    for (size_t i = offset; i < offset + bytes; ++i) {
      Access &access = accesses[a][i];
      int other = -1;
      if (access.writer >= 0 && access.writer != self)
        other = access.writer;
      else if (writes && access.reader >= 0 &&
               (access.reader != self || access.severalReaders))
        other = access.reader;
      if (other >= 0) {
        fail("thread " + std::to_string(self) + " " +
             (writes ? "writes" : "reads") + " byte " + std::to_string(i) +
             " of " + shared[a].name + ", which thread " +
             std::to_string(other) + " accessed with no barrier in between");
        return;
      }
      if (writes)
        access.writer = self;
      access.severalReaders |=
          !writes && access.reader >= 0 && access.reader != self;
      if (!writes)
        access.reader = self;
    }
    return;
  }
  fail("thread " + std::to_string(running) +
       " accesses shared memory outside of all arrays");
}
