//===- Training.cpp - The entry `step` of importers -----------------------===//

#include "Training.h"

using namespace mlir;
using namespace tpc;

Value tpc::meanCrossEntropy(GraphBuilder &g, Value logits, Value labels) {
  GraphBuilder::Scope scope(g, "loss");
  Type f32 = g.raw().getF32Type(), i64 = g.raw().getI64Type();
  auto shape = GraphBuilder::shapeOf(labels);
  auto compared = [&](Predicate predicate, int64_t bound) {
    return g.convert(
        g.compare(predicate, labels, g.constant(double(bound), shape, i64)),
        f32);
  };
  Value counts =
      g.mul(compared(Predicate::GE, 0),
            compared(Predicate::LT, GraphBuilder::shapeOf(logits).back()));
  Value count = g.max(g.total(counts), g.constant(1, {}, f32));
  return g.div(g.total(g.crossEntropy(logits, labels)), count);
}

Value tpc::nextLabels(GraphBuilder &g, Value labels) {
  GraphBuilder::Scope scope(g, "loss");
  auto shape = GraphBuilder::shapeOf(labels);
  int64_t b = shape[0], s = shape[1];
  Value last = g.constant(-100, {b, 1}, g.raw().getI64Type());
  if (s == 1)
    return last;
  return g.concat({g.slice(labels, {0, 1}, {b, s - 1}), last}, 1);
}
