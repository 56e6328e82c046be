//===- Activation.cpp - Activation functions by name ----------------------===//

#include "Activation.h"
#include "mlir/IR/Diagnostics.h"

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
    {"quick_gelu", Activation::QuickGelu},
    {"relu", Activation::Relu},
    {"relu2", Activation::ReluSquared},
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

Value tpc::applyActivation(GraphBuilder &g, Activation activation, Value x) {
  switch (activation) {
  case Activation::Silu:
    return g.silu(x);
  case Activation::Gelu:
    return g.gelu(x, GeluForm::Erf);
  case Activation::GeluTanh:
    return g.gelu(x, GeluForm::Tanh);
  case Activation::QuickGelu:
    return g.mul(x, g.sigmoid(g.scaled(x, 1.702)));
  case Activation::Relu:
    return g.relu(x);
  case Activation::ReluSquared: {
    Value y = g.relu(x);
    return g.mul(y, y);
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
