"""Bad input: one message, exit code 1, and no file left behind.

A case is a command line and what its message must say. `{...}` in a command
names something that `workshop` makes; further cases damage files first.
"""

import json
import os
import re
import shutil
import struct

import numpy as np
import pytest

from tools import BIN, ROOT, tool, write_safetensors

MLP = """tpc.mesh @mesh <"tp" = 2>
tpc.parameter @up : tensor<4x8xf32>
func.func @main(%x: tensor<2x4xf32> {tpc.name = "x"}) -> (tensor<2x8xf32> {tpc.name = "y"}) {
  %up = tpc.read @up : tensor<4x8xf32>
  %y = tpc.matmul %x, %up "b e, e f -> b f" : (tensor<2x4xf32>, tensor<4x8xf32>) -> tensor<2x8xf32>
  return %y : tensor<2x8xf32>
}
"""

LLAMA_CONFIG = ROOT / "test/data/hf/llama_rope3/model/config.json"

CONFIG = {"architectures": ["BertModel"], "hidden_size": 8, "vocab_size": 20,
          "num_hidden_layers": 1, "num_attention_heads": 2,
          "intermediate_size": 16, "max_position_embeddings": 12,
          "type_vocab_size": 2}


def bert_weights():
    """Zeros for a BertModel of CONFIG, by the names of its checkpoint."""
    shapes = {"embeddings.word_embeddings.weight": (20, 8),
              "embeddings.position_embeddings.weight": (12, 8),
              "embeddings.token_type_embeddings.weight": (2, 8)}
    layer = "encoder.layer.0."
    for name, rows, columns in [
            (layer + "attention.self.query", 8, 8),
            (layer + "attention.self.key", 8, 8),
            (layer + "attention.self.value", 8, 8),
            (layer + "attention.output.dense", 8, 8),
            (layer + "intermediate.dense", 16, 8),
            (layer + "output.dense", 8, 16), ("pooler.dense", 8, 8)]:
        shapes[name + ".weight"] = (rows, columns)
        shapes[name + ".bias"] = (rows,)
    for name in ["embeddings.LayerNorm", layer + "attention.output.LayerNorm",
                 layer + "output.LayerNorm"]:
        shapes[name + ".weight"] = shapes[name + ".bias"] = (8,)
    return {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}


def write_bert(folder, config=CONFIG, weights=None):
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config))
    write_safetensors(folder / "model.safetensors", weights or bert_weights())


@pytest.fixture(scope="module")
def originals(tmp_path_factory):
    """A module of its own, a Hugging Face model, inputs, and an artifact."""
    folder = tmp_path_factory.mktemp("bad_input")
    (folder / "mlp.mlir").write_text(MLP)
    write_safetensors(folder / "w.safetensors",
                      {"up": np.ones((4, 8), np.float32)})
    np.save(folder / "x.npy", np.ones((2, 4), np.float32))
    write_bert(folder / "bert")
    tool("tpc-run", folder / "mlp.mlir", "--dry-run", "--quiet", "--save",
         folder / "mlp.tpcx")
    return folder


@pytest.fixture
def workshop(originals, tmp_path):
    """A copy of the files, to damage."""
    return shutil.copytree(originals, tmp_path / "workshop")


def files(folder):
    return {path: path.stat().st_size for path in folder.rglob("*")}


def refused(folder, command, *parts):
    """The command fails as a command should, and says all of `parts`."""
    name, *arguments = command.split() if isinstance(command, str) else command
    before = files(folder)
    os.chdir(folder)
    result = tool(name, *arguments, check=False)
    assert result.returncode == 1, (result.returncode, result.stderr)
    # One message: a line, or a diagnostic with its notes.
    first, *others = result.stderr.splitlines()
    assert "error: " in first, result.stderr
    assert all(": note: " in line for line in others), result.stderr
    for part in parts:
        assert re.search(part, result.stderr), (part, result.stderr)
    assert files(folder) == before
    return result


# A run that works; the cases add to it, or take something away.
MLP_RUN = "tpc-run mlp.mlir --weights w.safetensors --input x=@x.npy"
BERT_RUN = "tpc-run bert --input input_ids=1x4xi64=1"
ARTIFACT_RUN = "tpcrt-run mlp.tpcx --weights w.safetensors --input x=@x.npy"


@pytest.mark.parametrize("command", [MLP_RUN, BERT_RUN, ARTIFACT_RUN])
def test_good_input_works(workshop, command):
    os.chdir(workshop)
    tool(*command.split())


