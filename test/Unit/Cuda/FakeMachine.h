// A machine with GPUs that are not there: memory on the host, streams whose
// work runs as late and in as strange an order as CUDA allows.
//
// Work that is put into a stream becomes an operation that depends on the one
// before it in the stream and on the events that the stream waits for. Nothing
// runs until someone asks a stream or an event whether it is done; then any
// operation whose dependencies have run may run next, and the machine chooses
// badly: always the oldest stream, always the newest, or at random. Program
// that forgets to wait reads what is not there yet: fresh memory is full of
// NaN.
//
// While a stream captures, the same dependencies are recorded as a graph.
#ifndef TPC_TEST_UNIT_CUDA_FAKEMACHINE_H
#define TPC_TEST_UNIT_CUDA_FAKEMACHINE_H

#include <cstdint>
#include <cuda.h>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

struct CUctx_st {
  int gpu;
};

namespace tpcrt::fake {

struct Settings {
  int gpus = 1;
  int capability = 90;
  bool peers = true;              // GPUs can read each other's memory
  uint64_t memoryBytes = 1 << 30; // of each GPU
  enum class Order { OldestStream, NewestStream, Random };
  Order order = Order::OldestStream;
  unsigned seed = 0;
};

/// What a kernel is launched with.
struct Launch {
  uint64_t blocks = 0, threads = 0;
  std::vector<uint64_t> parameters;
  int gpu = 0;

  /// Parameter `i` as an address; `bytes` from it must be device memory.
  std::byte *bytes(size_t i, uint64_t bytes) const;
  template <class T> T *at(size_t i, uint64_t count) const {
    return reinterpret_cast<T *>(bytes(i, count * sizeof(T)));
  }
};
using HostKernel = std::function<void(const Launch &)>;

/// How a kernel meets those of other GPUs: what it does before, and whether the
/// others have come.
struct Meeting {
  HostKernel arrive;
  std::function<bool(const Launch &)> met;
};

/// The kernels of an image that is no PTX text: how many addresses one takes,
/// -1 if there is none of the name, and how it runs.
struct Image {
  std::function<int(const std::string &)> numParameters;
  std::function<void(const std::string &, const Launch &)> run;
};

struct Operation {
  std::string what;
  std::function<void()> run;
  std::function<bool()> ready; // may be null; whether others have arrived
  std::vector<std::shared_ptr<Operation>> after;
  uint64_t stream = 0;
  int gpu = 0;
  bool done = false;
};

/// A graph being captured, or captured.
struct Graph {
  struct Node {
    std::string what;
    std::function<void()> run;
    std::function<bool()> ready;
    std::vector<size_t> after;
    uint64_t stream;
  };
  std::vector<Node> nodes;
  std::set<CUstream> streams; // that take part
  CUstream origin = nullptr;
  std::thread::id thread = std::this_thread::get_id(); // that captures
  bool invalid = false; // something illegal was called meanwhile
};

class Machine {
public:
  explicit Machine(Settings settings)
      : settings(settings), random(settings.seed) {}

  // ------------------------------------------------------------ for tests --

  /// The names of all calls of the driver and the libraries, in order.
  std::vector<std::string> calls;
  /// The first thing that was done wrong; empty if nothing.
  std::string misuse;
  /// What has not been released: "2 x device memory, 1 x stream".
  std::string alive() const;
  /// Call number `number` of those that can fail does, with `result`.
  void failAt(uint64_t number, CUresult result) {
    failNumber = number;
    failResult = result;
  }
  bool hasFailed() const { return failNumber > 0 && counted >= failNumber; }
  uint64_t countedCalls() const { return counted; }
  /// From now on nothing in the streams moves; or once this operation is next.
  bool hangs = false;
  std::string hangAt;
  /// From now on every call fails with it, as after a kernel's bad access.
  CUresult stickyError = CUDA_SUCCESS;

  // ------------------------------------------------------------ for fakes --

