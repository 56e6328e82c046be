// A layer of four experts with a loss: each row goes through the two best.
tpc.mesh @mesh <"tp" = 2>
tpc.parameter @norm : tensor<8xf32>
tpc.parameter @router : tensor<8x4xf32>
tpc.parameter @gate : tensor<4x8x6xf32>
tpc.parameter @up : tensor<4x8x6xf32>
tpc.parameter @down : tensor<4x6x8xf32>
tpc.parameter @head : tensor<8x5xf32>

func.func @main(%x: tensor<6x8xf32> {tpc.name = "x"}, %labels: tensor<6xi64> {tpc.name = "labels"}) -> (tensor<f32> {tpc.name = "loss"}) {
  %norm = tpc.read @norm : tensor<8xf32>
  %router = tpc.read @router : tensor<8x4xf32>
  %gate = tpc.read @gate : tensor<4x8x6xf32>
  %up = tpc.read @up : tensor<4x8x6xf32>
  %down = tpc.read @down : tensor<4x6x8xf32>
  %head = tpc.read @head : tensor<8x5xf32>
  %h = tpc.rms_norm %x, %norm epsilon 1.0e-5 : (tensor<6x8xf32>, tensor<8xf32>) -> tensor<6x8xf32>
  %logits = tpc.matmul %h, %router "n d, d e -> n e" : (tensor<6x8xf32>, tensor<8x4xf32>) -> tensor<6x4xf32>
  %scores = tpc.softmax %logits : (tensor<6x4xf32>) -> tensor<6x4xf32>
  %best, %choices = tpc.top_k %scores : (tensor<6x4xf32>) -> (tensor<6x2xf32>, tensor<6x2xi64>)
  %sum = tpc.reduce sum %best dims [1] : (tensor<6x2xf32>) -> tensor<6xf32>
  %sums = tpc.broadcast %sum dims [0] : (tensor<6xf32>) -> tensor<6x2xf32>
  %weights = tpc.div %best, %sums : (tensor<6x2xf32>, tensor<6x2xf32>) -> tensor<6x2xf32>
  %y = tpc.experts %h, %choices, %weights, %gate, %up, %down : (tensor<6x8xf32>, tensor<6x2xi64>, tensor<6x2xf32>, tensor<4x8x6xf32>, tensor<4x8x6xf32>, tensor<4x6x8xf32>) -> tensor<6x8xf32>
  %r = tpc.add %x, %y : (tensor<6x8xf32>, tensor<6x8xf32>) -> tensor<6x8xf32>
  %out = tpc.matmul %r, %head "n d, d c -> n c" : (tensor<6x8xf32>, tensor<8x5xf32>) -> tensor<6x5xf32>
  %each = tpc.cross_entropy %out, %labels : (tensor<6x5xf32>, tensor<6xi64>) -> tensor<6xf32>
  %total = tpc.reduce sum %each dims [0] : (tensor<6xf32>) -> tensor<f32>
  %count = tpc.constant dense<6.0> : tensor<f32> : tensor<f32>
  %loss = tpc.div %total, %count : (tensor<f32>, tensor<f32>) -> tensor<f32>
  return %loss : tensor<f32>
}
