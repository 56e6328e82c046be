//===- Differentiate.cpp - The pass tpc-differentiate ---------------------===//

#include "tpc/Dialect/Tpc/Differentiate.h"
#include "tpc/Dialect/Tpc/Tpc.h"
#include "tpc/Transforms/Passes.h"

namespace tpc {
#define GEN_PASS_DEF_DIFFERENTIATEPASS
#include "tpc/Transforms/Passes.h.inc"
} // namespace tpc

using namespace mlir;
using namespace tpc;

namespace {
struct Differentiate : public tpc::impl::DifferentiatePassBase<Differentiate> {
  using DifferentiatePassBase::DifferentiatePassBase;

  void runOnOperation() override {
    auto function = getOperation().lookupSymbol<func::FuncOp>(entry);
    if (!function) {
      getOperation().emitError("entry: there is no function @") << entry;
      return signalPassFailure();
    }
    if (failed(differentiate(function, output,
                             llvm::to_vector_of<std::string>(wrt))))
      signalPassFailure();
  }
};
} // namespace
