// What the CPU can do.
#ifndef TPCRT_DEVICE_CPU_CPUINFO_H
#define TPCRT_DEVICE_CPU_CPUINFO_H

#include <string>
#include <vector>

namespace tpcrt {

/// The kernel image kinds that this CPU runs, the best first: some of
/// "avx512bf16" (what avx512 has, and BF16), "avx512" (F, BW, DQ and VL) and
/// "avx2" (AVX2, FMA and F16C).
std::vector<std::string> supportedIsas();

/// AVX-512 with products of pairs of bf16.
bool hasAvx512Bf16();

/// AMX with products of tiles of bf16, and AVX-512 with them. Asks the system
/// for this process' permission to use tiles.
bool hasAmxBf16();

/// Cores that this process may use.
unsigned coreCount();

} // namespace tpcrt

#endif // TPCRT_DEVICE_CPU_CPUINFO_H
