// Executable: what users call, checked, one call at a time, for whatever
// devices the module was compiled for.
#include "tpcrt/Runtime.h"

#include "executor/Backend.h"
#include "support/Fail.h"

#include <mutex>

using namespace tpcrt;

struct Executable::Impl {
  Module module;
  std::unique_ptr<Backend> backend;
  std::vector<ProgramInfo> programs;
  std::vector<TensorInfo> states;
  Statistics statistics;
  mutable std::mutex mutex; // one call at a time

  Result<void> open(ArtifactBytes artifact, LoadOptions options);
  Result<size_t> findProgram(std::string_view name) const;
  Result<size_t> findState(std::string_view name) const;
};

namespace {

TensorInfo describeTensor(const PlacedTensor &tensor) {
  return {tensor.name, tensor.type, tensor.shape, tensor.placement};
}

ProgramInfo describeProgram(const Program &program) {
  ProgramInfo info;
  info.name = program.name;
  for (const Port &port : program.inputs)
    info.inputs.push_back(describeTensor(port));
  for (const Port &port : program.outputs)
    info.outputs.push_back(describeTensor(port));
  for (const Step &step : program.steps) {
    info.kernelSteps += std::holds_alternative<KernelStep>(step.body);
    info.matmulSteps += std::holds_alternative<MatmulStep>(step.body) ||
                        std::holds_alternative<GroupedMatmulStep>(step.body);
    info.attentionSteps += std::holds_alternative<AttentionStep>(step.body);
    if (auto *collective = std::get_if<CollectiveStep>(&step.body)) {
      ++info.collectiveSteps;
      info.collectiveBytes += collective->bytes;
    }
  }
  return info;
}

double millisecondsSince(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double, std::milli>(
             std::chrono::steady_clock::now() - start)
      .count();
}

Result<void> checkTensor(std::string_view what, const TensorInfo &expected,
                         const HostTensor &found) {
  if (found.type() != expected.type || found.shape() != expected.shape)
    return fail("{} '{}': expected {}, found {}", what, expected.name,
                describeType(expected.type, expected.shape), found.describe());
  return {};
}

Result<void> checkTensors(std::string_view what,
                          const std::vector<TensorInfo> &expected,
                          const std::vector<HostTensor> &found) {
  if (found.size() != expected.size())
    return fail("expected {} {}s, found {}", expected.size(), what,
                found.size());
  for (size_t i = 0; i < found.size(); ++i)
    TPCRT_TRY(checkTensor(what, expected[i], found[i]));
  return {};
}

template <class T>
Result<size_t> findNamed(std::string_view what, const std::vector<T> &list,
                         std::string_view name) {
  std::vector<std::string_view> names;
  for (size_t i = 0; i < list.size(); ++i) {
    if (list[i].name == name)
      return i;
    names.push_back(list[i].name);
  }
  return fail("there is no {} '{}'; there are [{}]", what, name,
              fmt::join(names, ", "));
}

/// Runs `work`, which may throw when memory is short; errors begin with `name`
/// of the artifact.
template <class Work>
auto named(std::string_view name, std::string_view doing, Work work)
    -> decltype(work()) {
  try {
    auto result = work();
    if (!result)
      return fail("{}: {}", name, result.error().message);
    return result;
  } catch (const std::exception &error) { // out of memory, for example
    return fail("{}: cannot {}: {}", name, doing, error.what());
  }
}

Result<std::unique_ptr<Backend>> createBackend(const Module &module,
                                               const LoadOptions &options) {
  switch (module.device) {
  case DeviceKind::Cpu:
    return createCpuBackend(module, options);
  case DeviceKind::Cuda:
    return createCudaBackend(module, options);
  }
  return fail("unknown kind of device");
}

} // namespace

Executable::Executable(std::unique_ptr<Impl> impl) : impl(std::move(impl)) {}
Executable::~Executable() = default;

Result<void> Executable::Impl::open(ArtifactBytes artifact,
                                    LoadOptions options) {
  TPCRT_ASSIGN(module, loadModule(std::move(artifact)));
  if (!options.storage)
    options.storage = createSharedStorage();
  TPCRT_ASSIGN(backend, createBackend(module, options));
  return {};
}

Result<std::unique_ptr<Executable>> Executable::load(const std::string &path,
                                                     WeightSource weights,
                                                     LoadOptions options) {
  TPCRT_ASSIGN(ArtifactBytes bytes, ArtifactBytes::fromFile(path));
  return load(std::move(bytes), std::move(weights), options);
}

