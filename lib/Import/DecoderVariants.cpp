//===- DecoderVariants.cpp - What single families have --------------------===//

#include "DecoderVariants.h"
#include "DecoderConfig.h"
#include "mlir/IR/Diagnostics.h"
#include <cmath>

using namespace mlir;
using namespace tpc;

/// A number that is off (0) where it is null, and `otherwise` where absent.
static FailureOr<double> numberOrOff(const ModelConfig &config, StringRef key,
                                     double otherwise) {
  return config.isNull(key) ? FailureOr<double>(0)
                            : config.number(key, otherwise);
}

/// A limit that is off (0) where it is null or absent, else above 0.
static FailureOr<double> limit(const ModelConfig &config, StringRef key,
                               double otherwise = 0) {
  auto value = numberOrOff(config, key, otherwise);
  if (succeeded(value) && *value < 0)
    return config.error() << "key \"" << key
                          << "\": expected a number above 0, found " << *value;
  return value;
}

static void scaleScores(DecoderConfig &result, double scale) {
  result.scales.assign(result.layers, scale);
}

//===----------------------------------------------------------------------===//
// Llama and those that kept its layers
//===----------------------------------------------------------------------===//

LogicalResult tpc::adjustQwenMoe(const ModelConfig &config,
                                 DecoderConfig &result) {
  auto step = config.size("decoder_sparse_step", 1);
  FailureOr<std::vector<double>> dense = std::vector<double>();
  if (config.has("mlp_only_layers"))
    dense = config.numbers("mlp_only_layers");
  if (failed(step) || failed(dense))
    return failure();
  for (int64_t layer = 0; layer < result.layers; ++layer)
    result.sparse[layer] =
        (layer + 1) % *step == 0 && !llvm::is_contained(*dense, double(layer));
  if (result.family.experts->sharedGate.empty())
    return success();
  auto shared = config.size("shared_expert_intermediate_size", 5632);
  if (failed(shared))
    return failure();
  result.experts.sharedWidth = *shared;
  return success();
}

LogicalResult tpc::adjustGranite(const ModelConfig &config,
                                 DecoderConfig &result) {
  auto embedding = config.number("embedding_multiplier", 1);
  auto residual = config.number("residual_multiplier", 1);
  auto attention = config.number("attention_multiplier", 1);
  auto logits = config.number("logits_scaling", 1);
  if (failed(embedding) || failed(residual) || failed(attention) ||
      failed(logits))
    return failure();
  if (*logits == 0)
    return config.error() << "key \"logits_scaling\": expected not 0, which "
                             "logits are divided by";
  result.embeddingScale = *embedding;
  result.residualScale = *residual;
  result.logitScale = 1 / *logits;
  scaleScores(result, *attention);
  return success();
}

/// Some layers do not turn; those are the ones that may have a window.
LogicalResult tpc::adjustSmolLm3(const ModelConfig &config,
                                 DecoderConfig &result) {
  auto period = config.size("no_rope_layer_interval", 4);
  if (failed(period))
    return failure();
  std::vector<double> turned(result.layers);
  for (int64_t layer = 0; layer < result.layers; ++layer)
    turned[layer] = (layer + 1) % *period != 0;
  if (config.has("no_rope_layers")) {
    auto given = config.numbers("no_rope_layers");
    if (failed(given))
      return failure();
    if (static_cast<int64_t>(given->size()) < result.layers)
      return config.error()
             << "key \"no_rope_layers\": expected " << result.layers
             << " layers, found " << given->size();
    turned = *given;
  }
  for (int64_t layer = 0; layer < result.layers; ++layer)
    if (turned[layer] == 0)
      result.ropeOfLayer[layer] = -1;
  if (!config.has("layer_types"))
    for (int64_t layer = 0; layer < result.layers; ++layer)
      if (turned[layer] != 0)
        result.windows[layer] = 0;
  return success();
}

LogicalResult tpc::adjustOlmo(const ModelConfig &config,
                              DecoderConfig &result) {
  auto clip = limit(config, "clip_qkv");
  if (failed(clip))
    return failure();
  result.clip = *clip;
  return success();
}

LogicalResult tpc::adjustCohere(const ModelConfig &config,
                                DecoderConfig &result) {
  auto scale = config.number("logit_scale", 0.0625);
  auto normed = config.flag("use_qk_norm", false);
  if (failed(scale) || failed(normed))
    return failure();
  result.logitScale = *scale;
  if (*normed)
    result.family.headNorm = HeadNorm::EachHead;
  return success();
}

