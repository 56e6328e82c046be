//===- Machine.cpp - What a device and its links can do -------------------===//
//
// Built-in machines. Rates are what libraries reach, not what data sheets say:
// matrix products of 8192^3, copies of gigabytes, NCCL's bus bandwidth.
// Latencies by protocol (LL, LL128, Simple) are NCCL's own constants.
//
//===----------------------------------------------------------------------===//

#include "tpc/Sharding/Machine.h"
#include "tpc/Dialect/Tpc/Tpc.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/JSON.h"
#include <simdjson.h>

using namespace mlir;
using namespace tpc;

//===----------------------------------------------------------------------===//
// Built-in machines
//===----------------------------------------------------------------------===//

namespace {

constexpr double kGB = 1e3;    // GB/s, in bytes per microsecond
constexpr double kTFlop = 1e6; // TFLOP/s, in operations per microsecond
constexpr int64_t kGiB = int64_t(1) << 30;

} // namespace

Link tpc::nvlink(int64_t devices, double gbps, bool hasSwitchReduction) {
  Link link{"nvlink",
            devices,
            {{"ring LL", LinkAlgorithm::Ring, 6.6, 0.6, 0.11 * gbps * kGB},
             {"ring LL128", LinkAlgorithm::Ring, 14, 1.9, 0.92 * gbps * kGB},
             {"ring Simple", LinkAlgorithm::Ring, 8.4, 3.4, gbps * kGB},
             {"tree LL", LinkAlgorithm::Tree, 6.8, 0.6, 0.11 * gbps * kGB},
             {"tree LL128", LinkAlgorithm::Tree, 14, 1.25, 0.8 * gbps * kGB}}};
  if (hasSwitchReduction)
    link.algorithms.push_back(
        {"NVLS", LinkAlgorithm::Switch, 25, 0, 0.65 * gbps * kGB});
  return link;
}

Link tpc::pcie(int64_t devices, double gbps) {
  return {"pcie",
          devices,
          {{"ring LL", LinkAlgorithm::Ring, 6.6, 1, 0.25 * gbps * kGB},
           {"ring Simple", LinkAlgorithm::Ring, 8.4, 5.7, gbps * kGB},
           {"tree LL", LinkAlgorithm::Tree, 6.8, 1, 0.25 * gbps * kGB},
           {"tree Simple", LinkAlgorithm::Tree, 8.4, 4, 0.8 * gbps * kGB}}};
}

Link tpc::network(double gbps) {
  return {"network",
          0,
          {{"ring LL", LinkAlgorithm::Ring, 6.6, 2.7, 0.25 * gbps * kGB},
           {"ring LL128", LinkAlgorithm::Ring, 14, 4, 0.92 * gbps * kGB},
           {"ring Simple", LinkAlgorithm::Ring, 8.4, 14, gbps * kGB},
           {"tree LL", LinkAlgorithm::Tree, 6.8, 5, 0.25 * gbps * kGB},
           {"tree LL128", LinkAlgorithm::Tree, 14, 8.5, 0.8 * gbps * kGB}}};
}

