//===- TestPrograms.h - Small whole programs --------------------*- C++ -*-===//
//
// What models are made of, each on a mesh that splits it unevenly where it can:
// for tests that damage programs and plans, and that run them.
//
//===----------------------------------------------------------------------===//

#ifndef TPC_TEST_UNIT_SUPPORT_TESTPROGRAMS_H
#define TPC_TEST_UNIT_SUPPORT_TESTPROGRAMS_H

#include <iosfwd>
#include <string>
#include <vector>

namespace tpc::test {

struct TestProgram {
  std::string name;
  std::string mode; // of assignment
  std::string text; // a module with the function @main
};
void PrintTo(const TestProgram &program, std::ostream *os);

/// All of them, with floats of type `element`.
std::vector<TestProgram> testPrograms(const std::string &element);

} // namespace tpc::test

#endif // TPC_TEST_UNIT_SUPPORT_TESTPROGRAMS_H
