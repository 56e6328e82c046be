#include "conformance/CommunicatorConformance.h"

#include "support/Fail.h"
#include "support/Float16.h"

#include <algorithm>
#include <cstring>
#include <thread>

using namespace tpcrt;

namespace {

// ------------------------------------------------------------- elements --

void storeElement(ElementType type, std::byte *at, int value) {
  auto put = [&](auto stored) { std::memcpy(at, &stored, sizeof(stored)); };
  switch (type) {
  case ElementType::F32:
    return put(float(value));
  case ElementType::F64:
    return put(double(value));
  case ElementType::BF16:
    return put(BFloat16(float(value)));
  case ElementType::F16:
    return put(Half(float(value)));
  case ElementType::I32:
    return put(int32_t(value));
  case ElementType::I64:
    return put(int64_t(value));
  case ElementType::Bool:
    return put(uint8_t(value != 0));
  }
}

int loadElement(ElementType type, const std::byte *at) {
  auto get = [&]<class T>(T value) {
    std::memcpy(&value, at, sizeof(T));
    return value;
  };
  switch (type) {
  case ElementType::F32:
    return int(get(float()));
  case ElementType::F64:
    return int(get(double()));
  case ElementType::BF16:
    return int(float(get(BFloat16())));
  case ElementType::F16:
    return int(float(get(Half())));
  case ElementType::I32:
    return get(int32_t());
  case ElementType::I64:
    return int(get(int64_t()));
  case ElementType::Bool:
    return get(uint8_t());
  }
  return 0;
}

/// What device `device` puts at `index` of its src in operation `op`.
int inputValue(ElementType type, size_t op, uint64_t device, uint64_t index,
               unsigned round) {
  uint64_t hash = (op + 1) * 0x9e3779b97f4a7c15u +
                  device * 0xc2b2ae3d27d4eb4fu + index * 0x165667b19e3779f9u +
                  round;
  hash ^= hash >> 29;
  hash *= 0xbf58476d1ce4e5b9u;
  hash ^= hash >> 32;
  return type == ElementType::Bool ? int(hash % 4 == 0) : int(hash % 17) - 8;
}

// ------------------------------------------------------------- expected --

/// The devices of a group, found without the runtime's own placement code: by
/// going through all devices and comparing coordinates.
std::vector<uint64_t> plainGroup(const Mesh &mesh,
                                 const std::vector<AxisPart> &axes,
                                 uint64_t device) {
  // The position of a device along each axis, and along a part of it.
  auto along = [&](uint64_t d, size_t axis) {
    for (size_t i = mesh.axes.size(); i-- > axis + 1;)
      d /= mesh.axes[i].size;
    return d % mesh.axes[axis].size;
  };
  auto alongPart = [&](uint64_t d, const AxisPart &part) {
    uint64_t minor = mesh.axes[part.axis].size / (part.pre * part.size);
    return along(d, part.axis) / minor % part.size;
  };
  // What is left of the position along an axis without the group's parts.
  auto rest = [&](uint64_t d, size_t axis) {
    uint64_t position = along(d, axis);
    for (const AxisPart &part : axes)
      if (part.axis == axis) {
        uint64_t minor = mesh.axes[axis].size / (part.pre * part.size);
        position -= alongPart(d, part) * minor;
      }
    return position;
  };
  std::vector<std::pair<std::vector<uint64_t>, uint64_t>> members;
  for (uint64_t other = 0; other < mesh.numDevices(); ++other) {
    bool same = true;
    for (size_t axis = 0; axis < mesh.axes.size(); ++axis)
      same &= rest(other, axis) == rest(device, axis);
    std::vector<uint64_t> position;
    for (const AxisPart &part : axes)
      position.push_back(alongPart(other, part));
    if (same)
      members.push_back({position, other});
  }
  std::sort(members.begin(), members.end());
  std::vector<uint64_t> group;
  for (auto &[position, member] : members)
    group.push_back(member);
  return group;
}

int reducePlain(const CollectiveOp &op, int a, int b) {
  if (op.reduction == Reduction::Min)
    return std::min(a, b);
  if (op.reduction == Reduction::Max || op.type == ElementType::Bool)
    return std::max(a, b);
  return a + b;
}

/// Element `index` of the dst of member `self`, where src(member, i) is element
/// i of a member's src.
template <class Src>
int expectedValue(const CollectiveOp &op, size_t members, size_t self,
                  uint64_t index, Src src) {
  auto reduced = [&](uint64_t i) {
    int value = src(0, i);
    for (size_t member = 1; member < members; ++member)
      value = reducePlain(op, value, src(member, i));
    return value;
  };
  switch (op.kind) {
  case CollectiveKind::AllReduce:
    return reduced(index);
  case CollectiveKind::ReduceScatter:
    return reduced(self * op.count + index);
  case CollectiveKind::AllGather:
    return src(index / op.count, index % op.count);
  case CollectiveKind::AllToAll:
    return src(index / op.count, self * op.count + index % op.count);
  case CollectiveKind::Permute:
    return src(op.sources[self], index);
  }
  return 0;
}

// ------------------------------------------------------------------ run --

constexpr uint64_t alignment = 64;

uint64_t aligned(uint64_t bytes) {
  return (bytes + alignment - 1) / alignment * alignment;
}

uint64_t srcBytes(const CollectiveOp &op) {
  return op.count * srcMultiple(op.kind, groupSize(op.axes)) *
         byteSize(op.type);
}
uint64_t dstBytes(const CollectiveOp &op) {
  return op.count * dstMultiple(op.kind, groupSize(op.axes)) *
         byteSize(op.type);
}

/// The communicators of a mesh, with memory for every device.
class Rig {
public:
  static Result<Rig> open(const CommunicatorFactory &factory,
                          const ConformanceCase &test, Placing placing) {
    Rig rig;
    TPCRT_ASSIGN(rig.communicators, factory(test.mesh));
    rig.perProcess = test.mesh.numDevices() / rig.communicators.size();
    uint64_t bytes = alignment;
    for (const CollectiveOp &op : test.ops)
      bytes = std::max(bytes, aligned(srcBytes(op)) + dstBytes(op));
    std::vector<std::vector<Buffer>> blocks(rig.communicators.size());
    TPCRT_TRY(inParallel(rig.communicators.size(), [&](size_t i) {
      return rig.openOne(i, test, placing, bytes, blocks[i]);
    }));
    for (std::vector<Buffer> &mine : blocks)
      std::move(mine.begin(), mine.end(), std::back_inserter(rig.memory));
    return rig;
  }

