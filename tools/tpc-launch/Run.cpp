// One thread that waits for signals and output of the processes.
#include "Run.h"
#include "processes/Host.h"
#include "processes/Sockets.h"
#include "support/Fail.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

using namespace tpcrt;
using namespace std::chrono_literals;
using std::chrono::milliseconds;

/// Between being told to end and being made to.
static constexpr milliseconds grace(3000);
/// How long, at most, the others have to say what the end of a process meant to
/// them.
static constexpr milliseconds farewell(4000);
/// A process that dies takes others along, which may be seen before it.
static constexpr milliseconds sameMoment(500);

static std::string describeSignal(int signal) {
  return fmt::format("signal {} ({})", signal, ::strsignal(signal));
}

std::string Run::elapsed() const {
  auto time = std::chrono::duration<double>(Clock::now() - begin);
  return fmt::format("{:.1f} s", time.count());
}

int Run::run() {
  auto started = start();
  if (!started) {
    cause = Cause{std::move(started.error().message)};
    enter(Stage::Terminating);
  }
  while (anyRuns()) {
    wait();
    reap();
    advance();
  }
  for (Lines &lines : outputs)
    lines.finish();
  if (!cause)
    return 0;
  fmt::print(stderr, "tpc-launch: error: {}{}\n", cause->text,
             wereEnded ? "; the others were ended" : "");
  return cause->exitCode;
}