COMMANDS = [
    # The model.
    ("tpc-run none.mlir", "none.mlir", "No such file"),
    ("tpc-run .", r"config\.json"),
    ("tpc-run w.safetensors", "w.safetensors"),
    (MLP_RUN + " --entry other", '"other"', "expected one of: main"),
    (MLP_RUN + " --mode fast", '"fast"', "megatron, propagate"),
    (MLP_RUN + " --emit c", '"c"', "whole, assigned, program, plan"),
    (MLP_RUN + " --device gpu", "'gpu'", "expected cpu or cuda"),
    # The mesh.
    (MLP_RUN + " --mesh tp=0", "at least 1", "tp=0"),
    (MLP_RUN + " --mesh tp=-1", "at least 1", "tp=-1"),
    (MLP_RUN + " --mesh tp", "dp=2,tp=4", '"tp"'),
    (MLP_RUN + " --mesh =4", "dp=2,tp=4", '"=4"'),
    (MLP_RUN + " --mesh=", "dp=2,tp=4", '""'),
    (MLP_RUN + " --mesh tp=4,tp=2", "twice"),
    (MLP_RUN + " --mesh tp=99999999999", "devices"),
    (MLP_RUN + " --mesh tp=99999999999999999999", "dp=2,tp=4"),
    # Inputs.
    ("tpc-run mlp.mlir --weights w.safetensors", "'x' is missing"),
    (MLP_RUN + " --input z=f32=1", "no input 'z'", r"\[x\]"),
    (MLP_RUN + " --input x=@x.npy", "'x' is given twice"),
    (MLP_RUN[:-9] + " x=2x5xf32=1", "'x'", "2x4xf32", "2x5xf32"),
    (MLP_RUN[:-9] + " x=2x4xf64=1", "'x'", "2x4xf32", "2x4xf64"),
    (MLP_RUN[:-9] + " x=@none.npy", "'x'", "none.npy", "No such file"),
    (MLP_RUN[:-9] + " x=@w.safetensors", "'x'", r"not a \.npy file"),
    (MLP_RUN[:-9] + " x=@bert", "'x'", "bert", "not a regular file"),
    (MLP_RUN[:-9] + " x", "'x'", "name=@file.npy"),
    (MLP_RUN[:-9] + " =@x.npy", "name=@file.npy"),
    (MLP_RUN[:-9] + " x=2x4xf32", "'x'", "expected", "2x4xf32"),
    (MLP_RUN[:-9] + " x=2x4xq7=1", "'x'", "2x4xq7"),
    (MLP_RUN[:-9] + " x=2x4xf32=", "'x'", "8 elements", "found 0"),
    (MLP_RUN[:-9] + " x=2x4xf32=1,2", "'x'", "8 elements", "found 2"),
    (MLP_RUN[:-9] + " x=2x4xf32=1,", "'x'", "after the last comma"),
    (MLP_RUN[:-9] + " x=2x4xf32=one", "'x'", "'one'"),
    (MLP_RUN[:-9] + " x=99999999999x99999999999xf32=1", "'x'", "too large"),
    (MLP_RUN[:-9] + " x=500000000000xf32=1", "'x'", "too large"),
    # Weights.
    ("tpc-run mlp.mlir --input x=@x.npy", "'up'", "weights"),
    (MLP_RUN + " --check --weights none", "none", "No such file"),
    ("tpc-run mlp.mlir --input x=@x.npy --weights x.npy", "x.npy"),
    ("tpc-run mlp.mlir --input x=@x.npy --weights bert", "'up'"),
    # Shapes of token inputs.
    ("tpc-run bert --dry-run --batch 0", "batch", "at least 1", "0"),
    ("tpc-run bert --dry-run --batch -1", "batch", "at least 1", "-1"),
    ("tpc-run bert --dry-run --length 0", "length", "at least 1", "0"),
    ("tpc-run bert --dry-run --length 13", "length 13", "12 positions"),
    ("tpc-run bert --dry-run --length 9223372036854775807", "12 positions"),
    ("tpc-run bert --dry-run --length 4 --batch 9223372036854775807", "2\\^48"),
    ("tpc-run bert --input input_ids=4xi64=1", "input_ids", "4xi64"),
    ("tpc-run bert --input input_ids=1x13xi64=1", "length 13", "12 positions"),
    ("tpc-run bert --input input_ids=0x4xi64=1", "at least 1"),
    ("tpc-run bert --input input_ids=1x4xf32=1", "1x4xi64", "1x4xf32"),
    (BERT_RUN + " --input attention_mask=1x5xi64=1", "1x4xi64", "1x5xi64"),
    (BERT_RUN + " --input other=f32=1", "no input 'other'", "input_ids"),
    (BERT_RUN + " --mesh tp=2,dp", "dp=2,tp=4"),
    # Outputs.
    (MLP_RUN + " --output z=@z.npy", '"z"', "expected one of: y"),
    (MLP_RUN + " --output y", "name=@file.npy"),
    (MLP_RUN + " --output y=@", "name=@file.npy"),
    (MLP_RUN + " --output y=@none/y.npy", "none/y.npy", "No such file"),
    (MLP_RUN + " --output y=@bert", "bert", "directory"),
    (MLP_RUN + " --output y=@y.npy --output y=@y.npy", "y.npy", "twice"),
    (MLP_RUN + " --save y.out --output y=@y.out", "y.out", "twice"),
    (MLP_RUN + " --save none/m.tpcx", "none/m.tpcx", "No such file"),
    (MLP_RUN + " --dry-run --save none/m.tpcx", "none/m.tpcx"),
    (MLP_RUN + " --report none/r.json", "none/r.json", "No such file"),
    (MLP_RUN + " --dry-run --report none/r.json", "none/r.json"),
    (MLP_RUN + " --save m.tpcx --report none/r.json", "none/r.json"),
    (MLP_RUN + " --output y=@y.npy --report none/r.json", "none/r.json"),
    (MLP_RUN + " --save m.tpcx --output y=@none/y.npy", "none/y.npy"),
    (MLP_RUN[:-16] + " --save m.tpcx --report r.json", "'x' is missing"),
    (MLP_RUN + " --repeat 0", "--repeat", "1", "0"),
    # The runtime's own tool.
    ("tpcrt-run none.tpcx", "none.tpcx", "No such file"),
    ("tpcrt-run bert", "bert", "not a regular file"),
    ("tpcrt-run x.npy", "x.npy", "not an artifact"),
    ("tpcrt-run mlp.tpcx --input x=@x.npy", "'up'", "weights"),
    ("tpcrt-run mlp.tpcx --weights w.safetensors", "'x' is missing"),
    (ARTIFACT_RUN + " --entry other", "'other'", "expected one of: main"),
    (ARTIFACT_RUN + " --input x=@x.npy", "'x' is given twice"),
    (ARTIFACT_RUN + " --input z=f32=1", "no input 'z'"),
    (ARTIFACT_RUN[:-9] + " x=2x5xf32=1", "'x'", "2x4xf32", "2x5xf32"),
    (ARTIFACT_RUN[:-9] + " x=2x4xi32=1", "'x'", "2x4xf32", "2x4xi32"),
    (ARTIFACT_RUN + " --output z=@z.npy", "'z'", "expected one of: y"),
    (ARTIFACT_RUN + " --output y=@none/y.npy", "none/y.npy"),
    (ARTIFACT_RUN + " --output y=@y.npy --output y=@y.npy", "y.npy", "twice"),
    (ARTIFACT_RUN + " --output y=@y.npy --report none/r.json", "none/r.json"),
    (ARTIFACT_RUN + " --repeat 0", "--repeat", "from 1", "'0'"),
    (ARTIFACT_RUN + " --max-threads x", "--max-threads", "'x'"),
    (ARTIFACT_RUN + " --wrong 1", "unknown option '--wrong'"),
    (ARTIFACT_RUN + " more.tpcx", "one artifact", "more.tpcx"),
]


