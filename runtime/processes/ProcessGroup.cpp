// What a process asks of its group: to meet, exchange, fail, end. Waiting is
// here; what is waited for changes in Member, by the thread of Monitor.
#include "tpcrt/ProcessGroup.h"
#include "processes/Describe.h"
#include "processes/FileExchange.h"
#include "processes/Host.h"
#include "processes/Monitor.h"
#include "support/Fail.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <sys/eventfd.h>

using namespace tpcrt;
using namespace tpcrt::protocol;
using std::chrono::milliseconds;
using Clock = Coordinator::Clock;

/// Rank 0 says who is missing; who does not hear from it in this time after
/// that names rank 0.
static constexpr milliseconds leaderGrace(500);
/// How long rank 0 tells late processes why the group has failed before it was
/// complete.
static constexpr milliseconds lingering(1000);
/// How long rank 0 tries to listen where another process still does.
static constexpr milliseconds portPatience(2000);

struct ProcessGroup::Impl {
  using Limit = ProcessGroup::Limit;
  uint32_t rank, size;
  std::string address; // of this process
  GroupOptions options;
  std::unique_ptr<Monitor> monitor;
  std::vector<ProcessInfo> processes;
  std::mutex calls; // one at a time
  bool closed = false;

  Result<void> meet(Clock::time_point end);
  Result<std::vector<std::string>>
  exchange(std::string call, std::string_view blob, Limit limit = {});
};

static uint32_t millis32(milliseconds time) {
  return uint32_t(std::clamp<int64_t>(time.count(), 0, UINT32_MAX));
}

static Result<File> makeEvent() {
  File event(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!event)
    return fail("cannot make an event: {}", std::strerror(errno));
  return event;
}

static Result<File> openListener(const LaunchSettings &settings,
                                 Clock::time_point end) {
  if (settings.listener)
    if (auto listener = adoptListener(*settings.listener, settings.port))
      return std::move(*listener);
  end = std::min(end, Clock::now() + portPatience);
  while (true) {
    auto listener = listenAt(settings.address, settings.port);
    if (listener)
      return listener;
    if (Clock::now() >= end)
      return fail("rank 0 {}; give another port, or end who uses it",
                  listener.error().message);
    std::this_thread::sleep_for(milliseconds(50));
  }
}

static Result<void> checkSettings(const LaunchSettings &settings,
                                  const GroupOptions &options) {
  if (settings.rank >= settings.size)
    return fail("expected a rank below the number of processes, found rank {} "
                "of {}",
                settings.rank, settings.size);
  if (settings.token.size() > maxTextBytes ||
      options.fingerprint.size() > maxTextBytes)
    return fail("expected a token and a fingerprint of at most {} bytes, found "
                "{} and {}",
                maxTextBytes, settings.token.size(),
                options.fingerprint.size());
  return {};
}

/// Waits until all are here.
Result<void> ProcessGroup::Impl::meet(Clock::time_point end) {
  std::unique_lock lock(monitor->mutex);
  const Member &state = monitor->state();
  auto decided = [&] { return state.failure() || !state.processes().empty(); };
  if (!monitor->changed.wait_until(lock, end + leaderGrace, decided))
    monitor->failHere(0, state.leader() + " does not answer");
  processes = state.processes();
  if (!processes.empty()) // what fails after that is for the next call
    return {};
  // Who comes later should hear why; who did not come in time will not.
  if (Clock::now() < end)
    monitor->changed.wait_for(lock, lingering, [&] {
      return rank != 0 || (monitor->allCame() && monitor->allSent());
    });
  return makeError(state.failure()->message);
}

Result<std::shared_ptr<ProcessGroup>>
ProcessGroup::connect(LaunchSettings settings, GroupOptions options) {
  TPCRT_TRY(checkSettings(settings, options));
  auto begin = Clock::now();
  auto end = begin + options.startTimeout;
  TPCRT_ASSIGN(File wake, makeEvent());
  TPCRT_ASSIGN(File failed, makeEvent());
  ProcessInfo process = describeThisProcess(settings.rank);
  auto impl = std::make_unique<Impl>();
  impl->rank = settings.rank;
  impl->size = settings.size;
  impl->options = options;
  impl->address = settings.address;
  if (settings.rank == 0) {
    File listener;
    if (settings.size > 1) {
      TPCRT_ASSIGN(listener, openListener(settings, end));
    }
    Coordinator coordinator({settings.size, settings.token, options.fingerprint,
                             addressText(settings.address, settings.port),
                             process, begin, options.startTimeout});
    impl->monitor = std::make_unique<Monitor>(
        std::move(coordinator), std::move(listener), std::move(wake),
        std::move(failed), settings.size, options.timeout);
  } else {
    Hello hello{version,        settings.size,       0,
                settings.token, options.fingerprint, process};
    TPCRT_ASSIGN(Joined joined, join(settings, std::move(hello), end));
    TPCRT_ASSIGN(impl->address, localHost(joined.connection.descriptor()));
    impl->monitor = std::make_unique<Monitor>(
        std::move(joined), std::move(wake), std::move(failed), settings.size,
        options.timeout);
  }
  TPCRT_TRY(impl->meet(end));
  return std::shared_ptr<ProcessGroup>(new ProcessGroup(std::move(impl)));
}

ProcessGroup::ProcessGroup(std::unique_ptr<Impl> impl)
    : impl(std::move(impl)) {}
ProcessGroup::~ProcessGroup() = default;

