"""Graphs: entries, parameters, states, shardings, and what is compiled."""

import json
import os
import threading

import ml_dtypes
import numpy as np
import pytest

import tpc
from fixtures import model_of

RNG = np.random.default_rng(3)


def normal(*shape):
    return RNG.normal(size=shape).astype(np.float32)


def mlp(mesh=None, plan=None, shard=None):
    g = tpc.Graph(mesh=mesh, plan=plan)
    x = g.input("x", (8, 16))
    with g.scope("mlp.up"):
        h = tpc.gelu(x @ g.parameter("mlp.up.weight", (16, 64)))
    if shard:
        h = tpc.shard(h, shard)
    with g.scope("mlp.down"):
        y = h @ g.parameter("mlp.down.weight", (64, 16))
    g.output(y=y)
    return g


WEIGHTS = {"mlp.up.weight": normal(16, 64), "mlp.down.weight": normal(64, 16)}
X = normal(8, 16)
NO_GPU = r"libcuda\.so\.1|finds no NVIDIA GPU|which this build does not run"


def gelu(x):
    import math
    return x / 2 * (1 + np.vectorize(math.erf)(x / 2**0.5))


def expected(x):
    return gelu(x @ WEIGHTS["mlp.up.weight"]) @ WEIGHTS["mlp.down.weight"]


@pytest.mark.parametrize("mesh", [{"tp": 1}, {"tp": 3}, {"dp": 2, "tp": 2},
                                  "tp=4"], ids=str)
@pytest.mark.parametrize("mode", ["auto", "megatron", "propagate"])
def test_runs_on_meshes(mesh, mode):
    exe = tpc.compile(mlp(), mesh=mesh, weights=WEIGHTS, mode=mode)
    np.testing.assert_allclose(exe(x=X), expected(X), rtol=1e-4, atol=1e-4)


def test_text_round_trip():
    g = mlp()
    text = g.to_mlir()
    again = tpc.parse(text)
    assert again.to_mlir() == text
    exe = tpc.compile(again, mesh={"tp": 2}, weights=WEIGHTS)
    np.testing.assert_allclose(exe(x=X), expected(X), rtol=1e-4, atol=1e-4)


def test_plan_memory_and_explanations():
    exe = tpc.compile(mlp(), mesh={"tp": 2}, weights=WEIGHTS, pins=[
        "mlp.up.weight=colwise"])
    assert exe.plan.mesh == {"tp": 2}
    assert "mlp.up.weight" in str(exe.plan)
    assert "<table>" in exe.plan._repr_html_()
    assert json.loads(exe.plan.to_json())["mesh"] == {"tp": 2}
    assert [c["count"] for c in exe.plan.collectives] == [1]
    text = exe.explain("mlp.up.weight")
    assert "split along dimension 1 over tp, 16x32 on a device" in text
    assert "mlp.down" in exe.explain("mlp.down")
    assert "becomes" in exe.explain("mlp*")
    with pytest.raises(tpc.Error, match="mlp.up.weight"):
        exe.explain("weight")
    assert exe.memory["packed"] + exe.memory["weight"] >= 2 * 16 * 32 * 4
    assert sum(exe.memory.values()) == exe.plan.memory["total"]


def test_a_plan_by_patterns():
    words = {"mlp.up": "colwise", "*.down": "rowwise"}
    plan = tpc.compile(mlp(plan=words), mesh={"tp": 2},
                       weights=WEIGHTS).plan
    dims = {value["name"]: value["dims"] for value in plan.values("*.weight")}
    assert dims == {"mlp.up.weight": [[], ["tp"]],
                    "mlp.down.weight": [["tp"], []]}
    words = {"mlp.up": "replicated", "mlp.down.weight": "colwise"}
    plan = tpc.compile(mlp(plan=words), mesh={"tp": 2}, weights=WEIGHTS).plan
    dims = {value["name"]: value["dims"] for value in plan.values("*.weight")}
    assert dims == {"mlp.up.weight": [[], []],
                    "mlp.down.weight": [[], ["tp"]]}


def test_sequence_parallel():
    plan = {"mlp.up": "sequence_parallel"}
    exe = tpc.compile(mlp({"tp": 2}, plan), weights=WEIGHTS)
    shards = [value for value in exe.plan.values("mlp.up")
              if value["kind"] == "gelu"]
    assert [value["dims"] for value in shards] == [[["tp"], []]]
    np.testing.assert_allclose(exe(x=X), expected(X), rtol=1e-4, atol=1e-4)
    g = tpc.Graph(plan={"norm": "sequence_parallel"})
    with pytest.raises(tpc.Error, match="2 dimensions"), g.scope("norm"):
        g.input("x", (8,)) + 1


def test_a_plan_that_matches_nothing():
    with pytest.raises(tpc.Error, match="nothing.*match none"):
        tpc.compile(mlp(plan={"nothing": "colwise"}), weights=WEIGHTS)
    with pytest.raises(tpc.Error, match="colwize"):
        tpc.Graph(plan={"mlp.up": "colwize"})


