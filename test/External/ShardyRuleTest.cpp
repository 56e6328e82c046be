//===- ShardyRuleTest.cpp - What may be split, against Shardy -------------===//
//
// shardy-rules.txt has the cases. Rules are compared up to the names of
// factors: both are written with letters in the order in which factors appear.
//
//===----------------------------------------------------------------------===//

#include "Table.h"
#include "TestModule.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "tpc/Interfaces/ShardingRule.h"
#include "llvm/ADT/StringExtras.h"
#include <gtest/gtest.h>
#include <map>

using namespace mlir;
using namespace tpc;

namespace {

/// A rule in letters, with sizes: "(ab)c -> ac / b {a=2,b=4,c=8}".
class RuleText {
public:
  void addTensor() { text += text.empty() || text.back() == ' ' ? "" : " "; }
  void addArrow() { text += " -> "; }
  void addScalar() { text += "-"; }
  /// Factors of one dimension by any key; "." where there are none.
  void addDim(ArrayRef<std::string> keys) {
    std::string dim;
    for (const std::string &key : keys)
      dim += letter(key);
    text += dim.empty() ? "." : dim.size() == 1 ? dim : "(" + dim + ")";
  }
  std::string str(const std::map<std::string, int64_t> &sizes,
                  const std::vector<std::string> &reduced) {
    std::string result = text + " /";
    std::string letters, list;
    for (const std::string &key : reduced)
      letters += letter(key);
    llvm::sort(letters);
    for (const auto &[key, name] : names)
      list += std::string(1, name) + "=" + std::to_string(sizes.at(key)) + ",";
    // By letter, not by key.
    llvm::SmallVector<StringRef> parts;
    llvm::SplitString(list, parts, ",");
    llvm::sort(parts);
    return result + letters + " {" + llvm::join(parts, ",") + "}";
  }

private:
  char letter(const std::string &key) {
    return names.try_emplace(key, 'a' + names.size()).first->second;
  }

  std::string text;
  std::map<std::string, char> names;
};

/// The rule of a line.
std::string expectedRule(const std::string &rule,
                         const std::string &sizesText) {
  auto [tensors, reduced] = StringRef(rule).split('/');
  RuleText text;
  llvm::SmallVector<StringRef> parts;
  llvm::SplitString(tensors, parts, " ");
  for (StringRef tensor : parts) {
    if (tensor == "->") {
      text.addArrow();
      continue;
    }
    text.addTensor();
    if (tensor == "-")
      text.addScalar();
    for (size_t i = 0; tensor != "-" && i < tensor.size(); ++i) {
      StringRef dim = tensor.substr(i, 1);
      if (dim == "(") {
        dim = tensor.slice(i + 1, tensor.find(')', i));
        i += dim.size() + 1;
      }
      std::vector<std::string> keys;
      for (char factor : dim)
        if (factor != '.')
          keys.push_back(std::string(1, factor));
      text.addDim(keys);
    }
  }
  std::map<std::string, int64_t> sizes;
  llvm::SmallVector<StringRef> list;
  llvm::SplitString(sizesText, list, ",");
  for (StringRef size : list)
    size.drop_front(2).getAsInteger(10, sizes[size.take_front(1).str()]);
  std::vector<std::string> keys;
  for (char factor : reduced.trim())
    keys.push_back(std::string(1, factor));
  return text.str(sizes, keys);
}

/// Whether a factor may be split without moving elements.
bool isSplittable(const Factor &factor) {
  return factor.kind != FactorKind::Whole &&
         factor.kind != FactorKind::Shifted && factor.size != 1;
}

std::string ruleOf(Operation *op) {
  ShardingRule rule = cast<ShardingRuleOpInterface>(op).getShardingRule();
  RuleText text;
  auto add = [&](const TensorFactors &dims) {
    text.addTensor();
    if (dims.empty())
      text.addScalar();
    for (const auto &factors : dims) {
      std::vector<std::string> keys;
      for (unsigned factor : factors)
        if (isSplittable(rule.factors[factor]))
          keys.push_back(std::to_string(factor));
      text.addDim(keys);
    }
  };
  llvm::for_each(rule.operands, add);
  text.addArrow();
  llvm::for_each(rule.results, add);
  std::map<std::string, int64_t> sizes;
  std::vector<std::string> reduced;
  for (auto [i, factor] : llvm::enumerate(rule.factors)) {
    sizes[std::to_string(i)] = factor.size;
    if (factor.kind == FactorKind::Contracted && isSplittable(factor))
      reduced.push_back(std::to_string(i));
  }
  return text.str(sizes, reduced);
}

/// "8x32", "16xi64", "-".
std::string typeOf(StringRef text) {
  if (text == "-")
    return "tensor<f32>";
  bool hasElement = text.rsplit('x').second.starts_with("i");
  return ("tensor<" + text + (hasElement ? "" : "xf32") + ">").str();
}

std::string typesOf(StringRef text) {
  llvm::SmallVector<StringRef> parts;
  llvm::SplitString(text, parts, " ");
  return llvm::join(llvm::map_range(parts, typeOf), ", ");
}

class ShardyRule : public testing::TestWithParam<test::Row> {};

TEST_P(ShardyRule, IsTheSame) {
  const std::vector<std::string> &fields = GetParam().fields;
  auto [operands, results] = StringRef(fields[1]).split("->");
  std::string arguments, types = typesOf(operands), number;
  int count = 0;
  llvm::SmallVector<StringRef> parts;
  llvm::SplitString(operands, parts, " ");
  for (StringRef part : parts) {
    number = std::to_string(count);
    arguments += (count++ ? ", %" : "%") + number + ": " + typeOf(part);
  }
  int numResults = test::words(results.str()).size();
  std::string made = numResults == 1 ? "%r" : "%r:2";
  std::string returned = numResults == 1 ? "%r" : "%r#0, %r#1";
  OwningOpRef<ModuleOp> module =
      test::parse("func.func @main(" + arguments + ") -> (" + typesOf(results) +
                  ") {\n" + made + " = tpc." + fields[0] + " : (" + types +
                  ") -> (" + typesOf(results) + ")\nreturn " + returned +
                  " : " + typesOf(results) + "\n}\n");
  ASSERT_TRUE(module);
  auto function = *module->getOps<func::FuncOp>().begin();
  std::string theirs = expectedRule(fields[2], fields[3]);
  std::string ours = ruleOf(&function.getBody().front().front());
  if (fields[4] == "=") {
    EXPECT_EQ(ours, theirs);
    return;
  }
  EXPECT_NE(ours, theirs);
  EXPECT_EQ(ours, expectedRule(fields[4], fields[3]));
}

std::vector<test::Row> cases() {
  return test::readTable("shardy-rules.txt", 5);
}

INSTANTIATE_TEST_SUITE_P(Cases, ShardyRule, testing::ValuesIn(cases()),
                         [](const auto &info) { return info.param.name; });

TEST(ShardyRuleTable, HasAllThatWeHave) { EXPECT_EQ(cases().size(), 48u); }

} // namespace
