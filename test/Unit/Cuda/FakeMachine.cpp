#include "FakeMachine.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <fmt/format.h>
#include <utility>

using namespace tpcrt::fake;

namespace {
std::unique_ptr<Machine> current;
} // namespace

thread_local std::vector<CUcontext> Machine::contexts;

Machine &tpcrt::fake::machine() {
  if (!current)
    reset();
  return *current;
}

Machine &tpcrt::fake::reset(Settings settings) {
  current = std::make_unique<Machine>(settings);
  return *current;
}

std::byte *Launch::bytes(size_t i, uint64_t count) const {
  machine().checkRange(fmt::format("parameter {} of a kernel", i),
                       parameters.at(i), count);
  return reinterpret_cast<std::byte *>(parameters.at(i));
}

// ----------------------------------------------------------------- calls --

CUresult Machine::called(const char *function) {
  calls.push_back(function);
  if (stickyError != CUDA_SUCCESS)
    return stickyError;
  if (++counted == failNumber)
    return failResult;
  return CUDA_SUCCESS;
}

void Machine::misused(const std::string &what) {
  if (misuse.empty())
    misuse = what;
}

CUresult Machine::illegalInCapture(const char *function) {
  if (!isCapturing())
    return CUDA_SUCCESS;
  misused(fmt::format("{} while a graph is captured", function));
  for (auto &[handle, stream] : streams)
    if (stream.capture && stream.capture->thread == std::this_thread::get_id())
      stream.capture->invalid = true;
  return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
}

bool Machine::isCapturing() const {
  return std::ranges::any_of(streams, [](const auto &entry) {
    return entry.second.capture &&
           entry.second.capture->thread == std::this_thread::get_id();
  });
}

std::string Machine::alive() const {
  std::map<std::string, int> counts = objects;
  for (auto &[address, allocation] : allocations)
    ++counts[allocation.pinned ? "pinned memory" : "device memory"];
  counts["stream"] += streams.size();
  counts["event"] += events.size();
  counts["module"] += modules.size();
  counts["graph"] += graphs.size();
  counts["executable graph"] += executables.size();
  counts["current context"] += contexts.size();
  for (auto &[gpu, context] : primary)
    counts["primary context"] += context.second;
  std::string text;
  for (auto &[what, count] : counts)
    if (count != 0)
      text += fmt::format("{}{} x {}", text.empty() ? "" : ", ", count, what);
  return text;
}

int Machine::currentGpu() const {
  return contexts.empty() ? -1 : contexts.back()->gpu;
}

// ---------------------------------------------------------------- memory --

CUdeviceptr Machine::allocate(uint64_t bytes, bool pinned) {
  constexpr size_t alignment = 256;
  void *memory = std::aligned_alloc(alignment, (bytes + alignment - 1) /
                                                   alignment * alignment);
  std::memset(memory, 0xff, bytes);
  auto address = reinterpret_cast<uint64_t>(memory);
  allocations[address] = {bytes, pinned, currentGpu()};
  return address;
}

/// Whether this thread's GPU has work that memory to be freed must wait for.
bool Machine::mayBlock() const {
  return !hangs && stickyError == CUDA_SUCCESS &&
         std::ranges::any_of(pending, [&](const auto &operation) {
           return operation->gpu == currentGpu();
         });
}

bool Machine::release(uint64_t address) {
  auto found = allocations.find(address);
  if (found == allocations.end()) {
    misused("memory is freed that was not allocated");
    return false;
  }
  if (mayBlock())
    misused("memory is freed, which waits for all work, while some is pending");
  std::memset(reinterpret_cast<void *>(address), 0xdd, found->second.bytes);
  std::free(reinterpret_cast<void *>(address));
  allocations.erase(found);
  return true;
}

void Machine::checkRange(const std::string &what, uint64_t address,
                         uint64_t bytes, bool pinned) {
  if (bytes == 0)
    return;
  auto next = allocations.upper_bound(address);
  if (next != allocations.begin()) {
    auto &[begin, allocation] = *std::prev(next);
    if (address + bytes <= begin + allocation.bytes &&
        allocation.pinned == pinned)
      return;
  }
  misused(fmt::format("{}: {} bytes at {:#x} are not in {} memory", what, bytes,
                      address, pinned ? "pinned" : "device"));
  throw std::out_of_range(what); // to where the operation runs
}

int Machine::gpuOf(uint64_t address) const {
  return std::prev(allocations.upper_bound(address))->second.gpu;
}

uint64_t Machine::allocatedBytes(int gpu) const {
  uint64_t bytes = 0;
  for (auto &[address, allocation] : allocations)
    if (!allocation.pinned && allocation.gpu == gpu)
      bytes += allocation.bytes;
  return bytes;
}

// --------------------------------------------------------------- streams --

void Machine::enqueue(CUstream handle, std::string what,
                      std::function<void()> run, std::function<bool()> ready) {
  Stream &stream = streams.at(handle);
  if (stream.gpu != currentGpu())
    misused(what + " in a stream of another GPU than the current");
  if (stream.capture) {
    stream.capture->nodes.push_back({std::move(what), std::move(run),
                                     std::move(ready), stream.frontier,
                                     stream.number});
    stream.frontier = {stream.capture->nodes.size() - 1};
    return;
  }
  auto operation = std::make_shared<Operation>();
  operation->what = std::move(what);
  operation->run = std::move(run);
  operation->ready = std::move(ready);
  operation->after = std::exchange(stream.waits, {});
  if (stream.last)
    operation->after.push_back(stream.last);
  operation->stream = stream.number;
  operation->gpu = stream.gpu;
  stream.last = operation;
  pending.push_back(std::move(operation));
}

