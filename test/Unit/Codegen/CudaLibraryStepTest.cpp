// The kernels for steps that libraries may not compute, in the simulator.
#include "CudaSteps.h"
#include <cmath>
#include <set>

using namespace tpc;
using namespace tpc::test;

namespace {

//===----------------------------------------------------------------------===//
// Attention
//===----------------------------------------------------------------------===//

struct AttentionCase {
  std::string name;
  int b = 1, s = 1, t = 1, k = 1, g = 1, d = 8, v = 8;
  std::string type = "f32";
  std::string attributes = ""; // behind `scale`
  std::string bias = "";       // its shape: "2x1x3x9x9"
  bool lengths = false, sinks = false;
  std::string offset = ""; // its shape and type: "2xi64"
};

void PrintTo(const AttentionCase &c, std::ostream *os) { *os << c.name; }

std::string programOf(const AttentionCase &c) {
  auto shape = [&](std::initializer_list<int> sizes) {
    std::string text = "tensor<";
    for (int size : sizes)
      text += std::to_string(size) + "x";
    return text + c.type + ">";
  };
  std::string q = shape({c.b, c.s, c.k, c.g, c.d}),
              key = shape({c.b, c.t, c.k, c.d}),
              value = shape({c.b, c.t, c.k, c.v}),
              result = shape({c.b, c.s, c.k, c.g, c.v});
  std::string arguments = "%q: " + q + ", %k: " + key + ", %v: " + value;
  std::string types = q + ", " + key + ", " + value, operands;
  auto add = [&](bool given, std::string name, std::string type) {
    if (!given)
      return;
    arguments += ", %" + name + ": " + type;
    types += ", " + type;
    operands += " " + name + " %" + name;
  };
  add(!c.bias.empty(), "bias", "tensor<" + c.bias + "x" + c.type + ">");
  add(c.lengths, "lengths", "tensor<" + std::to_string(c.b) + "xi32>");
  add(!c.offset.empty(), "offset", "tensor<" + c.offset + ">");
  add(c.sinks, "sinks", shape({c.k, c.g}));
  return "tpc.mesh @mesh <\"tp\" = 1>\nfunc.func @main(" + arguments + ") -> " +
         result + " {\n %r = tpc.attention %q, %k, %v" + operands +
         " scale 0.35 " + c.attributes + " : (" + types + ") -> " + result +
         "\n return %r : " + result + "\n}\n";
}

double toleranceOf(const std::string &type) {
  return type == "bf16" ? 1.6e-2 : type == "f16" ? 2e-3 : 1e-5;
}

class CudaAttention : public CudaSteps,
                      public ::testing::WithParamInterface<AttentionCase> {};

TEST_P(CudaAttention, AgreesWithReference) {
  lowestInteger = -1;
  highestInteger = GetParam().t + 1;
  planAndRunLibraryStep(programOf(GetParam()), toleranceOf(GetParam().type));
}

std::vector<AttentionCase> attentionCases() {
  std::vector<AttentionCase> cases;
  auto add = [&](AttentionCase c) { cases.push_back(c); };
  for (std::string type : {"f32", "bf16", "f16", "f64"})
    add({"heads_" + type, 2, 5, 37, 2, 3, 16, 16, type, "causal", "", true,
         false, "2xi32"});
  // Blocks of two and four queries, also of fewer at the end.
  add({"two_queries", 8, 3, 40, 16, 1, 8, 8, "f32", "causal"});
  add({"four_queries", 16, 6, 70, 4, 3, 8, 12, "bf16",
       "causal window 9 softcap 4.0", "1x1x3x6x70", true, true, "16xi32"});
  add({"one_key"});
  add({"many_keys", 1, 1, 300, 1, 2, 64, 64, "bf16"});
  add({"odd_widths", 2, 3, 33, 1, 2, 7, 5, "bf16"});
  add({"wide_value", 1, 2, 40, 1, 1, 24, 200, "f32"});
  add({"causal", 1, 9, 9, 2, 1, 8, 8, "f32", "causal"});
  add({"causal_offset", 1, 4, 70, 1, 1, 8, 8, "f32", "causal", "", false, false,
       "i64"});
  add({"window", 1, 40, 40, 1, 1, 8, 8, "f32", "window 3"});
  add({"causal_window", 1, 40, 80, 1, 1, 8, 8, "f32", "causal window 33", "",
       false, false, "1xi64"});
  add({"lengths", 3, 2, 50, 1, 1, 8, 8, "f32", "", "", true});
  add({"softcap", 1, 3, 50, 1, 2, 8, 8, "f32", "softcap 2.0"});
  add({"bias", 2, 3, 9, 2, 3, 8, 8, "f32", "", "2x2x3x3x9"});
  add({"shared_bias", 2, 3, 9, 2, 3, 8, 8, "bf16", "causal", "1x2x1x3x9"});
  add({"sinks", 2, 3, 40, 2, 3, 8, 8, "f32", "causal", "", true, true});
  add({"everything", 2, 3, 70, 2, 2, 16, 8, "f16",
       "causal window 20 softcap 4.0", "1x1x2x3x70", true, true, "2xi32"});
  return cases;
}

INSTANTIATE_TEST_SUITE_P(Cases, CudaAttention,
                         ::testing::ValuesIn(attentionCases()),
                         [](const auto &info) { return info.param.name; });

class CudaLibrarySteps : public CudaSteps {};

/// The part of a cache, seen through slices and transposes.
TEST_F(CudaLibrarySteps, AttentionReadsThroughViews) {
  planAndRunLibraryStep(R"(
tpc.mesh @mesh <"tp" = 1>
func.func @main(%q: tensor<2x2x3x2x8xf32>, %k: tensor<3x2x64x8xf32>,
                %v: tensor<2x64x3x8xf32>) -> tensor<2x2x3x2x8xf32> {
  %kt = tpc.transpose %k [1, 2, 0, 3] : (tensor<3x2x64x8xf32>) -> tensor<2x64x3x8xf32>
  %ks = tpc.slice %kt [0, 3, 0, 0] : (tensor<2x64x3x8xf32>) -> tensor<2x40x3x8xf32>
  %vs = tpc.slice %v [0, 3, 0, 0] : (tensor<2x64x3x8xf32>) -> tensor<2x40x3x8xf32>
  %y = tpc.attention %q, %ks, %vs scale 0.35 : (tensor<2x2x3x2x8xf32>,
    tensor<2x40x3x8xf32>, tensor<2x40x3x8xf32>) -> tensor<2x2x3x2x8xf32>
  return %y : tensor<2x2x3x2x8xf32>
})",
                        1e-5);
}

