// The buffers of a step, whatever its kind.
#ifndef TPCRT_ARTIFACT_STEPREFS_H
#define TPCRT_ARTIFACT_STEPREFS_H

#include "artifact/Module.h"

namespace tpcrt {

/// Calls visit(const BufferRef &) for every buffer that the step reads or
/// writes.
template <class Visit> void forEachRef(const StepBody &body, Visit visit) {
  auto visitOptional = [&](const std::optional<BufferRef> &ref) {
    if (ref)
      visit(*ref);
  };
  if (auto *kernel = std::get_if<KernelStep>(&body)) {
    for (const BufferRef &ref : kernel->buffers)
      visit(ref);
  } else if (auto *matmul = std::get_if<MatmulStep>(&body)) {
    for (const BufferRef &ref : {matmul->a, matmul->b, matmul->c})
      visit(ref);
    visitOptional(matmul->epilogue.bias);
  } else if (auto *grouped = std::get_if<GroupedMatmulStep>(&body)) {
    for (const BufferRef &ref :
         {grouped->rows, grouped->choices, grouped->weights, grouped->result})
      visit(ref);
  } else if (auto *attention = std::get_if<AttentionStep>(&body)) {
    for (const BufferRef &ref : {attention->query, attention->key,
                                 attention->value, attention->result})
      visit(ref);
    for (const auto *ref : {&attention->bias, &attention->lengths,
                            &attention->offset, &attention->sinks})
      visitOptional(*ref);
  } else if (auto *collective = std::get_if<CollectiveStep>(&body)) {
    visit(collective->src);
    visit(collective->dst);
  }
}

} // namespace tpcrt

#endif // TPCRT_ARTIFACT_STEPREFS_H
