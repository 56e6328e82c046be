//===- LayerStack.h - Layers of attention and MLP ---------------*- C++ -*-===//
//
// The layers that encoders and encoder-decoders are made of. What differs
// between families is data: where norms stand and which kind they are, which
// projections have biases, and the names of stored tensors.
//
//   norms after the sum (BERT)          norms before a part (ViT, T5, Whisper)
//     x = norm(x + attention(x))          x = x + attention(norm(x))
//     x = norm(x + mlp(x))                x = x + mlp(norm(x))
//
// Names of stored tensors are without ".weight" and ".bias"; "{}" stands for
// the layer.
//
//===----------------------------------------------------------------------===//

#ifndef TPC_LIB_IMPORT_LAYERSTACK_H
#define TPC_LIB_IMPORT_LAYERSTACK_H

#include "Activation.h"

namespace tpc {

enum class NormPlace { AfterSum, BeforePart };
enum class StackNorm {
  Layer,         ///< centered, with a weight and a bias
  RootMeanSquare ///< with a weight
};

struct AttentionNames {
  llvm::StringRef query, key, value, output, norm;
};

/// What all models of a family have in common.
struct LayerForm {
  NormPlace place;
  StackNorm norm;
  AttentionNames self;
  /// The MLP: down(act(up x)), or down(act(gate x) * gatedUp x) where the
  /// configuration says so.
  llvm::StringRef up, down, mlpNorm;
  llvm::StringRef gate = {}, gatedUp = {};
  /// Attention to an encoder's output, between the two.
  AttentionNames cross = {};
};

/// What a configuration says.
struct LayerSizes {
  int64_t hidden = 0, layers = 0, heads = 0, headDim = 0, intermediate = 0;
  double epsilon = 0;
  /// What queries times keys are multiplied by.
  double scale = 1;
  Activation activation = Activation::Gelu;
  bool gated = false;
  struct {
    bool query = true, key = true, value = true, output = true, mlp = true;
  } biases;
};

/// Reads the sizes under a family's names of them; emits an error for what is
/// missing or does not fit.
struct LayerKeys {
  llvm::StringRef hidden, layers, heads, intermediate, activation;
  /// Empty, or not there: the defaults; a `headDim` of 0 is hidden / heads.
  llvm::StringRef epsilon = {};
  double defaultEpsilon = 1e-12;
  llvm::StringRef headDim = {};
  int64_t defaultHeadDim = 0;
};
mlir::FailureOr<LayerSizes> readLayerSizes(const ModelConfig &config,
                                           const LayerKeys &keys,
                                           llvm::StringRef defaultActivation);

class LayerStack {
public:
  /// `prefix` stands before all names.
  LayerStack(GraphBuilder &graph, const LayerForm &form,
             const LayerSizes &sizes, llvm::StringRef prefix)
      : g(graph), form(form), sizes(sizes), prefix(prefix) {}

  /// One layer without cross attention: x [b, s, e].
  mlir::Value encoderLayer(mlir::Value x, const GraphBuilder::Visible &visible,
                           int64_t layer);

  using Part = llvm::function_ref<mlir::Value(mlir::Value)>;
  /// x and what `part`, which ends with the projection `output`, makes of it.
  mlir::Value withNorm(mlir::Value x, llvm::StringRef norm,
                       llvm::StringRef output, int64_t layer, Part part);
  struct KeysValues {
    mlir::Value keys, values; ///< [b, t, h, d]
  };
  KeysValues keysValues(mlir::Value x, const AttentionNames &names,
                        int64_t layer);
  /// What the queries of x see of them, projected: [b, s, e].
  mlir::Value attention(mlir::Value x, const KeysValues &seen,
                        const GraphBuilder::Visible &visible,
                        const AttentionNames &names, int64_t layer);
  /// x and its MLP.
  mlir::Value withMlp(mlir::Value x, int64_t layer);
  mlir::Value norm(mlir::Value x, llvm::StringRef pattern, int64_t layer = 0);

private:
  std::string stored(llvm::StringRef pattern, int64_t layer) const;
  /// x times W, plus a bias if there is one; W is [in..., out...].
  mlir::Value project(mlir::Value x, llvm::StringRef pattern, int64_t layer,
                      llvm::ArrayRef<int64_t> in, llvm::ArrayRef<int64_t> out,
                      bool bias, llvm::StringRef equation);
  mlir::Value mlp(mlir::Value x, int64_t layer);

  GraphBuilder &g;
  const LayerForm &form;
  const LayerSizes &sizes;
  std::string prefix;
};

/// "encoder.layer.{}.output" with the number of the layer.
std::string layerName(llvm::StringRef pattern, int64_t layer);

/// A norm over the last dimension, with the stored tensors NAME.weight and
/// NAME.bias (NAME.gamma and NAME.beta in old files).
mlir::Value storedNorm(GraphBuilder &graph, mlir::Value x,
                       const std::string &name, StackNorm kind, double epsilon);

/// 0 where a token of the mask [b, t] may be attended to, -inf where not:
/// [b, 1, 1, 1, t].
mlir::Value maskBias(GraphBuilder &graph, mlir::Value mask);

} // namespace tpc

#endif // TPC_LIB_IMPORT_LAYERSTACK_H
