//===- AssignedReshards.cpp - What an assignment reshards -----------------===//

#include "AssignedReshards.h"

using namespace mlir;
using namespace tpc;

std::vector<AssignedReshard> tpc::reshardsOf(func::FuncOp function,
                                             const Assignment &assignment,
                                             const Mesh &mesh) {
  std::vector<AssignedReshard> reshards;
  llvm::DenseMap<Value, SmallVector<Sharding, 1>> made;
  for (Operation &op : function.getBody().front()) {
    auto wanted = assignment.wanted.find(&op);
    if (wanted == assignment.wanted.end())
      continue;
    for (auto [operand, sharding] :
         llvm::zip_equal(op.getOperands(), wanted->second)) {
      auto type = cast<RankedTensorType>(operand.getType());
      Operation *maker = operand.getDefiningOp();
      Sharding to = canonical(sharding, type.getShape(), mesh);
      Sharding from =
          canonical(assignment.held.lookup(operand), type.getShape(), mesh);
      if (from == to || llvm::is_contained(made[operand], to) ||
          (maker && isMadeAnywhere(maker) && !to.isPartial()))
        continue;
      made[operand].push_back(to);
      reshards.push_back({operand, std::move(from), std::move(to), &op});
    }
  }
  return reshards;
}
