//===- Explained.cpp - What else could have been decided, to read ---------===//

#include "Explained.h"
#include "Units.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;
using namespace tpc;
using llvm::json::Array;
using llvm::json::Object;

//===----------------------------------------------------------------------===//
// JSON
//===----------------------------------------------------------------------===//

static StringRef wordOf(AlternativePlan::Kind kind) {
  switch (kind) {
  case AlternativePlan::Found:
    return "found";
  case AlternativePlan::Impossible:
    return "impossible";
  case AlternativePlan::TooLarge:
    return "too large";
  case AlternativePlan::OutOfTime:
    return "out of time";
  }
  llvm_unreachable("unknown kind");
}

static Object planJson(const AlternativePlan &plan) {
  Object object{{"status", wordOf(plan.kind)}};
  if (plan.kind != AlternativePlan::Found)
    return object;
  object["delta_us"] = plan.deltaMicros;
  object["delta_bytes"] = plan.deltaBytes;
  object["proven"] = plan.isProven;
  object["instead"] = Array(plan.instead);
  return object;
}

static Object collectiveJson(const ExplainedCollective &collective) {
  Array steps;
  for (const CollectiveStep &step : collective.steps)
    steps.push_back(Object{{"kind", step.kind},
                           {"reduction", step.reduction},
                           {"axes", step.axes},
                           {"bytes", step.bytes}});
  Object object{{"entry", collective.entry},
                {"where", collective.where},
                {"steps", std::move(steps)},
                {"because", collective.because},
                {"count", collective.count},
                {"us", collective.micros},
                {"without", planJson(collective.without)}};
  if (collective.local) {
    object["wanted"] = collective.wanted;
    object["held_as_wanted"] = planJson(*collective.local);
  }
  return object;
}

static Object valueJson(const ExplainedValue &value) {
  Array choices;
  for (const ExplainedChoice &choice : value.choices)
    choices.push_back(Object{{"sharding", choice.sharding},
                             {"chosen", choice.isChosen},
                             {"bytes", choice.bytes},
                             {"plan", planJson(choice.plan)}});
  return Object{{"name", value.name},   {"kind", value.kind},
                {"entry", value.entry}, {"type", value.type},
                {"count", value.count}, {"choices", std::move(choices)}};
}

Object tpc::explanationJson(const PlanExplanation &explanation) {
  Array collectives, values;
  for (const ExplainedCollective &collective : explanation.collectives)
    collectives.push_back(collectiveJson(collective));
  for (const ExplainedValue &value : explanation.values)
    values.push_back(valueJson(value));
  return Object{{"us", explanation.micros},
                {"peak_bytes", explanation.peakBytes},
                {"plans", explanation.plans},
                {"seconds", explanation.seconds},
                {"collectives", std::move(collectives)},
                {"values", std::move(values)}};
}

//===----------------------------------------------------------------------===//
// Text
//===----------------------------------------------------------------------===//

/// "+1.3 ms, +2.1 GiB"
static std::string deltaText(const AlternativePlan &plan) {
  switch (plan.kind) {
  case AlternativePlan::Found:
    return deltaMicrosText(plan.deltaMicros) + ", " +
           deltaBytesText(plan.deltaBytes) +
           (plan.isProven ? "" : " (or better: not proven)");
  case AlternativePlan::Impossible:
    return "impossible: no plan is so";
  case AlternativePlan::TooLarge:
    return "impossible: no such plan fits into the memory";
  case AlternativePlan::OutOfTime:
    return "not known: out of time, --search-time allows more";
  }
  llvm_unreachable("unknown kind");
}

/// The first few of what a plan communicates instead.
static void printInstead(llvm::raw_ostream &os, const AlternativePlan &plan,
                         StringRef indent) {
  constexpr size_t kMost = 4;
  size_t count = plan.instead.size();
  for (const std::string &text : ArrayRef(plan.instead).take_front(kMost))
    os << indent << "then " << text << "\n";
  if (count > kMost)
    os << indent << "and " << count - kMost << " more\n";
}

static void printCollective(llvm::raw_ostream &os,
                            const ExplainedCollective &collective) {
  os << llvm::formatv("  {0,3}x ", collective.count);
  llvm::interleaveComma(collective.steps, os, [&](const CollectiveStep &step) {
    os << describeStep(step) << " (" << bytesText(step.bytes) << ")";
  });
  os << llvm::formatv(" of {0} in @{1}, {2} each\n", collective.where,
                      collective.entry, microsText(collective.micros));
  os << "       because " << collective.because << "\n";
  os << "       best plan without it: " << deltaText(collective.without)
     << "\n";
  printInstead(os, collective.without, "         ");
  if (!collective.local)
    return;
  os << "       " << collective.where << " " << collective.wanted
     << " from the start: " << deltaText(*collective.local) << "\n";
  printInstead(os, *collective.local, "         ");
}

static void printValue(llvm::raw_ostream &os, const ExplainedValue &value) {
  os << "  " << value.name;
  if (value.kind == "parameter" || value.kind == "state")
    os << ", " << value.kind;
  else if (value.kind == "input" || value.kind == "output")
    os << ", " << value.kind << " of @" << value.entry;
  else
    os << " in @" << value.entry;
  os << ": " << value.count << "x " << value.type << "\n";
  bool isOnly = value.choices.size() == 1;
  for (const ExplainedChoice &choice : value.choices) {
    os << llvm::formatv("    {0,-52} {1,10}  {2}\n", choice.sharding,
                        bytesText(choice.bytes),
                        isOnly            ? "the only choice"
                        : choice.isChosen ? "chosen"
                                          : deltaText(choice.plan));
    printInstead(os, choice.plan, "      ");
  }
}

void tpc::printExplanation(llvm::raw_ostream &os,
                           const PlanExplanation &explanation) {
  os << llvm::formatv(
      "Explanation: this plan takes {0} and {1} per device; {2} other plans "
      "searched for in {3:f2} s\n"
      "  (differences to this plan: all entries by their weights, the most "
      "bytes on a device; layers that are alike are changed alike, the rest is "
      "chosen anew)\n",
      microsText(explanation.micros), bytesText(explanation.peakBytes),
      explanation.plans, explanation.seconds);
  for (const ExplainedCollective &collective : explanation.collectives)
    printCollective(os, collective);
  for (const ExplainedValue &value : explanation.values)
    printValue(os, value);
  if (explanation.collectives.empty() && explanation.values.empty())
    os << "  The plan has no collectives.\n";
}
