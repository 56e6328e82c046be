//===- Json.cpp - Reads and writes problems -------------------------------===//

#include "tpc/Sharding/Solver/Json.h"
#include "Tables.h"
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <map>
#include <simdjson.h>
#include <zlib.h>

using namespace tpc::solver;
using simdjson::dom::array;
using simdjson::dom::element;
using simdjson::dom::element_type;

namespace {

constexpr size_t maxFileBytes = size_t(2) << 30;

std::string typeName(element value) {
  switch (value.type()) {
  case element_type::ARRAY:
    return "an array of " + std::to_string(array(value).size());
  case element_type::OBJECT:
    return "an object";
  case element_type::STRING:
    return "a string";
  case element_type::BOOL:
    return "a boolean";
  case element_type::NULL_VALUE:
    return "null";
  case element_type::DOUBLE:
    return "the fraction " + std::to_string(double(value));
  default:
    return simdjson::to_string(value);
  }
}

/// Where in the file the reader is; made into text only for an error.
struct Place {
  const char *what;
  size_t index = SIZE_MAX;

  std::string text() const {
    return index == SIZE_MAX ? what
                             : what + ("[" + std::to_string(index) + "]");
  }
};

/// Reads the parts of a document; the first error is kept, and every read
/// after it returns nothing.
class Reader {
public:
  explicit Reader(std::string &error) : error(error) {}

  std::optional<Problem> problem(element document);

private:
  template <typename... Parts> bool fail(const Place &place, Parts... parts) {
    error = place.text() + ": ";
    (error += ... += parts);
    return false;
  }
  std::optional<element> member(simdjson::dom::object object, Place place,
                                const char *key);
  bool list(element value, Place place, array &result);
  bool object(element value, Place place, simdjson::dom::object &result);
  bool integer(element value, Place place, int64_t &result);
  bool integers(element value, Place place, std::vector<int64_t> &result);
  bool interval(element value, Place place, Interval &result);
  bool index(element value, Place place, size_t limit, unsigned &result);
  bool table(element value, Place place, CostTable &result);

  bool nodes(element value, Problem &problem);
  bool memory(element intervals, element usages, size_t node, Node &result);
  bool tables(element value);
  bool edges(element value, Problem &problem);

