#include "failure/FlightRecorder.h"

#include "support/Fail.h"
#include "support/JsonText.h"
#include "tpcrt/OutputFile.h"

#include <filesystem>

using namespace tpcrt;

uint64_t FlightRecorder::started(uint64_t device, const Program &program,
                                 const Step &step) {
  Ring &ring = rings[device];
  ring.entries[ring.count % kept] = {ring.count + 1, &program, &step,
                                     Clock::now(),   {},       false};
  return ++ring.count;
}

void FlightRecorder::ended(uint64_t device) {
  Ring &ring = rings[device];
  Entry &entry = ring.entries[(ring.count - 1) % kept];
  entry.ended = Clock::now();
  entry.done = true;
}

const FlightRecorder::Entry *FlightRecorder::current(uint64_t device) const {
  const Ring &ring = rings[device];
  if (ring.count == 0)
    return nullptr;
  const Entry &last = ring.entries[(ring.count - 1) % kept];
  return last.done ? nullptr : &last;
}

std::string FlightRecorder::report(const std::string &reason,
                                   const std::string &folder, uint32_t rank,
                                   uint32_t size, uint64_t firstDevice) const {
  std::string text = reason;
  for (uint64_t local = 0; local < rings.size(); ++local)
    if (const Entry *entry = current(local))
      text += fmt::format("; device {} of rank {} waited in its operation {}, "
                          "{}",
                          firstDevice + local, rank, entry->sequence,
                          describeCollective(*entry->step));
  if (folder.empty())
    return text;
  auto written = write(folder, rank, size, firstDevice, text);
  return text +
         (written ? fmt::format("; recorded in {}", folder)
                  : fmt::format("; no recording: {}", written.error().message));
}

std::string tpcrt::describeCollective(const Step &step) {
  const auto &collective = std::get<CollectiveStep>(step.body);
  return fmt::format("{} '{}'{}{}", collectiveName(collective.kind), step.name,
                     step.location.empty() ? "" : " at ", step.location);
}

Result<void> FlightRecorder::write(const std::string &folder, uint32_t rank,
                                   uint32_t size, uint64_t firstDevice,
                                   std::string_view reason) const {
  auto microseconds = [&](Clock::time_point time) {
    return std::chrono::duration_cast<std::chrono::microseconds>(time - loaded)
        .count();
  };
  std::string text = fmt::format("{{\"rank\":{},\"size\":{},\"reason\":{},"
                                 "\"devices\":[",
                                 rank, size, jsonText(reason));
  for (size_t device = 0; device < rings.size(); ++device) {
    const Ring &ring = rings[device];
    text += fmt::format("{}\n{{\"device\":{},\"operations\":[",
                        device ? "," : "", firstDevice + device);
    uint64_t first = ring.count > kept ? ring.count - kept : 0;
    for (uint64_t i = first; i < ring.count; ++i) {
      const Entry &entry = ring.entries[i % kept];
      const auto &collective = std::get<CollectiveStep>(entry.step->body);
      text += fmt::format(
          "{}\n{{\"sequence\":{},\"program\":{},\"operation\":{},\"bytes\":{},"
          "\"started_us\":{},\"ended_us\":{}}}",
          i > first ? "," : "", entry.sequence, jsonText(entry.program->name),
          jsonText(describeCollective(*entry.step)), collective.bytes,
          microseconds(entry.started),
          entry.done ? std::to_string(microseconds(entry.ended)) : "null");
    }
    text += "]}";
  }
  text += "]}\n";
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error)
    return fail("cannot make folder '{}': {}", folder, error.message());
  TPCRT_ASSIGN(OutputFile file, OutputFile::create(fmt::format(
                                    "{}/rank-{}.json", folder, rank)));
  TPCRT_TRY(file.write(text.data(), text.size()));
  return file.commit();
}