  Communicator &of(uint32_t device) {
    return *communicators[device / perProcess];
  }
  std::byte *memoryOf(uint32_t device) { return memory[device].data(); }
  void begin() {
    for (auto &communicator : communicators)
      communicator->begin();
  }

  /// Runs body(i) for each i on a thread of its own; the first error.
  template <class Body>
  static Result<void> inParallel(size_t count, Body body) {
    std::vector<Result<void>> results(count);
    std::vector<std::thread> threads;
    for (size_t i = 0; i < count; ++i)
      threads.emplace_back([&, i] { results[i] = body(i); });
    for (std::thread &thread : threads)
      thread.join();
    for (Result<void> &result : results)
      TPCRT_TRY(std::move(result));
    return {};
  }

private:
  Result<void> openOne(size_t index, const ConformanceCase &test,
                       Placing placing, uint64_t bytes,
                       std::vector<Buffer> &blocks) {
    Communicator &communicator = *communicators[index];
    for (const CollectiveOp &op : test.ops)
      communicator.add(op);
    if (placing == Placing::Allocated) {
      TPCRT_ASSIGN(blocks,
                   communicator.allocate(perProcess, bytes, "the test"));
    } else {
      for (uint64_t i = 0; i < perProcess; ++i) {
        TPCRT_ASSIGN(Buffer block, Buffer::allocate(bytes, "the test"));
        blocks.push_back(std::move(block));
      }
    }
    return communicator.open();
  }

  std::vector<Buffer> memory; // by device; freed after the communicators
  Communicators communicators;
  uint64_t perProcess = 1;
};

struct DeviceRun {
  const ConformanceCase &test;
  Rig &rig;
  uint32_t device;
  unsigned round;
  Communicator &communicator = rig.of(device);

  Result<void> runAll() {
    for (size_t op = 0; op < test.ops.size(); ++op)
      if (auto result = runOne(op); !result) {
        communicator.abort(result.error()); // nobody needs to wait for us
        return result;
      }
    communicator.finish(device);
    return {};
  }

