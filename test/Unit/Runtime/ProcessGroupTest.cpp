// Groups of processes, played by threads of this one: meeting, exchanges,
// disagreement, orderly and early ends. Where a process has to die, see
// ProcessDeathTest.cpp.
#include "GroupHarness.h"
#include "processes/FileExchange.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace tpcrt;
using namespace std::chrono_literals;

TEST(ProcessGroupTest, OneProcessNeedsNoOther) {
  auto group = ProcessGroup::connect({}, {});
  ASSERT_TRUE(group) << group.error().message;
  EXPECT_EQ((*group)->size(), 1u);
  auto all = (*group)->exchange("name", "me");
  ASSERT_TRUE(all);
  EXPECT_EQ(*all, std::vector<std::string>{"me"});
  EXPECT_EQ(*(*group)->exchangeFiles("files", 0), std::vector<int>{-1});
  EXPECT_TRUE((*group)->agree("version", "1"));
  EXPECT_TRUE((*group)->close());
  EXPECT_TRUE((*group)->close());
  EXPECT_SAYS((*group)->barrier("late").error().message, "closed");
}

TEST(ProcessGroupTest, BlobsComeByRank) {
  for (uint32_t size : {2, 3, 8})
    runGroup(size, [&](ProcessGroup &group) {
      ASSERT_EQ(group.processes().size(), size);
      for (uint32_t rank = 0; rank < size; ++rank) {
        EXPECT_EQ(group.processes()[rank].rank, rank);
        EXPECT_EQ(group.processes()[rank].pid, uint64_t(::getpid()));
      }
      for (int round = 0; round < 20; ++round) {
        auto blobOf = [&](uint32_t rank) {
          return std::string(rank * 37 + round, char('a' + rank));
        };
        auto all = group.exchange("round", blobOf(group.rank()));
        ASSERT_TRUE(all) << all.error().message;
        for (uint32_t rank = 0; rank < size; ++rank)
          EXPECT_EQ((*all)[rank], blobOf(rank));
      }
      EXPECT_TRUE(group.barrier("end"));
      EXPECT_TRUE(group.close());
      EXPECT_FALSE(group.failure());
    });
}

TEST(ProcessGroupTest, BlobsHaveALimit) {
  constexpr size_t limit = size_t(16) << 20;
  runGroup(2, [&](ProcessGroup &group) {
    auto tooLong = group.exchange("big", std::string(limit + 1, 'x'));
    ASSERT_FALSE(tooLong);
    EXPECT_SAYS(tooLong.error().message, "at most 16777216 bytes");
    auto all = group.exchange("big", std::string(limit, char(group.rank())));
    ASSERT_TRUE(all) << all.error().message;
    EXPECT_EQ((*all)[0], std::string(limit, 0));
    EXPECT_EQ((*all)[1], std::string(limit, 1));
    EXPECT_TRUE(group.close());
  });
}

TEST(ProcessGroupTest, RanksThatDisagreeAreNamed) {
  runGroup(3, [](ProcessGroup &group) {
    EXPECT_TRUE(group.agree("mesh", "tp=3"));
    auto result = group.agree("mesh", group.rank() == 2 ? "tp=2" : "tp=3");
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().message,
              "agree 'mesh': expected the same in all processes, but rank 0 "
              "has 'tp=3' and rank 2 has 'tp=2'");
    EXPECT_TRUE(group.close()); // all know, and none has failed
  });
}

TEST(ProcessGroupTest, DifferentCallsAreNamed) {
  runGroup(2, [](ProcessGroup &group) {
    auto result = group.rank() == 0 ? group.barrier("a") : group.agree("b", "");
    ASSERT_FALSE(result);
    EXPECT_SAYS(result.error().message, "rank 0 called barrier 'a'");
    EXPECT_SAYS(result.error().message, "rank 1 called agree 'b'");
    EXPECT_FALSE(group.close());
  });
}

