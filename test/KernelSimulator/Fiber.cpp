//===- Fiber.cpp - Threads that switch by themselves ----------------------===//

#include "Fiber.h"
#include <cstdint>
#include <cstring>

using namespace tpc::simulator;

// What a function must preserve goes to the stack that is left and comes from
// the one that is entered (System V ABI for x86-64, 3.2.1).
__attribute__((naked, noinline)) void Fiber::swap(void **, void *) {
  asm("pushq %rbp\n"
      "pushq %rbx\n"
      "pushq %r12\n"
      "pushq %r13\n"
      "pushq %r14\n"
      "pushq %r15\n"
      "movq %rsp, (%rdi)\n"
      "movq %rsi, %rsp\n"
      "popq %r15\n"
      "popq %r14\n"
      "popq %r13\n"
      "popq %r12\n"
      "popq %rbx\n"
      "popq %rbp\n"
      "retq\n");
}

void Fiber::prepare(std::byte *stack, void (*entry)()) {
  // Six registers and the address that `retq` takes; a function is entered with
  // a stack that is 8 bytes off a multiple of 16.
  constexpr size_t registers = 6;
  auto top = reinterpret_cast<uintptr_t>(stack + kStackBytes) - 16;
  auto *frame = reinterpret_cast<uintptr_t *>(top) - registers;
  std::memset(frame, 0, registers * sizeof(uintptr_t));
  frame[registers] = reinterpret_cast<uintptr_t>(entry);
  own = frame;
}
