"""What else could have been decided, and plans as files."""

import numpy as np
import pytest

import tpc

from test_graph import WEIGHTS, X, expected, mlp


def test_every_choice_of_a_value():
    values = tpc.explain(mlp(), "mlp.down.weight", mesh={"tp": 2},
                         machine="h100")["values"]
    assert [value["name"] for value in values] == ["mlp.down.weight"]
    choices = values[0]["choices"]
    assert {choice["sharding"] for choice in choices} == {
        "replicated", "split along dimension 0 over tp",
        "split along dimension 1 over tp"}
    assert choices[0]["chosen"]
    for choice in choices[1:]:
        assert choice["plan"]["proven"] and choice["plan"]["delta_us"] >= 0
    # The difference is that of the two plans.
    costs = []
    for choice in choices[:2]:
        word = {"replicated": ("[{}, {}]"),
                "split along dimension 0 over tp": '[{"tp"}, {}]',
                "split along dimension 1 over tp": '[{}, {"tp"}]'}
        costs.append(tpc.explain(
            mlp(), mesh={"tp": 2}, machine="h100",
            pins=[f"mlp.down.weight={word[choice['sharding']]}"])["us"])
    assert costs[1] - costs[0] == pytest.approx(
        choices[1]["plan"]["delta_us"], abs=1e-3)


def test_every_collective():
    found = tpc.explain(mlp(), mesh={"tp": 2}, mode="megatron")
    assert [c["where"] for c in found["collectives"]] == ["mlp.down"]
    assert found["collectives"][0]["steps"] == [
        {"kind": "all_reduce", "reduction": "sum", "axes": "tp",
         "bytes": 8 * 16 * 4}]
    with pytest.raises(tpc.Error, match="found \"mpl\"; there are"):
        tpc.explain(mlp(), "mpl", mesh={"tp": 2})


def test_a_plan_is_saved_and_followed(tmp_path):
    path = tmp_path / "plan.json"
    exe = tpc.compile(mlp(), mesh={"tp": 2}, weights=WEIGHTS, mode="megatron")
    exe.plan.save(path)
    again = tpc.compile(mlp(), mesh={"tp": 2}, weights=WEIGHTS, plan_file=path)
    assert again.plan.collectives == exe.plan.collectives
    assert again.plan.parameters == exe.plan.parameters
    np.testing.assert_allclose(again(x=X), expected(X), rtol=1e-4, atol=1e-4)
    copy = tmp_path / "copy.json"
    again.plan.save(copy)
    assert copy.read_bytes() == path.read_bytes()
    for mesh, options, message in [
            ({"tp": 4}, {"plan_file": path}, "is for the mesh tp=2"),
            ({"tp": 2}, {"plan_file": path, "mode": "megatron"},
             "one of plan_file and mode"),
            ({"tp": 2}, {"plan_file": tmp_path / "none.json"}, "No such file"),
    ]:
        with pytest.raises(tpc.Error, match=message):
            tpc.compile(mlp(), mesh=mesh, weights=WEIGHTS, **options)


def test_a_directory_has_no_plan_file(tmp_path):
    plan = tpc.Plan('{"mesh": {}}', "", "[]")
    with pytest.raises(tpc.Error, match="tpc-run --plan-out"):
        plan.save(tmp_path / "plan.json")
    assert not (tmp_path / "plan.json").exists()