def test_a_bias_behind_a_rowwise_product():
    g = tpc.Graph(plan={"down": "rowwise"})
    x = g.input("x", (8, 64))
    w = g.parameter("down.weight", (64, 16))
    g.output(y=tpc.linear(x, w, g.parameter("down.bias", (16,))))
    weights = {"down.weight": normal(64, 16), "down.bias": normal(16)}
    exe = tpc.compile(g, mesh={"tp": 2}, weights=weights)
    assert exe.plan.values("down.bias")[0]["dims"] == [[]]
    x = normal(8, 64)
    np.testing.assert_allclose(
        exe(x=x), x @ weights["down.weight"] + weights["down.bias"],
        rtol=1e-4, atol=1e-4)


def test_shard_of_a_value():
    exe = tpc.compile(mlp({"tp": 2}, shard=("tp", None)), weights=WEIGHTS)
    np.testing.assert_allclose(exe(x=X), expected(X), rtol=1e-4, atol=1e-4)
    assert any(value["dims"] == [["tp"], []]
               for value in exe.plan.values("tpc.shard") +
               exe.plan.values("mlp.up"))
    with pytest.raises(tpc.Error, match="xp"):
        tpc.compile(mlp(shard=("xp", None)), weights=WEIGHTS)


def test_shardings_of_inputs_and_parameters():
    g = tpc.Graph()
    x = g.input("x", (8, 16), sharding=("tp", None))
    w = g.parameter("w", (16, 8), sharding=(None, "tp"))
    g.output(y=x @ w)
    exe = tpc.compile(g, mesh={"tp": 2}, weights={"w": normal(16, 8)})
    assert exe.plan.values("x")[0]["dims"] == [["tp"], []]
    assert exe.plan.values("w")[0]["dims"] == [[], ["tp"]]


def test_entries_share_states_and_parameters():
    g = tpc.Graph()
    with g.entry("add"):
        x = g.input("x", (4,))
        total = g.state("total", (4,)) + x * g.parameter("w", (4,))
        g.write("total", total)
        g.output(total=total)
    with g.entry("scaled"):
        g.output(y=g.read("total") * g.read("w"))
    w = np.array([1, 2, 3, 4], np.float32)
    exe = tpc.compile(g, mesh={"tp": 2}, weights={"w": w},
                      mix={"add": 10, "scaled": 1})
    assert exe.entries == ["add", "scaled"]
    one = np.ones(4, np.float32)
    exe.run("add", x=one)
    assert exe.run("add", x=one)["total"].tolist() == (2 * w).tolist()
    assert exe.run("scaled")["y"].tolist() == (2 * w * w).tolist()
    assert exe.read_state("total").tolist() == (2 * w).tolist()
    exe.write_state("total", [1, 1, 1, 1])
    assert exe.run("scaled")["y"].tolist() == w.tolist()
    exe.reset()
    assert exe.read_state("total").tolist() == [0] * 4
    with pytest.raises(tpc.Error, match="add, scaled"):
        exe.run("other")


def test_views_of_stored_tensors():
    stored = {"a": normal(6, 4), "e.0": normal(5, 3), "e.1": normal(5, 3),
              "h": normal(4, 6).astype(np.float16)}
    g = tpc.Graph()
    g.output(t=g.parameter("t", (4, 6), stored="a", transposed=True) + 0,
             r=g.parameter("r", (4, 2, 3), stored="a", stored_shape=(6, 4),
                           transposed=True) + 0,
             s=g.parameter("s", (2, 3, 5), stored=["e.0", "e.1"],
                           transposed=True) + 0,
             h=g.parameter("h", (4, 6), stored_dtype="f16") + 0)
    out = tpc.compile(g, weights=stored).run()
    assert (out["t"] == stored["a"].T).all()
    assert (out["r"] == stored["a"].T.reshape(4, 2, 3)).all()
    assert (out["s"] == np.stack([stored["e.0"].T, stored["e.1"].T])).all()
    assert (out["h"] == stored["h"].astype(np.float32)).all()


def test_weights_from_a_file(tmp_path):
    from safetensors.numpy import save_file
    save_file(WEIGHTS, tmp_path / "w.safetensors")
    exe = tpc.compile(mlp(), mesh={"tp": 2}, weights=tmp_path / "w.safetensors")
    np.testing.assert_allclose(exe(x=X), expected(X), rtol=1e-4, atol=1e-4)


def test_artifacts(tmp_path):
    exe = tpc.compile(mlp(), mesh={"tp": 2}, weights=WEIGHTS)
    exe.save(tmp_path / "m.tpcx")
    again = tpc.load_artifact(tmp_path / "m.tpcx", weights=WEIGHTS)
    assert (again(x=X) == exe(x=X)).all()
    assert again.inputs() == {"x": ("f32", (8, 16))}
    with pytest.raises(tpc.Error, match="no plan"):
        again.plan
    with pytest.raises(tpc.Error, match="none.tpcx"):
        tpc.load_artifact(tmp_path / "none.tpcx")


class Tensor:
    """Something with __dlpack__ that is no numpy array."""

    def __init__(self, array):
        self.array = array

    def __dlpack__(self, **options):
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()


