"""Pictures of tensors on meshes."""

import xml.etree.ElementTree as xml

import numpy as np
import pytest

import tpc
from tpc import Picture

MESH = {"dp": 2, "tp": 4}


def test_blocks_and_devices():
    picture = Picture("w", (6, 10), MESH, [["dp"], ["tp"]], [])
    assert picture.devices()[1, 2] == [6]
    assert [picture.ranges(1, i) for i in range(4)] == [(0, 3), (3, 6), (6, 9),
                                                        (9, 10)]
    assert str(picture).splitlines()[1].split() == [
        "|", "0:3", "|", "3:6", "|", "6:9", "|", "9:10"]


def test_replicas_and_partials():
    picture = Picture("w", (6,), MESH, [["dp"]], ["tp"])
    assert picture.devices() == {(0,): [0, 1, 2, 3], (1,): [4, 5, 6, 7]}
    assert "partial over tp" in str(picture)
    assert Picture("s", (), MESH, [], []).devices() == {
        (): list(range(8))}


def test_two_axes_and_parts_of_one():
    # dp cuts 10 into blocks of 5, tp these into blocks of 2: the last are
    # short and empty.
    picture = Picture("x", (10,), MESH, [["dp", "tp"]], [])
    assert [picture.ranges(0, i) for i in range(8)] == [
        (0, 2), (2, 4), (4, 5), (5, 5), (5, 7), (7, 9), (9, 10), (10, 10)]
    picture = Picture("x", (4,), MESH, [["tp:(2)2"]], [])
    assert picture.devices() == {(0,): [0, 2, 4, 6], (1,): [1, 3, 5, 7]}


def test_svg():
    picture = Picture("<w>", (2, 6, 10), MESH, [[], ["dp"], ["tp"]], [])
    root = xml.fromstring(picture.svg())
    assert len(root.findall("{*}rect")) == 8
    assert picture._repr_svg_() == picture.svg()


def test_of_an_executable():
    g = tpc.Graph()
    x = g.input("x", (8, 16))
    g.output(y=x @ g.parameter("w", (16, 8), sharding=(None, "tp")))
    exe = tpc.compile(g, mesh={"tp": 2},
                      weights={"w": np.zeros((16, 8), np.float32)})
    picture = tpc.visualize(exe, "w")
    assert picture.devices() == {(0, 0): [0], (0, 1): [1]}
    assert "4:8" in str(tpc.visualize(exe.plan, "w"))
    with pytest.raises(tpc.Error, match="expected the name"):
        tpc.visualize(exe, "v")


def test_of_a_value():
    g = tpc.Graph()
    x = g.input("x", (8, 16))
    w = g.parameter("w", (16, 8), sharding=(None, "tp"))
    y = tpc.tanh(x @ w)
    values, _ = tpc.top_k(y, 3)
    g.output(y=y, v=values)
    with pytest.raises(tpc.Error, match="not compiled"):
        tpc.visualize(y)
    tpc.compile(g, mesh={"tp": 2}, pins=["@y=[{}, {\"tp\"}]"],
                weights={"w": np.zeros((16, 8), np.float32)})
    split = {(0, 0): [0], (0, 1): [1]}
    assert tpc.visualize(w).devices() == split
    assert tpc.visualize(y).devices() == split
    assert tpc.visualize(x).title.startswith("x: 8x16xf32")
    assert "8x3xf32" in tpc.visualize(values).title
