//===- OperationCases.h - Programs of one operation -------------*- C++ -*-===//
//
// Every operation on shapes with whole vectors, tails and single elements, in
// every element type that it has.
//
//===----------------------------------------------------------------------===//

#ifndef TPC_TEST_UNIT_CODEGEN_OPERATIONCASES_H
#define TPC_TEST_UNIT_CODEGEN_OPERATIONCASES_H

#include <ostream>
#include <string>
#include <vector>

namespace tpc::test {

struct OperationCase {
  std::string name;
  std::string inputs;  // "%a: tensor<4xf32>, ..."
  std::string results; // "tensor<4xf32>, ..."
  std::string body;    // operations, then the returned values after "->"
  double tolerance = 2e-6;
};

inline void PrintTo(const OperationCase &c, std::ostream *os) { *os << c.body; }

/// A module with the case as function @main.
std::string programOf(const OperationCase &c);

std::vector<OperationCase> elementwiseCases();
std::vector<OperationCase> conversionCases();
std::vector<OperationCase> reductionCases();
std::vector<OperationCase> movementCases();
std::vector<OperationCase> compositeCases();

} // namespace tpc::test

#endif // TPC_TEST_UNIT_CODEGEN_OPERATIONCASES_H
