//===- RandomProgram.h - Small random graphs --------------------*- C++ -*-===//

#ifndef TPC_TEST_UNIT_TRANSFORMS_RANDOMPROGRAM_H
#define TPC_TEST_UNIT_TRANSFORMS_RANDOMPROGRAM_H

#include <string>

namespace tpc::test {

/// The text of a module with a random mesh (one to three axes of 2 to 8), a
/// random graph @main of 4 to 10 operations (contractions, attention, indexing,
/// normalization, movement, states) on f64 tensors, and random pins. The same
/// text for the same seed.
std::string randomProgram(unsigned seed);

} // namespace tpc::test

#endif // TPC_TEST_UNIT_TRANSFORMS_RANDOMPROGRAM_H