@pytest.mark.parametrize("command, parts", [(c[0], c[1:]) for c in COMMANDS],
                         ids=[c[0] for c in COMMANDS])
def test_command(workshop, command, parts):
    refused(workshop, command, *parts)


@pytest.mark.skipif(os.path.exists("/dev/nvidiactl"), reason="there is a GPU")
def test_device_that_is_not_there(workshop):
    """What is missing: the driver, a GPU, or the CUDA device in this build."""
    refused(workshop, MLP_RUN + " --device cuda",
            r"libcuda\.so\.1|finds no NVIDIA GPU|which this build does not run")


def test_unparsed_options(workshop):
    """LLVM's option parser prints this in its own form."""
    os.chdir(workshop)
    for arguments in (["mlp.mlir", "--wrong"], ["mlp.mlir", "more.mlir"],
                      ["mlp.mlir", "--repeat", "-1"],
                      ["mlp.mlir", "--repeat", "many"],
                      ["mlp.mlir", "--batch", "many"],
                      ["mlp.mlir", "--max-threads", "-1"]):
        result = tool("tpc-run", *arguments, check=False)
        assert result.returncode == 1
        assert re.match("tpc-run: .*(--help|--repeat|--batch|--max-threads)",
                        result.stderr, re.S), result.stderr