Result<std::unique_ptr<Executable>> Executable::load(ArtifactBytes artifact,
                                                     WeightSource weights,
                                                     LoadOptions options) {
  auto start = std::chrono::steady_clock::now();
  auto impl = std::make_unique<Impl>();
  std::string name = artifact.name();
  auto loaded = named(name, "load", [&]() -> Result<void> {
    TPCRT_TRY(impl->open(std::move(artifact), options));
    TPCRT_TRY(impl->backend->plan());
    return impl->backend->load(weights);
  });
  if (!loaded && options.processes) // the others need not wait
    options.processes->abort(loaded.error().message);
  TPCRT_TRY(std::move(loaded));
  for (const Program &program : impl->module.programs)
    impl->programs.push_back(describeProgram(program));
  for (const State &state : impl->module.states)
    impl->states.push_back(describeTensor(state));
  impl->backend->describe(impl->statistics);
  impl->statistics.loadMs = millisecondsSince(start);
  return std::unique_ptr<Executable>(new Executable(std::move(impl)));
}

Result<DeviceStatistics> Executable::planMemory(ArtifactBytes artifact,
                                                LoadOptions options) {
  Impl impl;
  std::string name = artifact.name();
  return named(name, "plan", [&]() -> Result<DeviceStatistics> {
    TPCRT_TRY(impl.open(std::move(artifact), options));
    return impl.backend->plan();
  });
}

Result<size_t> Executable::Impl::findProgram(std::string_view name) const {
  return findNamed("program", programs, name);
}

Result<size_t> Executable::Impl::findState(std::string_view name) const {
  return findNamed("state", states, name);
}

const Mesh &Executable::mesh() const { return impl->module.mesh; }

const std::vector<ProgramInfo> &Executable::programs() const {
  return impl->programs;
}

const ProgramInfo *Executable::findProgram(std::string_view name) const {
  auto found = impl->findProgram(name);
  return found ? &impl->programs[*found] : nullptr;
}

const std::vector<TensorInfo> &Executable::states() const {
  return impl->states;
}

Result<std::vector<HostTensor>>
Executable::run(std::string_view program,
                const std::vector<HostTensor> &inputs) {
  TPCRT_ASSIGN(size_t index, impl->findProgram(program));
  std::vector<HostTensor> outputs;
  for (const TensorInfo &port : impl->programs[index].outputs)
    outputs.emplace_back(port.type, port.shape);
  TPCRT_TRY(runInto(program, inputs, outputs));
  return outputs;
}

Result<void> Executable::runInto(std::string_view program,
                                 const std::vector<HostTensor> &inputs,
                                 std::vector<HostTensor> &outputs) {
  TPCRT_ASSIGN(size_t index, impl->findProgram(program));
  const ProgramInfo &info = impl->programs[index];
  TPCRT_TRY(checkTensors("input", info.inputs, inputs));
  TPCRT_TRY(checkTensors("output", info.outputs, outputs));
  std::lock_guard lock(impl->mutex);
  auto start = std::chrono::steady_clock::now();
  TPCRT_TRY(impl->backend->run(index, inputs, outputs));
  impl->statistics.lastRunMs = millisecondsSince(start);
  return {};
}

Result<void> Executable::resetStates() {
  std::lock_guard lock(impl->mutex);
  return impl->backend->resetStates();
}

Result<HostTensor> Executable::readState(std::string_view name) const {
  TPCRT_ASSIGN(size_t index, impl->findState(name));
  std::lock_guard lock(impl->mutex);
  const TensorInfo &info = impl->states[index];
  HostTensor value(info.type, info.shape);
  TPCRT_TRY(impl->backend->readState(index, value));
  return value;
}

Result<void> Executable::writeState(std::string_view name,
                                    const HostTensor &value) {
  TPCRT_ASSIGN(size_t index, impl->findState(name));
  TPCRT_TRY(checkTensor("state", impl->states[index], value));
  std::lock_guard lock(impl->mutex);
  return impl->backend->writeState(index, value);
}

Statistics Executable::statistics() const {
  std::lock_guard lock(impl->mutex);
  return impl->statistics;
}

std::vector<StepTime> Executable::profile() const {
  std::lock_guard lock(impl->mutex);
  return impl->backend->profile();
}
