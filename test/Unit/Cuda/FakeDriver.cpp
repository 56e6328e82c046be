#include "FakeDriver.h"

#include <cstring>
#include <regex>

using namespace tpcrt;
using namespace tpcrt::fake;

#define LOCK() std::lock_guard lock(machine().mutex)
#define ENTER(function)                                                        \
  LOCK();                                                                      \
  if (CUresult failed = machine().called(#function); failed != CUDA_SUCCESS)   \
  return failed
#define ENTER_UNCAPTURED(function)                                             \
  ENTER(function);                                                             \
  if (CUresult illegal = machine().illegalInCapture(#function);                \
      illegal != CUDA_SUCCESS)                                                 \
  return illegal

namespace {

template <class Map, class Key> CUresult erase(Map &map, Key key) {
  if (map.erase(key))
    return CUDA_SUCCESS;
  machine().misused("an object is destroyed that is not there");
  return CUDA_ERROR_INVALID_HANDLE;
}

void copyNow(void *to, const void *from, size_t bytes) {
  std::memmove(to, from, bytes);
}

CUresult needContext() {
  return machine().currentGpu() < 0 ? CUDA_ERROR_INVALID_CONTEXT : CUDA_SUCCESS;
}

/// The bytes of the parameters of each entry in PTX text.
std::map<std::string, std::vector<unsigned>> entriesOf(const std::string &ptx) {
  std::map<std::string, std::vector<unsigned>> entries;
  static const std::regex entry(R"(\.entry\s+([\w$]+)\s*\(([^)]*)\))");
  static const std::regex parameter(R"(\.param\s+[^,]*\.[bufs](\d+)\s)");
  for (std::sregex_iterator i(ptx.begin(), ptx.end(), entry), end; i != end;
       ++i) {
    std::string list = (*i)[2];
    auto &sizes = entries[(*i)[1]];
    for (std::sregex_iterator p(list.begin(), list.end(), parameter); p != end;
         ++p)
      sizes.push_back(std::stoi((*p)[1]) / 8);
  }
  return entries;
}

} // namespace

extern "C" {

CUresult cuInit(unsigned) {
  ENTER(cuInit);
  return machine().settings.gpus == 0 ? CUDA_ERROR_NO_DEVICE : CUDA_SUCCESS;
}
CUresult cuDriverGetVersion(int *version) {
  ENTER(cuDriverGetVersion);
  *version = CUDA_VERSION;
  return CUDA_SUCCESS;
}
CUresult cuGetErrorName(CUresult error, const char **text) {
  *text = error == CUDA_ERROR_OUT_OF_MEMORY     ? "CUDA_ERROR_OUT_OF_MEMORY"
          : error == CUDA_ERROR_ILLEGAL_ADDRESS ? "CUDA_ERROR_ILLEGAL_ADDRESS"
                                                : "CUDA_ERROR";
  return CUDA_SUCCESS;
}
CUresult cuGetErrorString(CUresult error, const char **text) {
  *text = error == CUDA_ERROR_OUT_OF_MEMORY     ? "out of memory"
          : error == CUDA_ERROR_ILLEGAL_ADDRESS ? "an illegal memory access"
                                                : "some error";
  return CUDA_SUCCESS;
}

// -------------------------------------------------------- GPUs, contexts --

CUresult cuDeviceGetCount(int *count) {
  ENTER(cuDeviceGetCount);
  *count = machine().settings.gpus;
  return CUDA_SUCCESS;
}
CUresult cuDeviceGet(CUdevice *device, int ordinal) {
  ENTER(cuDeviceGet);
  *device = ordinal;
  return ordinal < machine().settings.gpus ? CUDA_SUCCESS
                                           : CUDA_ERROR_INVALID_DEVICE;
}
CUresult cuDeviceGetName(char *name, int size, CUdevice) {
  ENTER(cuDeviceGetName);
  std::strncpy(name, "Fake", size);
  return CUDA_SUCCESS;
}
CUresult cuDeviceGetAttribute(int *value, CUdevice_attribute attribute,
                              CUdevice) {
  ENTER(cuDeviceGetAttribute);
  int capability = machine().settings.capability;
  switch (attribute) {
  case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR:
    *value = capability / 10;
    return CUDA_SUCCESS;
  case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR:
    *value = capability % 10;
    return CUDA_SUCCESS;
  default:
    *value = 0;
    return CUDA_SUCCESS;
  }
}
CUresult cuDeviceTotalMem(size_t *bytes, CUdevice) {
  ENTER(cuDeviceTotalMem);
  *bytes = machine().settings.memoryBytes;
  return CUDA_SUCCESS;
}
CUresult cuDeviceCanAccessPeer(int *can, CUdevice, CUdevice) {
  ENTER(cuDeviceCanAccessPeer);
  *can = machine().settings.peers;
  return CUDA_SUCCESS;
}
CUresult cuCtxEnablePeerAccess(CUcontext peer, unsigned) {
  ENTER(cuCtxEnablePeerAccess);
  Machine &m = machine();
  return m.reached.insert({m.currentGpu(), peer->gpu}).second
             ? CUDA_SUCCESS
             : CUDA_ERROR_PEER_ACCESS_ALREADY_ENABLED;
}
// Processes are threads: memory has the same address in all.
CUresult cuIpcGetMemHandle(CUipcMemHandle *handle, CUdeviceptr address) {
  ENTER(cuIpcGetMemHandle);
  std::memcpy(handle->reserved, &address, sizeof(address));
  return CUDA_SUCCESS;
}
CUresult cuIpcOpenMemHandle(CUdeviceptr *address, CUipcMemHandle handle,
                            unsigned flags) {
  ENTER(cuIpcOpenMemHandle);
  Machine &m = machine();
  std::memcpy(address, handle.reserved, sizeof(*address));
  if (!m.settings.peers || flags != CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS)
    return CUDA_ERROR_PEER_ACCESS_UNSUPPORTED;
  m.reached.insert({m.currentGpu(), m.gpuOf(*address)});
  ++m.objects["opened memory"];
  return CUDA_SUCCESS;
}
CUresult cuIpcCloseMemHandle(CUdeviceptr) {
  LOCK();
  machine().calls.push_back("cuIpcCloseMemHandle");
  --machine().objects["opened memory"];
  return CUDA_SUCCESS;
}
CUresult cuDevicePrimaryCtxRetain(CUcontext *context, CUdevice device) {
  ENTER(cuDevicePrimaryCtxRetain);
  auto &[primary, retained] = machine().primary[device];
  primary.gpu = device;
  ++retained;
  *context = &primary;
  return CUDA_SUCCESS;
}
CUresult cuDevicePrimaryCtxRelease(CUdevice device) {
  LOCK();
  machine().calls.push_back("cuDevicePrimaryCtxRelease");
  --machine().primary[device].second;
  return CUDA_SUCCESS;
}
CUresult cuCtxPushCurrent(CUcontext context) {
  Machine::contexts.push_back(context);
  return CUDA_SUCCESS;
}
CUresult cuCtxPopCurrent(CUcontext *context) {
  *context = Machine::contexts.back();
  Machine::contexts.pop_back();
  return CUDA_SUCCESS;
}

// ---------------------------------------------------------------- memory --

CUresult cuMemGetInfo(size_t *free, size_t *total) {
  ENTER(cuMemGetInfo);
  *total = machine().settings.memoryBytes;
  *free = *total - machine().allocatedBytes(machine().currentGpu());
  return needContext();
}
CUresult cuMemAlloc(CUdeviceptr *address, size_t bytes) {
  ENTER_UNCAPTURED(cuMemAlloc);
  if (bytes == 0)
    return CUDA_ERROR_INVALID_VALUE;
  Machine &m = machine();
  if (m.allocatedBytes(m.currentGpu()) + bytes > m.settings.memoryBytes)
    return CUDA_ERROR_OUT_OF_MEMORY;
  *address = m.allocate(bytes, /*pinned=*/false);
  return needContext();
}
CUresult cuMemFree(CUdeviceptr address) {
  LOCK();
  machine().calls.push_back("cuMemFree");
  machine().illegalInCapture("cuMemFree");
  return machine().release(address) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}
CUresult cuMemHostAlloc(void **address, size_t bytes, unsigned) {
  ENTER_UNCAPTURED(cuMemHostAlloc);
  *address = reinterpret_cast<void *>(machine().allocate(bytes, true));
  return needContext();
}
CUresult cuMemFreeHost(void *address) {
  LOCK();
  machine().calls.push_back("cuMemFreeHost");
  machine().illegalInCapture("cuMemFreeHost");
  return machine().release(reinterpret_cast<uint64_t>(address))
             ? CUDA_SUCCESS
             : CUDA_ERROR_INVALID_VALUE;
}
CUresult cuMemcpyHtoD(CUdeviceptr to, const void *from, size_t bytes) {
  ENTER_UNCAPTURED(cuMemcpyHtoD);
  machine().checkRange("cuMemcpyHtoD", to, bytes);
  copyNow(reinterpret_cast<void *>(to), from, bytes);
  return needContext();
}
CUresult cuMemcpyDtoH(void *to, CUdeviceptr from, size_t bytes) {
  ENTER_UNCAPTURED(cuMemcpyDtoH);
  machine().checkRange("cuMemcpyDtoH", from, bytes);
  copyNow(to, reinterpret_cast<void *>(from), bytes);
  return needContext();
}
CUresult cuMemcpyHtoDAsync(CUdeviceptr to, const void *from, size_t bytes,
                           CUstream stream) {
  ENTER(cuMemcpyHtoDAsync);
  machine().enqueue(stream, "copy to the GPU", [=] {
    machine().checkRange("the copy's host side",
                         reinterpret_cast<uint64_t>(from), bytes, true);
    machine().checkRange("the copy's GPU side", to, bytes);
    copyNow(reinterpret_cast<void *>(to), from, bytes);
  });
  return CUDA_SUCCESS;
}
CUresult cuMemcpyDtoHAsync(void *to, CUdeviceptr from, size_t bytes,
                           CUstream stream) {
  ENTER(cuMemcpyDtoHAsync);
  machine().enqueue(stream, "copy to the host", [=] {
    machine().checkRange("the copy's host side", reinterpret_cast<uint64_t>(to),
                         bytes, true);
    machine().checkRange("the copy's GPU side", from, bytes);
    copyNow(to, reinterpret_cast<void *>(from), bytes);
  });
  return CUDA_SUCCESS;
}
CUresult cuMemcpyDtoDAsync(CUdeviceptr to, CUdeviceptr from, size_t bytes,
                           CUstream stream) {
  ENTER(cuMemcpyDtoDAsync);
  machine().enqueue(stream, "copy on the GPU", [=] {
    machine().checkRange("the copy's source", from, bytes);
    machine().checkRange("the copy's target", to, bytes);
    copyNow(reinterpret_cast<void *>(to), reinterpret_cast<void *>(from),
            bytes);
  });
  return CUDA_SUCCESS;
}
CUresult cuMemsetD8Async(CUdeviceptr to, unsigned char value, size_t bytes,
                         CUstream stream) {
  ENTER(cuMemsetD8Async);
  machine().enqueue(stream, "set", [=] {
    machine().checkRange("set", to, bytes);
    std::memset(reinterpret_cast<void *>(to), value, bytes);
  });
  return CUDA_SUCCESS;
}

// ------------------------------------------------------- streams, events --

CUresult cuStreamCreate(CUstream *stream, unsigned flags) {
  ENTER(cuStreamCreate);
  Machine &m = machine();
  *stream = m.newHandle<CUstream>();
  m.streams[*stream] = {m.streams.size(), m.currentGpu(), {}, {}, {}, {}};
  if (flags != CU_STREAM_NON_BLOCKING)
    m.misused("a stream waits for the default stream");
  return needContext();
}
CUresult cuStreamDestroy(CUstream stream) {
  LOCK();
  machine().calls.push_back("cuStreamDestroy");
  return erase(machine().streams, stream);
}
CUresult cuStreamQuery(CUstream stream) {
  ENTER(cuStreamQuery);
  Machine &m = machine();
  if (m.streams.at(stream).capture)
    return m.illegalInCapture("cuStreamQuery");
  m.makeProgress();
  if (m.stickyError != CUDA_SUCCESS)
    return m.stickyError;
  const auto &last = m.streams.at(stream).last;
  return !last || last->done ? CUDA_SUCCESS : CUDA_ERROR_NOT_READY;
}
CUresult cuStreamWaitEvent(CUstream stream, CUevent event, unsigned) {
  ENTER(cuStreamWaitEvent);
  return machine().wait(stream, event);
}
CUresult cuStreamBeginCapture(CUstream stream, CUstreamCaptureMode) {
  ENTER_UNCAPTURED(cuStreamBeginCapture);
  auto graph = std::make_shared<Graph>();
  graph->origin = stream;
  graph->streams.insert(stream);
  machine().streams.at(stream).capture = std::move(graph);
  return CUDA_SUCCESS;
}
CUresult cuStreamEndCapture(CUstream stream, CUgraph *graph) {
  std::lock_guard whole(machine().mutex);
  *graph = nullptr;
  std::shared_ptr<Graph> captured;
  CUresult ended = machine().endCapture(stream, captured);
  ENTER(cuStreamEndCapture);
  if (ended != CUDA_SUCCESS)
    return ended;
  *graph = machine().newHandle<CUgraph>();
  machine().graphs[*graph] = std::move(captured);
  return CUDA_SUCCESS;
}
CUresult cuEventCreate(CUevent *event, unsigned) {
  ENTER(cuEventCreate);
  *event = machine().newHandle<CUevent>();
  machine().events[*event] = {};
  return needContext();
}
CUresult cuEventDestroy(CUevent event) {
  LOCK();
  machine().calls.push_back("cuEventDestroy");
  return erase(machine().events, event);
}
CUresult cuEventRecord(CUevent event, CUstream stream) {
  ENTER(cuEventRecord);
  machine().record(event, stream);
  return CUDA_SUCCESS;
}
CUresult cuEventQuery(CUevent handle) {
  ENTER(cuEventQuery);
  Machine &m = machine();
  Machine::Event &event = m.events.at(handle);
  if (event.graph)
    return m.illegalInCapture("cuEventQuery of a captured event");
  m.makeProgress();
  if (m.stickyError != CUDA_SUCCESS)
    return m.stickyError;
  return !event.operation || event.operation->done ? CUDA_SUCCESS
                                                   : CUDA_ERROR_NOT_READY;
}
CUresult cuEventElapsedTime(float *milliseconds, CUevent from, CUevent to) {
  ENTER(cuEventElapsedTime);
  *milliseconds = float(machine().events.at(to).time) -
                  float(machine().events.at(from).time);
  return CUDA_SUCCESS;
}

// --------------------------------------------------------------- kernels --

CUresult cuModuleLoadDataEx(CUmodule *module, const void *image, unsigned count,
                            CUjit_option *options, void **values) {
  ENTER_UNCAPTURED(cuModuleLoadDataEx);
  Machine &m = machine();
  Machine::Module loaded;
  auto *bytes = static_cast<const char *>(image);
  if (m.loadImage)
    loaded.image = m.loadImage(bytes);
  if (!loaded.image) {
    std::string text(bytes);
    if (text.find(".version") == std::string::npos) {
      for (unsigned i = 0; i < count; ++i)
        if (options[i] == CU_JIT_ERROR_LOG_BUFFER)
          std::strcpy(static_cast<char *>(values[i]),
                      "ptxas: missing .version");
      return CUDA_ERROR_INVALID_PTX;
    }
    loaded.entries = entriesOf(text);
  }
  *module = m.newHandle<CUmodule>();
  m.modules[*module] = std::move(loaded);
  return needContext();
}
CUresult cuModuleUnload(CUmodule module) {
  LOCK();
  machine().calls.push_back("cuModuleUnload");
  return erase(machine().modules, module);
}
CUresult cuModuleGetFunction(CUfunction *handle, CUmodule module,
                             const char *name) {
  ENTER(cuModuleGetFunction);
  Machine &m = machine();
  const Machine::Module &loaded = m.modules.at(module);
  Machine::Function function{name, {}, {}};
  if (loaded.image) {
    int count = loaded.image->numParameters(name);
    if (count < 0)
      return CUDA_ERROR_NOT_FOUND;
    function.parameters.assign(count, sizeof(CUdeviceptr));
    function.run = [run = loaded.image->run, symbol = std::string(name)](
                       const Launch &launch) { run(symbol, launch); };
  } else {
    auto found = loaded.entries.find(name);
    if (found == loaded.entries.end())
      return CUDA_ERROR_NOT_FOUND;
    function.parameters = found->second;
  }
  *handle = m.newHandle<CUfunction>();
  m.functions[*handle] = std::move(function);
  return CUDA_SUCCESS;
}
CUresult cuLaunchKernel(CUfunction handle, unsigned blocks, unsigned, unsigned,
                        unsigned threads, unsigned, unsigned, unsigned,
                        CUstream stream, void **parameters, void **) {
  ENTER(cuLaunchKernel);
  Machine &m = machine();
  const Machine::Function &function = m.functions.at(handle);
  if (blocks == 0 || threads == 0 || threads > 1024)
    return CUDA_ERROR_INVALID_VALUE;
  Launch launch{blocks, threads, {}, m.currentGpu()};
  for (size_t i = 0; i < function.parameters.size(); ++i) {
    uint64_t value = 0;
    std::memcpy(&value, parameters[i], function.parameters[i]);
    launch.parameters.push_back(value);
  }
  HostKernel run = function.run ? function.run : m.kernels[function.name];
  if (!run) {
    m.misused("no host function stands for kernel " + function.name);
    return CUDA_ERROR_NOT_FOUND;
  }
  m.calls.push_back("kernel " + function.name);
  std::function<bool()> ready;
  if (auto found = m.meetings.find(function.name); found != m.meetings.end()) {
    const Meeting &meeting = found->second;
    m.enqueue(stream, "arrival of " + function.name,
              [arrive = meeting.arrive, launch] { arrive(launch); });
    ready = [met = meeting.met, launch] { return met(launch); };
  }
  m.enqueue(
      stream, "kernel " + function.name, [run, launch] { run(launch); },
      std::move(ready));
  return CUDA_SUCCESS;
}

// ---------------------------------------------------------------- graphs --

CUresult cuGraphInstantiateWithFlags(CUgraphExec *executable, CUgraph graph,
                                     unsigned long long) {
  ENTER_UNCAPTURED(cuGraphInstantiateWithFlags);
  *executable = machine().newHandle<CUgraphExec>();
  machine().executables[*executable] = machine().graphs.at(graph);
  return CUDA_SUCCESS;
}
CUresult cuGraphDestroy(CUgraph graph) {
  LOCK();
  machine().calls.push_back("cuGraphDestroy");
  return erase(machine().graphs, graph);
}
CUresult cuGraphExecDestroy(CUgraphExec executable) {
  LOCK();
  machine().calls.push_back("cuGraphExecDestroy");
  return erase(machine().executables, executable);
}
CUresult cuGraphLaunch(CUgraphExec executable, CUstream stream) {
  ENTER_UNCAPTURED(cuGraphLaunch);
  machine().launchGraph(executable, stream);
  return CUDA_SUCCESS;
}

} // extern "C"

Driver tpcrt::fake::driver() {
  Driver table;
#define FILL(function) table.function = &::function;
  TPCRT_DRIVER_FUNCTIONS(FILL)
#undef FILL
  return table;
}
