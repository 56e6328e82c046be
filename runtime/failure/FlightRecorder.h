// The last collectives of every device of this process: what it was doing when
// something failed.
#ifndef TPCRT_FAILURE_FLIGHTRECORDER_H
#define TPCRT_FAILURE_FLIGHTRECORDER_H

#include "comm/Communicator.h"

#include <array>

namespace tpcrt {

class FlightRecorder {
public:
  using Clock = std::chrono::steady_clock;
  /// How many operations of each device are kept.
  static constexpr size_t kept = 256;

  struct Entry {
    uint64_t sequence = 0; // of the device's collectives, from 1
    const Program *program = nullptr;
    const Step *step = nullptr; // a CollectiveStep
    Clock::time_point started, ended;
    bool done = false;
  };

  FlightRecorder() = default;
  explicit FlightRecorder(uint64_t devices) : rings(devices) {}

  /// Of local device `device`; returns the operation's sequence number. Each
  /// device is used by one thread at a time.
  uint64_t started(uint64_t device, const Program &program, const Step &step);
  void ended(uint64_t device);
  /// The operation that the device waits in; null if it does not.
  const Entry *current(uint64_t device) const;

  /// `reason` with the operations that devices wait in; writes
  /// folder/rank-<rank>.json, if there is a folder, and says so.
  std::string report(const std::string &reason, const std::string &folder,
                     uint32_t rank, uint32_t size, uint64_t firstDevice) const;

private:
  Result<void> write(const std::string &folder, uint32_t rank, uint32_t size,
                     uint64_t firstDevice, std::string_view reason) const;

  struct Ring {
    std::array<Entry, kept> entries;
    uint64_t count = 0; // operations so far
  };
  std::vector<Ring> rings; // by local device
  Clock::time_point loaded = Clock::now();
};

/// "all_reduce 'mlp.down' at model.mlir:7"
std::string describeCollective(const Step &step);

} // namespace tpcrt

#endif // TPCRT_FAILURE_FLIGHTRECORDER_H
