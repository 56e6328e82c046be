#include "comm/NetworkLane.h"

#include "comm/Reduce.h"

#include <cstring>

using namespace tpcrt;

namespace {

/// Up to this many bytes of all members together, everyone sends everything.
constexpr uint64_t directBytes = 16 << 10;

} // namespace

LaneOp::LaneOp(const CollectiveOp &op, std::vector<uint64_t> group,
               const DeviceDivision &division)
    : op(&op), devices(std::move(group)), src(devices.size()),
      dst(devices.size()), present(devices.size()) {
  for (size_t i = 0; i < devices.size(); ++i) {
    ranks.push_back(division.rankOf(devices[i]));
    if (ranks.back() == division.rank)
      local.push_back(i);
  }
}

/// One operation under way: messages are collected for a round and exchanged
/// together. Member and element numbers as in the schema's CollectiveStep.
struct NetworkLane::Run {
  NetworkLane &lane;
  LaneOp &op;
  uint64_t tags; // of this operation begin here
  uint64_t elementSize = byteSize(op.op->type);
  uint64_t count = op.op->count;
  size_t members = op.devices.size();
  std::vector<Message> sends = {}, receives = {};

  bool isLocal(size_t member) const { return op.ranks[member] == lane.rank; }

  void send(uint32_t rank, const std::byte *data, uint64_t bytes,
            uint64_t tag) {
    if (bytes > 0)
      sends.push_back({rank, const_cast<std::byte *>(data), bytes, tags + tag});
  }
  void receive(uint32_t rank, std::byte *data, uint64_t bytes, uint64_t tag) {
    if (bytes > 0)
      receives.push_back({rank, data, bytes, tags + tag});
  }
  Result<void> exchange() {
    auto result = lane.network.exchange(sends, receives);
    sends.clear();
    receives.clear();
    return result;
  }

  /// The other processes with members, each once.
  std::vector<uint32_t> others() const {
    std::vector<uint32_t> result;
    for (uint32_t rank : op.ranks)
      if (rank != lane.rank &&
          std::find(result.begin(), result.end(), rank) == result.end())
        result.push_back(rank);
    return result;
  }

  std::byte *scratchOf(uint64_t bytes) {
    if (lane.scratch.size() < bytes)
      lane.scratch.resize(bytes);
    return lane.scratch.data();
  }

  /// The first local member's dst is complete: the others get the same.
  void copyToLocal(uint64_t bytes) {
    for (size_t member : op.local)
      if (member != op.local[0] && bytes > 0)
        std::memcpy(op.dst[member], op.dst[op.local[0]], bytes);
  }

  void reduce(std::byte *dst, const std::vector<const std::byte *> &srcs,
              uint64_t elements) {
    for (uint64_t e = 0; e < elements; e += reduceBlockSize)
      reduceBlock(op.op->type, op.op->reduction, dst + e * elementSize, srcs, e,
                  std::min<uint64_t>(reduceBlockSize, elements - e));
  }

  /// The border of part `part` of `parts` of the elements.
  uint64_t border(size_t part, size_t parts) const {
    return static_cast<uint64_t>((unsigned __int128)count * part / parts);
  }

  Result<void> allGather() {
    std::byte *first = op.dst[op.local[0]];
    uint64_t bytes = count * elementSize;
    for (size_t member = 0; member < members; ++member) {
      std::byte *to = first + member * bytes;
      if (!isLocal(member))
        receive(op.ranks[member], to, bytes, member);
      else if (bytes > 0)
        std::memcpy(to, op.src[member], bytes);
    }
    for (size_t member : op.local)
      for (uint32_t rank : others())
        send(rank, op.src[member], bytes, member);
    TPCRT_TRY(exchange());
    copyToLocal(members * bytes);
    return {};
  }

  /// Every process gets everything and reduces it.
  Result<void> allReduceDirect() {
    uint64_t bytes = count * elementSize;
    std::byte *gathered = scratchOf(members * bytes);
    std::vector<const std::byte *> srcs;
    for (size_t member = 0; member < members; ++member) {
      if (!isLocal(member))
        receive(op.ranks[member], gathered + member * bytes, bytes, member);
      srcs.push_back(isLocal(member) ? op.src[member]
                                     : gathered + member * bytes);
    }
    for (size_t member : op.local)
      for (uint32_t rank : others())
        send(rank, op.src[member], bytes, member);
    TPCRT_TRY(exchange());
    reduce(op.dst[op.local[0]], srcs, count);
    copyToLocal(bytes);
    return {};
  }

  /// Part p of the elements is reduced by process p of those that take part.
  Result<void> allReduceParted() {
    std::vector<uint32_t> processes = others();
    processes.push_back(lane.rank);
    std::sort(processes.begin(), processes.end());
    size_t parts = processes.size();
    size_t self = std::find(processes.begin(), processes.end(), lane.rank) -
                  processes.begin();
    uint64_t mine = border(self + 1, parts) - border(self, parts);
    uint64_t mineOffset = border(self, parts) * elementSize;
    std::byte *gathered = scratchOf(members * mine * elementSize);
    std::vector<const std::byte *> srcs;
    for (size_t member = 0; member < members; ++member) {
      std::byte *to = gathered + member * mine * elementSize;
      if (!isLocal(member))
        receive(op.ranks[member], to, mine * elementSize, member);
      srcs.push_back(isLocal(member) ? op.src[member] + mineOffset : to);
    }
    auto part = [&](size_t p, auto visit) {
      visit(processes[p], border(p, parts) * elementSize,
            (border(p + 1, parts) - border(p, parts)) * elementSize);
    };
    for (size_t p = 0; p < parts; ++p)
      if (p != self)
        part(p, [&](uint32_t rank, uint64_t offset, uint64_t bytes) {
          for (size_t member : op.local)
            send(rank, op.src[member] + offset, bytes, member);
        });
    TPCRT_TRY(exchange());
    // From here on src is not needed any more: it may be dst.
    std::byte *dst = op.dst[op.local[0]];
    reduce(dst + mineOffset, srcs, mine);
    for (size_t p = 0; p < parts; ++p)
      if (p != self)
        part(p, [&](uint32_t rank, uint64_t offset, uint64_t bytes) {
          send(rank, dst + mineOffset, mine * elementSize, members + self);
          receive(rank, dst + offset, bytes, members + p);
        });
    TPCRT_TRY(exchange());
    copyToLocal(count * elementSize);
    return {};
  }

