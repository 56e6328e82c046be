"""Writes random decoders with what transformers computes for them.

    python random_models.py FOLDER FIRST COUNT [CLASS...]

For every class of FAMILIES and every seed from FIRST on, FOLDER/CLASS-SEED gets
a model directory with random options and weights, and expected.safetensors as
in test/data/hf/README.md. Wants torch and transformers; test_random_models.py
runs it.
"""

import json
import math
import pathlib
import random
import sys

import torch
import transformers
from safetensors.torch import save_file

TOKENS, GENERATED = 12, 6


class Draw(random.Random):
    def maybe(self, value, otherwise=None, chance=0.5):
        return value if self.random() < chance else otherwise

    def heads(self, plain=False):
        """Heads, key heads, elements of a head, hidden."""
        heads = self.choice([2, 3, 4, 6])
        kv = self.choice([k for k in (1, 2, 3, 4, 6) if heads % k == 0])
        dim = self.choice([8, 12, 16])
        return heads, heads if plain else kv, dim, heads * dim

    def rope(self, dim, partial=None, kinds=("default", "default", "linear",
                                             "llama3", "yarn", "longrope",
                                             "dynamic")):
        """rope_parameters, and how many positions the model has."""
        turned = int(dim * (partial or 1))
        if turned == 2:  # too few for these
            kinds = [kind for kind in kinds if kind != "dynamic"]
        rope = {"rope_type": self.choice(kinds),
                "rope_theta": self.choice([500.0, 10000.0, 1e6])}
        kind, positions = rope["rope_type"], 64
        if partial:
            rope["partial_rotary_factor"] = partial
        if kind != "default":
            rope["factor"] = self.choice([1.5, 4.0])
        if kind == "llama3":
            rope.update(low_freq_factor=1.0, high_freq_factor=4.0,
                        original_max_position_embeddings=32)
        if kind == "yarn":
            rope["original_max_position_embeddings"] = 32
            if self.maybe(True):
                rope.update(beta_fast=16.0, beta_slow=2.0, truncate=False)
            if self.maybe(True):
                rope.update(mscale=1.2, mscale_all_dim=0.7)
            elif self.maybe(True):
                rope["attention_factor"] = 1.3
        if kind == "longrope":
            pairs = turned // 2
            original = self.choice([8, 15, 32])
            rope.update(
                short_factor=[1 + self.random() for _ in range(pairs)],
                long_factor=[2 + self.random() for _ in range(pairs)],
                original_max_position_embeddings=original)
            if self.maybe(True):
                del rope["factor"]
        if kind == "dynamic":
            positions = self.choice([8, 15, 64])
        return {"rope_parameters": rope, "max_position_embeddings": positions}

    def part(self, dim):
        """Of a head of `dim` elements, so that an even number turns."""
        return self.choice([part for part in (0.25, 0.5, 0.75, 1.0)
                            if int(dim * part) % 2 == 0])

    def activation(self):
        return self.choice(["silu", "gelu", "gelu_new", "gelu_pytorch_tanh",
                            "relu", "quick_gelu", "relu2", "tanh", "sigmoid"])

    def layer_types(self, layers):
        return [self.choice(["sliding_attention", "full_attention"])
                for _ in range(layers)]


def base(draw):
    return {"vocab_size": draw.randint(60, 210),
            "num_hidden_layers": draw.choice([2, 3]),
            "tie_word_embeddings": draw.maybe(True, False)}


def llama(draw, kinds=None, **more):
    heads, kv, dim, hidden = draw.heads()
    rope = draw.rope(dim, kinds=kinds) if kinds else draw.rope(dim)
    return {**base(draw), **rope, "hidden_size": hidden,
            "num_attention_heads": heads, "num_key_value_heads": kv,
            "intermediate_size": draw.randint(20, 100),
            "hidden_act": draw.activation(),
            "rms_norm_eps": draw.choice([1e-6, 1e-5, 1e-3]), **more}


def with_biases(draw):
    return {"attention_bias": draw.maybe(True, False),
            "mlp_bias": draw.maybe(True, False)}


def plain_llama(draw):
    config = llama(draw, **with_biases(draw))
    if draw.maybe(True):
        dim = config["head_dim"] = draw.choice([6, 10, 14])
        config.update(draw.rope(dim))
    return config


def windowed(draw, config):
    config.update(use_sliding_window=draw.maybe(True, False),
                  sliding_window=draw.randint(2, 9),
                  max_window_layers=draw.randint(0, 3))
    return config


