//===- OpCases.cpp - Every operation on small tensors ---------------------===//
//
// Sizes are chosen so that axes of 2, 3 and 2 x 3 split some evenly (6, 12),
// some with a short last block (5, 7), and some leave a device without any (4
// over 3: 2, 2, 0).
//
//===----------------------------------------------------------------------===//

#include "OpCases.h"
#include "llvm/Support/raw_ostream.h"
#include <ostream>

using namespace mlir;
using namespace tpc;
using namespace tpc::reference;

void tpc::reference::PrintTo(const OpCase &opCase, std::ostream *os) {
  *os << opCase.text;
}

static std::string join(ArrayRef<std::string> types) {
  return llvm::join(llvm::map_range(types,
                                    [](const std::string &type) {
                                      return "tensor<" + type + ">";
                                    }),
                    ", ");
}

OwningOpRef<ModuleOp> tpc::reference::moduleOf(const OpCase &opCase,
                                               const Mesh &mesh) {
  std::string text;
  llvm::raw_string_ostream os(text);
  os << "tpc.mesh @mesh <";
  llvm::interleaveComma(llvm::zip_equal(mesh.names, mesh.sizes), os,
                        [&](auto axis) {
                          os << std::get<0>(axis) << " = " << std::get<1>(axis);
                        });
  os << ">\nfunc.func @main(";
  llvm::interleaveComma(
      llvm::enumerate(opCase.operands), os, [&](auto operand) {
        os << '%' << operand.index() << ": tensor<" << operand.value() << '>';
      });
  std::string results = join(opCase.results);
  os << ") -> (" << results << ") {\n  %r:" << opCase.results.size() << " = "
     << opCase.text << " : ";
  // Operations without operands print their result type alone.
  if (opCase.operands.empty())
    os << results;
  else
    os << '(' << join(opCase.operands) << ") -> (" << results << ')';
  os << "\n  return ";
  llvm::interleaveComma(llvm::seq<size_t>(opCase.results.size()), os,
                        [&](size_t i) { os << "%r#" << i; });
  os << " : " << results << "\n}\n";
  return parseModule(text);
}

Operation *tpc::reference::operationOf(ModuleOp module) {
  return &(*module.getOps<func::FuncOp>().begin()).getBody().front().front();
}

//===----------------------------------------------------------------------===//
// The cases
//===----------------------------------------------------------------------===//

static constexpr Range kPositive{1, 3};
static constexpr Range kBool{0, 1};

static void addElementwise(std::vector<OpCase> &cases) {
  for (std::string name : {"neg", "abs", "exp", "log", "sqrt", "rsqrt", "sin",
                           "cos", "tanh", "erf"})
    cases.push_back({name,
                     "tpc." + name + " %0",
                     {"5x6xf32"},
                     {"5x6xf32"},
                     {kPositive},
                     1e-5});
  cases.push_back({"abs_of_negative", "tpc.abs %0", {"5xf32"}, {"5xf32"}});
  cases.push_back({"neg_i32", "tpc.neg %0", {"5xi32"}, {"5xi32"}});
  cases.push_back({"not", "tpc.not %0", {"5xi1"}, {"5xi1"}, {kBool}});
  for (std::string name : {"add", "sub", "mul", "max", "min"})
    for (std::string type : {"f32", "bf16", "i32"})
      cases.push_back({name + "_" + type,
                       "tpc." + name + " %0, %1",
                       {"5x4x" + type, "5x4x" + type},
                       {"5x4x" + type}});
  cases.push_back({"div",
                   "tpc.div %0, %1",
                   {"5x4xf32", "5x4xf32"},
                   {"5x4xf32"},
                   {{}, kPositive},
                   1e-5});
  cases.push_back({"div_i32",
                   "tpc.div %0, %1",
                   {"5xi32", "5xi32"},
                   {"5xi32"},
                   {{}, kPositive}});
  cases.push_back({"pow",
                   "tpc.pow %0, %1",
                   {"5xf32", "5xf32"},
                   {"5xf32"},
                   {kPositive, kPositive},
                   1e-5});
  for (std::string name : {"and", "or"})
    cases.push_back({name,
                     "tpc." + name + " %0, %1",
                     {"5xi1", "5xi1"},
                     {"5xi1"},
                     {kBool, kBool}});
  cases.push_back(
      {"compare", "tpc.compare lt %0, %1", {"5x4xf32", "5x4xf32"}, {"5x4xi1"}});
  cases.push_back({"select",
                   "tpc.select %0, %1, %2",
                   {"5x4xi1", "5x4xf32", "5x4xf32"},
                   {"5x4xf32"},
                   {kBool}});
  cases.push_back({"widen", "tpc.convert %0", {"5xbf16"}, {"5xf32"}});
  cases.push_back({"narrow", "tpc.convert %0", {"5xf32"}, {"5xbf16"}});
  cases.push_back({"to_integer", "tpc.convert %0", {"5xf32"}, {"5xi32"}});
  cases.push_back({"to_wide_integer", "tpc.convert %0", {"5xi32"}, {"5xi64"}});
}

