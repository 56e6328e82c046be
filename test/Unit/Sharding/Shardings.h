//===- Shardings.h - All shardings of a tensor ------------------*- C++ -*-===//

#ifndef TPC_TEST_UNIT_SHARDING_SHARDINGS_H
#define TPC_TEST_UNIT_SHARDING_SHARDINGS_H

#include "tpc/Dialect/Tpc/Sharding.h"

namespace tpc::test {

/// Every sharding, each layout once, of a tensor of `shape`: each of `axes`
/// and, where `parts` are given, each of these parts of an axis splits one
/// dimension (in every order), is partial by one of `reductions` (the same for
/// all axes), or replicated.
std::vector<Sharding> allShardings(llvm::ArrayRef<int64_t> shape,
                                   const Mesh &mesh,
                                   llvm::ArrayRef<AxisRef> parts,
                                   llvm::ArrayRef<Reduction> reductions);

} // namespace tpc::test

#endif // TPC_TEST_UNIT_SHARDING_SHARDINGS_H
