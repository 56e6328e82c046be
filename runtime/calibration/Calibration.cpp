// Measures steps by running programs of many of them through the executor.
#include "tpcrt/Calibration.h"

#include "executor/Executor.h"
#include "support/Fail.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

using namespace tpcrt;

namespace {

constexpr uint64_t kMiB = 1 << 20;

BufferRef refTo(Space space, uint64_t offset, uint64_t size) {
  BufferRef ref;
  ref.space = space;
  ref.offset = offset;
  ref.size = size;
  return ref;
}

/// A program of steps on `devices` virtual devices, ready to run; in each
/// process of a group its part of them. Steps use the arena, and one parameter
/// that matmuls may pack.
class Rig {
public:
  Rig(uint64_t devices, unsigned threads) : pool(devices, threads) {
    module.mesh.name = "mesh";
    module.mesh.axes.push_back({"d", static_cast<uint32_t>(devices)});
    division.perProcess = devices;
    communicator = createThreadsCommunicator(module.mesh);
  }
  Rig(const DeviceDivision &division, unsigned threads, Mesh mesh,
      std::unique_ptr<Communicator> communicator)
      : division(division), pool(division.perProcess, threads),
        communicator(std::move(communicator)) {
    module.mesh = std::move(mesh);
  }

  Result<void> prepare(std::vector<StepBody> bodies, uint64_t arenaBytes,
                       uint64_t parameterBytes);
  /// Microseconds of a run: the least of `runs`, or of as many as fit in about
  /// 0.3 seconds.
  Result<double> microseconds(unsigned runs = 0);

private:
  Module module;
  DeviceDivision division;
  Program program;
  WorkerPool pool;
  MatmulContext matmuls;
  SharedConstants constants;
  std::unique_ptr<Communicator> communicator;
  std::deque<DeviceMemory> memory;
  LoadedProgram loaded;
};

Result<void> Rig::prepare(std::vector<StepBody> bodies, uint64_t arenaBytes,
                          uint64_t parameterBytes) {
  for (StepBody &body : bodies)
    program.steps.push_back({std::move(body), "calibration", ""});
  ThreadTeam team(pool.threadsPerWorker());
  TPCRT_ASSIGN(loaded,
               LoadedProgram::plan(program, module.mesh, division, matmuls,
                                   *communicator, pool.threadsPerWorker()));
  uint64_t devices = division.perProcess;
  TPCRT_ASSIGN(auto arenas,
               communicator->allocate(devices, arenaBytes, "calibration"));
  TPCRT_TRY(communicator->open());
  for (uint64_t device = 0; device < devices; ++device) {
    DeviceMemory &mine = memory.emplace_back();
    mine.arena = arenas[device];
    TPCRT_ASSIGN(mine.scratch,
                 Buffer::allocate(loaded.scratchBytes(), "calibration"));
    mine.parameters.resize(1);
    TPCRT_ASSIGN(mine.parameters[0],
                 Buffer::allocate(parameterBytes, "calibration"));
    mine.packed.resize(matmuls.packed.size());
    TPCRT_TRY(packParameter(matmuls, 0, mine));
    loaded.bind(module, matmuls, device, mine, constants);
  }
  return {};
}

Result<double> Rig::microseconds(unsigned runs) {
  using Clock = std::chrono::steady_clock;
  Executor executor(pool, *communicator, matmuls,
                    {std::chrono::seconds(60), {}, 0});
  FlightRecorder recorder(division.perProcess);
  std::vector<HostTensor> none;
  double best = INFINITY;
  auto end = Clock::now() + std::chrono::milliseconds(300);
  for (unsigned i = 0; runs ? i < runs : i < 3 || Clock::now() < end; ++i) {
    auto start = Clock::now();
    TPCRT_TRY(executor.run(loaded, recorder, none, none));
    std::chrono::duration<double, std::micro> elapsed = Clock::now() - start;
    best = std::min(best, elapsed.count());
  }
  return best;
}

/// [m, k] x [k, n] with packed weights, dense.
MatmulStep product(uint64_t m, uint64_t k, uint64_t n, ElementType type) {
  uint64_t bytes = byteSize(type);
  MatmulStep step;
  step.aType = step.bType = step.cType = type;
  step.m = m, step.k = k, step.n = n;
  step.aMStride = k, step.aKStride = 1;
  step.bKStride = n, step.bNStride = 1;
  step.cMStride = n, step.cNStride = 1;
  step.a = refTo(Space::Arena, 0, m * k * bytes);
  step.c = refTo(Space::Arena, (m * k * bytes + 63) / 64 * 64, m * n * bytes);
  step.b = refTo(Space::Parameter, 0, k * n * bytes);
  step.packB = true;
  return step;
}

/// Microseconds of each of `count` products, every one with weights of its own,
/// as in the layers of a model.
Result<double> productMicros(const MatmulStep &step, unsigned count,
                             unsigned threads) {
  std::vector<StepBody> bodies;
  for (unsigned i = 0; i < count; ++i) {
    MatmulStep layer = step;
    layer.b.offset = i * step.b.size;
    bodies.push_back(layer);
  }
  Rig rig(1, threads);
  TPCRT_TRY(rig.prepare(std::move(bodies), step.c.offset + step.c.size,
                        count * step.b.size));
  TPCRT_ASSIGN(double micros, rig.microseconds());
  return micros / count;
}

/// What is left of a product's time when reading its operands is taken off.
Result<double> productRate(ElementType type, unsigned threads,
                           double bytesPerMicro) {
  MatmulStep step = product(256, 1024, 2048, type);
  TPCRT_ASSIGN(double micros, productMicros(step, 8, threads));
  double bytes = step.a.size + step.b.size + step.c.size;
  double computing = std::max(micros - bytes / bytesPerMicro, 0.1 * micros);
  return 2.0 * step.m * step.k * step.n / computing;
}

/// Solves the normal equations of a fit with three unknowns, by elimination.
std::array<double, 3> solve(std::array<std::array<double, 4>, 3> rows) {
  for (int pivot = 0; pivot < 3; ++pivot)
    for (int row = 0; row < 3; ++row) {
      if (row == pivot || rows[pivot][pivot] == 0)
        continue;
      double factor = rows[row][pivot] / rows[pivot][pivot];
      for (int column = 0; column < 4; ++column)
        rows[row][column] -= factor * rows[pivot][column];
    }
  std::array<double, 3> result{};
  for (int i = 0; i < 3; ++i)
    result[i] = rows[i][i] == 0 ? 0 : rows[i][3] / rows[i][i];
  return result;
}

/// Fits the model of Calibration to measured times, by least squares of the
/// relative error.
Result<void> fitAllReduce(Calibration &calibration, unsigned threads) {
  std::array<std::array<double, 4>, 3> sums{};
  for (uint32_t devices : {2, 4, 8})
    for (uint64_t bytes : {uint64_t(1) << 10, uint64_t(1) << 16, kMiB}) {
      TPCRT_ASSIGN(double micros, measureAllReduce(devices, bytes, threads));
      double hops = 2.0 * (devices - 1);
      std::array<double, 4> row{1 / micros, hops / micros,
                                hops * bytes / micros, 1};
      for (int i = 0; i < 3; ++i)
        for (int j = 0; j < 4; ++j)
          sums[i][j] += row[i] * row[j];
    }
  auto [base, hop, perByte] = solve(sums);
  calibration.collectiveBaseMicros = std::max(base, 0.0);
  calibration.collectiveHopMicros = std::max(hop, 0.0);
  calibration.collectiveBytesPerMicro = 1 / std::max(perByte, 1e-6);
  return {};
}

} // namespace

