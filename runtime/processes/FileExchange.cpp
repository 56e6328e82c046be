// Every process has a datagram socket with a random abstract name. A datagram
// is the sender's rank and the receiver's nonce, with the file. Anyone of the
// host may send to an abstract name: only datagrams of the same user with the
// right nonce count.
#include "processes/FileExchange.h"
#include "processes/Describe.h"
#include "processes/Host.h"
#include "support/Fail.h"

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

using namespace tpcrt;
using Clock = std::chrono::steady_clock;

static constexpr size_t randomBytes = 16;

namespace {

struct Address {
  sockaddr_un address{};
  socklen_t size;

  explicit Address(std::string_view name) {
    address.sun_family = AF_UNIX;
    name = name.substr(0, sizeof(address.sun_path) - 1);
    std::ranges::copy(name, address.sun_path + 1); // after the 0 of abstract
    size = offsetof(sockaddr_un, sun_path) + 1 + name.size();
  }
  const sockaddr *get() const {
    return reinterpret_cast<const sockaddr *>(&address);
  }
};

struct Datagram {
  uint32_t rank;
  char nonce[2 * randomBytes];
};

} // namespace

Result<FileExchange> FileExchange::open() {
  FileExchange exchange;
  TPCRT_ASSIGN(std::string random, randomText(randomBytes));
  TPCRT_ASSIGN(exchange.nonce, randomText(randomBytes));
  exchange.name = "tpc-" + random;
  exchange.socket =
      File(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  Address address(exchange.name);
  int on = 1;
  if (!exchange.socket ||
      ::setsockopt(exchange.socket.get(), SOL_SOCKET, SO_PASSCRED, &on,
                   sizeof(on)) != 0 ||
      ::bind(exchange.socket.get(), address.get(), address.size) != 0)
    return fail("cannot open a local socket: {}", std::strerror(errno));
  return exchange;
}

/// Whether it was sent; false if it cannot be yet.
static Result<bool> sendFile(int socket, uint32_t rank, int file,
                             const std::string &invitation) {
  size_t space = invitation.find(' ');
  Datagram datagram{rank, {}};
  if (space == std::string::npos ||
      invitation.size() - space - 1 != sizeof(datagram.nonce))
    return fail("expected the name of a local socket, found '{}'", invitation);
  std::memcpy(datagram.nonce, invitation.data() + space + 1,
              sizeof(datagram.nonce));
  Address address(std::string_view(invitation).substr(0, space));
  iovec bytes{&datagram, sizeof(datagram)};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_name = const_cast<sockaddr *>(address.get());
  message.msg_namelen = address.size;
  message.msg_iov = &bytes;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof(control);
  cmsghdr *header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int));
  std::memcpy(CMSG_DATA(header), &file, sizeof(file));
  if (::sendmsg(socket, &message, MSG_NOSIGNAL) >= 0)
    return true;
  // Who no longer listens has failed; the news of that is on its way.
  if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ||
      errno == ETOOMANYREFS || errno == ECONNREFUSED)
    return false;
  return fail("cannot send a file to another process: {}",
              std::strerror(errno));
}

namespace {
struct ReceivedFile {
  uint32_t rank;
  File file;
};
} // namespace

/// Nothing if none waits; a file without a descriptor if it was a stranger's.
static std::optional<ReceivedFile> receiveFile(int socket,
                                               const std::string &nonce) {
  Datagram datagram{};
  iovec bytes{&datagram, sizeof(datagram)};
  alignas(cmsghdr) char
      control[CMSG_SPACE(sizeof(int)) + CMSG_SPACE(sizeof(ucred))] = {};
  msghdr message{};
  message.msg_iov = &bytes;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof(control);
  ssize_t size = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
  if (size < 0)
    return std::nullopt;
  std::vector<File> files;
  bool sameUser = false;
  for (cmsghdr *header = CMSG_FIRSTHDR(&message); header;
       header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET)
      continue;
    if (header->cmsg_type == SCM_RIGHTS) {
      size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
      for (size_t i = 0; i < count; ++i) {
        int file;
        std::memcpy(&file, CMSG_DATA(header) + i * sizeof(int), sizeof(int));
        files.emplace_back(file);
      }
    } else if (header->cmsg_type == SCM_CREDENTIALS) {
      ucred sender;
      std::memcpy(&sender, CMSG_DATA(header), sizeof(sender));
      sameUser = sender.uid == ::getuid();
    }
  }
  bool good = size == sizeof(datagram) && sameUser && files.size() == 1 &&
              std::string_view(datagram.nonce, sizeof(datagram.nonce)) == nonce;
  return ReceivedFile{datagram.rank, good ? std::move(files[0]) : File()};
}

Result<std::vector<File>>
FileExchange::run(uint32_t rank, int file, const std::vector<uint32_t> &peers,
                  const std::vector<std::string> &invitations,
                  std::chrono::milliseconds limit, int failed) {
  auto end = Clock::now() + limit;
  std::vector<File> files(invitations.size());
  std::vector<uint32_t> toSend = peers;
  std::vector<uint32_t> toReceive = peers;
  while (!toSend.empty() || !toReceive.empty()) {
    while (!toSend.empty()) {
      TPCRT_ASSIGN(bool sent, sendFile(socket.get(), rank, file,
                                       invitations[toSend.back()]));
      if (!sent)
        break;
      toSend.pop_back();
    }
    while (Clock::now() < end) {
      auto received = receiveFile(socket.get(), nonce);
      if (!received)
        break;
      if (received->file && std::erase(toReceive, received->rank))
        files[received->rank] = std::move(received->file);
    }
    if (toReceive.empty() && toSend.empty())
      break;
    if (Clock::now() >= end)
      return fail("{} of this host did not exchange files within {}",
                  describeRanks(toReceive.empty() ? toSend : toReceive),
                  describe(limit));
    pollfd polls[] = {{socket.get(), POLLIN, 0}, {failed, POLLIN, 0}};
    // A receiver's queue that is full gives no sign when it no longer is.
    int pause = toSend.empty() ? 100 : 1;
    ::poll(polls, 2, pause);
    if (polls[1].revents)
      return fail("the group has failed");
  }
  return files;
}
