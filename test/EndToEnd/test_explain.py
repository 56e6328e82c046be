"""Explanations, comparisons and plan files of whole models. What single figures
are made of is tested on small modules (AlternativesTest.cpp, test/Tools)."""

import collections
import json

import numpy as np
import pytest

from tools import ROOT, run_model, tool

# Where splitting pays, so that there is something to explain.
MACHINE = ROOT / "test/data/machines/eager.json"
MODELS = [("llama_rope3", "tp=2", "auto"),
          ("bert", "tp=3", "megatron"),
          ("mixtral", "tp=2", "megatron")]


def plan_of(name, mesh, folder, *options):
    """The report of a plan, and what is printed."""
    report = folder / "report.json"
    result = tool("tpc-run", ROOT / "test/data/hf" / name / "model", "--mesh",
                  mesh, "--dry-run", "--batch", 3, "--length", 32, "--machine",
                  MACHINE, "--search-time", 4, "--report", report, *options)
    return json.loads(report.read_text()), result.stdout


def same(report):
    """What a plan decides, and what is predicted and planned for it."""
    return {key: report[key] for key in
            ("parameters", "collectives", "memory", "predicted", "steps")
            if key in report}


@pytest.mark.parametrize("name, mesh, mode", MODELS)
def test_a_plan_file_is_followed_exactly(name, mesh, mode, tmp_path):
    model = ROOT / "test/data/hf" / name / "model"
    inputs = {"input_ids": np.arange(4, 20).reshape(2, 8)}
    _, searched = run_model(model, mesh, inputs, [], tmp_path, "--quiet",
                            "--mode", mode, "--check", "--plan-out",
                            tmp_path / "plan.json", "--save",
                            tmp_path / "searched.tpcx")
    _, followed = run_model(model, mesh, inputs, [], tmp_path, "--quiet",
                            "--plan", tmp_path / "plan.json", "--check",
                            "--plan-out", tmp_path / "again.json", "--save",
                            tmp_path / "followed.tpcx")
    assert followed["check"]["ok"] and "search" not in followed
    assert same(searched) == same(followed)
    for names in [("plan.json", "again.json"),
                  ("searched.tpcx", "followed.tpcx")]:
        first, second = [(tmp_path / file).read_bytes() for file in names]
        assert first == second, names


def test_layers_are_one_line(tmp_path):
    """The plan of four layers has the lines of that of two."""
    lines = []
    for count in (2, 4):
        folder = tmp_path / str(count)
        folder.mkdir()
        config = json.loads((ROOT / "test/data/hf/llama_rope3/model/config.json"
                             ).read_text())
        config["num_hidden_layers"] = count
        (folder / "config.json").write_text(json.dumps(config))
        tool("tpc-run", folder, "--mesh", "tp=2", "--dry-run", "--quiet",
             "--mode", "megatron", "--length", 16, "--plan-out",
             folder / "plan.json")
        lines.append([line for line in
                      (folder / "plan.json").read_text().splitlines()
                      if '"model":' not in line])
    assert lines[0] == lines[1]
    assert sum("layers.*" in line for line in lines[0]) > 20


@pytest.mark.parametrize("name, mesh, mode", MODELS)
def test_every_collective_is_explained(name, mesh, mode, tmp_path):
    report, text = plan_of(name, mesh, tmp_path, "--mode", mode, "--explain")
    entry = next(iter(report["predicted"])) if len(
        report["predicted"]) == 1 else "prefill"
    made, explained = collections.Counter(), collections.Counter()
    for collective in report["collectives"]:
        made[collective["kind"], collective["axes"]] += collective["count"]
    micros = 0
    for collective in report["explanation"]["collectives"]:
        if collective["entry"] != entry:
            continue
        micros += collective["count"] * collective["us"]
        assert collective["because"] in text
        for step in collective["steps"]:
            explained[step["kind"], step["axes"]] += collective["count"]
        plan = collective["without"]
        if plan["status"] == "found" and mode == "auto":
            assert plan["delta_us"] >= -1e-3
    assert explained and set(explained) == set(made)
    # Passes after the choice may join some.
    assert all(explained[kind] >= made[kind] for kind in made)
    # Slices and masks are predicted as well.
    predicted = report["predicted"][entry]["communication_us"]
    assert 0 < micros <= predicted * (1 + 1e-6)


def test_figures_of_a_comparison_are_those_of_both_plans(tmp_path):
    both, text = plan_of("llama_rope3", "tp=2", tmp_path, "--compare",
                         "megatron")
    compared = both["comparison"]
    assert compared["plans"] == ["auto", "megatron"]
    reports = [both, plan_of("llama_rope3", "tp=2", tmp_path, "--mode",
                             "megatron")[0]]
    for side, report in enumerate(reports):
        total = 0
        for entry, figures in report["predicted"].items():
            total += figures["compute_us"] + figures["communication_us"]
            for key in ("compute_us", "communication_us", "peak_bytes"):
                assert compared["entries"][entry][key][side] == figures[key]
        assert compared["us"][side] == pytest.approx(total)
        sent, counts = collections.Counter(), collections.Counter()
        for collective in report["collectives"]:
            key = collective["kind"], collective["axes"]
            counts[key] += collective["count"]
            sent[key] += collective["count"] * collective["sent"]
        for row in compared["collectives"]:
            if row["entry"] == "prefill":
                key = row["kind"], row["axes"]
                assert (row["count"][side], row["sent"][side]) == (
                    counts[key], sent[key])
    assert compared["values"] and all(
        row["sharding"][0] != row["sharding"][1] for row in compared["values"])
    assert "Comparison: auto is faster by" in text


def test_a_value_in_a_model(tmp_path):
    """All layers of a weight, alike; the chosen sharding is the cheapest."""
    report, _ = plan_of("llama_rope3", "tp=2", tmp_path,
                        "--explain=model.layers.0.mlp.down_proj.weight")
    values = report["explanation"]["values"]
    layers = sum(value["count"] for value in values)
    config = json.loads((ROOT / "test/data/hf/llama_rope3/model/config.json"
                         ).read_text())
    assert layers == config["num_hidden_layers"]
    for value in values:
        assert value["name"] == "model.layers.*.mlp.down_proj.weight"
        assert [choice["chosen"] for choice in value["choices"]].count(True) == 1
        assert value["choices"][0]["chosen"]
        assert {choice["sharding"] for choice in value["choices"]} == {
            "replicated", "split along dimension 0 over tp",
            "split along dimension 1 over tp"}
        for choice in value["choices"][1:]:
            assert choice["plan"]["proven"]
            assert choice["plan"]["delta_us"] >= -1e-3
