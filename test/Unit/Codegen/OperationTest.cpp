#include "CompileAndRun.h"
#include "OperationCases.h"

using namespace tpc::test;

namespace {

class Operations : public CompileAndRun,
                   public ::testing::WithParamInterface<OperationCase> {};

TEST_P(Operations, AgreesWithReference) {
  compileAndCheck(programOf(GetParam()), GetParam().tolerance);
}

auto named = [](const ::testing::TestParamInfo<OperationCase> &info) {
  return info.param.name;
};
INSTANTIATE_TEST_SUITE_P(Elementwise, Operations,
                         ::testing::ValuesIn(elementwiseCases()), named);
INSTANTIATE_TEST_SUITE_P(Conversion, Operations,
                         ::testing::ValuesIn(conversionCases()), named);
INSTANTIATE_TEST_SUITE_P(Reduction, Operations,
                         ::testing::ValuesIn(reductionCases()), named);
INSTANTIATE_TEST_SUITE_P(Movement, Operations,
                         ::testing::ValuesIn(movementCases()), named);
INSTANTIATE_TEST_SUITE_P(Composite, Operations,
                         ::testing::ValuesIn(compositeCases()), named);

} // namespace
