//===- ShardyPropagationTest.cpp - Pins that spread, against Shardy -------===//
//
// shardy-propagation.txt has the cases. What is compared is along which axes
// each value is split in mode propagate; partial sums, which Shardy does not
// know while it propagates, are left out.
//
//===----------------------------------------------------------------------===//

#include "ModuleText.h"
#include "Plans.h"
#include "Table.h"
#include "TestModule.h"
#include "llvm/ADT/StringExtras.h"
#include <gtest/gtest.h>
#include <regex>

using namespace mlir;
using namespace tpc;

namespace {

/// The words before and after "->".
std::pair<std::vector<std::string>, std::vector<std::string>>
sides(const std::string &field) {
  auto [before, after] = StringRef(field).split("->");
  return {test::words(before.str()), test::words(after.str())};
}

/// "a=2,b=2": "\"a\" = 2, \"b\" = 2".
std::string meshText(const std::string &text) {
  return std::regex_replace(
      std::regex_replace(text, std::regex("(\\w+)=(\\d+)"), "\"$1\" = $2"),
      std::regex(","), ", ");
}

std::string pinOf(const std::string &text) {
  return text == "." ? "" : test::longSharding(text);
}

/// Adds "x = add %a, %b -> 8x8".
void addOperation(test::ModuleText &m, const std::string &line) {
  std::smatch match;
  ASSERT_TRUE(std::regex_match(line, match,
                               std::regex("\\s*(\\w+) = (.*) -> (\\S+)\\s*")))
      << line;
  std::string text = match[2];
  std::vector<std::string> operands;
  static const std::regex kOperand("%(\\w+)");
  for (std::sregex_iterator it(text.begin(), text.end(), kOperand), end;
       it != end; ++it)
    operands.push_back((*it)[1]);
  m.op(match[1], text, operands, test::shapeOf(match[3]));
}

std::string moduleOf(const test::Row &row) {
  test::ModuleText m(meshText(row.fields[0]));
  auto [pins, results] = sides(row.fields[3]);
  for (auto [i, shape] : llvm::enumerate(test::words(row.fields[1])))
    m.argument(std::string(1, 'a' + i), test::shapeOf(shape), pinOf(pins[i]));
  SmallVector<StringRef> lines;
  llvm::SplitString(row.fields[2], lines, ";");
  for (StringRef line : lines)
    addOperation(m, line.str());
  for (size_t i = 0; i < results.size(); i += 2)
    m.result(results[i], pinOf(results[i + 1]));
  return m.str();
}

/// How values are split: "{a}{b} ... -> {a}{} ...", in long notation.
std::string splitsOf(func::FuncOp function, const Assignment &assignment) {
  std::string text;
  auto add = [&](Value value) {
    Sharding sharding = assignment.held.lookup(value);
    sharding.partial.clear();
    text += toString(sharding) + " ";
  };
  for (BlockArgument argument : function.getArguments())
    add(argument);
  text += "->";
  for (Operation &op : function.getBody().front().without_terminator())
    for (Value result : op.getResults()) {
      text += " ";
      add(result);
    }
  return text;
}

std::string expectedSplits(const std::string &field) {
  auto [arguments, values] = sides(field);
  std::string text;
  for (const std::string &sharding : arguments)
    text += toString(test::shardingOf(sharding)) + " ";
  text += "->";
  for (const std::string &sharding : values)
    text += " " + toString(test::shardingOf(sharding)) + " ";
  return text;
}

class ShardyPropagation : public testing::TestWithParam<test::Row> {};

TEST_P(ShardyPropagation, SplitsTheSame) {
  const test::Row &row = GetParam();
  OwningOpRef<ModuleOp> module = test::parse(moduleOf(row));
  ASSERT_TRUE(module);
  AssignOptions options;
  options.mode = "propagate";
  options.machine = test::bytesMachine();
  auto found = test::assigned(*module, options);
  ASSERT_TRUE(found);
  std::string ours =
      splitsOf(*module->getOps<func::FuncOp>().begin(), found->assignment);
  std::string theirs = expectedSplits(row.fields[4]);
  if (row.fields[5] == "=") {
    EXPECT_EQ(ours, theirs);
    return;
  }
  EXPECT_NE(ours, theirs);
  EXPECT_EQ(ours, expectedSplits(row.fields[5]));
}

std::vector<test::Row> cases() {
  return test::readTable("shardy-propagation.txt", 6);
}

INSTANTIATE_TEST_SUITE_P(Cases, ShardyPropagation, testing::ValuesIn(cases()),
                         [](const auto &info) { return info.param.name; });

TEST(ShardyPropagationTable, HasAllThatWeHave) {
  EXPECT_EQ(cases().size(), 29u);
}

} // namespace
