// The processes of one run, from their start to the end of the last.
#ifndef TPC_LAUNCH_RUN_H
#define TPC_LAUNCH_RUN_H

#include "Child.h"
#include "Lines.h"
#include "Options.h"

#include <chrono>
#include <optional>

/// Why a run ended early, and what tpc-launch ends with.
struct Cause {
  std::string text; // "rank 2 was killed by signal 9 (Killed) after 3.2 s"
  int exitCode = 1;
  bool certain = true; // else another process may turn out to have been first
};

/// Going -> Ending: the others may end by themselves
///       -> Terminating: they are told to -> Killing: they are made to.
class Run {
public:
  explicit Run(const Options &options) : options(options) {}

  /// Until all have ended; the exit code.
  int run();

private:
  using Clock = std::chrono::steady_clock;
  enum class Stage { Going, Ending, Terminating, Killing };
  struct Process {
    explicit Process(pid_t pid) : pid(pid) {}
    pid_t pid;
    bool runs = true;
    std::optional<Clock::time_point> stopped;
    int stopSignal = 0;
  };

  tpcrt::Result<void> start();
  void wait();
  void takeSignals();
  void reap();
  void ended(uint32_t rank, int code, int status);
  void fail(Cause cause);
  void advance();
  void enter(Stage next);
  void sendAll(int signal);
  std::optional<uint32_t> firstStopped() const;
  Cause stoppedCause(uint32_t rank) const;
  bool anyRuns() const;
  bool onlyStopped() const;
  std::string elapsed() const;

  const Options &options;
  std::vector<Process> processes; // by rank
  std::vector<Lines> outputs;
  tpcrt::File signals;
  Clock::time_point begin = Clock::now();
  Clock::time_point stageEnd = Clock::time_point::max();
  Clock::time_point causeTime;
  Stage stage = Stage::Going;
  std::optional<Cause> cause;
  bool wereEnded = false; // some, from here
  bool interrupted = false;
};

#endif // TPC_LAUNCH_RUN_H
