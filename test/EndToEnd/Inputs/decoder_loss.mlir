// A Llama-like block with tied embeddings and a loss: RMSNorm, rotary
// positions, four query heads over two key heads, SwiGLU.
tpc.mesh @mesh <"tp" = 2>
tpc.parameter @table : tensor<11x8xf32>
tpc.parameter @norm1 : tensor<8xf32>
tpc.parameter @wq : tensor<8x2x2x4xf32>
tpc.parameter @wk : tensor<8x2x4xf32>
tpc.parameter @wv : tensor<8x2x4xf32>
tpc.parameter @wo : tensor<2x2x4x8xf32>
tpc.parameter @norm2 : tensor<8xf32>
tpc.parameter @gate : tensor<8x12xf32>
tpc.parameter @up : tensor<8x12xf32>
tpc.parameter @down : tensor<12x8xf32>
tpc.parameter @norm3 : tensor<8xf32>

func.func @main(%tokens: tensor<2x6xi64> {tpc.name = "tokens"}, %labels: tensor<2x6xi64> {tpc.name = "labels"}, %positions: tensor<2x6xi64> {tpc.name = "positions"}) -> (tensor<f32> {tpc.name = "loss"}) {
  %table = tpc.read @table : tensor<11x8xf32>
  %norm1 = tpc.read @norm1 : tensor<8xf32>
  %wq = tpc.read @wq : tensor<8x2x2x4xf32>
  %wk = tpc.read @wk : tensor<8x2x4xf32>
  %wv = tpc.read @wv : tensor<8x2x4xf32>
  %wo = tpc.read @wo : tensor<2x2x4x8xf32>
  %norm2 = tpc.read @norm2 : tensor<8xf32>
  %gate = tpc.read @gate : tensor<8x12xf32>
  %up = tpc.read @up : tensor<8x12xf32>
  %down = tpc.read @down : tensor<12x8xf32>
  %norm3 = tpc.read @norm3 : tensor<8xf32>
  %frequencies = tpc.constant dense<[1.0, 0.1]> : tensor<2xf32> : tensor<2xf32>
  %x = tpc.embedding %table, %tokens : (tensor<11x8xf32>, tensor<2x6xi64>) -> tensor<2x6x8xf32>
  %n1 = tpc.rms_norm %x, %norm1 epsilon 1.0e-5 : (tensor<2x6x8xf32>, tensor<8xf32>) -> tensor<2x6x8xf32>
  %q0 = tpc.matmul %n1, %wq "b s e, e k g d -> b s k g d" : (tensor<2x6x8xf32>, tensor<8x2x2x4xf32>) -> tensor<2x6x2x2x4xf32>
  %k0 = tpc.matmul %n1, %wk "b s e, e k d -> b s k d" : (tensor<2x6x8xf32>, tensor<8x2x4xf32>) -> tensor<2x6x2x4xf32>
  %v = tpc.matmul %n1, %wv "b s e, e k d -> b s k d" : (tensor<2x6x8xf32>, tensor<8x2x4xf32>) -> tensor<2x6x2x4xf32>
  %q = tpc.rope halves %q0, %positions, %frequencies scale 1.0 : (tensor<2x6x2x2x4xf32>, tensor<2x6xi64>, tensor<2xf32>) -> tensor<2x6x2x2x4xf32>
  %k = tpc.rope halves %k0, %positions, %frequencies scale 1.0 : (tensor<2x6x2x4xf32>, tensor<2x6xi64>, tensor<2xf32>) -> tensor<2x6x2x4xf32>
  %mixed = tpc.attention %q, %k, %v scale 0.5 causal : (tensor<2x6x2x2x4xf32>, tensor<2x6x2x4xf32>, tensor<2x6x2x4xf32>) -> tensor<2x6x2x2x4xf32>
  %o = tpc.matmul %mixed, %wo "b s k g d, k g d e -> b s e" : (tensor<2x6x2x2x4xf32>, tensor<2x2x4x8xf32>) -> tensor<2x6x8xf32>
  %r1 = tpc.add %x, %o : (tensor<2x6x8xf32>, tensor<2x6x8xf32>) -> tensor<2x6x8xf32>
  %n2 = tpc.rms_norm %r1, %norm2 epsilon 1.0e-5 : (tensor<2x6x8xf32>, tensor<8xf32>) -> tensor<2x6x8xf32>
  %g0 = tpc.matmul %n2, %gate "b s e, e f -> b s f" : (tensor<2x6x8xf32>, tensor<8x12xf32>) -> tensor<2x6x12xf32>
  %g1 = tpc.silu %g0 : (tensor<2x6x12xf32>) -> tensor<2x6x12xf32>
  %u = tpc.matmul %n2, %up "b s e, e f -> b s f" : (tensor<2x6x8xf32>, tensor<8x12xf32>) -> tensor<2x6x12xf32>
  %h = tpc.mul %g1, %u : (tensor<2x6x12xf32>, tensor<2x6x12xf32>) -> tensor<2x6x12xf32>
  %d = tpc.matmul %h, %down "b s f, f e -> b s e" : (tensor<2x6x12xf32>, tensor<12x8xf32>) -> tensor<2x6x8xf32>
  %r2 = tpc.add %r1, %d : (tensor<2x6x8xf32>, tensor<2x6x8xf32>) -> tensor<2x6x8xf32>
  %n3 = tpc.rms_norm %r2, %norm3 epsilon 1.0e-5 : (tensor<2x6x8xf32>, tensor<8xf32>) -> tensor<2x6x8xf32>
  %logits = tpc.matmul %n3, %table "b s e, v e -> b s v" : (tensor<2x6x8xf32>, tensor<11x8xf32>) -> tensor<2x6x11xf32>
  %each = tpc.cross_entropy %logits, %labels : (tensor<2x6x11xf32>, tensor<2x6xi64>) -> tensor<2x6xf32>
  %total = tpc.reduce sum %each dims [0, 1] : (tensor<2x6xf32>) -> tensor<f32>
  %count = tpc.constant dense<12.0> : tensor<f32> : tensor<f32>
  %loss = tpc.div %total, %count : (tensor<f32>, tensor<f32>) -> tensor<f32>
  return %loss : tensor<f32>
}
