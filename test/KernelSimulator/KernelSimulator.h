//===- KernelSimulator.h - CUDA kernels on the CPU --------------*- C++ -*-===//
//
// Runs the kernels of a tpc CUDA module without a GPU, on host memory: the code
// is the one that becomes PTX, every thread of a block is a fiber, blocks run
// one after the other.
//
// What it takes is an image that was compiled for the kind "sm_80-bitcode" (or
// another chip's): in the artifact it is a KernelImage whose isa is "sm_80" and
// whose bytes are LLVM bitcode ("BC\xC0\xDE...") where PTX would stand. So the
// runtime passes it to cuModuleLoadData like any other image, and a fake of
// that function calls `load`; a fake of cuLaunchKernel calls `launch`.
//
//   auto module = KernelModule::load(bytes, size, error);
//   error = module->launch("k0_exp", blocks, threads, buffers, order);
//
// Threads that wait for each other in a way that a GPU does not allow are
// reported: a barrier that some threads of the block do not reach, a shuffle
// that some threads of the warp do not reach. Accesses of shared memory that no
// barrier orders are reported too: a read or write of a byte that another
// thread wrote, or a write of one that another thread read, since the last
// barrier.
//
// Not covered: instruction selection for PTX, ptxas, time.
//
//===----------------------------------------------------------------------===//

#ifndef TPC_TEST_KERNELSIMULATOR_H
#define TPC_TEST_KERNELSIMULATOR_H

#include <cstddef>
#include <memory>
#include <string>

namespace tpc::simulator {

/// Which warp goes on when several can. Where the result depends on it, the
/// kernel is wrong: run both.
enum class Order { LowestWarpFirst, HighestWarpFirst };

class KernelModule {
public:
  /// Null, with `error` set, where the bytes are no such image.
  static std::unique_ptr<KernelModule> load(const void *bytes, size_t size,
                                            std::string &error);
  ~KernelModule();

  /// The number of buffers of a kernel; -1 if there is no such kernel.
  int numBuffers(const std::string &symbol) const;

  /// Runs a kernel to its end; `buffers` are host addresses, aligned as on a
  /// device. Returns what is wrong, or an empty string. Calls from several
  /// threads wait for each other.
  std::string launch(const std::string &symbol, unsigned blocks,
                     unsigned threads, void *const *buffers,
                     Order order = Order::LowestWarpFirst);

private:
  struct Impl;
  explicit KernelModule(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl;
};

} // namespace tpc::simulator

#endif // TPC_TEST_KERNELSIMULATOR_H