# Text of a module, and what the message says.
MODULES = {
    "empty": ("", "expected a function"),
    "comment": ("// nothing\n", "expected a function"),
    "syntax": (MLP.replace("return", "retrun"), r"bad\.mlir:6:"),
    "binary": ("\0\1\2\xff", r"bad\.mlir:1:"),
    "unknown op": ("tpc.none\n", r"bad\.mlir:1:1", "tpc.none"),
    "unknown dialect": ('"x.y"() : () -> ()\n', r"bad\.mlir:1:6", "dialect"),
    "no function": (MLP.split("func")[0], "expected a function"),
    "two functions": (MLP + MLP[MLP.index("func"):].replace("@main", "@b"),
                      "--entry", "main, b"),
    "external": ('func.func private @main(tensor<2xf32>) -> tensor<2xf32>\n',
                 r"bad\.mlir:1:1", "one block"),
    "vector": ("func.func @main(%x: vector<2xf32>) -> vector<2xf32> {\n"
               "  return %x : vector<2xf32>\n}\n", r"bad\.mlir:1:"),
    "dynamic": ("func.func @main(%x: tensor<?xf32>) -> tensor<?xf32> {\n"
                "  return %x : tensor<?xf32>\n}\n", r"bad\.mlir:1:"),
    "element type": ("func.func @main(%x: tensor<2xi7>) -> tensor<2xi7> {\n"
                     "  return %x : tensor<2xi7>\n}\n", r"bad\.mlir:1:"),
    "two meshes": ('tpc.mesh @a <"tp" = 2>\n' + MLP, "one mesh"),
    "unknown axis in a pin": (
        MLP.replace("tensor<4x8xf32>\n",
                    'tensor<4x8xf32> {tpc.sharding = #tpc.sharding<@mesh, '
                    '[{"q"}, {}]>}\n', 1), r"bad\.mlir:2:", '"q"'),
    "pin on another mesh": (
        MLP.replace("tensor<4x8xf32>\n",
                    'tensor<4x8xf32> {tpc.sharding = #tpc.sharding<@other, '
                    '[{"tp"}, {}]>}\n', 1), r"bad\.mlir:2:", "@other"),
    "pin of another rank": (
        MLP.replace("tensor<4x8xf32>\n",
                    'tensor<4x8xf32> {tpc.sharding = #tpc.sharding<@mesh, '
                    '[{"tp"}]>}\n', 1), r"bad\.mlir:2:"),
    "unknown parameter": (MLP.replace("read @up", "read @no"),
                          r"bad\.mlir:4:", "@no"),
    "function without inputs": ("func.func @main() {\n  return\n}\n", "no input"),
    "same names": (MLP.replace('"y"', '"x"').replace(
        "@main(", '@main(%z: tensor<2x4xf32> {tpc.name = "x"}, '), '"x"'),
}




def module(body="", x="tensor<2x4xf32>", y="tensor<2x4xf32>", before="",
           mesh='<"tp" = 2>', pin=""):
    """A function of %x that returns %y; without a body, exp."""
    body = body or f"%y = tpc.exp %x : ({x}) -> {y}"
    return (f"tpc.mesh @mesh {mesh}\n{before}\n"
            f'func.func @main(%x: {x} {{tpc.name = "x"{pin}}}) -> {y} {{\n'
            f"  {body}\n  return %y : {y}\n}}\n")


def pinned(sharding):
    return module(pin=f", tpc.sharding = {sharding}", mesh='<"tp" = 4>')


def sized(shape):
    return module(x=f"tensor<{shape}xf32>", y=f"tensor<{shape}xf32>")


def op(text, x="2x4xf32", y="2x4xf32"):
    x, y = f"tensor<{x}>", f"tensor<{y}>"
    return module(f"%y = tpc.{text} : ({x}) -> {y}", x, y)


DEEP = 100_000
ATTRIBUTE = "func.func private @f() attributes {{a = {}}}\n".format


def nested(opening, middle, closing):
    return opening * DEEP + middle + closing * DEEP


def chained(definition):
    """Definitions that each use the one before."""
    return "".join(definition.format(i, i + 1) for i in range(DEEP))


def writing(state, before=""):
    return module(f"tpc.write @{state}, %x : tensor<2x4xf32>\n"
                  "  %y = tpc.exp %x : (tensor<2x4xf32>) -> tensor<2x4xf32>",
                  before=before)


STATE = "tpc.state @s : tensor<2x4xf32>"
TOO_DEEP = "nested at most 200 deep"

