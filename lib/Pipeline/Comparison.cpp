//===- Comparison.cpp - Two plans for one model side by side --------------===//

#include "tpc/Pipeline/Comparison.h"
#include "tpc/Pipeline/Report.h"
#include "tpc/Sharding/Explanation.h"
#include "llvm/ADT/MapVector.h"
#include <map>

using namespace mlir;
using namespace tpc;

namespace {

/// The item with this key, added if there is none.
template <typename Item, typename Key>
Item &itemOf(std::vector<Item> &items, Key isIt, Item fresh) {
  auto found = llvm::find_if(items, isIt);
  return found == items.end() ? items.emplace_back(std::move(fresh)) : *found;
}

void compareEntries(const Report &report, int side, PlanComparison &result) {
  for (const EntryPrediction &predicted : report.predicted) {
    ComparedEntry &entry = itemOf(
        result.entries,
        [&](const ComparedEntry &e) { return e.entry == predicted.entry; },
        ComparedEntry{predicted.entry});
    entry.computeMicros[side] = predicted.computeMicros;
    entry.communicationMicros[side] = predicted.communicationMicros;
    entry.peakBytes[side] = predicted.peakBytes;
    result.peakBytes[side] =
        std::max(result.peakBytes[side], predicted.peakBytes);
  }
}

void compareCollectives(const Report &report, int side,
                        PlanComparison &result) {
  for (const auto &[entry, collectives] : report.entryCollectives)
    for (const CollectiveSummary &c : collectives) {
      ComparedCollectives &both = itemOf(
          result.collectives,
          [&, &entry = entry](const ComparedCollectives &known) {
            return std::tie(known.entry, known.kind, known.reduction,
                            known.axes) ==
                   std::tie(entry, c.kind, c.reduction, c.axes);
          },
          ComparedCollectives{entry, c.kind, c.reduction, c.axes});
      both.count[side] += c.count;
      both.sent[side] += c.count * c.sent;
    }
}

/// How values that are alike in all layers are held: "split along dimension 0
/// over tp (31x), replicated (1x)".
using Holdings =
    llvm::MapVector<std::string, int64_t, std::map<std::string, unsigned>>;

std::string holdingsText(const Holdings &holdings) {
  if (holdings.size() == 1)
    return holdings.front().first;
  return llvm::join(llvm::map_range(holdings,
                                    [](const auto &holding) {
                                      return holding.first + " (" +
                                             std::to_string(holding.second) +
                                             "x)";
                                    }),
                    ", ");
}

/// In order of entry, then of first appearance.
void compareValues(const Report &plan, const Report &other,
                   PlanComparison &result) {
  using Key = std::tuple<std::string, std::string, std::string>;
  llvm::MapVector<Key, Both<Holdings>, std::map<Key, unsigned>> all;
  for (int side : {0, 1})
    for (const ValueSummary &value : (side == 0 ? plan : other).values)
      ++all[{value.entry, value.kind, layerPattern(value.name)}][side]
           [value.sharding];
  for (const auto &[key, holdings] : all) {
    Both<std::string> texts{holdingsText(holdings[0]),
                            holdingsText(holdings[1])};
    if (texts[0] != texts[1])
      result.values.push_back(
          {std::get<2>(key), std::get<1>(key), std::get<0>(key), texts});
  }
}

} // namespace

PlanComparison tpc::comparePlans(const Report &plan, const Report &other) {
  PlanComparison result;
  result.names = {plan.mode, other.mode};
  result.micros = {plan.weightedMicros, other.weightedMicros};
  for (int side : {0, 1}) {
    const Report &report = side == 0 ? plan : other;
    compareEntries(report, side, result);
    compareCollectives(report, side, result);
  }
  compareValues(plan, other, result);
  return result;
}