  /// Held by every call: processes are played by threads.
  std::recursive_mutex mutex;
  Settings settings;

  /// Enters a call; what it returns at once if it is to fail.
  CUresult called(const char *function);
  void misused(const std::string &what);
  /// Called what must not be called while the thread captures a graph.
  CUresult illegalInCapture(const char *function);

  CUdeviceptr allocate(uint64_t bytes, bool pinned);
  bool release(uint64_t address);
  /// Misuse unless the range is inside of one allocation.
  void checkRange(const std::string &what, uint64_t address, uint64_t bytes,
                  bool pinned = false);
  uint64_t allocatedBytes(int gpu) const;
  /// Of the memory at an address that is in one allocation.
  int gpuOf(uint64_t address) const;

  struct Event {
    std::shared_ptr<Operation> operation;
    std::shared_ptr<Graph> graph; // of a capture, with the nodes it stands for
    std::vector<size_t> nodes;
    uint64_t time = 0;
  };
  struct Stream {
    uint64_t number;
    int gpu;
    std::shared_ptr<Operation> last;
    std::vector<std::shared_ptr<Operation>> waits; // of the next operation
    std::shared_ptr<Graph> capture;
    std::vector<size_t> frontier; // what the next node comes after
  };
  struct Module {
    std::map<std::string, std::vector<unsigned>> entries; // bytes of parameters
    std::optional<Image> image;                           // instead
  };
  struct Function {
    std::string name;
    std::vector<unsigned> parameters; // bytes
    HostKernel run;
  };
  std::map<CUstream, Stream> streams;
  std::map<CUevent, Event> events;
  std::map<CUmodule, Module> modules;
  std::map<CUgraph, std::shared_ptr<Graph>> graphs;
  std::map<CUgraphExec, std::shared_ptr<Graph>> executables;
  std::map<CUfunction, Function> functions;
  /// Loads images that are no PTX text.
  std::function<std::optional<Image>(const char *)> loadImage;
  /// Of the calling thread, the current one last.
  static thread_local std::vector<CUcontext> contexts;
  std::map<int, std::pair<CUctx_st, int>> primary; // and how often retained
  std::map<std::string, HostKernel> kernels;
  std::map<std::string, Meeting> meetings; // of those kernels that meet others
  std::set<std::pair<int, int>> reached; // GPUs, and whose memory they may use
  std::map<std::string, int> objects;    // others that must be released

  int currentGpu() const;
  /// A handle that no other object has.
  template <class Handle> Handle newHandle() {
    return reinterpret_cast<Handle>(++lastHandle << 4);
  }

  /// `ready`: a further condition for it to run.
  void enqueue(CUstream stream, std::string what, std::function<void()> run,
               std::function<bool()> ready = {});
  void record(CUevent event, CUstream stream);
  CUresult wait(CUstream stream, CUevent event);
  void launchGraph(CUgraphExec graph, CUstream stream);
  CUresult endCapture(CUstream stream, std::shared_ptr<Graph> &graph);
  /// Operations of that name count as done.
  void drop(const std::string &what);
  /// Runs an operation or two.
  void makeProgress();
  bool isIdle() const { return pending.empty(); }
  bool isCapturing() const;

private:
  struct Allocation {
    uint64_t bytes;
    bool pinned;
    int gpu;
  };
  bool runOne();
  bool mayBlock() const;

  std::map<uint64_t, Allocation> allocations;
  std::vector<std::shared_ptr<Operation>> pending;
  std::mt19937 random;
  uint64_t lastHandle = 0;
  uint64_t counted = 0, failNumber = 0;
  CUresult failResult = CUDA_SUCCESS;
  uint64_t clock = 0;
};

/// The machine that the fakes work on.
Machine &machine();
/// A new machine.
Machine &reset(Settings settings = {});

} // namespace tpcrt::fake

#endif // TPC_TEST_UNIT_CUDA_FAKEMACHINE_H
