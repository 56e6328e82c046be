"""torch, eager and compiled.  torch_worker.py decoder|encoder FOLDER DTYPE LENGTHS|BATCHES THREADS"""

import json
import pathlib
import sys

import torch
import torch.nn.functional as F
from safetensors.torch import load_file

import workloads
from worker import serve

kind, folder, dtype, sizes, threads = sys.argv[1:6]
folder = pathlib.Path(folder)
sizes = [int(s) for s in sizes.split(",")]
torch.set_num_threads(int(threads))
torch.set_grad_enabled(False)
DTYPE = {"f32": torch.float32, "bf16": torch.bfloat16}[dtype]


class Decoder(torch.nn.Module):
    def __init__(self, config, weights, length):
        super().__init__()
        self.c, self.w = config, weights
        c = config
        half = c["head_dim"] // 2
        frequencies = c["rope_theta"] ** (-torch.arange(half) / half)
        angles = torch.outer(torch.arange(length).float(), frequencies)
        self.cos, self.sin = angles.cos().to(DTYPE), angles.sin().to(DTYPE)
        self.length = length
        self.cache = [
            [torch.zeros(1, c["num_key_value_heads"], length, c["head_dim"], dtype=DTYPE)
             for _ in "kv"] for _ in range(c["num_hidden_layers"])]

    def rope(self, x, positions):
        a, b = x.chunk(2, -1)
        cos, sin = self.cos[positions], self.sin[positions]
        return torch.cat((a * cos - b * sin, b * cos + a * sin), -1)

    def heads(self, x, name, count):
        y = F.linear(x, self.w[name])
        return y.view(1, x.shape[1], count, self.c["head_dim"]).transpose(1, 2)

    def forward(self, tokens, positions):
        c, w = self.c, self.w
        n = tokens.shape[1]
        norm = lambda x, name: F.rms_norm(x, (x.shape[-1],), w[name], c["rms_norm_eps"])
        x = F.embedding(tokens, w["model.embed_tokens.weight"])
        mask = None if n > 1 else (torch.arange(self.length) <= positions[-1])[None, None, None]
        for l, (keys, values) in enumerate(self.cache):
            at = f"model.layers.{l}."
            h = norm(x, at + "input_layernorm.weight")
            q = self.heads(h, at + "self_attn.q_proj.weight", c["num_attention_heads"])
            k = self.heads(h, at + "self_attn.k_proj.weight", c["num_key_value_heads"])
            v = self.heads(h, at + "self_attn.v_proj.weight", c["num_key_value_heads"])
            q, k = self.rope(q, positions), self.rope(k, positions)
            keys.index_copy_(2, positions, k)
            values.index_copy_(2, positions, v)
            if n > 1:
                o = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
            else:
                o = F.scaled_dot_product_attention(q, keys, values, attn_mask=mask, enable_gqa=True)
            x = x + F.linear(o.transpose(1, 2).reshape(1, n, -1), w[at + "self_attn.o_proj.weight"])
            h = norm(x, at + "post_attention_layernorm.weight")
            gate = F.silu(F.linear(h, w[at + "mlp.gate_proj.weight"]))
            x = x + F.linear(gate * F.linear(h, w[at + "mlp.up_proj.weight"]), w[at + "mlp.down_proj.weight"])
        return F.linear(norm(x[:, -1:], "model.norm.weight"), w["lm_head.weight"])


def decoder_cases():
    config = json.loads((folder / "config.json").read_text())
    weights = load_file(folder / "model.safetensors")
    cases = {}
    for length in sizes:
        model = Decoder(config, weights, length + workloads.ROOM)
        tokens = torch.from_numpy(workloads.prompt(config["vocab_size"], 1, length))
        for engine, call in (("eager", model), ("compile", torch.compile(model, dynamic=False))):
            prefill = lambda call=call, t=tokens, p=torch.arange(length): call(t, p)[0, -1, :64].float().tolist()
            decode = lambda call=call, t=torch.tensor([[7]]), p=torch.tensor([length]): call(t, p)[0, -1, :64].float().tolist()
            cases[f"{engine}/prefill {length}"] = prefill
            cases[f"{engine}/decode {length}"] = decode
    return cases


def encoder_cases():
    from transformers import AutoModel
    model = AutoModel.from_pretrained(folder).to(DTYPE).eval()
    compiled = torch.compile(model, dynamic=False)
    cases = {}
    for batch in sizes:
        tokens = torch.from_numpy(workloads.prompt(30000, batch, 128))
        for engine, call in (("eager", model), ("compile", compiled)):
            cases[f"{engine}/batch {batch}"] = (
                lambda call=call, tokens=tokens: call(tokens).last_hidden_state[0, 0, :64].float().tolist())
    return cases


torch._dynamo.config.recompile_limit = 64
serve({"torch": torch.__version__, "threads": torch.get_num_threads()},
      decoder_cases() if kind == "decoder" else encoder_cases())
