"""A BERT encoder in NumPy, in f64, written from its definition."""

import math

import numpy as np

erf = np.vectorize(math.erf)


def layer_norm(x, weight, bias, epsilon):
    mean = x.mean(-1, keepdims=True)
    variance = ((x - mean) ** 2).mean(-1, keepdims=True)
    return (x - mean) / np.sqrt(variance + epsilon) * weight + bias


def encoder(weights, config, input_ids, attention_mask, token_type_ids):
    """last_hidden_state [b, s, e] and pooler_output [b, e]."""
    w = {name: array.astype(np.float64) for name, array in weights.items()}
    heads, epsilon = config["num_attention_heads"], config["layer_norm_eps"]
    b, s = input_ids.shape

    def linear(x, name):
        return x @ w[name + ".weight"].T + w[name + ".bias"]

    def norm(x, name):
        return layer_norm(x, w[name + ".weight"], w[name + ".bias"], epsilon)

    x = (w["embeddings.word_embeddings.weight"][input_ids]
         + w["embeddings.position_embeddings.weight"][:s]
         + w["embeddings.token_type_embeddings.weight"][token_type_ids])
    x = norm(x, "embeddings.LayerNorm")
    for layer in range(config["num_hidden_layers"]):
        p = f"encoder.layer.{layer}."
        q, k, v = (linear(x, p + "attention.self." + n).reshape(b, s, heads, -1)
                   for n in ("query", "key", "value"))
        scores = np.einsum("bshd,bthd->bhst", q, k) / math.sqrt(q.shape[-1])
        scores = np.where(attention_mask[:, None, None, :] != 0, scores, -np.inf)
        scores = np.exp(scores - scores.max(-1, keepdims=True))
        scores /= scores.sum(-1, keepdims=True)
        mixed = np.einsum("bhst,bthd->bshd", scores, v).reshape(b, s, -1)
        x = norm(x + linear(mixed, p + "attention.output.dense"),
                 p + "attention.output.LayerNorm")
        h = linear(x, p + "intermediate.dense")
        h = 0.5 * h * (1 + erf(h / math.sqrt(2)))
        x = norm(x + linear(h, p + "output.dense"), p + "output.LayerNorm")
    return x, np.tanh(linear(x[:, 0], "pooler.dense"))