MODULES |= {
    # What is nested so deeply that MLIR's parser would overflow the stack.
    "nested types": (f"func.func private @f({nested('tuple<', 'i1', '>')})",
                     r"bad\.mlir:1:1221:", TOO_DEEP),
    "nested encodings": (
        f"func.func private @f({nested('tensor<2xf32, ', '1', '>')})",
        TOO_DEEP),
    "nested function types": (
        f"func.func private @f({nested('(', '', ') -> ()')})", TOO_DEEP),
    "nested attributes": (ATTRIBUTE(nested("[", "1", "]")), TOO_DEEP),
    "nested dictionaries": (ATTRIBUTE(nested("{a = ", "1", "}")), TOO_DEEP),
    "nested elements": (
        ATTRIBUTE(f"dense<{nested('[', '1.', ']')}> : tensor<1xf32>"),
        TOO_DEEP),
    "nested sharding": (
        ATTRIBUTE(f"#tpc.sharding<@mesh, {nested('[', '', ']')}>"), TOO_DEEP),
    "nested modules": ("module {\n" * DEEP + "}\n" * DEEP,
                       r"bad\.mlir:201:8:", TOO_DEEP),
    "nested regions": (
        nested('"builtin.module"() ({\n', "", "}) : () -> ()\n"), TOO_DEEP),
    "nested locations": (f"module {{}} loc({nested('fused[', 'unknown', ']')})",
                         TOO_DEEP),
    "negations": (ATTRIBUTE(f"affine_map<(d0) -> ({'- ' * DEEP}d0)>"),
                  TOO_DEEP),
    "sums": (ATTRIBUTE(f"affine_map<(d0) -> (d0{' + d0' * DEEP})>"), TOO_DEEP),
    "remainders": (ATTRIBUTE(f"affine_map<(d0) -> (d0{' mod 2' * DEEP})>"),
                   TOO_DEEP),
    "type aliases": ("!a0 = i1\n" + chained("!a{1} = tuple<!a{0}>\n"),
                     r"bad\.mlir:202:15:", TOO_DEEP),
    "attribute aliases": ("#a0 = 1\n" + chained("#a{1} = [#a{0}]\n"), TOO_DEEP),
    "unclosed": ("(" * DEEP, TOO_DEEP),
    "bytecode": ("ML\xefR\x06", "found bytecode"),
    # Shapes.
    "dimension": (sized(1 << 63), r"bad\.mlir:3:28:", "invalid dimension"),
    "product of dimensions": (sized("4294967296x4294967296"), "2\\^48"),
    "product above 2^48": (sized("1099511627776x1024"), "2\\^48"),
    "33 dimensions": (sized("x".join(["1"] * 33)), "33"),
    "broadcast": (op("broadcast %x dims [1, 2]", y=f"{1 << 62}x2x4xf32"),
                  "2\\^48"),
    "reshape": (op("reshape %x", y="3x3xf32"), "C1", "2x4 and 3x3"),
    "reshape of nothing": (op("reshape %x", "0x4xf32",
                              "4294967296x4294967296xf32"), "2\\^48"),
    "slice far away": (op(f"slice %x [{(1 << 63) - 1}, 0]"), "C2",
                       str((1 << 63) - 1)),
    "slice before": (op("slice %x [-1, 0]"), "C1", "not negative"),
    "pad far": (op(f"pad %x low [{(1 << 63) - 1}, 0] with 0.0"), "C2",
                str((1 << 63) - 1)),
    "dimension of a reduction": (op("reduce sum %x dims [5]"), "C1",
                                 "below 2, found 5"),
    "permutation": (op("transpose %x [0, -1]"), "C1", "permutation"),
    "softmax of a scalar": (op("softmax %x", "f32", "f32"), "C1", "rank"),
    "equation": (module('%y = tpc.matmul %x, %x "((((a" : (tensor<2x4xf32>, '
                        "tensor<2x4xf32>) -> tensor<2x4xf32>"), "C1",
                 "equation"),
    "sizes in an equation": (
        module('%y = tpc.matmul %x, %x "a b, b c -> a c" : (tensor<2x4xf32>, '
               "tensor<2x4xf32>) -> tensor<2x4xf32>"), "C3",
        "b has sizes 4 and 2"),
    # Meshes.
    "devices overflow": (module(mesh='<"a" = 4294967296, "b" = 4294967296>'),
                         "C3", "65536"),
    "size overflows": (module(mesh=f'<"a" = {1 << 64}>'), r"bad\.mlir:1:"),
    "no devices": (module(mesh='<"a" = 0>'), "C2", "at least 1"),
    "axis twice": (module(mesh='<"a" = 2, "a" = 2>'), "C1", "twice"),
    # Shardings.
    "part of an axis": (pinned('#tpc.sharding<@mesh, [{"tp":(1)3}, {}]>'),
                        "does not divide", "4"),
    "part behind an axis": (pinned('#tpc.sharding<@mesh, [{"tp":(4)2}, {}]>'),
                            "does not divide"),
    "part overflows": (
        pinned(f'#tpc.sharding<@mesh, [{{"tp":({1 << 62})4}}, {{}}]>'),
        "from 1 to 65536"),
    "split twice": (pinned('#tpc.sharding<@mesh, [{"tp"}, {"tp"}]>'), "C2",
                    "used twice"),
    "parts overlap": (pinned('#tpc.sharding<@mesh, [{"tp":(1)2}, {"tp"}]>'),
                      "C2", "used twice"),
    "partial input": (pinned('#tpc.sharding<@mesh, [{}, {}], sum {"tp"}>'),
                      "partial"),
    "unknown reduction": (
        pinned('#tpc.sharding<@mesh, [{}, {}], mean {"tp"}>'), "mean"),
    "sharding is a number": (pinned("3"), "expected a #tpc.sharding"),
    "encoding is a number": (module(x="tensor<2x4xf32, 3>"),
                             "expected a whole tensor", "encoding 3"),
    "encoding in the whole form": (
        module(x='tensor<2x4xf32, #tpc.sharding<@mesh, [{"tp"}, {}]>>'),
        "expected a whole tensor", "tpc.shard"),
    "encoding of another rank": (
        module(x="tensor<2x4xf32, #tpc.sharding<@mesh, [{}]>>"), "C1",
        "found 1"),
    # Symbols and states.
    "state twice": (module(before=f"{STATE}\n{STATE}"), "redefinition", "'s'"),
    "unknown state": (writing("q"), "C1", "@q"),
    "written parameter": (writing("s", STATE.replace("state", "parameter")),
                          "C1", "no state @s"),
    "type of a state": (writing("s", STATE.replace("2x4", "4x2")), "C2",
                        "4x2xf32"),
    "read of a mesh": (module("%y = tpc.read @mesh : tensor<2x4xf32>"), "C1",
                       "@mesh"),
    "call": (module("%y = func.call @main(%x) : (tensor<2x4xf32>) -> "
                    "tensor<2x4xf32>"), "func.call"),
    "used before defined": (
        module("%y = tpc.exp %z : (tensor<2x4xf32>) -> tensor<2x4xf32>\n"
               "  %z = tpc.exp %x : (tensor<2x4xf32>) -> tensor<2x4xf32>"),
        "dominate"),
    "huge constant": (
        module("%y = tpc.constant dense<1.0> : tensor<1000000x1000000000xf32> "
               ": tensor<1000000x1000000000xf32>",
               y="tensor<1000000x1000000000xf32>"), "2\\^48"),
}


