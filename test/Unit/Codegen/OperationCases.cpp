#include "OperationCases.h"
#include "llvm/ADT/StringExtras.h"

using namespace tpc::test;

std::string tpc::test::programOf(const OperationCase &c) {
  auto [body, values] = llvm::StringRef(c.body).rsplit("=>");
  return "tpc.mesh @mesh <\"tp\" = 1>\nfunc.func @main(" + c.inputs + ") -> (" +
         c.results + ") {\n" + body.str() + "\n return " + values.str() +
         " : " + c.results + "\n}\n";
}

static std::string replaced(std::string text, const std::string &from,
                            const std::string &to) {
  for (size_t at = 0; (at = text.find(from, at)) != std::string::npos;
       at += to.size())
    text.replace(at, from.size(), to);
  return text;
}

static double toleranceOf(const std::string &type) {
  return type == "bf16" ? 8e-3 : type == "f16" ? 1e-3 : 2e-6;
}

std::vector<OperationCase> tpc::test::elementwiseCases() {
  std::vector<OperationCase> cases;
  auto add = [&](std::string op, std::string type, std::string shape,
                 std::string operands) {
    std::string t = "tensor<" + shape + type + ">";
    bool unary = operands == "%a";
    std::string types = unary ? "(" + t + ")" : "(" + t + ", " + t + ")";
    std::string prepare;
    if (op == "log" || op == "sqrt" || op == "rsqrt" || op == "pow")
      prepare = " %p = tpc.abs %a : (" + t + ") -> " + t + "\n";
    std::string used =
        prepare.empty() ? operands : replaced(operands, "%a", "%p");
    cases.push_back({op + "_" + type + "_" + replaced(shape, "x", "_"),
                     "%a: " + t + ", %b: " + t, t,
                     prepare + " %r = tpc." + op + " " + used + " : " + types +
                         " -> " + t + " => %r",
                     toleranceOf(type)});
  };
  for (std::string type : {"f32", "bf16", "f16"}) {
    for (std::string op : {"neg", "abs", "exp", "log", "sqrt", "rsqrt", "sin",
                           "cos", "tanh", "erf"})
      add(op, type, "3x37x", "%a");
    for (std::string op : {"add", "sub", "mul", "div", "max", "min", "pow"})
      add(op, type, "3x37x", "%a, %b");
  }
  for (std::string op :
       {"neg", "abs", "exp", "log", "sqrt", "rsqrt", "sin", "cos", "tanh"})
    add(op, "f64", "5x19x", "%a");
  for (std::string op : {"add", "sub", "mul", "div", "max", "min", "pow"})
    add(op, "f64", "5x19x", "%a, %b");
  for (std::string type : {"i32", "i64"}) {
    for (std::string op : {"neg", "abs"})
      add(op, type, "3x37x", "%a");
    for (std::string op : {"add", "sub", "mul", "max", "min"})
      add(op, type, "3x37x", "%a, %b");
  }
  for (std::string op : {"and", "or"})
    add(op, "i1", "3x37x", "%a, %b");
  add("not", "i1", "3x37x", "%a");
  // Shapes: one element, a scalar, a vector, more than a chunk.
  for (std::string shape :
       {"1x", "", "8x", "16x", "17x", "1x1x5x1x", "9000x", "2x8205x"})
    add("exp", "f32", shape, "%a");
  return cases;
}

std::vector<OperationCase> tpc::test::conversionCases() {
  std::vector<OperationCase> cases;
  std::vector<std::string> types = {"f32", "f64", "bf16", "f16",
                                    "i32", "i64", "i1"};
  for (const std::string &from : types)
    for (const std::string &to : types)
      if (from != to) {
        std::string a = "tensor<2x21x" + from + ">",
                    r = "tensor<2x21x" + to + ">";
        cases.push_back({"convert_" + from + "_" + to, "%a: " + a, r,
                         "%r = tpc.convert %a : (" + a + ") -> " + r + " => %r",
                         from == "f64" ? toleranceOf(to) : 0});
      }
  for (std::string type : {"f32", "bf16", "i32", "i64"})
    for (std::string predicate : {"eq", "ne", "lt", "le", "gt", "ge"}) {
      std::string t = "tensor<2x21x" + type + ">";
      cases.push_back(
          {"compare_" + predicate + "_" + type, "%a: " + t + ", %b: " + t, t,
           "%c = tpc.compare " + predicate + " %a, %b : (" + t + ", " + t +
               ") -> tensor<2x21xi1>\n%r = tpc.select %c, %a, %b : "
               "(tensor<2x21xi1>, " +
               t + ", " + t + ") -> " + t + " => %r",
           0});
    }
  return cases;
}

