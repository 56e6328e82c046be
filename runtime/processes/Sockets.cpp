// TCP by the system's calls. Nothing here raises SIGPIPE, and no socket is
// passed on to programs that this one starts.
#include "processes/Sockets.h"
#include "support/Fail.h"

#include <algorithm>
#include <arpa/inet.h>
#include <cstring>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>

using namespace tpcrt;
using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

namespace {
struct FreeAddresses {
  void operator()(addrinfo *list) const { ::freeaddrinfo(list); }
};
using Addresses = std::unique_ptr<addrinfo, FreeAddresses>;
} // namespace

std::string tpcrt::addressText(const std::string &host, uint16_t port) {
  bool isV6 = host.find(':') != std::string::npos;
  return fmt::format(fmt::runtime(isV6 ? "[{}]:{}" : "{}:{}"), host, port);
}

static Result<Addresses> resolve(const std::string &host, uint16_t port) {
  addrinfo hints{}, *list = nullptr;
  hints.ai_socktype = SOCK_STREAM;
  int code =
      ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &list);
  if (code != 0)
    return fail("cannot find the host '{}': {}", host,
                code == EAI_SYSTEM ? std::strerror(errno)
                                   : ::gai_strerror(code));
  return Addresses(list);
}

static File openSocket(const addrinfo &address) {
  return File(::socket(address.ai_family,
                       SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
                       address.ai_protocol));
}

static void setOption(int socket, int level, int option, int value) {
  ::setsockopt(socket, level, option, &value, sizeof(value));
}

Result<File> tpcrt::listenAt(const std::string &host, uint16_t port) {
  TPCRT_ASSIGN(Addresses addresses, resolve(host, port));
  int error = 0;
  for (addrinfo *address = addresses.get(); address;
       address = address->ai_next) {
    File socket = openSocket(*address);
    // A run may follow another at the same port at once.
    setOption(socket.get(), SOL_SOCKET, SO_REUSEADDR, 1);
    if (socket &&
        ::bind(socket.get(), address->ai_addr, address->ai_addrlen) == 0 &&
        ::listen(socket.get(), SOMAXCONN) == 0)
      return socket;
    error = errno;
  }
  return fail("cannot listen at {}: {}", addressText(host, port),
              std::strerror(error));
}

Result<uint16_t> tpcrt::localPort(int socket) {
  sockaddr_storage address{};
  socklen_t size = sizeof(address);
  if (::getsockname(socket, reinterpret_cast<sockaddr *>(&address), &size) != 0)
    return fail("descriptor {}: expected a socket: {}", socket,
                std::strerror(errno));
  if (address.ss_family == AF_INET)
    return ntohs(reinterpret_cast<sockaddr_in &>(address).sin_port);
  if (address.ss_family == AF_INET6)
    return ntohs(reinterpret_cast<sockaddr_in6 &>(address).sin6_port);
  return fail("descriptor {}: expected an internet socket", socket);
}

Result<std::string> tpcrt::localHost(int socket) {
  sockaddr_storage address{};
  socklen_t size = sizeof(address);
  char host[NI_MAXHOST];
  if (::getsockname(socket, reinterpret_cast<sockaddr *>(&address), &size) !=
          0 ||
      ::getnameinfo(reinterpret_cast<sockaddr *>(&address), size, host,
                    sizeof(host), nullptr, 0, NI_NUMERICHOST) != 0)
    return fail("cannot find the address of this end of a connection");
  return host;
}

std::optional<File> tpcrt::adoptListener(int descriptor, uint16_t port) {
  auto found = localPort(descriptor);
  int listens = 0;
  socklen_t size = sizeof(listens);
  ::getsockopt(descriptor, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size);
  if (!found || *found != port || !listens)
    return std::nullopt;
  ::fcntl(descriptor, F_SETFD, FD_CLOEXEC);
  ::fcntl(descriptor, F_SETFL, O_NONBLOCK);
  return File(descriptor);
}

/// A port that nobody listens at can be given to the very socket that connects
/// to it, which then talks to itself.
static bool isItself(int socket) {
  sockaddr_storage here{}, there{};
  socklen_t hereSize = sizeof(here), thereSize = sizeof(there);
  ::getsockname(socket, reinterpret_cast<sockaddr *>(&here), &hereSize);
  ::getpeername(socket, reinterpret_cast<sockaddr *>(&there), &thereSize);
  return hereSize == thereSize && std::memcmp(&here, &there, hereSize) == 0;
}

