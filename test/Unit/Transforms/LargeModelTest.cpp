//===- LargeModelTest.cpp - A model of 24 layers --------------------------===//
//
// The proof runs on every compile: on an encoder of the size of BERT large it
// takes about 10 ms (measured; the test allows 500).
//
//===----------------------------------------------------------------------===//

#include "TestModule.h"
#include "tpc/Dialect/Spmd/Spmd.h"
#include "tpc/Pipeline/Compiler.h"
#include "tpc/Transforms/Passes.h"
#include <chrono>
#include <gtest/gtest.h>

using namespace mlir;
using namespace tpc;

namespace {

/// One operation of an encoder layer: `%layer_NAME = tpc.TEXT`, where "@name"
/// is a parameter of the layer, "%name" a value of it and "%x" its input.
class Encoder {
public:
  std::string text(int layers) {
    for (int layer = 0; layer < layers; ++layer)
      addLayer("l" + std::to_string(layer));
    return "tpc.mesh @mesh <\"tp\" = 4>\n" + parameters +
           "func.func @main(%x: " + kX + ") -> " + kX + " {\n" + body +
           "  return " + input + " : " + kX + "\n}\n";
  }

private:
  std::string parameter(const std::string &name, const std::string &type) {
    parameters += "tpc.parameter @" + name + " : " + type + "\n";
    body += "  %p" + name + " = tpc.read @" + name + " : " + type + "\n";
    return "%p" + name;
  }

  std::string linear(const std::string &name, const std::string &operand,
                     const std::string &equation, const std::string &from,
                     const std::string &weight, const std::string &bias,
                     const std::string &to) {
    std::string w = parameter(name, weight), b = parameter(name + "b", bias);
    body += "  %" + name + " = tpc.linear " + operand + ", " + w + ", " + b +
            " \"" + equation + "\" : (" + from + ", " + weight + ", " + bias +
            ") -> " + to + "\n";
    return "%" + name;
  }

  void normalizedSum(const std::string &name, const std::string &branch) {
    const std::string vector = "tensor<1024xf32>";
    std::string g = parameter(name + "g", vector);
    std::string b = parameter(name + "b", vector);
    body += "  %" + name + "s = tpc.add " + branch + ", " + input + " : (" +
            kX + ", " + kX + ") -> " + kX + "\n";
    body += "  %" + name + " = tpc.layer_norm %" + name + "s, " + g + ", " + b +
            " epsilon 1.0e-12 : (" + kX + ", " + vector + ", " + vector +
            ") -> " + kX + "\n";
    input = "%" + name;
  }

  void addLayer(const std::string &l) {
    const std::string heads = "tensor<2x128x16x64xf32>";
    const std::string query = "tensor<2x128x16x1x64xf32>";
    const std::string inner = "tensor<2x128x4096xf32>";
    const std::string vector = "tensor<1024xf32>";
    std::string q =
        linear(l + "q", input, "b s e, e h g d -> b s h g d", kX,
               "tensor<1024x16x1x64xf32>", "tensor<16x1x64xf32>", query);
    auto project = [&](const std::string &name) {
      return linear(l + name, input, "b s e, e h d -> b s h d", kX,
                    "tensor<1024x16x64xf32>", "tensor<16x64xf32>", heads);
    };
    std::string k = project("k"), v = project("v");
    body += "  %" + l + "c = tpc.attention " + q + ", " + k + ", " + v +
            " scale 0.125 : (" + query + ", " + heads + ", " + heads + ") -> " +
            query + "\n";
    normalizedSum(l + "n",
                  linear(l + "o", "%" + l + "c", "b s h g d, h g d e -> b s e",
                         query, "tensor<16x1x64x1024xf32>", vector, kX));
    std::string up = linear(l + "u", input, "b s e, e f -> b s f", kX,
                            "tensor<1024x4096xf32>", "tensor<4096xf32>", inner);
    body += "  %" + l + "a = tpc.gelu erf " + up + " : (" + inner + ") -> " +
            inner + "\n";
    normalizedSum(l + "m", linear(l + "d", "%" + l + "a", "b s f, f e -> b s e",
                                  inner, "tensor<4096x1024xf32>", vector, kX));
  }

  const std::string kX = "tensor<2x128x1024xf32>";
  std::string parameters, body, input = "%x";
};

TEST(LargeModel, IsProvedAtOnce) {
  OwningOpRef<ModuleOp> module = test::parse(Encoder().text(24));
  ASSERT_TRUE(module);
  ASSERT_TRUE(succeeded(runPhase(*module, [](OpPassManager &pm) {
    buildAssignPhase(pm, "megatron");
    buildPartitionPhase(pm);
  })));
  unsigned reductions = 0;
  module->walk([&](spmd::AllReduceOp) { ++reductions; });
  EXPECT_EQ(reductions, 48u);
  auto start = std::chrono::steady_clock::now();
  EXPECT_TRUE(succeeded(test::runPass(*module, createVerifyPartitionPass())));
  std::chrono::duration<double> seconds =
      std::chrono::steady_clock::now() - start;
  std::cout << "proved in " << seconds.count() << " s\n";
  EXPECT_LT(seconds.count(), 0.5);
}

} // namespace
