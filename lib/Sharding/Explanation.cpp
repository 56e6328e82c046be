//===- Explanation.cpp - What a plan says for people ----------------------===//

#include "tpc/Sharding/Explanation.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/StringExtras.h"

using namespace tpc;
using llvm::StringRef;

static std::string axesText(llvm::ArrayRef<AxisRef> axes) {
  std::string text;
  for (const AxisRef &axis : axes) {
    text += (text.empty() ? "" : ", ") + axis.name.str();
    if (!axis.isWhole())
      text += ":(" + std::to_string(axis.pre) + ")" + std::to_string(axis.size);
  }
  return text;
}

std::string tpc::describeSharding(const Sharding &sharding) {
  llvm::SmallVector<std::string> parts;
  for (auto [dim, axes] : llvm::enumerate(sharding.dims))
    if (!axes.empty())
      parts.push_back("split along dimension " + std::to_string(dim) +
                      " over " + axesText(axes));
  for (const PartialAxis &p : sharding.partial)
    parts.push_back("partial (" + stringifyReduction(p.reduction).str() +
                    ") over " + axesText({p.axis}));
  return parts.empty() ? "replicated" : llvm::join(parts, " and ");
}

std::string tpc::explainReshard(StringRef producer, const Sharding &from,
                                StringRef consumer, const Sharding &to) {
  return producer.str() + " is " + describeSharding(from) + "; " +
         consumer.str() + " wants it " + describeSharding(to);
}

std::string tpc::explainOrigin(OriginAttr origin) {
  return explainReshard(origin.getProducer(), origin.getFrom().getValue(),
                        origin.getConsumer(), origin.getTo().getValue());
}

std::string tpc::explainCollective(mlir::Attribute why) {
  if (auto origin = llvm::dyn_cast<OriginAttr>(why))
    return explainOrigin(origin);
  auto parts = llvm::cast<mlir::ArrayAttr>(why);
  llvm::MapVector<mlir::StringAttr, int> reasons;
  for (mlir::Attribute part : parts)
    if (auto origin = llvm::dyn_cast<OriginAttr>(part))
      ++reasons[mlir::StringAttr::get(why.getContext(),
                                      layerPattern(explainOrigin(origin)))];
  llvm::SmallVector<std::string> texts;
  for (const auto &[reason, count] : reasons)
    texts.push_back(std::to_string(count) + "x " + reason.str());
  return std::to_string(parts.size()) + " in one" +
         (texts.empty() ? "" : ": " + llvm::join(texts, " / "));
}

std::string tpc::layerPattern(StringRef name) {
  std::string pattern;
  for (size_t i = 0; i < name.size(); ++i) {
    bool begins = llvm::isDigit(name[i]) && (i == 0 || name[i - 1] == '.');
    size_t end = i;
    while (end < name.size() && llvm::isDigit(name[end]))
      ++end;
    if (begins && (end == name.size() || name[end] == '.')) {
      pattern += '*';
      i = end - 1;
    } else {
      pattern += name[i];
    }
  }
  return pattern;
}
