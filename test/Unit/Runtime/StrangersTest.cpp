// What reaches the port of a group and does not belong to it.
#include "GroupHarness.h"
#include "processes/Coordinator.h"

#include <cstring>
#include <sys/socket.h>

using namespace tpcrt;
using namespace tpcrt::protocol;
using namespace std::chrono_literals;
using Clock = Coordinator::Clock;

static Hello helloOf(uint32_t rank, uint32_t size, std::string token) {
  Hello hello;
  hello.size = size;
  hello.waitMillis = 60000;
  hello.token = std::move(token);
  hello.process = {rank, 4711, "there", "key"};
  return hello;
}

/// What a stranger may say first.
static std::vector<std::string> hostileBytes() {
  std::string hello = *encode(helloOf(1, 2, "secret"));
  std::string version = hello;
  version[headerBytes + 1] = 9;
  std::string noise;
  for (uint32_t i = 0, x = 1; i < 100000; ++i, x = x * 1664525 + 1013904223)
    noise.push_back(char(x >> 24));
  return {
      "",
      "GET / HTTP/1.1\r\nHost: here\r\n\r\n",
      noise,
      std::string("tpcg\xff\xff\xff\xff", 8),
      std::string("tpcg\xff\xff\xff\x00", 8) + noise,
      std::string("tpcg\0\0\0\0", 8),
      std::string("tpcg\1\0\0\0\x63", 9),
      hello.substr(0, hello.size() / 2),
      version,
      *encode(helloOf(1, 2, "guess")),
      *encode(helloOf(1, 2, "")),
      *encode(Abort{"stop"}),
      *encode(Contribution{0, 0, "close", ""}),
      *encode(Failed{0, "no"}),
  };
}

TEST(StrangersTest, DoNotDisturbAMeeting) {
  Meeting meeting(3);
  LaunchSettings settings = meeting.settings(0);
  std::vector<File> sockets;
  auto disturb = [&] {
    for (int silent = 0; silent < 100; ++silent)
      sockets.push_back(*connectTo("127.0.0.1", settings.port, 5s));
    for (const std::string &bytes : hostileBytes()) {
      sockets.push_back(*connectTo("127.0.0.1", settings.port, 5s));
      (void)!::send(sockets.back().get(), bytes.data(), bytes.size(),
                    MSG_NOSIGNAL);
      sockets.push_back(*connectTo("127.0.0.1", settings.port, 5s));
      (void)!::send(sockets.back().get(), bytes.data(), bytes.size(),
                    MSG_NOSIGNAL);
      sockets.pop_back(); // says it and leaves
    }
  };
  std::atomic<bool> disturbed = false;
  meeting.run(
      {0, 1, 2},
      [](Result<std::shared_ptr<ProcessGroup>> group) {
        ASSERT_TRUE(group) << group.error().message;
        for (int i = 0; i < 10; ++i)
          EXPECT_TRUE((*group)->barrier("step"));
        EXPECT_TRUE((*group)->close());
      },
      [&](LaunchSettings &settings) {
        if (settings.rank == 1) {
          disturb();
          disturbed = true;
        }
        while (settings.rank == 2 && !disturbed)
          std::this_thread::sleep_for(5ms);
        return GroupOptions();
      });
}

/// What listens at the port and is not rank 0.
TEST(StrangersTest, AreNotTakenForRank0) {
  for (auto [says, error] : {std::pair("", " does not answer"),
                             {"SSH-2.0-server\r\n", " is no process of tpc"}}) {
    Meeting meeting(2);
    File listener = meeting.takeListener();
    std::atomic<bool> ended = false;
    std::thread stranger([&] {
      std::vector<File> accepted;
      while (!ended) {
        std::string peer;
        auto socket = acceptFrom(listener.get(), peer);
        if (socket) {
          (void)!::send(socket->get(), says, std::strlen(says), MSG_NOSIGNAL);
          accepted.push_back(std::move(*socket));
        }
        std::this_thread::sleep_for(1ms);
      }
    });
    GroupOptions options;
    options.startTimeout = 500ms;
    EXPECT_SAYS(meeting.errors({1}, options)[0], error);
    ended = true;
    stranger.join();
  }
}