namespace {

Machine gpu(std::string name, double tflops16, double tflops32, double tflops64,
            double memoryGBps, int64_t memoryGiB, Link inner, Link outer) {
  Machine machine;
  machine.name = std::move(name);
  machine.flops16 = tflops16 * kTFlop;
  machine.flopsF32 = tflops32 * kTFlop;
  machine.flopsF64 = tflops64 * kTFlop;
  machine.memoryBytesPerMicro = memoryGBps * kGB;
  machine.operationMicros = 1.5;
  machine.memoryBytes = memoryGiB * kGiB;
  machine.links = {std::move(inner), std::move(outer)};
  return machine;
}

/// Virtual devices on the cores of one machine: they share its arithmetic and
/// its memory, and communicate by copying. As `tpc-run --calibrate` found two
/// cores of a server with AMX.
Machine cpu() {
  Machine machine;
  machine.name = "cpu";
  machine.sharedByDevices = true;
  machine.overlapsMemory = false;
  machine.flops16 = 3 * kTFlop;
  machine.flopsF32 = 0.45 * kTFlop;
  machine.flopsF64 = 0.007 * kTFlop;
  machine.memoryBytesPerMicro = 40 * kGB;
  machine.operationMicros = 1;
  machine.links = {
      {"memory", 0, {{"copy", LinkAlgorithm::Ring, 0.5, 0.15, 20 * kGB}}}};
  return machine;
}

const std::vector<Machine> &builtIn() {
  static const std::vector<Machine> machines = {
      gpu("a100", 265, 110, 17, 1700, 80, nvlink(8, 230, false), network(23)),
      gpu("b200", 1600, 900, 35, 6800, 180, nvlink(8, 720, true), network(46)),
      cpu(),
      gpu("h100", 700, 380, 55, 2900, 80, nvlink(8, 370, true), network(46)),
      gpu("h200", 780, 400, 60, 4300, 141, nvlink(8, 370, true), network(46))};
  return machines;
}

} // namespace

const Machine *tpc::findMachine(StringRef name) {
  for (const Machine &machine : builtIn())
    if (machine.name == name)
      return &machine;
  return nullptr;
}

std::string tpc::machineNames() {
  return llvm::join(
      llvm::map_range(builtIn(), [](const Machine &m) { return m.name; }),
      ", ");
}

//===----------------------------------------------------------------------===//
// Files
//===----------------------------------------------------------------------===//

namespace {

/// Reads values of one object and remembers the first thing that is wrong.
class ObjectReader {
public:
  ObjectReader(simdjson::dom::object object, std::string where,
               std::string &error)
      : object(object), where(std::move(where)), error(error) {}

  // Limits keep every price finite, and what is computed from a wrong value
  // until the complaint is seen.
  double positive(StringRef key) {
    auto value = number(key);
    if (value && *value >= 1e-9 && *value <= 1e9)
      return *value;
    if (value)
      complain(key, "a number above 0, between 1e-9 and 1e9");
    return 1;
  }
  double atLeastZero(StringRef key) {
    auto value = number(key);
    if (value && !(*value >= 0 && *value <= 1e9))
      complain(key, "a number of at least 0 and at most 1e9");
    return value.value_or(0);
  }
  int64_t count(StringRef key) {
    simdjson::dom::element value;
    int64_t found;
    if (!find(key, "a whole number", value))
      return 1;
    if (value.get_int64().get(found) || found < 1 || found > (1 << 30)) {
      complain(key, "a whole number between 1 and 2^30");
      return 1;
    }
    return found;
  }
  std::string text(StringRef key) {
    simdjson::dom::element value;
    std::string_view found;
    if (!find(key, "a string", value))
      return "";
    if (value.get_string().get(found))
      complain(key, "a string");
    return std::string(found);
  }
  bool has(StringRef key) {
    simdjson::dom::element value;
    return !object.at_key({key.data(), key.size()}).get(value);
  }
  bool flag(StringRef key, bool otherwise) {
    simdjson::dom::element value;
    bool found = otherwise;
    if (has(key) && find(key, "true or false", value) &&
        value.get_bool().get(found))
      complain(key, "true or false");
    return found;
  }
  std::optional<simdjson::dom::object> child(StringRef key) {
    simdjson::dom::element value;
    simdjson::dom::object found;
    if (!find(key, "an object", value))
      return std::nullopt;
    if (value.get_object().get(found)) {
      complain(key, "an object");
      return std::nullopt;
    }
    return found;
  }
  /// The objects of a list that is not empty.
  std::vector<simdjson::dom::object> children(StringRef key) {
    simdjson::dom::element value;
    simdjson::dom::array list;
    std::vector<simdjson::dom::object> found;
    if (!find(key, "a list of objects", value))
      return found;
    bool fine = !value.get_array().get(list);
    if (fine)
      for (simdjson::dom::element item : list) {
        simdjson::dom::object object;
        fine &= !item.get_object().get(object);
        found.push_back(object);
      }
    if (!fine || found.empty()) {
      complain(key, "a list of objects");
      found.clear();
    }
    return found;
  }
  /// Reports a key that is none of `known`.
  void knowsOnly(ArrayRef<StringRef> known) {
    for (auto [key, value] : object)
      if (!llvm::is_contained(known, StringRef(key.data(), key.size())))
        note(where + "unknown key \"" + std::string(key) +
             "\"; expected some of: " + llvm::join(known, ", "));
  }
  void complain(StringRef key, const Twine &expected) {
    note(where + "\"" + key.str() + "\": expected " + expected.str());
  }

private:
  bool find(StringRef key, StringRef expected, simdjson::dom::element &value) {
    if (!object.at_key({key.data(), key.size()}).get(value))
      return true;
    note(where + "missing key \"" + key.str() + "\"; expected " +
         expected.str());
    return false;
  }
  std::optional<double> number(StringRef key) {
    simdjson::dom::element value;
    double found;
    if (!find(key, "a number", value))
      return std::nullopt;
    if (value.get_double().get(found)) {
      complain(key, "a number");
      return std::nullopt;
    }
    return found;
  }
  void note(std::string text) {
    if (error.empty())
      error = std::move(text);
  }

