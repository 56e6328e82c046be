// The states of a group, as each process sees them.
#include "processes/Member.h"
#include "processes/Coordinator.h"
#include "processes/Describe.h"

using namespace tpcrt;
using namespace tpcrt::protocol;

std::string Member::leader() const {
  return rank0 ? describe(*rank0) : "rank 0";
}

void Member::fail(uint32_t rank, std::string message) {
  if (!failed && !closed)
    failed = PeerFailure{rank, std::move(message)};
}

void Member::ended() { fail(0, leader() + " is gone"); }

Contribution Member::open(std::string call, std::string_view blob,
                          uint32_t waitMillis) {
  closing = call == closeCall;
  parts.assign(size, {});
  have.assign(size, false);
  missing = size;
  return {sequence++, waitMillis, std::move(call), std::string(blob)};
}

void Member::received(std::string_view bytes) {
  if (failed)
    return;
  reader.append(bytes);
  while (!failed) {
    auto message = reader.next();
    if (message && !*message)
      return;
    if (!message)
      fail(0, leader() + ": " + message.error().message);
    else if (!handle(std::move(**message)))
      fail(0, leader() + ": sent a message that has no place here");
  }
}

/// Whether the message has a place here.
bool Member::handle(Message message) {
  if (auto *failed = std::get_if<Failed>(&message)) {
    fail(failed->rank, std::move(failed->message));
    return true;
  }
  if (auto *welcome = std::get_if<Welcome>(&message)) {
    if (!all.empty() || welcome->processes.size() != size)
      return false;
    for (uint32_t i = 0; i < size; ++i)
      if (welcome->processes[i].rank != i)
        return false;
    all = std::move(welcome->processes);
    return true;
  }
  auto *part = std::get_if<Part>(&message);
  if (!part || missing == 0 || part->sequence + 1 != sequence ||
      part->rank >= size || have[part->rank])
    return false;
  have[part->rank] = true;
  parts[part->rank] = std::move(part->blob);
  --missing;
  closed = closing && missing == 0;
  return true;
}
