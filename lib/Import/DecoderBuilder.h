//===- DecoderBuilder.h - Builds an entry of a decoder ----------*- C++ -*-===//
//
// One class in three files: the entries and what is around the layers' parts
// (Decoder.cpp), attention (DecoderAttention.cpp), MLP and experts
// (DecoderMlp.cpp). Dimensions: b rows, s tokens of a row, t keys, e hidden,
// k key heads, g query heads for each, d elements of a head, f width of an MLP,
// v vocabulary, x experts, c chosen ones.
//
//===----------------------------------------------------------------------===//

#ifndef TPC_LIB_IMPORT_DECODERBUILDER_H
#define TPC_LIB_IMPORT_DECODERBUILDER_H

#include "Decoder.h"

namespace tpc {

class DecoderBuilder {
public:
  DecoderBuilder(GraphBuilder &graph, const DecoderConfig &config,
                 const ImportOptions &options)
      : g(graph), family(config.family), config(config), options(options),
        batch(options.batch), context(*options.context),
        i64(graph.raw().getI64Type()), f32(graph.raw().getF32Type()) {}

  void prefill();
  void decode();
  void step();

private:
  using Value = mlir::Value;
  using Shape = llvm::ArrayRef<int64_t>;
  using StringRef = llvm::StringRef;

  // Around the layers' parts -------------------------------------------------
  /// The logits of `tokens`.
  Value build(Value tokens);
  Value embedded(Value tokens);
  Value wordTable();
  Value decoderLayer(Value x, int64_t layer);
  Value logits(Value x);
  /// Each row's last token: [b, s, e] to [b, e].
  Value lastTokens(Value x);
  /// x plus a layer's attention or MLP, under the name of its last projection.
  Value sum(Value x, Value change, const std::string &name);

  /// The stored name of a family's tensor in a layer.
  static std::string stored(StringRef pattern, int64_t layer);
  /// The norm of that name over the last dimension; x itself, if the name is
  /// empty.
  Value norm(Value x, const std::string &name, const NormStyle &style,
             double epsilon);
  Value norm(Value x, StringRef pattern, int64_t layer);
  /// A matrix, or a part of one, and whether there is a bias.
  struct Projection {
    std::string name;
    bool bias = false;
    GraphBuilder::Part part = {};
  };
  /// x W, plus a bias; W is [in..., out...].
  Value project(Value x, const Projection &projection, Shape in, Shape out,
                StringRef equation);
  /// A vector of ones or zeros.
  Value filled(double value, int64_t size);

  // Attention ----------------------------------------------------------------
  /// What attention gives for h [b, s, e]: [b, s, e].
  Value attention(Value h, int64_t layer);
  Value latentAttention(Value h, int64_t layer);
  struct Heads {
    Value query, key, value;
  };
  /// query [b, s, k, g, d], key and value [b, s, k, d], before rotation.
  Heads heads(Value h, int64_t layer);
  /// Each head normalized, in the families that do so; x is [b, s, heads...,
  /// d].
  Value headNorm(Value x, StringRef pattern, int64_t layer);
  Value clipped(Value x);
  Value turned(Value x, int64_t layer);
  /// The frequencies of a rotary table, for this call's longest row.
  Value frequencies(const RopeFrequencies &rope);
  /// ALiBi's [1, k, g, 1, t]; null in families without it.
  Value alibi(int64_t keys);
  /// Puts new keys or values [b, s, k, d] into a cache; gives what this call
  /// sees of it, [b, t, k, d]. In training there is none.
  Value cached(const std::string &name, Value fresh);
  GraphBuilder::Visible visible(int64_t layer);

  // MLP ----------------------------------------------------------------------
  /// What the MLP or the experts give for h [b, s, e]: [b, s, e].
  Value feedForward(Value h, int64_t layer);
  struct MlpNames {
    StringRef gate, up, down, gateUp = {};
  };
  Value mlp(Value h, const MlpNames &names, int64_t width, int64_t layer);
  Value experts(Value h, int64_t layer);
  /// Scores and numbers of the chosen experts, [b, s, c].
  std::pair<Value, Value> route(Value h, int64_t layer);
  std::pair<Value, Value> chooseBySigmoid(Value logits, int64_t layer);
  /// Scores for choosing, -inf in all but the best groups.
  Value ofBestGroups(Value scores);
  Value separateExperts(Value h, Value choices, Value scores, int64_t layer);
  Value stackedExperts(Value h, Value choices, Value scores, int64_t layer);
  /// sum over c of scores[c] * rows[.., c, :]
  Value mixed(Value rows, Value scores);

  GraphBuilder &g;
  const DecoderFamily &family;
  const DecoderConfig &config;
  const ImportOptions &options;
  int64_t batch, context, length = 1;
  mlir::Type i64, f32;
  bool decoding = false, training = false;
  /// Of every token [b, s]; of decode's token [b]; prefill's lengths [b].
  Value positions, rowPositions, lengths;
  Value cacheStart, alibiBias;
  /// Of every rotary table.
  llvm::SmallVector<Value> tables;
};

} // namespace tpc

#endif // TPC_LIB_IMPORT_DECODERBUILDER_H
