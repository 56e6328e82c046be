"""Programs whose shardings the user pins."""

from tools import tool

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
