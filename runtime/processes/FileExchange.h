// Passes file descriptors between processes of one host, over sockets that are
// on no disk.
#ifndef TPCRT_PROCESSES_FILEEXCHANGE_H
#define TPCRT_PROCESSES_FILEEXCHANGE_H

#include "support/File.h"
#include "tpcrt/ProcessGroup.h"

namespace tpcrt {

class FileExchange {
public:
  /// Opens this process's socket.
  static Result<FileExchange> open();

  /// How others find it and prove that they may: for them, and only for them.
  std::string invitation() const { return name + " " + nonce; }

  /// Sends `file` to, and takes one from, each rank in `peers`, whose
  /// invitations are given by rank. `failed`: readable once the group has
  /// failed.
  Result<std::vector<File>> run(uint32_t rank, int file,
                                const std::vector<uint32_t> &peers,
                                const std::vector<std::string> &invitations,
                                std::chrono::milliseconds limit, int failed);

private:
  File socket;
  std::string name, nonce;
};

} // namespace tpcrt

#endif // TPCRT_PROCESSES_FILEEXCHANGE_H
