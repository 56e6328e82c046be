// Solves a problem of choosing strategies that is in a file.
#include "tpc/Sharding/Solver/Json.h"
#include "tpc/Sharding/Solver/Solver.h"

#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>

using namespace tpc::solver;

namespace {

constexpr char usage[] =
    "usage: tpc-solve FILE.json[.gz] [options]\n"
    "  --time-limit SECONDS   default: 60\n"
    "  --exhaustive           tries every choice; at most 2^24 of them\n"
    "  --dump FILE.json[.gz]  writes the problem and does not solve it\n"
    "  --json                 prints one line of JSON\n"
    "exit code: 0 a choice was found, 1 error, 2 proven infeasible, 3 no "
    "choice found in time\n";

struct Options {
  std::string file, dump;
  double timeLimit = 60;
  bool exhaustive = false, json = false;
};

bool fail(const std::string &message) {
  std::fprintf(stderr, "tpc-solve: error: %s\n", message.c_str());
  return false;
}

bool parseSeconds(const std::string &text, double &seconds) {
  char *end;
  seconds = std::strtod(text.c_str(), &end);
  if (text.empty() || *end || !std::isfinite(seconds) || seconds < 0 ||
      seconds > 1e6)
    return fail("--time-limit: expected a number from 0 to 1000000, found '" +
                text + "'");
  return true;
}

/// Options are "--name value" or "--name=value".
bool parseArguments(int argc, char **argv, Options &options) {
  for (int i = 1; i < argc; ++i) {
    std::string argument = argv[i];
    if (argument.rfind("--", 0) != 0) {
      if (!options.file.empty())
        return fail("expected one file, found also '" + argument + "'");
      options.file = argument;
      continue;
    }
    if (argument == "--json" || argument == "--exhaustive") {
      (argument == "--json" ? options.json : options.exhaustive) = true;
      continue;
    }
    size_t equals = argument.find('=');
    std::string name = argument.substr(0, equals);
    if (name != "--time-limit" && name != "--dump")
      return fail("unknown option '" + argument + "'");
    if (equals == argument.npos && i + 1 == argc)
      return fail("option '" + name + "' needs a value");
    std::string value =
        equals == argument.npos ? argv[++i] : argument.substr(equals + 1);
    if (name == "--dump")
      options.dump = value;
    else if (!parseSeconds(value, options.timeLimit))
      return false;
  }
  return !options.file.empty() || fail("expected the path of a problem");
}

/// Whether a problem is small enough for solveExhaustively().
bool isSmall(const Problem &problem) {
  double choices = 1;
  for (const Node &node : problem.nodes)
    choices *= static_cast<double>(node.costs.size());
  return choices <= 1 << 24;
}

const char *nameOf(Status status) {
  switch (status) {
  case Status::Optimal:
    return "optimal";
  case Status::Feasible:
    return "feasible";
  case Status::Infeasible:
    return "infeasible";
  case Status::Unknown:
    return "unknown";
  }
  return "";
}

/// Numbers that do not exist are null.
void printJson(const SolverResult &result, double readSeconds) {
  bool found = !result.choice.empty() || result.status == Status::Optimal;
  bool bounded = result.status != Status::Infeasible;
  std::printf(
      "{\"status\": \"%s\", \"cost\": %s, \"bound\": %s, \"gap\": "
      "%.9g, \"seconds\": %.3f, \"read_seconds\": %.3f, "
      "\"nodes\": [%zu, %zu], \"values\": [%zu, %zu], "
      "\"limited_by\": \"%s\"}\n",
      nameOf(result.status), found ? toString(result.cost).c_str() : "null",
      bounded ? toString(result.bound).c_str() : "null", result.gap(),
      result.seconds, readSeconds, result.before.nodes, result.after.nodes,
      result.before.values, result.after.values, result.limitedBy.c_str());
}

void printText(const SolverResult &result, double readSeconds) {
  std::printf("status   %s (limited by: %s)\n", nameOf(result.status),
              result.limitedBy.c_str());
  if (!result.choice.empty() || result.status == Status::Optimal)
    std::printf("cost     %s\n", toString(result.cost).c_str());
  if (result.status != Status::Infeasible)
    std::printf("bound    %s (gap %.4f %%)\n", toString(result.bound).c_str(),
                result.gap() * 100);
  std::printf("reduced  %zu nodes with %zu strategies to %zu with %zu\n",
              result.before.nodes, result.before.values, result.after.nodes,
              result.after.values);
  std::printf("seconds  %.3f, and %.3f to read\n", result.seconds, readSeconds);
}

int run(const Options &options) {
  auto start = std::chrono::steady_clock::now();
  std::string error;
  std::optional<Problem> problem = readProblem(options.file, error);
  if (!problem)
    return fail(error), 1;
  std::chrono::duration<double> reading =
      std::chrono::steady_clock::now() - start;
  if (!options.dump.empty()) {
    if (auto wrong = writeProblem(*problem, options.dump))
      return fail(*wrong), 1;
    return 0;
  }
  if (options.exhaustive && !isSmall(*problem))
    return fail("--exhaustive: expected at most 2^24 choices, found more"), 1;
  SolverOptions solverOptions;
  solverOptions.timeLimit = options.timeLimit;
  SolverResult result = options.exhaustive ? solveExhaustively(*problem)
                                           : solve(*problem, solverOptions);
  (options.json ? printJson : printText)(result, reading.count());
  switch (result.status) {
  case Status::Optimal:
  case Status::Feasible:
    return 0;
  case Status::Infeasible:
    return 2;
  case Status::Unknown:
    return 3;
  }
  return 1;
}

} // namespace

int main(int argc, char **argv) {
  if (argc == 2 && std::string(argv[1]) == "--help") {
    std::fputs(usage, stdout);
    return 0;
  }
  if (argc < 2) {
    std::fputs(usage, stderr);
    return 1;
  }
  Options options;
  return parseArguments(argc, argv, options) ? run(options) : 1;
}
