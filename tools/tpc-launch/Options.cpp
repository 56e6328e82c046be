// Options come before the command; what follows the command is its own.
#include "Options.h"
#include "support/Fail.h"
#include "support/ParseNumber.h"

#include <optional>

using namespace tpcrt;

const char *const usage =
    "usage: tpc-launch -n N [options] [--] COMMAND [ARGUMENTS...]\n"
    "\n"
    "Starts COMMAND as N processes of this host that run one program "
    "together,\n"
    "and ends them all when one fails.\n"
    "\n"
    "  -n N           processes, from 1 to 1024\n"
    "  --timeout S    seconds that a process may be stopped, and that the\n"
    "                 others then have to end by themselves, plus one\n"
    "                 (default: 60)\n"
    "  --port P       where rank 0 listens on 127.0.0.1 (default: a free "
    "port)\n"
    "  --no-prefix    does not write '[rank] ' before lines of output\n"
    "  --help         prints this\n";

/// Seconds, also fractions of them.
static std::optional<std::chrono::milliseconds>
parseSeconds(std::string_view text) {
  auto seconds = parseNumber<double>(text);
  if (!seconds || !(*seconds >= 0 && *seconds <= 1e6))
    return std::nullopt;
  return std::chrono::milliseconds(int64_t(*seconds * 1000));
}

/// Takes over the value of an option.
static Result<void> setOption(Options &options, std::string_view name,
                              std::string_view value) {
  if (name == "-n") {
    auto count = parseNumber<uint32_t>(value);
    if (!count || *count == 0 || *count > 1024)
      return fail("-n: expected a number from 1 to 1024, found '{}'", value);
    options.processes = *count;
  } else if (name == "--timeout") {
    auto timeout = parseSeconds(value);
    if (!timeout)
      return fail("--timeout: expected seconds, found '{}'", value);
    options.timeout = *timeout;
  } else if (name == "--port") {
    auto port = parseNumber<uint16_t>(value);
    if (!port || *port == 0)
      return fail("--port: expected a port from 1 to 65535, found '{}'", value);
    options.port = *port;
  } else {
    return fail("expected an option of tpc-launch, found '{}'; see tpc-launch "
                "--help",
                name);
  }
  return {};
}

Result<Options> readOptions(int argc, char **argv) {
  std::vector<std::string> words(argv + 1, argv + argc);
  Options options;
  size_t i = 0;
  for (; i < words.size() && words[i].starts_with("-"); ++i) {
    if (words[i] == "--") {
      ++i;
      break;
    }
    if (words[i] == "--no-prefix") {
      options.prefix = false;
      continue;
    }
    if (words[i] == "--help") {
      options.help = true;
      return options;
    }
    std::string name = words[i];
    size_t equals = name.starts_with("--") ? name.find('=') : std::string::npos;
    std::string value;
    if (equals != std::string::npos) {
      value = name.substr(equals + 1);
      name.resize(equals);
    } else if (++i < words.size()) {
      value = words[i];
    }
    TPCRT_TRY(setOption(options, name, value));
  }
  options.command.assign(words.begin() + std::min(i, words.size()),
                         words.end());
  if (options.processes == 0)
    return fail("expected -n and the number of processes, found neither; see "
                "tpc-launch --help");
  if (options.command.empty())
    return fail("expected a command after the options, found none; see "
                "tpc-launch --help");
  return options;
}
