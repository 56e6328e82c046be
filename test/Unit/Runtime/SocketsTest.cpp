// Connections that do not block, and where a socket listens.
#include "GroupHarness.h"

#include <sys/socket.h>

using namespace tpcrt;
using namespace std::chrono_literals;

static std::pair<File, File> socketPair() {
  int ends[2];
  EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
  return {File(ends[0]), File(ends[1])};
}

static protocol::Frame frameOf(std::string bytes) {
  return std::make_shared<const std::string>(std::move(bytes));
}

TEST(SocketsTest, WhatDoesNotFitIsKept) {
  auto [here, there] = socketPair();
  Connection sender(std::move(here)), receiver(std::move(there));
  std::string sent, received;
  for (char letter : {'a', 'b', 'c'}) {
    sent += std::string(1 << 20, letter);
    sender.send(frameOf(std::string(1 << 20, letter)));
  }
  EXPECT_TRUE(sender.hasUnsent());
  while (received.size() < sent.size()) {
    auto bytes = receiver.receive();
    ASSERT_TRUE(bytes);
    received += *bytes;
    sender.flush();
  }
  EXPECT_EQ(received, sent);
  EXPECT_FALSE(sender.hasUnsent());
  EXPECT_EQ(receiver.receive(), std::string_view());
}

TEST(SocketsTest, SendingToWhoHasEndedIsNoSignal) {
  auto [here, there] = socketPair();
  Connection sender(std::move(here));
  {
    Connection ended(std::move(there));
  }
  sender.send(frameOf("too late"));
  EXPECT_FALSE(sender.hasUnsent());
  EXPECT_FALSE(sender.receive());
}

TEST(SocketsTest, ListensAtTheGivenAddressOnly) {
  auto listener = listenAt("127.0.0.1", 0);
  ASSERT_TRUE(listener);
  uint16_t port = *localPort(listener->get());
  EXPECT_TRUE(connectTo("127.0.0.1", port, 5s));
  auto other = connectTo("127.0.0.2", port, 5s);
  ASSERT_FALSE(other);
  EXPECT_EQ(
      other.error().message,
      fmt::format("cannot connect to 127.0.0.2:{}: Connection refused", port));
}

TEST(SocketsTest, AHostThatIsNone) {
  auto listener = listenAt("no host", 1);
  ASSERT_FALSE(listener);
  EXPECT_SAYS(listener.error().message, "cannot find the host 'no host'");
}

TEST(SocketsTest, OnlyListenersAreTakenOver) {
  auto listener = listenAt("127.0.0.1", 0);
  uint16_t port = *localPort(listener->get());
  EXPECT_FALSE(adoptListener(listener->get(), port + 1));
  EXPECT_FALSE(adoptListener(-1, port));
  auto connection = connectTo("127.0.0.1", port, 5s);
  EXPECT_FALSE(adoptListener(connection->get(), *localPort(connection->get())));
  EXPECT_TRUE(adoptListener(listener->release(), port));
}
