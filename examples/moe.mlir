// A decoder block of a mixture of experts: a router gives every token scores
// for 4 experts, the token goes through the 2 best, and what they say is added
// up by their scores. Five tokens, sizes that no mesh divides.
tpc.mesh @mesh <"tp" = 2>
tpc.parameter @norm   : tensor<30xf32>
tpc.parameter @router : tensor<30x4xf32>
tpc.parameter @gate   : tensor<4x30x50xf32>
tpc.parameter @up     : tensor<4x30x50xf32>
tpc.parameter @down   : tensor<4x50x30xf32>

func.func @main(%x: tensor<5x30xf32>) -> tensor<5x30xf32> {
  %norm   = tpc.read @norm   : tensor<30xf32>
  %router = tpc.read @router : tensor<30x4xf32>
  %gate   = tpc.read @gate   : tensor<4x30x50xf32>
  %up     = tpc.read @up     : tensor<4x30x50xf32>
  %down   = tpc.read @down   : tensor<4x50x30xf32>
  %h = tpc.rms_norm %x, %norm epsilon 1.0e-5 : (tensor<5x30xf32>, tensor<30xf32>) -> tensor<5x30xf32>

  // Routing: scores of all experts, the best 2, normalized to sum 1.
  %logits = tpc.matmul %h, %router "n d, d e -> n e" : (tensor<5x30xf32>, tensor<30x4xf32>) -> tensor<5x4xf32>
  %scores = tpc.softmax %logits : (tensor<5x4xf32>) -> tensor<5x4xf32>
  %best, %choices = tpc.top_k %scores : (tensor<5x4xf32>) -> (tensor<5x2xf32>, tensor<5x2xi64>)
  %sum = tpc.reduce sum %best dims [1] : (tensor<5x2xf32>) -> tensor<5xf32>
  %sums = tpc.broadcast %sum dims [0] : (tensor<5xf32>) -> tensor<5x2xf32>
  %weights = tpc.div %best, %sums : (tensor<5x2xf32>, tensor<5x2xf32>) -> tensor<5x2xf32>

  %y = tpc.experts %h, %choices, %weights, %gate, %up, %down : (tensor<5x30xf32>, tensor<5x2xi64>, tensor<5x2xf32>, tensor<4x30x50xf32>, tensor<4x30x50xf32>, tensor<4x50x30xf32>) -> tensor<5x30xf32>
  %r = tpc.add %x, %y : (tensor<5x30xf32>, tensor<5x30xf32>) -> tensor<5x30xf32>
  return %r : tensor<5x30xf32>
}
