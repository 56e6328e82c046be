// Accuracy of generated elementary functions in f32, against the C library in
// f64, and their special values. The bounds are those of
// lib/Codegen/VectorMath.h.
#include "CompileAndRun.h"
#include <cmath>
#include <limits>

using namespace tpc::test;

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

class Math : public CompileAndRun {
protected:
  /// Evaluates `op` on x (and y), in f32.
  std::vector<double> evaluate(std::string op, std::vector<double> x,
                               std::vector<double> y, std::string isa) {
    std::string t = "tensor<" + std::to_string(x.size()) + "xf32>";
    bool binary = !y.empty();
    compile("tpc.mesh @mesh <\"tp\" = 1>\nfunc.func @main(%x: " + t +
                ", %y: " + t + ") -> " + t + " {\n %r = tpc." + op +
                (binary ? " %x, %y : (" + t + ", " : " %x : (") + t + ") -> " +
                t + "\n return %r : " + t + "\n}\n",
            isa);
    if (HasFatalFailure())
      return {};
    mlir::Builder b(&context);
    int64_t n = x.size();
    auto a = tensor({n}, b.getF32Type(), std::move(x));
    auto c = binary ? tensor({n}, b.getF32Type(), std::move(y)) : a;
    return run({a, c})[0].data;
  }

  /// Largest error in units in the last place over [low, high].
  void checkAccuracy(std::string op, double low, double high,
                     double (*exact)(double), double bound) {
    for (std::string isa : {"", "avx2"}) {
      std::vector<double> x;
      const int n = 200003;
      for (int i = 0; i < n; ++i)
        x.push_back(float(low + (high - low) * i / (n - 1)));
      std::vector<double> y = evaluate(op, x, {}, isa);
      ASSERT_EQ(y.size(), x.size());
      double worst = 0, where = 0;
      for (int i = 0; i < n; ++i) {
        double e = exact(x[i]);
        double ulp = std::ldexp(
            1.0, std::max(std::ilogb(e == 0 ? 1e-45 : e), -126) - 23);
        double error = std::abs(y[i] - e) / ulp;
        if (error > worst)
          worst = error, where = x[i];
      }
      EXPECT_LE(worst, bound) << op << " at " << where << " " << isa;
      RecordProperty(op + isa, std::to_string(worst));
    }
  }

  void checkValues(std::string op, std::vector<double> x,
                   std::vector<double> expected, std::vector<double> y = {}) {
    for (std::string isa : {"", "avx2"}) {
      std::vector<double> found = evaluate(op, x, y, isa);
      ASSERT_EQ(found.size(), expected.size());
      for (size_t i = 0; i < x.size(); ++i)
        EXPECT_TRUE(found[i] == expected[i] ||
                    (std::isnan(found[i]) && std::isnan(expected[i])))
            << op << "(" << x[i] << "): expected " << expected[i] << ", found "
            << found[i];
    }
  }
};

TEST_F(Math, Exp) {
  checkAccuracy("exp", -87, 88.7, std::exp, 1.2);
  checkAccuracy("exp", -103, -87, std::exp, 1.2); // denormal results
  checkValues("exp", {-kInfinity, kInfinity, kNaN, 0, -104.5, 89, 1000, -1000},
              {0, kInfinity, kNaN, 1, 0, kInfinity, kInfinity, 0});
}

TEST_F(Math, Log) {
  checkAccuracy("log", 1e-3, 10, std::log, 1.0);
  checkAccuracy("log", 0.5, 2, std::log, 1.0);
  checkAccuracy("log", 1, 3e38, std::log, 1.0);
  checkValues("log", {0, 1, -1, kInfinity, kNaN, -kInfinity},
              {-kInfinity, 0, kNaN, kInfinity, kNaN, kNaN});
  EXPECT_NEAR(evaluate("log", {1e-40}, {}, "")[0], std::log(double(1e-40f)),
              1e-5);
}

TEST_F(Math, Tanh) {
  checkAccuracy("tanh", -10, 10, std::tanh, 1.5);
  checkAccuracy("tanh", -1, 1, std::tanh, 1.5);
  checkValues("tanh", {0, kInfinity, -kInfinity, kNaN, 100},
              {0, 1, -1, kNaN, 1});
}

TEST_F(Math, Erf) {
  checkAccuracy("erf", -5, 5, std::erf, 1.1);
  checkAccuracy("erf", -1e-3, 1e-3, std::erf, 1.1);
  checkValues("erf", {0, kInfinity, -kInfinity, kNaN, 20}, {0, 1, -1, kNaN, 1});
}

TEST_F(Math, SinAndCos) {
  checkAccuracy("sin", -10, 10, std::sin, 1.6);
  checkAccuracy("cos", -10, 10, std::cos, 1.6);
  checkAccuracy("sin", 1e5, 1e6, std::sin, 1.6);
  checkAccuracy("cos", 1e8, 1e9, std::cos, 1.6);
  checkValues("sin", {0, kInfinity, kNaN}, {0, kNaN, kNaN});
  checkValues("cos", {0, -kInfinity, kNaN}, {1, kNaN, kNaN});
}

TEST_F(Math, SquareRoots) {
  checkAccuracy("sqrt", 0, 1e6, std::sqrt, 0.5);
  checkAccuracy(
      "rsqrt", 1e-6, 1e6, [](double x) { return 1 / std::sqrt(x); }, 1.5);
  checkValues("rsqrt", {0, kInfinity, -1, 4}, {kInfinity, 0, kNaN, 0.5});
}

TEST_F(Math, Pow) {
  std::vector<double> x, y, expected;
  for (double a : {0.0, 0.5, 1.0, 2.0, 10.0, -1.0, -2.0, -0.5, kInfinity, kNaN})
    for (double b :
         {0.0, 1.0, 2.0, 3.0, -1.0, -2.0, 0.5, -0.5, 10.0, kInfinity, kNaN}) {
      x.push_back(a);
      y.push_back(b);
      expected.push_back(float(std::pow(a, b)));
    }
  checkValues("pow", x, expected, y);
}

/// NaN survives reductions and maxima; a row of -inf is no NaN.
TEST_F(Math, SpecialValuesInReductions) {
  compile(R"(
tpc.mesh @mesh <"tp" = 1>
func.func @main(%x: tensor<3x20xf32>) -> (tensor<3xf32>, tensor<3x20xf32>) {
  %m = tpc.reduce max %x dims [1] : (tensor<3x20xf32>) -> tensor<3xf32>
  %s = tpc.softmax %x : (tensor<3x20xf32>) -> tensor<3x20xf32>
  return %m, %s : tensor<3xf32>, tensor<3x20xf32>
}
)");
  ASSERT_FALSE(HasFatalFailure());
  std::vector<double> x(60, 0.0);
  x[3] = kNaN;
  std::fill(x.begin() + 20, x.begin() + 40, -kInfinity);
  mlir::Builder b(&context);
  auto outputs = run({tensor({3, 20}, b.getF32Type(), x)});
  EXPECT_TRUE(std::isnan(outputs[0].data[0]));
  EXPECT_EQ(outputs[0].data[1], -kInfinity);
  EXPECT_EQ(outputs[0].data[2], 0);
  EXPECT_EQ(outputs[1].data[25], 0);
  EXPECT_FLOAT_EQ(outputs[1].data[45], 0.05f);
}

} // namespace