namespace {

/// A coordinator of two without sockets.
struct TwoRanks {
  Clock::time_point now = Clock::now();
  Coordinator coordinator{{.size = 2,
                           .token = "secret",
                           .fingerprint = "",
                           .address = "here",
                           .process = {0, 1, "here", "key"},
                           .begin = now,
                           .startTimeout = 60s}};

  /// The connections that are dropped by now.
  size_t dropped() {
    size_t count = 0;
    for (const Coordinator::Post &post : coordinator.takePosts())
      count += post.drop;
    return count;
  }
};

} // namespace

TEST(StrangersTest, AreLimitedInNumber) {
  TwoRanks two;
  for (uint64_t id = 1; id <= 1000; ++id)
    two.coordinator.opened(id, "there", two.now);
  EXPECT_EQ(two.dropped(), 1000 - Coordinator::maxStrangers);
}

TEST(StrangersTest, AreLimitedInTime) {
  TwoRanks two;
  two.coordinator.opened(1, "there", two.now);
  two.coordinator.advance(two.now + Coordinator::strangerLimit - 1ms);
  EXPECT_EQ(two.dropped(), 0u);
  EXPECT_EQ(two.coordinator.deadline(), two.now + Coordinator::strangerLimit);
  two.coordinator.advance(two.now + Coordinator::strangerLimit);
  EXPECT_EQ(two.dropped(), 1u);
}

TEST(StrangersTest, AreLimitedInBytes) {
  TwoRanks two;
  two.coordinator.opened(1, "there", two.now);
  std::string header("tpcg\0\0\0\0", headerBytes);
  uint32_t size = maxHelloBytes + 1;
  header[4] = char(size);
  header[5] = char(size >> 8);
  two.coordinator.received(1, header, two.now);
  EXPECT_EQ(two.dropped(), 1u);
}

TEST(StrangersTest, EveryByteOfTheTokenCounts) {
  for (std::string token :
       {"secre", "secrex", "xecret", "secrett", "", "secretsecret"}) {
    TwoRanks two;
    two.coordinator.opened(1, "there", two.now);
    two.coordinator.received(1, *encode(helloOf(1, 2, token)), two.now);
    EXPECT_EQ(two.dropped(), 1u) << token;
    EXPECT_EQ(two.coordinator.state(), Coordinator::State::Meeting);
  }
  TwoRanks two;
  two.coordinator.opened(1, "there", two.now);
  two.coordinator.received(1, *encode(helloOf(1, 2, "secret")), two.now);
  EXPECT_EQ(two.coordinator.state(), Coordinator::State::Running);
}

/// A member that has shown the token fails the group by what has no place.
TEST(StrangersTest, MembersMustKeepToTheProtocol) {
  for (const std::string &bytes :
       {*encode(helloOf(1, 2, "secret")), *encode(Failed{0, "no"}),
        *encode(Contribution{1, 0, "later", ""}),
        *encode(Contribution{0, 0, std::string(2000, 'x'), ""}),
        std::string("garbage")}) {
    TwoRanks two;
    two.coordinator.opened(1, "there", two.now);
    two.coordinator.received(1, *encode(helloOf(1, 2, "secret")), two.now);
    two.coordinator.received(1, bytes, two.now);
    EXPECT_EQ(two.coordinator.state(), Coordinator::State::Failed);
  }
}

TEST(StrangersTest, MessagesSurviveBytes) {
  Welcome welcome{{{0, 1, "a", "k"}, {1, 2, std::string("b\0c", 3), ""}}};
  std::string bytes =
      *encode(welcome) + *encode(Part{7, 1, "blob"}) + *encode(Refused{"why"});
  FrameReader reader(maxBodyBytes);
  std::vector<Message> found;
  for (char byte : bytes) {
    reader.append({&byte, 1});
    auto message = reader.next();
    ASSERT_TRUE(message);
    if (*message)
      found.push_back(std::move(**message));
  }
  ASSERT_EQ(found.size(), 3u);
  EXPECT_EQ(std::get<Welcome>(found[0]).processes[1].hostName,
            std::string("b\0c", 3));
  EXPECT_EQ(std::get<Welcome>(found[0]).processes[1].pid, 2u);
  EXPECT_EQ(std::get<Part>(found[1]).sequence, 7u);
  EXPECT_EQ(std::get<Part>(found[1]).blob, "blob");
  EXPECT_EQ(std::get<Refused>(found[2]).message, "why");
}
