#include "device/cuda/Libraries.h"

using namespace tpcrt;

CudaLibraries &tpcrt::cudaLibraries() {
  static CudaLibraries libraries;
  return libraries;
}
