// Kernels for CUDA in the simulator: the cases of the CPU's kernels.
#include "CudaSteps.h"
#include "OperationCases.h"
#include "tpc/Import/HuggingFace.h"

using namespace mlir;
using namespace tpc;
using namespace tpc::test;

namespace {

class CudaOperations : public CudaSteps {
protected:
  void runAll(const std::vector<OperationCase> &cases) {
    for (const OperationCase &c : cases) {
      SCOPED_TRACE(c.name);
      planAndRun(programOf(c), c.tolerance);
      if (HasFatalFailure())
        return;
    }
  }
};

TEST_F(CudaOperations, Elementwise) { runAll(elementwiseCases()); }
TEST_F(CudaOperations, Conversion) { runAll(conversionCases()); }
TEST_F(CudaOperations, Reduction) { runAll(reductionCases()); }
TEST_F(CudaOperations, Movement) { runAll(movementCases()); }
TEST_F(CudaOperations, Composite) { runAll(compositeCases()); }

//===----------------------------------------------------------------------===//
// Shapes that make a difference on a GPU
//===----------------------------------------------------------------------===//

std::string softmax(std::string shape, std::string type) {
  std::string t = "tensor<" + shape + "x" + type + ">";
  return "tpc.mesh @mesh <\"tp\" = 1>\nfunc.func @main(%a: " + t + ") -> " + t +
         " {\n %r = tpc.softmax %a : (" + t + ") -> " + t +
         "\n return %r : " + t + "\n}\n";
}

/// Rows of a warp, of a block with several rounds in registers, of a block with
/// a loop; with threads and rows that have nothing to do.
TEST_F(CudaOperations, RowsOfAllLengths) {
  for (std::string shape : {"1x32", "5x40", "7x256", "9x260", "3x512", "2x516",
                            "3x2048", "2x5000", "2x8192", "2x9001", "1x40000"})
    for (std::string type : {"f32", "bf16"}) {
      SCOPED_TRACE(shape + "x" + type);
      planAndRun(softmax(shape, type), type == "f32" ? 2e-6 : 8e-3);
    }
  planAndRun(R"(tpc.mesh @mesh <"tp" = 1>
func.func @main(%a: tensor<3x700xf64>) -> tensor<3xf64> {
  %r = tpc.reduce sum %a dims [1] : (tensor<3x700xf64>) -> tensor<3xf64>
  return %r : tensor<3xf64>
})",
             1e-13);
}

/// Sorted in shared memory and in global memory; candidates of many threads.
TEST_F(CudaOperations, LongRowsInOrder) {
  for (std::string n : {"2", "33", "2048", "2049", "5000"}) {
    std::string t = "tensor<2x" + n + "xf32>", p = "tensor<2x" + n + "xi32>";
    planAndRun("tpc.mesh @mesh <\"tp\" = 1>\nfunc.func @main(%a: " + t +
                   ") -> (" + t + ", " + p +
                   ") {\n %v, %p = tpc.sort %a descending : (" + t + ") -> (" +
                   t + ", " + p + ")\n return %v, %p : " + t + ", " + p +
                   "\n}\n",
               0);
  }
  // Numbers that are equal: the earlier comes first.
  planAndRun(R"(tpc.mesh @mesh <"tp" = 1>
func.func @main(%a: tensor<2x40000xi32>) -> (tensor<2x50xi32>, tensor<2x50xi64>) {
  %v, %p = tpc.top_k %a : (tensor<2x40000xi32>) -> (tensor<2x50xi32>, tensor<2x50xi64>)
  return %v, %p : tensor<2x50xi32>, tensor<2x50xi64>
})",
             0);
}

/// What begins at an odd element is not read in vectors.
TEST_F(CudaOperations, UnalignedViews) {
  planAndRun(R"(tpc.mesh @mesh <"tp" = 1>
func.func @main(%a: tensor<9x24xbf16>) -> (tensor<7x24xbf16>, tensor<64xbf16>) {
  %b = tpc.slice %a [1, 0] : (tensor<9x24xbf16>) -> tensor<7x24xbf16>
  %r = tpc.neg %b : (tensor<7x24xbf16>) -> tensor<7x24xbf16>
  %f = tpc.reshape %a : (tensor<9x24xbf16>) -> tensor<216xbf16>
  %c = tpc.slice %f [3] : (tensor<216xbf16>) -> tensor<64xbf16>
  %s = tpc.exp %c : (tensor<64xbf16>) -> tensor<64xbf16>
  return %r, %s : tensor<7x24xbf16>, tensor<64xbf16>
})",
             8e-3);
}

/// No elements: nothing is launched.
TEST_F(CudaOperations, EmptyTensors) {
  planAndRun(R"(tpc.mesh @mesh <"tp" = 1>
func.func @main(%a: tensor<0x24xf32>, %b: tensor<3x0xf32>)
    -> (tensor<0x24xf32>, tensor<3xf32>) {
  %r = tpc.exp %a : (tensor<0x24xf32>) -> tensor<0x24xf32>
  %s = tpc.reduce sum %b dims [1] : (tensor<3x0xf32>) -> tensor<3xf32>
  return %r, %s : tensor<0x24xf32>, tensor<3xf32>
})",
             0);
}

//===----------------------------------------------------------------------===//
// Whole models
//===----------------------------------------------------------------------===//

class CudaModels : public CudaSteps,
                   public ::testing::WithParamInterface<const char *> {};

/// Every kernel of a model on two devices, on random operands.
TEST_P(CudaModels, KernelsAgreeWithReference) {
  ImportOptions options;
  options.batch = 2;
  options.length = 7;
  options.element = "bf16";
  auto module = importHuggingFace(
      &context, std::string(TPC_MODELS) + "/" + GetParam() + "/model", options);
  ASSERT_TRUE(module);
  std::string error;
  ASSERT_TRUE(succeeded(setMesh(*module, "tp=2", error))) << error;
  planModule(std::move(module));
  EXPECT_GE(counts().kernels, 10);
  runKernels(1.6e-2);
}

INSTANTIATE_TEST_SUITE_P(Models, CudaModels,
                         ::testing::Values("bert", "gpt2", "llama_rope3",
                                           "mixtral", "t5"),
                         [](const auto &info) {
                           return std::string(info.param);
                         });

} // namespace