Result<double> tpcrt::measureAllReduce(uint32_t devices, uint64_t bytes,
                                       unsigned threads,
                                       std::shared_ptr<ProcessGroup> group,
                                       Transport transport) {
  CollectiveStep step;
  step.axes.push_back({0, 1, devices});
  step.count = bytes / byteSize(step.type);
  step.src = step.dst = refTo(Space::Arena, 0, bytes);
  unsigned count = bytes > kMiB ? 4 : 32;
  std::vector<StepBody> steps(count, step);
  auto measure = [&](Rig &rig, unsigned runs) -> Result<double> {
    TPCRT_TRY(rig.prepare(std::move(steps), bytes, 0));
    TPCRT_ASSIGN(double micros, rig.microseconds(runs));
    return micros / count;
  };
  if (!group) {
    Rig rig(devices, threads);
    return measure(rig, 0);
  }
  Mesh mesh{"mesh", {{"d", devices}}};
  TPCRT_ASSIGN(auto division, DeviceDivision::of(mesh, group.get()));
  TPCRT_ASSIGN(auto communicator,
               createProcessCommunicator(mesh, group, transport));
  Rig rig(division, threads, mesh, std::move(communicator));
  return measure(rig, bytes > kMiB ? 5 : 30); // the same in all processes
}

Result<Calibration> tpcrt::calibrate(unsigned threads) {
  Calibration result;
  MatmulStep reading = product(1, 4096, 16384, ElementType::F32);
  TPCRT_ASSIGN(double micros, productMicros(reading, 1, threads));
  result.memoryBytesPerMicro = reading.b.size / micros;
  TPCRT_ASSIGN(result.flopsF32, productRate(ElementType::F32, threads,
                                            result.memoryBytesPerMicro));
  TPCRT_ASSIGN(result.flops16, productRate(ElementType::BF16, threads,
                                           result.memoryBytesPerMicro));
  // Doubles run in plain loops.
  MatmulStep doubles = product(64, 64, 64, ElementType::F64);
  TPCRT_ASSIGN(micros, productMicros(doubles, 4, threads));
  result.flopsF64 = 2.0 * 64 * 64 * 64 / micros;

  MatmulStep tiny = product(1, 64, 64, ElementType::F32);
  TPCRT_ASSIGN(result.stepMicros, productMicros(tiny, 256, threads));
  TPCRT_TRY(fitAllReduce(result, threads));
  return result;
}