TEST(ProcessGroupTest, AbortReachesAll) {
  runGroup(3, [](ProcessGroup &group) {
    if (group.rank() == 1)
      group.abort("no memory left");
    auto result = group.barrier("step");
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().message, "barrier 'step': rank 1: no memory left");
    ASSERT_TRUE(group.failure());
    EXPECT_EQ(group.failure()->rank, 1u);
    // A group that has failed stays so, and the first failure counts.
    group.abort("again");
    EXPECT_SAYS(group.barrier("more").error().message,
                "rank 1: no memory left");
  });
}

TEST(ProcessGroupTest, WhoLeavesWithoutCloseIsGone) {
  for (uint32_t leaver : {0, 1}) {
    runGroup(3, [&](ProcessGroup &group) {
      ASSERT_TRUE(group.barrier("all are here"));
      if (group.rank() == leaver)
        return;
      auto result = group.barrier("step");
      ASSERT_FALSE(result);
      EXPECT_SAYS(result.error().message,
                  fmt::format("rank {} (pid {} on ", leaver, ::getpid()));
      EXPECT_SAYS(result.error().message, "is gone");
    });
  }
}

TEST(ProcessGroupTest, WhoIsLateIsNamed) {
  GroupOptions options;
  options.timeout = 300ms;
  for (uint32_t late : {0, 2}) {
    std::atomic<int> waiting = 2;
    runGroup(
        3,
        [&](ProcessGroup &group) {
          if (group.rank() != late) {
            auto result = group.barrier("step 7");
            --waiting;
            ASSERT_FALSE(result);
            EXPECT_SAYS(result.error().message,
                        fmt::format("rank {} (pid", late));
            EXPECT_SAYS(result.error().message,
                        "did not come to barrier 'step 7' within "
                        "0.3 s");
            EXPECT_EQ(group.failure()->rank, late);
          }
          while (waiting > 0)
            std::this_thread::sleep_for(5ms);
        },
        options);
  }
}

TEST(ProcessGroupTest, MissingRanksAreNamed) {
  Meeting meeting(4);
  GroupOptions options;
  options.startTimeout = 400ms;
  auto errors = meeting.errors({0, 2}, options);
  for (const std::string &error : errors)
    EXPECT_SAYS(error, "but ranks 1, 3 did not come");
}

TEST(ProcessGroupTest, NobodyListens) {
  Meeting meeting(2);
  meeting.takeListener();
  GroupOptions options;
  options.startTimeout = 200ms;
  EXPECT_SAYS(meeting.errors({1}, options)[0],
              "Connection refused; start rank 0 there");
}

TEST(ProcessGroupTest, Rank0MayStartLate) {
  Meeting meeting(3);
  meeting.takeListener();
  meeting.run(
      {0, 1, 2},
      [](Result<std::shared_ptr<ProcessGroup>> group) {
        ASSERT_TRUE(group) << group.error().message;
        EXPECT_TRUE((*group)->close());
      },
      [](LaunchSettings &settings) {
        if (settings.rank == 0)
          std::this_thread::sleep_for(300ms);
        return GroupOptions();
      });
}

TEST(ProcessGroupTest, AnotherFingerprintIsRefusedEverywhere) {
  Meeting meeting(3);
  GroupOptions options[3];
  options[1].fingerprint = "tpc 2";
  auto errors = meeting.errors({0, 1, 2}, [&](LaunchSettings &settings) {
    return options[settings.rank];
  });
  for (const std::string &error : errors)
    EXPECT_SAYS(error, "runs 'tpc 2', rank 0 runs ''");
}

TEST(ProcessGroupTest, AnotherSizeIsRefusedEverywhere) {
  Meeting meeting(3);
  auto errors = meeting.errors({0, 1, 2}, [&](LaunchSettings &settings) {
    if (settings.rank == 2)
      settings.size = 4;
    return GroupOptions();
  });
  for (const std::string &error : errors)
    EXPECT_SAYS(error, "rank 2 (pid");
  for (const std::string &error : errors)
    EXPECT_SAYS(error, "one of 4 processes, rank 0 as one of 3");
}

TEST(ProcessGroupTest, ARankThatIsTakenIsRefusedEverywhere) {
  Meeting meeting(3);
  auto errors = meeting.errors({0, 1, 2}, [&](LaunchSettings &settings) {
    if (settings.rank == 2)
      settings.rank = 1;
    return GroupOptions();
  });
  for (const std::string &error : errors)
    EXPECT_SAYS(error, "rank 1 came twice");
}

