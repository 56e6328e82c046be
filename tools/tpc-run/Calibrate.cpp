//===- Calibrate.cpp - This machine as a machine description --------------===//

#include "Calibrate.h"
#include "tpc/Sharding/Machine.h"
#include "tpcrt/Calibration.h"
#include "tpcrt/OutputFile.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/raw_ostream.h"

using namespace tpc;

static Machine describe(const tpcrt::Calibration &found) {
  Machine machine;
  machine.name = "cpu, calibrated";
  machine.sharedByDevices = true;
  machine.overlapsMemory = false;
  machine.flopsF64 = found.flopsF64;
  machine.flopsF32 = found.flopsF32;
  machine.flops16 = found.flops16;
  machine.memoryBytesPerMicro = found.memoryBytesPerMicro;
  machine.operationMicros = found.stepMicros;
  // A local copy is priced as reading and writing memory: were an exchange
  // cheaper, plans would exchange what they could copy.
  double exchange =
      std::min(found.collectiveBytesPerMicro, found.memoryBytesPerMicro / 2);
  machine.links = {{"memory",
                    0,
                    {{"copy", LinkAlgorithm::Ring, found.collectiveBaseMicros,
                      found.collectiveHopMicros, exchange}}}};
  return machine;
}

int tpc::calibrateMachine(const std::string &path, unsigned threads) {
  auto failed = [](const std::string &message) {
    llvm::errs() << "tpc-run: error: --calibrate: " << message << "\n";
    return 1;
  };
  auto file = tpcrt::OutputFile::create(path);
  if (!file)
    return failed(file.error().message);
  auto found = tpcrt::calibrate(threads);
  if (!found)
    return failed(found.error().message);
  llvm::outs() << llvm::formatv(
      "matrix products    {0,8:f1} GFLOP/s f32, {1:f1} bf16, {2:f1} f64\n"
      "reading weights    {3,8:f1} GB/s\n"
      "a step             {4,8:f2} us\n"
      "all_reduce         {5,8:f2} us + 2 (n - 1) ({6:f2} us + bytes / {7:f1} "
      "GB/s)\n",
      found->flopsF32 / 1e3, found->flops16 / 1e3, found->flopsF64 / 1e3,
      found->memoryBytesPerMicro / 1e3, found->stepMicros,
      found->collectiveBaseMicros, found->collectiveHopMicros,
      found->collectiveBytesPerMicro / 1e3);
  std::string text = machineText(describe(*found));
  auto written = file->write(text.data(), text.size());
  if (written)
    written = file->commit();
  if (!written)
    return failed(written.error().message);
  return 0;
}
