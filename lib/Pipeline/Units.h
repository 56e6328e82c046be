//===- Units.h - Bytes and times for people ---------------------*- C++ -*-===//

#ifndef TPC_LIB_PIPELINE_UNITS_H
#define TPC_LIB_PIPELINE_UNITS_H

#include <cstdint>
#include <string>

namespace tpc {

/// "12.5 MiB"
std::string bytesText(int64_t bytes);
/// "12.5 ms"
std::string microsText(double micros);
/// "+1.3 ms", "-12.0 us", "+2.1 GiB", "+0 B"
std::string deltaMicrosText(double micros);
std::string deltaBytesText(int64_t bytes);

} // namespace tpc

#endif // TPC_LIB_PIPELINE_UNITS_H
