// How devices exchange data. A communicator knows every collective of the
// loaded programs beforehand, and runs them while programs run:
//
//   add(operation), ...         while programs are planned
//   allocate(count, bytes)      memory that operations read and write
//   open()                      connects the members
//
//   begin()                     all devices of this process run
//   ticket = start(device, ..)  a device joins its group's next operation
//   poll(ticket)                Pending, Done or Failed; never blocks
//   waitForChange(..)           sleeps until some operation may have moved
//   finish(device)              the device has no more steps in this run
//   abort(error)                every operation fails with the error
//
// Buffers belong to the communicator from start until poll returns Done or
// Failed. Nothing waits without a limit: an operation that cannot complete
// fails, with an error that names it, where it comes from and who is missing.
#ifndef TPCRT_COMM_COMMUNICATOR_H
#define TPCRT_COMM_COMMUNICATOR_H

#include "artifact/Module.h"
#include "device/Buffer.h"
#include "tpcrt/ProcessGroup.h"

#include <chrono>
#include <memory>

namespace tpcrt {

/// One collective step, over all groups that its axes span.
struct CollectiveOp {
  CollectiveKind kind = CollectiveKind::AllReduce;
  Reduction reduction = Reduction::Sum;
  ElementType type = ElementType::F32;
  uint64_t count = 0;
  std::vector<AxisPart> axes;
  std::vector<uint32_t> sources; // permute: who a member receives from
  std::string name;              // of the operation, for errors
  std::string location;          // in the source program, for errors
  bool oneLaunch = false;        // see CollectiveStep::one_launch
};

class Communicator {
public:
  using Clock = std::chrono::steady_clock;
  enum class Status : uint8_t { Pending, Done, Failed };

  struct Ticket {
    uint32_t device = 0;
    uint32_t slot = 0;       // which group of which collective
    uint64_t generation = 0; // how often the slot was used before
  };

  virtual ~Communicator() = default;

  /// Makes a collective known; returns the number by which start names it.
  virtual uint32_t add(CollectiveOp op) = 0;

  /// `count` blocks of `bytes` for what operations read and write; other memory
  /// works as well, but may have to be copied. Once, after the last add.
  virtual Result<std::vector<Buffer>> allocate(uint64_t count, uint64_t bytes,
                                               std::string_view what);

  /// After all that; with several processes, all call it.
  virtual Result<void> open() = 0;

  /// Starts a run of this process's devices. Where all devices are in one
  /// process, an earlier failure is forgotten.
  virtual void begin() = 0;

  virtual Ticket start(uint32_t device, uint32_t collective, const void *src,
                       void *dst) = 0;
  virtual Status poll(const Ticket &ticket) = 0;
  virtual void finish(uint32_t device) = 0;

  /// Grows whenever an operation completes or fails.
  virtual uint64_t changes() const = 0;
  /// Returns when changes() differs from `seen`, at the latest at `deadline`.
  virtual void waitForChange(uint64_t seen, Clock::time_point deadline) = 0;

  /// Fails the operation that `ticket` waits for, because its deadline passed.
  virtual void expire(const Ticket &ticket,
                      std::chrono::milliseconds limit) = 0;
  virtual void abort(Error error) = 0;

  /// Whether an operation has failed since begin(); error() says why.
  virtual bool failed() const = 0;
  virtual Error error() const = 0;
};

struct DeviceBuffers {
  const void *src;
  void *dst;
};

/// Runs one collective by itself, on this process's devices, from `first` on.
Result<void> runCollective(Communicator &communicator, uint32_t collective,
                           uint32_t first,
                           const std::vector<DeviceBuffers> &devices,
                           std::chrono::milliseconds deadline);

/// Virtual devices in one process; the threads that poll do the work.
std::unique_ptr<Communicator> createThreadsCommunicator(Mesh mesh);

/// Virtual devices in several processes (see DeviceDivision): those of one host
/// share memory, the others use the network.
Result<std::unique_ptr<Communicator>>
createProcessCommunicator(Mesh mesh, std::shared_ptr<ProcessGroup> group,
                          Transport transport = Transport::Auto);

} // namespace tpcrt

#endif // TPCRT_COMM_COMMUNICATOR_H