  Result<void> runOne(size_t index) {
    const CollectiveOp &op = test.ops[index];
    size_t elementSize = byteSize(op.type);
    std::vector<uint64_t> group = plainGroup(test.mesh, op.axes, device);
    uint64_t srcCount = op.count * srcMultiple(op.kind, group.size());
    uint64_t dstCount = op.count * dstMultiple(op.kind, group.size());
    std::byte *src = rig.memoryOf(device);
    std::byte *dst = src;
    if (!test.inPlace) {
      dst += aligned(srcCount * elementSize);
      std::memset(dst, 0x5a, dstCount * elementSize);
    }
    for (uint64_t i = 0; i < srcCount; ++i)
      storeElement(op.type, src + i * elementSize,
                   inputValue(op.type, index, device, i, round));

    TPCRT_TRY(runToEnd(index, src, dst));
    size_t self = std::find(group.begin(), group.end(), device) - group.begin();
    auto srcOf = [&](size_t member, uint64_t i) {
      return inputValue(op.type, index, group[member], i, round);
    };
    for (uint64_t i = 0; i < dstCount; ++i) {
      int expected = expectedValue(op, group.size(), self, i, srcOf);
      int found = loadElement(op.type, dst + i * elementSize);
      if (expected != found)
        return fail("{}: operation {} ({} of {}), round {}, device {}, element "
                    "{}: expected {}, found {}",
                    test.name, index, collectiveName(op.kind),
                    typeName(op.type), round, device, i, expected, found);
    }
    return {};
  }

  Result<void> runToEnd(uint32_t op, const void *src, void *dst) {
    return waitFor(communicator.start(device, op, src, dst));
  }

  Result<void> waitFor(const Communicator::Ticket &ticket) {
    auto deadline = Communicator::Clock::now() + std::chrono::seconds(30);
    while (true) {
      uint64_t seen = communicator.changes();
      switch (communicator.poll(ticket)) {
      case Communicator::Status::Done:
        return {};
      case Communicator::Status::Failed:
        return tl::unexpected(communicator.error());
      case Communicator::Status::Pending:
        if (Communicator::Clock::now() > deadline)
          communicator.expire(ticket, std::chrono::seconds(30));
        communicator.waitForChange(seen, deadline);
      }
    }
  }
};

// ---------------------------------------------------------------- cases --

CollectiveOp makeOp(CollectiveKind kind, Reduction reduction, ElementType type,
                    uint64_t count, std::vector<AxisPart> axes) {
  CollectiveOp op{kind, reduction, type, count, std::move(axes), {}, "op", ""};
  op.oneLaunch = kind == CollectiveKind::AllReduce;
  uint64_t members = groupSize(op.axes);
  for (uint64_t i = 0; kind == CollectiveKind::Permute && i < members; ++i)
    op.sources.push_back((i * 3 + 1) % members);
  return op;
}

std::vector<CollectiveOp> allKinds(ElementType type, uint64_t count,
                                   const std::vector<AxisPart> &axes) {
  std::vector<CollectiveOp> ops;
  for (auto kind : {CollectiveKind::AllReduce, CollectiveKind::ReduceScatter})
    for (auto reduction : {Reduction::Sum, Reduction::Max, Reduction::Min})
      ops.push_back(makeOp(kind, reduction, type, count, axes));
  for (auto kind : {CollectiveKind::AllGather, CollectiveKind::AllToAll,
                    CollectiveKind::Permute})
    ops.push_back(makeOp(kind, Reduction::Sum, type, count, axes));
  return ops;
}

void append(std::vector<CollectiveOp> &ops, std::vector<CollectiveOp> more) {
  ops.insert(ops.end(), more.begin(), more.end());
}

} // namespace

std::vector<ConformanceCase> tpcrt::conformanceCases() {
  std::vector<ConformanceCase> cases;
  for (unsigned t = 0; t < numElementTypes; ++t) {
    auto type = static_cast<ElementType>(t);
    ConformanceCase test{
        fmt::format("types_{}", typeName(type)), {"mesh", {{"x", 4}}}, {}};
    for (uint64_t count : {0, 1, 7, 1023, 3000})
      append(test.ops, allKinds(type, count, {{0, 1, 4}}));
    cases.push_back(std::move(test));
  }
  for (uint32_t members = 1; members <= 8; ++members)
    cases.push_back({fmt::format("members_{}", members),
                     {"mesh", {{"x", members}}},
                     allKinds(ElementType::F32, 100, {{0, 1, members}})});

  ConformanceCase large{"large", {"mesh", {{"x", 4}}}, {}};
  append(large.ops, allKinds(ElementType::F32, 300001, {{0, 1, 4}}));
  append(large.ops, allKinds(ElementType::BF16, 100003, {{0, 1, 4}}));
  cases.push_back(std::move(large));
  constexpr uint64_t largest = 16 << 20; // 64 MB
  cases.push_back({"largest",
                   {"mesh", {{"x", 2}}},
                   {makeOp(CollectiveKind::AllReduce, Reduction::Sum,
                           ElementType::F32, largest, {{0, 1, 2}})},
                   /*inPlace=*/true,
                   /*rounds=*/1});

  // Groups along one axis run beside each other; axis orders and sub-axes give
  // different member orders on the same devices.
  ConformanceCase groups{"groups", {"mesh", {{"dp", 2}, {"tp", 4}}}, {}};
  const std::vector<AxisPart> dp{{0, 1, 2}}, tp{{1, 1, 4}}, none{};
  const std::vector<AxisPart> both{{0, 1, 2}, {1, 1, 4}},
      swapped{{1, 1, 4}, {0, 1, 2}};
  const std::vector<AxisPart> major{{1, 1, 2}}, minor{{1, 2, 2}};
  const std::vector<AxisPart> mixed{{1, 2, 2}, {0, 1, 2}},
      reversed{{1, 2, 2}, {1, 1, 2}};
  for (const auto &axes :
       {dp, tp, none, both, swapped, major, minor, mixed, reversed})
    append(groups.ops, allKinds(ElementType::F32, 50, axes));
  cases.push_back(std::move(groups));

  ConformanceCase inPlace{"in_place", {"mesh", {{"x", 6}}}, {}, true};
  for (uint64_t count : {1, 5000, 400000})
    for (auto type : {ElementType::F32, ElementType::BF16, ElementType::I64})
      inPlace.ops.push_back(makeOp(CollectiveKind::AllReduce, Reduction::Sum,
                                   type, count, {{0, 1, 6}}));
  cases.push_back(std::move(inPlace));
  return cases;
}