@pytest.mark.parametrize("mode", ["megatron", "propagate"])
@pytest.mark.parametrize("case", MODULES)
def test_module(workshop, case, mode):
    text, *parts = MODULES[case]
    (workshop / "bad.mlir").write_text(text, encoding="latin-1")
    refused(workshop, f"tpc-run bad.mlir --mode {mode} --quiet --input "
            "x=@x.npy --weights w.safetensors --save m.tpcx --report r.json",
            *parts)


def test_state_too_large_for_memory(workshop):
    """Predicted, and refused before anything is allocated."""
    text = module(before="tpc.state @s : tensor<100000000000x100xf32>")
    (workshop / "bad.mlir").write_text(text)
    run = "tpc-run bad.mlir --quiet --search-time 1 --input x=@x.npy"
    refused(workshop, run, r"expected 72\.8 TiB of memory for 2 devices",
            r"found [0-9.]+ [GM]iB available", r"72\.8 TiB states")
    refused(workshop, run + " --check", "8 bytes", "at least 74505.8 GiB",
            "leave --check out")
    tool("tpc-run", "bad.mlir", "--dry-run", "--quiet", "--save", "bad.tpcx",
         "--search-time", "1")
    refused(workshop, "tpcrt-run bad.tpcx --input x=@x.npy",
            r"expected 72\.8 TiB of memory for 2 devices")


def test_axes_of_auto(workshop):
    (workshop / "bad.mlir").write_text(module(
        mesh="<" + ", ".join(f'"a{i}" = 2' for i in range(7)) + ">"))
    refused(workshop, "tpc-run bad.mlir --dry-run", "at most 6 axes", "found 7",
            "megatron")
    tool("tpc-run", "bad.mlir", "--dry-run", "--quiet", "--mode", "megatron")


@pytest.mark.parametrize("value", ["1,2,nan,4,5,6,7,8", "nan"])
def test_check_of_nan(workshop, value):
    run = MLP_RUN[:-9] + " x=2x4xf32=" + value
    refused(workshop, run + " --check", "'x'", "NaN at element", "--check")
    tool(*run.split())


# Changes to config.json, and what the message says.
CONFIGS = {
    "unknown architecture": ({"architectures": ["Gpt"]}, '"Gpt"', "BertModel"),
    "architectures no list": ({"architectures": "BertModel"}, "architectures"),
    "architectures empty": ({"architectures": []}, "architectures"),
    "heads": ({"num_attention_heads": 3}, "3 does not divide", "8"),
    "no heads": ({"num_attention_heads": 0}, "num_attention_heads", "0"),
    "negative": ({"hidden_size": -8}, "hidden_size", "-8"),
    "large": ({"vocab_size": 1 << 40}, "vocab_size"),
    "larger": ({"vocab_size": 1 << 80}, "number"),
    "all large": ({"vocab_size": 1 << 31, "hidden_size": 1 << 30}, r"2\^48"),
    "pad": ({"architectures": ["RobertaModel"], "pad_token_id": 2**63 - 1},
            "pad_token_id"),
    "many layers": ({"num_hidden_layers": 1 << 30}, "num_hidden_layers"),
    "text": ({"hidden_size": "8"}, "hidden_size", "an integer", '"8"'),
    "fraction": ({"hidden_size": 8.5}, "hidden_size", "an integer", "8.5"),
    "epsilon": ({"layer_norm_eps": "small"}, "layer_norm_eps", "a number"),
    "activation": ({"hidden_act": "prelu"}, "hidden_act", "gelu", "prelu"),
    "activation type": ({"hidden_act": 3}, "hidden_act", "a string", "3"),
    "decoder": ({"is_decoder": True}, "is_decoder"),
    "decoder type": ({"is_decoder": "no"}, "is_decoder", "true or false"),
    "dtype": ({"torch_dtype": "int8"}, "float16", "int8"),
    "positions": ({"position_embedding_type": "relative_key"}, "absolute"),
    **{"no " + key: ({key: None}, key) for key in list(CONFIG)[:-1]},
    **{"nested " + key: ({key: {"a": [1]}}, key) for key in CONFIG},
}


