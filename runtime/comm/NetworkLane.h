// The collectives of one set of devices that are not all on one host.
//
// All devices of the set run the same collectives in the same order, so one
// thread does them one after the other: it waits until all of the set's local
// devices have arrived, then moves bytes between processes and combines them.
// Lanes of different sets do not wait for each other.
//
// What is reduced is reduced in the order of the members from their own values,
// as among threads: the result is the same bit for bit. For all_reduce each
// process reduces a part of the elements (two rounds; the bytes of a ring), but
// for small ones all do everything (one round).
#ifndef TPCRT_COMM_NETWORKLANE_H
#define TPCRT_COMM_NETWORKLANE_H

#include "comm/Communicator.h"
#include "comm/DeviceDivision.h"
#include "comm/Network.h"

#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <queue>
#include <thread>

namespace tpcrt {

/// One collective of the lane, in this process.
struct LaneOp {
  const CollectiveOp *op = nullptr;
  std::vector<uint64_t> devices;      // by member index
  std::vector<uint32_t> ranks;        // by member index
  std::vector<size_t> local;          // members of this process
  std::vector<const std::byte *> src; // by member index; local ones
  std::vector<std::byte *> dst;
  std::vector<std::atomic<bool>> present;
  std::atomic<uint32_t> arrived{0};    // of the local members
  std::atomic<uint64_t> generation{0}; // how often it was done

  LaneOp(const CollectiveOp &op, std::vector<uint64_t> group,
         const DeviceDivision &division);
};

class NetworkLane {
public:
  /// `number` is the same in all processes and differs between lanes. `done` is
  /// called when an operation is done, `failed` when one cannot be.
  NetworkLane(uint32_t number, uint32_t rank, Network &network,
              std::function<void()> done, std::function<void(Error)> failed);
  /// The network has been aborted, or nothing is under way.
  ~NetworkLane();

  /// A local member has arrived.
  void arrive(LaneOp &op);

private:
  struct Run;
  void loop();
  Result<void> run(LaneOp &op);

  uint32_t number;
  uint32_t rank;
  Network &network;
  std::function<void()> done;
  std::function<void(Error)> failed;
  uint32_t sequence = 0; // of the lane's operations
  std::vector<std::byte> scratch;
  std::mutex mutex; // guards what follows
  std::condition_variable ready;
  std::queue<LaneOp *> queue;
  bool stopping = false;
  std::thread thread;
};

} // namespace tpcrt

#endif // TPCRT_COMM_NETWORKLANE_H
