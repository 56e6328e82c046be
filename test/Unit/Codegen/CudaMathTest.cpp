// Accuracy of functions whose code for a GPU is not the CPU's, in f32 and in
// units in the last place, against the C library in f64. The simulator's exp2
// is exact, a GPU's is wrong by up to two units.
#include "CompileAndRun.h"
#include "KernelSimulator.h"
#include "tpc/Codegen/CudaImage.h"
#include <cmath>

using namespace mlir;
using namespace tpc;
using namespace tpc::test;

namespace {

class CudaMath : public CompileAndRun {
protected:
  std::vector<float> evaluate(std::string op, std::vector<float> x) {
    std::string t = "tensor<" + std::to_string(x.size()) + "xf32>";
    plan("tpc.mesh @mesh <\"tp\" = 1>\nfunc.func @main(%x: " + t + ") -> " + t +
         " {\n %r = tpc." + op + " %x : (" + t + ") -> " + t +
         "\n return %r : " + t + "\n}\n");
    CudaModule module(*planned);
    CudaLaunch launch =
        *module.add(*planned->getOps<plan::KernelFuncOp>().begin());
    auto image = module.compile(*findCudaKind("sm_80-bitcode"));
    std::string error;
    auto kernels =
        simulator::KernelModule::load(image->data(), image->size(), error);
    EXPECT_EQ(error, "");
    std::vector<float> from(x.size() + 4), to(x.size() + 4);
    auto aligned = [](std::vector<float> &buffer) {
      return reinterpret_cast<float *>(
          llvm::alignAddr(buffer.data(), llvm::Align(16)));
    };
    std::copy(x.begin(), x.end(), aligned(from));
    void *buffers[] = {aligned(from), aligned(to)};
    EXPECT_EQ(
        kernels->launch(launch.symbol, launch.blocks, launch.threads, buffers),
        "");
    return {aligned(to), aligned(to) + x.size()};
  }

  double worstError(std::string op, double low, double high,
                    double (*exact)(double)) {
    const int n = 50000;
    std::vector<float> x;
    for (int i = 0; i < n; ++i)
      x.push_back(float(low + (high - low) * i / (n - 1)));
    std::vector<float> y = evaluate(op, x);
    double worst = 0;
    for (int i = 0; i < n; ++i) {
      double e = exact(x[i]);
      double unit = std::ldexp(1.0, std::max(std::ilogb(e), -126) - 23);
      worst = std::max(worst, std::abs(y[i] - e) / unit);
    }
    return worst;
  }
};

TEST_F(CudaMath, Exp) {
  EXPECT_LE(worstError("exp", -86.9, 88.72, std::exp), 2.0);
  EXPECT_LE(worstError("exp", -1e-3, 1e-3, std::exp), 1.1);
  constexpr float infinity = std::numeric_limits<float>::infinity();
  std::vector<float> y = evaluate(
      "exp", {0, infinity, -infinity, 89, 1000, -88, -1000, std::nanf("")});
  EXPECT_EQ(y[0], 1);
  EXPECT_EQ(y[1], infinity);
  EXPECT_EQ(y[2], 0);
  EXPECT_EQ(y[3], infinity);
  EXPECT_EQ(y[4], infinity);
  EXPECT_EQ(y[5], 0);
  EXPECT_EQ(y[6], 0);
  EXPECT_TRUE(std::isnan(y[7]));
}

TEST_F(CudaMath, WhatIsMadeOfExp) {
  EXPECT_LE(worstError("tanh", -10, 10, std::tanh), 2.0);
  EXPECT_LE(worstError("erf", -4, 4, std::erf), 2.0);
}

} // namespace
