//===- Activation.cpp - Activations by their names in config.json ---------===//

#include "Activation.h"
#include <cmath>

using namespace mlir;
using namespace tpc;
using Graph = GraphBuilder;

//===----------------------------------------------------------------------===//
// Functions
//===----------------------------------------------------------------------===//

static Value like(Graph &g, Value x, double value) {
  return g.constant(value, Graph::shapeOf(x), Graph::elementOf(x));
}

static Value identity(Graph &g, Value x) { return x; }
static Value tanh(Graph &g, Value x) { return g.tanh(x); }
static Value relu(Graph &g, Value x) { return g.relu(x); }
static Value silu(Graph &g, Value x) { return g.silu(x); }
static Value geluErf(Graph &g, Value x) { return g.gelu(x, GeluForm::Erf); }
static Value geluTanh(Graph &g, Value x) { return g.gelu(x, GeluForm::Tanh); }

/// x sigmoid(1.702 x)
static Value quickGelu(Graph &g, Value x) {
  return g.mul(g.silu(g.mul(x, like(g, x, 1.702))), like(g, x, 1 / 1.702));
}

static Value clippedGelu(Graph &g, Value x) {
  return g.min(g.max(geluErf(g, x), like(g, x, -10)), like(g, x, 10));
}

static Value squaredRelu(Graph &g, Value x) {
  Value r = g.relu(x);
  return g.mul(r, r);
}

static Value relu6(Graph &g, Value x) {
  return g.min(g.relu(x), like(g, x, 6));
}

static Value leakyRelu(Graph &g, Value x) {
  return g.max(x, g.mul(x, like(g, x, 0.01)));
}

/// (1 + tanh(x / 2)) / 2
static Value sigmoid(Graph &g, Value x) {
  Value half = like(g, x, 0.5);
  return g.mul(g.add(g.tanh(g.mul(x, half)), like(g, x, 1)), half);
}

/// x relu6(x + 3) / 6
static Value hardswish(Graph &g, Value x) {
  return g.mul(g.mul(x, relu6(g, g.add(x, like(g, x, 3)))),
               like(g, x, 1.0 / 6));
}

/// ln(1 + e^x), as max(x, 0) + ln(1 + e^-|x|), which does not overflow.
static Value softplus(Graph &g, Value x) {
  Value small = g.exp(g.mul(g.abs(x), like(g, x, -1)));
  return g.add(g.relu(x), g.log(g.add(small, like(g, x, 1))));
}

static Value mish(Graph &g, Value x) {
  return g.mul(x, g.tanh(softplus(g, x)));
}

static Value rootOfSoftplus(Graph &g, Value x) {
  return g.sqrt(softplus(g, x));
}

/// (1 + erf((x - mu) / (sigma sqrt 2))) / 2
static Value laplace(Graph &g, Value x) {
  Value scaled = g.mul(g.add(x, like(g, x, -0.707107)),
                       like(g, x, 1 / (0.282095 * std::sqrt(2.0))));
  return g.mul(g.add(g.erf(scaled), like(g, x, 1)), like(g, x, 0.5));
}

//===----------------------------------------------------------------------===//
// Names
//===----------------------------------------------------------------------===//

namespace {
struct NamedActivation {
  StringRef name;
  Activation function;
};
} // namespace

/// All of transformers' without parameters of their own.
static const NamedActivation kActivations[] = {
    {"gelu", geluErf},
    {"gelu_10", clippedGelu},
    {"gelu_accurate", geluTanh},
    {"gelu_fast", geluTanh},
    {"gelu_new", geluTanh},
    {"gelu_python", geluErf},
    {"gelu_python_tanh", geluTanh},
    {"gelu_pytorch_tanh", geluTanh},
    {"hardswish", hardswish},
    {"laplace", laplace},
    {"leaky_relu", leakyRelu},
    {"linear", identity},
    {"mish", mish},
    {"quick_gelu", quickGelu},
    {"relu", relu},
    {"relu2", squaredRelu},
    {"relu6", relu6},
    {"sigmoid", sigmoid},
    {"silu", silu},
    {"sqrtsoftplus", rootOfSoftplus},
    {"swish", silu},
    {"tanh", tanh},
};

Activation tpc::findActivation(StringRef name) {
  for (const NamedActivation &activation : kActivations)
    if (activation.name == name)
      return activation.function;
  return nullptr;
}

FailureOr<Activation> tpc::readActivation(const ModelConfig &config,
                                          StringRef key, StringRef fallback) {
  auto name = config.text(key, fallback.str());
  if (failed(name))
    return failure();
  if (Activation found = findActivation(*name))
    return found;
  auto error = config.error() << "key \"" << key << "\": expected one of ";
  llvm::interleaveComma(kActivations, error,
                        [&](const NamedActivation &a) { error << a.name; });
  return error << "; found \"" << *name << "\"";
}