  std::string &error;
  VectorPool pool;
  std::vector<CostTable> sharedTables;
};

std::optional<element> Reader::member(simdjson::dom::object object, Place place,
                                      const char *key) {
  std::optional<element> found;
  for (auto field : object) {
    if (field.key != key)
      continue;
    if (found) {
      fail(place, "expected one \"", key, "\", found two");
      return std::nullopt;
    }
    found = field.value;
  }
  if (!found)
    fail(place, "expected a member \"", key, "\", found none");
  return found;
}

bool Reader::list(element value, Place place, array &result) {
  if (value.get(result) != simdjson::SUCCESS)
    return fail(place, "expected an array, found ", typeName(value));
  return true;
}

bool Reader::object(element value, Place place, simdjson::dom::object &result) {
  if (value.get(result) != simdjson::SUCCESS)
    return fail(place, "expected an object, found ", typeName(value));
  return true;
}

/// Integers above the range of int64_t are infinity too.
bool Reader::integer(element value, Place place, int64_t &result) {
  uint64_t large;
  if (value.get(result) == simdjson::SUCCESS)
    return true;
  if (value.get(large) == simdjson::SUCCESS) {
    result = INT64_MAX;
    return true;
  }
  return fail(place, "expected a 64-bit integer, found ", typeName(value));
}

bool Reader::integers(element value, Place place,
                      std::vector<int64_t> &result) {
  array items;
  if (!list(value, place, items))
    return false;
  // An array's size() saturates; its elements are counted by reading them.
  result.clear();
  for (element item : items)
    if (!integer(item, place, result.emplace_back()))
      return false;
  return true;
}

bool Reader::interval(element value, Place place, Interval &result) {
  std::vector<int64_t> ends;
  if (!integers(value, place, ends))
    return false;
  if (ends.size() != 2)
    return fail(place, "expected [begin, end], found an array of ",
                std::to_string(ends.size()));
  result = {ends[0], ends[1]};
  return true;
}

bool Reader::index(element value, Place place, size_t limit, unsigned &result) {
  int64_t number;
  if (!integer(value, place, number))
    return false;
  if (number < 0 || static_cast<uint64_t>(number) >= limit)
    return fail(place, "expected an index below ", std::to_string(limit),
                ", found ", std::to_string(number));
  result = static_cast<unsigned>(number);
  return true;
}

bool Reader::table(element value, Place place, CostTable &result) {
  std::vector<Cost> costs;
  if (!integers(value, place, costs))
    return false;
  for (Cost &cost : costs)
    cost = std::min(cost, kForbidden);
  result = pool.intern(std::move(costs));
  return true;
}

/// One interval with its usages, or the extension: a list of both.
bool Reader::memory(element intervals, element usages, size_t node,
                    Node &result) {
  Place where{"intervals", node}, whereUsages{"usages", node};
  array intervalList, usageList;
  if (!list(intervals, where, intervalList) ||
      !list(usages, whereUsages, usageList))
    return false;
  bool single =
      intervalList.begin() != intervalList.end() &&
      (*intervalList.begin()).type() != simdjson::dom::element_type::ARRAY;
  if (single) {
    MemoryUse &use = result.memory.emplace_back();
    return interval(intervals, where, use.live) &&
           integers(usages, whereUsages, use.bytes);
  }
  auto usage = usageList.begin();
  for (element item : intervalList) {
    if (!(usage != usageList.end()))
      return fail(whereUsages, "expected as many entries as in intervals[",
                  std::to_string(node), "], found fewer");
    MemoryUse &use = result.memory.emplace_back();
    if (!interval(item, where, use.live) ||
        !integers(*usage, whereUsages, use.bytes))
      return false;
    ++usage;
  }
  if (usage != usageList.end())
    return fail(whereUsages, "expected as many entries as in intervals[",
                std::to_string(node), "], found more");
  return true;
}

bool Reader::nodes(element value, Problem &problem) {
  simdjson::dom::object members;
  if (!object(value, {"nodes"}, members))
    return false;
  auto costs = member(members, {"nodes"}, "costs");
  auto intervals =
      costs ? member(members, {"nodes"}, "intervals") : std::nullopt;
  auto usages = intervals ? member(members, {"nodes"}, "usages") : std::nullopt;
  array costList, intervalList, usageList;
  if (!usages || !list(*costs, {"nodes.costs"}, costList) ||
      !list(*intervals, {"nodes.intervals"}, intervalList) ||
      !list(*usages, {"nodes.usages"}, usageList))
    return false;
  auto interval = intervalList.begin(), usage = usageList.begin();
  for (element item : costList) {
    size_t i = problem.nodes.size();
    if (!(interval != intervalList.end()) || !(usage != usageList.end()))
      return fail({"nodes"}, "costs, intervals and usages must have the same "
                             "length; costs has more entries");
    Node &node = problem.nodes.emplace_back();
    if (!integers(item, {"nodes.costs", i}, node.costs) ||
        !memory(*interval, *usage, i, node))
      return false;
    for (Cost &cost : node.costs)
      cost = std::min(cost, kForbidden);
    ++interval;
    ++usage;
  }
  if (interval != intervalList.end() || usage != usageList.end())
    return fail({"nodes"}, "costs, intervals and usages must have the same "
                           "length; costs has fewer entries");
  element parts;
  std::vector<int64_t> numbers;
  if (members.at_key("parts").get(parts) != simdjson::SUCCESS)
    return true;
  if (!integers(parts, {"nodes.parts"}, numbers))
    return false;
  for (int64_t part : numbers) {
    if (part < -1 || part >= Problem::kShared)
      return fail({"nodes.parts"},
                  "expected numbers of parts, or -1 for shared "
                  "nodes; found ",
                  std::to_string(part));
    problem.parts.push_back(part == -1 ? Problem::kShared
                                       : static_cast<unsigned>(part));
  }
  return true;
}

bool Reader::tables(element value) {
  array items;
  if (!list(value, {"edges.tables"}, items))
    return false;
  for (element item : items)
    if (!table(item, {"edges.tables", sharedTables.size()},
               sharedTables.emplace_back()))
      return false;
  return true;
}

bool Reader::edges(element value, Problem &problem) {
  simdjson::dom::object members;
  if (!object(value, {"edges"}, members))
    return false;
  element shared;
  if (members.at_key("tables").get(shared) == simdjson::SUCCESS &&
      !tables(shared))
    return false;
  auto ends = member(members, {"edges"}, "nodes");
  auto costs = ends ? member(members, {"edges"}, "costs") : std::nullopt;
  array endList, costList;
  if (!costs || !list(*ends, {"edges.nodes"}, endList) ||
      !list(*costs, {"edges.costs"}, costList))
    return false;
  auto cost = costList.begin();
  for (element item : endList) {
    size_t i = problem.edges.size();
    if (!(cost != costList.end()))
      return fail({"edges"}, "nodes and costs must have the same length; nodes "
                             "has more entries");
    Edge &edge = problem.edges.emplace_back();
    array pair;
    if (!list(item, {"edges.nodes", i}, pair))
      return false;
    if (pair.size() != 2)
      return fail({"edges.nodes", i}, "expected [from, to], found ",
                  typeName(item));
    size_t count = problem.nodes.size();
    if (!index(pair.at(0).value(), {"edges.nodes", i}, count, edge.from) ||
        !index(pair.at(1).value(), {"edges.nodes", i}, count, edge.to))
      return false;
    if ((*cost).type() == element_type::ARRAY) {
      if (!table(*cost, {"edges.costs", i}, edge.costs))
        return false;
    } else {
      unsigned which;
      if (!index(*cost, {"edges.costs", i}, sharedTables.size(), which))
        return false;
      edge.costs = sharedTables[which];
    }
    ++cost;
  }
  if (cost != costList.end())
    return fail({"edges"}, "nodes and costs must have the same length; nodes "
                           "has fewer entries");
  return true;
}

std::optional<Problem> Reader::problem(element document) {
  simdjson::dom::object top, body;
  if (!object(document, {"file"}, top))
    return std::nullopt;
  auto inner = member(top, {"file"}, "problem");
  if (!inner || !object(*inner, {"problem"}, body))
    return std::nullopt;
  auto nodesMember = member(body, {"problem"}, "nodes");
  auto edgesMember =
      nodesMember ? member(body, {"problem"}, "edges") : std::nullopt;
  if (!edgesMember)
    return std::nullopt;
  Problem result;
  element name, limit;
  if (body.at_key("name").get(name) == simdjson::SUCCESS) {
    std::string_view text;
    if (name.get(text) != simdjson::SUCCESS) {
      fail({"name"}, "expected a string, found ", typeName(name));
      return std::nullopt;
    }
    result.name = text;
  }
  if (body.at_key("usage_limit").get(limit) == simdjson::SUCCESS &&
      !integer(limit, {"usage_limit"}, result.memoryLimit.emplace()))
    return std::nullopt;
  if (!nodes(*nodesMember, result) || !edges(*edgesMember, result))
    return std::nullopt;
  if (auto wrong = result.check()) {
    error = *wrong;
    return std::nullopt;
  }
  return result;
}

std::optional<Problem> parsePadded(const simdjson::padded_string &json,
                                   std::string &error) {
  simdjson::dom::parser parser;
  element document;
  if (auto code = parser.parse(json).get(document)) {
    error = std::string("expected a JSON document, found: ") +
            simdjson::error_message(code);
    return std::nullopt;
  }
  return Reader(error).problem(document);
}

/// The content of a file, unpacked by zlib where it is gzipped; zlib hands
/// through what is not.
std::optional<simdjson::padded_string> readFile(const std::string &path,
                                                std::string &error) {
  gzFile file = gzopen(path.c_str(), "rb");
  if (!file) {
    error = std::string("cannot be opened: ") + std::strerror(errno);
    return std::nullopt;
  }
  std::string text;
  constexpr unsigned step = 1 << 20;
  int count = 0;
  do {
    size_t end = text.size();
    text.resize(end + step);
    count = gzread(file, text.data() + end, step);
    text.resize(end + static_cast<size_t>(std::max(count, 0)));
  } while (count > 0 && text.size() <= maxFileBytes);
  int code = 0;
  if (count < 0)
    error = std::string("cannot be read: ") + gzerror(file, &code);
  else if (text.size() > maxFileBytes)
    error = "expected at most 2 GiB of JSON, found more";
  // Closing reports a gzip stream that ends early.
  int closed = gzclose(file);
  if (error.empty() && closed != Z_OK)
    error = "expected a whole gzip stream, found one that is cut off";
  if (!error.empty())
    return std::nullopt;
  return simdjson::padded_string(text);
}

} // namespace

