//===- Table.cpp - Cases as lines of text ---------------------------------===//

#include "Table.h"
#include "TestModule.h"
#include "mlir/AsmParser/AsmParser.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/ErrorHandling.h"
#include <fstream>
#include <gtest/gtest.h>

using namespace tpc;
using llvm::StringRef;

void test::PrintTo(const Row &row, std::ostream *os) { *os << row.name; }

std::vector<test::Row> test::readTable(const std::string &file, size_t fields) {
  std::string path = std::string(TPC_EXTERNAL_CASES) + "/" + file;
  std::ifstream in(path);
  std::vector<Row> rows;
  int number = 0;
  for (std::string line; std::getline(in, line);) {
    ++number;
    if (line.empty() || line[0] == '#')
      continue;
    llvm::SmallVector<StringRef> parts;
    StringRef(line).split(parts, '|');
    if (parts.size() != fields + 1)
      llvm::report_fatal_error(llvm::Twine(path) + ":" + llvm::Twine(number) +
                               ": expected " + llvm::Twine(fields) +
                               " fields, found " +
                               llvm::Twine(parts.size() - 1));
    Row &row = rows.emplace_back();
    row.name = parts[0].trim().str();
    for (StringRef part : llvm::ArrayRef(parts).drop_front())
      row.fields.push_back(part.trim().str());
  }
  return rows;
}

std::vector<std::string> test::words(const std::string &field) {
  llvm::SmallVector<StringRef> parts;
  llvm::SplitString(field, parts, " ");
  return {parts.begin(), parts.end()};
}

llvm::SmallVector<int64_t> test::shapeOf(const std::string &text) {
  llvm::SmallVector<int64_t> shape;
  llvm::SmallVector<StringRef> parts;
  if (text != "-")
    llvm::SplitString(text, parts, "x");
  for (StringRef part : parts)
    part.getAsInteger(10, shape.emplace_back());
  return shape;
}

std::string test::longSharding(const std::string &text) {
  auto [split, partial] = StringRef(text).split('+');
  std::string result = "[";
  auto quoted = [&](StringRef axes) {
    for (char c : axes)
      result +=
          llvm::isAlpha(c) ? '"' + std::string(1, c) + '"' : std::string(1, c);
  };
  quoted(split);
  for (size_t at; (at = result.find("}{")) != std::string::npos;)
    result.replace(at, 2, "}, {");
  result += "]";
  if (!partial.empty()) {
    result += ", sum ";
    quoted(partial);
  }
  return result;
}

Sharding test::shardingOf(const std::string &text) {
  auto attr = mlir::dyn_cast_or_null<ShardingAttr>(mlir::parseAttribute(
      "#tpc.sharding<@mesh, " + longSharding(text) + ">", &context()));
  EXPECT_TRUE(attr) << text;
  return attr ? attr.getValue() : Sharding();
}
