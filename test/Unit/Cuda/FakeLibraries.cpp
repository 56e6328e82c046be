#include "FakeLibraries.h"

#include "FakeAttention.h"
#include "FakeBlas.h"
#include "FakeDriver.h"
#include "FakeNccl.h"

using namespace tpcrt;

fake::Machine &fake::installLibraries(Settings settings) {
  Machine &machine = reset(settings);
  addRuntimeKernels(machine);
  resetNccl();
  CudaLibraries &libraries = cudaLibraries();
  libraries.driver = []() -> Result<Driver> {
    Driver table = driver();
    TPCRT_TRY(table.initialize());
    return table;
  };
  libraries.blas = []() -> Result<BlasLibrary> { return blas(); };
  libraries.nccl = []() -> Result<NcclLibrary> { return nccl(); };
  libraries.attention = attention;
  return machine;
}

void fake::removeLibraries() { cudaLibraries() = {}; }
