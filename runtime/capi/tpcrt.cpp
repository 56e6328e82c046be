// The C interface on top of Executable. Nothing is thrown across it.
#include "tpcrt/tpcrt.h"

#include "support/Fail.h"
#include "tpcrt/Runtime.h"

#include <cstring>

using namespace tpcrt;

struct tpcrt_executable {
  std::unique_ptr<Executable> executable;
};

namespace {

thread_local std::string lastError;

/// Runs `body`, a Result<T>; on failure notes why and returns `failure`.
template <class T, class Body> T guarded(T failure, Body body) {
  try {
    Result<T> result = body();
    if (result)
      return *result;
    lastError = std::move(result.error().message);
  } catch (const std::exception &error) {
    lastError = error.what();
  }
  return failure;
}

Result<const std::vector<TensorInfo> *>
findPorts(const tpcrt_executable *handle, const char *program,
          tpcrt_port_kind kind) {
  const ProgramInfo *info = handle->executable->findProgram(program);
  if (!info)
    return fail("there is no program '{}'", program);
  return kind == TPCRT_INPUT ? &info->inputs : &info->outputs;
}

tpcrt_executable *load(Result<ArtifactBytes> artifact, const char *weights,
                       unsigned threads) {
  return guarded<tpcrt_executable *>(
      nullptr, [&]() -> Result<tpcrt_executable *> {
        if (!artifact)
          return tl::unexpected(artifact.error());
        WeightSource source;
        if (weights) {
          TPCRT_ASSIGN(source, WeightSource::open(weights));
        }
        LoadOptions options;
        options.threads = threads;
        TPCRT_ASSIGN(auto loaded, Executable::load(std::move(*artifact),
                                                   std::move(source), options));
        return new tpcrt_executable{std::move(loaded)};
      });
}

/// Wraps the caller's buffers as tensors of the ports.
template <class Pointer>
Result<std::vector<HostTensor>>
viewBuffers(std::string_view what, const std::vector<TensorInfo> &ports,
            Pointer const *buffers, size_t count) {
  if (count != ports.size())
    return fail("expected {} {}s, found {}", ports.size(), what, count);
  std::vector<HostTensor> tensors;
  for (size_t i = 0; i < count; ++i) {
    if (!buffers[i] && numElements(ports[i].shape) > 0)
      return fail("{} '{}': the buffer is NULL", what, ports[i].name);
    tensors.push_back(HostTensor::view(ports[i].type, ports[i].shape,
                                       const_cast<void *>(buffers[i])));
  }
  return tensors;
}

} // namespace

extern "C" {

const char *tpcrt_last_error(void) { return lastError.c_str(); }

tpcrt_executable *tpcrt_load_file(const char *path, const char *weights,
                                  unsigned threads) {
  return load(ArtifactBytes::fromFile(path), weights, threads);
}

tpcrt_executable *tpcrt_load_memory(const void *artifact, size_t size,
                                    const char *weights, unsigned threads) {
  return load(ArtifactBytes::fromMemory(artifact, size), weights, threads);
}

void tpcrt_free(tpcrt_executable *executable) { delete executable; }

size_t tpcrt_program_count(const tpcrt_executable *executable) {
  return executable->executable->programs().size();
}

const char *tpcrt_program_name(const tpcrt_executable *executable,
                               size_t program) {
  const auto &programs = executable->executable->programs();
  return program < programs.size() ? programs[program].name.c_str() : nullptr;
}

size_t tpcrt_port_count(const tpcrt_executable *executable, const char *program,
                        tpcrt_port_kind kind) {
  return guarded<size_t>(0, [&]() -> Result<size_t> {
    TPCRT_ASSIGN(auto *ports, findPorts(executable, program, kind));
    return ports->size();
  });
}

int tpcrt_get_port(const tpcrt_executable *executable, const char *program,
                   tpcrt_port_kind kind, size_t index, tpcrt_port *port) {
  return guarded<int>(1, [&]() -> Result<int> {
    TPCRT_ASSIGN(auto *ports, findPorts(executable, program, kind));
    if (index >= ports->size())
      return fail("program '{}': port {} of {}", program, index, ports->size());
    const TensorInfo &info = (*ports)[index];
    port->name = info.name.c_str();
    port->type = static_cast<tpcrt_element_type>(info.type);
    port->rank = info.shape.size();
    port->shape = info.shape.data();
    port->bytes = numElements(info.shape) * byteSize(info.type);
    return 0;
  });
}

int tpcrt_run(tpcrt_executable *executable, const char *program,
              const void *const *inputs, size_t input_count,
              void *const *outputs, size_t output_count) {
  return guarded<int>(1, [&]() -> Result<int> {
    TPCRT_ASSIGN(auto *inputPorts, findPorts(executable, program, TPCRT_INPUT));
    TPCRT_ASSIGN(auto *outputPorts,
                 findPorts(executable, program, TPCRT_OUTPUT));
    TPCRT_ASSIGN(auto from,
                 viewBuffers("input", *inputPorts, inputs, input_count));
    TPCRT_ASSIGN(auto to,
                 viewBuffers("output", *outputPorts, outputs, output_count));
    TPCRT_TRY(executable->executable->runInto(program, from, to));
    return 0;
  });
}

int tpcrt_reset_states(tpcrt_executable *executable) {
  return guarded<int>(1, [&]() -> Result<int> {
    TPCRT_TRY(executable->executable->resetStates());
    return 0;
  });
}

char *tpcrt_statistics_json(const tpcrt_executable *executable) {
  return guarded<char *>(nullptr, [&]() -> Result<char *> {
    return ::strdup(toJson(executable->executable->statistics()).c_str());
  });
}
}