LogicalResult tpc::adjustStableLm(const ModelConfig &config,
                                  DecoderConfig &result) {
  auto normed = config.flag("qk_layernorm", false);
  if (failed(normed))
    return failure();
  if (*normed)
    result.family.headNorm = HeadNorm::Stacked;
  if (result.parallel)
    result.family.mlpNorm = "";
  return success();
}

LogicalResult tpc::adjustPhi(const ModelConfig &config, DecoderConfig &result) {
  auto normed = config.flag("qk_layernorm", false);
  if (failed(normed))
    return failure();
  if (*normed)
    result.family.headNorm = HeadNorm::Shared;
  return success();
}

//===----------------------------------------------------------------------===//
// Gemma
//===----------------------------------------------------------------------===//

LogicalResult tpc::adjustGemma(const ModelConfig &, DecoderConfig &result) {
  result.embeddingScale = std::sqrt(double(result.hidden));
  // What the first releases call gelu is its approximation.
  if (result.activation == Activation::Gelu)
    result.activation = Activation::GeluTanh;
  return success();
}

/// The scale of scores, and the cap of logits.
static LogicalResult adjustScoresAndLogits(const ModelConfig &config,
                                           DecoderConfig &result,
                                           double logitCap) {
  auto scalar = config.number("query_pre_attn_scalar", 256);
  auto logits = limit(config, "final_logit_softcapping", logitCap);
  if (failed(scalar) || failed(logits))
    return failure();
  if (!(*scalar > 0))
    return config.error() << "key \"query_pre_attn_scalar\": expected a number "
                             "above 0, found "
                          << *scalar;
  result.embeddingScale = std::sqrt(double(result.hidden));
  result.logitSoftcap = *logits;
  scaleScores(result, 1 / std::sqrt(*scalar));
  return success();
}

LogicalResult tpc::adjustGemma2(const ModelConfig &config,
                                DecoderConfig &result) {
  auto cap = limit(config, "attn_logit_softcapping", 50);
  if (failed(cap))
    return failure();
  result.softcap = *cap;
  return adjustScoresAndLogits(config, result, 30);
}

/// Layers with and without a window turn by tables of their own:
/// rope_parameters has a section for each kind; before transformers 5,
/// rope_scaling and rope_theta were for full layers only.
LogicalResult tpc::adjustGemma3(const ModelConfig &config,
                                DecoderConfig &result) {
  auto both = config.section("rope_parameters");
  auto scaling = config.section("rope_scaling");
  auto theta = config.number("rope_theta", 1e6);
  auto localTheta = config.number("rope_local_base_freq", 1e4);
  if (failed(both) || failed(scaling) || failed(theta) || failed(localTheta))
    return failure();
  auto full = both->section("full_attention");
  auto local = both->section("sliding_attention");
  if (failed(full) || failed(local))
    return failure();
  auto fullRope =
      readRope({config.has("rope_scaling") ? *scaling : *full, result.headDim,
                *theta, 1, false, result.positions, 0});
  auto localRope = readRope(
      {*local, result.headDim, *localTheta, 1, false, result.positions, 0});
  auto types = config.texts("layer_types");
  auto period = config.size("sliding_window_pattern", 6);
  if (failed(fullRope) || failed(localRope) || failed(types) || failed(period))
    return failure();
  result.ropes = {std::move(*fullRope), std::move(*localRope)};
  for (int64_t layer = 0; layer < result.layers; ++layer)
    result.ropeOfLayer[layer] = types->empty()
                                    ? (layer + 1) % *period != 0
                                    : (*types)[layer] == "sliding_attention";
  return adjustScoresAndLogits(config, result, 0);
}

//===----------------------------------------------------------------------===//
// GPT-2 and those that kept its layers
//===----------------------------------------------------------------------===//

LogicalResult tpc::adjustGpt2(const ModelConfig &config,
                              DecoderConfig &result) {
  auto scaled = config.flag("scale_attn_weights", true);
  auto byLayer = config.flag("scale_attn_by_inverse_layer_idx", false);
  if (failed(scaled) || failed(byLayer))
    return failure();
  for (auto [layer, scale] : llvm::enumerate(result.scales)) {
    if (!*scaled)
      scale = 1;
    if (*byLayer)
      scale /= double(layer + 1);
  }
  return success();
}

