// A line is written by one call, so that lines of several processes do not mix.
#include "Lines.h"

#include <cerrno>

using tpcrt::File;

/// Of a line; a longer one is cut.
static constexpr size_t maxLine = 65536;

Lines::Lines(File from, int to, std::string prefix)
    : from(std::move(from)), to(to), prefix(std::move(prefix)) {}

void Lines::pump() {
  char buffer[16384];
  // Who writes without end leaves time for the others.
  for (int reads = 0; from && reads < 16; ++reads) {
    ssize_t size = ::read(from.get(), buffer, sizeof(buffer));
    if (size > 0)
      passOn({buffer, size_t(size)});
    else if (size < 0 && errno == EAGAIN)
      return;
    else if (size == 0 || errno != EINTR)
      from = File();
  }
}

void Lines::passOn(std::string_view bytes) {
  for (char byte : bytes) {
    unfinished += byte;
    if (byte == '\n')
      write(unfinished), unfinished.clear();
    else if (unfinished.size() == maxLine)
      write(unfinished + "\n"), unfinished.clear();
  }
}

void Lines::finish() {
  pump();
  if (!unfinished.empty())
    passOn("\n");
  from = File();
}

void Lines::write(std::string_view bytes) {
  std::string line = prefix;
  line += bytes;
  std::string_view rest = line;
  while (!rest.empty()) {
    ssize_t size = ::write(to, rest.data(), rest.size());
    if (size < 0 && errno != EINTR)
      return; // nobody reads it any more
    rest.remove_prefix(size < 0 ? 0 : size);
  }
}
