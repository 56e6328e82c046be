// Waits in poll for all connections of a group at once; an eventfd wakes it.
#include "processes/Monitor.h"

#include <algorithm>
#include <cerrno>
#include <poll.h>

using namespace tpcrt;
using namespace tpcrt::protocol;

/// The connection to rank 0, of other ranks.
static constexpr uint64_t toRank0 = 0;

static void signal(const File &event) {
  uint64_t one = 1;
  (void)!::write(event.get(), &one, sizeof(one));
}

Monitor::Monitor(Coordinator begun, File listener, File wake, File failed,
                 uint32_t size, std::chrono::milliseconds timeout)
    : member(size), coordinator(std::move(begun)),
      listener(std::move(listener)), wake(std::move(wake)),
      failed(std::move(failed)), timeout(timeout) {
  deliver();
  thread = std::thread([this] { run(); });
}

Monitor::Monitor(Joined joined, File wake, File failed, uint32_t size,
                 std::chrono::milliseconds timeout)
    : member(size), wake(std::move(wake)), failed(std::move(failed)),
      timeout(timeout) {
  watchPeer(joined.connection.descriptor(), timeout);
  connections.emplace(toRank0, std::move(joined.connection));
  member.setLeader(std::move(joined.rank0));
  member.received(joined.received);
  thread = std::thread([this] { run(); });
}

Monitor::~Monitor() { stop(); }

void Monitor::stop() {
  {
    std::lock_guard lock(mutex);
    stopping = true;
  }
  wakeUp();
  if (thread.joinable())
    thread.join();
  connections.clear();
  listener = File();
}

void Monitor::wakeUp() { signal(wake); }

void Monitor::run() {
  std::unique_lock lock(mutex);
  while (!stopping) {
    afterChange();
    notify(lock);
    if (!stopping)
      wait(lock);
    if (coordinator) {
      coordinator->advance(Clock::now());
      deliver();
    }
  }
}

/// Waits until something happens, and takes in what did.
void Monitor::wait(std::unique_lock<std::mutex> &lock) {
  std::vector<pollfd> polls = {{wake.get(), POLLIN, 0}};
  std::optional<Clock::time_point> end;
  if (coordinator)
    end = coordinator->deadline();
  bool accepts = bool(listener) && Clock::now() >= acceptAgain;
  if (listener && !accepts)
    end = end ? std::min(*end, acceptAgain) : acceptAgain;
  polls.push_back({accepts ? listener.get() : -1, POLLIN, 0});
  std::vector<Id> ids;
  for (const auto &[id, connection] : connections) {
    short events = POLLIN;
    if (connection.hasUnsent())
      events |= POLLOUT;
    polls.push_back({connection.descriptor(), events, 0});
    ids.push_back(id);
  }
  int millis = -1;
  if (end) {
    auto left =
        std::chrono::ceil<std::chrono::milliseconds>(*end - Clock::now());
    millis = int(std::clamp<int64_t>(left.count(), 0, 1 << 30));
  }
  lock.unlock();
  ::poll(polls.data(), polls.size(), millis);
  lock.lock();
  if (polls[0].revents) {
    uint64_t count;
    (void)!::read(wake.get(), &count, sizeof(count));
  }
  if (polls[1].revents)
    acceptAll();
  for (size_t i = 0; i < ids.size(); ++i)
    if (polls[2 + i].revents)
      read(ids[i]);
}

void Monitor::acceptAll() {
  // A flood of connections leaves time for those that are here.
  for (int i = 0; i < 16 && listener; ++i) {
    std::string peer;
    auto socket = acceptFrom(listener.get(), peer);
    if (!socket) {
      if (errno != EAGAIN && errno != EWOULDBLOCK && errno != ECONNABORTED)
        acceptAgain = Clock::now() + std::chrono::milliseconds(100);
      return;
    }
    watchPeer(socket->get(), timeout);
    connections.emplace(++lastId, std::move(*socket));
    coordinator->opened(lastId, std::move(peer), Clock::now());
    deliver();
  }
}

void Monitor::read(Id id) {
  auto found = connections.find(id);
  if (found == connections.end())
    return;
  found->second.flush();
  auto bytes = found->second.receive();
  if (!bytes) {
    connections.erase(found);
    if (coordinator)
      coordinator->ended(id);
    else
      member.ended();
  } else if (coordinator) {
    coordinator->received(id, *bytes, Clock::now());
  } else {
    member.received(*bytes);
  }
  deliver();
}

/// Hands out what the coordinator has to say.
void Monitor::deliver() {
  if (!coordinator)
    return;
  for (Coordinator::Post &post : coordinator->takePosts()) {
    if (post.to == Coordinator::self) {
      member.received(*post.frame);
      continue;
    }
    auto found = connections.find(post.to);
    if (found == connections.end())
      continue;
    if (post.frame)
      found->second.send(std::move(post.frame));
    if (post.drop)
      connections.erase(found);
  }
  if (coordinator->state() == Coordinator::State::Running ||
      coordinator->state() == Coordinator::State::Closed)
    listener = File();
}

void Monitor::send(const Message &message) {
  Frame frame = encode(message);
  if (coordinator) {
    coordinator->received(Coordinator::self, *frame, Clock::now());
    deliver();
  } else if (auto found = connections.find(toRank0);
             found != connections.end()) {
    found->second.send(std::move(frame));
  }
  afterChange();
  wakeUp();
}

void Monitor::failHere(uint32_t rank, std::string message) {
  member.fail(rank, std::move(message));
  afterChange();
  wakeUp();
}

void Monitor::afterChange() {
  if (member.failure())
    signal(failed);
  changed.notify_all();
}

bool Monitor::allSent() const {
  return std::ranges::none_of(
      connections, [](const auto &entry) { return entry.second.hasUnsent(); });
}

/// Tells the listeners of a failure, once.
void Monitor::notify(std::unique_lock<std::mutex> &lock) {
  if (!member.failure() || notified)
    return;
  notified = true;
  PeerFailure failure = *member.failure();
  while (!listeners.empty()) {
    auto listener = listeners.extract(listeners.begin());
    runningListener = listener.key();
    lock.unlock();
    listener.mapped()(failure);
    lock.lock();
    runningListener = 0;
    changed.notify_all();
  }
}

uint64_t Monitor::listen(ProcessGroup::Listener listener) {
  std::unique_lock lock(mutex);
  uint64_t id = ++lastListener;
  if (!notified) {
    listeners.emplace(id, std::move(listener));
    return id;
  }
  PeerFailure failure = *member.failure();
  lock.unlock();
  listener(failure);
  return id;
}

void Monitor::unlisten(uint64_t id) {
  std::unique_lock lock(mutex);
  listeners.erase(id);
  // A listener may unlisten itself.
  if (std::this_thread::get_id() != thread.get_id())
    changed.wait(lock, [&] { return runningListener != id; });
}
