// No plan file crashes what follows it, and what is followed is written as a
// plan that is followed alike. The input is the file; the model has two layers.
#include "mlir/AsmParser/AsmParser.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Parser/Parser.h"
#include "tpc/Sharding/PlanFile.h"

#include <cstdlib>

using namespace mlir;
using namespace tpc;

/// LLVM's libraries are not instrumented: containers and arenas that cross
/// their boundary look overflown.
extern "C" const char *__asan_default_options() {
  return "detect_container_overflow=0:allow_user_poisoning=0:detect_leaks=0";
}

namespace {

const char *const kModel = R"(
tpc.mesh @mesh <"dp" = 2, "tp" = 4>
tpc.parameter @"layers.0.w" : tensor<8x8xf32>
tpc.parameter @"layers.1.w" : tensor<8x8xf32>
func.func @main(%x: tensor<4x8xf32> {tpc.name = "x"}) -> tensor<4x8xf32> {
  %w0 = tpc.read @"layers.0.w" : tensor<8x8xf32>
  %w1 = tpc.read @"layers.1.w" : tensor<8x8xf32>
  %h = tpc.matmul %x, %w0 "b e, e f -> b f" : (tensor<4x8xf32>, tensor<8x8xf32>) -> tensor<4x8xf32> loc("layers.0")
  %s = tpc.softmax %h : (tensor<4x8xf32>) -> tensor<4x8xf32> loc("layers.0")
  %y = tpc.matmul %s, %w1 "b e, e f -> b f" : (tensor<4x8xf32>, tensor<8x8xf32>) -> tensor<4x8xf32> loc("layers.1")
  return %y : tensor<4x8xf32>
}
)";

struct Model {
  Model() : context(MLIRContext::Threading::DISABLED) {
    context.loadDialect<TpcDialect, func::FuncDialect>();
    context.getDiagEngine().registerHandler([](Diagnostic &) {});
    module = parseSourceString<ModuleOp>(kModel, &context);
    if (!module)
      std::abort();
    mesh = *lookupMesh(*module);
  }
  MLIRContext context;
  OwningOpRef<ModuleOp> module;
  Mesh mesh;
};

/// The plan that following `text` gives; nothing if it is refused.
FailureOr<std::string> follow(Model &model, std::string text) {
  AssignOptions options;
  options.machine = *findMachine("h100");
  options.timeLimit = 0.05;
  options.plan = PlanText{"fuzzed", std::move(text)};
  auto assignment = createAssigner(options)->assign(*model.module, model.mesh);
  if (failed(assignment))
    return failure();
  return planFileText(*model.module, model.mesh, *assignment, options);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static Model model;
  auto plan =
      follow(model, std::string(reinterpret_cast<const char *>(data), size));
  if (failed(plan))
    return 0;
  auto again = follow(model, *plan);
  if (failed(again) || *again != *plan)
    std::abort();
  return 0;
}
