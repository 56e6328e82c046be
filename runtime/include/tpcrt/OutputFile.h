// A file that appears under its name only when it is complete: written under a
// temporary name in the same folder, renamed by commit(), removed otherwise.
#ifndef TPCRT_OUTPUTFILE_H
#define TPCRT_OUTPUTFILE_H

#include "tpcrt/Error.h"

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace tpcrt {

class OutputFile {
public:
  static Result<OutputFile> create(const std::string &path);
  OutputFile(OutputFile &&other) noexcept;
  OutputFile &operator=(OutputFile &&other) noexcept;
  ~OutputFile();

  Result<void> write(const void *data, size_t size);
  Result<void> commit();

private:
  OutputFile() = default;

  std::string path;
  std::string temporary;
  int descriptor = -1;
};

/// Whether files can be written at all of `paths`, no two of them the same:
/// what is asked before long work whose results go there.
Result<void> checkOutputPaths(const std::vector<std::string> &paths);

/// A file with this text, which has its name when it is committed.
Result<OutputFile> prepareText(const std::string &path, std::string_view text);

/// Gives several complete files their names.
Result<void> commitAll(std::vector<OutputFile> files);

} // namespace tpcrt

#endif // TPCRT_OUTPUTFILE_H