std::optional<Problem> tpc::solver::parseProblem(std::string_view json,
                                                 std::string &error) {
  return parsePadded(simdjson::padded_string(json), error);
}

std::optional<Problem> tpc::solver::readProblem(const std::string &path,
                                                std::string &error) {
  error.clear();
  std::optional<Problem> problem;
  if (auto text = readFile(path, error))
    problem = parsePadded(*text, error);
  if (!problem)
    error = path + ": " + error;
  return problem;
}

//===----------------------------------------------------------------------===//
// Writing
//===----------------------------------------------------------------------===//

namespace {

/// "[1,2,3]" from anything with a begin and an end.
template <typename Range, typename Print>
void writeList(std::string &out, const Range &range, Print print) {
  out += '[';
  bool first = true;
  for (const auto &item : range) {
    if (!first)
      out += ',';
    first = false;
    print(item);
  }
  out += ']';
}

class Writer {
public:
  std::string write(const Problem &problem);

private:
  void numbers(const std::vector<int64_t> &values) {
    writeList(out, values,
              [&](int64_t value) { out += std::to_string(value); });
  }
  void interval(const Interval &live) { numbers({live.begin, live.end}); }
  void text(const std::string &value);
  void edges(const std::vector<Edge> &edges);

  std::string out;
};

void Writer::text(const std::string &value) {
  out += '"';
  for (unsigned char c : value) {
    char escape[8];
    if (c == '"' || c == '\\' || c < 0x20) {
      std::snprintf(escape, sizeof escape, "\\u%04x", c);
      out += escape;
    } else {
      out += static_cast<char>(c);
    }
  }
  out += '"';
}

void Writer::edges(const std::vector<Edge> &edges) {
  std::map<const std::vector<Cost> *, size_t> uses;
  for (const Edge &edge : edges)
    ++uses[edge.costs.get()];
  std::map<const std::vector<Cost> *, size_t> indices;
  std::vector<const std::vector<Cost> *> tables;
  for (const Edge &edge : edges)
    if (uses[edge.costs.get()] > 1 &&
        indices.emplace(edge.costs.get(), tables.size()).second)
      tables.push_back(edge.costs.get());
  out += "{\"nodes\":";
  writeList(out, edges,
            [&](const Edge &edge) { numbers({edge.from, edge.to}); });
  if (!tables.empty()) {
    out += ",\n\"tables\":";
    writeList(out, tables, [&](const auto *table) { numbers(*table); });
  }
  out += ",\n\"costs\":";
  writeList(out, edges, [&](const Edge &edge) {
    auto shared = indices.find(edge.costs.get());
    if (shared == indices.end())
      numbers(*edge.costs);
    else
      out += std::to_string(shared->second);
  });
  out += '}';
}

std::string Writer::write(const Problem &problem) {
  out = "{\"problem\":{\"name\":";
  text(problem.name);
  if (problem.memoryLimit)
    out += ",\"usage_limit\":" + std::to_string(*problem.memoryLimit);
  out += ",\n\"nodes\":{\"costs\":";
  writeList(out, problem.nodes, [&](const Node &node) { numbers(node.costs); });
  out += ",\n\"intervals\":";
  writeList(out, problem.nodes, [&](const Node &node) {
    if (node.memory.size() == 1)
      return interval(node.memory[0].live);
    writeList(out, node.memory,
              [&](const MemoryUse &use) { interval(use.live); });
  });
  out += ",\n\"usages\":";
  writeList(out, problem.nodes, [&](const Node &node) {
    if (node.memory.size() == 1)
      return numbers(node.memory[0].bytes);
    writeList(out, node.memory,
              [&](const MemoryUse &use) { numbers(use.bytes); });
  });
  if (!problem.parts.empty()) {
    out += ",\n\"parts\":";
    writeList(out, problem.parts, [&](unsigned part) {
      out += part == Problem::kShared ? "-1" : std::to_string(part);
    });
  }
  out += "},\n\"edges\":";
  edges(problem.edges);
  out += "}}\n";
  return std::move(out);
}

bool writeFile(const std::string &path, const std::string &text, bool gzip) {
  // "T": transparent, so that zlib writes plain files as well.
  gzFile file = gzopen(path.c_str(), gzip ? "wb" : "wbT");
  if (!file)
    return false;
  constexpr size_t step = 1 << 20;
  bool good = true;
  for (size_t at = 0; good && at < text.size(); at += step) {
    auto count = static_cast<unsigned>(std::min(step, text.size() - at));
    good = gzwrite(file, text.data() + at, count) == static_cast<int>(count);
  }
  return gzclose(file) == Z_OK && good;
}

} // namespace

std::string tpc::solver::toJson(const Problem &problem) {
  return Writer().write(problem);
}

std::optional<std::string> tpc::solver::writeProblem(const Problem &problem,
                                                     const std::string &path) {
  bool gzip = path.size() > 3 && path.compare(path.size() - 3, 3, ".gz") == 0;
  std::string partial = path + ".partial";
  errno = 0;
  if (writeFile(partial, toJson(problem), gzip) &&
      std::rename(partial.c_str(), path.c_str()) == 0)
    return std::nullopt;
  std::string error = path + ": cannot be written: " + std::strerror(errno);
  std::remove(partial.c_str());
  return error;
}
