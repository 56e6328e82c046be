//===- FitTable.cpp - A model on several meshes, and which to use ---------===//

#include "FitTable.h"
#include "tpc/Pipeline/Units.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/JSON.h"

using namespace tpc;

/// Predictions that are this close are alike.
static constexpr double kAlike = 0.02;

//===----------------------------------------------------------------------===//
// The recommendation
//===----------------------------------------------------------------------===//

/// Of the rows that fit and whose score is within kAlike of the best, the one
/// with fewest devices, of these the one of the best score.
static const FitRow *bestBy(const FitTable &table,
                            llvm::function_ref<double(const FitRow &)> score) {
  double most = 0;
  for (const FitRow &row : table.rows)
    if (row.fits())
      most = std::max(most, score(row));
  const FitRow *best = nullptr;
  for (const FitRow &row : table.rows) {
    if (!row.fits() || score(row) < most * (1 - kAlike))
      continue;
    if (!best || row.devices < best->devices ||
        (row.devices == best->devices && score(row) > score(*best)))
      best = &row;
  }
  return best;
}

const FitRow *FitTable::recommended() const {
  return bestBy(*this, [&](const FitRow &row) { return perDevice(row); });
}

const FitRow *FitTable::fastest() const {
  return bestBy(*this, [&](const FitRow &row) { return perSecond(row); });
}

/// What to do where nothing fits.
static std::string adviceWithout(const FitTable &table) {
  const FitRow *closest = &table.rows.front();
  for (const FitRow &row : table.rows)
    if (row.bytes() < closest->bytes())
      closest = &row;
  return llvm::formatv(
      "nothing fits. {0} comes closest, with {1} of {2} per device. More "
      "devices (--max-devices {3}), a smaller batch, length or context, or "
      "narrower elements (--element bf16) take less of each.",
      closest->mesh, bytesText(closest->bytes()), bytesText(*table.memoryLimit),
      2 * table.maxDevices);
}

std::string tpc::adviceOf(const FitTable &table) {
  const FitRow *best = table.recommended();
  if (!best)
    return adviceWithout(table);
  std::string text;
  if (best->devices == 1)
    text = table.trains ? "it fits on one device: do not split it. Where there "
                          "are more, give each a batch of its own (data "
                          "parallelism)."
                        : "it fits on one device: do not split it. Where there "
                          "are more, run a copy on each.";
  else
    text = llvm::formatv(
        "split it over {0} devices, {1}: of the meshes that "
        "fit it has the most {2}/s per device.{3}",
        best->devices, best->mesh, table.unit,
        table.rows.front().fits() ? "" : " It does not fit on one device.");
  const FitRow *fastest = table.fastest();
  const char *answers = table.trains ? "is done" : "answers";
  if (fastest->devices <= best->devices)
    return text + " No mesh that fits " + answers + " sooner.";
  return text +
         llvm::formatv(
             " {0} {1} {2:f1}x sooner, at {3:f0} % of the {4}/s per device.",
             fastest->mesh, answers, best->micros / fastest->micros,
             100 * table.perDevice(*fastest) / table.perDevice(*best),
             table.unit)
             .str();
}

//===----------------------------------------------------------------------===//
// For people
//===----------------------------------------------------------------------===//

/// Whether it is more than rounding.
static bool hasGapToShow(const FitRow &row) {
  return row.gap.value_or(0) >= 5e-4;
}

