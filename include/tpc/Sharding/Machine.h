//===- Machine.h - What a device and its links can do -----------*- C++ -*-===//
//
// The constants of the cost model, as data: built in for machines that people
// have, or read from a file (docs/machines.md gives the format). Units are
// microseconds and bytes; rates are per microsecond, so that 1 GB/s is 1e3 and
// 1 TFLOP/s is 1e6.
//
//===----------------------------------------------------------------------===//

#ifndef TPC_SHARDING_MACHINE_H
#define TPC_SHARDING_MACHINE_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/Types.h"
#include "mlir/Support/LLVM.h"
#include <optional>
#include <string>
#include <vector>

namespace tpc {

/// One way in which a library carries out collectives over a link.
struct LinkAlgorithm {
  enum Kind {
    Ring,  ///< every collective; n-1 hops, all_reduce 2(n-1)
    Tree,  ///< all_reduce only; 2 log2(n) hops
    Switch ///< the switch adds up and copies: one hop, each byte sent once
  };
  std::string name; ///< "ring LL"
  Kind kind = Ring;
  double baseMicros = 0;
  double hopMicros = 0;
  double bytesPerMicro = 0;
};

/// What joins devices that are `devices` consecutive numbers apart at most:
/// [0, devices), [devices, 2 devices), ...
struct Link {
  std::string name; ///< "nvlink"
  /// 0: all devices.
  int64_t devices = 0;
  std::vector<LinkAlgorithm> algorithms;
};

struct Machine {
  std::string name;
  /// Virtual devices share one machine: every rate is that of all of them
  /// together.
  bool sharedByDevices = false;
  /// Operands are read while products are computed: an operation takes the
  /// longer of the two, else their sum.
  bool overlapsMemory = true;
  /// Operations per microsecond in matrix products, by type. i32 and the like
  /// are not products.
  double flopsF64 = 0, flopsF32 = 0, flops16 = 0;
  /// Reached when reading and writing device memory.
  double memoryBytesPerMicro = 0;
  /// What every operation costs besides.
  double operationMicros = 0;
  /// Memory of one device; nothing: not limited.
  std::optional<int64_t> memoryBytes;
  /// Innermost first; the last must join all devices.
  std::vector<Link> links;
};

/// Links of GPUs over which NCCL reaches `gbps` (GB/s) per device and direction
/// in large messages: NVLink, with switches that add up or without, PCIe, and
/// network adapters of each device.
Link nvlink(int64_t devices, double gbps, bool hasSwitchReduction);
Link pcie(int64_t devices, double gbps);
Link network(double gbps);

/// The built-in machine of this name, or null.
const Machine *findMachine(llvm::StringRef name);
/// "a100, b200, cpu, h100, h200"
std::string machineNames();

/// Reads a machine description; `error` says what is wrong with it and where.
mlir::FailureOr<Machine> readMachine(llvm::StringRef path, std::string &error);

/// A description that readMachine reads back.
std::string machineText(const Machine &machine);

/// A built-in machine by its name, or one from a file.
mlir::FailureOr<Machine> machineByNameOrFile(llvm::StringRef text,
                                             std::string &error);

/// The machine that a module names (`tpc.machine`), `cpu` by default. Emits an
/// error.
mlir::FailureOr<Machine> machineOf(mlir::ModuleOp module);

} // namespace tpc

#endif // TPC_SHARDING_MACHINE_H
