//===- PlanReader.cpp - What stands in a plan file ------------------------===//

#include "PlanReader.h"
#include <algorithm>
#include <set>
#include <simdjson.h>

using namespace tpc;
using simdjson::dom::element;
using simdjson::dom::object;

namespace {

class Reader {
public:
  explicit Reader(std::string &error) : error(error) {}

  std::optional<PlanContent> run(object root) {
    PlanContent plan;
    // What another version means by its keys is not known.
    if (!readVersion(root) ||
        !hasOnly(root, "the plan",
                 {"tpc_plan", "mode", "machine", "mesh", "parameters", "states",
                  "entries"}) ||
        !text(root, "the plan", "mode", plan.mode) ||
        !text(root, "the plan", "machine", plan.machine) ||
        !text(root, "the plan", "mesh", plan.mesh) ||
        !section(root, "the plan", "parameters", "", plan.parameters) ||
        !section(root, "the plan", "states", "", plan.states) ||
        !entries(root, plan))
      return std::nullopt;
    return plan;
  }

private:
  using Keys = std::initializer_list<std::string_view>;

  bool fail(std::string message) {
    error = std::move(message);
    return false;
  }
  static std::string quoted(std::string_view text) {
    constexpr size_t kMost = 60;
    return "\"" + std::string(text.substr(0, kMost)) +
           (text.size() > kMost ? "...\"" : "\"");
  }

  bool readVersion(object root) {
    int64_t version;
    if (root.at_key("tpc_plan").get_int64().get(version))
      return fail("expected \"tpc_plan\": " + std::to_string(kPlanVersion) +
                  ", the version of the format, which is not there");
    if (version != kPlanVersion)
      return fail("expected version " + std::to_string(kPlanVersion) +
                  " of the format (\"tpc_plan\"), found " +
                  std::to_string(version) +
                  "; write the plan anew with --plan-out");
    return true;
  }

  bool hasOnly(object fields, const std::string &where, Keys known) {
    std::set<std::string_view> seen;
    for (auto [key, value] : fields) {
      if (std::find(known.begin(), known.end(), key) == known.end())
        return fail(where + ": unknown key " + quoted(key));
      if (!seen.insert(key).second)
        return fail(where + ": " + quoted(key) + " occurs twice");
    }
    return true;
  }

  bool text(object fields, const std::string &where, std::string_view key,
            std::string &result) {
    std::string_view found;
    if (fields.at_key(key).get_string().get(found))
      return fail(where + ": expected a string " + quoted(key));
    result = found;
    return true;
  }

  bool child(object fields, const std::string &where, std::string_view key,
             object &result) {
    if (fields.at_key(key).get_object().get(result))
      return fail(where + ": expected an object " + quoted(key));
    return true;
  }

  bool section(object fields, const std::string &where, std::string_view key,
               const std::string &ofEntry, PlanSection &result) {
    result.name = std::string(key) + ofEntry;
    object lines;
    if (!child(fields, where, key, lines))
      return false;
    for (auto [name, value] : lines) {
      std::string_view decided;
      if (value.get_string().get(decided))
        return fail(result.name + ": expected a string at " + quoted(name));
      if (!result.lines.emplace(name, decided).second)
        return fail(result.name + ": " + quoted(name) + " occurs twice");
    }
    return true;
  }

  bool entries(object root, PlanContent &plan) {
    object list;
    if (!child(root, "the plan", "entries", list))
      return false;
    for (auto [name, value] : list) {
      PlanEntry &entry = plan.entries.emplace_back();
      entry.name = name;
      std::string where = "entry " + quoted(name), of = " of @" + entry.name;
      object fields;
      if (value.get_object().get(fields))
        return fail(where + ": expected an object");
      if (!hasOnly(fields, where,
                   {"model", "inputs", "operations", "outputs"}) ||
          !text(fields, where, "model", entry.model) ||
          !section(fields, where, "inputs", of, entry.inputs) ||
          !section(fields, where, "operations", of, entry.operations) ||
          !section(fields, where, "outputs", of, entry.outputs))
        return false;
    }
    return true;
  }

  std::string &error;
};

} // namespace

std::optional<PlanContent> tpc::readPlan(std::string_view text,
                                         std::string &error) {
  simdjson::dom::parser parser;
  element root;
  object fields;
  auto code = parser.parse(simdjson::padded_string(text)).get(root);
  if (!code)
    code = root.get_object().get(fields);
  if (code) {
    error = std::string("expected a JSON object with a plan; ") +
            simdjson::error_message(code);
    return std::nullopt;
  }
  return Reader(error).run(fields);
}