LogicalResult tpc::adjustGptJ(const ModelConfig &config,
                              DecoderConfig &result) {
  auto turned = config.size("rotary_dim", 64);
  if (failed(turned))
    return failure();
  if (*turned % 2 != 0 || *turned > result.headDim)
    return config.error() << "key \"rotary_dim\": expected an even number of "
                             "the "
                          << result.headDim << " elements of a head, found "
                          << *turned;
  result.ropes.push_back(plainRope(10000, *turned));
  result.ropeOfLayer.assign(result.layers, 0);
  return success();
}

LogicalResult tpc::adjustOpt(const ModelConfig &config, DecoderConfig &result) {
  DecoderFamily &family = result.family;
  auto before = config.flag("do_layer_norm_before", true);
  auto removed = config.flag("_remove_final_layer_norm", false);
  auto affine = config.flag("layer_norm_elementwise_affine", true);
  auto width = config.size("word_embed_proj_dim", result.hidden);
  if (failed(before) || failed(removed) || failed(affine) || failed(width))
    return failure();
  family.normAfterSum = !*before;
  if (!*before || *removed)
    family.finalNorm = "";
  family.norm.weight = family.norm.bias = *affine;
  result.embeddingWidth = *width;
  if (*width != result.hidden) {
    family.projectIn = "model.decoder.project_in";
    family.projectOut = "model.decoder.project_out";
  }
  return success();
}

/// Slopes of ALiBi for a power of two of heads: 2^(-8 i / heads), i from 1; for
/// other numbers, those of the power below, then every other one of the power
/// above.
static std::vector<double> alibiSlopes(int64_t heads) {
  auto ofPower = [](int64_t power, int64_t i) {
    return std::exp2(-8.0 * i / power);
  };
  int64_t power = llvm::bit_floor(static_cast<uint64_t>(heads));
  std::vector<double> slopes;
  for (int64_t i = 1; i <= power; ++i)
    slopes.push_back(ofPower(power, i));
  for (int64_t i = 1; static_cast<int64_t>(slopes.size()) < heads; i += 2)
    slopes.push_back(ofPower(2 * power, i));
  return slopes;
}

LogicalResult tpc::adjustBloom(const ModelConfig &, DecoderConfig &result) {
  result.alibi.slopes = alibiSlopes(result.heads);
  return success();
}

LogicalResult tpc::adjustFalcon(const ModelConfig &config,
                                DecoderConfig &result) {
  DecoderFamily &family = result.family;
  auto grouped = config.flag("new_decoder_architecture", false);
  auto oneKey =
      config.isNull("multi_query") ? false : config.flag("multi_query", true);
  auto parallel = config.isNull("parallel_attn")
                      ? false
                      : config.flag("parallel_attn", true);
  auto alibi = config.flag("alibi", false);
  if (failed(grouped) || failed(oneKey) || failed(parallel) || failed(alibi))
    return failure();
  auto norms = config.size("num_ln_in_parallel_attn", *grouped ? 2 : 1);
  if (failed(norms))
    return failure();
  if (!*grouped)
    result.kvHeads = *oneKey ? 1 : result.heads;
  result.group = result.heads / result.kvHeads;
  result.parallel = *grouped || *parallel;
  if (*grouped && *norms == 2) {
    family.attentionNorm = "transformer.h.{}.ln_attn";
    family.mlpNorm = "transformer.h.{}.ln_mlp";
  } else if (result.parallel) {
    family.mlpNorm = "";
  }
  if (*alibi) {
    // It is added before scores are scaled.
    result.alibi = {alibiSlopes(result.heads), /*inBf16=*/true,
                    result.scales.front()};
    result.ropeOfLayer.assign(result.layers, -1);
  }
  return success();
}

LogicalResult tpc::adjustMpt(const ModelConfig &config, DecoderConfig &result) {
  auto attention = config.section("attn_config");
  if (failed(attention))
    return failure();
  auto clip = limit(*attention, "clip_qkv");
  auto scale = attention->number("softmax_scale", result.scales.front());
  if (failed(clip) || failed(scale))
    return failure();
  result.clip = *clip;
  scaleScores(result, *scale);
  // Those of the power above: every other one from the second on, then the
  // rest.
  int64_t power = llvm::bit_ceil(static_cast<uint64_t>(result.heads));
  std::vector<double> slopes, rest;
  for (int64_t i = 1; i <= power; ++i)
    (power != result.heads && i % 2 != 0 ? rest : slopes)
        .push_back(std::exp2(-8.0 * i / power));
  slopes.insert(slopes.end(), rest.begin(), rest.end());
  slopes.resize(result.heads);
  result.alibi.slopes = std::move(slopes);
  return success();
}