def qwen(draw, **more):
    config = windowed(draw, llama(draw, **more))
    if draw.maybe(True):
        config["layer_types"] = draw.layer_types(config["num_hidden_layers"])
        config["use_sliding_window"] = True
    return config


def sparse(draw, config):
    count = draw.choice([3, 4, 6])
    config.update(num_experts=count,
                  num_experts_per_tok=draw.randint(1, count),
                  moe_intermediate_size=draw.randint(6, 24),
                  norm_topk_prob=draw.maybe(True, False),
                  decoder_sparse_step=draw.choice([1, 1, 2]),
                  mlp_only_layers=draw.maybe([0], []))
    if draw.maybe(True):
        config["hidden_act"] = "silu"
    return config


def mixtral(draw):
    count = draw.choice([3, 4, 6])
    config = llama(draw, num_local_experts=count,
                   num_experts_per_tok=draw.randint(1, count),
                   hidden_act=draw.choice(["silu", "gelu"]),
                   sliding_window=draw.maybe(draw.randint(2, 9)))
    # Without it, transformers fails at some kinds of rotary positions.
    config["head_dim"] = config["hidden_size"] // config["num_attention_heads"]
    return config


def qwen2_moe(draw):
    config = sparse(draw, windowed(draw, llama(draw)))
    config.update(qkv_bias=draw.maybe(True, False),
                  shared_expert_intermediate_size=draw.randint(6, 40))
    return config


def gemma(draw, **more):
    config = llama(draw, attention_bias=draw.maybe(True, False), **more)
    dim = config["head_dim"] = draw.choice([8, 12, 16])
    if "rope_parameters" in config:
        config.update(draw.rope(dim))
    return config


def gemma2(draw, **more):
    config = gemma(draw, **more)
    config.update(
        hidden_activation=config.pop("hidden_act"),
        query_pre_attn_scalar=draw.randint(4, 64),
        sliding_window=draw.randint(2, 9),
        layer_types=draw.maybe(draw.layer_types(config["num_hidden_layers"])),
        final_logit_softcapping=draw.maybe(3.0),
        attn_logit_softcapping=draw.maybe(1.5))
    return config


def gemma3(draw):
    config = gemma2(draw)
    both = {kind: draw.rope(config["head_dim"],
                            kinds=("default", "linear", "yarn", "llama3"))
            ["rope_parameters"]
            for kind in ("full_attention", "sliding_attention")}
    for rope in both.values():
        rope.pop("truncate", None)  # transformers looks for it elsewhere
    config.update(rope_parameters=both, max_position_embeddings=64,
                  sliding_window_pattern=draw.choice([2, 3]))
    return config


def phi(draw):
    heads, kv, dim, hidden = draw.heads()
    return {**base(draw), **draw.rope(dim, draw.part(dim)),
            "hidden_size": hidden, "num_attention_heads": heads,
            "num_key_value_heads": kv,
            "intermediate_size": draw.randint(20, 100),
            "hidden_act": draw.activation(),
            "qk_layernorm": draw.maybe(True, False)}


def phi3(draw):
    heads, kv, dim, hidden = draw.heads()
    rope = draw.rope(dim, draw.part(dim), kinds=("default", "longrope"))
    inner = rope["rope_parameters"]
    return {**base(draw), **rope, "hidden_size": hidden,
            "original_max_position_embeddings": inner.pop(
                "original_max_position_embeddings", 64),
            "num_attention_heads": heads, "num_key_value_heads": kv,
            "intermediate_size": draw.randint(20, 100),
            "hidden_act": draw.activation(),
            "sliding_window": draw.maybe(draw.randint(2, 9))}


def gpt2_sizes(draw):
    heads, _, dim, hidden = draw.heads()
    return {"vocab_size": draw.randint(60, 210),
            "n_layer": draw.choice([2, 3]), "n_head": heads, "n_embd": hidden,
            "n_inner": draw.maybe(draw.randint(20, 100)),
            "activation_function": draw.activation(),
            "n_positions": draw.randint(18, 40),
            "tie_word_embeddings": draw.maybe(True, False)}


def gpt2(draw):
    return {**gpt2_sizes(draw),
            "scale_attn_weights": draw.maybe(True, False),
            "scale_attn_by_inverse_layer_idx": draw.maybe(True, False)}


def gptj(draw):
    config = gpt2_sizes(draw)
    dim = config["n_embd"] // config["n_head"]
    # Its head has a bias, which transformers does not tie.
    return {**config, "rotary_dim": draw.choice([4, 6, dim])}


