// All-reduce between virtual devices, inside a program: the worker of
// bench/allreduce.py.
//
//   allreduce-bench    speaks the protocol of worker.py; cases "DEVICES BYTES"
#include "tpcrt/Calibration.h"

#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <string>

int main() {
  std::cout << R"({"ready": {}, "outputs": {}})" << std::endl;
  std::string line;
  while (std::getline(std::cin, line)) {
    unsigned devices = 0;
    unsigned long bytes = 0;
    size_t at = line.find("\"case\": \"");
    if (at == std::string::npos ||
        std::sscanf(line.c_str() + at + 9, "%u %lu", &devices, &bytes) != 2) {
      std::cerr << "allreduce-bench: expected a case \"DEVICES BYTES\", found "
                << line << "\n";
      return 1;
    }
    auto micros = tpcrt::measureAllReduce(devices, bytes);
    if (!micros) {
      std::cerr << "allreduce-bench: " << micros.error().message << "\n";
      return 1;
    }
    std::cout << R"({"ms": [)" << *micros / 1e3 << "]}" << std::endl;
  }
}
