// What processes say to each other, as bytes. Nothing here touches a socket, so
// that a fuzzer can.
//
//   frame    "tpcg", length of the body (4 bytes), body
//   body     kind (1 byte), fields in the order of `fields`
//   integer  little endian; text: its length (4 bytes), its bytes
//
//   member               rank 0
//   Hello          ->              who I am, and the token
//                  <-    Accepted  who rank 0 is; or Refused, to strangers
//                  <-    Welcome   all are here: who they are
//   Contribution   ->              to an exchange
//                  <-    Part      of its result, one for each rank
//   Abort          ->
//                  <-    Failed    the group cannot go on
#ifndef TPCRT_PROCESSES_PROTOCOL_H
#define TPCRT_PROCESSES_PROTOCOL_H

#include "tpcrt/ProcessGroup.h"

#include <memory>
#include <variant>

namespace tpcrt::protocol {

constexpr uint32_t version = 1;
constexpr size_t headerBytes = 8;
constexpr size_t maxBlobBytes = size_t(16) << 20;
/// Of a name of an exchange, of a token, of a fingerprint.
constexpr size_t maxTextBytes = 1024;
/// Of the first message of a connection, which may be a stranger's.
constexpr size_t maxHelloBytes = 8192;
/// Of any other.
constexpr size_t maxBodyBytes = maxBlobBytes + maxHelloBytes;

struct Hello {
  uint32_t version = protocol::version;
  uint32_t size = 0;
  uint32_t waitMillis = 0; // how long it will wait for the others
  std::string token;
  std::string fingerprint;
  ProcessInfo process;
};
struct Accepted {
  ProcessInfo process; // rank 0
};
struct Refused {
  std::string message;
};
struct Welcome {
  std::vector<ProcessInfo> processes; // by rank
};
struct Contribution {
  uint64_t sequence = 0;   // of the exchange
  uint32_t waitMillis = 0; // how long it will wait for the others
  std::string call;        // "exchange 'host name'"
  std::string blob;
};
struct Part {
  uint64_t sequence = 0;
  uint32_t rank = 0;
  std::string blob;
};
struct Abort {
  std::string message;
};
struct Failed {
  uint32_t rank = 0;
  std::string message;
};

using Message = std::variant<Hello, Accepted, Refused, Welcome, Contribution,
                             Part, Abort, Failed>;
using Frame = std::shared_ptr<const std::string>;

Frame encode(const Message &message);
/// Of a Hello of another version, only the version is read.
Result<Message> decode(std::string_view body);

/// Takes messages out of a stream of bytes.
class FrameReader {
public:
  /// `maxBytes`: of a body. A longer one is an error as soon as its length is
  /// read; memory grows with what has arrived, not with what is announced.
  explicit FrameReader(size_t maxBytes) : maxBytes(maxBytes) {}
  void setLimit(size_t bytes) { maxBytes = bytes; }
  void append(std::string_view bytes) { pending += bytes; }
  /// The next message; nothing if more bytes are needed.
  Result<std::optional<Message>> next();
  /// What has arrived after that.
  std::string_view rest() const { return pending; }

private:
  size_t maxBytes;
  std::string pending;
};

} // namespace tpcrt::protocol

#endif // TPCRT_PROCESSES_PROTOCOL_H
