// No bytes that reach a group of processes crash it; without the token they do
// not change its state; a message that is read is written as the same bytes.
#include "Edits.h"
#include "processes/Coordinator.h"
#include "processes/Member.h"

#include <cstdlib>

using namespace tpcrt;
using namespace tpcrt::protocol;

static constexpr char token[] = "token-of-the-group";

static Coordinator coordinatorOf(uint32_t size) {
  return Coordinator({.size = size,
                      .token = token,
                      .fingerprint = "tpc",
                      .address = "here",
                      .process = {0, 1, "here", "key"},
                      .begin = Coordinator::Clock::time_point(),
                      .startTimeout = std::chrono::seconds(60)});
}

/// What a good member says.
static std::string memberStream() {
  Hello hello;
  hello.size = 2;
  hello.waitMillis = 1000;
  hello.token = token;
  hello.fingerprint = "tpc";
  hello.process = {1, 2, "there", "key"};
  return *encode(hello) + *encode(Contribution{0, 1000, "barrier 'a'", "x"}) +
         *encode(Contribution{1, 1000, "close", ""}) + *encode(Abort{"no"});
}

/// What rank 0 says to it.
static std::string leaderStream() {
  return *encode(Welcome{{{0, 1, "here", "key"}, {1, 2, "there", "key"}}}) +
         *encode(Part{0, 0, "x"}) + *encode(Part{0, 1, "y"}) +
         *encode(Failed{1, "rank 1 is gone"}) + *encode(Accepted{}) +
         *encode(Refused{"why"});
}

static void checkDecoder(std::string_view bytes) {
  auto message = decode(bytes);
  if (!message)
    return;
  auto *hello = std::get_if<Hello>(&*message);
  if (hello && hello->version != version)
    return; // read in part
  if (std::string_view(*encode(*message)).substr(headerBytes) != bytes)
    std::abort();
}

/// In pieces of that many bytes, as they may arrive.
template <class F>
static void inPieces(std::string_view bytes, size_t piece, F take) {
  for (; !bytes.empty(); bytes.remove_prefix(std::min(piece, bytes.size())))
    take(bytes.substr(0, piece));
}

static void checkCoordinator(std::string_view bytes, size_t piece) {
  Coordinator coordinator = coordinatorOf(2);
  Coordinator::Clock::time_point now;
  coordinator.opened(1, "there", now);
  inPieces(bytes, piece, [&](std::string_view part) {
    now += std::chrono::milliseconds(1);
    coordinator.received(1, part, now);
    // Rank 0 keeps up with the exchanges.
    if (coordinator.state() == Coordinator::State::Running)
      coordinator.received(Coordinator::self,
                           *encode(Contribution{0, 9, "barrier 'a'", "y"}),
                           now);
    coordinator.takePosts();
  });
  bool isStranger = bytes.find(token) == std::string_view::npos;
  if (isStranger && coordinator.state() != Coordinator::State::Meeting)
    std::abort();
  coordinator.ended(1);
  if (isStranger && coordinator.state() != Coordinator::State::Meeting)
    std::abort();
  coordinator.advance(now + std::chrono::hours(1));
  if (coordinator.state() == Coordinator::State::Meeting)
    std::abort();
}

static void checkMember(std::string_view bytes, size_t piece) {
  Member member(2);
  (void)member.open("barrier 'a'", "y", 9);
  inPieces(bytes, piece, [&](std::string_view part) { member.received(part); });
  if (!member.processes().empty() && member.processes().size() != 2)
    std::abort();
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const std::string fromMember = memberStream();
  static const std::string fromLeader = leaderStream();
  if (size < 2)
    return 0;
  size_t piece = data[0] + 1;
  uint8_t kind = data[1] % 4;
  data += 2;
  size -= 2;
  std::string_view raw(reinterpret_cast<const char *>(data), size);
  if (kind == 0)
    checkDecoder(raw);
  else if (kind == 1)
    checkCoordinator(raw, piece);
  if (kind < 2)
    return 0;
  const std::string &good = kind == 2 ? fromMember : fromLeader;
  std::vector<uint8_t> bytes =
      edited(std::vector<uint8_t>(good.begin(), good.end()), data, size);
  std::string_view stream(reinterpret_cast<char *>(bytes.data()), bytes.size());
  if (kind == 2)
    checkCoordinator(stream, piece);
  else
    checkMember(stream, piece);
  return 0;
}
