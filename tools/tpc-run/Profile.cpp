//===- Profile.cpp - Where a run spends its time --------------------------===//

#include "Profile.h"
#include "tpc/Sharding/Explanation.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/FormatVariadic.h"
#include <map>

using namespace tpc;

namespace {
struct Row {
  const tpcrt::StepTime *first = nullptr;
  std::string name;
  unsigned steps = 0;
  double microseconds = 0; // of one run
};
} // namespace

static void printTable(std::vector<Row> rows, llvm::raw_ostream &os) {
  llvm::sort(rows, [](const Row &a, const Row &b) {
    return a.microseconds > b.microseconds;
  });
  double total = 0;
  unsigned steps = 0;
  for (const Row &row : rows) {
    total += row.microseconds;
    steps += row.steps;
  }
  os << llvm::formatv("{0}: {1} steps, {2:f1} us per run, mean of {3} runs\n",
                      rows.front().first->program, steps, total,
                      rows.front().first->runs);
  for (const Row &row : rows)
    os << llvm::formatv(
        "  {0,10:f1} us {1,5:f1} % {2,4} x {3,-10} {4,-32} {5}\n",
        row.microseconds, 100 * row.microseconds / total, row.steps,
        row.first->kind, row.first->implementation, row.name);
}

void tpc::printProfile(const std::vector<tpcrt::StepTime> &steps,
                       llvm::raw_ostream &os) {
  using Key = std::tuple<std::string, std::string, std::string>;
  std::map<std::string, std::map<Key, Row>> programs;
  for (const tpcrt::StepTime &step : steps) {
    if (step.runs == 0)
      continue;
    std::string name = layerPattern(step.name);
    Row &row = programs[step.program][{step.kind, step.implementation, name}];
    if (!row.first)
      row.first = &step;
    row.name = name;
    ++row.steps;
    row.microseconds += step.microseconds / step.runs;
  }
  for (const auto &[program, table] : programs) {
    auto rows = llvm::make_second_range(table);
    printTable({rows.begin(), rows.end()}, os);
  }
}
