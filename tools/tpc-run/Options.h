//===- Options.h - The command line of tpc-run ------------------*- C++ -*-===//

#ifndef TPC_TOOLS_TPCRUN_OPTIONS_H
#define TPC_TOOLS_TPCRUN_OPTIONS_H

#include "tpc/Driver/Generator.h"
#include "tpc/Sharding/PlanText.h"
#include "tpcrt/Runtime.h"
#include <optional>
#include <string>
#include <vector>

namespace tpc {

struct RunOptions {
  std::string model;
  /// Measure this machine instead of running a model; the file to write.
  std::optional<std::string> calibrate;
  /// Show this machine and what is wrong with it instead; the file to write its
  /// description to, if any.
  bool doctor = false;
  std::optional<std::string> machineOut;
  std::optional<std::string> mesh, entry, weights, save, report;
  /// What the devices are: "cpu" or "cuda".
  std::string device;
  std::string mode;
  /// A plan to follow in place of a mode, and the file that the plan is to be
  /// written to.
  std::optional<PlanText> plan;
  std::optional<std::string> planOut;
  /// A mode or a plan file to compare with; an option of tpc-run.
  std::optional<std::string> compare;
  /// Explain the collectives, or the values of a name if it is not empty.
  std::optional<std::string> explain;
  /// A built-in machine or a file with one, that times are predicted for.
  std::string machine;
  /// Bytes on one device; nothing: what the machine has.
  std::optional<int64_t> memoryLimit;
  /// How often entries are called: "prefill=1,decode=100".
  std::string mix;
  /// Seconds that mode auto may search.
  double searchTime = 20;
  /// Pins beside those in the module.
  std::vector<std::string> pins;
  /// Print the module after this phase and stop: whole, assigned, program,
  /// plan. Empty: go on.
  std::string emit;
  std::vector<std::string> inputs, outputs;
  bool check = false;
  bool dryRun = false;
  bool quiet = false;
  unsigned repeat = 1;
  /// Tokens to generate per row; 0: one run of an entry.
  unsigned newTokens = 0;
  Sampling sampling;
  /// How programs are loaded and run; `processes` is not set here.
  tpcrt::LoadOptions load;
  /// For all processes to arrive, and for their waits after that.
  double startTimeout = 120;
  double timeout = 60;
  /// Say what the flight recordings in this folder mean instead of running a
  /// model.
  std::optional<std::string> diagnose;
  /// Shape of token inputs where no input gives it.
  std::optional<int64_t> batch, length;
  /// How a Hugging Face model is imported: ImportOptions.
  std::optional<int64_t> context;
  std::string element, logits;
};

inline std::chrono::milliseconds toMilliseconds(double seconds) {
  return std::chrono::milliseconds(static_cast<int64_t>(seconds * 1000));
}

/// Parses the command line; prints usage and exits for --help and errors.
RunOptions parseOptions(int argc, char **argv);

} // namespace tpc

#endif // TPC_TOOLS_TPCRUN_OPTIONS_H