std::vector<OperationCase> tpc::test::reductionCases() {
  std::vector<OperationCase> cases;
  auto add = [&](std::string shape, std::string type, std::string dims,
                 std::string result) {
    for (std::string kind : {"sum", "max", "min"}) {
      std::string t = "tensor<" + shape + type + ">";
      std::string r = "tensor<" + result + type + ">";
      cases.push_back(
          {"reduce_" + kind + "_" + type + "_" +
               replaced(shape + "over" + replaced(dims, ", ", ""), "x", "_"),
           "%a: " + t, r,
           "%r = tpc.reduce " + kind + " %a dims [" + dims + "] : (" + t +
               ") -> " + r + " => %r",
           10 * toleranceOf(type)}); // terms may cancel
    }
  };
  for (std::string type : {"f32", "bf16", "f16", "f64", "i32", "i64"}) {
    add("3x100x", type, "1", "3x");
    add("3x37x", type, "0", "37x");
  }
  add("7x", "f32", "0", "");
  add("2x3x4x5x", "f32", "0, 1, 2, 3", "");
  add("2x3x4x17x", "f32", "1, 3", "2x4x");
  add("2x3x4x17x", "f32", "2, 3", "2x3x");
  add("2x3x4x17x", "f32", "0, 2", "3x17x");
  add("5x1x", "f32", "1", "5x");
  return cases;
}

