//===- PlanWriter.cpp - An assignment as a file ---------------------------===//

#include "Decisions.h"
#include "PlanReader.h"
#include "ShardingText.h"
#include "tpc/Sharding/PlanFile.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/JSON.h"
#include <map>

using namespace mlir;
using namespace tpc;

namespace {

/// Names and what is decided about each.
using Lines = std::vector<std::pair<std::string, std::string>>;
/// By pattern.
using Groups = std::map<std::string, Lines>;

/// Says once what is alike in all layers: most of a pattern share its line,
/// the others follow it with their own. A name that looks like the pattern
/// itself decides what that says. Sorted.
Lines folded(Groups groups) {
  Lines result;
  for (auto &[pattern, lines] : groups) {
    llvm::MapVector<StringRef, int> counts;
    StringRef most = lines.front().second;
    for (const auto &[name, text] : lines)
      if (++counts[text] > counts[most])
        most = text;
    for (const auto &[name, text] : lines)
      if (name == pattern)
        most = text;
    std::string shared = most.str();
    result.push_back({pattern, shared});
    llvm::sort(lines);
    for (auto &line : lines)
      if (line.second != shared)
        result.push_back(std::move(line));
  }
  return result;
}

class PlanWriter {
public:
  PlanWriter(ModuleOp module, const Mesh &mesh, const Assignment &assignment)
      : module(module), mesh(mesh), assignment(assignment) {}

  std::string run(StringRef mode, StringRef machine) {
    ModuleDecisions decisions = ModuleDecisions::of(module);
    llvm::json::OStream json(os, /*IndentSize=*/1);
    json.object([&] {
      json.attribute("tpc_plan", 1);
      json.attribute("mode", mode);
      json.attribute("machine", machine);
      json.attribute("mesh", meshText(mesh));
      section(json, "parameters", decisions.parameters);
      section(json, "states", decisions.states);
      json.attributeObject("entries", [&] {
        for (const EntryDecisions &entry : decisions.entries)
          json.attributeObject(entry.name, [&] {
            json.attribute("model", fingerprint(entry.function));
            section(json, "inputs", entry.inputs);
            section(json, "operations", entry.operations);
            section(json, "outputs", entry.outputs);
          });
      });
    });
    os << '\n';
    return std::move(text);
  }

private:
  void section(llvm::json::OStream &json, StringRef name,
               ArrayRef<Decision> decisions) {
    Groups groups;
    for (const Decision &decision : decisions)
      groups[decision.pattern].push_back(
          {decision.name, textOf(decision, name == "outputs")});
    json.attributeObject(name, [&] {
      for (const auto &[key, value] : folded(std::move(groups)))
        json.attribute(key, value);
    });
  }

  std::string textOf(const Decision &decision, bool isOutput) {
    if (!decision.type)
      return operationText(decision.op);
    std::string text = tensorText(decision.type) + " " +
                       shardingText(canonical(heldBy(decision, isOutput),
                                              decision.type.getShape(), mesh));
    if (isOutput)
      return text;
    if (auto function = dyn_cast<func::FuncOp>(decision.op)) {
      addResent(text, function.getArgument(decision.index));
      return text;
    }
    // A plan has one line for all who read a parameter.
    for (auto function : module.getOps<func::FuncOp>())
      for (auto read : function.getOps<ReadOp>())
        if (read.getSymbolAttr().getAttr() ==
            SymbolTable::getSymbolName(decision.op)) {
          size_t length = text.size();
          addResent(text, read.getResult());
          if (text.size() != length)
            return text;
        }
    return text;
  }

  /// " resent [{}, {}]": sent to that sharding again for gradients.
  void addResent(std::string &text, Value value) {
    auto resent = assignment.resentAgain.find(value);
    if (resent == assignment.resentAgain.end())
      return;
    std::vector<std::string> targets;
    for (const Sharding &sharding : resent->second)
      targets.push_back(shardingText(sharding));
    llvm::sort(targets);
    text += " resent " + llvm::join(targets, " and ");
  }

  Sharding heldBy(const Decision &decision, bool isOutput) {
    auto function = dyn_cast<func::FuncOp>(decision.op);
    if (!function)
      return assignment.symbols.lookup(SymbolTable::getSymbolName(decision.op));
    Block &body = function.getBody().front();
    return isOutput ? assignment.wanted.find(body.getTerminator())
                          ->second[decision.index]
                    : assignment.held.lookup(body.getArgument(decision.index));
  }

  /// "[{}, {tp}], [{tp}, {}] -> [{}, {}] sum {tp}", and " again" where it is
  /// computed again for gradients
  std::string operationText(Operation *op) {
    std::string text;
    auto add = [&](Value value, const Sharding &sharding) {
      ArrayRef<int64_t> shape =
          cast<RankedTensorType>(value.getType()).getShape();
      text += shardingText(canonical(sharding, shape, mesh));
    };
    for (auto [i, operand] : llvm::enumerate(op->getOperands())) {
      text += i == 0 ? "" : ", ";
      add(operand, assignment.wanted.find(op)->second[i]);
    }
    text += text.empty() ? "->" : " ->";
    for (OpResult result : op->getResults()) {
      text += result.getResultNumber() == 0 ? " " : ", ";
      add(result, assignment.held.lookup(result));
      addResent(text, result);
    }
    if (assignment.again.contains(op))
      text += " again";
    return text;
  }

  ModuleOp module;
  const Mesh &mesh;
  const Assignment &assignment;
  std::string text;
  llvm::raw_string_ostream os{text};
};

} // namespace

FailureOr<std::string> tpc::planFileText(ModuleOp module, const Mesh &mesh,
                                         const Assignment &assignment,
                                         const AssignOptions &options) {
  if (!canName(mesh))
    return module.emitError("a plan file names axes by letters, digits, \"_\", "
                            "\"-\" and \".\"; found the mesh ")
           << meshText(mesh);
  PlanContent origin;
  origin.mode = options.mode;
  origin.machine = options.machine.name;
  std::string error;
  if (options.plan)
    if (auto followed = readPlan(options.plan->text, error))
      origin = std::move(*followed);
  return PlanWriter(module, mesh, assignment).run(origin.mode, origin.machine);
}
