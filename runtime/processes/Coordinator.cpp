// The states of a group, as rank 0 keeps them.
#include "processes/Coordinator.h"
#include "processes/Describe.h"
#include "support/Fail.h"

#include <algorithm>

using namespace tpcrt;
using namespace tpcrt::protocol;
using std::chrono::milliseconds;

/// In a time that does not tell where they differ.
static bool sameSecret(std::string_view expected, std::string_view found) {
  volatile unsigned difference = expected.size() != found.size();
  for (size_t i = 0; i < found.size(); ++i) {
    unsigned char other = expected.empty() ? 0 : expected[i % expected.size()];
    difference = difference | (uint8_t(found[i]) ^ other);
  }
  return difference == 0;
}

Coordinator::Coordinator(Config config)
    : config(std::move(config)), members(this->config.size),
      due(this->config.begin + this->config.startTimeout),
      wait(this->config.startTimeout) {
  Guest &guest = guests[self];
  guest.rank = 0;
  guest.reader.setLimit(maxBodyBytes);
  members[0].process = this->config.process;
  came = 1;
  // A group of one is complete.
  if (allCame()) {
    current = State::Running;
    due.reset();
    send(self, encode(Welcome{{this->config.process}}));
  }
}

void Coordinator::send(Connection to, Frame frame, bool drop) {
  posts.push_back({to, std::move(frame), drop});
}

std::string Coordinator::who(uint32_t rank) const {
  return describe(*members[rank].process);
}

void Coordinator::sendAll(const Frame &frame) {
  for (const Member &member : members)
    if (member.process)
      send(member.connection, frame);
}

void Coordinator::drop(Connection connection) {
  guests.erase(connection);
  send(connection, nullptr, true);
}

void Coordinator::refuse(Connection connection, std::string why) {
  ++refusals;
  lastRefusal = fmt::format("{}: {}", guests[connection].peer, why);
  guests.erase(connection);
  send(connection, encode(Refused{std::move(why)}), true);
}

void Coordinator::fail(uint32_t rank, std::string message) {
  if (current == State::Failed || current == State::Closed)
    return;
  current = State::Failed;
  due.reset();
  failure = encode(Failed{rank, std::move(message)});
  sendAll(failure);
}

void Coordinator::opened(Connection connection, std::string peer,
                         Clock::time_point now) {
  Guest &guest = guests[connection];
  guest.peer = std::move(peer);
  guest.opened = now;
  // The oldest stranger makes room: who belongs here says so at once.
  auto isStranger = [](const auto &entry) { return !entry.second.rank; };
  if (size_t(std::ranges::count_if(guests, isStranger)) > maxStrangers)
    drop(std::ranges::find_if(guests, isStranger)->first);
}

void Coordinator::received(Connection connection, std::string_view bytes,
                           Clock::time_point now) {
  auto guest = guests.find(connection);
  if (guest == guests.end())
    return;
  guest->second.reader.append(bytes);
  while ((guest = guests.find(connection)) != guests.end()) {
    auto message = guest->second.reader.next();
    if (message && !*message)
      return;
    if (message) {
      handle(connection, std::move(**message), now);
      continue;
    }
    std::string what = std::move(message.error().message);
    if (!guest->second.rank)
      return refuse(connection, std::move(what));
    uint32_t rank = *guest->second.rank;
    fail(rank, fmt::format("{}: {}", who(rank), what));
    return drop(connection);
  }
}

void Coordinator::handle(Connection connection, Message message,
                         Clock::time_point now) {
  std::optional<uint32_t> rank = guests[connection].rank;
  if (!rank) {
    if (auto *hello = std::get_if<Hello>(&message))
      return greet(connection, *hello, now);
    return refuse(connection, "expected a hello, found another message");
  }
  if (current == State::Failed || current == State::Closed)
    return;
  if (auto *abort = std::get_if<Abort>(&message))
    return fail(*rank, fmt::format("rank {}: {}", *rank, abort->message));
  auto *given = std::get_if<Contribution>(&message);
  if (given && current == State::Running && given->sequence == sequence &&
      !members[*rank].given && given->call.size() <= maxTextBytes &&
      given->blob.size() <= maxBlobBytes)
    return take(*rank, std::move(*given), now);
  fail(*rank, who(*rank) + ": sent a message that has no place here");
}

