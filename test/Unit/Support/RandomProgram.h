//===- RandomProgram.h - Small random graphs --------------------*- C++ -*-===//

#ifndef TPC_TEST_UNIT_SUPPORT_RANDOMPROGRAM_H
#define TPC_TEST_UNIT_SUPPORT_RANDOMPROGRAM_H

#include <string>

namespace tpc::test {

/// The text of a module with a random mesh (one to three axes of 1 to 8), a
/// random graph @main of 4 to 10 operations (contractions, attention, indexing,
/// ordering, normalization, movement, states, residual chains) on tensors of
/// `element`, and random pins. The same text for the same seed.
std::string randomProgram(unsigned seed, const std::string &element = "f64");

} // namespace tpc::test

#endif // TPC_TEST_UNIT_SUPPORT_RANDOMPROGRAM_H
