// A two-matmul MLP: the smallest model with a column/row pair.
tpc.mesh @mesh <"tp" = 4>
tpc.parameter @up : tensor<64x256xf32> from "mlp.up.weight" : tensor<256x64xf32> view [transpose [1, 0]]
tpc.parameter @up_bias : tensor<256xf32> from "mlp.up.bias" : tensor<256xf32>
tpc.parameter @down : tensor<256x64xf32> from "mlp.down.weight" : tensor<64x256xf32> view [transpose [1, 0]]
tpc.parameter @down_bias : tensor<64xf32> from "mlp.down.bias" : tensor<64xf32>

func.func @main(%x: tensor<8x64xf32>) -> tensor<8x64xf32> {
  %up = tpc.read @up : tensor<64x256xf32>
  %up_bias = tpc.read @up_bias : tensor<256xf32>
  %down = tpc.read @down : tensor<256x64xf32>
  %down_bias = tpc.read @down_bias : tensor<64xf32>
  %h = tpc.linear %x, %up, %up_bias "b e, e f -> b f" : (tensor<8x64xf32>, tensor<64x256xf32>, tensor<256xf32>) -> tensor<8x256xf32>
  %a = tpc.gelu erf %h : (tensor<8x256xf32>) -> tensor<8x256xf32>
  %y = tpc.linear %a, %down, %down_bias "b f, f e -> b e" : (tensor<8x256xf32>, tensor<256x64xf32>, tensor<64xf32>) -> tensor<8x64xf32>
  return %y : tensor<8x64xf32>
}