def test_arrays_of_all_kinds():
    g = tpc.Graph()
    x, i = g.input("x", (2, 3)), g.input("i", (2,), "i64")
    b = g.input("b", (2, 3), "bf16")
    g.output(y=x + 0, j=i + 1, c=b + b)
    exe = tpc.compile(g)
    b = normal(2, 3).astype(ml_dtypes.bfloat16)
    x = normal(2, 3)
    out = exe.run(x=Tensor(x), i=[1, 2], b=b)
    assert (out["y"] == x).all() and out["j"].tolist() == [2, 3]
    assert out["c"].dtype == ml_dtypes.bfloat16 and (out["c"] == b + b).all()
    # Other strides and integer types, and f64 to f32, are converted.
    out = exe.run(x=x.astype(np.float64)[::-1], i=np.array([1, 2], np.int32),
                  b=b)
    assert (out["y"] == x[::-1]).all()
    with pytest.raises(tpc.Error, match="i: expected an array of i64"):
        exe.run(x=x, i=x[:, 0], b=b)
    with pytest.raises(tpc.Error, match="2x3xf32"):
        exe.run(x=x[:1], i=[1, 2], b=b)
    with pytest.raises(tpc.Error, match="'b'"):
        exe.run(x=x, i=[1, 2])
    with pytest.raises(tpc.Error, match="'z'"):
        exe.run(x=x, i=[1, 2], b=b, z=x)


def test_outputs_live_on():
    g = tpc.Graph()
    g.output(y=g.input("x", (1000,)) + 1)
    exe = tpc.compile(g)
    kept = [exe(x=np.full(1000, i, np.float32)) for i in range(50)]
    del exe
    assert [array[7] for array in kept] == [i + 1 for i in range(50)]


def test_other_threads_run_meanwhile():
    g = tpc.Graph()
    x = g.input("x", (512, 512))
    for _ in range(40):
        x = tpc.tanh(x @ x)
    g.output(y=x)
    exe = tpc.compile(g)
    counted, done = [0], threading.Event()

    def count():
        while not done.is_set():
            counted[0] += 1

    thread = threading.Thread(target=count)
    x = np.eye(512, dtype=np.float32)
    exe(x=x)
    thread.start()
    before = counted[0]
    for _ in range(5):
        exe(x=x)
    done.set()
    thread.join()
    assert counted[0] - before > 100


ERRORS = {
    "no output": (lambda g: g.input("x", (2,)), "no output"),
    "two inputs": (lambda g: [g.input("x", (2,)), g.input("x", (2,))], "'x'"),
    "two parameters": (lambda g: [g.parameter("w", (2,)),
                                  g.parameter("w", (2,))], "'w' is declared"),
    "shape": (lambda g: g.input("x", (0, 2)), "at least 1"),
    "huge": (lambda g: g.parameter("w", (1 << 40, 1 << 40)), "2^48"),
    "view": (lambda g: g.parameter("w", (5,), stored_shape=(2, 2)), "4 elements"),
    "read": (lambda g: g.read("w"), "w"),
    "write": (lambda g: g.write("s", g.input("x", (2,))), "no state 's'"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors(name):
    build, message = ERRORS[name]
    g = tpc.Graph()
    with pytest.raises((tpc.Error, KeyError)) as error:
        build(g)
        tpc.compile(g)
    assert message in str(error.value), str(error.value)


def test_wrong_options():
    g = mlp()
    for options, message in [({"mesh": {"tp": 0}}, "found \"tp=0\""),
                             ({"mode": "best"}, "best"),
                             ({"machine": "abacus"}, "abacus"),
                             ({"device": "tpu"}, '"cpu" or "cuda", found \'tpu\''),
                             ({"pins": ["mlp.up.weight=[{\"xp\"}, {}]"]}, "xp"),
                             ({"mesh": {"tp": 2}, "weights": None},
                              "mlp.")]:
        with pytest.raises(tpc.Error) as error:
            tpc.compile(g, **{"weights": WEIGHTS, **options})
        assert message in str(error.value), str(error.value)


@pytest.mark.skipif(os.path.exists("/dev/nvidiactl"), reason="there is a GPU")
def test_gpus_that_are_not_there():
    """It is compiled, and what is missing to load it is said."""
    with pytest.raises(tpc.Error, match=NO_GPU):
        tpc.compile(mlp(), weights=WEIGHTS, device="cuda")
    with pytest.raises(tpc.Error, match=NO_GPU):
        tpc.load(model_of("bert"), device="cuda")(input_ids=[[5, 7]])


def test_values_of_another_entry():
    g = tpc.Graph()
    with g.entry("a"):
        x = g.input("x", (2,))
    with g.entry("b"), pytest.raises(tpc.Error, match="another entry"):
        x + 1


def test_hostile_text():
    with pytest.raises(tpc.Error, match="x.mlir"):
        tpc.parse("func.func @main(", "x.mlir")
    with pytest.raises(tpc.Error, match="nest"):
        tpc.parse("[" * 100000)