Result<void> Run::start() {
  sigset_t watched;
  ::sigemptyset(&watched);
  for (int signal : {SIGCHLD, SIGINT, SIGTERM, SIGHUP})
    ::sigaddset(&watched, signal);
  ::sigprocmask(SIG_BLOCK, &watched, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  // The processes would not stop with this one.
  ::signal(SIGTSTP, SIG_IGN);
  // What processes leave behind is reaped here.
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  signals = File(::signalfd(-1, &watched, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!signals)
    return tpcrt::fail("cannot watch signals: {}", std::strerror(errno));

  Meeting meeting;
  TPCRT_ASSIGN(meeting.token, randomText(16));
  TPCRT_ASSIGN(meeting.listener, listenAt("127.0.0.1", options.port));
  TPCRT_ASSIGN(meeting.port, localPort(meeting.listener.get()));
  bool piped = options.prefix && options.processes > 1;
  for (uint32_t rank = 0; rank < options.processes; ++rank) {
    TPCRT_ASSIGN(Child child, startChild(options.command, rank,
                                         options.processes, meeting, piped));
    processes.emplace_back(child.pid);
    std::string prefix = fmt::format("[{}] ", rank);
    if (child.out)
      outputs.emplace_back(std::move(child.out), STDOUT_FILENO, prefix);
    if (child.error)
      outputs.emplace_back(std::move(child.error), STDERR_FILENO, prefix);
    if (rank == 0)
      meeting.listener = File();
  }
  return {};
}

/// Waits until something happens or is due, and passes on output.
void Run::wait() {
  std::vector<pollfd> polls = {{signals.get(), POLLIN, 0}};
  for (const Lines &lines : outputs)
    polls.push_back({lines.isOpen() ? lines.descriptor() : -1, POLLIN, 0});
  auto end = stageEnd;
  for (const Process &process : processes)
    if (process.runs && process.stopped && stage == Stage::Going)
      end = std::min(end, *process.stopped + options.timeout);
  int millis = -1;
  if (end != Clock::time_point::max())
    millis = int(std::clamp<int64_t>(
        std::chrono::ceil<milliseconds>(end - Clock::now()).count(), 0,
        1 << 30));
  ::poll(polls.data(), polls.size(), millis);
  for (size_t i = 0; i < outputs.size(); ++i)
    if (polls[i + 1].revents)
      outputs[i].pump();
  takeSignals();
}

void Run::takeSignals() {
  signalfd_siginfo info;
  while (::read(signals.get(), &info, sizeof(info)) == sizeof(info)) {
    int signal = int(info.ssi_signo);
    if (signal == SIGCHLD)
      continue;
    // The second time somebody is impatient.
    if (interrupted) {
      enter(Stage::Killing);
      continue;
    }
    interrupted = true;
    if (!cause)
      cause = Cause{fmt::format("ended by {} after {}", describeSignal(signal),
                                elapsed()),
                    128 + signal};
    sendAll(signal);
    stage = Stage::Terminating;
    stageEnd = Clock::now() + grace;
  }
}

/// Takes in what has become of the processes.
void Run::reap() {
  while (true) {
    siginfo_t info{};
    if (::waitid(P_ALL, 0, &info,
                 WEXITED | WSTOPPED | WCONTINUED | WNOHANG | WNOWAIT) != 0 ||
        info.si_pid == 0)
      return;
    auto found = std::ranges::find(processes, info.si_pid, &Process::pid);
    bool ends = info.si_code == CLD_EXITED || info.si_code == CLD_KILLED ||
                info.si_code == CLD_DUMPED;
    // While it is not reaped, its group cannot be anyone else's.
    if (ends && found != processes.end())
      ::kill(-info.si_pid, SIGKILL);
    siginfo_t taken{};
    ::waitid(P_PID, info.si_pid, &taken,
             (ends ? WEXITED : WSTOPPED | WCONTINUED) | WNOHANG);
    if (found == processes.end())
      continue;
    uint32_t rank = uint32_t(found - processes.begin());
    if (ends)
      ended(rank, info.si_code, info.si_status);
    else if (info.si_code == CLD_CONTINUED)
      found->stopped.reset();
    else if (!found->stopped) {
      found->stopped = Clock::now();
      found->stopSignal = info.si_status;
      fmt::print(stderr, "tpc-launch: rank {} was stopped by {} after {}\n",
                 rank, describeSignal(info.si_status), elapsed());
    }
  }
}

void Run::ended(uint32_t rank, int code, int status) {
  Process &process = processes[rank];
  process.runs = false;
  process.stopped.reset();
  bool killed = code != CLD_EXITED;
  if (!killed && status == 0)
    return;
  // Who ends because of signals from here is no cause.
  if (stage == Stage::Terminating || stage == Stage::Killing)
    return;
  if (auto stopped = firstStopped(); stopped && !killed)
    return fail(stoppedCause(*stopped));
  if (killed)
    fail({fmt::format("rank {} was killed by {} after {}", rank,
                      describeSignal(status), elapsed()),
          128 + status});
  else
    fail({fmt::format("rank {} ended with exit code {} after {}", rank, status,
                      elapsed()),
          status, false});
}

void Run::fail(Cause found) {
  bool first = !cause;
  // An exit code may be the consequence of a death that is seen after it.
  if (first || (!cause->certain && found.certain &&
                Clock::now() < causeTime + sameMoment))
    cause = std::move(found);
  if (!first)
    return;
  causeTime = Clock::now();
  enter(Stage::Ending);
}

std::optional<uint32_t> Run::firstStopped() const {
  std::optional<uint32_t> first;
  for (uint32_t rank = 0; rank < processes.size(); ++rank)
    if (processes[rank].stopped &&
        (!first || *processes[rank].stopped < *processes[*first].stopped))
      first = rank;
  return first;
}

Cause Run::stoppedCause(uint32_t rank) const {
  const Process &process = processes[rank];
  auto time = std::chrono::duration<double>(*process.stopped - begin);
  return {fmt::format("rank {} was stopped by {} after {:.1f} s and did not go "
                      "on",
                      rank, describeSignal(process.stopSignal), time.count()),
          128 + process.stopSignal};
}

bool Run::anyRuns() const {
  return std::ranges::any_of(processes, &Process::runs);
}

bool Run::onlyStopped() const {
  return std::ranges::all_of(processes, [](const Process &process) {
    return !process.runs || process.stopped;
  });
}

/// Does what is due.
void Run::advance() {
  auto now = Clock::now();
  if (stage == Stage::Going) {
    auto stopped = firstStopped();
    if (stopped && now >= *processes[*stopped].stopped + options.timeout)
      fail(stoppedCause(*stopped));
    return;
  }
  if (stage != Stage::Killing && onlyStopped())
    enter(Stage::Killing);
  else if (now >= stageEnd)
    enter(stage == Stage::Ending ? Stage::Terminating : Stage::Killing);
}

void Run::enter(Stage next) {
  stage = next;
  wereEnded |= stage != Stage::Ending && anyRuns();
  switch (stage) {
  case Stage::Going:
    break;
  case Stage::Ending:
    // Of an end all hear at once; that one stands still they have to find out.
    stageEnd = Clock::now() + 1s +
               (firstStopped() ? options.timeout
                               : std::min(options.timeout, farewell));
    break;
  case Stage::Terminating:
    sendAll(SIGTERM);
    stageEnd = Clock::now() + grace;
    break;
  case Stage::Killing:
    sendAll(SIGKILL);
    stageEnd = Clock::time_point::max();
    break;
  }
}

/// To the processes and what they have started.
void Run::sendAll(int signal) {
  for (const Process &process : processes)
    if (process.runs)
      ::kill(-process.pid, signal);
}
