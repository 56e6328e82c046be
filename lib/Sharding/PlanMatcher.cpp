//===- PlanMatcher.cpp - A plan's lines and a model's decisions -----------===//

#include "PlanMatcher.h"
#include "Decisions.h"
#include "ShardingText.h"
#include <set>

using namespace mlir;
using namespace tpc;

namespace {

class PlanMatcher {
public:
  PlanMatcher(ModuleOp module, const Mesh &mesh, const PlanContent &plan,
              std::string &error)
      : module(module), mesh(mesh), plan(plan), error(error) {}

  std::optional<MatchedPlan> run() {
    if (!matchAll())
      return std::nullopt;
    return std::move(result);
  }

private:
  bool matchAll() {
    ModuleDecisions decisions = ModuleDecisions::of(module);
    if (plan.mesh != meshText(mesh))
      return stale("it is for the mesh " + plan.mesh + ", found the mesh " +
                   meshText(mesh));
    if (!match(plan.parameters, decisions.parameters) ||
        !match(plan.states, decisions.states) || !matchNames(decisions.entries))
      return false;
    for (auto [entry, own] : llvm::zip_equal(plan.entries, decisions.entries))
      if (!matchEntry(entry, own))
        return false;
    return true;
  }

  bool stale(const std::string &reason) {
    error = reason + "; a plan is followed exactly: search anew without it, "
                     "and write that with --plan-out";
    return false;
  }
  bool fail(const PlanSection &section, const std::string &name,
            const std::string &reason) {
    error = section.name + ": \"" + name + "\": " + reason;
    return false;
  }

  bool matchNames(ArrayRef<EntryDecisions> own) {
    std::string expected, found;
    for (const PlanEntry &entry : plan.entries)
      expected += " @" + entry.name;
    for (const EntryDecisions &entry : own)
      found += " @" + entry.name;
    return expected == found ||
           stale("it is for the entries" + expected + ", found" + found);
  }

  bool matchEntry(const PlanEntry &entry, const EntryDecisions &own) {
    // Lines that say what differs come before the fingerprint, which does not.
    if (!match(entry.inputs, own.inputs) ||
        !match(entry.operations, own.operations) ||
        !match(entry.outputs, own.outputs))
      return false;
    std::string print = fingerprint(own.function);
    if (print == entry.model)
      return true;
    if (!result.missing.empty())
      return stale(result.missing.front() + " has no line");
    return stale("entry @" + entry.name + " is not the one it was made for: " +
                 "expected \"model\": \"" + entry.model + "\", found \"" +
                 print +
                 "\" (operations, a hash of their attributes, types "
                 "and operands)");
  }

  bool match(const PlanSection &section, ArrayRef<Decision> decisions) {
    std::set<std::string> used;
    for (const Decision &decision : decisions) {
      auto line = section.lines.find(decision.name);
      if (line == section.lines.end())
        line = section.lines.find(decision.pattern);
      if (line == section.lines.end()) {
        result.missing.push_back(section.name + ": \"" + decision.name + "\"");
        continue;
      }
      used.insert(line->first);
      bool good = decision.type ? readTensor(section, decision, *line)
                                : readOperation(section, decision, *line);
      if (!good)
        return false;
    }
    for (const auto &[name, text] : section.lines)
      if (!used.count(name))
        return stale(section.name + ": it decides \"" + name +
                     "\", which the model does not have (" +
                     std::to_string(decisions.size()) + " " + section.name +
                     ")");
    return true;
  }

  using Line = std::pair<const std::string, std::string>;