static void addCreation(std::vector<OpCase> &cases) {
  cases.push_back({"constant_splat",
                   "tpc.constant dense<2.0> : tensor<5x6xf32>",
                   {},
                   {"5x6xf32"}});
  cases.push_back({"constant_data",
                   "tpc.constant dense<[1.0, 2.0, 3.0, 4.0]> : tensor<4xf32>",
                   {},
                   {"4xf32"}});
  cases.push_back({"iota_major", "tpc.iota dim 0", {}, {"5x4xi64"}});
  cases.push_back({"iota_minor", "tpc.iota dim 1", {}, {"5x7xi32"}});
  cases.push_back({"iota_float", "tpc.iota dim 0", {}, {"7xf32"}});
  // Beyond 256, bf16 does not hold every index.
  cases.push_back({"iota_bf16", "tpc.iota dim 0", {}, {"256xbf16"}});
  cases.push_back({"iota_bf16_rounded", "tpc.iota dim 0", {}, {"777xbf16"}});
}

static void addContraction(std::vector<OpCase> &cases) {
  auto matmul = [&](std::string name, std::string equation, std::string lhs,
                    std::string rhs, std::string result) {
    cases.push_back({"matmul_" + name,
                     "tpc.matmul %0, %1 \"" + equation + "\"",
                     {lhs, rhs},
                     {result}});
  };
  matmul("even", "m k, k n -> m n", "6x12xf32", "12x6xf32", "6x6xf32");
  matmul("uneven", "m k, k n -> m n", "5x7xf32", "7x4xf32", "5x4xf32");
  matmul("bf16", "m k, k n -> m n", "5x7xbf16", "7x4xbf16", "5x4xbf16");
  matmul("i32", "m k, k n -> m n", "5x7xi32", "7x4xi32", "5x4xi32");
  matmul("batch", "b s k d, b t k d -> b k s t", "3x4x5x2xf32", "3x5x5x2xf32",
         "3x5x4x5xf32");
  matmul("two_contracted", "b h d, h d e -> b e", "4x3x5xf32", "3x5x4xf32",
         "4x4xf32");
  matmul("dot", "k, k -> ", "7xf32", "7xf32", "f32");
  for (std::string reduction : {"sum", "max", "min"}) {
    cases.push_back({"reduce_" + reduction,
                     "tpc.reduce " + reduction + " %0 dims [0, 2]",
                     {"5x4x7xf32"},
                     {"4xf32"}});
    cases.push_back({"reduce_i32_" + reduction,
                     "tpc.reduce " + reduction + " %0 dims [0]",
                     {"5x4xi32"},
                     {"4xi32"}});
    // Padding of zeros would win a maximum of negative numbers.
    cases.push_back({"reduce_negative_" + reduction,
                     "tpc.reduce " + reduction + " %0 dims [0]",
                     {"5xf32"},
                     {"f32"},
                     {{-3, -1}}});
    cases.push_back({"reduce_positive_" + reduction,
                     "tpc.reduce " + reduction + " %0 dims [0]",
                     {"5xf32"},
                     {"f32"},
                     {kPositive}});
  }
}

