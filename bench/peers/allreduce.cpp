// All-reduce between virtual devices, inside a program: the worker of
// bench/allreduce.py.
//
//   allreduce-bench [network]   speaks the protocol of worker.py; cases
//                               "DEVICES BYTES"
//
// Under tpc-launch the devices are those of all processes; rank 0 speaks.
#include "tpcrt/Calibration.h"
#include "tpcrt/Launched.h"

#include <cstdio>
#include <iostream>
#include <string>

using namespace tpcrt;

namespace {

/// The next request, the same in all processes; empty at the end.
Result<std::string> nextLine(const Launched &launched) {
  std::string line;
  if (launched.isLeader() && !std::getline(std::cin, line))
    line.clear();
  if (!launched.group())
    return line;
  auto lines =
      launched.group()->exchange("request", line, std::chrono::hours(1));
  if (!lines)
    return tl::unexpected(lines.error());
  return (*lines)[0];
}

Result<void> serve(Launched &launched, Transport transport) {
  std::cout << R"({"ready": {}, "outputs": {}})" << std::endl;
  while (true) {
    auto line = nextLine(launched);
    if (!line)
      return tl::unexpected(line.error());
    if (line->empty())
      return launched.leave();
    unsigned devices = 0;
    unsigned long bytes = 0;
    size_t at = line->find("\"case\": \"");
    if (at == std::string::npos ||
        std::sscanf(line->c_str() + at + 9, "%u %lu", &devices, &bytes) != 2)
      return makeError("expected a case \"DEVICES BYTES\", found " + *line);
    auto micros =
        measureAllReduce(devices, bytes, 0, launched.group(), transport);
    if (!micros)
      return tl::unexpected(micros.error());
    std::cout << R"({"ms": [)" << *micros / 1e3 << "]}" << std::endl;
  }
}

} // namespace

int main(int argc, char **argv) {
  bool network = argc > 1 && std::string(argv[1]) == "network";
  auto launched = Launched::join({});
  auto served = launched ? serve(*launched,
                                 network ? Transport::Network : Transport::Auto)
                         : Result<void>(tl::unexpected(launched.error()));
  if (served)
    return 0;
  std::cerr << "allreduce-bench: " << served.error().message << "\n";
  return 1;
}