  simdjson::dom::object object;
  std::string where;
  std::string &error;
};

LinkAlgorithm readAlgorithm(simdjson::dom::object object,
                            const std::string &where, std::string &error) {
  ObjectReader reader(object, where, error);
  reader.knowsOnly({"name", "kind", "base_us", "hop_us", "gb_per_s"});
  LinkAlgorithm algorithm;
  algorithm.name = reader.text("name");
  std::string kind = reader.text("kind");
  if (kind == "tree")
    algorithm.kind = LinkAlgorithm::Tree;
  else if (kind == "switch")
    algorithm.kind = LinkAlgorithm::Switch;
  else if (kind != "ring")
    reader.complain("kind", "\"ring\", \"tree\" or \"switch\"");
  algorithm.baseMicros = reader.atLeastZero("base_us");
  algorithm.hopMicros = reader.atLeastZero("hop_us");
  algorithm.bytesPerMicro = reader.positive("gb_per_s") * kGB;
  return algorithm;
}

/// `inside`: the devices of the link inside of it, 1 for the innermost.
Link readLink(simdjson::dom::object object, const std::string &where,
              int64_t inside, bool last, std::string &error) {
  ObjectReader reader(object, where, error);
  reader.knowsOnly({"name", "devices", "algorithms"});
  Link link;
  link.name = reader.text("name");
  if (last && reader.has("devices"))
    reader.complain("devices", "nothing: the last link joins all devices");
  else if (!last)
    link.devices = reader.count("devices");
  if (!last && link.devices % inside != 0)
    reader.complain("devices", "a multiple of the " + Twine(inside) +
                                   " that the link inside joins");
  auto algorithms = reader.children("algorithms");
  for (auto [i, item] : llvm::enumerate(algorithms))
    link.algorithms.push_back(readAlgorithm(
        item, where + "algorithms[" + std::to_string(i) + "]: ", error));
  if (llvm::none_of(link.algorithms, [](const LinkAlgorithm &algorithm) {
        return algorithm.kind == LinkAlgorithm::Ring;
      }))
    reader.complain("algorithms", "at least one of kind \"ring\", which has "
                                  "every collective");
  return link;
}

Machine readMachine(simdjson::dom::object root, const std::string &where,
                    std::string &error) {
  ObjectReader reader(root, where, error);
  reader.knowsOnly({"name", "shared_by_devices", "overlaps_memory", "tflops",
                    "memory_gb_per_s", "memory_gib", "operation_us", "links"});
  Machine machine;
  machine.name = reader.text("name");
  machine.sharedByDevices = reader.flag("shared_by_devices", false);
  machine.overlapsMemory = reader.flag("overlaps_memory", true);
  if (auto tflops = reader.child("tflops")) {
    ObjectReader rates(*tflops, where + "tflops: ", error);
    rates.knowsOnly({"f64", "f32", "bf16"});
    machine.flopsF64 = rates.positive("f64") * kTFlop;
    machine.flopsF32 = rates.positive("f32") * kTFlop;
    machine.flops16 = rates.positive("bf16") * kTFlop;
  }
  machine.memoryBytesPerMicro = reader.positive("memory_gb_per_s") * kGB;
  if (reader.has("memory_gib"))
    machine.memoryBytes =
        static_cast<int64_t>(reader.positive("memory_gib") * kGiB);
  machine.operationMicros = reader.atLeastZero("operation_us");
  auto links = reader.children("links");
  for (auto [i, item] : llvm::enumerate(links)) {
    int64_t inside = i == 0 ? 1 : machine.links.back().devices;
    machine.links.push_back(
        readLink(item, where + "links[" + std::to_string(i) + "]: ", inside,
                 i + 1 == links.size(), error));
  }
  return machine;
}

} // namespace

