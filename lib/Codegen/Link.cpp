//===- Link.cpp - An object becomes a shared object -----------------------===//

#include "Link.h"
#include "lld/Common/Driver.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FileUtilities.h"
#include "llvm/Support/MemoryBuffer.h"
#include <mutex>

LLD_HAS_DRIVER(elf)

using namespace mlir;
using namespace tpc;

FailureOr<std::vector<uint8_t>> tpc::linkSharedObject(ArrayRef<char> object,
                                                      Location loc) {
  // lld reads and writes files only.
  SmallString<64> input, output;
  int descriptor = -1;
  if (std::error_code error = llvm::sys::fs::createTemporaryFile(
          "tpc-kernels", "o", descriptor, input))
    return emitError(loc, "cannot create a temporary file: ")
           << error.message();
  llvm::FileRemover removeInput(input);
  {
    llvm::raw_fd_ostream file(descriptor, /*shouldClose=*/true);
    file.write(object.data(), object.size());
    file.flush();
    if (file.has_error()) {
      std::error_code error = file.error();
      file.clear_error();
      return emitError(loc, "cannot write ")
             << input << ": " << error.message();
    }
  }
  if (std::error_code error =
          llvm::sys::fs::createTemporaryFile("tpc-kernels", "so", output))
    return emitError(loc, "cannot create a temporary file: ")
           << error.message();
  llvm::FileRemover removeOutput(output);

  std::string messages;
  llvm::raw_string_ostream os(messages);
  const char *arguments[] = {"ld.lld",       "-shared",     "-z",
                             "defs",         "-z",          "noexecstack",
                             "--strip-all",  "--threads=1", "-o",
                             output.c_str(), input.c_str()};
  {
    // lld has one global state.
    static std::mutex mutex;
    std::lock_guard lock(mutex);
    lld::Result result =
        lld::lldMain(arguments, os, os, {{lld::Gnu, &lld::elf::link}});
    if (result.retCode != 0)
      return emitError(loc, "linking the kernels failed: ") << messages;
  }
  auto buffer = llvm::MemoryBuffer::getFile(output, /*IsText=*/false,
                                            /*RequiresNullTerminator=*/false);
  if (!buffer)
    return emitError(loc, "cannot read ")
           << output << ": " << buffer.getError().message();
  StringRef bytes = (*buffer)->getBuffer();
  return std::vector<uint8_t>(bytes.bytes_begin(), bytes.bytes_end());
}
