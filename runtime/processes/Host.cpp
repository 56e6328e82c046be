// Facts about this process that the system knows.
#include "processes/Host.h"
#include "support/Fail.h"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace tpcrt;

static std::string hostName() {
  char name[256] = "";
  if (::gethostname(name, sizeof(name) - 1) != 0 || !*name)
    return "unknown host";
  return name;
}

static std::string hostKey(uint32_t rank) {
  std::string boot;
  std::ifstream("/proc/sys/kernel/random/boot_id") >> boot;
  struct stat space;
  // Where the system does not tell, nobody is known to share this host.
  if (boot.empty() || ::stat("/proc/self/ns/net", &space) != 0)
    return fmt::format("{} rank {}", hostName(), rank);
  return fmt::format("{} net {}", boot, uint64_t(space.st_ino));
}

ProcessInfo tpcrt::describeThisProcess(uint32_t rank) {
  return {rank, uint64_t(::getpid()), hostName(), hostKey(rank)};
}

Result<std::string> tpcrt::randomText(size_t bytes) {
  std::string random(bytes, '\0'), text;
  if (::getrandom(random.data(), bytes, 0) != ssize_t(bytes))
    return fail("cannot read random bytes: {}", std::strerror(errno));
  for (unsigned char byte : random)
    text += fmt::format("{:02x}", byte);
  return text;
}
