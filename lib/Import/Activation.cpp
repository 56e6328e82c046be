//===- Activation.cpp - Activation functions by name ----------------------===//

#include "Activation.h"
#include "mlir/IR/Diagnostics.h"
#include <cmath>

using namespace mlir;
using namespace tpc;

/// transformers' names; some differ only in how they are computed.
static constexpr std::pair<StringRef, Activation> kActivations[] = {
    {"silu", Activation::Silu},
    {"swish", Activation::Silu},
    {"gelu", Activation::Gelu},
    {"gelu_python", Activation::Gelu},
    {"gelu_new", Activation::GeluTanh},
    {"gelu_fast", Activation::GeluTanh},
    {"gelu_accurate", Activation::GeluTanh},
    {"gelu_pytorch_tanh", Activation::GeluTanh},
    {"gelu_python_tanh", Activation::GeluTanh},
    {"gelu_10", Activation::GeluClipped},
    {"quick_gelu", Activation::QuickGelu},
    {"relu", Activation::Relu},
    {"relu2", Activation::ReluSquared},
    {"relu6", Activation::Relu6},
    {"leaky_relu", Activation::LeakyRelu},
    {"hardswish", Activation::HardSwish},
    {"mish", Activation::Mish},
    {"sqrtsoftplus", Activation::SqrtSoftplus},
    {"laplace", Activation::Laplace},
    {"sigmoid", Activation::Sigmoid},
    {"tanh", Activation::Tanh},
    {"linear", Activation::Linear},
};

FailureOr<Activation> tpc::parseActivation(const ModelConfig &config,
                                           StringRef key, StringRef name) {
  for (auto [known, activation] : kActivations)
    if (known == name)
      return activation;
  auto error = config.error() << "key \"" << key << "\": expected one of ";
  llvm::interleaveComma(kActivations, error,
                        [&](const auto &known) { error << known.first; });
  return error << ", found \"" << name << "\"";
}

/// ln(1 + e^x), as max(x, 0) + ln(1 + e^-|x|), which does not overflow.
static Value softplus(GraphBuilder &g, Value x) {
  return g.add(g.relu(x), g.log(g.shifted(g.exp(g.scaled(g.abs(x), -1)), 1)));
}

Value tpc::applyActivation(GraphBuilder &g, Activation activation, Value x) {
  switch (activation) {
  case Activation::Silu:
    return g.silu(x);
  case Activation::Gelu:
    return g.gelu(x, GeluForm::Erf);
  case Activation::GeluTanh:
    return g.gelu(x, GeluForm::Tanh);
  case Activation::GeluClipped:
    return g.clamped(g.gelu(x, GeluForm::Erf), -10, 10);
  case Activation::QuickGelu:
    return g.mul(x, g.sigmoid(g.scaled(x, 1.702)));
  case Activation::Relu:
    return g.relu(x);
  case Activation::ReluSquared: {
    Value y = g.relu(x);
    return g.mul(y, y);
  }
  case Activation::Relu6:
    return g.clamped(x, 0, 6);
  case Activation::LeakyRelu:
    return g.max(x, g.scaled(x, 0.01));
  case Activation::HardSwish:
    return g.scaled(g.mul(x, g.clamped(g.shifted(x, 3), 0, 6)), 1.0 / 6);
  case Activation::Mish:
    return g.mul(x, g.tanh(softplus(g, x)));
  case Activation::SqrtSoftplus:
    return g.sqrt(softplus(g, x));
  case Activation::Laplace: {
    double mu = 0.707107, sigma = 0.282095;
    Value scaled = g.scaled(g.shifted(x, -mu), 1 / (sigma * std::sqrt(2.0)));
    return g.scaled(g.shifted(g.erf(scaled), 1), 0.5);
  }
  case Activation::Sigmoid:
    return g.sigmoid(x);
  case Activation::Tanh:
    return g.tanh(x);
  case Activation::Linear:
    return x;
  }
  llvm_unreachable("all activations are handled");
}