/// A stranger becomes a member, or learns why not.
void Coordinator::greet(Connection connection, const Hello &hello,
                        Clock::time_point now) {
  if (hello.version != version)
    return refuse(connection, fmt::format("expected version {} of the "
                                          "protocol, found {}; run the same "
                                          "version of tpc everywhere",
                                          version, hello.version));
  if (!sameSecret(config.token, hello.token))
    return refuse(connection, "it shows another token: it belongs to another "
                              "launch");
  const ProcessInfo &process = hello.process;
  if (current == State::Meeting) {
    if (hello.size != config.size || process.rank >= config.size)
      fail(process.rank,
           fmt::format("{} was started as one of {} processes, rank 0 as one "
                       "of {}; start all with the same number",
                       describe(process), hello.size, config.size));
    else if (members[process.rank].process)
      fail(process.rank,
           fmt::format("rank {} came twice: pid {} on {} and pid {} on {}; "
                       "give each process a rank of its own",
                       process.rank, members[process.rank].process->pid,
                       members[process.rank].process->hostName, process.pid,
                       process.hostName));
    else if (hello.fingerprint != config.fingerprint)
      fail(process.rank,
           fmt::format("{} runs '{}', rank 0 runs '{}'; run the same version "
                       "everywhere",
                       describe(process), hello.fingerprint,
                       config.fingerprint));
  }
  if (current == State::Failed) {
    if (process.rank < config.size && !members[process.rank].process)
      ++came;
    guests.erase(connection);
    return send(connection, failure, true);
  }
  if (current != State::Meeting)
    return refuse(connection, "the group is complete");

  guests[connection].rank = process.rank;
  guests[connection].reader.setLimit(maxBodyBytes);
  members[process.rank] = {process, connection, std::nullopt};
  ++came;
  send(connection, encode(Accepted{config.process}));
  // It will have given up by then, and should know for whom it waited.
  auto end = now + milliseconds(hello.waitMillis);
  if (end < *due) {
    due = end;
    wait = milliseconds(hello.waitMillis);
  }
  if (!allCame())
    return;
  current = State::Running;
  due.reset();
  Welcome welcome;
  for (const Member &member : members)
    welcome.processes.push_back(*member.process);
  sendAll(encode(welcome));
}

void Coordinator::take(uint32_t rank, Contribution contribution,
                       Clock::time_point now) {
  milliseconds limit(contribution.waitMillis);
  if (!due || now + limit < *due) {
    due = now + limit;
    wait = limit;
  }
  members[rank].given = std::move(contribution);
  ++arrived;

  std::map<std::string_view, std::vector<uint32_t>> calls;
  std::optional<uint32_t> first, other;
  for (uint32_t i = 0; i < members.size(); ++i) {
    if (!members[i].given)
      continue;
    calls[members[i].given->call].push_back(i);
    if (!first)
      first = i;
    else if (members[i].given->call != members[*first].given->call)
      other = other.value_or(i);
  }
  if (other) {
    std::vector<std::string> texts;
    for (const auto &[call, ranks] : calls)
      texts.push_back(fmt::format("{} called {}", describeRanks(ranks), call));
    return fail(*other, fmt::format("all processes make the same calls in the "
                                    "same order, but {}",
                                    fmt::join(texts, "; ")));
  }
  if (arrived < config.size)
    return;

  due.reset();
  if (members[rank].given->call == closeCall)
    current = State::Closed;
  for (uint32_t i = 0; i < members.size(); ++i) {
    sendAll(encode(Part{sequence, i, std::move(members[i].given->blob)}));
    members[i].given.reset();
  }
  ++sequence;
  arrived = 0;
}

void Coordinator::ended(Connection connection) {
  auto guest = guests.find(connection);
  if (guest == guests.end())
    return;
  std::optional<uint32_t> rank = guest->second.rank;
  guests.erase(guest);
  if (rank)
    fail(*rank, who(*rank) + " is gone");
}

/// Names who did not come in time.
void Coordinator::failLate() {
  std::vector<uint32_t> missing;
  std::vector<std::string> names;
  for (uint32_t i = 0; i < members.size(); ++i) {
    if (current == State::Meeting ? !members[i].process : !members[i].given)
      missing.push_back(i);
    else if (names.empty() && current == State::Running)
      names.push_back(members[i].given->call);
  }
  if (current == State::Meeting) {
    std::string text = fmt::format(
        "expected {} processes at {} within {}, but {} did not come; start "
        "them all, or raise the start timeout",
        config.size, config.address, describe(wait), describeRanks(missing));
    if (refusals > 0)
      text +=
          fmt::format(" (connections that were refused: {}; the last, from {})",
                      refusals, lastRefusal);
    return fail(missing.front(), std::move(text));
  }
  std::string late =
      missing.size() == 1 ? who(missing.front()) : describeRanks(missing);
  fail(missing.front(), fmt::format("{} did not come to {} within {}", late,
                                    names.front(), describe(wait)));
}

void Coordinator::advance(Clock::time_point now) {
  if (due && now >= *due)
    failLate();
  std::vector<Connection> silent;
  for (const auto &[connection, guest] : guests)
    if (!guest.rank && now - guest.opened >= strangerLimit)
      silent.push_back(connection);
  for (Connection connection : silent)
    drop(connection);
}

std::optional<Coordinator::Clock::time_point> Coordinator::deadline() const {
  std::optional<Clock::time_point> first = due;
  for (const auto &[connection, guest] : guests)
    if (!guest.rank) {
      auto end = guest.opened + strangerLimit;
      first = first ? std::min(*first, end) : end;
    }
  return first;
}
