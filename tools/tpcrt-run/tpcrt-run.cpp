// Runs one program of an artifact on inputs from the command line.
#include "tpcrt/Launched.h"
#include "tpcrt/Npy.h"
#include "tpcrt/OutputFile.h"
#include "tpcrt/Runtime.h"
#include "tpcrt/TensorSpec.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <optional>

using namespace tpcrt;

namespace {

constexpr char usage[] =
    "usage: tpcrt-run FILE.tpcx [options]\n"
    "  --weights FILE|DIR        safetensors file, or folder of them\n"
    "  --entry NAME              program to run; optional if there is one "
    "only\n"
    "  --input NAME=@FILE.npy    an input from a file\n"
    "  --input NAME=2x3xf32=1,2  an input in place; one value fills all of it\n"
    "  --output NAME=@FILE.npy   writes an output; without, all are printed\n"
    "  --repeat N                runs N times (states go on from run to run)\n"
    "  --max-threads N           threads for all devices; default: one per "
    "core\n"
    "  --report FILE.json        memory, loading and times\n"
    "  --timeout N               seconds that devices and processes wait for "
    "each\n"
    "                            other; default: 60\n";

struct Options {
  std::string artifact;
  std::optional<std::string> weights, entry, report;
  std::vector<std::string> inputs, outputs;
  unsigned repeat = 1;
  unsigned threads = 0;
  std::chrono::seconds timeout{60};
};

Result<unsigned> parseCount(const std::string &option,
                            const std::string &text) {
  constexpr unsigned long limit = 1000000;
  char *end;
  unsigned long value = std::strtoul(text.c_str(), &end, 10);
  if (text.empty() || *end || text[0] == '-' || value == 0 || value > limit)
    return makeError(option + ": expected a number from 1 to 1000000, found '" +
                     text + "'");
  return value;
}

/// Stores the value of an option that takes one.
Result<void> setOption(Options &options, const std::string &name,
                       const std::string &value) {
  if (name == "--weights")
    options.weights = value;
  else if (name == "--entry")
    options.entry = value;
  else if (name == "--report")
    options.report = value;
  else if (name == "--input")
    options.inputs.push_back(value);
  else if (name == "--output")
    options.outputs.push_back(value);
  else if (name == "--repeat" || name == "--max-threads" ||
           name == "--timeout") {
    auto count = parseCount(name, value);
    if (!count)
      return tl::unexpected(count.error());
    if (name == "--timeout")
      options.timeout = std::chrono::seconds(*count);
    else
      (name == "--repeat" ? options.repeat : options.threads) = *count;
  } else {
    return makeError("unknown option '" + name + "'");
  }
  return {};
}

/// Options are "--name value" or "--name=value".
Result<Options> parseArguments(const std::vector<std::string> &arguments) {
  Options options;
  for (size_t i = 0; i < arguments.size(); ++i) {
    const std::string &argument = arguments[i];
    if (argument.rfind("--", 0) != 0) {
      if (!options.artifact.empty())
        return makeError("expected one artifact, found also '" + argument +
                         "'");
      options.artifact = argument;
      continue;
    }
    size_t equals = argument.find('=');
    std::string name = argument.substr(0, equals), value;
    if (equals != argument.npos)
      value = argument.substr(equals + 1);
    else if (i + 1 < arguments.size())
      value = arguments[++i];
    else
      return makeError("option '" + name + "' needs a value");
    if (auto result = setOption(options, name, value); !result)
      return tl::unexpected(result.error());
  }
  if (options.artifact.empty())
    return makeError("expected the path of an artifact");
  return options;
}

std::string listed(const std::vector<std::string> &names) {
  std::string text;
  for (const std::string &name : names)
    text += (text.empty() ? "" : ", ") + name;
  return text;
}

Result<const ProgramInfo *> chooseProgram(const Executable &executable,
                                          const Options &options) {
  const auto &programs = executable.programs();
  std::vector<std::string> all;
  for (const ProgramInfo &program : programs)
    all.push_back(program.name);
  std::string names = listed(all);
  if (!options.entry && programs.size() == 1)
    return &programs[0];
  if (!options.entry)
    return makeError("expected --entry with one of: " + names);
  if (const ProgramInfo *program = executable.findProgram(*options.entry))
    return program;
  return makeError("--entry: there is no program '" + *options.entry +
                   "'; expected one of: " + names);
}

std::vector<std::string> portNames(const std::vector<TensorInfo> &ports) {
  std::vector<std::string> names;
  for (const TensorInfo &port : ports)
    names.push_back(port.name);
  return names;
}

Result<std::vector<HostTensor>> readInputs(const Options &options,
                                           const ProgramInfo &program) {
  std::vector<NamedTensor> given;
  for (const std::string &spec : options.inputs) {
    auto tensor = parseInputSpec(spec);
    if (!tensor)
      return tl::unexpected(tensor.error());
    given.push_back(std::move(*tensor));
  }
  return orderByName("input", portNames(program.inputs), std::move(given));
}

struct OutputFileOf {
  size_t output;
  std::string path;
};

/// Which output goes to which file; checked before anything runs.
Result<std::vector<OutputFileOf>> matchOutputs(const Options &options,
                                               const ProgramInfo &program) {
  std::vector<OutputFileOf> files;
  std::vector<std::string> names = portNames(program.outputs);
  for (const std::string &text : options.outputs) {
    auto spec = parseOutputSpec(text);
    if (!spec)
      return tl::unexpected(spec.error());
    auto found = std::find(names.begin(), names.end(), spec->name);
    if (found == names.end())
      return makeError("--output: there is no output '" + spec->name +
                       "'; expected one of: " + listed(names));
    files.push_back({size_t(found - names.begin()), spec->path});
  }
  std::vector<std::string> paths;
  for (const OutputFileOf &file : files)
    paths.push_back(file.path);
  if (options.report)
    paths.push_back(*options.report);
  if (auto checked = checkOutputPaths(paths); !checked)
    return tl::unexpected(checked.error());
  return files;
}

/// The report, written but not yet committed.
Result<OutputFile> prepareReport(const std::string &path,
                                 const Executable &executable,
                                 const ProgramInfo &program,
                                 const std::vector<double> &runs) {
  std::string json = "{\"program\": " + toJson(program) + ", \"run_ms\": [";
  for (size_t i = 0; i < runs.size(); ++i)
    json += (i ? ", " : "") + std::to_string(runs[i]);
  json += "], \"statistics\": " + toJson(executable.statistics()) + "}\n";
  auto file = OutputFile::create(path);
  if (!file)
    return file;
  if (auto written = file->write(json.data(), json.size()); !written)
    return tl::unexpected(written.error());
  return file;
}

/// Writes the files that were asked for, or none of them; prints the outputs if
/// they go to no file.
Result<void> deliver(const Options &options, const Executable &executable,
                     const ProgramInfo &program,
                     const std::vector<OutputFileOf> &files,
                     const std::vector<HostTensor> &outputs,
                     const std::vector<double> &times) {
  std::vector<OutputFile> prepared;
  for (const OutputFileOf &file : files) {
    auto npy = prepareNpy(file.path, outputs[file.output]);
    if (!npy)
      return tl::unexpected(npy.error());
    prepared.push_back(std::move(*npy));
  }
  if (options.report) {
    auto report = prepareReport(*options.report, executable, program, times);
    if (!report)
      return tl::unexpected(report.error());
    prepared.push_back(std::move(*report));
  }
  if (files.empty())
    for (size_t i = 0; i < outputs.size(); ++i)
      std::printf("%s=%s\n", program.outputs[i].name.c_str(),
                  formatTensor(outputs[i]).c_str());
  return commitAll(std::move(prepared));
}

Result<void> run(const Options &options, Launched &launched) {
  WeightSource weights;
  if (options.weights) {
    auto opened = WeightSource::open(*options.weights);
    if (!opened)
      return tl::unexpected(opened.error());
    weights = std::move(*opened);
  }
  LoadOptions loadOptions;
  loadOptions.threads = options.threads;
  loadOptions.deadline = options.timeout;
  loadOptions.processes = launched.group();
  auto executable =
      Executable::load(options.artifact, std::move(weights), loadOptions);
  if (!executable)
    return tl::unexpected(executable.error());
  auto program = chooseProgram(**executable, options);
  if (!program)
    return tl::unexpected(program.error());
  auto files = matchOutputs(options, **program);
  if (!files)
    return tl::unexpected(files.error());
  auto inputs = readInputs(options, **program);
  if (!inputs)
    return tl::unexpected(inputs.error());

  std::vector<HostTensor> outputs;
  std::vector<double> times;
  for (unsigned i = 0; i < options.repeat; ++i) {
    auto result = (*executable)->run((*program)->name, *inputs);
    if (!result)
      return tl::unexpected(result.error());
    outputs = std::move(*result);
    times.push_back((*executable)->statistics().lastRunMs);
  }

  if (auto left = launched.leave(); !left)
    return left;
  if (!launched.isLeader()) // the outputs are the same
    return {};
  return deliver(options, **executable, **program, *files, outputs, times);
}

/// Beside other processes, if a launcher started several.
Result<void> joinAndRun(const Options &options) {
  GroupOptions group;
  group.timeout = options.timeout;
  group.fingerprint = "tpcrt-run " TPC_VERSION;
  auto launched = Launched::join(group);
  if (!launched)
    return tl::unexpected(launched.error());
  auto result = run(options, *launched);
  if (!result)
    launched->giveUp(result.error().message);
  return result;
}

} // namespace

int main(int argc, char **argv) {
  std::vector<std::string> arguments(argv + 1, argv + argc);
  if (arguments.empty() || arguments[0] == "--help") {
    std::fputs(usage, arguments.empty() ? stderr : stdout);
    return arguments.empty() ? 1 : 0;
  }
  auto options = parseArguments(arguments);
  auto result = options ? joinAndRun(*options)
                        : Result<void>(tl::unexpected(options.error()));
  if (result)
    return 0;
  std::fprintf(stderr, "tpcrt-run: error: %s\n",
               result.error().message.c_str());
  return 1;
}