/// 0, or the error.
static int connectWithin(int socket, const addrinfo &address,
                         milliseconds limit) {
  if (::connect(socket, address.ai_addr, address.ai_addrlen) != 0) {
    if (errno != EINPROGRESS)
      return errno;
    pollfd poll{socket, POLLOUT, 0};
    int ready = ::poll(&poll, 1, int(std::max<int64_t>(limit.count(), 0)));
    if (ready <= 0)
      return ready == 0 ? ETIMEDOUT : errno;
    int error = 0;
    socklen_t size = sizeof(error);
    ::getsockopt(socket, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0)
      return error;
  }
  return isItself(socket) ? ECONNREFUSED : 0;
}

Result<File> tpcrt::connectTo(const std::string &host, uint16_t port,
                              milliseconds limit) {
  auto end = Clock::now() + limit;
  TPCRT_ASSIGN(Addresses addresses, resolve(host, port));
  int error = 0;
  for (addrinfo *address = addresses.get(); address;
       address = address->ai_next) {
    File socket = openSocket(*address);
    if (!socket)
      return fail("cannot open a socket: {}", std::strerror(errno));
    error = connectWithin(socket.get(), *address,
                          std::chrono::ceil<milliseconds>(end - Clock::now()));
    if (error == 0) {
      setOption(socket.get(), IPPROTO_TCP, TCP_NODELAY, 1);
      return socket;
    }
  }
  return fail("cannot connect to {}: {}", addressText(host, port),
              std::strerror(error));
}

std::optional<File> tpcrt::acceptFrom(int listener, std::string &peer) {
  sockaddr_storage address{};
  socklen_t size = sizeof(address);
  File socket(::accept4(listener, reinterpret_cast<sockaddr *>(&address), &size,
                        SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!socket)
    return std::nullopt;
  char host[NI_MAXHOST] = "?", service[NI_MAXSERV] = "0";
  ::getnameinfo(reinterpret_cast<sockaddr *>(&address), size, host,
                sizeof(host), service, sizeof(service),
                NI_NUMERICHOST | NI_NUMERICSERV);
  peer = addressText(host, uint16_t(std::atoi(service)));
  setOption(socket.get(), IPPROTO_TCP, TCP_NODELAY, 1);
  return socket;
}

void tpcrt::watchPeer(int socket, milliseconds limit) {
  // Idle for a third, then probes that are not answered for the rest.
  constexpr int probes = 4;
  int seconds = int(std::clamp<int64_t>(limit.count() / 1000, 3, 60));
  setOption(socket, SOL_SOCKET, SO_KEEPALIVE, 1);
  setOption(socket, IPPROTO_TCP, TCP_KEEPIDLE, seconds / 3);
  setOption(socket, IPPROTO_TCP, TCP_KEEPINTVL,
            std::max(1, seconds * 2 / 3 / probes));
  setOption(socket, IPPROTO_TCP, TCP_KEEPCNT, probes);
  setOption(socket, IPPROTO_TCP, TCP_USER_TIMEOUT, seconds * 1000);
}

void Connection::send(protocol::Frame frame) {
  unsent.push_back(std::move(frame));
  flush();
}

void Connection::flush() {
  while (!unsent.empty() && !broken) {
    const std::string &frame = *unsent.front();
    ssize_t sent =
        ::send(socket.get(), frame.data() + sentOfFirst,
               frame.size() - sentOfFirst, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno == EINTR)
      continue;
    if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
      return;
    // The other side has ended; what it said before that is still to be read.
    broken = sent < 0;
    sentOfFirst += broken ? 0 : sent;
    if (sentOfFirst == frame.size()) {
      unsent.pop_front();
      sentOfFirst = 0;
    }
  }
  if (broken)
    unsent.clear();
}

std::optional<std::string_view> Connection::receive() {
  buffer.resize(65536);
  while (true) {
    ssize_t size = ::recv(socket.get(), buffer.data(), buffer.size(), 0);
    if (size > 0)
      return std::string_view(buffer).substr(0, size);
    if (size < 0 && errno == EINTR)
      continue;
    if (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
      return std::string_view();
    return std::nullopt;
  }
}