Result<void> tpcrt::runCase(const CommunicatorFactory &factory,
                            const ConformanceCase &test, Placing placing) {
  TPCRT_ASSIGN(Rig rig, Rig::open(factory, test, placing));
  for (unsigned round = 0; round < test.rounds; ++round) {
    rig.begin();
    TPCRT_TRY(Rig::inParallel(test.mesh.numDevices(), [&](uint32_t device) {
      return DeviceRun{test, rig, device, round}.runAll();
    }));
  }
  return {};
}

namespace {

ConformanceCase failureCase() {
  ConformanceCase test{"failures", {"mesh", {{"x", 4}}}, {}};
  test.ops = {makeOp(CollectiveKind::AllReduce, Reduction::Sum,
                     ElementType::F32, 10, {{0, 1, 4}})};
  test.ops[0].name = "broken";
  test.ops[0].location = "model.mlir:7";
  return test;
}

/// Device 2 does not join; `device2` is what it does instead. Device 1 decides
/// that it has waited long enough if `expires`.
template <class Device2>
Result<void> checkFailure(const ConformanceCase &test, Rig &rig, bool expires,
                          Device2 device2) {
  auto start = Communicator::Clock::now();
  std::atomic<int> joined{0};
  rig.begin();
  auto result = Rig::inParallel(4, [&](uint32_t device) -> Result<void> {
    DeviceRun run{test, rig, device, 0};
    if (device == 2) {
      device2(run.communicator);
      return {};
    }
    std::byte *data = rig.memoryOf(device);
    auto ticket = run.communicator.start(device, 0, data, data);
    ++joined;
    if (device == 1 && expires) {
      while (joined < 3)
        std::this_thread::yield();
      // Time for what the others sent to arrive.
      std::this_thread::sleep_for(std::chrono::milliseconds(500));
      run.communicator.expire(ticket, std::chrono::milliseconds(1));
      // With several processes the news come back from the group.
      for (auto seen = run.communicator.changes(); !run.communicator.failed();
           seen = run.communicator.changes())
        run.communicator.waitForChange(seen, start + std::chrono::seconds(5));
      return tl::unexpected(run.communicator.error());
    }
    return run.waitFor(ticket);
  });
  if (result)
    return fail("expected an error when device 2 does not join");
  for (std::string_view part : {"broken", "model.mlir:7", "2"})
    if (result.error().message.find(part) == std::string::npos)
      return fail("expected '{}' in the error, found '{}'", part,
                  result.error().message);
  if (Communicator::Clock::now() - start > std::chrono::seconds(5))
    return fail("expected the failure at once");
  return {};
}

} // namespace

Result<void> tpcrt::checkExpiry(const CommunicatorFactory &factory) {
  ConformanceCase test = failureCase();
  TPCRT_ASSIGN(Rig rig, Rig::open(factory, test, Placing::Allocated));
  return checkFailure(test, rig, /*expires=*/true, [](Communicator &) {});
}

Result<void> tpcrt::checkRecovery(const CommunicatorFactory &factory) {
  ConformanceCase test = failureCase();
  TPCRT_ASSIGN(Rig rig, Rig::open(factory, test, Placing::Allocated));
  TPCRT_TRY(
      checkFailure(test, rig, /*expires=*/false,
                   [](Communicator &communicator) { communicator.finish(2); }));
  rig.begin();
  return Rig::inParallel(4, [&](uint32_t device) {
    return DeviceRun{test, rig, device, 0}.runAll();
  });
}