@pytest.mark.parametrize("case", CONFIGS)
def test_config(workshop, case):
    change, *parts = CONFIGS[case]
    (workshop / "bert/config.json").write_text(json.dumps({**CONFIG, **change}))
    refused(workshop, "tpc-run bert --dry-run --length 4", r"config\.json",
            *parts)


# Changes to a decoder's, and the message.
PHI = {"architectures": ["PhiForCausalLM"], "rms_norm_eps": None}
ROPES = {
    "heads of no size": ({"head_dim": 1 << 30}, "from 1 to 65536"),
    "more than a head": ({**PHI, "partial_rotary_factor": 1e300}, "at most 1"),
    "half a pair": ({**PHI, "partial_rotary_factor": 0.25}, "even",
                    "found 3"),
    "lengths below 0": ({"rope_scaling": {
        "type": "yarn", "factor": 2, "original_max_position_embeddings": -1}},
                        "expected a size from 1"),
    "factor 0": ({"rope_scaling": {
        "type": "longrope", "short_factor": [0] * 6, "long_factor": [0] * 6,
        "original_max_position_embeddings": 64}}, "finite frequencies"),
}


@pytest.mark.parametrize("case", ROPES)
def test_config_of_rotary_positions(tmp_path, case):
    change, *parts = ROPES[case]
    config = json.loads(LLAMA_CONFIG.read_text())
    del config["rope_parameters"]
    (tmp_path / "llama").mkdir()
    (tmp_path / "llama/config.json").write_text(
        json.dumps({**config, **change}))
    refused(tmp_path, "tpc-run llama --dry-run", r"config\.json", *parts)


@pytest.mark.parametrize("text", [
    "", "{", "[]", "null", '{"a": 1}}', "\0", "[" * 100000,
    '{"a":' * 5000 + "1" + "}" * 5000, '{"architectures": ["\xff"]}'])
def test_config_is_no_object(workshop, text):
    (workshop / "bert/config.json").write_text(text, encoding="latin-1")
    refused(workshop, "tpc-run bert --dry-run", r"config\.json", "JSON")


def test_weights_of_a_model(workshop):
    """Stored tensors that are missing or are not what config.json says."""
    name = "encoder.layer.0.output.dense.weight"
    path = workshop / "bert/model.safetensors"
    good = bert_weights()
    write_safetensors(path, {n: a for n, a in good.items() if n != name})
    refused(workshop, BERT_RUN, name, "no tensor", r"\[8, 16\]")
    write_safetensors(path, {n: a for n, a in good.items() if "layer" not in n})
    refused(workshop, BERT_RUN, "no tensor", "encoder.layer.0")
    write_safetensors(path, {**good, name: np.zeros((16, 8), np.float32)})
    refused(workshop, BERT_RUN, name, r"\[8, 16\]", r"\[16, 8\]")
    write_safetensors(path, {**good, name: np.zeros((8, 16), np.int64)})
    refused(workshop, BERT_RUN, name, "floating point", "I64")
    write_safetensors(path, {**good, name: np.zeros((8, 16), np.uint8)})
    refused(workshop, BERT_RUN, name, "floating point", "U8")
    path.unlink()
    refused(workshop, BERT_RUN, "bert", r"\.safetensors")


@pytest.mark.parametrize("run", [MLP_RUN, ARTIFACT_RUN])
def test_weights(workshop, run):
    path = workshop / "w.safetensors"
    write_safetensors(path, {"down": np.ones((4, 8), np.float32)})
    refused(workshop, run, "'up'")
    write_safetensors(path, {"up": np.ones((8, 4), np.float32)})
    refused(workshop, run, "'up'", r"\[4, 8\]|4x8", r"\[8, 4\]|8x4")
    write_safetensors(path, {"up": np.ones((4, 8), np.int64)})
    refused(workshop, run, "'up'", "f32|F32", "i64|I64")


def safetensors(header, data=b"\0" * 128):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def entry(begin=0, end=128, shape=(4, 8), dtype="F32"):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [begin, end]}