FailureOr<Machine> tpc::readMachine(StringRef path, std::string &error) {
  simdjson::dom::parser parser;
  simdjson::dom::element element;
  simdjson::dom::object root;
  auto code = parser.load(path.str()).get(element);
  if (!code)
    code = element.get_object().get(root);
  if (code) {
    error = path.str() + ": expected a JSON object that describes a machine; " +
            simdjson::error_message(code);
    return failure();
  }
  error.clear();
  Machine machine = ::readMachine(root, path.str() + ": ", error);
  if (!error.empty())
    return failure();
  return machine;
}

static llvm::json::Value algorithmJson(const LinkAlgorithm &algorithm) {
  static constexpr StringRef kinds[] = {"ring", "tree", "switch"};
  return llvm::json::Object{{"name", algorithm.name},
                            {"kind", kinds[algorithm.kind]},
                            {"base_us", algorithm.baseMicros},
                            {"hop_us", algorithm.hopMicros},
                            {"gb_per_s", algorithm.bytesPerMicro / kGB}};
}

std::string tpc::machineText(const Machine &machine) {
  llvm::json::Array links;
  for (const Link &link : machine.links) {
    llvm::json::Array algorithms;
    for (const LinkAlgorithm &algorithm : link.algorithms)
      algorithms.push_back(algorithmJson(algorithm));
    llvm::json::Object object{{"name", link.name},
                              {"algorithms", std::move(algorithms)}};
    if (link.devices)
      object["devices"] = link.devices;
    links.push_back(std::move(object));
  }
  llvm::json::Object object{
      {"name", machine.name},
      {"shared_by_devices", machine.sharedByDevices},
      {"overlaps_memory", machine.overlapsMemory},
      {"tflops", llvm::json::Object{{"f64", machine.flopsF64 / kTFlop},
                                    {"f32", machine.flopsF32 / kTFlop},
                                    {"bf16", machine.flops16 / kTFlop}}},
      {"memory_gb_per_s", machine.memoryBytesPerMicro / kGB},
      {"operation_us", machine.operationMicros},
      {"links", std::move(links)}};
  if (machine.memoryBytes)
    object["memory_gib"] = static_cast<double>(*machine.memoryBytes) / kGiB;
  return llvm::formatv("{0:2}\n", llvm::json::Value(std::move(object)));
}

FailureOr<Machine> tpc::machineByNameOrFile(StringRef text,
                                            std::string &error) {
  if (const Machine *machine = findMachine(text))
    return *machine;
  if (llvm::sys::fs::exists(text))
    return tpc::readMachine(text, error);
  error = "machine: expected one of " + machineNames() +
          ", or a file that describes one; found \"" + text.str() + "\"";
  return failure();
}

FailureOr<Machine> tpc::machineOf(ModuleOp module) {
  StringRef text = "cpu";
  if (auto name = module->getAttrOfType<StringAttr>(kMachineAttrName))
    text = name.getValue();
  std::string error;
  FailureOr<Machine> machine = machineByNameOrFile(text, error);
  if (failed(machine))
    module.emitError(error);
  return machine;
}