def gpt_neox(draw):
    heads, _, dim, hidden = draw.heads()
    return {**base(draw), **draw.rope(dim, draw.part(dim)),
            "hidden_size": hidden, "num_attention_heads": heads,
            "intermediate_size": draw.randint(20, 100),
            "hidden_act": draw.activation(),
            "attention_bias": draw.maybe(True, False),
            "use_parallel_residual": draw.maybe(True, False)}


def opt(draw):
    heads, _, dim, hidden = draw.heads()
    return {**base(draw), "hidden_size": hidden, "num_attention_heads": heads,
            "ffn_dim": draw.randint(20, 100),
            "max_position_embeddings": draw.randint(18, 40),
            "activation_function": draw.activation(),
            "do_layer_norm_before": draw.maybe(True, False),
            "_remove_final_layer_norm": draw.maybe(True, False, 0.2),
            "word_embed_proj_dim": draw.maybe(draw.randint(10, 40)),
            "enable_bias": draw.maybe(True, False),
            "layer_norm_elementwise_affine": draw.maybe(True, False)}


def falcon(draw):
    heads, kv, dim, hidden = draw.heads()
    grouped = draw.maybe(True, False)
    config = {**base(draw), "hidden_size": hidden,
              "num_attention_heads": heads,
              "ffn_hidden_size": draw.maybe(draw.randint(20, 100)),
              "activation": draw.activation(),
              "bias": draw.maybe(True, False),
              "alibi": draw.maybe(True, False),
              "new_decoder_architecture": grouped}
    if grouped:
        config.update(num_kv_heads=kv, parallel_attn=True,
                      num_ln_in_parallel_attn=draw.choice([None, 1, 2]))
    else:
        config.update(multi_query=draw.maybe(True, False),
                      parallel_attn=draw.maybe(True, False))
    if not config["alibi"]:
        config.update(draw.rope(dim))
    return config


def bloom(draw):
    heads, _, dim, hidden = draw.heads()
    return {"vocab_size": draw.randint(60, 210),
            "n_layer": draw.choice([2, 3]), "n_head": heads,
            "hidden_size": hidden,
            "tie_word_embeddings": draw.maybe(True, False),
            "apply_residual_connection_post_layernorm":
                draw.maybe(True, False)}


def mpt(draw):
    heads, _, dim, hidden = draw.heads()
    return {"vocab_size": draw.randint(60, 210),
            "n_layers": draw.choice([2, 3]), "n_heads": heads,
            "d_model": hidden, "max_seq_len": 64,
            "tie_word_embeddings": draw.maybe(True, False),
            "attn_config": {"clip_qkv": draw.maybe(0.8),
                            "softmax_scale": draw.maybe(0.2)}}


def stablelm(draw):
    heads, kv, dim, hidden = draw.heads()
    return {**base(draw), **draw.rope(dim, draw.part(dim)),
            "hidden_size": hidden, "num_attention_heads": heads,
            "num_key_value_heads": kv,
            "intermediate_size": draw.randint(20, 100),
            "hidden_act": draw.activation(),
            "use_qkv_bias": draw.maybe(True, False),
            "qk_layernorm": draw.maybe(True, False),
            "use_parallel_residual": draw.maybe(True, False)}


def olmo(draw):
    config = llama(draw, attention_bias=draw.maybe(True, False),
                   clip_qkv=draw.maybe(0.8))
    del config["rms_norm_eps"]
    return config


def olmo2(draw):
    return llama(draw, attention_bias=draw.maybe(True, False))


def starcoder2(draw):
    config = llama(draw, use_bias=draw.maybe(True, False),
                   sliding_window=draw.maybe(draw.randint(2, 9)))
    config["norm_epsilon"] = config.pop("rms_norm_eps")
    return config


def granite(draw):
    return llama(draw, **with_biases(draw),
                 embedding_multiplier=draw.choice([1.0, 5.0]),
                 logits_scaling=draw.choice([1.0, 1.7]),
                 residual_multiplier=draw.choice([1.0, 0.6]),
                 attention_multiplier=draw.choice([1.0, 0.2]))


def cohere(draw):
    config = llama(draw, attention_bias=draw.maybe(True, False),
                   use_qk_norm=draw.maybe(True, False),
                   logit_scale=draw.choice([0.0625, 0.6]))
    config["layer_norm_eps"] = config.pop("rms_norm_eps")
    return config