FILES = {
    "empty": b"",
    "short": b"\0\0\0",
    "header past the end": struct.pack("<Q", 1 << 60) + b"{}",
    "negative header": b"\xff" * 16,
    "no JSON": safetensors(b"up"),
    "list": safetensors([]),
    "nested": safetensors(b'{"up":' * 3000 + b"1" + b"}" * 3000),
    "no data": safetensors({"up": entry()}, b""),
    "truncated": safetensors({"up": entry()})[:-1],
    "too long": safetensors({"up": entry()}) + b"\0",
    "overlap": safetensors({"up": entry(), "b": entry(64, 96, (8,))}),
    "hole": safetensors({"up": entry(), "b": entry(136, 140, (1,))},
                        b"\0" * 140),
    "reversed": safetensors({"up": entry(128, 0)}),
    "negative": safetensors({"up": entry(-128, 0)}),
    "far": safetensors({"up": entry(1 << 63, (1 << 63) + 128)}),
    "larger shape": safetensors({"up": entry(shape=(4, 9))}),
    "overflowing shape": safetensors({"up": entry(shape=(1 << 62, 4, 8))}),
    "fraction": safetensors({"up": entry(shape=(4.5, 8))}),
    "unknown type": safetensors({"up": entry(dtype="X9")}),
    "one offset": safetensors({"up": {**entry(), "data_offsets": [0]}}),
    "no type": safetensors({"up": {"shape": [4, 8], "data_offsets": [0, 128]}}),
    "entry is text": safetensors({"up": "F32"}),
    "metadata is text": safetensors({"up": entry(), "__metadata__": "x"}),
}


@pytest.mark.parametrize("run", [MLP_RUN, ARTIFACT_RUN])
@pytest.mark.parametrize("case", FILES)
def test_safetensors(workshop, case, run):
    (workshop / "w.safetensors").write_bytes(FILES[case])
    refused(workshop, run, r"w\.safetensors")


def test_index_of_weights(workshop):
    folder = workshop / "indexed"
    folder.mkdir()
    index = folder / "model.safetensors.index.json"
    run = "tpc-run mlp.mlir --input x=@x.npy --weights indexed"
    for text in ["", "{}", '{"weight_map": 1}', '{"weight_map": {"up": 1}}',
                 '{"weight_map": {"up": "../w.safetensors"}}',
                 '{"weight_map": {"up": "none.safetensors"}}']:
        index.write_text(text)
        refused(workshop, run, "indexed")


NPY_HEADER = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 4), }"


def npy(header, data=b"\0" * 32, version=b"\1\0"):
    return b"\x93NUMPY" + version + struct.pack("<H", len(header)) + \
        header.encode() + data


NPYS = {
    "empty": b"",
    "magic": b"\x93NUMPY",
    "version": npy(NPY_HEADER, version=b"\x09\0"),
    "header past the end": b"\x93NUMPY\1\0\xff\xff{",
    "truncated": npy(NPY_HEADER)[:-1],
    "too long": npy(NPY_HEADER) + b"\0",
    "no header": npy(""),
    "open": npy(NPY_HEADER[:-1]),
    "objects": npy(NPY_HEADER.replace("<f4", "|O")),
    "big endian": npy(NPY_HEADER.replace("<f4", ">f4")),
    "negative": npy(NPY_HEADER.replace("2", "-2")),
    "overflow": npy(NPY_HEADER.replace("2", str(1 << 62))),
    "larger": npy(NPY_HEADER.replace("2", str(1 << 70))),
    "twice": npy(NPY_HEADER[:-1] + "'descr': '<f4'}"),
}


@pytest.mark.parametrize("run", [MLP_RUN, ARTIFACT_RUN])
@pytest.mark.parametrize("case", NPYS)
def test_npy(workshop, case, run):
    (workshop / "x.npy").write_bytes(NPYS[case])
    refused(workshop, run, "'x'", r"x\.npy")


def test_damaged_artifact(workshop):
    """Whatever is cut off or flipped, the artifact is refused."""
    path = workshop / "mlp.tpcx"
    good = path.read_bytes()
    step = len(good) // 12
    for size in [0, 1, 31, 32, 33, *range(40, len(good), step), len(good) - 1]:
        path.write_bytes(good[:size])
        refused(workshop, ARTIFACT_RUN, r"mlp\.tpcx")
    for at in [0, 4, 8, 16, 24, *range(32, len(good), step), len(good) - 1]:
        flipped = bytearray(good)
        flipped[at] ^= 0x10
        path.write_bytes(flipped)
        refused(workshop, ARTIFACT_RUN, r"mlp\.tpcx")
    path.write_bytes(good + b"\0")
    refused(workshop, ARTIFACT_RUN, r"mlp\.tpcx")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read and write all")
def test_permissions(workshop):
    (workshop / "w.safetensors").chmod(0)
    for run in (MLP_RUN, ARTIFACT_RUN):
        refused(workshop, run, r"w\.safetensors", "Permission denied")