  bool readTensor(const PlanSection &section, const Decision &decision,
                  const Line &line) {
    auto [type, text] = StringRef(line.second).split(' ');
    std::string own = tensorText(decision.type);
    if (type != own)
      return stale(section.name + ": it has \"" + line.first + "\" as " +
                   type.take_front(60).str() + ", found " + decision.name +
                   " as " + own);
    std::string problem;
    auto sharding = takeSharding(text, decision.type.getShape(), mesh, problem);
    if (!sharding)
      return fail(section, line.first, problem);
    SmallVector<Sharding, 1> resent;
    bool isOutput = StringRef(section.name).starts_with("outputs");
    if (!isOutput && !takeResent(text, decision.type, resent, problem))
      return fail(section, line.first, problem);
    if (!text.empty())
      return fail(section, line.first,
                  "expected nothing after the sharding, found \"" +
                      text.take_front(60).str() + "\"");
    if (sharding->isPartial())
      return fail(section, line.first,
                  "what is stored, given or returned is not partial");
    auto function = dyn_cast<func::FuncOp>(decision.op);
    if (!function) {
      StringAttr name = SymbolTable::getSymbolName(decision.op);
      result.demands.symbols[name] = *sharding;
      for (auto entry : module.getOps<func::FuncOp>())
        for (auto read : entry.getOps<ReadOp>())
          if (!resent.empty() && read.getSymbolAttr().getAttr() == name)
            result.demands.resentAgain[read.getResult()] = resent;
      return true;
    }
    Block &body = function.getBody().front();
    if (!isOutput && !resent.empty())
      result.demands.resentAgain[body.getArgument(decision.index)] = resent;
    if (isOutput)
      result.demands.returned[{body.getTerminator(), decision.index}] =
          *sharding;
    else
      result.demands.held[body.getArgument(decision.index)] = *sharding;
    return true;
  }

  /// "resent [{}, {}] and [{tp}, {}]", which may be missing.
  bool takeResent(StringRef &text, Type type, SmallVector<Sharding, 1> &resent,
                  std::string &problem) {
    StringRef rest = text.ltrim(' ');
    if (!rest.consume_front("resent"))
      return true;
    do {
      rest = rest.ltrim(' ');
      auto sharding = takeSharding(
          rest, cast<RankedTensorType>(type).getShape(), mesh, problem);
      if (!sharding)
        return false;
      resent.push_back(std::move(*sharding));
    } while (rest.consume_front(" and"));
    text = rest;
    return true;
  }

  bool readOperation(const PlanSection &section, const Decision &decision,
                     const Line &line) {
    StringRef text = line.second;
    std::string problem;
    OpShardings shardings;
    auto take = [&](ValueRange values, auto &into) {
      for (auto [i, value] : llvm::enumerate(values)) {
        text = text.ltrim(' ');
        if (i > 0 && !text.consume_front(",")) {
          problem = "expected a sharding for each of " +
                    std::to_string(values.size()) + " tensors, found " +
                    std::to_string(i);
          return false;
        }
        auto sharding = takeSharding(
            text, cast<RankedTensorType>(value.getType()).getShape(), mesh,
            problem);
        if (!sharding)
          return false;
        into.push_back(std::move(*sharding));
        SmallVector<Sharding, 1> resent;
        if (value.getDefiningOp() == decision.op &&
            !takeResent(text, value.getType(), resent, problem))
          return false;
        if (!resent.empty())
          result.demands.resentAgain[value] = std::move(resent);
      }
      text = text.ltrim(' ');
      return true;
    };
    if (!take(decision.op->getOperands(), shardings.operands))
      return fail(section, line.first, "operands: " + problem);
    if (!text.consume_front("->"))
      return fail(section, line.first,
                  "expected \"->\" after the shardings of " +
                      std::to_string(decision.op->getNumOperands()) +
                      " operands, found \"" + text.take_front(60).str() + "\"");
    if (!take(decision.op->getResults(), shardings.results))
      return fail(section, line.first, "results: " + problem);
    if (text.consume_front("again"))
      result.demands.again.insert(decision.op);
    if (!text.empty())
      return fail(section, line.first,
                  "expected \"again\" or nothing after the results, found \"" +
                      text.take_front(60).str() + "\"");
    result.demands.strategies[decision.op] = std::move(shardings);
    return true;
  }

  ModuleOp module;
  const Mesh &mesh;
  const PlanContent &plan;
  std::string &error;
  MatchedPlan result;
};

} // namespace

std::optional<MatchedPlan> tpc::matchPlan(const PlanContent &plan,
                                          ModuleOp module, const Mesh &mesh,
                                          std::string &error) {
  return PlanMatcher(module, mesh, plan, error).run();
}
