//===- Einsum.cpp - Equations of tensor contractions ----------------------===//

#include "tpc/Dialect/Tpc/Einsum.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSet.h"

using namespace tpc;
using llvm::ArrayRef;
using llvm::SmallVector;
using llvm::StringRef;

using Names = SmallVector<std::string, 5>;

static bool parseNames(StringRef text, Names &names, std::string &problem) {
  SmallVector<StringRef> words;
  text.split(words, ' ', -1, /*KeepEmpty=*/false);
  llvm::StringSet<> seen;
  for (StringRef word : words) {
    if (!llvm::all_of(word, llvm::isAlnum)) {
      problem = "expected names of letters and digits in the equation, found " +
                word.str();
      return false;
    }
    if (!seen.insert(word).second) {
      problem = "dimension " + word.str() + " occurs twice in one tensor";
      return false;
    }
    names.push_back(word.str());
  }
  return true;
}

std::optional<Einsum> Einsum::parse(StringRef text, std::string *problem) {
  std::string reason = "expected an equation like \"m k, k n -> m n\"";
  auto [operands, result] = text.split("->");
  auto [lhs, rhs] = operands.split(',');
  Einsum einsum;
  bool ok = text.contains("->") && operands.count(',') == 1 &&
            parseNames(lhs, einsum.lhs, reason) &&
            parseNames(rhs, einsum.rhs, reason) &&
            parseNames(result, einsum.result, reason);
  if (ok)
    return einsum;
  if (problem)
    *problem = reason;
  return std::nullopt;
}

std::string Einsum::str() const {
  return llvm::join(lhs, " ") + ", " + llvm::join(rhs, " ") + " -> " +
         llvm::join(result, " ");
}

int64_t tpc::indexOf(ArrayRef<std::string> names, StringRef name) {
  auto it = llvm::find(names, name);
  return it == names.end() ? -1 : it - names.begin();
}

/// The names of `from` that are (not) in `other` and (not) in `third`.
static SmallVector<std::string> pick(ArrayRef<std::string> from,
                                     ArrayRef<std::string> other, bool inOther,
                                     ArrayRef<std::string> third,
                                     bool inThird) {
  SmallVector<std::string> picked;
  for (const std::string &name : from)
    if (llvm::is_contained(other, name) == inOther &&
        llvm::is_contained(third, name) == inThird)
      picked.push_back(name);
  return picked;
}

std::optional<std::string> Einsum::checkOccurrences() const {
  for (const std::string &name : result)
    if (!llvm::is_contained(lhs, name) && !llvm::is_contained(rhs, name))
      return "result dimension " + name + " occurs in no operand";
  SmallVector<std::string> alone = pick(lhs, rhs, false, result, false);
  llvm::append_range(alone, pick(rhs, lhs, false, result, false));
  if (!alone.empty())
    return "dimension " + alone[0] + " of one operand is missing in the result";
  return std::nullopt;
}

SmallVector<std::string> Einsum::batch() const {
  return pick(lhs, rhs, true, result, true);
}
SmallVector<std::string> Einsum::contracted() const {
  return pick(lhs, rhs, true, result, false);
}
SmallVector<std::string> Einsum::freeOfLhs() const {
  return pick(lhs, rhs, false, result, true);
}
SmallVector<std::string> Einsum::freeOfRhs() const {
  return pick(rhs, lhs, false, result, true);
}
