#include "comm/Network.h"

#include "support/Fail.h"

#include <gloo/rendezvous/context.h>
#include <gloo/rendezvous/store.h>
#include <gloo/transport/tcp/device.h>
#include <list>
#include <map>
#include <mutex>

using namespace tpcrt;

namespace {

/// Gloo wants a limit; who waits for the result has a shorter one.
constexpr std::chrono::milliseconds noLimit = std::chrono::hours(24);

/// How the processes tell each other their addresses. Gloo takes this for a
/// store of keys that everyone sees; every process sets equally many, and asks
/// for those that the others set in the same turn or before.
class GroupStore final : public gloo::rendezvous::Store {
public:
  explicit GroupStore(ProcessGroup &group) : group(group) {}

  void set(const std::string &key, const std::vector<char> &data) override {
    auto keys = group.exchange("network keys", key);
    auto blobs =
        group.exchange("network addresses", {data.data(), data.size()});
    if (!keys || !blobs)
      throw std::runtime_error((keys ? blobs : keys).error().message);
    for (size_t rank = 0; rank < keys->size(); ++rank)
      values[(*keys)[rank]] = {(*blobs)[rank].begin(), (*blobs)[rank].end()};
  }

  std::vector<char> get(const std::string &key) override {
    return values.at(key);
  }

  void wait(const std::vector<std::string> &) override {}

private:
  ProcessGroup &group;
  std::map<std::string, std::vector<char>> values;
};

using BufferPtr = std::unique_ptr<gloo::transport::UnboundBuffer>;

class GlooNetwork final : public Network {
public:
  explicit GlooNetwork(std::shared_ptr<gloo::rendezvous::Context> context)
      : context(std::move(context)) {}

  Result<void> exchange(std::span<const Message> sends,
                        std::span<const Message> receives) override;
  std::set<uint32_t> waitingFor() override;
  void abort() override;

private:
  struct Wait {
    gloo::transport::UnboundBuffer *buffer;
    bool receives;
    uint32_t rank;
  };
  void wait(const Wait &entry);

  std::shared_ptr<gloo::rendezvous::Context> context;
  std::mutex mutex; // guards what follows
  bool aborted = false;
  std::list<Wait> waits;
};

Result<void> GlooNetwork::exchange(std::span<const Message> sends,
                                   std::span<const Message> receives) {
  std::vector<BufferPtr> sending, receiving;
  auto make = [&](const Message &message) {
    return context->createUnboundBuffer(message.data, message.bytes);
  };
  try {
    for (const Message &message : receives) {
      receiving.push_back(make(message));
      receiving.back()->recv(static_cast<int>(message.rank), message.tag);
    }
    for (const Message &message : sends) {
      sending.push_back(make(message));
      sending.back()->send(static_cast<int>(message.rank), message.tag);
    }
    for (size_t i = 0; i < receives.size(); ++i)
      wait({receiving[i].get(), true, receives[i].rank});
    for (size_t i = 0; i < sends.size(); ++i)
      wait({sending[i].get(), false, sends[i].rank});
  } catch (const std::exception &error) {
    return fail("network: {}", error.what());
  }
  return {};
}

void GlooNetwork::wait(const Wait &wait) {
  std::list<Wait> entry{wait};
  auto place = entry.begin();
  {
    std::lock_guard lock(mutex);
    if (aborted)
      throw std::runtime_error("aborted");
    waits.splice(waits.begin(), entry);
  }
  auto leave = [&] {
    std::lock_guard lock(mutex);
    waits.erase(place);
  };
  bool done = false;
  try {
    done = wait.receives ? wait.buffer->waitRecv(noLimit)
                         : wait.buffer->waitSend(noLimit);
  } catch (...) {
    leave();
    throw;
  }
  leave();
  if (!done)
    throw std::runtime_error("aborted");
}

std::set<uint32_t> GlooNetwork::waitingFor() {
  std::lock_guard lock(mutex);
  std::set<uint32_t> ranks;
  for (const Wait &wait : waits)
    if (wait.receives)
      ranks.insert(wait.rank);
  return ranks;
}

void GlooNetwork::abort() {
  std::lock_guard lock(mutex);
  aborted = true;
  for (const Wait &wait : waits)
    wait.receives ? wait.buffer->abortWaitRecv() : wait.buffer->abortWaitSend();
}

} // namespace

Result<std::unique_ptr<Network>>
Network::connect(const std::shared_ptr<ProcessGroup> &group) {
  try {
    gloo::transport::tcp::attr attr(group->localAddress().c_str());
    std::shared_ptr<gloo::transport::Device> device =
        gloo::transport::tcp::CreateDevice(attr);
    auto context = std::make_shared<gloo::rendezvous::Context>(
        static_cast<int>(group->rank()), static_cast<int>(group->size()));
    context->setTimeout(group->options().timeout);
    GroupStore store(*group);
    context->connectFullMesh(store, device);
    return std::make_unique<GlooNetwork>(std::move(context));
  } catch (const std::exception &error) {
    return fail("cannot connect the processes' network at {}: {}",
                group->localAddress(), error.what());
  }
}