void Machine::record(CUevent handle, CUstream streamHandle) {
  Event &event = events.at(handle);
  Stream &stream = streams.at(streamHandle);
  event = {};
  if (stream.capture) {
    event.graph = stream.capture;
    event.nodes = stream.frontier;
    return;
  }
  enqueue(streamHandle, "event", [this, handle] {
    if (auto found = events.find(handle); found != events.end())
      found->second.time = ++clock;
  });
  event.operation = stream.last;
}

CUresult Machine::wait(CUstream streamHandle, CUevent handle) {
  const Event &event = events.at(handle);
  Stream &stream = streams.at(streamHandle);
  if (event.graph) {
    if (!stream.capture && stream.waits.empty()) {
      stream.capture = event.graph; // it joins the capture
      stream.frontier.clear();
      event.graph->streams.insert(streamHandle);
    }
    if (stream.capture != event.graph) {
      misused("a stream waits for the event of another graph");
      return CUDA_ERROR_STREAM_CAPTURE_ISOLATION;
    }
    for (size_t node : event.nodes)
      if (std::ranges::find(stream.frontier, node) == stream.frontier.end())
        stream.frontier.push_back(node);
    return CUDA_SUCCESS;
  }
  if (stream.capture) {
    misused("a stream that is captured waits for an event that is not");
    return CUDA_ERROR_STREAM_CAPTURE_ISOLATION;
  }
  if (event.operation)
    stream.waits.push_back(event.operation);
  return CUDA_SUCCESS;
}

CUresult Machine::endCapture(CUstream handle, std::shared_ptr<Graph> &graph) {
  Stream &origin = streams.at(handle);
  graph = origin.capture;
  if (!graph || graph->origin != handle)
    return CUDA_ERROR_ILLEGAL_STATE;
  // What the origin's end comes after, directly or not.
  std::set<size_t> joined;
  std::vector<size_t> open = origin.frontier;
  while (!open.empty()) {
    size_t node = open.back();
    open.pop_back();
    if (joined.insert(node).second)
      for (size_t before : graph->nodes[node].after)
        open.push_back(before);
  }
  bool unjoined = joined.size() != graph->nodes.size();
  for (CUstream member : graph->streams) {
    streams.at(member).capture = nullptr;
    streams.at(member).frontier.clear();
  }
  if (graph->invalid)
    return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
  if (unjoined) {
    if (!hasFailed()) // else it was given up
      misused("a captured stream is not joined to the origin");
    return CUDA_ERROR_STREAM_CAPTURE_UNJOINED;
  }
  return CUDA_SUCCESS;
}

void Machine::launchGraph(CUgraphExec handle, CUstream streamHandle) {
  enqueue(streamHandle, "graph", [] {});
  Stream &stream = streams.at(streamHandle);
  std::shared_ptr<Operation> begin = stream.last;
  std::vector<std::shared_ptr<Operation>> operations;
  for (const Graph::Node &node : executables.at(handle)->nodes) {
    auto operation = std::make_shared<Operation>();
    operation->what = node.what;
    operation->run = node.run;
    operation->ready = node.ready;
    operation->after = {begin};
    for (size_t before : node.after)
      operation->after.push_back(operations[before]);
    operation->stream = node.stream;
    operation->gpu = stream.gpu;
    operations.push_back(operation);
    pending.push_back(std::move(operation));
  }
  stream.waits = std::move(operations);
  enqueue(streamHandle, "end of graph", [] {});
}

bool Machine::runOne() {
  std::vector<size_t> ready;
  for (size_t i = 0; i < pending.size(); ++i)
    if (std::ranges::all_of(pending[i]->after,
                            [](const auto &other) { return other->done; }) &&
        (!pending[i]->ready || pending[i]->ready()))
      ready.push_back(i);
  if (ready.empty() || hangs || stickyError != CUDA_SUCCESS)
    return false;
  auto byStream = [&](size_t i) { return pending[i]->stream; };
  size_t chosen = ready[0];
  switch (settings.order) {
  case Settings::Order::OldestStream:
    chosen = *std::ranges::min_element(ready, {}, byStream);
    break;
  case Settings::Order::NewestStream:
    chosen = *std::ranges::max_element(ready, {}, byStream);
    break;
  case Settings::Order::Random:
    chosen = ready[random() % ready.size()];
    break;
  }
  std::shared_ptr<Operation> operation = pending[chosen];
  if (operation->what == hangAt) {
    hangs = true;
    return false;
  }
  pending.erase(pending.begin() + chosen);
  try {
    operation->run();
  } catch (const std::out_of_range &) {
    stickyError = CUDA_ERROR_ILLEGAL_ADDRESS;
  }
  operation->after.clear();
  operation->done = true;
  return true;
}

void Machine::drop(const std::string &what) {
  std::erase_if(pending, [&](const auto &operation) {
    if (operation->what.starts_with(what))
      operation->done = true;
    return operation->done;
  });
}

void Machine::makeProgress() {
  constexpr int atOnce = 16;
  for (int i = 0; i < atOnce && runOne(); ++i)
    ;
}
