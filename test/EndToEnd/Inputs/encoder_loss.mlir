// A BERT-like block with a loss: LayerNorm, attention under lengths, gelu;
// labels of -100 do not count.
tpc.mesh @mesh <"tp" = 2>
tpc.parameter @table : tensor<11x8xf32>
tpc.parameter @place : tensor<6x8xf32>
tpc.parameter @norm0 : tensor<8xf32>
tpc.parameter @shift0 : tensor<8xf32>
tpc.parameter @wq : tensor<8x4x1x2xf32>
tpc.parameter @bq : tensor<4x1x2xf32>
tpc.parameter @wk : tensor<8x4x2xf32>
tpc.parameter @bk : tensor<4x2xf32>
tpc.parameter @wv : tensor<8x4x2xf32>
tpc.parameter @bv : tensor<4x2xf32>
tpc.parameter @wo : tensor<4x1x2x8xf32>
tpc.parameter @bo : tensor<8xf32>
tpc.parameter @norm1 : tensor<8xf32>
tpc.parameter @shift1 : tensor<8xf32>
tpc.parameter @up : tensor<8x12xf32>
tpc.parameter @up_bias : tensor<12xf32>
tpc.parameter @down : tensor<12x8xf32>
tpc.parameter @down_bias : tensor<8xf32>
tpc.parameter @norm2 : tensor<8xf32>
tpc.parameter @shift2 : tensor<8xf32>
tpc.parameter @head : tensor<8x11xf32>
tpc.parameter @head_bias : tensor<11xf32>

func.func @main(%tokens: tensor<2x6xi64> {tpc.name = "tokens"}, %lengths: tensor<2xi64> {tpc.name = "lengths"}, %labels: tensor<2x6xi64> {tpc.name = "labels"}) -> (tensor<f32> {tpc.name = "loss"}) {
  %table = tpc.read @table : tensor<11x8xf32>
  %place = tpc.read @place : tensor<6x8xf32>
  %norm0 = tpc.read @norm0 : tensor<8xf32>
  %shift0 = tpc.read @shift0 : tensor<8xf32>
  %wq = tpc.read @wq : tensor<8x4x1x2xf32>
  %bq = tpc.read @bq : tensor<4x1x2xf32>
  %wk = tpc.read @wk : tensor<8x4x2xf32>
  %bk = tpc.read @bk : tensor<4x2xf32>
  %wv = tpc.read @wv : tensor<8x4x2xf32>
  %bv = tpc.read @bv : tensor<4x2xf32>
  %wo = tpc.read @wo : tensor<4x1x2x8xf32>
  %bo = tpc.read @bo : tensor<8xf32>
  %norm1 = tpc.read @norm1 : tensor<8xf32>
  %shift1 = tpc.read @shift1 : tensor<8xf32>
  %up = tpc.read @up : tensor<8x12xf32>
  %up_bias = tpc.read @up_bias : tensor<12xf32>
  %down = tpc.read @down : tensor<12x8xf32>
  %down_bias = tpc.read @down_bias : tensor<8xf32>
  %norm2 = tpc.read @norm2 : tensor<8xf32>
  %shift2 = tpc.read @shift2 : tensor<8xf32>
  %head = tpc.read @head : tensor<8x11xf32>
  %head_bias = tpc.read @head_bias : tensor<11xf32>
  %words = tpc.embedding %table, %tokens : (tensor<11x8xf32>, tensor<2x6xi64>) -> tensor<2x6x8xf32>
  %places = tpc.broadcast %place dims [1, 2] : (tensor<6x8xf32>) -> tensor<2x6x8xf32>
  %e = tpc.add %words, %places : (tensor<2x6x8xf32>, tensor<2x6x8xf32>) -> tensor<2x6x8xf32>
  %x = tpc.layer_norm %e, %norm0, %shift0 epsilon 1.0e-5 : (tensor<2x6x8xf32>, tensor<8xf32>, tensor<8xf32>) -> tensor<2x6x8xf32>
  %q = tpc.linear %x, %wq, %bq "b s e, e k g d -> b s k g d" : (tensor<2x6x8xf32>, tensor<8x4x1x2xf32>, tensor<4x1x2xf32>) -> tensor<2x6x4x1x2xf32>
  %k = tpc.linear %x, %wk, %bk "b s e, e k d -> b s k d" : (tensor<2x6x8xf32>, tensor<8x4x2xf32>, tensor<4x2xf32>) -> tensor<2x6x4x2xf32>
  %v = tpc.linear %x, %wv, %bv "b s e, e k d -> b s k d" : (tensor<2x6x8xf32>, tensor<8x4x2xf32>, tensor<4x2xf32>) -> tensor<2x6x4x2xf32>
  %mixed = tpc.attention %q, %k, %v lengths %lengths scale 0.7 : (tensor<2x6x4x1x2xf32>, tensor<2x6x4x2xf32>, tensor<2x6x4x2xf32>, tensor<2xi64>) -> tensor<2x6x4x1x2xf32>
  %o = tpc.linear %mixed, %wo, %bo "b s k g d, k g d e -> b s e" : (tensor<2x6x4x1x2xf32>, tensor<4x1x2x8xf32>, tensor<8xf32>) -> tensor<2x6x8xf32>
  %r1 = tpc.add %x, %o : (tensor<2x6x8xf32>, tensor<2x6x8xf32>) -> tensor<2x6x8xf32>
  %n1 = tpc.layer_norm %r1, %norm1, %shift1 epsilon 1.0e-5 : (tensor<2x6x8xf32>, tensor<8xf32>, tensor<8xf32>) -> tensor<2x6x8xf32>
  %h = tpc.linear %n1, %up, %up_bias "b s e, e f -> b s f" : (tensor<2x6x8xf32>, tensor<8x12xf32>, tensor<12xf32>) -> tensor<2x6x12xf32>
  %a = tpc.gelu erf %h : (tensor<2x6x12xf32>) -> tensor<2x6x12xf32>
  %d = tpc.linear %a, %down, %down_bias "b s f, f e -> b s e" : (tensor<2x6x12xf32>, tensor<12x8xf32>, tensor<8xf32>) -> tensor<2x6x8xf32>
  %r2 = tpc.add %n1, %d : (tensor<2x6x8xf32>, tensor<2x6x8xf32>) -> tensor<2x6x8xf32>
  %n2 = tpc.layer_norm %r2, %norm2, %shift2 epsilon 1.0e-5 : (tensor<2x6x8xf32>, tensor<8xf32>, tensor<8xf32>) -> tensor<2x6x8xf32>
  %logits = tpc.linear %n2, %head, %head_bias "b s e, e v -> b s v" : (tensor<2x6x8xf32>, tensor<8x11xf32>, tensor<11xf32>) -> tensor<2x6x11xf32>
  %each = tpc.cross_entropy %logits, %labels : (tensor<2x6x11xf32>, tensor<2x6xi64>) -> tensor<2x6xf32>
  %total = tpc.reduce sum %each dims [0, 1] : (tensor<2x6xf32>) -> tensor<f32>
  %count = tpc.constant dense<12.0> : tensor<f32> : tensor<f32>
  %loss = tpc.div %total, %count : (tensor<f32>, tensor<f32>) -> tensor<f32>
  return %loss : tensor<f32>
}
