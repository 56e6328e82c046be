#include "tpcrt/Fault.h"

#include "support/Fail.h"
#include "support/ParseNumber.h"

#include <csignal>
#include <optional>
#include <thread>

using namespace tpcrt;

namespace {

constexpr std::pair<std::string_view, Fault::Kind> kinds[] = {
    {"kill", Fault::Kind::Kill},
    {"stop", Fault::Kind::Stop},
    {"delay", Fault::Kind::Delay},
    {"corrupt", Fault::Kind::Corrupt}};

constexpr std::pair<std::string_view, Fault::Place> places[] = {
    {"start", Fault::Place::Start},
    {"load", Fault::Place::Load},
    {"exit", Fault::Place::Exit}};

template <class Entry, size_t N>
auto find(const Entry (&table)[N], std::string_view name)
    -> std::optional<decltype(table[0].second)> {
  for (const Entry &entry : table)
    if (entry.first == name)
      return entry.second;
  return std::nullopt;
}

std::string_view cutUntil(std::string_view &text, char separator) {
  size_t end = std::min(text.find(separator), text.size());
  std::string_view part = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return part;
}

} // namespace

Result<Fault> tpcrt::parseFault(std::string_view text) {
  auto wrong = [&] {
    return fail("expected a fault like kill:rank=1,op=17, stop:rank=0,at=load, "
                "delay:rank=1,run=2,ms=500 or corrupt:rank=2,op=5, found '{}'",
                text);
  };
  Fault fault;
  std::string_view rest = text;
  auto kind = find(kinds, cutUntil(rest, ':'));
  if (!kind)
    return wrong();
  fault.kind = *kind;
  bool hasRank = false, hasPlace = false, hasDelay = false;
  while (!rest.empty()) {
    std::string_view value = cutUntil(rest, ',');
    std::string_view key = cutUntil(value, '=');
    auto count = parseNumber<uint64_t>(value);
    if (key == "at") {
      auto place = find(places, value);
      if (!place || hasPlace)
        return wrong();
      fault.place = *place;
      hasPlace = true;
    } else if (!count) {
      return wrong();
    } else if (key == "rank" && *count <= UINT32_MAX) {
      fault.rank = static_cast<uint32_t>(*count);
      hasRank = true;
    } else if ((key == "op" || key == "run") && *count > 0 && !hasPlace) {
      fault.place = key == "op" ? Fault::Place::Op : Fault::Place::Run;
      fault.number = *count;
      hasPlace = true;
    } else if (key == "ms" && *count <= UINT32_MAX) {
      fault.delay = std::chrono::milliseconds(*count);
      hasDelay = true;
    } else {
      return wrong();
    }
  }
  bool corrupts = fault.kind == Fault::Kind::Corrupt;
  if (!hasRank || !hasPlace || hasDelay != (fault.kind == Fault::Kind::Delay) ||
      (corrupts && fault.place != Fault::Place::Op))
    return wrong();
  return fault;
}

bool tpcrt::injectFaults(const std::vector<Fault> &faults, uint32_t rank,
                         Fault::Place place, uint64_t number) {
  bool corrupts = false;
  for (const Fault &fault : faults) {
    if (fault.rank != rank || fault.place != place || fault.number != number)
      continue;
    switch (fault.kind) {
    case Fault::Kind::Kill:
      std::raise(SIGKILL);
      break;
    case Fault::Kind::Stop:
      std::raise(SIGSTOP);
      break;
    case Fault::Kind::Delay:
      std::this_thread::sleep_for(fault.delay);
      break;
    case Fault::Kind::Corrupt:
      corrupts = true;
      break;
    }
  }
  return corrupts;
}
