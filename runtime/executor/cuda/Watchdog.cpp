#include "executor/cuda/Watchdog.h"

#include "support/Fail.h"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <thread>

using namespace tpcrt;

namespace {

using Clock = std::chrono::steady_clock;

/// How long streams may take to stop once their collectives are aborted.
constexpr std::chrono::milliseconds kAbortLimit{500};

/// Sleeps between two looks at the streams: shortly after the start not at all,
/// since a step of a decoder takes less than what a sleep adds.
class Pause {
public:
  void rest() {
    constexpr auto spinning = std::chrono::milliseconds(20);
    if (Clock::now() - start < spinning)
      std::this_thread::yield();
    else
      std::this_thread::sleep_for(std::chrono::microseconds(100));
  }

private:
  Clock::time_point start = Clock::now();
};

uint32_t reachedBy(const Buffer &word) {
  return __atomic_load_n(reinterpret_cast<const uint32_t *>(word.data()),
                         __ATOMIC_ACQUIRE);
}

} // namespace

Result<std::unique_ptr<Watchdog>>
Watchdog::create(const Module &module, const std::deque<CudaDevice> &devices,
                 StreamCommunicator *communicator,
                 std::chrono::milliseconds deadline,
                 const ProcessGroup *processes, FlightRecorder *recorder) {
  std::unique_ptr<Watchdog> watchdog(
      new Watchdog(devices, communicator, deadline, processes, recorder));
  if (!communicator)
    return watchdog;
  size_t steps = 0;
  for (const Program &program : module.programs)
    steps = std::max(steps, program.steps.size());
  std::vector<uint32_t> numbers(2 * steps + 1);
  std::iota(numbers.begin(), numbers.end(), 1);
  uint64_t bytes = numbers.size() * sizeof(uint32_t);
  for (const CudaDevice &device : devices) {
    Marks &marks = watchdog->marks.emplace_back();
    TPCRT_ASSIGN(marks.numbers, device.gpu->allocate(bytes, "step numbers"));
    TPCRT_ASSIGN(marks.reached,
                 device.gpu->allocatePinned(sizeof(uint32_t), "a mark"));
    std::memset(marks.reached.data(), 0, sizeof(uint32_t));
    TPCRT_ASSIGN(GpuScope scope, GpuScope::enter(*device.gpu));
    TPCRT_TRY(TPCRT_CU(device.gpu->driver(), cuMemcpyHtoD,
                       deviceAddress(marks.numbers), numbers.data(), bytes));
  }
  return watchdog;
}

Result<void> Watchdog::collectiveStarts(size_t step) {
  return mark(2 * step + 1);
}

Result<void> Watchdog::collectiveEnded(size_t step) {
  return recorder ? mark(2 * step + 2) : Result<void>();
}

Result<void> Watchdog::mark(uint32_t number) {
  for (size_t i = 0; i < marks.size(); ++i) {
    const CudaDevice &device = devices[i];
    TPCRT_ASSIGN(GpuScope scope, GpuScope::enter(*device.gpu));
    TPCRT_TRY(TPCRT_CU(
        device.gpu->driver(), cuMemcpyDtoHAsync, marks[i].reached.data(),
        deviceAddress(marks[i].numbers) + (number - 1) * sizeof(uint32_t),
        sizeof(uint32_t), device.stream.get()));
  }
  return {};
}

void Watchdog::follow(const Program &program, size_t device, uint32_t reached) {
  uint32_t from = std::exchange(marks[device].followed, reached);
  auto passes = [&](uint32_t mark) { return from < mark && mark <= reached; };
  for (size_t s = 0; s < program.steps.size(); ++s) {
    if (!std::holds_alternative<CollectiveStep>(program.steps[s].body))
      continue;
    if (passes(2 * s + 1))
      recorder->started(device, program, program.steps[s]);
    if (passes(2 * s + 2))
      recorder->ended(device);
  }
}

void Watchdog::follow(const Program &program) {
  for (size_t d = 0; recorder && d < marks.size(); ++d)
    if (uint32_t reached = reachedBy(marks[d].reached);
        reached > marks[d].followed)
      follow(program, d, reached);
}

std::string Watchdog::position(const Program *program) const {
  if (!program || marks.empty())
    return "";
  std::string text;
  for (size_t i = 0; i < marks.size(); ++i) {
    text += fmt::format("{}device {} ", text.empty() ? "" : ", ",
                        devices[i].number);
    uint32_t reached = reachedBy(marks[i].reached);
    if (reached == 0 || reached > 2 * program->steps.size()) {
      text += "before its first collective";
      continue;
    }
    const Step &step = program->steps[(reached - 1) / 2];
    text += fmt::format("{} collective '{}' ({})",
                        !recorder          ? "in or after"
                        : reached % 2 == 1 ? "in"
                                           : "after",
                        step.name, step.location);
  }
  return text;
}

Result<bool> Watchdog::poll(const Program *program) {
  bool idle = true;
  for (const CudaDevice &device : devices) {
    TPCRT_ASSIGN(GpuScope scope, GpuScope::enter(*device.gpu));
    CUresult result = device.gpu->driver().cuStreamQuery(device.stream.get());
    idle &= result == CUDA_SUCCESS;
    if (result != CUDA_SUCCESS && result != CUDA_ERROR_NOT_READY) {
      std::string where = position(program);
      return fail(
          "{}: device {} failed: {}{}{}", device.gpu->name(), device.number,
          device.gpu->driver().check(result, "cuStreamQuery").error().message,
          where.empty() ? "" : "; ", where);
    }
  }
  return idle;
}

void Watchdog::giveUp() {
  if (communicator)
    communicator->abort();
  bool stuck = std::ranges::any_of(
      devices, [](const CudaDevice &device) { return device.gpu->isStuck(); });
  for (auto end = Clock::now() + kAbortLimit; !stuck && Clock::now() < end;) {
    auto idle = poll(nullptr);
    if (!idle || *idle) // a GPU that failed runs nothing any more
      return;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  for (const CudaDevice &device : devices)
    device.gpu->setStuck();
}

Result<void> Watchdog::waitForStreams(const Program *program) {
  Pause pause;
  std::vector<uint32_t> seen;
  auto lastMoved = Clock::now();
  while (true) {
    Result<bool> idle = poll(program);
    if (program)
      follow(*program);
    if (!idle)
      return tl::unexpected(idle.error());
    if (*idle)
      return {};
    if (communicator)
      TPCRT_TRY(communicator->status());
    if (auto failure = processes ? processes->failure() : std::nullopt)
      return fail("{}; {}", failure->message, position(program));
    std::vector<uint32_t> reached;
    for (const Marks &mark : marks)
      reached.push_back(reachedBy(mark.reached));
    if (reached != seen) {
      seen = std::move(reached);
      lastMoved = Clock::now();
    }
    if (Clock::now() > lastMoved + deadline) {
      std::string where = position(program);
      return fail("expected the GPUs to move on, found nothing moving for "
                  "{} s{}{}; raise the timeout if a step takes this long",
                  double(deadline.count()) / 1000, where.empty() ? "" : ": ",
                  where);
    }
    pause.rest();
  }
}

Result<void> Watchdog::wait(const Program *program) {
  auto result = waitForStreams(program);
  for (Marks &mark : marks) {
    std::memset(mark.reached.data(), 0, sizeof(uint32_t));
    mark.followed = 0;
  }
  if (result)
    return {};
  giveUp();
  if (!program)
    return result;
  return fail("program '{}': {}", program->name, result.error().message);
}
