#include "tpcrt/Diagnosis.h"

#include "support/Fail.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <simdjson.h>

using namespace tpcrt;

namespace {

/// The last that is known of a device.
struct Last {
  uint64_t device = 0;
  uint64_t rank = 0;
  uint64_t sequence = 0; // 0: it never started a collective
  std::string operation;
  bool done = true;
};

struct Recordings {
  uint64_t size = 0;
  std::map<uint64_t, std::string> reasons; // by rank
  std::vector<Last> devices;
};

void readRecording(const std::string &path, Recordings &all) {
  simdjson::dom::parser parser;
  simdjson::dom::element root = parser.load(path);
  uint64_t rank = root["rank"].get_uint64();
  all.size = std::max<uint64_t>(all.size, root["size"].get_uint64());
  all.reasons[rank] = std::string(root["reason"].get_string().value());
  for (simdjson::dom::element device : root["devices"].get_array()) {
    Last last;
    last.device = device["device"].get_uint64();
    last.rank = rank;
    for (simdjson::dom::element entry : device["operations"].get_array()) {
      last.sequence = entry["sequence"].get_uint64();
      last.operation = std::string(entry["operation"].get_string().value());
      last.done = !entry["ended_us"].is_null();
    }
    all.devices.push_back(std::move(last));
  }
}

std::string deviceName(const Last &last) {
  return fmt::format("device {} (rank {})", last.device, last.rank);
}

/// "operation 17, all_reduce 'x' at model.mlir:7"
std::string operationName(const Last &last) {
  return fmt::format("operation {}, {}", last.sequence, last.operation);
}

std::string describeAll(const Recordings &all) {
  std::string text;
  std::vector<uint64_t> missing;
  for (uint64_t rank = 0; rank < all.size; ++rank)
    if (!all.reasons.contains(rank))
      missing.push_back(rank);
  for (const auto &[rank, reason] : all.reasons)
    text += fmt::format("rank {} ended: {}\n", rank, reason);
  for (uint64_t rank : missing)
    text += fmt::format("rank {} left no recording: it was killed or stopped, "
                        "or its recording is elsewhere\n",
                        rank);
  if (all.devices.empty())
    return text;

  // Who has come furthest shows what the others have not reached.
  const Last &front =
      *std::ranges::max_element(all.devices, {}, [](const Last &last) {
        return std::pair(last.sequence, last.done);
      });
  if (front.sequence == 0)
    return text + "no device had started a collective\n";
  if (front.done)
    text += fmt::format("{} had finished {}\n", deviceName(front),
                        operationName(front));
  for (const Last &last : all.devices) {
    if (!last.done && last.sequence == front.sequence)
      text += fmt::format("{} waits in {}\n", deviceName(last),
                          operationName(last));
    if (last.sequence < front.sequence)
      text += fmt::format(
          "{} is behind: it {} {}, and has not started {}\n", deviceName(last),
          last.done ? "has finished" : "waits in",
          last.sequence ? operationName(last) : std::string("nothing"),
          operationName(front));
    else if (last.operation != front.operation)
      text += fmt::format("{} runs another program than {}: {}, not {}\n",
                          deviceName(last), deviceName(front),
                          operationName(last), operationName(front));
  }
  return text;
}

} // namespace

Result<std::string> tpcrt::diagnose(const std::string &folder) {
  std::error_code error;
  std::vector<std::string> paths;
  for (const auto &entry : std::filesystem::directory_iterator(folder, error)) {
    std::string name = entry.path().filename();
    if (name.starts_with("rank-") && name.ends_with(".json"))
      paths.push_back(entry.path());
  }
  if (error)
    return fail("cannot read folder '{}': {}", folder, error.message());
  if (paths.empty())
    return fail("{}: expected recordings rank-*.json, found none; run with "
                "--flight-recorder {}",
                folder, folder);
  std::ranges::sort(paths);
  Recordings all;
  for (const std::string &path : paths) {
    try {
      readRecording(path, all);
    } catch (const simdjson::simdjson_error &problem) {
      return fail("{}: not a flight recording: {}", path, problem.what());
    }
  }
  return describeAll(all);
}