static void addShape(std::vector<OpCase> &cases) {
  cases.push_back(
      {"broadcast", "tpc.broadcast %0 dims [1]", {"5xf32"}, {"4x5x6xf32"}});
  cases.push_back({"broadcast_one",
                   "tpc.broadcast %0 dims [0, 2]",
                   {"1x5xf32"},
                   {"4x3x5xf32"}});
  cases.push_back({"again", "tpc.again %0", {"5x6xf32"}, {"5x6xf32"}});
  auto reshape = [&](std::string from, std::string to) {
    cases.push_back({"reshape_" + from + "_to_" + to,
                     "tpc.reshape %0",
                     {from + "xf32"},
                     {to + "xf32"}});
  };
  reshape("6x4", "24");
  reshape("24", "6x4");
  reshape("4x3x5", "12x5");
  reshape("12x5", "4x3x5");
  reshape("6x4", "8x3");
  reshape("5x1x4", "1x5x4");
  reshape("2x6x5", "4x3x5");
  reshape("5x6", "5x2x3");
  reshape("0x2", "0x4");
  cases.push_back(
      {"reshape_i1", "tpc.reshape %0", {"6x4xi1"}, {"24xi1"}, {kBool}});
  cases.push_back({"transpose",
                   "tpc.transpose %0 [2, 0, 1]",
                   {"4x5x6xf32"},
                   {"6x4x5xf32"}});
  cases.push_back({"slice", "tpc.slice %0 [1, 0]", {"7x5xf32"}, {"4x5xf32"}});
  cases.push_back({"dynamic_slice",
                   "tpc.dynamic_slice %0, %1",
                   {"7x5xf32", "2xi32"},
                   {"4x5xf32"},
                   {{}, {-1, 4}}});
  cases.push_back({"update_slice",
                   "tpc.update_slice %0, %1, %2",
                   {"7x5xf32", "4x5xf32", "2xi32"},
                   {"7x5xf32"},
                   {{}, {}, {-1, 4}}});
  cases.push_back({"update_slice_per_row",
                   "tpc.update_slice %0, %1, %2",
                   {"5x7x4xf32", "5x2x4xf32", "5x2xi32"},
                   {"5x7x4xf32"},
                   {{}, {}, {-1, 6}}});
  cases.push_back(
      {"pad_zero", "tpc.pad %0 low [1, 0] with 0.0", {"4x5xf32"}, {"7x5xf32"}});
  cases.push_back(
      {"pad_one", "tpc.pad %0 low [1, 0] with 1.0", {"4x5xf32"}, {"7x5xf32"}});
  cases.push_back({"concat",
                   "tpc.concat %0, %1 dim 0",
                   {"4x5xf32", "3x5xf32"},
                   {"7x5xf32"}});
  cases.push_back({"concat_equal",
                   "tpc.concat %0, %1 dim 0",
                   {"6x5xf32", "6x5xf32"},
                   {"12x5xf32"}});
}

static void addIndexing(std::vector<OpCase> &cases) {
  Range indices{-1, 7};
  for (std::string type : {"f32", "i32"}) {
    cases.push_back({"gather_major_" + type,
                     "tpc.gather %0, %1 dim 0",
                     {"7x4x" + type, "2x5xi32"},
                     {"2x5x4x" + type},
                     {{}, indices}});
    cases.push_back({"scatter_add_major_" + type,
                     "tpc.scatter_add %0, %1, %2 dim 0",
                     {"7x4x" + type, "5xi32", "5x4x" + type},
                     {"7x4x" + type},
                     {{}, indices}});
  }
  cases.push_back({"gather_minor",
                   "tpc.gather %0, %1 dim 1",
                   {"4x7xf32", "5xi64"},
                   {"4x5xf32"},
                   {{}, indices}});
  cases.push_back({"gather_scalar",
                   "tpc.gather %0, %1 dim 0",
                   {"7x4xf32", "i32"},
                   {"4xf32"},
                   {{}, {0, 6}}});
  cases.push_back({"scatter_add_minor",
                   "tpc.scatter_add %0, %1, %2 dim 1",
                   {"4x7xf32", "5xi64", "4x5xf32"},
                   {"4x7xf32"},
                   {{}, indices}});
  cases.push_back({"sort", "tpc.sort %0", {"5x6xf32"}, {"5x6xf32", "5x6xi32"}});
  cases.push_back(
      {"top_k", "tpc.top_k %0", {"5x6xf32"}, {"5x3xf32", "5x3xi32"}});
}

