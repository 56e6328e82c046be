//===- Units.cpp - Bytes and times for people -----------------------------===//

#include "Units.h"
#include "llvm/Support/FormatVariadic.h"
#include <cmath>

using namespace tpc;

std::string tpc::bytesText(int64_t bytes) {
  if (bytes >= int64_t(10) << 30)
    return llvm::formatv("{0:f1} GiB", double(bytes) / (int64_t(1) << 30));
  if (bytes >= 10 << 20)
    return llvm::formatv("{0:f1} MiB", double(bytes) / (1 << 20));
  if (bytes >= 10 << 10)
    return llvm::formatv("{0:f1} KiB", double(bytes) / (1 << 10));
  return llvm::formatv("{0} B", bytes);
}

std::string tpc::microsText(double micros) {
  if (micros >= 1e6)
    return llvm::formatv("{0:f2} s", micros / 1e6);
  if (micros >= 1e4)
    return llvm::formatv("{0:f1} ms", micros / 1e3);
  return llvm::formatv("{0:f0} us", micros);
}

std::string tpc::deltaMicrosText(double micros) {
  double size = std::abs(micros);
  const char *sign = micros < 0 ? "-" : "+";
  if (size >= 1e6)
    return llvm::formatv("{0}{1:f2} s", sign, size / 1e6);
  if (size >= 1e3)
    return llvm::formatv("{0}{1:f2} ms", sign, size / 1e3);
  if (size >= 0.05)
    return llvm::formatv("{0}{1:f1} us", sign, size);
  return "+0 us";
}

std::string tpc::deltaBytesText(int64_t bytes) {
  return bytes < 0 ? "-" + bytesText(-bytes) : "+" + bytesText(bytes);
}
