#include "comm/Communicator.h"

#include "support/Fail.h"

using namespace tpcrt;

Result<std::vector<Buffer>>
Communicator::allocate(uint64_t count, uint64_t bytes, std::string_view what) {
  std::vector<Buffer> blocks(count);
  for (Buffer &block : blocks) {
    TPCRT_ASSIGN(block, Buffer::allocate(bytes, what));
  }
  return blocks;
}

Result<void> tpcrt::runCollective(Communicator &communicator,
                                  uint32_t collective, uint32_t first,
                                  const std::vector<DeviceBuffers> &devices,
                                  std::chrono::milliseconds deadline) {
  using Status = Communicator::Status;
  auto limit = Communicator::Clock::now() + deadline;
  communicator.begin();
  std::vector<Communicator::Ticket> tickets;
  for (size_t i = 0; i < devices.size(); ++i)
    tickets.push_back(communicator.start(first + i, collective, devices[i].src,
                                         devices[i].dst));
  for (const Communicator::Ticket &ticket : tickets) {
    while (true) {
      uint64_t seen = communicator.changes();
      Status status = communicator.poll(ticket);
      if (status == Status::Done)
        break;
      if (status == Status::Failed)
        return tl::unexpected(communicator.error());
      if (Communicator::Clock::now() >= limit)
        communicator.expire(ticket, deadline);
      communicator.waitForChange(seen, limit);
    }
    communicator.finish(ticket.device);
  }
  return {};
}
