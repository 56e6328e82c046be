//===- Fiber.h - Threads that switch by themselves --------------*- C++ -*-===//
//
// A fiber has a stack of its own and runs until it gives control back.
// Switching is a dozen instructions; ucontext would make two system calls.
//
//===----------------------------------------------------------------------===//

#ifndef TPC_TEST_KERNELSIMULATOR_FIBER_H
#define TPC_TEST_KERNELSIMULATOR_FIBER_H

#include <cstddef>

namespace tpc::simulator {

class Fiber {
public:
  static constexpr size_t kStackBytes = 64 * 1024;

  /// `stack` has kStackBytes, aligned to 16. `entry` must not return: it gives
  /// back control for good.
  void prepare(std::byte *stack, void (*entry)());
  /// Runs the fiber until it calls `yield`.
  void resume() { swap(&caller, own); }
  /// Called on the fiber.
  void yield() { swap(&own, caller); }

private:
  static void swap(void **from, void *to);

  void *own = nullptr, *caller = nullptr; // stack pointers
};

} // namespace tpc::simulator

#endif // TPC_TEST_KERNELSIMULATOR_FIBER_H
