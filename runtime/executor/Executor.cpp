#include "executor/Executor.h"

#include "support/Fail.h"

#include <cstring>

using namespace tpcrt;

/// Where a device stands in its queue of steps.
struct Executor::Device {
  Device(uint32_t number, DeviceProgram &bound)
      : number(number), bound(bound) {}

  uint32_t number;
  DeviceProgram &bound;
  size_t next = 0; // step to run; while waiting, the one after the collective
  bool waiting = false;
  bool finished = false;
  bool corrupt = false; // the result of the collective under way
  Communicator::Ticket ticket;
};

/// One worker's part of a run.
class Executor::Worker {
public:
  Worker(Executor &executor, LoadedProgram &program, FlightRecorder &recorder,
         unsigned worker, const ThreadTeam &team);

  void run(const std::vector<HostTensor> &inputs,
           std::vector<HostTensor> &outputs);

private:
  /// Runs the device's steps until it waits or ends. False if it has not moved.
  bool advance(Device &device);
  bool runStep(Device &device, const LoadedStep &step);
  void startCollective(Device &device, const LoadedStep &step);
  /// False if it is not to go on.
  bool stepEnded(const Device &device);
  bool succeeded(const Device &device, const Result<void> &result);
  void waitForOthers(uint64_t seen);

  Communicator &communicator;
  LoadedProgram &program;
  FlightRecorder &recorder;
  const ThreadTeam &team;
  dnnl::stream stream;
  const Options &options;
  std::vector<Device> devices;
  uint64_t lastChanges = 0;
  Communicator::Clock::time_point lastMoved;
  bool measures; // has device 0, and its steps are measured
  std::chrono::steady_clock::time_point lastStepEnd;
};

Executor::Worker::Worker(Executor &executor, LoadedProgram &program,
                         FlightRecorder &recorder, unsigned worker,
                         const ThreadTeam &team)
    : communicator(executor.communicator), program(program), recorder(recorder),
      team(team), stream(executor.matmuls.engine), options(executor.options),
      measures(worker == 0 && !program.stepTimes.empty()) {
  for (size_t d = worker; d < program.devices.size();
       d += executor.pool.workers())
    devices.push_back(Device(program.firstDevice + d, program.devices[d]));
}

void Executor::Worker::run(const std::vector<HostTensor> &inputs,
                           std::vector<HostTensor> &outputs) {
  for (Device &device : devices)
    for (size_t i = 0; i < inputs.size(); ++i)
      device.bound.inputs[i].scatter(inputs[i].data());

  lastMoved = Communicator::Clock::now();
  lastStepEnd = std::chrono::steady_clock::now();
  if (measures)
    ++program.runs;
  for (size_t unfinished = devices.size();
       unfinished > 0 && !communicator.failed();) {
    uint64_t seen = communicator.changes();
    bool moved = false;
    for (Device &device : devices) {
      if (device.finished || !advance(device))
        continue;
      moved = true;
      if (!device.finished)
        continue;
      --unfinished;
      for (size_t i = 0; i < outputs.size(); ++i)
        if (program.gathers[i].holds(device.number))
          device.bound.outputs[i].gather(outputs[i].data());
      communicator.finish(device.number);
    }
    if (!moved)
      waitForOthers(seen);
  }
}

bool Executor::Worker::advance(Device &device) {
  if (device.waiting) {
    if (communicator.poll(device.ticket) != Communicator::Status::Done)
      return false;
    device.waiting = false;
    if (!stepEnded(device))
      return false;
  }
  while (device.next < program.steps.size()) {
    if (!runStep(device, program.steps[device.next++]))
      return false;
    if (device.waiting)
      return true;
    if (!stepEnded(device))
      return false;
  }
  device.finished = true;
  return true;
}

/// False after an error.
bool Executor::Worker::runStep(Device &device, const LoadedStep &step) {
  void **pointers = device.bound.pointers.data() + step.first;
  switch (step.kind) {
  case LoadedStep::Kind::Kernel:
    if (!step.parallel)
      step.function(pointers, 0, step.tiles);
    else
      team.parallelFor(step.tiles, [&](int64_t begin, int64_t end) {
        step.function(pointers, begin, end);
      });
    break;
  case LoadedStep::Kind::Matmul:
    return succeeded(device,
                     device.bound.matmuls[step.first].run(stream, team));
  case LoadedStep::Kind::GroupedMatmul:
    return succeeded(device, program.groupedMatmuls[step.first].run(
                                 device.bound.groupedMatmuls[step.first],
                                 device.bound.scratch, team));
  case LoadedStep::Kind::Attention:
    program.attentions[step.first].run(device.bound.attentions[step.first],
                                       device.bound.scratch, team);
    break;
  case LoadedStep::Kind::Collective:
    startCollective(device, step);
    break;
  }
  return true;
}

void Executor::Worker::startCollective(Device &device, const LoadedStep &step) {
  void **pointers = device.bound.pointers.data() + step.first;
  uint64_t local = device.number - program.firstDevice;
  const Step &source = program.program->steps[device.next - 1];
  uint64_t sequence = recorder.started(local, *program.program, source);
  device.ticket = communicator.start(device.number, step.collective,
                                     pointers[0], pointers[1]);
  if (!options.faults.empty() && local == 0)
    device.corrupt =
        injectFaults(options.faults, options.rank, Fault::Place::Op, sequence);
  device.waiting =
      communicator.poll(device.ticket) != Communicator::Status::Done;
}

/// Gives the time since the last step's end to the one that ends now, and looks
/// at what it gave.
bool Executor::Worker::stepEnded(const Device &device) {
  size_t index = device.next - 1;
  if (measures && device.number == 0) {
    auto now = std::chrono::steady_clock::now();
    program.stepTimes[index] += now - lastStepEnd;
    lastStepEnd = now;
  }
  const Step &source = program.program->steps[index];
  if (auto *collective = std::get_if<CollectiveStep>(&source.body)) {
    recorder.ended(device.number - program.firstDevice);
    if (device.corrupt && collective->count > 0)
      std::memset(device.bound.pointers[program.steps[index].first + 1], 0xff,
                  byteSize(collective->type));
  }
  return !device.bound.watch ||
         succeeded(device, device.bound.watch->check(index));
}

/// Whether the step that the device is at did; if not, the run ends.
bool Executor::Worker::succeeded(const Device &device,
                                 const Result<void> &result) {
  if (result)
    return true;
  const Step &source = program.program->steps[device.next - 1];
  communicator.abort({fmt::format(
      "program '{}', step '{}' ({}), device {}: {}", program.program->name,
      source.name, source.location, device.number, result.error().message)});
  return false;
}

void Executor::Worker::waitForOthers(uint64_t seen) {
  auto now = Communicator::Clock::now();
  if (seen != lastChanges) {
    lastChanges = seen;
    lastMoved = now;
  }
  auto limit = lastMoved + options.deadline;
  if (now < limit)
    return communicator.waitForChange(seen, limit);
  for (const Device &device : devices)
    if (device.waiting)
      return communicator.expire(device.ticket, options.deadline);
}

Result<void> Executor::run(LoadedProgram &program, FlightRecorder &recorder,
                           const std::vector<HostTensor> &inputs,
                           std::vector<HostTensor> &outputs) {
  communicator.begin();
  pool.run([&](unsigned worker, const ThreadTeam &team) {
    try {
      Worker(*this, program, recorder, worker, team).run(inputs, outputs);
    } catch (const std::exception &error) { // out of memory, for example
      communicator.abort({error.what()});
    }
  });
  if (communicator.failed())
    return tl::unexpected(communicator.error());
  return {};
}
