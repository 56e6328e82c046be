// Passes on what a process writes, line by line, with a prefix.
#ifndef TPC_LAUNCH_LINES_H
#define TPC_LAUNCH_LINES_H

#include "support/File.h"

#include <string>
#include <string_view>

class Lines {
public:
  /// From a pipe that does not block to a descriptor.
  Lines(tpcrt::File from, int to, std::string prefix);

  int descriptor() const { return from.get(); }
  bool isOpen() const { return bool(from); }
  /// Passes on what is there.
  void pump();
  /// Ends an unfinished line too.
  void finish();

private:
  void passOn(std::string_view bytes);
  void write(std::string_view bytes);

  tpcrt::File from;
  int to;
  std::string prefix;
  std::string unfinished;
};

#endif // TPC_LAUNCH_LINES_H