TEST(ProcessGroupTest, AnotherTokenIsAStranger) {
  Meeting meeting(2);
  GroupOptions options;
  options.startTimeout = 500ms;
  auto errors = meeting.errors({0, 1}, [&](LaunchSettings &settings) {
    settings.token = settings.rank == 0 ? "ours" : "another";
    return options;
  });
  for (const std::string &error : errors)
    EXPECT_SAYS(error, "it shows another token");
}

TEST(ProcessGroupTest, SettingsAreChecked) {
  LaunchSettings settings;
  settings.rank = 2;
  settings.size = 2;
  EXPECT_SAYS(ProcessGroup::connect(settings, {}).error().message,
              "found rank 2 of 2");
  settings.rank = 0;
  settings.token = std::string(2000, 'x');
  EXPECT_SAYS(ProcessGroup::connect(settings, {}).error().message,
              "at most 1024 bytes");
}

TEST(ProcessGroupTest, APortInUseIsNamed) {
  Meeting meeting(2);
  File other = meeting.takeListener();
  GroupOptions options;
  options.startTimeout = 200ms;
  EXPECT_SAYS(meeting.errors({0}, options)[0], "Address already in use");
}

TEST(ProcessGroupTest, AListenerThatIsGoneIsMadeAnew) {
  Meeting meeting(2);
  meeting.takeListener();
  File null(::open("/dev/null", O_RDONLY));
  meeting.run(
      {0, 1},
      [](Result<std::shared_ptr<ProcessGroup>> group) {
        ASSERT_TRUE(group) << group.error().message;
        EXPECT_TRUE((*group)->close());
      },
      [&](LaunchSettings &settings) {
        if (settings.rank == 0)
          settings.listener = null.get();
        return GroupOptions();
      });
  EXPECT_EQ(::fcntl(null.get(), F_GETFD), 0); // it belongs to someone else
}

TEST(ProcessGroupTest, ListenersHearOfAFailureOnce) {
  runGroup(2, [](ProcessGroup &group) {
    std::atomic<int> calls = 0, others = 0;
    std::promise<std::string> heard;
    group.listen([&](const PeerFailure &failure) {
      if (++calls == 1)
        heard.set_value(failure.message);
    });
    uint64_t removed = group.listen([&](const PeerFailure &) { ++others; });
    group.unlisten(removed);
    ASSERT_TRUE(group.barrier("listening"));
    if (group.rank() == 1)
      group.abort("enough");
    EXPECT_EQ(heard.get_future().get(), "rank 1: enough");
    group.listen([&](const PeerFailure &) { ++others; }); // at once
    EXPECT_EQ(others, 1);
    group.abort("more");
    (void)group.barrier("ended");
    EXPECT_EQ(calls, 1);
  });
}

TEST(ProcessGroupTest, UnlistenWaitsForTheListener) {
  auto group = ProcessGroup::connect({}, {});
  std::promise<void> running;
  std::atomic<bool> ended = false;
  uint64_t id = (*group)->listen([&](const PeerFailure &) {
    running.set_value();
    std::this_thread::sleep_for(50ms);
    ended = true;
  });
  (*group)->abort("stop");
  running.get_future().wait();
  (*group)->unlisten(id);
  EXPECT_TRUE(ended);
}

/// The inode says whether two descriptors are of one file.
static ino_t inodeOf(int file) {
  struct stat status{};
  EXPECT_EQ(::fstat(file, &status), 0);
  return status.st_ino;
}

TEST(ProcessGroupTest, FilesArePassed) {
  constexpr uint32_t size = 5;
  File own[size];
  for (File &file : own)
    file = File(::memfd_create("own", MFD_CLOEXEC));
  runGroup(size, [&](ProcessGroup &group) {
    for (int round = 0; round < 3; ++round) {
      auto files = group.exchangeFiles("segment", own[group.rank()].get());
      ASSERT_TRUE(files) << files.error().message;
      ASSERT_EQ(files->size(), size);
      for (uint32_t rank = 0; rank < size; ++rank) {
        if (rank == group.rank()) {
          EXPECT_EQ((*files)[rank], -1);
          continue;
        }
        File received((*files)[rank]);
        EXPECT_EQ(inodeOf(received.get()), inodeOf(own[rank].get()));
        EXPECT_EQ(::fcntl(received.get(), F_GETFD), FD_CLOEXEC);
      }
    }
    EXPECT_TRUE(group.close());
  });
}