std::vector<OperationCase> tpc::test::movementCases() {
  std::vector<OperationCase> cases;
  for (std::string e : {"f32", "bf16", "i64", "i1"}) {
    auto t = [&](std::string shape) { return "tensor<" + shape + e + ">"; };
    auto one = [&](std::string name, std::string from, std::string to,
                   std::string op) {
      cases.push_back(
          {name + "_" + e, "%a: " + t(from), t(to),
           "%r = tpc." + op + " : (" + t(from) + ") -> " + t(to) + " => %r",
           0});
    };
    one("transpose2", "5x19x", "19x5x", "transpose %a [1, 0]");
    one("transpose4", "2x3x4x18x", "2x4x3x18x", "transpose %a [0, 2, 1, 3]");
    one("transpose_big", "33x70x", "70x33x", "transpose %a [1, 0]");
    one("broadcast_rows", "19x", "5x19x", "broadcast %a dims [1]");
    one("broadcast_columns", "5x", "5x19x", "broadcast %a dims [0]");
    one("broadcast_ones", "1x5x1x", "3x5x7x", "broadcast %a dims [0, 1, 2]");
    one("broadcast_scalar", "", "3x5x", "broadcast %a dims []");
    one("slice_inner", "5x40x", "3x21x", "slice %a [1, 7]");
    one("slice_outer", "5x19x", "2x19x", "slice %a [2, 0]");
    one("slice_middle", "2x5x19x", "2x2x19x", "slice %a [0, 1, 0]");
    one("pad", "3x17x", "6x30x", "pad %a low [1, 4] with 1.0");
    one("pad_outer", "2x3x17x", "2x5x17x", "pad %a low [0, 2, 0] with 0.0");
    one("reshape", "6x4x", "3x8x", "reshape %a");
    cases.push_back(
        {"concat_inner_" + e,
         "%a: " + t("3x5x") + ", %b: " + t("3x20x") + ", %c: " + t("3x1x"),
         t("3x26x"),
         "%r = tpc.concat %a, %b, %c dim 1 : (" + t("3x5x") + ", " +
             t("3x20x") + ", " + t("3x1x") + ") -> " + t("3x26x") + " => %r",
         0});
    cases.push_back({"concat_outer_" + e,
                     "%a: " + t("3x20x") + ", %b: " + t("1x20x"), t("4x20x"),
                     "%r = tpc.concat %a, %b dim 0 : (" + t("3x20x") + ", " +
                         t("1x20x") + ") -> " + t("4x20x") + " => %r",
                     0});
    // More operands than are all computed: some bounds are multiples of a
    // vector, some are not; what is computed differs from part to part.
    for (bool inner : {true, false}) {
      if (e == "i1")
        continue; // has no sums
      std::string arguments, body, operands, types;
      int total = 0;
      for (int size : {16, 8, 3, 13, 32, 48, 5, 11, 64, 1}) {
        std::string n = std::to_string(size),
                    type = t(inner ? "3x" + n + "x" : n + "x7x"),
                    comma = total ? ", " : "";
        arguments += comma + "%a" + n + ": " + type;
        body += "%b" + n + " = tpc.add %a" + n + ", %a" + n + " : (" + type +
                ", " + type + ") -> " + type + "\n";
        operands += comma + (size % 2 ? "%a" : "%b") + n;
        types += comma + type;
        total += size;
      }
      std::string n = std::to_string(total),
                  result = t(inner ? "3x" + n + "x" : n + "x7x");
      cases.push_back(
          {(inner ? "concat_many_inner_" : "concat_many_outer_") + e, arguments,
           result,
           body + "%r = tpc.concat " + operands + " dim " +
               (inner ? "1" : "0") + " : (" + types + ") -> " + result +
               " => %r",
           0});
    }
    for (std::string index : {"i32", "i64"}) {
      std::string i = "tensor<2x3x" + index + ">";
      cases.push_back({"gather_outer_" + e + "_" + index,
                       "%a: " + t("4x19x") + ", %i: " + i, t("2x3x19x"),
                       "%r = tpc.gather %a, %i dim 0 : (" + t("4x19x") + ", " +
                           i + ") -> " + t("2x3x19x") + " => %r",
                       0});
      cases.push_back({"gather_inner_" + e + "_" + index,
                       "%a: " + t("5x4x") + ", %i: " + i, t("5x2x3x"),
                       "%r = tpc.gather %a, %i dim 1 : (" + t("5x4x") + ", " +
                           i + ") -> " + t("5x2x3x") + " => %r",
                       0});
      std::string s = "tensor<2x" + index + ">";
      cases.push_back({"dynamic_slice_" + e + "_" + index,
                       "%a: " + t("5x40x") + ", %s: " + s, t("3x21x"),
                       "%r = tpc.dynamic_slice %a, %s : (" + t("5x40x") + ", " +
                           s + ") -> " + t("3x21x") + " => %r",
                       0});
      cases.push_back(
          {"update_slice_" + e + "_" + index,
           "%a: " + t("5x40x") + ", %u: " + t("3x21x") + ", %s: " + s,
           t("5x40x"),
           "%r = tpc.update_slice %a, %u, %s : (" + t("5x40x") + ", " +
               t("3x21x") + ", " + s + ") -> " + t("5x40x") + " => %r",
           0});
      std::string rows = "tensor<3x2x" + index + ">";
      cases.push_back(
          {"update_slice_per_row_" + e + "_" + index,
           "%a: " + t("3x5x40x") + ", %u: " + t("3x2x21x") + ", %s: " + rows,
           t("3x5x40x"),
           "%r = tpc.update_slice %a, %u, %s : (" + t("3x5x40x") + ", " +
               t("3x2x21x") + ", " + rows + ") -> " + t("3x5x40x") + " => %r",
           0});
      // The only dimension of several elements has a start for each.
      std::string elements = "tensor<19x1x" + index + ">";
      cases.push_back(
          {"update_slice_per_element_" + e + "_" + index,
           "%a: " + t("19x3x") + ", %u: " + t("19x1x") + ", %s: " + elements,
           t("19x3x"),
           "%r = tpc.update_slice %a, %u, %s : (" + t("19x3x") + ", " +
               t("19x1x") + ", " + elements + ") -> " + t("19x3x") + " => %r",
           0});
    }
  }
  for (std::string e : {"f32", "bf16", "i64"}) {
    auto t = [&](std::string shape) { return "tensor<" + shape + e + ">"; };
    for (std::string index : {"i32", "i64"}) {
      std::string i = "tensor<7x" + index + ">";
      auto scatter = [&](std::string name, std::string shape,
                         std::string update, std::string dim) {
        cases.push_back(
            {name + "_" + e + "_" + index,
             "%a: " + t(shape) + ", %i: " + i + ", %u: " + t(update), t(shape),
             "%r = tpc.scatter_add %a, %i, %u dim " + dim + " : (" + t(shape) +
                 ", " + i + ", " + t(update) + ") -> " + t(shape) + " => %r",
             toleranceOf(e)});
      };
      scatter("scatter_outer", "4x19x", "7x19x", "0");
      scatter("scatter_inner", "5x4x", "5x7x", "1");
      scatter("scatter_middle", "2x4x18x", "2x7x18x", "1");
    }
    std::string p = "tensor<3x37xi32>";
    for (std::string order : {"", " descending"})
      cases.push_back({"sort" + replaced(order, " ", "_") + "_" + e,
                       "%a: " + t("3x37x"), t("3x37x") + ", " + p,
                       "%v, %p = tpc.sort %a" + order + " : (" + t("3x37x") +
                           ") -> (" + t("3x37x") + ", " + p + ") => %v, %p",
                       0});
    for (std::string k : {"1", "5", "37"})
      cases.push_back({"top_" + k + "_" + e, "%a: " + t("3x37x"),
                       t("3x" + k + "x") + ", tensor<3x" + k + "xi64>",
                       "%v, %p = tpc.top_k %a : (" + t("3x37x") + ") -> (" +
                           t("3x" + k + "x") + ", tensor<3x" + k +
                           "xi64>) => %v, %p",
                       0});
  }
  for (std::string e : {"f32", "bf16", "i32", "i64"})
    for (std::string dim : {"0", "1", "2"})
      cases.push_back(
          {"iota_" + e + "_" + dim, "", "tensor<2x5x19x" + e + ">",
           "%r = tpc.iota dim " + dim + " : tensor<2x5x19x" + e + "> => %r",
           0});
  cases.push_back(
      {"constant", "%a: tensor<3xf32>", "tensor<3xf32>",
       "%c = tpc.constant dense<[1.0, 2.0, -3.0]> : tensor<3xf32> : "
       "tensor<3xf32>\n%r = tpc.add %a, %c : (tensor<3xf32>, "
       "tensor<3xf32>) -> tensor<3xf32> => %r"});
  return cases;
}

