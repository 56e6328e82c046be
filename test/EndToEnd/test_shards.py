"""tpc-shard writes each device's weights, tpc-merge the original files."""

import json
import os
import shutil

import numpy as np
import pytest

from test_hugging_face import FIXTURES as ENCODERS
from test_decoders import FIXTURES as DECODERS
from tools import read_safetensors, tool

FIXTURES = {**ENCODERS, **DECODERS}
SPLITS = [("tp=2", "megatron"), ("tp=3", "megatron"),
          ("dp=2,tp=2", "megatron"), ("tp=3", "auto")]


def shard(model, out, *options, check=True):
    return tool("tpc-shard", model, "-o", out, "--search-time", 1, "--length",
                16, *options, check=check)


def files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("mesh,mode", SPLITS)
@pytest.mark.parametrize("name", FIXTURES)
def test_bit_for_bit(name, mesh, mode, tmp_path):
    model = FIXTURES[name] / "model"
    shard(model, tmp_path / "cut", "--mesh", mesh, "--mode", mode)
    tool("tpc-merge", tmp_path / "cut", "-o", tmp_path / "again")
    assert files(tmp_path / "again") == files(model)


def stored(model):
    arrays = {}
    for path in model.glob("*.safetensors"):
        arrays |= read_safetensors(path)
    return arrays


def devices(folder, count):
    return [read_safetensors(folder / f"device-{i:05}-of-{count:05}.safetensors")
            for i in range(count)]


def test_what_devices_hold(tmp_path):
    model = FIXTURES["llama_rope3"] / "model"
    shard(model, tmp_path / "cut", "--tp", 2, "--mode", "megatron")
    whole, parts = stored(model), devices(tmp_path / "cut", 2)
    layer = "model.layers.0."
    for kind, axis in [("self_attn.q_proj", 0), ("self_attn.k_proj", 0),
                       ("self_attn.o_proj", 1), ("mlp.up_proj", 0),
                       ("mlp.down_proj", 1)]:
        name = f"{layer}{kind}.weight"
        halves = np.split(whole[name], 2, axis)
        for part, half in zip(parts, halves):
            assert (part[name] == half).all()
    name = layer + "input_layernorm.weight"
    assert all((part[name] == whole[name]).all() for part in parts)


def test_a_fused_tensor_is_cut_in_each_of_its_parts(tmp_path):
    """GPT-2 stores queries, keys and values as one matrix, [in, out]."""
    model = FIXTURES["gpt2"] / "model"
    shard(model, tmp_path / "cut", "--tp", 2, "--mode", "megatron")
    whole, parts = stored(model), devices(tmp_path / "cut", 2)
    name = next(name for name in whole if name.endswith(
        "h.0.attn.c_attn.weight"))
    thirds = np.split(whole[name], 3, 1)
    for device, part in enumerate(parts):
        expected = np.concatenate(
            [np.split(third, 2, 1)[device] for third in thirds], 1)
        assert (part[name] == expected).all()


def test_experts_go_to_devices(tmp_path):
    model = FIXTURES["mixtral"] / "model"
    shard(model, tmp_path / "cut", "--tp", 2, "--mode", "megatron", "--pin",
          '*experts*=[{"tp"}, {}, {}]')
    held = [{name.split("experts.")[1][0] for name in part if "experts." in name}
            for part in devices(tmp_path / "cut", 2)]
    assert held == [{"0", "1"}, {"2", "3"}]
    tool("tpc-merge", tmp_path / "cut", "-o", tmp_path / "again")
    assert files(tmp_path / "again") == files(model)


@pytest.fixture
def cut(tmp_path):
    shard(FIXTURES["llama_rope3"] / "model", tmp_path / "cut", "--tp", 2,
          "--mode", "megatron")
    return tmp_path / "cut"


def edit(change):
    def damage(folder):
        path = folder / "tpc-shards.json"
        manifest = json.loads(path.read_text())
        change(manifest)
        path.write_text(json.dumps(manifest))
    return damage


def rename_file(manifest):
    manifest["files"]["../evil.safetensors"] = manifest["files"].pop(
        "model.safetensors")


def set_part(value):
    def change(manifest):
        next(iter(manifest["split"].values()))[0] = value
    return change


DAMAGE = {
    "no manifest": (lambda f: (f / "tpc-shards.json").unlink(),
                    "tpc-shards.json"),
    "no json": (lambda f: (f / "tpc-shards.json").write_text("{"),
                "tpc-shard writes"),
    "version": (edit(lambda m: m.update(version=9)), "found 9"),
    "devices": (edit(lambda m: m.update(devices=0)), "devices, found"),
    "more devices": (edit(lambda m: m.update(devices=3)), "parts on 3"),
    "path": (edit(rename_file), "../evil"),
    "header": (edit(lambda m: m["files"].update({"model.safetensors": "{"})),
               "headers"),
    "missing device": (lambda f: (f / "device-00001-of-00002.safetensors")
                       .unlink(), "device-00001"),
    "runs beyond": (edit(set_part([[[0, 1 << 60]], [[0, 1]]])), "runs"),
    "run that wraps": (edit(set_part([[[(1 << 64) - 1, 2]], [[0, 1]]])),
                       "runs"),
    "rank": (edit(set_part([[[0, 1]]])), "runs"),
    "same part twice": (edit(lambda m: [v.__setitem__(1, v[0]) for v in
                                        m["split"].values()]), "together"),
    "not split": (edit(lambda m: m.update(split={})), "expected tensor"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damaged_folders(name, cut, tmp_path):
    damage, message = DAMAGE[name]
    damage(cut)
    result = tool("tpc-merge", cut, "-o", tmp_path / "again", check=False)
    assert result.returncode == 1
    assert message in result.stderr, result.stderr
    assert not list((tmp_path / "again").glob("*.safetensors"))
    assert not (tmp_path / "evil.safetensors").exists()


def test_full_folders_are_left_alone(cut, tmp_path):
    before = files(cut)
    model = FIXTURES["llama_rope3"] / "model"
    for result in (shard(model, cut, "--tp", 2, check=False),
                   tool("tpc-merge", cut, "-o", cut, check=False)):
        assert result.returncode == 1 and "empty folder" in result.stderr
    assert files(cut) == before
    result = shard(tmp_path / "none", tmp_path / "x", check=False)
    assert result.returncode == 1 and "config.json" in result.stderr


def test_stored_types_stay(tmp_path):
    """bf16, and a tensor that the model does not use."""
    model = tmp_path / "m"
    shutil.copytree(FIXTURES["llama_rope3"] / "model", model)
    data = (model / "model.safetensors").read_bytes()
    size = int.from_bytes(data[:8], "little")
    header, body = json.loads(data[8:8 + size]), data[8 + size:]
    header["extra"] = {"dtype": "U8", "shape": [5],
                       "data_offsets": [len(body), len(body) + 5]}
    header["__metadata__"] = {"format": "pt", "quote": '"\\\n'}
    text = json.dumps(header).encode() + b"   "
    (model / "model.safetensors").write_bytes(
        len(text).to_bytes(8, "little") + text + body + os.urandom(5))
    shard(model, tmp_path / "cut", "--tp", 2, "--mode", "megatron")
    tool("tpc-merge", tmp_path / "cut", "-o", tmp_path / "again")
    assert files(tmp_path / "again") == files(model)
