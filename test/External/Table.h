//===- Table.h - Cases as lines of text -------------------------*- C++ -*-===//
//
// The cases of one source stand in one file, a line each, its fields separated
// by '|'; what they mean is said at the top of the file. Shardings are written
// short:
//
//   {x}{y:(1)2,z}      [{"x"}, {"y":(1)2, "z"}]
//   {x}{}+{y}          [{"x"}, {}], sum {"y"}
//
//===----------------------------------------------------------------------===//

#ifndef TPC_TEST_EXTERNAL_TABLE_H
#define TPC_TEST_EXTERNAL_TABLE_H

#include "tpc/Dialect/Tpc/Sharding.h"
#include <iosfwd>
#include <string>
#include <vector>

namespace tpc::test {

/// One case.
struct Row {
  std::string name;
  /// All but the name, without spaces around them.
  std::vector<std::string> fields;
};
void PrintTo(const Row &row, std::ostream *os);

/// The cases of a file in test/External. Ends the process with a message if a
/// line does not have `fields` fields besides its name.
std::vector<Row> readTable(const std::string &file, size_t fields);

/// The words of a field.
std::vector<std::string> words(const std::string &field);

/// "16x8": 16, 8; "-": a scalar.
llvm::SmallVector<int64_t> shapeOf(const std::string &text);

/// The dialect's notation of a short sharding.
std::string longSharding(const std::string &text);
/// A short sharding as data.
Sharding shardingOf(const std::string &text);

} // namespace tpc::test

#endif // TPC_TEST_EXTERNAL_TABLE_H