/// Keys and values that are parts of one buffer.
TEST_F(CudaLibrarySteps, AttentionOfOneBuffer) {
  planAndRunLibraryStep(R"(
tpc.mesh @mesh <"tp" = 1>
func.func @main(%q: tensor<2x2x3x2x8xf32>, %c: tensor<2x64x3x24xf32>)
    -> tensor<2x2x3x2x8xf32> {
  %k = tpc.slice %c [0, 3, 0, 0] : (tensor<2x64x3x24xf32>) -> tensor<2x40x3x8xf32>
  %v = tpc.slice %c [0, 3, 0, 12] : (tensor<2x64x3x24xf32>) -> tensor<2x40x3x8xf32>
  %y = tpc.attention %q, %k, %v scale 0.35 : (tensor<2x2x3x2x8xf32>,
    tensor<2x40x3x8xf32>, tensor<2x40x3x8xf32>) -> tensor<2x2x3x2x8xf32>
  return %y : tensor<2x2x3x2x8xf32>
})",
                        1e-5);
}

/// What a query does not see has no part in its result, whatever it is, though
/// others of the block see it.
TEST_F(CudaLibrarySteps, AttentionDoesNotTouchWhatIsHidden) {
  AttentionCase c{"", 8, 16, 40, 8, 3, 8, 8, "f32", "causal window 5"};
  Change hideKey9 = [&](llvm::MutableArrayRef<reference::Tensor> arguments) {
    for (int i : {1, 2})
      for (int b = 0; b < c.b; ++b)
        std::fill_n(arguments[i].data.begin() + (b * c.t + 9) * c.k * c.d,
                    c.k * c.d, NAN);
  };
  // The queries 9 to 13 see it.
  Change ofQueries = [&](llvm::MutableArrayRef<reference::Tensor> results) {
    int each = c.k * c.g * c.v;
    for (int b = 0; b < c.b; ++b)
      std::fill_n(results[0].data.begin() + (b * c.s + 9) * each, 5 * each,
                  NAN);
  };
  planAndRunLibraryStep(programOf(c), 1e-5, {}, {hideKey9, ofQueries});
}

/// A bias of -inf hides keys, of a row or of all.
TEST_F(CudaLibrarySteps, AttentionWithInfiniteBias) {
  planAndRunLibraryStep(
      programOf({"", 1, 3, 40, 1, 1, 8, 8, "f32", "", "1x1x1x3x40"}), 1e-5,
      [](llvm::MutableArrayRef<reference::Tensor> arguments) {
        std::vector<double> &bias = arguments[3].data;
        for (int i = 0; i < 40 + 33; ++i)
          bias[i] = -INFINITY;
      });
}

//===----------------------------------------------------------------------===//
// Grouped matmul
//===----------------------------------------------------------------------===//