//===----------------------------------------------------------------------===//
// Experts
//===----------------------------------------------------------------------===//

/// Sizes of heads and latents, and the scale of scores, which YaRN changes.
static LogicalResult readLatent(const ModelConfig &config,
                                DecoderConfig &result) {
  auto query = config.isNull("q_lora_rank") ? FailureOr<int64_t>(0)
                                            : config.size("q_lora_rank", 1536);
  auto keyValue = config.size("kv_lora_rank", 512);
  auto still = config.size("qk_nope_head_dim", 128);
  auto value = config.size("v_head_dim", 128);
  auto interleaved = config.flag("rope_interleave", true);
  auto section = ropeSection(config);
  if (failed(query) || failed(keyValue) || failed(still) || failed(value) ||
      failed(interleaved) || failed(section))
    return failure();
  if (result.kvHeads != result.heads)
    return config.error() << "key \"num_key_value_heads\": expected "
                          << result.heads
                          << " as num_attention_heads: all heads share one "
                             "latent, found "
                          << result.kvHeads;
  result.latent = {*query, *keyValue, *still, result.headDim, *value};
  // Scores do not depend on the order of elements that query and key share.
  result.family.rope.form = *interleaved ? RopeForm::Pairs : RopeForm::Halves;
  double scale = 1 / std::sqrt(double(*still + result.headDim));
  auto kind = section->text(section->has("rope_type") ? "rope_type" : "type",
                            "default");
  if (failed(kind))
    return failure();
  if (section->has("mscale_all_dim") && *kind != "default") {
    auto m = section->number("mscale_all_dim");
    auto factor = section->number("factor");
    if (failed(m) || failed(factor))
      return failure();
    double grown = *factor <= 1 ? 1 : 0.1 * *m * std::log(*factor) + 1;
    scale *= grown * grown;
  }
  scaleScores(result, scale);
  return success();
}

LogicalResult tpc::adjustDeepseekV3(const ModelConfig &config,
                                    DecoderConfig &result) {
  auto dense = config.integer("first_k_dense_replace", 3);
  auto shared = config.integer("n_shared_experts", 1);
  auto groups = config.size("n_group", 8);
  auto chosenGroups = config.size("topk_group", 4);
  auto scale = config.number("routed_scaling_factor", 2.5);
  if (failed(dense) || failed(shared) || failed(groups) ||
      failed(chosenGroups) || failed(scale) ||
      failed(readLatent(config, result)))
    return failure();
  auto &experts = result.experts;
  int64_t perGroup = experts.count / *groups;
  if (experts.count % *groups != 0 || perGroup < 2)
    return config.error() << "key \"n_group\": expected groups of at least two "
                             "of the "
                          << experts.count << " experts, found " << *groups;
  if (*chosenGroups > *groups || *chosenGroups * perGroup < experts.chosen)
    return config.error() << "key \"topk_group\": expected at most n_group "
                          << *groups << " groups, with at least "
                          << experts.chosen << " experts, found "
                          << *chosenGroups;
  if (*shared < 0 || *shared > 4096)
    return config.error()
           << "key \"n_shared_experts\": expected from 0 to 4096, found "
           << *shared;
  experts.groups = *groups;
  experts.chosenGroups = *chosenGroups;
  experts.scale = *scale;
  experts.sharedWidth = experts.width * *shared;
  for (int64_t layer = 0; layer < std::min(*dense, result.layers); ++layer)
    result.sparse[layer] = false;
  return success();
}

LogicalResult tpc::adjustGptOss(const ModelConfig &config,
                                DecoderConfig &result) {
  if (!config.has("rope_parameters") && !config.has("rope_scaling"))
    return config.error() << "missing key \"rope_parameters\"; expected the "
                             "scaling that the model was trained with";
  auto alpha = config.number("swiglu_alpha", 1.702);
  auto limit = config.number("swiglu_limit", 7);
  if (failed(alpha) || failed(limit))
    return failure();
  result.experts.alpha = *alpha;
  result.experts.limit = *limit;
  return success();
}
