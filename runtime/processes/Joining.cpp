// One attempt after the other to be let in.
#include "processes/Joining.h"
#include "processes/Describe.h"
#include "support/Fail.h"

#include <algorithm>
#include <poll.h>
#include <thread>

using namespace tpcrt;
using namespace tpcrt::protocol;
using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

static milliseconds until(Clock::time_point end) {
  return std::max(milliseconds(0),
                  std::chrono::ceil<milliseconds>(end - Clock::now()));
}

namespace {

/// What came of an attempt: let in, turned away for good, or to be tried again.
struct Attempt {
  std::optional<Joined> joined;
  std::optional<std::string> refused;
  std::string failed;
};

} // namespace

/// What rank 0 says to the hello.
static Attempt awaitAnswer(Connection connection, Clock::time_point end) {
  std::string bytes;
  while (true) {
    pollfd poll{connection.descriptor(),
                short(connection.hasUnsent() ? POLLIN | POLLOUT : POLLIN), 0};
    if (::poll(&poll, 1, int(until(end).count())) == 0)
      return {{}, {}, "does not answer"};
    connection.flush();
    auto received = connection.receive();
    if (!received)
      return {{}, {}, "closed the connection"};
    bytes += *received;
    FrameReader reader(maxHelloBytes);
    reader.append(bytes);
    auto message = reader.next();
    if (!message)
      return {{}, {}, "is no process of tpc"};
    if (!*message)
      continue;
    if (auto *refused = std::get_if<Refused>(&**message))
      return {{}, refused->message, {}};
    if (auto *failed = std::get_if<Failed>(&**message))
      return {{}, failed->message, {}};
    if (auto *accepted = std::get_if<Accepted>(&**message))
      return {Joined{std::move(connection), std::move(accepted->process),
                     std::string(reader.rest())},
              {},
              {}};
    return {{}, {}, "answers with another message"};
  }
}

Result<Joined> tpcrt::join(const LaunchSettings &settings, Hello hello,
                           Clock::time_point end) {
  std::string address = addressText(settings.address, settings.port);
  milliseconds all = until(end), pause(10);
  std::string last;
  while (true) {
    auto socket = connectTo(settings.address, settings.port, until(end));
    if (socket) {
      Connection connection(std::move(*socket));
      hello.waitMillis = uint32_t(until(end).count());
      connection.send(encode(hello));
      Attempt attempt = awaitAnswer(std::move(connection), end);
      if (attempt.joined)
        return std::move(*attempt.joined);
      if (attempt.refused)
        return fail("rank 0 at {} refused rank {}: {}", address, settings.rank,
                    *attempt.refused);
      last = fmt::format("who listens at {} {}", address, attempt.failed);
    } else {
      last = std::move(socket.error().message);
    }
    if (Clock::now() + pause >= end)
      return fail("rank {} did not reach rank 0 within {}: {}; start rank "
                  "0 there, or raise the start timeout",
                  settings.rank, describe(all), last);
    std::this_thread::sleep_for(pause);
    pause = std::min(pause * 2, milliseconds(200));
  }
}
