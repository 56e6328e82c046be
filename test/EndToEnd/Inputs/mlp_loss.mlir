// An MLP with a loss: inputs and labels of six rows, five classes.
tpc.mesh @mesh <"tp" = 2>
tpc.parameter @up : tensor<8x12xf32>
tpc.parameter @up_bias : tensor<12xf32>
tpc.parameter @down : tensor<12x5xf32>
tpc.parameter @down_bias : tensor<5xf32>

func.func @main(%x: tensor<6x8xf32> {tpc.name = "x"}, %labels: tensor<6xi64> {tpc.name = "labels"}) -> (tensor<f32> {tpc.name = "loss"}) {
  %up = tpc.read @up : tensor<8x12xf32>
  %up_bias = tpc.read @up_bias : tensor<12xf32>
  %down = tpc.read @down : tensor<12x5xf32>
  %down_bias = tpc.read @down_bias : tensor<5xf32>
  %h = tpc.linear %x, %up, %up_bias "b e, e f -> b f" : (tensor<6x8xf32>, tensor<8x12xf32>, tensor<12xf32>) -> tensor<6x12xf32>
  %a = tpc.gelu erf %h : (tensor<6x12xf32>) -> tensor<6x12xf32>
  %y = tpc.linear %a, %down, %down_bias "b f, f e -> b e" : (tensor<6x12xf32>, tensor<12x5xf32>, tensor<5xf32>) -> tensor<6x5xf32>
  %each = tpc.cross_entropy %y, %labels : (tensor<6x5xf32>, tensor<6xi64>) -> tensor<6xf32>
  %total = tpc.reduce sum %each dims [0] : (tensor<6xf32>) -> tensor<f32>
  %count = tpc.constant dense<6.0> : tensor<f32> : tensor<f32>
  %loss = tpc.div %total, %count : (tensor<f32>, tensor<f32>) -> tensor<f32>
  return %loss : tensor<f32>
}