TEST(ProcessGroupTest, AFileThatIsNoneFailsAll) {
  runGroup(3, [&](ProcessGroup &group) {
    auto files = group.exchangeFiles("segment", group.rank() == 1 ? -1 : 0);
    ASSERT_FALSE(files);
    EXPECT_SAYS(files.error().message, "exchange of files 'segment'");
    EXPECT_SAYS(files.error().message, "rank 1: ");
    EXPECT_SAYS(files.error().message, "Bad file descriptor");
  });
}

/// Who waits for less than rank 0 still learns who is missing.
TEST(ProcessGroupTest, TheShortestTimeoutCounts) {
  Meeting meeting(3);
  auto errors = meeting.errors({0, 1}, [](LaunchSettings &settings) {
    GroupOptions options;
    if (settings.rank == 1)
      options.startTimeout = 300ms;
    return options;
  });
  for (const std::string &error : errors)
    EXPECT_SAYS(error, "but rank 2 did not come");

  std::atomic<int> waiting = 2;
  Meeting(3).run(
      {0, 1, 2},
      [&](Result<std::shared_ptr<ProcessGroup>> group) {
        ASSERT_TRUE(group) << group.error().message;
        if ((*group)->rank() != 2) {
          auto result = (*group)->barrier("step");
          --waiting;
          ASSERT_FALSE(result);
          EXPECT_SAYS(result.error().message, "rank 2 (pid");
          EXPECT_SAYS(result.error().message, "barrier 'step' within 0.3 s");
        }
        while (waiting > 0)
          std::this_thread::sleep_for(5ms);
      },
      [](LaunchSettings &settings) {
        GroupOptions options;
        if (settings.rank == 1)
          options.timeout = 300ms;
        return options;
      });
}

TEST(ProcessGroupTest, WhoComesLaterHearsWhyTheyDidNotMeet) {
  Meeting meeting(3);
  std::promise<void> refused;
  std::shared_future<void> wasRefused = refused.get_future();
  meeting.run(
      {0, 1, 2},
      [&](Result<std::shared_ptr<ProcessGroup>> group) {
        ASSERT_FALSE(group);
        EXPECT_SAYS(group.error().message, "rank 1 (pid");
        EXPECT_SAYS(group.error().message, "runs 'other', rank 0 runs ''");
        if (contains(group.error().message, "refused rank 1"))
          refused.set_value();
      },
      [&](LaunchSettings &settings) {
        GroupOptions options;
        if (settings.rank == 1)
          options.fingerprint = "other";
        if (settings.rank == 2) {
          wasRefused.wait();
          std::this_thread::sleep_for(30ms); // rank 0 could be gone by now
          options.startTimeout = 5s;
        }
        return options;
      });
}

TEST(ProcessGroupTest, FilesOfStrangersDoNotCount) {
  File own[2] = {File(::memfd_create("0", 0)), File(::memfd_create("1", 0))};
  File foreign(::memfd_create("foreign", 0)), never(::eventfd(0, 0));
  auto first = FileExchange::open(), second = FileExchange::open(),
       stranger = FileExchange::open();
  std::vector<std::string> invitations = {first->invitation(),
                                          second->invitation()};
  std::string guess = invitations[0];
  guess.back() = guess.back() == '0' ? '1' : '0';
  EXPECT_FALSE(
      stranger->run(1, foreign.get(), {0}, {guess, ""}, 1ms, never.get()));
  std::thread other([&] {
    EXPECT_TRUE(
        second->run(1, own[1].get(), {0}, invitations, 30s, never.get()));
  });
  auto files = first->run(0, own[0].get(), {1}, invitations, 30s, never.get());
  other.join();
  ASSERT_TRUE(files) << files.error().message;
  EXPECT_EQ(inodeOf((*files)[1].get()), inodeOf(own[1].get()));
}