static void addComposites(std::vector<OpCase> &cases) {
  cases.push_back(
      {"softmax", "tpc.softmax %0", {"4x7xf32"}, {"4x7xf32"}, {}, 1e-5});
  cases.push_back(
      {"softmax_bf16", "tpc.softmax %0", {"5x6xbf16"}, {"5x6xbf16"}, {}, 1e-2});
  // 12 is cut into equal blocks on every mesh: devices exchange summaries.
  cases.push_back({"softmax_of_equal_blocks",
                   "tpc.softmax %0",
                   {"4x12xf32"},
                   {"4x12xf32"},
                   {},
                   1e-5});
  for (std::string v : {"7", "12"})
    cases.push_back({"cross_entropy_of_" + v,
                     "tpc.cross_entropy %0, %1",
                     {"2x3x" + v + "xf32", "2x3xi64"},
                     {"2x3xf32"},
                     {{}, {-1, 12}},
                     1e-5});
  cases.push_back({"cross_entropy_bf16",
                   "tpc.cross_entropy %0, %1",
                   {"5x6xbf16", "5xi32"},
                   {"5xf32"},
                   {{}, {0, 5}},
                   1e-5});
  cases.push_back({"layer_norm",
                   "tpc.layer_norm %0, %1, %2 epsilon 1.0e-3",
                   {"4x7xf32", "7xf32", "7xf32"},
                   {"4x7xf32"},
                   {},
                   1e-5});
  // Partial results are rounded on each of up to six devices, and cancel.
  cases.push_back({"layer_norm_bf16",
                   "tpc.layer_norm %0, %1, %2 epsilon 1.0e-3",
                   {"5x6xbf16", "6xbf16", "6xbf16"},
                   {"5x6xbf16"},
                   {},
                   1e-1});
  for (std::string form : {"erf", "tanh"})
    cases.push_back({"gelu_" + form,
                     "tpc.gelu " + form + " %0",
                     {"5x6xf32"},
                     {"5x6xf32"},
                     {},
                     1e-5});
  cases.push_back({"rms_norm",
                   "tpc.rms_norm %0, %1 epsilon 1.0e-3",
                   {"4x7xf32", "7xf32"},
                   {"4x7xf32"},
                   {},
                   1e-5});
  cases.push_back({"rms_norm_bf16",
                   "tpc.rms_norm %0, %1 epsilon 1.0e-3",
                   {"5x6xbf16", "6xbf16"},
                   {"5x6xbf16"},
                   {},
                   2e-2});
  cases.push_back({"silu", "tpc.silu %0", {"5x6xf32"}, {"5x6xf32"}, {}, 1e-5});
  for (std::string form : {"halves", "pairs"})
    for (std::string size : {"4", "6"})
      cases.push_back({"rope_" + form + "_of_" + size,
                       "tpc.rope " + form + " %0, %1, %2 scale 1.5",
                       {"4x5x3x" + size + "xf32", "4x5xi64", "2xf32"},
                       {"4x5x3x" + size + "xf32"},
                       {{}, {0, 9}, {0, 1}},
                       1e-5});
  cases.push_back({"linear",
                   "tpc.linear %0, %1, %2 \"b e, e f -> b f\"",
                   {"5x7xf32", "7x4xf32", "4xf32"},
                   {"5x4xf32"}});
  cases.push_back({"linear_heads",
                   "tpc.linear %0, %1, %2 \"s e, e h d -> s h d\"",
                   {"4x6xf32", "6x5x2xf32", "5x2xf32"},
                   {"4x5x2xf32"}});
  cases.push_back({"embedding",
                   "tpc.embedding %0, %1",
                   {"7x4xf32", "2x3xi32"},
                   {"2x3x4xf32"},
                   {{}, {-1, 7}}});
  cases.push_back({"grouped_matmul",
                   "tpc.grouped_matmul %0, %1, %2",
                   {"4x6xf32", "4x2xi32", "5x6x3xf32"},
                   {"4x2x3xf32"},
                   {{}, {-1, 5}}});
  cases.push_back({"grouped_matmul_of_rows_per_choice",
                   "tpc.grouped_matmul %0, %1, %2",
                   {"2x3x2x6xf32", "2x3x2xi64", "5x6x3xf32"},
                   {"2x3x2x3xf32"},
                   {{}, {-1, 5}}});
  cases.push_back({"grouped_matmul_of_one_row",
                   "tpc.grouped_matmul %0, %1, %2",
                   {"6xbf16", "2xi64", "5x6x3xbf16"},
                   {"2x3xbf16"},
                   {{}, {-1, 5}},
                   2e-2});
  cases.push_back(
      {"experts",
       "tpc.experts %0, %1, %2, %3, %4, %5",
       {"4x6xf32", "4x2xi64", "4x2xf32", "5x6x3xf32", "5x6x3xf32", "5x3x7xf32"},
       {"4x7xf32"},
       {{}, {-1, 5}},
       1e-3});
}

