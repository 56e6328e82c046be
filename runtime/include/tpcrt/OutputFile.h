// A file that appears under its name only when it is complete: written under a
// temporary name in the same folder, renamed by commit(), removed otherwise.
#ifndef TPCRT_OUTPUTFILE_H
#define TPCRT_OUTPUTFILE_H

#include "tpcrt/Error.h"

#include <cstddef>
#include <string>

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

} // namespace tpcrt

#endif // TPCRT_OUTPUTFILE_H
