"""The programs of examples/ compile and are proved on several meshes."""

import pytest

from tools import ROOT, tool

EXAMPLES = sorted((ROOT / "examples").glob("*.mlir"))


@pytest.mark.parametrize("mesh", ["tp=1", "tp=2", "tp=3", "tp=4", "dp=2,tp=2"])
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_example(example, mesh):
    result = tool("tpc-run", example, "--dry-run", "--mesh", mesh)
    assert "Proved" in result.stdout
