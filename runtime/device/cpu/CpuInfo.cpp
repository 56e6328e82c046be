#include "device/cpu/CpuInfo.h"

#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

std::vector<std::string> tpcrt::supportedIsas() {
  __builtin_cpu_init();
  std::vector<std::string> isas;
  bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
              __builtin_cpu_supports("f16c");
  bool avx512 = avx2 && __builtin_cpu_supports("avx512f") &&
                __builtin_cpu_supports("avx512bw") &&
                __builtin_cpu_supports("avx512dq") &&
                __builtin_cpu_supports("avx512vl");
  if (avx512 && __builtin_cpu_supports("avx512bf16"))
    isas.push_back("avx512bf16");
  if (avx512)
    isas.push_back("avx512");
  if (avx2)
    isas.push_back("avx2");
  return isas;
}

bool tpcrt::hasAvx512Bf16() {
  std::vector<std::string> isas = supportedIsas();
  return !isas.empty() && isas.front() == "avx512bf16";
}

bool tpcrt::hasAmxBf16() {
  // arch_prctl(2): state components are not usable before they are asked for.
  constexpr long requestPermission = 0x1023, tileData = 18;
  return hasAvx512Bf16() && __builtin_cpu_supports("amx-tile") &&
         __builtin_cpu_supports("amx-bf16") &&
         ::syscall(SYS_arch_prctl, requestPermission, tileData) == 0;
}

unsigned tpcrt::coreCount() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof(set), &set) != 0)
    return 1;
  return CPU_COUNT(&set);
}
