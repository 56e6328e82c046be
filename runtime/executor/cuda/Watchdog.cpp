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
                 const ProcessGroup *processes) {
  std::unique_ptr<Watchdog> watchdog(
      new Watchdog(devices, communicator, deadline, processes));
  if (!communicator)
    return watchdog;
  size_t steps = 0;
  for (const Program &program : module.programs)
    steps = std::max(steps, program.steps.size());
  std::vector<uint32_t> numbers(steps + 1);
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

Result<void> Watchdog::mark(size_t step) {
  for (size_t i = 0; i < marks.size(); ++i) {
    const CudaDevice &device = devices[i];
    TPCRT_ASSIGN(GpuScope scope, GpuScope::enter(*device.gpu));
    TPCRT_TRY(TPCRT_CU(
        device.gpu->driver(), cuMemcpyDtoHAsync, marks[i].reached.data(),
        deviceAddress(marks[i].numbers) + step * sizeof(uint32_t),
        sizeof(uint32_t), device.stream.get()));
  }
  return {};
}

std::string Watchdog::position(const Program *program) const {
  if (!program || marks.empty())
    return "";
  std::string text;
  for (size_t i = 0; i < marks.size(); ++i) {
    text += fmt::format("{}device {} ", text.empty() ? "" : ", ",
                        devices[i].number);
    uint32_t reached = reachedBy(marks[i].reached);
    if (reached == 0 || reached > program->steps.size()) {
      text += "before its first collective";
      continue;
    }
    const Step &step = program->steps[reached - 1];
    text += fmt::format("in or after collective '{}' ({})", step.name,
                        step.location);
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

Result<void> Watchdog::wait(const Program *program) {
  auto run = [&]() -> Result<void> {
    Pause pause;
    std::vector<uint32_t> seen;
    auto lastMoved = Clock::now();
    while (true) {
      TPCRT_ASSIGN(bool idle, poll(program));
      if (idle)
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
  };
  auto result = run();
  for (const Marks &mark : marks)
    std::memset(mark.reached.data(), 0, sizeof(uint32_t));
  if (result)
    return {};
  giveUp();
  if (!program)
    return result;
  return fail("program '{}': {}", program->name, result.error().message);
}