std::string groupedProgram(std::string type, std::string rows,
                           std::string weights, bool transposed) {
  std::string x = "tensor<" + rows + "x" + type + ">",
              w = "tensor<" + weights + "x" + type + ">",
              used = "tensor<4x72x40x" + type + ">",
              r = "tensor<6x2x40x" + type + ">", i = "tensor<6x2xi32>";
  std::string view =
      transposed ? " %v = tpc.transpose %w [0, 2, 1] : (" + w + ") -> " + used
                 : "";
  return "tpc.mesh @mesh <\"tp\" = 1>\nfunc.func @main(%x: " + x +
         ", %i: " + i + ", %w: " + w + ") -> " + r + " {\n" + view +
         "\n %r = tpc.grouped_matmul %x, %i, " + (transposed ? "%v" : "%w") +
         " : (" + x + ", " + i + ", " + used + ") -> " + r +
         "\n return %r : " + r + "\n}\n";
}

TEST_F(CudaLibrarySteps, GroupedMatmul) {
  lowestInteger = -1; // a choice outside gives zeros
  highestInteger = 4;
  for (std::string type : {"f32", "bf16", "f16", "f64"})
    for (std::string rows : {"6x72", "6x2x72"})
      for (bool transposed : {false, true}) {
        SCOPED_TRACE(type + " " + rows + (transposed ? " transposed" : ""));
        ASSERT_NO_FATAL_FAILURE(planAndRunLibraryStep(
            groupedProgram(type, rows, transposed ? "4x40x72" : "4x72x40",
                           transposed),
            toleranceOf(type)));
      }
}

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

struct ProductCase {
  std::string name, equation;
  std::string lhs, rhs, result; // types
};

void PrintTo(const ProductCase &c, std::ostream *os) { *os << c.name; }

class CudaProduct : public CudaSteps,
                    public ::testing::WithParamInterface<ProductCase> {};

TEST_P(CudaProduct, AgreesWithReference) {
  const ProductCase &c = GetParam();
  std::string x = "tensor<" + c.lhs + ">", y = "tensor<" + c.rhs + ">",
              r = "tensor<" + c.result + ">";
  bool rounds = c.result.find("bf16") != c.result.npos;
  planAndRunLibraryStep(
      "tpc.mesh @mesh <\"tp\" = 1>\nfunc.func @main(%x: " + x + ", %y: " + y +
          ") -> " + r + " {\n %r = tpc.matmul %x, %y \"" + c.equation +
          "\" : (" + x + ", " + y + ") -> " + r + "\n return %r : " + r +
          "\n}\n",
      rounds ? 1.6e-2 : 1e-5);
}

/// Integers and mixtures; b by rows, by columns, in batches, transposed
/// results; more elements than a block has, and sums longer than a warp.
INSTANTIATE_TEST_SUITE_P(
    Cases, CudaProduct,
    ::testing::Values(ProductCase{"i32", "m k, k n -> m n", "9x70xi32",
                                  "70x33xi32", "9x33xi32"},
                      ProductCase{"i64_transposed", "m k, n k -> m n",
                                  "9x70xi64", "33x70xi64", "9x33xi64"},
                      ProductCase{"i32_result_transposed", "m k, k n -> n m",
                                  "9x5xi32", "5x33xi32", "33x9xi32"},
                      ProductCase{"batches", "b h m k, b h k n -> b m h n",
                                  "2x3x4x5xi32", "2x3x5x6xi32", "2x4x3x6xi32"},
                      ProductCase{"bf16_f32", "m k, k n -> m n", "9x70xbf16",
                                  "70x33xf32", "9x33xf32"},
                      ProductCase{"f32_bf16_transposed", "m k, n k -> m n",
                                  "9x70xf32", "33x70xbf16", "9x33xbf16"},
                      ProductCase{"f16_bf16_f16", "m k, k n -> m n", "3x8xf16",
                                  "8x5xbf16", "3x5xf16"},
                      ProductCase{"f32_into_bf16", "m k, k n -> m n", "3x8xf32",
                                  "8x5xf32", "3x5xbf16"},
                      ProductCase{"nothing", "m k, k n -> m n", "3x0xf32",
                                  "0x5xf32", "3x5xf32"}),
    [](const auto &info) { return info.param.name; });

/// A kernel for each type of result.
TEST_F(CudaLibrarySteps, ProductsThatDifferInTheirResult) {
  ASSERT_NO_FATAL_FAILURE(plan(R"(
tpc.mesh @mesh <"tp" = 1>
func.func @main(%x: tensor<4x8xbf16>, %y: tensor<8x4xf16>)
    -> (tensor<4x4xf32>, tensor<4x4xf16>) {
  %a = tpc.matmul %x, %y "m k, k n -> m n" : (tensor<4x8xbf16>, tensor<8x4xf16>) -> tensor<4x4xf32>
  %b = tpc.matmul %x, %y "m k, k n -> m n" : (tensor<4x8xbf16>, tensor<8x4xf16>) -> tensor<4x4xf16>
  return %a, %b : tensor<4x4xf32>, tensor<4x4xf16>
})"));
  CudaModule module(*planned);
  std::set<std::string> symbols;
  planned->walk(
      [&](plan::MatmulOp op) { symbols.insert(module.add(op)->symbol); });
  EXPECT_EQ(symbols.size(), 2u);
}

} // namespace