  Result<void> reduceScatter() {
    uint64_t bytes = count * elementSize;
    std::byte *gathered = scratchOf(op.local.size() * members * bytes);
    auto place = [&](size_t localIndex, size_t member) {
      return gathered + (localIndex * members + member) * bytes;
    };
    for (size_t i = 0; i < op.local.size(); ++i)
      for (size_t member = 0; member < members; ++member)
        if (!isLocal(member))
          receive(op.ranks[member], place(i, member), bytes,
                  member * members + op.local[i]);
    for (size_t member : op.local)
      for (size_t to = 0; to < members; ++to)
        if (!isLocal(to))
          send(op.ranks[to], op.src[member] + to * bytes, bytes,
               member * members + to);
    TPCRT_TRY(exchange());
    for (size_t i = 0; i < op.local.size(); ++i) {
      std::vector<const std::byte *> srcs;
      for (size_t member = 0; member < members; ++member)
        srcs.push_back(isLocal(member) ? op.src[member] + op.local[i] * bytes
                                       : place(i, member));
      reduce(op.dst[op.local[i]], srcs, count);
    }
    return {};
  }

  /// Chunk `srcChunk` of one member goes to chunk `dstChunk` of another. Only
  /// local members have addresses.
  void move(size_t from, size_t srcChunk, size_t to, size_t dstChunk,
            uint64_t tag) {
    uint64_t bytes = count * elementSize;
    auto src = [&] { return op.src[from] + srcChunk * bytes; };
    auto dst = [&] { return op.dst[to] + dstChunk * bytes; };
    if (!isLocal(from))
      receive(op.ranks[from], dst(), bytes, tag);
    else if (!isLocal(to))
      send(op.ranks[to], src(), bytes, tag);
    else if (bytes > 0)
      std::memcpy(dst(), src(), bytes);
  }

  Result<void> allToAll() {
    for (size_t from = 0; from < members; ++from)
      for (size_t to = 0; to < members; ++to)
        if (isLocal(from) || isLocal(to))
          move(from, to, to, from, from * members + to);
    return exchange();
  }

  Result<void> permute() {
    for (size_t to = 0; to < members; ++to)
      if (size_t from = op.op->sources[to]; isLocal(from) || isLocal(to))
        move(from, 0, to, 0, to);
    return exchange();
  }

  Result<void> run() {
    switch (op.op->kind) {
    case CollectiveKind::AllReduce:
      return members * count * elementSize <= directBytes ? allReduceDirect()
                                                          : allReduceParted();
    case CollectiveKind::AllGather:
      return allGather();
    case CollectiveKind::ReduceScatter:
      return reduceScatter();
    case CollectiveKind::AllToAll:
      return allToAll();
    case CollectiveKind::Permute:
      return permute();
    }
    return {};
  }
};

NetworkLane::NetworkLane(uint32_t number, uint32_t rank, Network &network,
                         std::function<void()> done,
                         std::function<void(Error)> failed)
    : number(number), rank(rank), network(network), done(std::move(done)),
      failed(std::move(failed)), thread([this] { loop(); }) {}

NetworkLane::~NetworkLane() {
  {
    std::lock_guard lock(mutex);
    stopping = true;
  }
  ready.notify_one();
  thread.join();
}

void NetworkLane::arrive(LaneOp &op) {
  if (op.arrived.fetch_add(1) + 1 < op.local.size())
    return;
  op.arrived = 0;
  {
    std::lock_guard lock(mutex);
    queue.push(&op);
  }
  ready.notify_one();
}

void NetworkLane::loop() {
  while (true) {
    LaneOp *op;
    {
      std::unique_lock lock(mutex);
      ready.wait(lock, [&] { return stopping || !queue.empty(); });
      if (stopping)
        return;
      op = queue.front();
      queue.pop();
    }
    Result<void> result;
    try {
      result = run(*op);
    } catch (const std::exception &error) { // out of memory, for example
      result = fail("{}", error.what());
    }
    if (!result) {
      failed(std::move(result.error()));
      continue;
    }
    for (size_t member : op->local)
      op->present[member] = false;
    op->generation.fetch_add(1);
    done();
  }
}

/// A tag is 16 bits of lane, 16 of operation and 32 within the operation.
/// Neighbouring operations of a lane may be under way at the same time, in
/// different processes, but no more.
Result<void> NetworkLane::run(LaneOp &op) {
  uint64_t tags = uint64_t(number) << 48 | uint64_t(sequence++ & 0xffff) << 32;
  return Run{*this, op, tags}.run();
}
