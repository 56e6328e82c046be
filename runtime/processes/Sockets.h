// Sockets of a group: addresses, and connections that never block.
#ifndef TPCRT_PROCESSES_SOCKETS_H
#define TPCRT_PROCESSES_SOCKETS_H

#include "processes/Protocol.h"
#include "support/File.h"

#include <chrono>
#include <deque>

namespace tpcrt {

/// "127.0.0.1:29500", "[::1]:29500"
std::string addressText(const std::string &host, uint16_t port);

/// A socket that listens at that address and no other; port 0: at any port.
Result<File> listenAt(const std::string &host, uint16_t port);
/// Takes over a socket, if it is one that listens at that port.
std::optional<File> adoptListener(int descriptor, uint16_t port);
Result<uint16_t> localPort(int socket);
/// The address of this end of a connection, in numbers.
Result<std::string> localHost(int socket);
/// A connection, within the time; an error says why the last address of the
/// host refused.
Result<File> connectTo(const std::string &host, uint16_t port,
                       std::chrono::milliseconds limit);
/// Nothing if none waits.
std::optional<File> acceptFrom(int listener, std::string &peer);
/// Has the system find out that the other host has vanished, in about the time
/// given.
void watchPeer(int socket, std::chrono::milliseconds limit);

/// One stream of bytes in both directions.
class Connection {
public:
  explicit Connection(File socket) : socket(std::move(socket)) {}
  int descriptor() const { return socket.get(); }

  /// Sends what fits, keeps the rest for flush. Errors show up in receive.
  void send(protocol::Frame frame);
  void flush();
  bool hasUnsent() const { return !unsent.empty(); }

  /// Bytes that have arrived, empty if none have; nothing once it has ended.
  std::optional<std::string_view> receive();

private:
  File socket;
  std::deque<protocol::Frame> unsent;
  size_t sentOfFirst = 0;
  bool broken = false;
  std::string buffer;
};

} // namespace tpcrt

#endif // TPCRT_PROCESSES_SOCKETS_H