/// Gradients of composites: rows are summed for the gradients of weights, keys
/// and values.
static void addVjps(std::vector<OpCase> &cases) {
  auto vjp = [&](std::string name, std::string text,
                 std::vector<std::string> operands,
                 std::vector<std::string> results,
                 std::vector<Range> ranges = {}, double tolerance = 1e-4) {
    cases.push_back({"vjp_" + name, "tpc.vjp \"tpc." + text, operands, results,
                     ranges, tolerance});
  };
  vjp("softmax", "softmax\" {} of [0] %0, %1", {"4x7xf32", "4x7xf32"},
      {"4x7xf32"});
  vjp("cross_entropy", "cross_entropy\" {} of [0] %0, %1, %2",
      {"2x3x7xf32", "2x3xi64", "2x3xf32"}, {"2x3x7xf32"}, {{}, {-1, 7}});
  vjp("layer_norm",
      "layer_norm\" {epsilon = 1.0e-1} of [0, 1, 2] %0, %1, %2, %3",
      {"5x6xf32", "6xf32", "6xf32", "5x6xf32"}, {"5x6xf32", "6xf32", "6xf32"});
  vjp("rms_norm", "rms_norm\" {epsilon = 1.0e-1} of [0, 1] %0, %1, %2",
      {"3x4x7xf32", "7xf32", "3x4x7xf32"}, {"3x4x7xf32", "7xf32"});
  vjp("rms_norm_weight", "rms_norm\" {epsilon = 1.0e-1} of [1] %0, %1, %2",
      {"5x6xf32", "6xf32", "5x6xf32"}, {"6xf32"});
  vjp("gelu", "gelu\" {form = #tpc<gelu_form tanh>} of [0] %0, %1",
      {"5x6xf32", "5x6xf32"}, {"5x6xf32"});
  vjp("silu_bf16", "silu\" {} of [0] %0, %1", {"5x6xbf16", "5x6xbf16"},
      {"5x6xbf16"}, {}, 2e-2);
  vjp("attention",
      "attention\" {causal, scale = 5.0e-1, operandSegmentSizes = array<i32: "
      "1, 1, 1, 0, 0, 0, 0>} of [0, 1, 2] %0, %1, %2, %3",
      {"2x3x5x2x2xf32", "2x4x5x2xf32", "2x4x5x3xf32", "2x3x5x2x3xf32"},
      {"2x3x5x2x2xf32", "2x4x5x2xf32", "2x4x5x3xf32"});
  vjp("attention_sinks",
      "attention\" {scale = 5.0e-1, operandSegmentSizes = array<i32: 1, 1, 1, "
      "1, 0, 0, 1>} of [1, 3, 4] %0, %1, %2, %3, %4, %5",
      {"2x3x5x2x2xf32", "2x4x5x2xf32", "2x4x5x3xf32", "2x5x2x3x4xf32",
       "5x2xf32", "2x3x5x2x3xf32"},
      {"2x4x5x2xf32", "2x5x2x3x4xf32", "5x2xf32"});
}

static void addAttention(std::vector<OpCase> &cases) {
  auto attention = [&](std::string name, std::string text,
                       std::vector<std::string> more = {},
                       std::vector<Range> ranges = {}) {
    OpCase entry{"attention_" + name,
                 "tpc.attention %0, %1, %2 " + text,
                 {"2x3x5x2x2xf32", "2x4x5x2xf32", "2x4x5x3xf32"},
                 {"2x3x5x2x3xf32"},
                 {{}, {}, {}},
                 1e-5};
    llvm::append_range(entry.operands, more);
    llvm::append_range(entry.ranges, ranges);
    cases.push_back(entry);
  };
  attention("plain", "scale 0.5");
  attention("causal", "scale 0.5 causal");
  attention("offset", "offset %3 scale 0.5 causal", {"i32"}, {{-1, 2}});
  attention("offset_per_row", "offset %3 scale 0.5 causal window 2", {"2xi64"},
            {{-1, 3}});
  attention("window", "scale 0.5 window 2");
  attention("lengths", "lengths %3 scale 0.5", {"2xi32"}, {{0, 4}});
  attention("bias", "bias %3 scale 0.5 softcap 1.5", {"2x5x2x3x4xf32"});
  attention("one_bias", "bias %3 scale 0.5", {"1x5x1x1x4xf32"});
  attention("sinks", "sinks %3 scale 0.5 causal", {"5x2xf32"});
  attention("all",
            "bias %3 lengths %4 offset %5 sinks %6 scale 0.5 causal window 3 "
            "softcap 2.0",
            {"2x1x2x1x4xf32", "2xi32", "i64", "5x2xf32"},
            {{}, {0, 4}, {-1, 2}, {}});
}

std::vector<OpCase> tpc::reference::opCases() {
  std::vector<OpCase> cases;
  addElementwise(cases);
  addCreation(cases);
  addContraction(cases);
  addShape(cases);
  addIndexing(cases);
  addComposites(cases);
  addAttention(cases);
  addVjps(cases);
  return cases;
}
