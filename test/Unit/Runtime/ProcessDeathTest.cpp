// Processes of a group that are killed or stopped, one after the other at each
// point of its life: what the survivors say.
#include "GroupHarness.h"

#include <csignal>
#include <sys/socket.h>
#include <sys/wait.h>

using namespace tpcrt;
using namespace std::chrono_literals;

namespace {

enum class Phase { BeforeHello, Meeting, Exchange, Between, Close };

/// A forked process, with a socket between it and this one.
class Child {
public:
  /// What the body says last is what it returns.
  using Body = std::function<std::string(Child &)>;

  explicit Child(const Body &body) {
    int ends[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    pid = ::fork();
    bool isChild = pid == 0;
    line = File(ends[isChild]);
    ::close(ends[!isChild]);
    if (!isChild)
      return;
    say(body(*this));
    ::_exit(0);
  }
  Child(Child &&) = default;
  ~Child() {
    if (pid <= 0 || !line)
      return;
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
  }

  /// To who may have ended.
  void say(std::string_view text) {
    (void)!::send(line.get(), text.data(), text.size(), MSG_NOSIGNAL);
  }
  /// The next byte; 0 if there is none.
  char hear() {
    char byte = 0;
    return ::read(line.get(), &byte, 1) == 1 ? byte : 0;
  }
  std::string hearAll() {
    std::string text;
    while (char byte = hear())
      text += byte;
    return text;
  }
  [[noreturn]] static void sleepForever() {
    while (true)
      ::pause();
  }

  pid_t pid;

private:
  File line;
};

/// One case: `victim` dies of `signal` in `phase`; the others of three ranks
/// report what they were told.
struct Case {
  Phase phase;
  uint32_t victim;
  int signal;
  GroupOptions options;

  std::string member(uint32_t rank, LaunchSettings settings, Child &self) const;
  std::vector<std::string> run() const;
  /// Of the survivors, the one that the victim waits for.
  uint32_t last() const { return victim == 2 ? 1 : 2; }
};

} // namespace

std::string Case::member(uint32_t rank, LaunchSettings settings,
                         Child &self) const {
  bool dies = rank == victim;
  if (dies && (phase == Phase::BeforeHello || phase == Phase::Meeting))
    self.say("R");
  if (dies && phase == Phase::BeforeHello)
    Child::sleepForever();
  if (rank == last() && phase == Phase::Meeting)
    self.hear();
  auto group = ProcessGroup::connect(settings, options);
  if (!group)
    return group.error().message;
  if (auto met = (*group)->barrier("met"); !met)
    return met.error().message;
  if (dies) {
    self.say("R");
    if (phase == Phase::Between)
      Child::sleepForever();
  } else if (phase == Phase::Between) {
    self.hear();
  } else if (rank == last()) {
    // Without it the others cannot end before the victim dies.
    while (!(*group)->failure())
      std::this_thread::sleep_for(2ms);
  }
  auto result =
      phase == Phase::Close ? (*group)->close() : (*group)->barrier("step");
  return result ? "no error" : result.error().message;
}

std::vector<std::string> Case::run() const {
  Meeting meeting(3);
  File listener = meeting.takeListener();
  std::vector<Child> children;
  for (uint32_t rank = 0; rank < 3; ++rank)
    children.emplace_back([&](Child &self) {
      LaunchSettings settings = meeting.settings(rank);
      if (rank == 0)
        settings.listener = listener.get();
      else
        listener = File();
      return member(rank, settings, self);
    });
  listener = File();
  EXPECT_EQ(children[victim].hear(), 'R');
  if (phase == Phase::Meeting)
    std::this_thread::sleep_for(100ms); // says hello, most likely
  ::kill(children[victim].pid, signal);
  std::vector<std::string> texts;
  for (uint32_t rank = 0; rank < 3; ++rank)
    if (rank != victim)
      children[rank].say("G");
  for (uint32_t rank = 0; rank < 3; ++rank)
    if (rank != victim)
      texts.push_back(children[rank].hearAll());
  return texts;
}

/// Whether all survivors say it of the victim.
static void expectAllSay(const Case &given, std::string_view first,
                         std::string_view second) {
  SCOPED_TRACE(
      fmt::format("phase {}, rank {}", int(given.phase), given.victim));
  auto begin = std::chrono::steady_clock::now();
  for (const std::string &text : given.run()) {
    EXPECT_SAYS(text, fmt::format("rank {}", given.victim));
    EXPECT_TRUE(contains(text, std::string(first)) ||
                contains(text, std::string(second)))
        << text;
  }
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 30s);
}

TEST(ProcessDeathTest, KilledBeforeHello) {
  GroupOptions options;
  options.startTimeout = 700ms;
  for (uint32_t victim : {0, 1, 2})
    expectAllSay({Phase::BeforeHello, victim, SIGKILL, options}, "did not come",
                 "did not reach rank 0");
}

TEST(ProcessDeathTest, KilledWhileTheyMeet) {
  GroupOptions options;
  options.startTimeout = 2s;
  for (uint32_t victim : {0, 1, 2})
    expectAllSay({Phase::Meeting, victim, SIGKILL, options}, "is gone",
                 "did not reach rank 0");
}

TEST(ProcessDeathTest, KilledLater) {
  for (Phase phase : {Phase::Exchange, Phase::Between, Phase::Close})
    for (uint32_t victim : {0, 1, 2})
      expectAllSay({phase, victim, SIGKILL, {}}, "is gone", "is gone");
}

TEST(ProcessDeathTest, StoppedIsNamedAtTheDeadline) {
  GroupOptions options;
  options.timeout = 500ms;
  for (uint32_t victim : {0, 1, 2})
    expectAllSay({Phase::Between, victim, SIGSTOP, options},
                 "did not come to barrier 'step' within 0.5 s",
                 "does not answer for 0.5 s");
}

TEST(ProcessDeathTest, TheListenerHearsWithoutAnExchange) {
  Meeting meeting(2);
  File socket = meeting.takeListener();
  Child other([&](Child &self) {
    socket = File();
    auto group = ProcessGroup::connect(meeting.settings(1), {});
    self.hear();
    return std::string();
  });
  LaunchSettings settings = meeting.settings(0);
  settings.listener = socket.release();
  auto group = ProcessGroup::connect(settings, {});
  ASSERT_TRUE(group) << group.error().message;
  std::promise<std::string> heard;
  (*group)->listen(
      [&](const PeerFailure &failure) { heard.set_value(failure.message); });
  pid_t pid = other.pid;
  ::kill(pid, SIGKILL);
  EXPECT_SAYS(heard.get_future().get(), fmt::format("rank 1 (pid {} on", pid));
}
