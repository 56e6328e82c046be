// Small files of /proc and /sys. What is missing reads as empty.
#ifndef TPCRT_TOPOLOGY_FILES_H
#define TPCRT_TOPOLOGY_FILES_H

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace tpcrt {

inline std::string readLine(const std::string &path) {
  std::string line;
  std::ifstream file(path);
  std::getline(file, line);
  return line;
}

/// The names in a folder, shorter ones first, so that "mlx5_10" follows
/// "mlx5_9".
std::vector<std::string> namesIn(const std::string &folder);

inline bool exists(const std::string &path) {
  std::error_code error;
  return std::filesystem::exists(path, error);
}

} // namespace tpcrt

#endif // TPCRT_TOPOLOGY_FILES_H