def smollm3(draw):
    config = llama(draw, **with_biases(draw),
                   no_rope_layer_interval=draw.choice([2, 3]),
                   use_sliding_window=draw.maybe(True, False),
                   sliding_window=draw.randint(2, 9))
    layers = config["num_hidden_layers"]
    if draw.maybe(True):
        config["no_rope_layers"] = [draw.randint(0, 1) for _ in range(layers)]
    if draw.maybe(True):
        config["layer_types"] = draw.layer_types(layers)
    return config


def deepseek_v3(draw):
    heads = draw.choice([2, 3, 4])
    turned = draw.choice([4, 8])
    groups = draw.choice([1, 2, 4])
    count = groups * draw.choice([2, 3])
    best = draw.randint(1, groups)
    config = {**base(draw), **draw.rope(turned, kinds=("default", "yarn")),
              "hidden_size": 48, "num_attention_heads": heads,
              "num_key_value_heads": heads,
              "intermediate_size": draw.randint(20, 80),
              "moe_intermediate_size": draw.randint(6, 24),
              "n_shared_experts": draw.choice([1, 2]),
              "n_routed_experts": count, "n_group": groups,
              "topk_group": best,
              "num_experts_per_tok": draw.randint(1, best * count // groups),
              "routed_scaling_factor": draw.choice([1.0, 1.8]),
              "norm_topk_prob": draw.maybe(True, False),
              "first_k_dense_replace": draw.choice([0, 1]),
              "kv_lora_rank": draw.choice([10, 20]),
              "q_lora_rank": draw.maybe(14),
              "qk_rope_head_dim": turned,
              "qk_nope_head_dim": draw.choice([6, 12]),
              "v_head_dim": draw.choice([6, 10]),
              "rope_interleave": draw.maybe(True, False),
              "attention_bias": draw.maybe(True, False),
              "hidden_act": draw.choice(["silu", "gelu"])}
    return config


def gpt_oss(draw):
    count = draw.choice([3, 5])
    config = llama(draw, kinds=("default", "yarn"),
                   attention_bias=draw.maybe(True, False),
                   sliding_window=draw.randint(2, 9),
                   num_local_experts=count,
                   num_experts_per_tok=draw.randint(1, count),
                   swiglu_limit=draw.choice([0.5, 7.0]),
                   swiglu_alpha=draw.choice([1.0, 1.702]))
    del config["hidden_act"]
    config["head_dim"] = config["hidden_size"] // config["num_attention_heads"]
    if draw.maybe(True):
        config["layer_types"] = draw.layer_types(config["num_hidden_layers"])
    return config


FAMILIES = {
    "LlamaForCausalLM": plain_llama,
    "MistralForCausalLM": lambda draw: llama(
        draw, sliding_window=draw.maybe(draw.randint(2, 9))),
    "MixtralForCausalLM": mixtral,
    "Qwen2ForCausalLM": qwen,
    "Qwen3ForCausalLM": lambda draw: {
        **qwen(draw, attention_bias=draw.maybe(True, False)),
        **(lambda dim: {"head_dim": dim, **draw.rope(dim)})(
            draw.choice([8, 14]))},
    "Qwen2MoeForCausalLM": qwen2_moe,
    "Qwen3MoeForCausalLM": lambda draw: sparse(draw, windowed(
        draw, llama(draw, attention_bias=draw.maybe(True, False)))),
    "GemmaForCausalLM": gemma,
    "Gemma2ForCausalLM": gemma2,
    "Gemma3ForCausalLM": gemma3,
    "PhiForCausalLM": phi,
    "Phi3ForCausalLM": phi3,
    "GPT2LMHeadModel": gpt2,
    "GPTNeoXForCausalLM": gpt_neox,
    "GPTJForCausalLM": gptj,
    "OPTForCausalLM": opt,
    "FalconForCausalLM": falcon,
    "BloomForCausalLM": bloom,
    "MptForCausalLM": mpt,
    "StableLmForCausalLM": stablelm,
    "OlmoForCausalLM": olmo,
    "Olmo2ForCausalLM": olmo2,
    "Starcoder2ForCausalLM": starcoder2,
    "GraniteForCausalLM": granite,
    "CohereForCausalLM": cohere,
    "SmolLM3ForCausalLM": smollm3,
    "DeepseekV3ForCausalLM": deepseek_v3,
    "GptOssForCausalLM": gpt_oss,
}


def randomize(model):
    """Weights whose every part shows in the logits."""
    plus_one = "gemma" in model.config.model_type
    with torch.no_grad():
        for name, tensor in [*model.named_parameters(),
                             *model.named_buffers()]:
            is_norm = "norm" in name or ".ln_" in name or "ln_f" in name
            noise = torch.randn(tensor.shape)
            if "e_score_correction_bias" in name:
                tensor.copy_(0.2 * noise)
            elif isinstance(tensor, torch.nn.Parameter):
                if is_norm and name.endswith("weight"):
                    tensor.copy_((0 if plus_one else 1) + 0.25 * noise)
                elif tensor.dim() == 1 or name.endswith("bias"):
                    tensor.copy_(0.2 * noise)
                else:
                    tensor.copy_(noise * 1.5 / math.sqrt(tensor.shape[-1]))


def respell(draw, folder, defaults):
    """As files from before transformers 5 have it, and without some keys that
    say what holds anyway."""
    path = folder / "config.json"
    config = json.loads(path.read_text())
    rope = config.get("rope_parameters")
    # GPT-OSS takes rope_scaling null for a kind of its own.
    is_own = (config["model_type"] == "gpt_oss"
              and rope["rope_type"] == "default")
    if draw.maybe(True) and rope and not is_own:
        del config["rope_parameters"]
        neox = config["model_type"] == "gpt_neox"
        if "full_attention" in rope:
            full, local = rope["full_attention"], rope["sliding_attention"]
            if local["rope_type"] == "default":
                config["rope_theta"] = full.pop("rope_theta")
                config["rope_local_base_freq"] = local["rope_theta"]
                config["rope_scaling"] = full
            else:
                config["rope_parameters"] = rope
        else:
            config["rotary_emb_base" if neox else "rope_theta"] = rope.pop(
                "rope_theta")
            part = rope.pop("partial_rotary_factor", None)
            if part is not None:
                config["rotary_pct" if neox else "partial_rotary_factor"] = part
            config["rope_scaling"] = (None if rope["rope_type"] == "default"
                                      else rope)
            if draw.maybe(True) and config["rope_scaling"]:
                rope["type"] = rope.pop("rope_type")
        config["torch_dtype"] = config.pop("dtype")
    sizes = ("n_layer", "n_head", "hidden_size", "num_experts_per_tok")
    for key, value in list(config.items()):
        if (key in defaults and defaults[key] == value and key not in sizes
                and draw.maybe(True)):
            del config[key]
    path.write_text(json.dumps(config, indent=1))


def write(name, seed, folder):
    draw = Draw(f"{name} {seed}")
    model_class = getattr(transformers, name)
    options = FAMILIES[name](draw)
    torch.manual_seed(draw.randint(0, 1 << 30))
    config = model_class.config_class(pad_token_id=0, **options)
    model = model_class(config)
    randomize(model)
    stored = draw.choice([torch.float32, torch.float32, torch.bfloat16,
                          torch.float16])
    model.to(stored).save_pretrained(
        folder / "model", max_shard_size=draw.choice(["20KB", "1GB"]))
    respell(draw, folder / "model", model_class.config_class().to_dict())

    # Eager attention of Falcon adds ALiBi twice.
    eager = {"attn_implementation": "sdpa" if options.get("alibi") else "eager"}
    if "num_experts_per_tok" in options:
        eager["experts_implementation"] = "eager"
    model = model_class.from_pretrained(folder / "model", dtype=torch.float32,
                                        **eager).eval()
    tokens = torch.randint(config.vocab_size, (2, TOKENS))
    with torch.no_grad():
        logits = model(tokens).logits
        generated, steps = [], []
        state = model(tokens[:1], use_cache=True)
        for _ in range(GENERATED):
            last = state.logits[0, -1]
            steps.append(last)
            generated.append(last.argmax())
            state = model(generated[-1].reshape(1, 1), use_cache=True,
                          past_key_values=state.past_key_values)
    save_file({"input_ids": tokens, "logits": logits.contiguous(),
               "greedy.tokens": torch.stack(generated),
               "greedy.logits": torch.stack(steps).contiguous()},
              folder / "expected.safetensors")


def main(families, write):
    root, first, count = pathlib.Path(sys.argv[1]), *map(int, sys.argv[2:4])
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    for name in sys.argv[4:] or families:
        for seed in range(first, first + count):
            folder = root / f"{name}-{seed}"
            folder.mkdir(parents=True)
            try:
                write(name, seed, folder)
            except Exception:
                print(f"at {name}, seed {seed}:", file=sys.stderr)
                raise


if __name__ == "__main__":
    main(FAMILIES, write)