std::vector<OperationCase> tpc::test::compositeCases() {
  std::vector<OperationCase> cases;
  for (std::string e : {"f32", "bf16"})
    for (std::string n : {"5", "16", "100", "9000", "20000"}) {
      std::string t = "tensor<3x" + n + "x" + e + ">",
                  v = "tensor<" + n + "x" + e + ">";
      cases.push_back({"softmax_" + n + "_" + e, "%a: " + t, t,
                       "%r = tpc.softmax %a : (" + t + ") -> " + t + " => %r",
                       toleranceOf(e)});
      cases.push_back({"layer_norm_" + n + "_" + e,
                       "%a: " + t + ", %w: " + v + ", %b: " + v, t,
                       "%r = tpc.layer_norm %a, %w, %b epsilon 1.0e-5 : (" + t +
                           ", " + v + ", " + v + ") -> " + t + " => %r",
                       e == "f32" ? 1e-5 : 8e-3});
      // The sum is an output, too, and read again in every pass.
      cases.push_back(
          {"residual_norm_" + n + "_" + e,
           "%a: " + t + ", %x: " + t + ", %w: " + v + ", %b: " + v,
           t + ", " + t,
           "%s = tpc.add %a, %x : (" + t + ", " + t + ") -> " + t +
               "\n%r = tpc.layer_norm %s, %w, %b epsilon 1.0e-5 : (" + t +
               ", " + v + ", " + v + ") -> " + t + " => %r, %s",
           e == "f32" ? 1e-5 : 8e-3});
    }
  for (std::string e : {"f32", "bf16"}) {
    std::string t = "tensor<3x37x" + e + ">";
    cases.push_back({"silu_" + e, "%a: " + t, t,
                     "%r = tpc.silu %a : (" + t + ") -> " + t + " => %r",
                     toleranceOf(e)});
    for (std::string n : {"5", "16", "9000"}) {
      std::string logits = "tensor<3x" + n + "x" + e + ">";
      cases.push_back({"cross_entropy_" + n + "_" + e,
                       "%a: " + logits + ", %l: tensor<3xi64>", "tensor<3xf32>",
                       "%r = tpc.cross_entropy %a, %l : (" + logits +
                           ", tensor<3xi64>) -> tensor<3xf32> => %r",
                       1e-5});
      std::string x = "tensor<3x" + n + "x" + e + ">",
                  v = "tensor<" + n + "x" + e + ">";
      cases.push_back({"rms_norm_" + n + "_" + e, "%a: " + x + ", %w: " + v, x,
                       "%r = tpc.rms_norm %a, %w epsilon 1.0e-5 : (" + x +
                           ", " + v + ") -> " + x + " => %r",
                       e == "f32" ? 1e-5 : 8e-3});
    }
    for (std::string form : {"halves", "pairs"})
      for (std::string d : {"38", "64", "71"}) {
        std::string x = "tensor<2x3x5x" + d + "x" + e + ">";
        std::string half = d == "64" ? "32" : "19";
        std::string f = "tensor<" + half + "xf32>";
        cases.push_back({"rope_" + form + "_" + d + "_" + e,
                         "%a: " + x + ", %p: tensor<2x3xi64>, %f: " + f, x,
                         "%r = tpc.rope " + form + " %a, %p, %f scale 1.5 : (" +
                             x + ", tensor<2x3xi64>, " + f + ") -> " + x +
                             " => %r",
                         e == "f32" ? 1e-5 : 8e-3});
      }
  }
  for (std::string form : {"erf", "tanh"})
    cases.push_back({"gelu_" + form, "%a: tensor<3x37xf32>", "tensor<3x37xf32>",
                     "%r = tpc.gelu " + form +
                         " %a : (tensor<3x37xf32>) -> tensor<3x37xf32> => %r"});
  return cases;
}