uint32_t ProcessGroup::rank() const { return impl->rank; }
uint32_t ProcessGroup::size() const { return impl->size; }
uint32_t ProcessGroup::hostSize() const {
  const std::string &host = impl->processes[impl->rank].hostKey;
  return std::ranges::count(impl->processes, host, &ProcessInfo::hostKey);
}
const std::string &ProcessGroup::localAddress() const { return impl->address; }
const GroupOptions &ProcessGroup::options() const { return impl->options; }
const std::vector<ProcessInfo> &ProcessGroup::processes() const {
  return impl->processes;
}

/// The failure as the error of a call, which it may name itself.
static tl::unexpected<Error> failed(const std::string &call,
                                    const PeerFailure &failure) {
  if (failure.message.find(call) != std::string::npos)
    return makeError(failure.message);
  return fail("{}: {}", call, failure.message);
}

Result<std::vector<std::string>>
ProcessGroup::Impl::exchange(std::string call, std::string_view blob,
                             Limit limit) {
  milliseconds timeout = limit.value_or(options.timeout);
  if (call.size() > maxTextBytes)
    return fail("expected a name of at most {} bytes, found {}", maxTextBytes,
                call.size());
  if (blob.size() > maxBlobBytes)
    return fail("{}: expected at most {} bytes, found {}", call, maxBlobBytes,
                blob.size());
  std::unique_lock lock(monitor->mutex);
  if (closed)
    return fail("{}: the group of processes is closed", call);
  Member &state = monitor->state();
  if (state.failure())
    return failed(call, *state.failure());
  monitor->send(state.open(call, blob, millis32(timeout)));
  auto decided = [&] { return state.failure() || state.complete(); };
  if (!monitor->changed.wait_for(lock, timeout + leaderGrace, decided))
    monitor->failHere(0, fmt::format("{} does not answer for {}",
                                     state.leader(), describe(timeout)));
  if (!state.complete())
    return failed(call, *state.failure());
  return state.takeParts();
}

Result<std::vector<std::string>> ProcessGroup::exchange(std::string_view what,
                                                        std::string_view blob,
                                                        Limit limit) {
  std::lock_guard lock(impl->calls);
  return impl->exchange(fmt::format("exchange '{}'", what), blob, limit);
}

Result<void> ProcessGroup::barrier(std::string_view what, Limit limit) {
  std::lock_guard lock(impl->calls);
  TPCRT_TRY(impl->exchange(fmt::format("barrier '{}'", what), {}, limit));
  return {};
}

Result<void> ProcessGroup::agree(std::string_view what,
                                 std::string_view fingerprint, Limit limit) {
  std::lock_guard lock(impl->calls);
  std::string call = fmt::format("agree '{}'", what);
  TPCRT_ASSIGN(auto all, impl->exchange(call, fingerprint, limit));
  std::vector<uint32_t> other;
  for (uint32_t rank = 0; rank < all.size(); ++rank)
    if (all[rank] != all[0])
      other.push_back(rank);
  if (other.empty())
    return {};
  constexpr size_t shown = 200;
  return fail("{}: expected the same in all processes, but rank 0 has '{}' and "
              "{} '{}'",
              call, all[0].substr(0, shown),
              other.size() == 1 ? fmt::format("rank {} has", other[0])
                                : describeRanks(other) + " have, the first of "
                                                         "them,",
              all[other[0]].substr(0, shown));
}

Result<std::vector<int>> ProcessGroup::exchangeFiles(std::string_view what,
                                                     int file) {
  std::lock_guard lock(impl->calls);
  std::string call = fmt::format("exchange of files '{}'", what);
  auto failHere = [&](const Error &error) {
    abort(call + ": " + error.message);
    return failed(call, *failure());
  };
  auto opened = FileExchange::open();
  if (!opened)
    return failHere(opened.error());
  TPCRT_ASSIGN(auto invitations, impl->exchange(call, opened->invitation()));
  std::vector<uint32_t> peers;
  for (const ProcessInfo &process : impl->processes)
    if (process.rank != impl->rank &&
        process.hostKey == impl->processes[impl->rank].hostKey)
      peers.push_back(process.rank);
  auto files = opened->run(impl->rank, file, peers, invitations,
                           impl->options.timeout, impl->monitor->failedFile());
  if (!files)
    return failHere(files.error());
  std::vector<int> descriptors;
  for (File &received : *files)
    descriptors.push_back(received.release());
  return descriptors;
}

std::optional<PeerFailure> ProcessGroup::failure() const {
  std::lock_guard lock(impl->monitor->mutex);
  return impl->monitor->state().failure();
}

uint64_t ProcessGroup::listen(Listener listener) {
  return impl->monitor->listen(std::move(listener));
}
void ProcessGroup::unlisten(uint64_t id) { impl->monitor->unlisten(id); }

void ProcessGroup::abort(std::string_view message) {
  std::lock_guard lock(impl->monitor->mutex);
  if (impl->closed || impl->monitor->state().failure())
    return;
  std::string text(message.substr(0, maxHelloBytes));
  impl->monitor->send(Abort{text});
  impl->monitor->failHere(impl->rank,
                          fmt::format("rank {}: {}", impl->rank, text));
}

Result<void> ProcessGroup::close() {
  std::lock_guard calls(impl->calls);
  if (impl->closed)
    return {};
  TPCRT_TRY(impl->exchange(std::string(closeCall), {}));
  {
    // What rank 0 has to say must have left before its connections end.
    std::unique_lock lock(impl->monitor->mutex);
    impl->closed = true;
    impl->monitor->changed.wait_for(lock, impl->options.timeout,
                                    [&] { return impl->monitor->allSent(); });
  }
  impl->monitor->stop();
  return {};
}