/// The first row is the heading.
static std::vector<std::vector<std::string>> cells(const FitTable &table) {
  std::vector<std::vector<std::string>> lines;
  bool hasGap = llvm::any_of(
      table.rows, [](const FitRow &row) { return hasGapToShow(row); });
  std::vector<std::string> heading{"mesh", "devices", "memory"};
  if (table.trains)
    heading.push_back("AdamW");
  for (const EntryPrediction &entry : table.rows.front().entries)
    heading.push_back(entry.entry);
  heading.insert(heading.end(), {table.unit + "/s", "per device"});
  if (hasGap)
    heading.push_back("gap");
  lines.push_back(heading);
  for (const FitRow &row : table.rows) {
    std::vector<std::string> line{row.mesh, std::to_string(row.devices),
                                  bytesText(row.peakBytes)};
    if (table.trains)
      line.push_back("+ " + bytesText(row.momentBytes));
    if (!row.fits()) {
      line.push_back("does not fit");
      lines.push_back(std::move(line));
      continue;
    }
    for (const EntryPrediction &entry : row.entries)
      line.push_back(microsText(entry.micros()));
    line.push_back(llvm::formatv("{0:f0}", table.perSecond(row)));
    line.push_back(llvm::formatv("{0:f0}", table.perDevice(row)));
    if (hasGap)
      line.push_back(hasGapToShow(row)
                         ? llvm::formatv("{0:f1} %", 100 * *row.gap).str()
                         : "0");
    lines.push_back(std::move(line));
  }
  return lines;
}

/// The first column to the left, the others to the right.
static std::string aligned(const std::vector<std::vector<std::string>> &lines) {
  std::vector<size_t> widths(lines.front().size());
  for (const std::vector<std::string> &line : lines)
    for (auto [i, cell] : llvm::enumerate(line))
      widths[i] = std::max(widths[i], cell.size());
  std::string text;
  for (const std::vector<std::string> &line : lines) {
    for (auto [i, cell] : llvm::enumerate(line)) {
      std::string space(widths[i] - cell.size(), ' ');
      text += i == 0 ? cell + space : "  " + space + cell;
    }
    text += "\n";
  }
  return text;
}

std::string tpc::fitText(const FitTable &table) {
  std::string text = llvm::formatv(
      "{0} on {1}, {2} per device:\n\n", table.model, table.machine,
      table.memoryLimit ? bytesText(*table.memoryLimit) : "any memory");
  text += aligned(cells(table)) + "\n";
  for (const FitRow &row : table.rows)
    if (!row.fits())
      text += row.mesh + ": " + row.reason + "\n";
  if (table.trains)
    text += "AdamW: its two moments in f32, 8 bytes per parameter, split like "
            "the parameters. They are not\nin the program, but count in what "
            "fits.\n";
  return text + "Recommendation: " + adviceOf(table) + "\n";
}

//===----------------------------------------------------------------------===//
// JSON
//===----------------------------------------------------------------------===//

static llvm::json::Object rowJson(const FitTable &table, const FitRow &row) {
  llvm::json::Object entries;
  for (const EntryPrediction &entry : row.entries)
    entries[entry.entry] =
        llvm::json::Object{{"compute_us", entry.computeMicros},
                           {"communication_us", entry.communicationMicros},
                           {"peak_bytes", entry.peakBytes}};
  llvm::json::Object object{{"mesh", row.mesh},
                            {"devices", row.devices},
                            {"fits", row.fits()},
                            {"peak_bytes", row.peakBytes},
                            {"moment_bytes", row.momentBytes},
                            {"predicted", std::move(entries)},
                            {"per_second", table.perSecond(row)},
                            {"per_second_per_device", table.perDevice(row)}};
  if (!row.fits())
    object["reason"] = row.reason;
  if (row.gap)
    object["gap"] = *row.gap;
  return object;
}

std::string tpc::toJson(const FitTable &table) {
  llvm::json::Array rows;
  for (const FitRow &row : table.rows)
    rows.push_back(rowJson(table, row));
  const FitRow *best = table.recommended();
  llvm::json::Object root{
      {"version", 1},
      {"model", table.model},
      {"machine", table.machine},
      {"unit", table.unit},
      {"meshes", std::move(rows)},
      {"recommended", best ? llvm::json::Value(best->mesh) : nullptr},
      {"advice", adviceOf(table)}};
  if (table.memoryLimit)
    root["memory_limit"] = *table.memoryLimit;
  return llvm::formatv("{0:2}\n", llvm::json::Value(std::move(root))).str();
}
