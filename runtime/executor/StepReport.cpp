#include "executor/StepReport.h"

#include <fmt/format.h>

using namespace tpcrt;

namespace {

/// " bias gelu_erf"
std::string describe(const MatmulEpilogue &epilogue) {
  std::string text;
  if (epilogue.bias)
    text += " bias";
  if (epilogue.activation != Activation::None)
    text += fmt::format(" {}", activationName(epilogue.activation));
  return text;
}

struct Describe {
  std::string_view by;
  using Text = std::pair<std::string, std::string>;

  Text operator()(const KernelStep &) const {
    return {"kernel", std::string(by)};
  }
  Text operator()(const MatmulStep &matmul) const {
    uint64_t batch = 1;
    for (const MatmulBatchDim &dim : matmul.batch)
      batch *= dim.size;
    return {"matmul",
            fmt::format("{}x {}x{}x{}{} {}", batch, matmul.m, matmul.n,
                        matmul.k, describe(matmul.epilogue), by)};
  }
  Text operator()(const GroupedMatmulStep &g) const {
    return {"grouped_matmul",
            fmt::format("{}x{} of {} {}x{} {}", g.n, g.c, g.e, g.d, g.f, by)};
  }
  Text operator()(const AttentionStep &a) const {
    return {"attention", fmt::format("{}x{}x{} {}x{}x{} {}", a.b, a.k, a.g, a.s,
                                     a.t, a.d, by)};
  }
  Text operator()(const CollectiveStep &collective) const {
    return {"collective",
            fmt::format("{} {}{}{}", collectiveName(collective.kind),
                        collective.count, by.empty() ? "" : " ", by)};
  }
};

} // namespace

std::pair<std::string, std::string> tpcrt::describeStep(const Step &step,
                                                        std::string_view by) {
  return std::visit(Describe{by}, step.body);
}
