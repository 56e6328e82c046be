// fork and exec, with what lies in between prepared before.
#include "Child.h"
#include "support/Fail.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <string_view>
#include <sys/prctl.h>

using namespace tpcrt;

/// Whether a variable says which process of a run this one is: the new ones
/// are others.
static bool isOfALaunch(std::string_view variable) {
  constexpr std::string_view names[] = {
      "TPC_RANK",
      "TPC_WORLD_SIZE",
      "TPC_LOCAL_RANK",
      "TPC_LOCAL_SIZE",
      "TPC_MASTER_ADDR",
      "TPC_MASTER_PORT",
      "TPC_TOKEN",
      "TPC_LISTEN_FD",
      "RANK",
      "WORLD_SIZE",
      "LOCAL_RANK",
      "LOCAL_WORLD_SIZE",
      "MASTER_ADDR",
      "MASTER_PORT",
      "OMPI_COMM_WORLD_RANK",
      "OMPI_COMM_WORLD_SIZE",
      "OMPI_COMM_WORLD_LOCAL_RANK",
      "OMPI_COMM_WORLD_LOCAL_SIZE",
      "SLURM_PROCID",
  };
  return std::ranges::count(names, variable.substr(0, variable.find('='))) > 0;
}

static std::vector<std::string> environmentOf(uint32_t rank, uint32_t size,
                                              const Meeting &meeting) {
  std::vector<std::string> variables;
  for (char **variable = environ; *variable; ++variable)
    if (!isOfALaunch(*variable))
      variables.emplace_back(*variable);
  for (auto [name, value] : {std::pair<const char *, uint32_t>("RANK", rank),
                             {"LOCAL_RANK", rank},
                             {"WORLD_SIZE", size},
                             {"LOCAL_SIZE", size},
                             {"MASTER_PORT", meeting.port}})
    variables.push_back(fmt::format("TPC_{}={}", name, value));
  variables.push_back("TPC_MASTER_ADDR=127.0.0.1");
  variables.push_back("TPC_TOKEN=" + meeting.token);
  if (rank == 0)
    variables.push_back(
        fmt::format("TPC_LISTEN_FD={}", meeting.listener.get()));
  return variables;
}

static std::vector<char *> pointersTo(std::vector<std::string> &words) {
  std::vector<char *> pointers;
  for (std::string &word : words)
    pointers.push_back(word.data());
  pointers.push_back(nullptr);
  return pointers;
}

namespace {

struct Pipe {
  File from, to;

  static Result<Pipe> open() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0)
      return fail("cannot make a pipe: {}", std::strerror(errno));
    return Pipe{File(ends[0]), File(ends[1])};
  }
};

} // namespace

/// The new process, up to the command. Returns only if that fails.
static void become(char **command, char **environment, pid_t parent, int in,
                   int out, int error, int listener) {
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent)
    ::_exit(1); // it died before that
  for (int signal = 1; signal < NSIG; ++signal)
    ::signal(signal, SIG_DFL);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  if (in >= 0)
    ::dup2(in, STDIN_FILENO);
  if (out >= 0)
    ::dup2(out, STDOUT_FILENO);
  if (error >= 0)
    ::dup2(error, STDERR_FILENO);
  if (listener >= 0)
    ::fcntl(listener, F_SETFD, 0);
  ::execvpe(command[0], command, environment);
}

Result<Child> startChild(const std::vector<std::string> &command, uint32_t rank,
                         uint32_t size, const Meeting &meeting, bool piped) {
  std::vector<std::string> words = command;
  std::vector<std::string> variables = environmentOf(rank, size, meeting);
  std::vector<char *> argv = pointersTo(words), envp = pointersTo(variables);
  // A group in the background may not read from a terminal.
  bool readsNothing = rank > 0 || ::isatty(STDIN_FILENO);
  File null(readsNothing ? ::open("/dev/null", O_RDONLY | O_CLOEXEC) : -1);
  Pipe out, error;
  if (piped && rank > 0) {
    TPCRT_ASSIGN(out, Pipe::open());
  }
  if (piped) {
    TPCRT_ASSIGN(error, Pipe::open());
  }
  TPCRT_ASSIGN(Pipe started, Pipe::open());
  pid_t parent = ::getpid(), pid = ::fork();
  if (pid < 0)
    return fail("cannot start a process: {}", std::strerror(errno));
  if (pid == 0) {
    become(argv.data(), envp.data(), parent, null.get(), out.to.get(),
           error.to.get(), rank == 0 ? meeting.listener.get() : -1);
    int code = errno;
    (void)!::write(started.to.get(), &code, sizeof(code));
    ::_exit(127);
  }
  ::setpgid(pid, pid); // whoever of both comes first
  for (const File *from : {&out.from, &error.from})
    if (*from)
      ::fcntl(from->get(), F_SETFL, O_NONBLOCK);
  started.to = File();
  int code = 0;
  if (::read(started.from.get(), &code, sizeof(code)) == sizeof(code))
    return fail("cannot start '{}': {}", command[0], std::strerror(code));
  return Child{pid, std::move(out.from), std::move(error.from)};
}
